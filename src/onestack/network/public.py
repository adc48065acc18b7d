"""What other services may call. Every function takes the caller's session and commits nothing."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core import quota
from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, Forbidden, NotFound
from onestack.network import (
    addresses,
    attributes,
    auto,
    describe,
    dirty,
    errors,
    ipam,
    networks,
    objects,
    ports,
    security_groups,
    subnets,
    syncer,
)  # fmt: skip
from onestack.network.drivers.base import Health
from onestack.network.models import (
    FloatingIp,
    Network,
    Port,
    PortSecurityGroup,
    SecurityGroup,
    Subnet,
)  # fmt: skip
from onestack.network.nics import HostNetwork as HostNetwork
from onestack.network.nics import Nic as Nic
from onestack.network.nics import NicAddress as NicAddress
from onestack.network.nics import addresses_of as addresses_of
from onestack.network.nics import info as info
from onestack.network.nics import networks_on_host as networks_on_host
from onestack.network.nics import port_by_address as port_by_address

EXTERNAL_NAME = "public"


class NicRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An interface that a server is to have: a port of the user's, or a new one on a network. Neither: on the only
    network that the project can use."""

    network_id: str | None = None
    port_id: str | None = None
    fixed_ip: str | None = None
    tag: str | None = None


# Servers


def allocate(
    session: Session,
    cloud: Cloud,
    ctx: Context,
    server_id: str,
    nics: Sequence[NicRequest],
    *,
    security_groups: Sequence[str] = (),
    hostname: str = "",
    availability_zone: str = "nova",
    project_id: str | None = None,
) -> list[Nic]:
    """Give a new server its interfaces, in the order asked for.

    An empty list gives none; a request without network and port means the project's only network (none where it has
    none). Raises NotFound (NetworkNotFound, PortNotFound, SecurityGroupNotFound), Conflict (PortInUse, OverQuota,
    NetworkAmbiguous, IpAddressAlreadyAllocated, IpAddressGenerationFailure …), BadRequest (NetworkRequiresSubnet,
    NetworkDuplicated, InvalidInput …), Forbidden (ExternalNetworkAttachForbidden).
    """
    project = project_id or ctx.project_id or ""
    groups = resolve_security_groups(session, cloud, ctx, security_groups, project)
    used: set[str] = set()
    for index, nic in enumerate(_complete(session, project, nics)):
        if nic.port_id is not None and nic.port_id in used:
            raise BadRequest(f"Port {nic.port_id} is asked for more than once.", kind="NetworkDuplicated")
        _plug(session, cloud, ctx, server_id, nic, groups, hostname, availability_zone, project, index)
        used.add(nic.port_id or "")
    return info(session, [server_id]).get(server_id, [])


def attach(
    session: Session,
    cloud: Cloud,
    ctx: Context,
    server_id: str,
    nic: NicRequest,
    *,
    host: str = "",
    hostname: str = "",
    availability_zone: str = "nova",
    project_id: str | None = None,
) -> Nic:
    """One more interface for a server that is there; bound to `host` at once. Raises what `allocate` raises."""
    project = project_id or ctx.project_id or ""
    groups = resolve_security_groups(session, cloud, ctx, (), project)
    wanted = _complete(session, project, [nic])
    if not wanted:
        raise BadRequest("No network could be determined for the interface.", kind="NetworkNotFound")
    highest = session.scalar(sa.select(sa.func.max(Port.nic_index)).where(*_of_server(server_id)))
    index = 0 if highest is None else highest + 1
    port = _plug(session, cloud, ctx, server_id, wanted[0], groups, hostname, availability_zone, project, index)
    if host:
        _bind(session, cloud, port, host)
    return next(one for one in info(session, [server_id])[server_id] if one.port_id == port.id)


def detach(session: Session, cloud: Cloud, server_id: str, port_id: str) -> None:
    """Take an interface from a server. Raises PortNotFound when it isn't one of its."""
    port = session.scalars(sa.select(Port).where(Port.id == port_id, *_of_server(server_id))).first()
    if port is None:
        raise errors.not_found("port", port_id)
    _give_up(session, cloud, [port])


def release(session: Session, cloud: Cloud, server_id: str) -> None:
    """Take all interfaces from a server: ports made for it go, the user's are free again. Idempotent."""
    _give_up(session, cloud, _ports_of(session, server_id))


def bind(session: Session, cloud: Cloud, server_id: str, host: str) -> None:
    """The server runs on `host`: its ports are wired there. Idempotent."""
    for port in _ports_of(session, server_id):
        _bind(session, cloud, port, host)


def unbind(session: Session, cloud: Cloud, server_id: str) -> None:
    """The server runs nowhere; its ports and addresses stay its own."""
    for port in _ports_of(session, server_id):
        _bind(session, cloud, port, "")


def auto_network(session: Session, cloud: Cloud, ctx: Context, project_id: str | None = None) -> str:
    """The network for `networks: auto`: the project's only one, else its auto-allocated one, made if need be.

    Raises Conflict (NetworkAmbiguous when there are several, AutoAllocationFailure without external network).
    """
    project = project_id or ctx.project_id or ""
    made = auto.existing(session, project)
    if made is not None:
        return made.network_id
    usable = _usable(session, project)
    if len(usable) > 1:
        raise _ambiguous()
    return usable[0] if usable else auto.ensure(session, cloud, ctx, project)


def _of_server(server_id: str) -> tuple[Any, ...]:
    return (Port.device_id == server_id, Port.device_owner.like("compute:%"))


def _ports_of(session: Session, server_id: str) -> list[Port]:
    return list(session.scalars(sa.select(Port).where(*_of_server(server_id)).order_by(Port.nic_index, Port.id)))


def _complete(session: Session, project_id: str, nics: Sequence[NicRequest]) -> list[NicRequest]:
    """Fill in the network where none was named."""
    found: list[NicRequest] = []
    for nic in nics:
        if nic.network_id is None and nic.port_id is None:
            usable = _usable(session, project_id)
            if len(usable) > 1:
                raise _ambiguous()
            if not usable:
                continue
            nic = msgspec.structs.replace(nic, network_id=usable[0])
        found.append(nic)
    return found


def _ambiguous() -> Conflict:
    return Conflict("Multiple possible networks found, use a Network ID to be more specific.", kind="NetworkAmbiguous")


def _usable(session: Session, project_id: str) -> list[str]:
    """The networks with a subnet that the project owns, or that are shared with everybody."""
    query = (
        sa.select(Network.id)
        .where(sa.or_(Network.project_id == project_id, Network.shared))
        .where(sa.exists().where(Subnet.network_id == Network.id))
        .order_by(Network.created_at, Network.id)
        .limit(2)
    )
    return list(session.scalars(query))


def _plug(
    session: Session,
    cloud: Cloud,
    ctx: Context,
    server_id: str,
    nic: NicRequest,
    groups: list[str],
    hostname: str,
    zone: str,
    project_id: str,
    index: int,
) -> Port:
    owner = f"compute:{zone}"
    if nic.port_id is not None:
        port = _take_port(session, ctx, nic)
        port.device_id, port.device_owner, port.tag, port.nic_index = server_id, owner, nic.tag or "", index
        port.dns_name = port.dns_name or hostname
        port.of_compute = False
        objects.touch(cloud, port)
        session.flush()
        ports.changed(session, cloud, port)
        return port
    network: Network = objects.get(session, "network", nic.network_id, ctx)
    if not networks.shared_with(ctx, network):
        raise Forbidden(
            f"It is not allowed to create an interface on external network {network.id}",
            kind="ExternalNetworkAttachForbidden",
        )
    if network.port_security_enabled and not objects.subnets_of(session, network.id):
        raise BadRequest(
            f"Network {network.id} requires a subnet in order to boot instances on.", kind="NetworkRequiresSubnet"
        )
    sent: dict[str, Any] = {
        "network_id": network.id, "device_id": server_id, "device_owner": owner, "dns_name": _label(hostname),
    }  # fmt: skip
    if nic.fixed_ip is not None:
        sent["fixed_ips"] = [{"ip_address": nic.fixed_ip}]
    if network.port_security_enabled:
        sent["security_groups"] = groups
    values = attributes.read(ports.ATTRIBUTES, sent, creating=True)
    return ports.create(
        session, cloud, ctx, network, project_id, values, of_compute=True, tag=nic.tag or "", nic_index=index
    )


def _label(hostname: str) -> str:
    """The first label, where it is one that DNS takes."""
    try:
        return str(attributes.dns_name(hostname.partition(".")[0]))
    except attributes.Reason:
        return ""


def _take_port(session: Session, ctx: Context, nic: NicRequest) -> Port:
    port: Port = objects.get(session, "port", nic.port_id, ctx)
    if port.device_id:
        raise Conflict(f"Port {port.id} is still in use.", kind="PortInUse")
    held = addresses.of_port(session, port.id)
    if nic.fixed_ip is not None and nic.fixed_ip not in [address for _, address in held]:
        raise BadRequest(
            f"Fixed IP {nic.fixed_ip} is not a valid ip address for port {port.id}.", kind="InvalidIpForPort"
        )
    return port


def _bind(session: Session, cloud: Cloud, port: Port, host: str) -> None:
    if port.host == host:
        # Said again after a crash: the host may not have heard of it yet.
        dirty.note_hosts(session, cloud, [host])
        return
    dirty.note_hosts(session, cloud, [port.host])
    port.host = host
    port.status = "DOWN"
    objects.touch(cloud, port)
    session.flush()
    ports.changed(session, cloud, port)


def _give_up(session: Session, cloud: Cloud, held: Sequence[Port]) -> None:
    ports.remove(session, cloud, [port.id for port in held if port.of_compute])
    for port in held:
        if not port.of_compute:
            dirty.note_hosts(session, cloud, [port.host])
            port.device_id = port.device_owner = port.host = port.dns_name = port.tag = ""
            port.nic_index, port.status = 0, "DOWN"
            objects.touch(cloud, port)
            session.flush()
            ports.changed(session, cloud, port)


# Security groups


def resolve_security_groups(
    session: Session, cloud: Cloud, ctx: Context, names: Sequence[str], project_id: str | None = None
) -> list[str]:
    """Ids of groups given by name or id; of the project's default group when none are given.

    Raises NotFound (SecurityGroupNotFound) and Conflict (NoUniqueMatch)."""
    project = project_id or ctx.project_id or ""
    if not names:
        return [security_groups.ensure_default(session, cloud, project)]
    if "default" in names:
        security_groups.ensure_default(session, cloud, project)
    rows = session.execute(
        sa.select(SecurityGroup.id, SecurityGroup.name).where(
            SecurityGroup.project_id == project,
            sa.or_(SecurityGroup.id.in_(names), SecurityGroup.name.in_(names)),
        )
    ).all()
    found: dict[str, None] = {}
    for name in names:
        matches = [row.id for row in rows if row.id == name] or [row.id for row in rows if row.name == name]
        if not matches:
            raise NotFound(f"Security group {name} not found for project {project}.", kind="SecurityGroupNotFound")
        if len(matches) > 1:
            raise Conflict(
                f"Multiple security groups found matching '{name}'. Use an ID to be more specific.",
                kind="NoUniqueMatch",
            )
        found[matches[0]] = None
    return list(found)


def security_groups_of(session: Session, server_ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Server → (id, name) of the groups that any of its ports is in, by name."""
    query = (
        sa.select(Port.device_id, SecurityGroup.id, SecurityGroup.name)
        .join(PortSecurityGroup, PortSecurityGroup.port_id == Port.id)
        .join(SecurityGroup, SecurityGroup.id == PortSecurityGroup.security_group_id)
        .where(Port.device_id.in_(server_ids))
        .distinct()
        .order_by(SecurityGroup.name, SecurityGroup.id)
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for server, group, name in session.execute(query):
        found.setdefault(server, []).append((group, name))
    return found


def set_security_group(session: Session, cloud: Cloud, ctx: Context, server_id: str, name: str, *, add: bool) -> None:
    """Put all ports of a server into a group, or take them out of it.

    Raises NotFound (SecurityGroupNotFound; SecurityGroupNotExistsForInstance when it wasn't in the group), BadRequest
    when one of them is in it already."""
    group = resolve_security_groups(session, cloud, ctx, [name])[0]
    touched = False
    for port in _ports_of(session, server_id):
        held = ports.groups_of(session, port.id)
        if not port.port_security_enabled or (not add and group not in held):
            continue
        if add and group in held:
            raise BadRequest(f"Invalid input for security_groups. Reason: Duplicate items in the list: '{group}'.")
        ports.set_groups(session, port.id, [*held, group] if add else [one for one in held if one != group])
        objects.touch(cloud, port)
        session.flush()
        ports.changed(session, cloud, port)
        touched = True
    if not add and not touched:
        raise NotFound(
            f"Security group {name} not associated with the instance {server_id}",
            kind="SecurityGroupNotExistsForInstance",
        )


# The cloud


def limits(session: Session, project_id: str) -> dict[str, tuple[int, int]]:
    """Resource → (limit, used), by Neutron's names; -1 is unlimited."""
    allowed = quota.limits(session, "network", project_id, objects.QUOTAS)
    used = objects.usage(session, project_id)
    return {name: (limit, used.get(name, 0)) for name, limit in allowed.items()}


def health(cloud: Cloud) -> Health:
    """Whether the engine can be reached and follows the tables."""
    return syncer.of(cloud).health()


def default_dns(cloud: Cloud) -> list[str]:
    """The DNS servers that guests get where their subnet names none."""
    return describe.resolvers(cloud.settings)


def project_in_use(session: Session, project_id: str) -> bool:
    """Whether a project still owns networks, ports, routers or floating IPs."""
    return any(objects.usage(session, project_id, ("network", "port", "router", "floatingip")).values())


def ensure_external(session: Session, cloud: Cloud) -> str:
    """The network `public` of this installation: flat, external, with the host on its first address. Its id."""
    found = session.scalars(
        sa.select(Network.id).where(Network.external, Network.physical_network == EXTERNAL_NAME)
    ).first()
    if found is not None:
        return found
    sent: dict[str, Any] = {
        "name": EXTERNAL_NAME, "router:external": True, "is_default": True, "provider:network_type": "flat",
        "provider:physical_network": EXTERNAL_NAME,
    }  # fmt: skip
    network = networks.create(session, cloud, "", attributes.read(networks.ATTRIBUTES, sent, creating=True))
    cidr = ipaddress.ip_network(cloud.settings.network.external_cidr)
    first, _ = ipam.usable(cidr)
    values = attributes.read(
        subnets.ATTRIBUTES,
        {
            "name": "public-subnet", "network_id": network.id, "cidr": str(cidr), "ip_version": cidr.version,
            "gateway_ip": ipam.text(cidr.version, first), "enable_dhcp": False,
        },
        creating=True,
    )  # fmt: skip
    subnets.create(session, cloud, network, "", values)
    return network.id


def floating_ip_of(session: Session, server_id: str) -> str | None:
    """A floating IP that leads to the server, if there is one."""
    query = (
        sa.select(FloatingIp.floating_ip_address)
        .join(Port, Port.id == FloatingIp.port_id)
        .where(*_of_server(server_id))
        .order_by(Port.nic_index)
        .limit(1)
    )
    return session.scalars(query).first()
