"""Floating IPs: an address of an external network that leads to one of a port."""

from __future__ import annotations

import ipaddress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.errors import Conflict, NotFound
from onestack.network import addresses, attributes, dirty, errors, objects, ports
from onestack.network.attributes import REQUIRED, UNSET, Attr, optional, standard
from onestack.network.models import FloatingIp, Network, Port, PortAddress, Router, Subnet

ATTRIBUTES = standard(
    dns_name=Attr(attributes.relative_dns_name, put=False, default=""),
    dns_domain=Attr(attributes.dns_domain, put=False, default=""),
    port_forwardings=Attr(post=False, put=False),
    port_details=Attr(post=False, put=False),
    router_id=Attr(post=False, put=False),
    floating_ip_address=Attr(optional(attributes.address), put=False, default=None, ruled=True),
    subnet_id=Attr(optional(attributes.uuid), put=False, default=None),
    floating_network_id=Attr(attributes.uuid, put=False, default=REQUIRED),
    port_id=Attr(optional(attributes.uuid), default=None),
    fixed_ip_address=Attr(optional(attributes.address), default=None),
    status=Attr(post=False, put=False),
)


def _bad(message: str) -> Exception:
    return errors.bad_resource("floatingip", message)


def create(session: Session, cloud: Cloud, ctx: Context, project_id: str, values: dict[str, Any]) -> FloatingIp:
    objects.take_quota(session, project_id, {"floatingip": 1})
    network: Network = objects.get(session, "network", values["floating_network_id"], ctx)
    if not network.external:
        raise _bad(f"Network {network.id} is not a valid external network")
    subnets = [s for s in objects.subnets_of(session, network.id) if s.ip_version == 4]
    if not subnets:
        raise _bad(f"Network {network.id} does not contain any IPv4 subnet")
    if values["fixed_ip_address"] is not None and values["port_id"] is None:
        raise _bad("fixed_ip_address cannot be specified without a port_id")
    identifier = cloud.ids.uuid()
    port = _address_port(session, cloud, network, subnets, values, identifier)
    given = addresses.of_port(session, port.id)
    columns = objects.stamp(cloud, project_id, revision_number=0)
    columns["id"] = identifier
    floating = FloatingIp(
        **columns, floating_network_id=network.id, floating_ip_address=given[0][1], floating_port_id=port.id,
        description=values["description"], status="DOWN", dns_name=values["dns_name"],
    )  # fmt: skip
    session.add(floating)
    session.flush()
    if values["port_id"] is not None:
        _associate(session, ctx, floating, values["port_id"], values["fixed_ip_address"])
        session.flush()
    dirty.note(session, cloud, "floating_ip", [floating.id])
    return floating


def _address_port(
    session: Session, cloud: Cloud, network: Network, subnets: list[Subnet], values: dict[str, Any], identifier: str
) -> Port:
    """The port that holds the floating address; it belongs to no project."""
    wish: dict[str, str] = {}
    if values["floating_ip_address"] is not None:
        wish["ip_address"] = values["floating_ip_address"]
    if values["subnet_id"] is not None:
        wish["subnet_id"] = values["subnet_id"]
    mac = ports.new_mac(session, network.id)
    given: list[addresses.Given] = []
    if wish:
        given = addresses.assign(session, network.id, [wish], mac, ports.FLOATING_IP)
    else:
        for subnet in subnets:
            try:
                given = addresses.assign(session, network.id, [{"subnet_id": subnet.id}], mac, ports.FLOATING_IP)
                break
            except Conflict:
                continue
    if not given:
        raise errors.exhausted(network.id)
    return ports.insert(
        session, cloud, network, project_id="", mac=mac, given=given, device_id=identifier,
        device_owner=ports.FLOATING_IP, port_security_enabled=False, status="N/A",
    )  # fmt: skip


def update(session: Session, cloud: Cloud, ctx: Context, floating: FloatingIp, values: dict[str, Any]) -> None:
    """Associate, disassociate (`port_id: null`, or nothing at all), describe."""
    values = values or {"port_id": None}
    if values.get("fixed_ip_address") is not None and not values.get("port_id"):
        raise _bad("fixed_ip_address cannot be specified without a port_id")
    if "port_id" in values:
        floating.port_id = floating.fixed_ip_address = floating.router_id = None
        floating.status = "DOWN"
        session.flush()
        if values["port_id"] is not None:
            _associate(session, ctx, floating, values["port_id"], values.get("fixed_ip_address"))
    if values.get("description", UNSET) is not UNSET:
        floating.description = values["description"]
    objects.touch_if_changed(session, cloud, floating, "port_id" in values)
    session.flush()
    dirty.note(session, cloud, "floating_ip", [floating.id])


def delete(session: Session, cloud: Cloud, floating: FloatingIp) -> None:
    port_id = floating.floating_port_id
    objects.forget_tags(session, [floating.id])
    session.delete(floating)
    session.flush()
    dirty.note(session, cloud, "floating_ip", [floating.id])
    ports.remove(session, cloud, [port_id])


def _associate(session: Session, ctx: Context, floating: FloatingIp, port_id: str, fixed: str | None) -> None:
    port: Port = objects.get(session, "port", port_id, ctx)
    if port.project_id != floating.project_id and not ctx.is_admin:
        raise _bad(
            f"Cannot process floating IP association with Port {port.id}, since that port is owned by a different "
            "project"
        )
    subnet_id, fixed = _fixed_address(session, port, fixed)
    other = session.scalars(
        sa.select(FloatingIp).where(
            FloatingIp.port_id == port.id, FloatingIp.fixed_ip_address == fixed,
            FloatingIp.floating_network_id == floating.floating_network_id, FloatingIp.id != floating.id,
        )
    ).first()  # fmt: skip
    if other is not None:
        raise errors.conflict(
            "FloatingIPPortAlreadyAssociated",
            f"Cannot associate floating IP {floating.floating_ip_address} ({floating.id}) with port {port.id} using "
            f"fixed IP {fixed}, as that fixed IP already has a floating IP on external network "
            f"{floating.floating_network_id}.",
        )
    floating.router_id = _router(session, floating, port, subnet_id)
    floating.port_id, floating.fixed_ip_address, floating.status = port.id, fixed, "ACTIVE"


def _fixed_address(session: Session, port: Port, fixed: str | None) -> tuple[str, str]:
    """Which of the port's IPv4 addresses is meant, with its subnet."""
    held = addresses.of_port(session, port.id)
    if fixed is not None:
        if ipaddress.ip_address(fixed).version != 4:
            raise _bad(f"Cannot process floating IP association with {fixed}, since that is not an IPv4 address")
        for subnet_id, address in held:
            if address == fixed:
                return subnet_id, address
        raise _bad(f"Port {port.id} does not have fixed ip {fixed}")
    candidates = [given for given in held if ":" not in given[1]]
    if not candidates:
        raise _bad(f"Cannot add floating IP to port {port.id} that has no fixed IPv4 addresses")
    if len(candidates) > 1:
        raise _bad(
            f"Port {port.id} has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when assigning "
            "a floating IP"
        )
    return candidates[0]


def _router(session: Session, floating: FloatingIp, port: Port, subnet_id: str) -> str:
    """The router between the port's subnet and the external network; the one that is its gateway comes first."""
    gateway = sa.orm.aliased(Port)
    rows = session.execute(
        sa.select(Router.id, PortAddress.ip_address, Subnet.gateway_ip)
        .join(Port, sa.and_(Port.device_id == Router.id, Port.device_owner == ports.ROUTER_INTERFACE))
        .join(PortAddress, PortAddress.port_id == Port.id)
        .join(Subnet, Subnet.id == PortAddress.subnet_id)
        .join(gateway, gateway.id == Router.gateway_port_id)
        .where(PortAddress.subnet_id == subnet_id, gateway.network_id == floating.floating_network_id)
        .order_by(Router.id)
    ).all()
    if not rows:
        raise NotFound(
            f"External network {floating.floating_network_id} is not reachable from subnet {subnet_id}.  Therefore, "
            f"cannot associate Port {port.id} with a Floating IP.",
            kind="ExternalGatewayForFloatingIPNotFound",
        )
    for row in rows:
        if row.ip_address == row.gateway_ip:
            return str(row.id)
    return str(rows[0].id)
