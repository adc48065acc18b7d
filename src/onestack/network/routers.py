"""Routers: gateways, interfaces, extra routes."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core import quota
from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.errors import NotFound
from onestack.network import addresses, attributes, dirty, errors, ipam, objects, ports, zones
from onestack.network.attributes import Attr, Reason, boolean, standard
from onestack.network.models import FloatingIp, Network, Port, PortAddress, Router, Subnet


def _gateway_info(value: Any) -> dict[str, Any] | None:
    """`{"network_id", "enable_snat"?, "external_fixed_ips"?}`; null or empty: no gateway."""
    if not value:
        return None
    if not isinstance(value, dict):
        raise Reason(f"'{value}' is not a dictionary")
    if "network_id" not in value:
        raise Reason(
            f"Validation of dictionary's keys failed. Expected keys: {{'network_id'}} Provided keys: {set(value)}"
        )
    extra = set(value) - {"network_id", "enable_snat", "external_fixed_ips", "qos_policy_id"}
    if extra:
        raise Reason(f"Unexpected keys supplied: {', '.join(sorted(extra))}")
    if value.get("qos_policy_id") is not None:
        raise Reason(f"QoS policy {value['qos_policy_id']} could not be found")
    found: dict[str, Any] = {"network_id": attributes.uuid(value["network_id"])}
    if "enable_snat" in value:
        found["enable_snat"] = boolean(value["enable_snat"])
    if value.get("external_fixed_ips") is not None:
        found["external_fixed_ips"] = attributes.fixed_ips(value["external_fixed_ips"])
    return found


ATTRIBUTES = standard(
    name=Attr(attributes.name_text, default=""),
    admin_state_up=Attr(boolean, default=True),
    status=Attr(post=False, put=False),
    external_gateway_info=Attr(
        _gateway_info, default=None, ruled=True, parts=("network_id", "external_fixed_ips", "enable_snat")
    ),
    routes=Attr(attributes.host_routes, post=False),
    availability_zones=Attr(post=False, put=False),
    availability_zone_hints=Attr(zones.hints, put=False, default=list),
    enable_snat=Attr(post=False, put=False),
)


def _bad(message: str) -> Exception:
    return errors.bad_resource("router", message)


def create(session: Session, cloud: Cloud, ctx: Context, project_id: str, values: dict[str, Any]) -> Router:
    objects.take_quota(session, project_id, {"router": 1})
    router = Router(
        **objects.stamp(cloud, project_id), name=values["name"], description=values["description"],
        admin_state_up=values["admin_state_up"], enable_snat=True, routes=[],
        availability_zone_hints=zones.known(values["availability_zone_hints"]),
    )  # fmt: skip
    session.add(router)
    session.flush()
    dirty.note(session, cloud, "router", [router.id])
    if values["external_gateway_info"] is not None:
        set_gateway(session, cloud, ctx, router, values["external_gateway_info"])
    return router


def update(session: Session, cloud: Cloud, ctx: Context, router: Router, values: dict[str, Any]) -> None:
    if "external_gateway_info" in values:
        set_gateway(session, cloud, ctx, router, values["external_gateway_info"])
    if "routes" in values:
        set_routes(session, router, values["routes"])
    for name in ("name", "description", "admin_state_up"):
        if name in values:
            setattr(router, name, values[name])
    objects.touch_if_changed(session, cloud, router, "external_gateway_info" in values)
    session.flush()
    dirty.note(session, cloud, "router", [router.id])
    dirty.note(session, cloud, "port", session.scalars(sa.select(Port.id).where(Port.device_id == router.id)))


def delete(session: Session, cloud: Cloud, router: Router) -> None:
    """Delete a router and its gateway; 409 RouterInUse while it has interfaces."""
    attached = [port.id for port in interfaces(session, router.id)]
    if attached:
        raise errors.conflict("RouterInUse", f"Router {router.id} has ports still attached: {', '.join(attached)}")
    _clear_gateway(session, cloud, router)
    objects.forget_tags(session, [router.id])
    session.delete(router)
    session.flush()
    dirty.note(session, cloud, "router", [router.id])


def interfaces(session: Session, router_id: str) -> list[Port]:
    return list(
        session.scalars(sa.select(Port).where(Port.device_id == router_id, Port.device_owner == ports.ROUTER_INTERFACE))
    )


def _interface_subnets(session: Session, router_id: str) -> Sequence[Subnet]:
    """The subnets of its interfaces and of its gateway."""
    return session.scalars(
        sa.select(Subnet)
        .join(PortAddress, PortAddress.subnet_id == Subnet.id)
        .join(Port, Port.id == PortAddress.port_id)
        .where(Port.device_id == router_id, Port.device_owner.in_((ports.ROUTER_INTERFACE, ports.ROUTER_GATEWAY)))
    ).all()


def set_gateway(
    session: Session, cloud: Cloud, ctx: Context | None, router: Router, info: dict[str, Any] | None
) -> None:
    """Give the router this gateway, or none. Raises RouterExternalGatewayInUseByFloatingIp, NetworkNotFound."""
    current = session.get(Port, router.gateway_port_id) if router.gateway_port_id else None
    if info is None:
        _refuse_losing_gateway(session, router, current)
        _clear_gateway(session, cloud, router)
        router.enable_snat = True
        return
    network: Network = objects.get(session, "network", info["network_id"], ctx)
    if not network.external:
        raise _bad(f"Network {network.id} is not an external network")
    router.enable_snat = info.get("enable_snat", True)
    wishes = info.get("external_fixed_ips")
    if current is not None and current.network_id == network.id:
        if wishes is not None:
            ports.update(session, cloud, ctx or _NOBODY, current, {"fixed_ips": _complete(wishes)})
        dirty.note(session, cloud, "router", [router.id])
        return
    _refuse_losing_gateway(session, router, current)
    _clear_gateway(session, cloud, router)
    mac = ports.new_mac(session, network.id)
    given = addresses.assign(session, network.id, _complete(wishes), mac, ports.ROUTER_GATEWAY)
    if not given:
        raise _bad(f"No IPs available for external network {network.id}")
    external = [s for s in objects.subnets_of(session, network.id) if s.id in {subnet for subnet, _ in given}]
    _check_overlap(session, router.id, external)
    port = ports.insert(
        session, cloud, network, project_id="", mac=mac, given=given, device_id=router.id,
        device_owner=ports.ROUTER_GATEWAY, port_security_enabled=False, status="ACTIVE",
    )  # fmt: skip
    router.gateway_port_id = port.id
    session.flush()


_NOBODY = Context(user_id="")


def _complete(wishes: list[dict[str, str]] | None) -> list[dict[str, str]] | None:
    return wishes or None


def _refuse_losing_gateway(session: Session, router: Router, current: Port | None) -> None:
    if current is None:
        return
    used = session.execute(sa.select(FloatingIp.id).where(FloatingIp.router_id == router.id).limit(1)).first()
    if used is not None:
        raise errors.conflict(
            "RouterExternalGatewayInUseByFloatingIp",
            f"Gateway cannot be updated for router {router.id}, since a gateway to external network "
            f"{current.network_id} is required by one or more floating IPs.",
        )


def _clear_gateway(session: Session, cloud: Cloud, router: Router) -> None:
    if router.gateway_port_id is None:
        return
    gone = router.gateway_port_id
    router.gateway_port_id = None
    session.flush()
    ports.remove(session, cloud, [gone])


def _check_overlap(session: Session, router_id: str, new: Sequence[Subnet]) -> None:
    for old in _interface_subnets(session, router_id):
        for subnet in new:
            if old.id == subnet.id:
                raise _bad(f"Router already has a port on subnet {subnet.id}")
            here, there = ipaddress.ip_network(subnet.cidr), ipaddress.ip_network(old.cidr)
            if here.version == there.version and here.overlaps(there):
                raise _bad(f"Cidr {subnet.cidr} of subnet {subnet.id} overlaps with cidr {old.cidr} of subnet {old.id}")


def _said(body: dict[str, Any]) -> tuple[str | None, str | None]:
    """The subnet's and the port's id of a request for an interface."""
    if "port_id" not in body and "subnet_id" not in body:
        raise _bad("Either subnet_id or port_id must be specified")
    for name in ("port_id", "subnet_id"):
        if name in body and not attributes.is_uuid(body[name]):
            raise _bad(f"'{body[name]}' is not a valid UUID")
    return body.get("subnet_id"), body.get("port_id")


def add_interface(session: Session, cloud: Cloud, ctx: Context, router: Router, body: dict[str, Any]) -> dict[str, Any]:
    """Connect a subnet (its gateway address becomes the router's) or a port; the answer as Neutron words it."""
    subnet_id, port_id = _said(body)
    if subnet_id and port_id:
        raise _bad("Cannot specify both subnet-id and port-id")
    port = (
        _add_port(session, cloud, ctx, router, port_id)
        if port_id
        else _add_subnet(session, cloud, ctx, router, str(subnet_id))
    )
    subnets = [subnet for subnet, _ in addresses.of_port(session, port.id)]
    return _answer(session, cloud, router, port, subnets if port_id else [str(subnet_id)])


def _answer(session: Session, cloud: Cloud, router: Router, port: Port, subnets: list[str]) -> dict[str, Any]:
    objects.touch(cloud, router)
    session.flush()
    dirty.note(session, cloud, "router", [router.id])
    return {
        "id": router.id, "project_id": router.project_id, "port_id": port.id, "network_id": port.network_id,
        "subnet_id": subnets[0] if subnets else None, "subnet_ids": subnets,
    }  # fmt: skip


def _add_port(session: Session, cloud: Cloud, ctx: Context, router: Router, port_id: Any) -> Port:
    port: Port = objects.get(session, "port", port_id, ctx)
    if port.device_id:
        raise errors.conflict(
            "PortInUse",
            f"Unable to complete operation on port {port.id} for network {port.network_id}. Port already has an "
            f"attached device {port.device_id}.",
        )
    held = addresses.of_port(session, port.id)
    if not held:
        raise _bad("Router port must have at least one fixed IP")
    subnets = [s for s in objects.subnets_of(session, port.network_id) if s.id in {subnet for subnet, _ in held}]
    if sum(subnet.ip_version == 4 for subnet in subnets) > 1:
        raise _bad("Cannot have multiple IPv4 subnets on router port")
    _check_overlap(session, router.id, subnets)
    port.device_id, port.device_owner, port.status = router.id, ports.ROUTER_INTERFACE, "ACTIVE"
    objects.touch(cloud, port)
    ports.set_groups(session, port.id, [])
    port.port_security_enabled = False
    session.flush()
    ports.changed(session, cloud, port)
    return port


def _add_subnet(session: Session, cloud: Cloud, ctx: Context, router: Router, subnet_id: str) -> Port:
    subnet: Subnet = objects.get(session, "subnet", subnet_id, ctx)
    network: Network = objects.get(session, "network", subnet.network_id)
    if not (objects.sees_all(ctx) or ctx.project_id in (subnet.project_id, network.project_id)):
        raise _bad(
            f"Cannot add interface to router because subnet {subnet.id} is not owned by project making the request"
        )
    if not subnet.gateway_ip:
        raise _bad("Subnet for router interface must have a gateway IP")
    _check_overlap(session, router.id, [subnet])
    wish = {"subnet_id": subnet.id, "ip_address": subnet.gateway_ip}
    if subnet.ip_version == 6:
        shared = _ipv6_interface(session, router.id, network.id)
        if shared is not None:
            held = addresses.of_port(session, shared.id)
            given = addresses.assign(session, network.id, [wish], shared.mac_address, ports.ROUTER_INTERFACE)
            addresses.replace(session, shared.id, network.id, [*held, *given])
            objects.touch(cloud, shared)
            session.flush()
            ports.changed(session, cloud, shared)
            return shared
    mac = ports.new_mac(session, network.id)
    given = addresses.assign(session, network.id, [wish], mac, ports.ROUTER_INTERFACE)
    objects.take_quota(session, router.project_id, {"port": 1})
    return ports.insert(
        session, cloud, network, project_id=router.project_id, mac=mac, given=given, device_id=router.id,
        device_owner=ports.ROUTER_INTERFACE, port_security_enabled=False, status="ACTIVE",
    )  # fmt: skip


def _ipv6_interface(session: Session, router_id: str, network_id: str) -> Port | None:
    """The router's interface on a network that carries its IPv6 subnets: there is one for all of them."""
    for port in interfaces(session, router_id):
        if port.network_id == network_id and any(":" in address for _, address in addresses.of_port(session, port.id)):
            return port
    return None


def remove_interface(
    session: Session, cloud: Cloud, ctx: Context, router: Router, body: dict[str, Any]
) -> dict[str, Any]:
    subnet_id, port_id = _said(body)
    if subnet_id and not port_id:
        objects.get(session, "subnet", subnet_id, ctx)
    port = _interface(session, router, subnet_id, port_id)
    held = addresses.of_port(session, port.id)
    leaving = [subnet for subnet, _ in held]
    if subnet_id and not port_id:
        leaving = [str(subnet_id)]
    for subnet in leaving:
        _refuse_needed(session, router, subnet)
    staying = [given for given in held if given[0] not in leaving]
    answer = _answer(session, cloud, router, port, leaving)
    if staying:
        addresses.replace(session, port.id, port.network_id, staying)
        objects.touch(cloud, port)
        session.flush()
        ports.changed(session, cloud, port)
    else:
        ports.remove(session, cloud, [port.id])
    return answer


def _interface(session: Session, router: Router, subnet_id: Any, port_id: Any) -> Port:
    found = interfaces(session, router.id)
    if port_id:
        for port in found:
            if port.id == port_id:
                if subnet_id and subnet_id not in [subnet for subnet, _ in addresses.of_port(session, port.id)]:
                    raise errors.bad(
                        "SubnetMismatchForPort",
                        f"Subnet on port {port_id} does not match the requested subnet {subnet_id}.",
                    )
                return port
        raise NotFound(
            f"Router {router.id} does not have an interface with id {port_id}", kind="RouterInterfaceNotFound"
        )
    for port in found:
        if subnet_id in [subnet for subnet, _ in addresses.of_port(session, port.id)]:
            return port
    raise NotFound(
        f"Router {router.id} has no interface on subnet {subnet_id}", kind="RouterInterfaceNotFoundForSubnet"
    )


def _refuse_needed(session: Session, router: Router, subnet_id: str) -> None:
    floating = session.execute(
        sa.select(FloatingIp.id)
        .join(
            PortAddress,
            sa.and_(PortAddress.port_id == FloatingIp.port_id, PortAddress.ip_address == FloatingIp.fixed_ip_address),
        )
        .where(FloatingIp.router_id == router.id, PortAddress.subnet_id == subnet_id)
        .limit(1)
    ).first()
    words = f"Router interface for subnet {subnet_id} on router {router.id} cannot be deleted, as it is required by one"
    if floating is not None:
        raise errors.conflict("RouterInterfaceInUseByFloatingIP", f"{words} or more floating IPs.")
    subnet = objects.get(session, "subnet", subnet_id)
    cidr = ipaddress.ip_network(subnet.cidr)
    if any(ipaddress.ip_address(route["nexthop"]) in cidr for route in router.routes):
        raise errors.conflict("RouterInterfaceInUseByRoute", f"{words} or more routes.")


def set_routes(session: Session, router: Router, routes: list[dict[str, str]]) -> None:
    """Replace the extra routes: each next hop must be a neighbour of the router, and not the router itself."""
    most = quota.limits(session, "network", router.project_id, objects.QUOTAS)["router_route"]
    if most != quota.UNLIMITED and len(routes) > most:
        raise errors.over_quota(["router_route"])
    cidrs: list[ipam.IPNetwork] = [ipaddress.ip_network(s.cidr) for s in _interface_subnets(session, router.id)]
    own = set(
        session.scalars(
            sa.select(PortAddress.ip_address)
            .join(Port, Port.id == PortAddress.port_id)
            .where(Port.device_id == router.id, Port.device_owner.like("network:router_%"))
        )
    )
    for route in routes:
        hop = ipaddress.ip_address(route["nexthop"])
        why = ""
        if not any(hop in cidr for cidr in cidrs):
            why = "the nexthop is not connected with router"
        elif route["nexthop"] in own:
            why = "the nexthop is used by router"
        elif (":" in route["destination"]) != (":" in route["nexthop"]):
            why = "the destination and the nexthop are of different IP versions"
        if why:
            raise errors.bad("InvalidRoutes", f"Invalid format for routes: {routes}, {why}")
    router.routes = routes
