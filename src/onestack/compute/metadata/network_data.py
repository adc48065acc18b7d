"""network_data.json: the links, addresses and name servers that cloud-init configures when nothing answers DHCP.

Source: Nova's user guide, "Metadata", and what Nova writes: of each interface the first IPv4 and the first IPv6 subnet.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from onestack.compute.metadata.facts import Address, Interface, Subnet


def network_data(interfaces: list[Interface]) -> dict[str, Any]:
    """{"links", "networks", "services"}; {} for a server without interfaces."""
    if not interfaces:
        return {}
    links: list[dict[str, Any]] = []
    networks: list[dict[str, Any]] = []
    services: list[dict[str, Any]] = []
    for interface in interfaces:
        if not interface.addresses:
            continue
        link = _link(interface)
        links.append(link)
        for version in (4, 6):
            address = next((one for one in interface.addresses if one.subnet.ip_version == version), None)
            if address is None:
                continue
            networks.append(_network(f"network{len(networks)}", link["id"], interface, address))
            services += [service for service in _services(address.subnet) if service not in services]
    return {"links": links, "networks": networks, "services": services}


def _link(interface: Interface) -> dict[str, Any]:
    return {
        "id": f"tap{interface.port_id[:11]}", "vif_id": interface.port_id, "type": "ovs", "mtu": interface.mtu,
        "ethernet_mac_address": interface.mac,
    }  # fmt: skip


def _network(name: str, link: str, interface: Interface, address: Address) -> dict[str, Any]:
    subnet = address.subnet
    body: dict[str, Any] = {"id": name, "link": link, "network_id": interface.network_id}
    if subnet.ipv6_address_mode is None and subnet.enable_dhcp:
        return {**body, "type": f"ipv{subnet.ip_version}_dhcp"}
    mode = f"_{subnet.ipv6_address_mode}" if subnet.ipv6_address_mode else ""
    return {
        **body, "type": f"ipv{subnet.ip_version}{mode}", "ip_address": address.ip, "netmask": _mask(subnet.cidr),
        "routes": _routes(subnet), "services": _services(subnet),
    }  # fmt: skip


def _mask(cidr: str) -> str:
    return str(ipaddress.ip_network(cidr).netmask)


def _routes(subnet: Subnet) -> list[dict[str, str]]:
    found = []
    if subnet.gateway_ip:
        anywhere = "0.0.0.0" if subnet.ip_version == 4 else "::"  # noqa: S104
        found.append({"network": anywhere, "netmask": anywhere, "gateway": subnet.gateway_ip})
    for route in subnet.host_routes:
        network = ipaddress.ip_network(route["destination"])
        found.append(
            {"network": str(network.network_address), "netmask": str(network.netmask), "gateway": route["nexthop"]}
        )
    return found


def _services(subnet: Subnet) -> list[dict[str, str]]:
    return [{"type": "dns", "address": address} for address in subnet.dns_nameservers]
