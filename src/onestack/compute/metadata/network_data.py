"""network_data.json: the links, addresses and name servers that cloud-init configures when nothing answers DHCP.

Source: Nova's user guide, "Metadata", and what Nova writes: of each interface the first IPv4 and the first IPv6 subnet.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from onestack.network.public import Nic, NicAddress


def network_data(interfaces: list[Nic]) -> dict[str, Any]:
    """{"links", "networks", "services"}; {} for a server without interfaces."""
    if not interfaces:
        return {}
    links: list[dict[str, Any]] = []
    networks: list[dict[str, Any]] = []
    services: list[dict[str, str]] = []
    for nic in interfaces:
        if not nic.fixed_ips:
            continue
        link = _link(nic)
        links.append(link)
        for version in (4, 6):
            address = next((one for one in nic.fixed_ips if one.version == version), None)
            if address is None:
                continue
            place = {"id": f"network{len(networks)}", "link": link["id"], "network_id": nic.network_id}
            networks.append({**place, **_network(address)})
            services += [service for service in _services(address) if service not in services]
    return {"links": links, "networks": networks, "services": services}


def _link(nic: Nic) -> dict[str, Any]:
    return {
        "id": f"tap{nic.port_id[:11]}", "vif_id": nic.port_id, "type": "ovs", "mtu": nic.mtu,
        "ethernet_mac_address": nic.mac,
    }  # fmt: skip


def _network(address: NicAddress) -> dict[str, Any]:
    if address.ipv6_address_mode is None and address.dhcp:
        return {"type": f"ipv{address.version}_dhcp"}
    mode = f"_{address.ipv6_address_mode}" if address.ipv6_address_mode else ""
    return {
        "type": f"ipv{address.version}{mode}", "ip_address": address.address,
        "netmask": str(ipaddress.ip_network(address.cidr).netmask), "routes": _routes(address),
        "services": _services(address),
    }  # fmt: skip


def _routes(address: NicAddress) -> list[dict[str, str]]:
    found = []
    if address.gateway:
        anywhere = "0.0.0.0" if address.version == 4 else "::"  # noqa: S104
        found.append({"network": anywhere, "netmask": anywhere, "gateway": address.gateway})
    for destination, hop in address.routes:
        network = ipaddress.ip_network(destination)
        found.append({"network": str(network.network_address), "netmask": str(network.netmask), "gateway": hop})
    return found


def _services(address: NicAddress) -> list[dict[str, str]]:
    return [{"type": "dns", "address": server} for server in address.dns]
