"""Networks: create, change, delete."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.network import dirty, errors, objects, zones
from onestack.network.attributes import (
    UNSET,
    Attr,
    boolean,
    dns_domain,
    integer,
    name_text,
    not_negative,
    standard,
    text,
)
from onestack.network.models import FloatingIp, Network, Port, Router, Subnet

GENEVE_OVERHEAD = 58  # bytes of outer headers: what a tenant network's MTU is smaller by
_MAX_VNI = 16_711_680  # the highest that OVN gives

ATTRIBUTES = standard(
    name=Attr(name_text, default=""),
    admin_state_up=Attr(boolean, default=True),
    status=Attr(post=False, put=False),
    subnets=Attr(post=False, put=False),
    shared=Attr(boolean, default=False, ruled=True),
    **{
        "router:external": Attr(boolean, default=False, ruled=True),
        "mtu": Attr(not_negative, default=0, ruled=True),
        "port_security_enabled": Attr(boolean, default=True, ruled=True),
        "provider:network_type": Attr(text(32), ruled=True),
        "provider:physical_network": Attr(text(64), ruled=True),
        "provider:segmentation_id": Attr(integer, ruled=True),
    },
    is_default=Attr(boolean, default=False, ruled=True),
    dns_domain=Attr(dns_domain, default=""),
    ipv4_address_scope=Attr(post=False, put=False),
    ipv6_address_scope=Attr(post=False, put=False),
    l2_adjacency=Attr(post=False, put=False),
    availability_zones=Attr(post=False, put=False),
    availability_zone_hints=Attr(zones.hints, put=False, default=list),
)


def create(session: Session, cloud: Cloud, project_id: str, values: dict[str, Any]) -> Network:
    """A new network. Raises OverQuota, FlatNetworkInUse, VlanIdInUse, TunnelIdInUse, InvalidInput."""
    objects.take_quota(session, project_id, {"network": 1})
    kind, physical, segment = _segment(session, values)
    mtu = _mtu(cloud, kind, values["mtu"])
    if values["is_default"] and values["router:external"]:
        _only_default(session, None)
    network = Network(
        **objects.stamp(cloud, project_id), name=values["name"], description=values["description"],
        admin_state_up=values["admin_state_up"], shared=values["shared"], external=values["router:external"],
        is_default=values["is_default"], mtu=mtu, port_security_enabled=values["port_security_enabled"],
        dns_domain=values["dns_domain"], network_type=kind, physical_network=physical, segmentation_id=segment,
        availability_zone_hints=zones.known(values["availability_zone_hints"]),
    )  # fmt: skip
    session.add(network)
    session.flush()
    dirty.note(session, cloud, "network", [network.id])
    return network


def _segment(session: Session, values: dict[str, Any]) -> tuple[str, str | None, int | None]:
    kind, physical, segment = (
        None if values[name] is UNSET else values[name]
        for name in ("provider:network_type", "provider:physical_network", "provider:segmentation_id")
    )
    if kind is None:
        if physical is not None or segment is not None:
            raise errors.invalid_input("network_type required")
        return "geneve", None, _free_vni(session)
    if kind == "geneve":
        if physical:
            raise errors.invalid_input("provider:physical_network specified for geneve network")
        if segment is None:
            return kind, None, _free_vni(session)
        if segment > _MAX_VNI:
            raise errors.invalid_input(f"Segmentation ID should be lower or equal to {_MAX_VNI}")
        if segment < 0 or _taken(session, kind, None, segment):
            raise errors.conflict("TunnelIdInUse", f"Unable to create the network. The tunnel ID {segment} is in use.")
        return kind, None, segment
    if kind == "flat":
        if not physical:
            raise errors.invalid_input("physical_network required for flat provider network")
        if segment:
            raise errors.invalid_input("segmentation_id prohibited for flat provider network")
        if _taken(session, kind, physical, None):
            raise errors.conflict(
                "FlatNetworkInUse",
                f"Unable to create the flat network. Physical network {physical} is in use.",
            )
        return kind, physical, None
    if kind == "vlan":
        return kind, physical, _vlan(session, physical, segment)
    raise errors.invalid_input(f"network_type value '{kind}' not supported")


def _vlan(session: Session, physical: str | None, segment: int | None) -> int:
    if not physical:
        what = "segmentation_id requires physical_network" if segment is not None else "physical_network required"
        raise errors.invalid_input(f"{what} for VLAN provider network")
    if segment is None or not 1 <= segment <= 4094:
        raise errors.invalid_input("segmentation_id out of range (1 through 4094)")
    if _taken(session, "vlan", physical, segment):
        raise errors.conflict(
            "VlanIdInUse",
            f"Unable to create the network. The VLAN {segment} on physical network {physical} is in use.",
        )
    return segment


def _taken(session: Session, kind: str, physical: str | None, segment: int | None) -> bool:
    query = sa.select(Network.id).where(
        Network.network_type == kind,
        Network.physical_network.is_not_distinct_from(physical),
        Network.segmentation_id.is_not_distinct_from(segment),
    )
    return session.execute(query).first() is not None


def _free_vni(session: Session) -> int:
    while True:
        candidate = random.randint(1, _MAX_VNI)
        if not _taken(session, "geneve", None, candidate):
            return candidate


def _largest_mtu(cloud: Cloud, kind: str) -> int:
    return cloud.settings.network.mtu - (GENEVE_OVERHEAD if kind == "geneve" else 0)


def _mtu(cloud: Cloud, kind: str, wanted: int) -> int:
    """The MTU of a network; 0 stands for the largest there is."""
    largest = _largest_mtu(cloud, kind)
    if wanted > largest:
        raise errors.invalid_input(f"Requested MTU is too big, maximum is {largest}")
    return wanted or largest


def check_mtu(network_id: str, mtu: int, ip_versions: Iterable[int]) -> None:
    """409 where the subnets of a network need larger packets (RFC 791, RFC 8200)."""
    found = set(ip_versions)
    for version, least in ((4, 68), (6, 1280)):
        if found and mtu < least and (version == 4 or 6 in found):
            raise errors.conflict(
                "NetworkMTUSubnetConflict", f"MTU of {network_id} is not valid, subnet requires a minimum of {least}"
            )


def _only_default(session: Session, network_id: str | None) -> None:
    other = session.scalars(sa.select(Network.id).where(Network.is_default, Network.id != (network_id or ""))).first()
    if other is not None:
        raise errors.conflict("DefaultExternalNetworkExists", f"A default external network already exists: {other}.")


def update(session: Session, cloud: Cloud, network: Network, values: dict[str, Any]) -> None:
    """Change a network. Raises InvalidSharedSetting, ExternalNetworkInUse, InvalidInput."""
    _refuse_other_segment(network, values)
    if "mtu" in values:
        check_mtu(network.id, values["mtu"], [subnet.ip_version for subnet in objects.subnets_of(session, network.id)])
        values["mtu"] = _mtu(cloud, network.network_type, values["mtu"])
    if values.get("shared") is False and network.shared:
        _refuse_unsharing(session, network)
    if values.get("router:external") is False and network.external:
        _refuse_internal(session, network)
    if values.get("is_default") and values.get("router:external", network.external):
        _only_default(session, network.id)
    before = (network.mtu, network.dns_domain)
    for name, value in values.items():
        setattr(network, "external" if name == "router:external" else name, value)
    objects.touch_if_changed(session, cloud, network)
    session.flush()
    changed(session, cloud, network.id, mtu=before[0] != network.mtu, dns=before[1] != network.dns_domain)


def _refuse_other_segment(network: Network, values: dict[str, Any]) -> None:
    """What a network is on can't be changed; what it is on already may be said again."""
    held = {
        "provider:network_type": network.network_type, "provider:physical_network": network.physical_network,
        "provider:segmentation_id": network.segmentation_id,
    }  # fmt: skip
    other = {name for name in held if name in values and values.pop(name) != held[name]}
    if other == {"provider:segmentation_id"}:
        raise errors.invalid_input("Only VLAN type networks can be updated.")
    if other:
        raise errors.invalid_input(
            "Plugin does not support updating the following provider network attributes: provider:network_type, "
            "provider:physical_network"
        )


def changed(session: Session, cloud: Cloud, network_id: str, *, mtu: bool = False, dns: bool = False) -> None:
    """Tell the engine about a network and what is described with it."""
    dirty.note(session, cloud, "network", [network_id])
    dirty.note(session, cloud, "subnet", session.scalars(sa.select(Subnet.id).where(Subnet.network_id == network_id)))
    if mtu or dns:
        ports = session.execute(
            sa.select(Port.id, Port.device_id, Port.device_owner, Port.host).where(Port.network_id == network_id)
        ).all()
        dirty.note(session, cloud, "port", [row.id for row in ports])
        dirty.note(
            session, cloud, "router", [row.device_id for row in ports if row.device_owner.startswith("network:router")]
        )
        dirty.note_hosts(session, cloud, {row.host for row in ports})


def _refuse_unsharing(session: Session, network: Network) -> None:
    foreign = session.execute(
        sa.select(Port.id).where(
            Port.network_id == network.id, Port.project_id.not_in((network.project_id, "")),
        ).limit(1)
    ).first()  # fmt: skip
    if foreign is not None:
        raise errors.conflict(
            "InvalidSharedSetting",
            f"Unable to reconfigure sharing settings for network {network.name}. Multiple projects are using it.",
        )


def _refuse_internal(session: Session, network: Network) -> None:
    gateway = sa.select(Router.id).join(Port, Port.id == Router.gateway_port_id).where(Port.network_id == network.id)
    floating = sa.select(FloatingIp.id).where(FloatingIp.floating_network_id == network.id)
    if session.execute(gateway.limit(1)).first() or session.execute(floating.limit(1)).first():
        raise errors.conflict(
            "ExternalNetworkInUse",
            f"External network {network.id} cannot be updated to be made non-external, since it has existing "
            "gateway ports.",
        )


def delete(session: Session, cloud: Cloud, network: Network) -> None:
    """Delete a network with its subnets, its own ports and the floating IPs that lead nowhere; 409 NetworkInUse while
    others have ports on it."""
    from onestack.network import floating_ips, ports

    idle = sa.select(FloatingIp).where(FloatingIp.floating_network_id == network.id, FloatingIp.port_id.is_(None))
    for floating in session.scalars(idle).all():
        floating_ips.delete(session, cloud, floating)
    rows = session.execute(sa.select(Port.id, Port.device_owner).where(Port.network_id == network.id)).all()
    others = [row.id for row in rows if row.device_owner not in ports.OWN_OWNERS]
    if others:
        raise errors.network_in_use(network.id, others)
    ports.remove(session, cloud, [row.id for row in rows])
    subnets = list(session.scalars(sa.select(Subnet.id).where(Subnet.network_id == network.id)))
    session.execute(sa.delete(Subnet).where(Subnet.id.in_(subnets)))
    objects.forget_tags(session, [network.id, *subnets])
    session.execute(sa.delete(Network).where(Network.id == network.id))
    dirty.note(session, cloud, "subnet", subnets)
    dirty.note(session, cloud, "network", [network.id])


def shared_with(ctx: Context, network: Any) -> bool:
    """Whether the caller may put ports on it: their own, shared, or an admin's right."""
    return objects.sees_all(ctx) or network.shared or network.project_id == ctx.project_id
