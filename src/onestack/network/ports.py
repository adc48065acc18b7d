"""Ports: create, change, delete, bind."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.network import addresses, attributes, dirty, errors, objects, security_groups
from onestack.network.attributes import REQUIRED, UNSET, Attr, boolean, one_of, standard, text
from onestack.network.models import FloatingIp, Network, Port, PortAddress, PortSecurityGroup

ROUTER_INTERFACE = "network:router_interface"
ROUTER_GATEWAY = "network:router_gateway"
FLOATING_IP = "network:floatingip"
# Ports that go away with their network.
OWN_OWNERS = ("network:distributed", "network:dhcp")
_L3_OWNERS = (ROUTER_INTERFACE, ROUTER_GATEWAY, FLOATING_IP)
VNIC_TYPES = (
    "normal", "direct", "macvtap", "baremetal", "direct-physical", "virtio-forwarder", "smart-nic", "vdpa",
    "accelerator-direct", "accelerator-direct-physical", "remote-managed",
)  # fmt: skip


ATTRIBUTES = standard(
    name=Attr(attributes.name_text, default=""),
    network_id=Attr(attributes.uuid, put=False, default=REQUIRED),
    admin_state_up=Attr(boolean, default=True),
    mac_address=Attr(attributes.unless_null(attributes.mac), ruled=True),
    fixed_ips=Attr(attributes.fixed_ips, ruled=True),
    device_id=Attr(text(255), default="", ruled=True),
    device_owner=Attr(text(255), default="", ruled=True),
    status=Attr(post=False, put=False),
    allowed_address_pairs=Attr(attributes.address_pairs, ruled=True),
    **{
        "binding:vif_type": Attr(post=False, put=False),
        "binding:vif_details": Attr(post=False, put=False),
        "binding:vnic_type": Attr(one_of(*VNIC_TYPES), default="normal", ruled=True),
        "binding:host_id": Attr(lambda value: value or "", ruled=True),
        "binding:profile": Attr(attributes.mapping, ruled=True),
    },
    dns_name=Attr(attributes.dns_name, default=""),
    dns_assignment=Attr(post=False, put=False),
    extra_dhcp_opts=Attr(lambda value: _no_options(value), default=None),
    port_security_enabled=Attr(boolean, ruled=True),
    tags=Attr(lambda value: attributes.different(value, text(255)), put=False, default=list),
    security_groups=Attr(lambda value: attributes.uuids([] if value is None else value)),
)


def _no_options(value: Any) -> Any:
    if value is not None and not isinstance(value, list):
        raise errors.invalid_input(f"'{value}' is not a list")
    if value:
        raise attributes.Reason("DHCP options of a single port are not supported by this cloud's networks")
    return value


def _host(values: dict[str, Any]) -> str:
    """Who may say the host is decided before it is looked at."""
    host = values["binding:host_id"]
    if host is UNSET:
        return ""
    try:
        return str(text(255)(host))
    except attributes.Reason as reason:
        raise errors.bad_request(f"Invalid input for binding:host_id. Reason: {reason}.") from None


def new_mac(session: Session, network_id: str) -> str:
    """A MAC address that the network doesn't have yet."""
    while True:
        mac = "fa:16:3e:" + ":".join(f"{random.randrange(256):02x}" for _ in range(3))
        if not _mac_in_use(session, network_id, mac):
            return mac


def _mac_in_use(session: Session, network_id: str, mac: str) -> bool:
    query = sa.select(Port.id).where(Port.network_id == network_id, Port.mac_address == mac)
    return session.execute(query).first() is not None


def insert(
    session: Session,
    cloud: Cloud,
    network: Network,
    *,
    project_id: str,
    mac: str,
    given: Sequence[addresses.Given],
    groups: Sequence[str] = (),
    **columns: Any,
) -> Port:
    """Write a port with its addresses and groups; the caller has checked everything."""
    port = Port(**objects.stamp(cloud, project_id), network_id=network.id, mac_address=mac, **columns)
    session.add(port)
    session.flush()
    addresses.store(session, port.id, network.id, given)
    if groups:
        session.execute(
            sa.insert(PortSecurityGroup), [{"port_id": port.id, "security_group_id": group} for group in groups]
        )
    changed(session, cloud, port)
    return port


def changed(session: Session, cloud: Cloud, port: Port) -> None:
    """Tell the engine about a port and what is described with it, and the agent of its host."""
    dirty.note(session, cloud, "port", [port.id])
    dirty.note_hosts(session, cloud, [port.host])
    if addresses.is_router_owner(port.device_owner):
        dirty.note(session, cloud, "router", [port.device_id])
    if port.revision_number > 1:
        floating = session.scalars(sa.select(FloatingIp.id).where(FloatingIp.port_id == port.id))
        dirty.note(session, cloud, "floating_ip", floating)


def create(
    session: Session,
    cloud: Cloud,
    ctx: Context,
    network: Network,
    project_id: str,
    values: dict[str, Any],
    **columns: Any,
) -> Port:
    """A new port as the API asks for it. `columns`: more of the row (of_compute, nic_index …)."""
    objects.take_quota(session, project_id, {"port": 1})
    device_owner = values["device_owner"]
    mac = values["mac_address"]
    if mac is UNSET:
        mac = new_mac(session, network.id)
    elif _mac_in_use(session, network.id, mac):
        raise _mac_conflict(network.id, mac)
    wishes = None if values["fixed_ips"] is UNSET else values["fixed_ips"]
    given = addresses.assign(session, network.id, wishes, mac, device_owner)
    secured = values["port_security_enabled"]
    if secured is UNSET:
        secured = network.port_security_enabled and not device_owner.startswith("network:")
    groups = _groups(session, cloud, ctx, project_id, values["security_groups"], secured, device_owner)
    pairs = values["allowed_address_pairs"] or []
    if pairs and not secured:
        raise _pairs_conflict()
    port = insert(
        session, cloud, network, project_id=project_id, mac=mac, given=given, groups=groups, name=values["name"],
        description=values["description"], admin_state_up=values["admin_state_up"], device_id=values["device_id"],
        device_owner=device_owner, port_security_enabled=secured, dns_name=values["dns_name"],
        allowed_address_pairs=pairs, host=_host(values), vnic_type=values["binding:vnic_type"],
        profile=values["binding:profile"] or {}, **columns,
    )  # fmt: skip
    objects.add_tags(session, port.id, values["tags"])
    return port


def _groups(
    session: Session,
    cloud: Cloud,
    ctx: Context,
    project_id: str,
    asked: Any,
    secured: bool,
    device_owner: str,
) -> list[str]:
    if asked is UNSET:
        if not secured or device_owner.startswith("network:") or not project_id:
            return []
        return [security_groups.ensure_default(session, cloud, project_id)]
    if asked and not secured:
        raise errors.bad(
            "PortSecurityAndIPRequiredForSecurityGroups",
            "Port security must be enabled and port must have an IP address in order to use security groups.",
        )
    security_groups.require(session, ctx, asked)
    return list(asked)


def _mac_conflict(network_id: str, mac: str) -> Exception:
    return errors.conflict(
        "MacAddressInUse",
        f"Unable to complete operation for network {network_id}. The mac address {mac} is in use.",
    )


def _pairs_conflict() -> Exception:
    return errors.conflict(
        "AddressPairAndPortSecurityRequired",
        "Port Security must be enabled in order to have allowed address pairs on a port.",
    )


def groups_of(session: Session, port_id: str) -> list[str]:
    return list(
        session.scalars(
            sa.select(PortSecurityGroup.security_group_id)
            .where(PortSecurityGroup.port_id == port_id)
            .order_by(PortSecurityGroup.security_group_id)
        )
    )


def set_groups(session: Session, port_id: str, groups: Iterable[str]) -> None:
    session.execute(sa.delete(PortSecurityGroup).where(PortSecurityGroup.port_id == port_id))
    rows = [{"port_id": port_id, "security_group_id": group} for group in groups]
    if rows:
        session.execute(sa.insert(PortSecurityGroup), rows)


_COLUMNS = {
    "binding:host_id": "host", "binding:profile": "profile", "binding:vnic_type": "vnic_type", "name": "name",
    "description": "description", "admin_state_up": "admin_state_up", "device_id": "device_id",
    "device_owner": "device_owner", "mac_address": "mac_address", "dns_name": "dns_name",
    "allowed_address_pairs": "allowed_address_pairs", "port_security_enabled": "port_security_enabled",
}  # fmt: skip


def update(session: Session, cloud: Cloud, ctx: Context, port: Port, values: dict[str, Any]) -> None:
    """Change a port. Raises MacAddressInUse, PortBound, PortSecurityPortHasSecurityGroup and the errors of create."""
    _check_mac(session, port, values)
    if "binding:host_id" in values:
        values["binding:host_id"] = _host(values)
    secured = values.get("port_security_enabled", port.port_security_enabled)
    groups = values.get("security_groups")
    changed_too = False
    if groups is not None:
        if groups and not secured:
            raise errors.bad(
                "PortSecurityAndIPRequiredForSecurityGroups",
                "Port security must be enabled and port must have an IP address in order to use security groups.",
            )
        held = set(groups_of(session, port.id))
        security_groups.require(session, ctx, [group for group in groups if group not in held])
        changed_too = set(groups) != held
        set_groups(session, port.id, groups)
    elif not secured and port.port_security_enabled and groups_of(session, port.id):
        raise errors.conflict(
            "PortSecurityPortHasSecurityGroup",
            "Port has security group associated. Cannot disable port security or IP address until security group is "
            "removed.",
        )
    if values.get("allowed_address_pairs", port.allowed_address_pairs) and not secured:
        raise _pairs_conflict()
    if "fixed_ips" in values:
        changed_too |= _readdress(session, cloud, port, values["fixed_ips"])
    dirty.note_hosts(session, cloud, [port.host])
    for name, column in _COLUMNS.items():
        if name in values:
            setattr(port, column, values[name])
    if not port.host and not port.device_owner.startswith("network:"):
        port.status = "DOWN"
    objects.touch_if_changed(session, cloud, port, changed_too)
    session.flush()
    changed(session, cloud, port)


def _check_mac(session: Session, port: Port, values: dict[str, Any]) -> None:
    mac = values.get("mac_address")
    if mac is None or mac == port.mac_address:
        return
    if port.host:
        raise errors.conflict(
            "PortBound",
            f"Unable to complete operation on port {port.id}, port is already bound, port type: ovs, old_mac "
            f"{port.mac_address}, new_mac {mac}.",
        )
    if _mac_in_use(session, port.network_id, mac):
        raise _mac_conflict(port.network_id, mac)


def _readdress(session: Session, cloud: Cloud, port: Port, wishes: list[dict[str, str]]) -> bool:
    """Give a port the addresses wished for; whether that changed anything."""
    if not wishes and addresses.is_router_owner(port.device_owner):
        raise errors.conflict(
            "ServicePortInUse",
            f"Port {port.id} cannot be deleted directly via the port API: Router port must have at least one IP..",
        )
    held = addresses.of_port(session, port.id)
    given = addresses.assign(session, port.network_id, wishes, port.mac_address, port.device_owner, held)
    lost = {address for _, address in held} - {address for _, address in given}
    floating = session.scalars(
        sa.select(FloatingIp).where(FloatingIp.port_id == port.id, FloatingIp.fixed_ip_address.in_(lost))
    ).all()
    _loosen(session, cloud, floating)
    addresses.replace(session, port.id, port.network_id, given)
    return given != held


def _loosen(session: Session, cloud: Cloud, floating: Sequence[FloatingIp]) -> None:
    """Take floating IPs from their ports."""
    for one in floating:
        one.port_id = one.fixed_ip_address = one.router_id = None
        one.status = "DOWN"
        objects.touch(cloud, one)
    session.flush()
    dirty.note(session, cloud, "floating_ip", [one.id for one in floating])


def delete(session: Session, cloud: Cloud, port: Port) -> None:
    """Delete a port as a client asks; those of routers and floating IPs go with what they belong to."""
    if port.device_owner in _L3_OWNERS and _owner_is_there(session, port):
        raise errors.conflict(
            "ServicePortInUse",
            f"Port {port.id} cannot be deleted directly via the port API: has device owner {port.device_owner}.",
        )
    remove(session, cloud, [port.id])


def _owner_is_there(session: Session, port: Port) -> bool:
    from onestack.network.models import Router

    model: Any = FloatingIp if port.device_owner == FLOATING_IP else Router
    return session.execute(sa.select(model.id).where(model.id == port.device_id)).first() is not None


def remove(session: Session, cloud: Cloud, ids: list[str]) -> None:
    """Delete ports, whosever they are; floating IPs that point at them are set free."""
    if not ids:
        return
    rows = session.execute(
        sa.select(Port.id, Port.host, Port.device_id, Port.device_owner).where(Port.id.in_(ids))
    ).all()
    _loosen(session, cloud, session.scalars(sa.select(FloatingIp).where(FloatingIp.port_id.in_(ids))).all())
    session.execute(sa.delete(PortAddress).where(PortAddress.port_id.in_(ids)))
    session.execute(sa.delete(PortSecurityGroup).where(PortSecurityGroup.port_id.in_(ids)))
    objects.forget_tags(session, ids)
    session.execute(sa.delete(Port).where(Port.id.in_(ids)))
    dirty.note(session, cloud, "port", [row.id for row in rows])
    dirty.note(session, cloud, "router", [row.device_id for row in rows if addresses.is_router_owner(row.device_owner)])
    dirty.note_hosts(session, cloud, {row.host for row in rows})


def report(session: Session, cloud: Cloud, port_id: str, up: bool, host: str | None) -> None:
    """What the engine says of a guest's port: it is up on a host, or down. A host that it isn't bound to is ignored."""
    port = session.get(Port, port_id)
    if port is None or port.device_owner.startswith("network:"):
        return
    if up and host and port.host and host != port.host:
        return
    status = "ACTIVE" if up else "DOWN"
    if port.status != status:
        port.status = status
        objects.touch(cloud, port)
