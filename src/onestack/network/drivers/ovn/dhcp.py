"""What OVN answers to DHCP for a subnet: the options of a DHCP_Options row (ovn-nb(5)), and the names in DNS."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable

from onestack.network.drivers.base import Port, Subnet

LEASE_SECONDS = 43200
METADATA = "169.254.169.254/32"

_DOMAIN = re.compile(r"^(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*$")


def server_mac(subnet_id: str) -> str:
    """The address that DHCP answers come from: locally administered, and the same each time."""
    return "0a:16:3e:" + hashlib.sha256(subnet_id.encode()).digest()[:3].hex(":")


def options(subnet: Subnet) -> dict[str, str]:
    """The options column. Raises ValueError for addresses that are none."""
    return _options6(subnet) if subnet.ip_version == 6 else _options4(subnet)


def _options4(subnet: Subnet) -> dict[str, str]:
    network = ipaddress.IPv4Network(subnet.cidr, strict=False)
    gateway = str(ipaddress.IPv4Address(subnet.gateway_ip)) if subnet.gateway_ip else ""
    metadata = _metadata_address(subnet)
    answer = {
        # The server must have an address; without a gateway any address of the subnet will do.
        "server_id": gateway or metadata or str(network[1] if network.num_addresses > 2 else network[0]),
        "server_mac": server_mac(subnet.id),
        "lease_time": str(LEASE_SECONDS),
        "mtu": str(subnet.network.mtu),
    }
    if gateway:
        answer["router"] = gateway
    if subnet.dns_nameservers:
        answer["dns_server"] = _braces(str(ipaddress.IPv4Address(server)) for server in subnet.dns_nameservers)
    domain = domain_of(subnet.network.dns_domain)
    if domain:
        answer["domain_name"] = f'"{domain}"'
    routes = [f"{METADATA},{metadata}"] if metadata else []
    for destination, nexthop in subnet.host_routes:
        routes.append(f"{ipaddress.IPv4Network(destination, strict=False)},{ipaddress.IPv4Address(nexthop)}")
    if routes:
        # Clients that get classless routes ignore the router option (RFC 3442), so the default one is here again.
        if gateway and not any(route.startswith("0.0.0.0/0,") for route in routes):
            routes.append(f"0.0.0.0/0,{gateway}")
        answer["classless_static_route"] = _braces(routes)
    return answer


def _options6(subnet: Subnet) -> dict[str, str]:
    answer = {"server_id": server_mac(subnet.id)}
    if subnet.dns_nameservers:
        answer["dns_server"] = _braces(str(ipaddress.IPv6Address(server)) for server in subnet.dns_nameservers)
    domain = domain_of(subnet.network.dns_domain)
    if domain:
        answer["domain_search"] = f'"{domain}"'
    if subnet.ipv6_address_mode == "dhcpv6-stateless":
        answer["dhcpv6_stateless"] = "true"
    return answer


def _metadata_address(subnet: Subnet) -> str:
    metadata = subnet.network.metadata
    for fixed in metadata.fixed_ips if metadata else ():
        if fixed.subnet_id == subnet.id:
            return str(ipaddress.IPv4Address(fixed.address))
    return ""


def _braces(items: Iterable[str]) -> str:
    return "{" + ", ".join(items) + "}"


def domain_of(text: str) -> str:
    """A domain without its last dot, in lower case. Raises ValueError when it is none."""
    domain = text.rstrip(".").lower()
    if domain and not _DOMAIN.match(domain):
        raise ValueError(f"{text!r} is not a domain name")
    return domain


def records(port: Port) -> dict[str, str]:
    """The DNS records of a port: its bare and its full name, and its addresses' names in reverse."""
    name = domain_of(port.dns_name)
    if not name or not port.fixed_ips:
        return {}
    domain = domain_of(port.dns_domain)
    full = f"{name}.{domain}" if domain else name
    addresses = [ipaddress.ip_address(fixed.address) for fixed in port.fixed_ips]
    text = " ".join(str(address) for address in addresses)
    return {name: text, full: text, **{address.reverse_pointer: full for address in addresses}}
