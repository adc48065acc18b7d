"""From rows to what the driver is told (`drivers.base`): some objects, or the whole world. Some queries for each kind
of object, whatever their number."""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.config import Settings
from onestack.network import models
from onestack.network.drivers import base

ROUTER_INTERFACE = "network:router_interface"
METADATA = "network:distributed"

Keys = dict[base.Kind, set[str]]


class Describer:
    """Loads descriptions. `chassis`: the hosts that gateways may be put on; `resolvers`: the default DNS servers."""

    def __init__(self, session: Session, resolvers: Sequence[str], chassis: Sequence[base.Chassis]) -> None:
        self.session = session
        self.resolvers = tuple(resolvers)
        self.chassis = tuple(chassis)
        self._networks: dict[str, base.Network] = {}

    def world(self) -> base.World:
        return base.World(**self._load(None))

    def changes(self, keys: Keys) -> base.Changes:
        found = self._load(keys)
        gone: set[tuple[base.Kind, str]] = set()
        fields: dict[base.Kind, str] = {
            "network": "networks", "subnet": "subnets", "port": "ports", "router": "routers",
            "floating_ip": "floating_ips", "security_group": "security_groups",
        }  # fmt: skip
        for kind, ids in keys.items():
            there = {item.id for item in found[fields[kind]]}
            gone |= {(kind, one) for one in ids - there}
        return base.Changes(**found, gone=frozenset(gone))

    def _load(self, keys: Keys | None) -> dict[str, tuple[Any, ...]]:
        def wanted(kind: base.Kind) -> set[str] | None:
            return None if keys is None else keys.get(kind, set())

        return {
            "networks": self.networks(wanted("network")),
            "subnets": self.subnets(wanted("subnet")),
            "security_groups": self.security_groups(wanted("security_group")),
            "ports": self.ports(wanted("port")),
            "routers": self.routers(wanted("router")),
            "floating_ips": self.floating_ips(wanted("floating_ip")),
        }

    def _rows(self, model: Any, ids: set[str] | None) -> Sequence[Any]:
        if ids is not None and not ids:
            return []
        query = sa.select(*model.__table__.c).order_by(model.id)
        return self.session.execute(query if ids is None else query.where(model.id.in_(ids))).all()

    def networks(self, ids: set[str] | None) -> tuple[base.Network, ...]:
        rows = self._rows(models.Network, ids)
        metadata = self._metadata({row.id for row in rows}, everything=ids is None)
        found = []
        for row in rows:
            network = base.Network(
                id=row.id, name=row.name, mtu=row.mtu, dns_domain=row.dns_domain, external=row.external,
                physical_network=row.physical_network or "",
                segmentation_id=row.segmentation_id if row.physical_network else None, metadata=metadata.get(row.id),
            )  # fmt: skip
            self._networks[row.id] = network
            found.append(network)
        return tuple(found)

    def _metadata(self, ids: set[str], *, everything: bool) -> dict[str, base.MetadataPort]:
        port = models.Port
        query = sa.select(port.id, port.network_id, port.mac_address).where(port.device_owner == METADATA)
        if not everything:
            query = query.where(port.network_id.in_(ids))
        rows = self.session.execute(query).all()
        addresses = self._addresses({row.id for row in rows})
        return {
            row.network_id: base.MetadataPort(
                port_id=row.id, mac=row.mac_address, fixed_ips=tuple(addresses.get(row.id, ()))
            )
            for row in rows
        }

    def _network(self, ids: Iterable[str]) -> None:
        missing = {one for one in ids if one not in self._networks}
        if missing:
            self.networks(missing)

    def subnets(self, ids: set[str] | None) -> tuple[base.Subnet, ...]:
        rows = self._rows(models.Subnet, ids)
        self._network(row.network_id for row in rows)
        return tuple(self._subnet(row, self._networks[row.network_id]) for row in rows)

    def _subnet(self, row: Any, network: base.Network) -> base.Subnet:
        return base.Subnet(
            id=row.id, network=network, cidr=row.cidr, ip_version=row.ip_version, gateway_ip=row.gateway_ip,
            enable_dhcp=row.enable_dhcp, dns_nameservers=self._nameservers(row),
            host_routes=tuple((route["destination"], route["nexthop"]) for route in row.host_routes),
            ipv6_ra_mode=row.ipv6_ra_mode, ipv6_address_mode=row.ipv6_address_mode,
        )  # fmt: skip

    def _nameservers(self, row: Any) -> tuple[str, ...]:
        given = row.dns_nameservers or self.resolvers
        return tuple(one for one in given if (":" in one) == (row.ip_version == 6))

    def _addresses(self, port_ids: set[str] | None) -> dict[str, list[base.FixedIp]]:
        """Port → addresses, in order."""
        address, subnet = models.PortAddress, models.Subnet
        query = (
            sa.select(
                address.port_id, address.ip_address, subnet.id.label("subnet_id"), subnet.enable_dhcp,
                subnet.ip_version, subnet.ipv6_address_mode,
            )
            .join(subnet, subnet.id == address.subnet_id)
            .order_by(address.port_id, address.position)
        )  # fmt: skip
        if port_ids is not None:
            if not port_ids:
                return {}
            query = query.where(address.port_id.in_(port_ids))
        found: dict[str, list[base.FixedIp]] = {}
        for row in self.session.execute(query):
            dhcp = row.enable_dhcp and (
                row.ip_version == 4 or row.ipv6_address_mode in ("dhcpv6-stateful", "dhcpv6-stateless")
            )
            found.setdefault(row.port_id, []).append(
                base.FixedIp(subnet_id=row.subnet_id, address=row.ip_address, dhcp=bool(dhcp))
            )
        return found

    def ports(self, ids: set[str] | None) -> tuple[base.Port, ...]:
        rows = self._rows(models.Port, ids)
        if not rows:
            return ()
        addresses = self._addresses(ids)
        groups: dict[str, list[str]] = {}
        member = models.PortSecurityGroup
        query = sa.select(member.port_id, member.security_group_id).order_by(member.security_group_id)
        if ids is not None:
            query = query.where(member.port_id.in_(ids))
        for row in self.session.execute(query):
            groups.setdefault(row.port_id, []).append(row.security_group_id)
        self._network(row.network_id for row in rows)
        return tuple(
            base.Port(
                id=row.id, network_id=row.network_id, mac=row.mac_address, name=row.name, project_id=row.project_id,
                fixed_ips=tuple(addresses.get(row.id, ())), device_id=row.device_id, device_owner=row.device_owner,
                admin_state_up=row.admin_state_up, port_security_enabled=row.port_security_enabled,
                allowed_address_pairs=tuple(
                    base.AddressPair(ip=pair["ip_address"], mac=pair.get("mac_address", ""))
                    for pair in row.allowed_address_pairs
                ),
                security_group_ids=tuple(groups.get(row.id, ())), host=row.host, dns_name=row.dns_name,
                dns_domain=self._networks[row.network_id].dns_domain,
            )
            for row in rows
        )  # fmt: skip

    def security_groups(self, ids: set[str] | None) -> tuple[base.SecurityGroup, ...]:
        rows = self._rows(models.SecurityGroup, ids)
        if not rows:
            return ()
        rule = models.SecurityGroupRule
        query = sa.select(*rule.__table__.c).order_by(rule.id)
        if ids is not None:
            query = query.where(rule.security_group_id.in_(ids))
        rules: dict[str, list[base.Rule]] = {}
        for row in self.session.execute(query):
            rules.setdefault(row.security_group_id, []).append(
                base.Rule(
                    id=row.id, direction=row.direction, ethertype=row.ethertype, protocol=row.protocol,
                    port_range_min=row.port_range_min, port_range_max=row.port_range_max,
                    remote_ip_prefix=row.remote_ip_prefix, remote_group_id=row.remote_group_id,
                )
            )  # fmt: skip
        return tuple(base.SecurityGroup(id=row.id, name=row.name, rules=tuple(rules.get(row.id, ()))) for row in rows)

    def routers(self, ids: set[str] | None) -> tuple[base.Router, ...]:
        rows = self._rows(models.Router, ids)
        if not rows:
            return ()
        port = models.Port
        query = sa.select(*port.__table__.c).where(port.device_owner.in_((ROUTER_INTERFACE, "network:router_gateway")))
        if ids is not None:
            query = query.where(port.device_id.in_(ids))
        ports = self.session.execute(query.order_by(port.id)).all()
        addresses = self._addresses({one.id for one in ports})
        subnets = self._subnets_of(addresses)
        self._network(one.network_id for one in ports)
        by_router: dict[str, list[Any]] = {}
        for one in ports:
            by_router.setdefault(one.device_id, []).append(one)
        found = []
        for row in rows:
            own = by_router.get(row.id, [])
            gateway = next((one for one in own if one.id == row.gateway_port_id), None)
            found.append(
                base.Router(
                    id=row.id, name=row.name, admin_state_up=row.admin_state_up,
                    gateway=self._gateway(row, gateway, addresses, subnets) if gateway is not None else None,
                    interfaces=tuple(
                        self._interface(one, addresses, subnets) for one in own if one.device_owner == ROUTER_INTERFACE
                    ),
                    routes=tuple(base.Route(**route) for route in row.routes),
                )
            )  # fmt: skip
        return tuple(found)

    def _subnets_of(self, addresses: dict[str, list[base.FixedIp]]) -> dict[str, Any]:
        ids = {fixed.subnet_id for held in addresses.values() for fixed in held}
        return {row.id: row for row in self._rows(models.Subnet, ids)}

    def _with_prefix(self, held: Sequence[base.FixedIp], subnets: dict[str, Any]) -> tuple[str, ...]:
        return tuple(
            f"{fixed.address}/{ipaddress.ip_network(subnets[fixed.subnet_id].cidr).prefixlen}" for fixed in held
        )

    def _interface(
        self, port: Any, addresses: dict[str, list[base.FixedIp]], subnets: dict[str, Any]
    ) -> base.RouterPort:
        held = addresses.get(port.id, [])
        rows = [subnets[fixed.subnet_id] for fixed in held]
        v6 = [row for row in rows if row.ip_version == 6]
        mode = next((row.ipv6_ra_mode for row in v6 if row.ipv6_ra_mode), None)
        servers = dict.fromkeys(one for row in v6 for one in self._nameservers(row))
        return base.RouterPort(
            port_id=port.id, network_id=port.network_id, mac=port.mac_address,
            addresses=self._with_prefix(held, subnets), mtu=self._networks[port.network_id].mtu,
            subnet_ids=tuple(fixed.subnet_id for fixed in held), ipv6_ra_mode=mode, dns_nameservers=tuple(servers),
        )  # fmt: skip

    def _gateway(
        self, router: Any, port: Any, addresses: dict[str, list[base.FixedIp]], subnets: dict[str, Any]
    ) -> base.Gateway:
        held = addresses.get(port.id, [])
        network = self._networks[port.network_id]
        hops = dict.fromkeys(
            hop for fixed in held if (hop := subnets[fixed.subnet_id].gateway_ip) and hop != fixed.address
        )
        return base.Gateway(
            port_id=port.id, network_id=port.network_id, mac=port.mac_address,
            addresses=self._with_prefix(held, subnets), nexthops=tuple(hops), enable_snat=router.enable_snat,
            mtu=network.mtu, subnet_ids=tuple(fixed.subnet_id for fixed in held),
            chassis=self._candidates(router.id, network.physical_network),
        )  # fmt: skip

    def _candidates(self, router_id: str, physical_network: str) -> tuple[str, ...]:
        """The hosts that are wired to the external network; routers are spread over them by their ids."""
        names = sorted(one.name for one in self.chassis if physical_network in one.physical_networks)
        if not names:
            return ()
        start = zlib.crc32(router_id.encode()) % len(names)
        return tuple(names[start:] + names[:start])

    def floating_ips(self, ids: set[str] | None) -> tuple[base.FloatingIp, ...]:
        return tuple(
            base.FloatingIp(
                id=row.id, floating_ip_address=row.floating_ip_address, floating_network_id=row.floating_network_id,
                router_id=row.router_id or "", port_id=row.port_id or "", fixed_ip_address=row.fixed_ip_address or "",
            )
            for row in self._rows(models.FloatingIp, ids)
        )  # fmt: skip


def resolvers(settings: Settings, file: str = "/etc/resolv.conf") -> list[str]:
    """The DNS servers that guests get by default: the configured ones, or this host's, except those that only it can
    reach."""
    if settings.network.dns_servers:
        return settings.network.dns_servers
    found: list[str] = []
    try:
        with open(file) as handle:
            lines = handle.read().splitlines()
    except OSError:
        return found
    for line in lines:
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                address = ipaddress.ip_address(words[1].partition("%")[0])
            except ValueError:
                continue
            if not (address.is_loopback or address.is_link_local):
                found.append(str(address))
    return found
