"""The contract between the network service and the engine that moves its packets.

The service keeps the truth in its tables. It describes objects to the driver as plain frozen data, each complete in
itself, and the driver makes the engine match. Reconcile by key, never by event: the service says "these keys are
dirty, this is how they are now, those are gone", never "this was added".

| who | does |
|---|---|
| service | after a commit: loads the dirty objects, calls `apply(Changes)`; again with the same keys if it raised |
| service | at start, after a reconnect and every few minutes: `reconcile(load)` |
| driver | reports ports that came up or went down through `watch` |

What makes what dirty (a description holds everything that its own rows in the engine are made from):

| change of | dirty |
|---|---|
| network | the network and its subnets; routers with a port on it when mtu changed; its ports when dns_domain did |
| subnet | the subnet; its ports when DHCP was turned on or off; routers with a port on it |
| port | the port; the router, when it is a router's port; the floating IPs that point at it |
| security group or rule | the security group (never its ports or the groups that refer to it) |
| router, its interfaces, gateway, routes | the router and its own ports |
| floating IP | the floating IP |

A driver never blocks for ever, may be called from any thread, and serves one call at a time. Calls take effect in
the order in which they are made, so descriptions must be passed in the order in which they were loaded: one worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, Protocol

import msgspec

Kind = Literal["network", "subnet", "port", "router", "floating_ip", "security_group"]


class FixedIp(msgspec.Struct, frozen=True, kw_only=True):
    """An address of a port. `dhcp`: the engine hands it out, see `serves_dhcp`."""

    subnet_id: str
    address: str
    dhcp: bool = True


class MetadataPort(msgspec.Struct, frozen=True, kw_only=True):
    """The port through which a network's guests reach 169.254.169.254; every hypervisor has its own end of it."""

    port_id: str
    mac: str
    fixed_ips: tuple[FixedIp, ...] = ()


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """A layer 2 segment. A provider network has a `physical_network` (and, for VLAN, a `segmentation_id`)."""

    id: str
    name: str = ""
    mtu: int = 1442
    dns_domain: str = ""
    external: bool = False
    physical_network: str = ""
    segmentation_id: int | None = None
    metadata: MetadataPort | None = None


class Subnet(msgspec.Struct, frozen=True, kw_only=True):
    """An address range and what DHCP says about it. `dns_nameservers` are final: the service fills in its default."""

    id: str
    network: Network
    cidr: str
    ip_version: Literal[4, 6] = 4
    gateway_ip: str | None = None
    enable_dhcp: bool = True
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[tuple[str, str], ...] = ()  # (destination CIDR, next hop)
    ipv6_ra_mode: str | None = None  # slaac, dhcpv6-stateful, dhcpv6-stateless
    ipv6_address_mode: str | None = None


class AddressPair(msgspec.Struct, frozen=True, kw_only=True):
    """An address that a port may use besides its own. `ip` is an address or a CIDR; no `mac` means the port's."""

    ip: str
    mac: str = ""


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """A port. Those with device_owner `network:…` belong to the cloud itself and are never filtered.

    `host`: the chassis (its name or hostname) that it is bound to; only that one may claim it. A metadata port is
    described by its network; one with device_owner `network:distributed` given here has no effect.
    """

    id: str
    network_id: str
    mac: str
    fixed_ips: tuple[FixedIp, ...] = ()
    name: str = ""
    project_id: str = ""
    device_id: str = ""
    device_owner: str = ""
    admin_state_up: bool = True
    port_security_enabled: bool = True
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    security_group_ids: tuple[str, ...] = ()
    host: str = ""
    dns_name: str = ""  # the host's name without domain; empty: none
    dns_domain: str = ""  # with or without the last dot; empty: the bare name only


class RouterPort(msgspec.Struct, frozen=True, kw_only=True):
    """A router's interface on a tenant network. `addresses` with prefix: `10.0.0.1/24`."""

    port_id: str
    network_id: str
    mac: str
    addresses: tuple[str, ...]
    mtu: int = 1442
    subnet_ids: tuple[str, ...] = ()
    ipv6_ra_mode: str | None = None  # of the IPv6 subnets there; None: no router advertisements
    dns_nameservers: tuple[str, ...] = ()  # IPv6 ones, for the advertisements


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """A router's port on an external network. `nexthops`: the gateway addresses of its subnets."""

    port_id: str
    network_id: str
    mac: str
    addresses: tuple[str, ...]  # with prefix
    nexthops: tuple[str, ...] = ()
    enable_snat: bool = True
    mtu: int = 1500
    subnet_ids: tuple[str, ...] = ()
    chassis: tuple[str, ...] = ()  # names of chassis that may host it, the preferred one first


class Route(msgspec.Struct, frozen=True, kw_only=True):
    destination: str
    nexthop: str


class Router(msgspec.Struct, frozen=True, kw_only=True):
    """A router with all of its interfaces. Its ports are described once more as `Port`s (device_owner
    network:router_interface or network:router_gateway)."""

    id: str
    name: str = ""
    admin_state_up: bool = True
    gateway: Gateway | None = None
    interfaces: tuple[RouterPort, ...] = ()
    routes: tuple[Route, ...] = ()


class FloatingIp(msgspec.Struct, frozen=True, kw_only=True):
    """A floating IP. One that is not associated has no router_id, and nothing in the engine."""

    id: str
    floating_ip_address: str
    floating_network_id: str = ""
    router_id: str = ""
    port_id: str = ""
    fixed_ip_address: str = ""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A security group rule, in the API's terms. `protocol`: None, a name or a number; for ICMP the range is
    (type, code)."""

    id: str
    direction: Literal["ingress", "egress"]
    ethertype: Literal["IPv4", "IPv6"] = "IPv4"
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None


class SecurityGroup(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str = ""
    rules: tuple[Rule, ...] = ()


class World(msgspec.Struct, frozen=True, kw_only=True):
    """Everything there is."""

    networks: tuple[Network, ...] = ()
    subnets: tuple[Subnet, ...] = ()
    ports: tuple[Port, ...] = ()
    routers: tuple[Router, ...] = ()
    floating_ips: tuple[FloatingIp, ...] = ()
    security_groups: tuple[SecurityGroup, ...] = ()


class Changes(World, frozen=True, kw_only=True):
    """Some objects as they are now, and keys of objects that are no more: `gone={("port", id), …}`."""

    gone: frozenset[tuple[Kind, str]] = frozenset()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a reconcile found. `repairs`: one line for each thing that was wrong and is right now.
    `failed`: key → reason, of objects that the engine can't take."""

    objects: int
    repairs: tuple[str, ...] = ()
    failed: dict[str, str] = {}


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`reason` says what is wrong, in words for `onestack status`."""

    ok: bool
    reason: str = ""


class Chassis(msgspec.Struct, frozen=True, kw_only=True):
    """A host that takes part. `physical_networks`: those that it is wired to."""

    name: str
    hostname: str
    physical_networks: tuple[str, ...] = ()


class DriverError(Exception):
    """The engine did not do what was asked. Call again with the same keys."""


class EngineUnavailable(DriverError):
    """The engine can't be reached, or did not answer in time; whether it acted is unknown."""


class ObjectsFailed(DriverError):
    """Some objects could not be applied; all the others were. `failed`: "port:<id>" → reason."""

    def __init__(self, failed: dict[str, str]) -> None:
        self.failed = failed
        super().__init__("; ".join(f"{key}: {reason}" for key, reason in sorted(failed.items())))


# (port id, up, hostname of the chassis that has it or None). Only ports of guests are reported: a router's or a
# network's own ports are up as soon as `apply` returns.
PortCallback = Callable[[str, bool, str | None], None]


class Driver(Protocol):
    def apply(self, changes: Changes) -> None:
        """Make the engine hold these objects exactly as given, and those in `gone` no more. Idempotent.

        An object needs its parents (a port its network and security groups, a floating IP its router) in the engine
        or in the same call. Raises EngineUnavailable, or ObjectsFailed after having applied all the others.
        """

    def reconcile(self, load: Callable[[], World]) -> Report:
        """Repair every difference between the engine and the world; things that are not this cloud's stay.

        `load` is called once or more, while `apply` is kept waiting, and must not call the driver. It is called after
        the engine was read: what the engine has and the world that was loaded later has not, is really gone.
        Raises EngineUnavailable.
        """

    def watch(self, callback: PortCallback) -> None:
        """Call back, on the driver's own thread, whenever a port of a guest comes up, goes down or moves.

        After every (re)connect the callback is called for all ports that are up, and for those that went down
        meanwhile, so nothing is missed; it must be idempotent. One callback at a time; a second call replaces it.
        """

    def chassis(self) -> tuple[Chassis, ...]:
        """The hosts that can carry ports and gateways now. Raises EngineUnavailable."""

    def look(self) -> Health:
        """Whether the engine can be reached; answers within a few seconds, never raises."""

    def close(self) -> None:
        """Stop the threads, close the connections. The engine keeps what it has."""


def serves_dhcp(subnet: Subnet) -> bool:
    """Whether the engine answers DHCP for this subnet: not where addresses come from router advertisements alone."""
    if not subnet.enable_dhcp:
        return False
    return subnet.ip_version == 4 or subnet.ipv6_address_mode in ("dhcpv6-stateful", "dhcpv6-stateless")


def described(world: World) -> Iterator[tuple[Kind, Network | Subnet | Port | Router | FloatingIp | SecurityGroup]]:
    """All the objects of a world (or of changes) with their kinds, parents first."""
    for network in world.networks:
        yield "network", network
    for subnet in world.subnets:
        yield "subnet", subnet
    for group in world.security_groups:
        yield "security_group", group
    for port in world.ports:
        yield "port", port
    for router in world.routers:
        yield "router", router
    for floating_ip in world.floating_ips:
        yield "floating_ip", floating_ip
