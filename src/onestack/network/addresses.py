"""Giving addresses to ports: which subnets, which addresses, never the same one twice.

The primary key (subnet, address) is what makes a double impossible; the subnets' rows are locked while an address is
sought, so that two requests don't choose the same one and one of them fails for nothing.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.network import errors, ipam, objects
from onestack.network.models import PortAddress, Subnet

_rng = random.Random()

_ANSWERING = ("network:distributed", "network:dhcp")

Wish = dict[str, str]  # {"subnet_id"?, "ip_address"?}
Given = tuple[str, str]  # subnet id, address


def is_auto(subnet: Subnet) -> bool:
    return ipam.is_auto(subnet.ip_version, subnet.ipv6_ra_mode, subnet.ipv6_address_mode)


def pools_of(subnet: Subnet) -> list[ipam.Pool]:
    pools = subnet.allocation_pools
    return [(int(ipaddress.ip_address(first)), int(ipaddress.ip_address(last))) for first, last in pools]


def is_router_owner(device_owner: str) -> bool:
    return device_owner in ("network:router_interface", "network:router_gateway")


def assign(
    session: Session,
    network_id: str,
    wishes: Sequence[Wish] | None,
    mac: str,
    device_owner: str,
    keep: Sequence[Given] = (),
) -> list[Given]:
    """The addresses of a port: those wished for, or by default one IPv4, one DHCPv6 and all automatic ones.

    `keep` are addresses that the port has already. Raises IpAddressAlreadyAllocated, IpAddressGenerationFailure,
    InvalidInput.
    """
    subnets = [s for s in objects.subnets_of(session, network_id, lock=True) if _serves(s, device_owner)]
    if wishes is None:
        return _default(session, network_id, subnets, mac, device_owner)
    by_id = {subnet.id: subnet for subnet in subnets}
    given: list[Given] = []
    for wish in wishes:
        given.append(_grant(session, network_id, by_id, wish, mac, device_owner, keep, given))
    return given


def _serves(subnet: Subnet, device_owner: str) -> bool:
    """Service types reserve a subnet for ports of some owners; what answers its guests is at home in each."""
    if device_owner in _ANSWERING and subnet.enable_dhcp:
        return True
    return not subnet.service_types or any(device_owner.startswith(kind) for kind in subnet.service_types)


def _default(session: Session, network_id: str, subnets: list[Subnet], mac: str, device_owner: str) -> list[Given]:
    given: list[Given] = []
    router = is_router_owner(device_owner)
    manual = [s for s in subnets if router or not is_auto(s)]
    for version in (4, 6):
        candidates = [s for s in manual if s.ip_version == version]
        if candidates:
            given.append(_from_any(session, network_id, candidates, device_owner))
    if not router:
        for subnet in subnets:
            if is_auto(subnet):
                given.append((subnet.id, _auto(session, network_id, subnet, mac)))
    return given


def _grant(
    session: Session,
    network_id: str,
    subnets: dict[str, Subnet],
    wish: Wish,
    mac: str,
    device_owner: str,
    keep: Sequence[Given],
    given: Sequence[Given],
) -> Given:
    subnet = _subnet_for(session, network_id, subnets, wish)
    automatic = is_auto(subnet) and not is_router_owner(device_owner)
    address = wish.get("ip_address")
    if address is None:
        if automatic:
            address = ipam.eui64(ipaddress.ip_network(subnet.cidr), mac)
            if (subnet.id, address) not in keep:
                _require_free(session, subnet.id, address)
            return subnet.id, address
        for kept in keep:
            if kept[0] == subnet.id and kept not in given:
                return kept
        return _from_any(session, network_id, [subnet], device_owner)
    if (subnet.id, address) in keep:
        return subnet.id, address
    if automatic and address != ipam.eui64(ipaddress.ip_network(subnet.cidr), mac):
        raise errors.invalid_input(
            f"IPv6 address {address} cannot be directly assigned to a port on subnet {subnet.id} since the subnet is "
            "configured for automatic addresses"
        )
    _require_free(session, subnet.id, address)
    return subnet.id, address


def _not_on(session: Session, network_id: str, subnet_id: str) -> Exception:
    """What is wrong with a subnet that isn't the network's."""
    if session.get(Subnet, subnet_id) is None:
        return errors.not_found("subnet", subnet_id)
    words = f"Failed to create port on network {network_id}, because fixed_ips included invalid subnet {subnet_id}"
    return errors.invalid_input(words)


def _subnet_for(session: Session, network_id: str, subnets: dict[str, Subnet], wish: Wish) -> Subnet:
    subnet_id, address = wish.get("subnet_id"), wish.get("ip_address")
    if subnet_id is not None:
        subnet = subnets.get(subnet_id)
        if subnet is None:
            raise _not_on(session, network_id, subnet_id)
        if address is not None and not _holds(subnet, address):
            raise errors.bad("InvalidIpForSubnet", f"IP address {address} is not a valid IP for the specified subnet.")
        return subnet
    if address is None:
        raise errors.invalid_input("IP allocation requires subnet_id or ip_address")
    for subnet in subnets.values():
        if _holds(subnet, address):
            return subnet
    raise errors.bad(
        "InvalidIpForNetwork",
        f"IP address {address} is not a valid IP for any of the subnets on the specified network.",
    )


def _holds(subnet: Subnet, address: str) -> bool:
    found = ipaddress.ip_address(address)
    network = ipaddress.ip_network(subnet.cidr)
    if found.version != network.version:
        return False
    first, last = ipam.usable(network)
    # The subnet router's anycast address of IPv6 may be asked for; an IPv4 network or broadcast address may not.
    return found in network and (network.version == 6 or first <= int(found) <= last)


def _require_free(session: Session, subnet_id: str, address: str) -> None:
    taken = session.execute(
        sa.select(PortAddress.port_id).where(PortAddress.subnet_id == subnet_id, PortAddress.ip_address == address)
    ).first()
    if taken is not None:
        raise errors.address_in_use(subnet_id, address)


def _auto(session: Session, network_id: str, subnet: Subnet, mac: str) -> str:
    address = ipam.eui64(ipaddress.ip_network(subnet.cidr), mac)
    _require_free(session, subnet.id, address)
    return address


def _from_any(session: Session, network_id: str, subnets: list[Subnet], device_owner: str) -> Given:
    """An address of the first subnet that has one. The cloud's own ports take the lowest, others any."""
    for subnet in subnets:
        pools = pools_of(subnet)
        if device_owner.startswith("network:") and device_owner != "network:floatingip":
            found = ipam.lowest_free(pools, _all_used(session, subnet))
        else:
            found = ipam.choose(
                pools,
                _rng,
                lambda numbers, subnet=subnet: _used_among(session, subnet, numbers),  # type: ignore[misc]
                lambda subnet=subnet: _all_used(session, subnet),  # type: ignore[misc]
            )
        if found is not None:
            return subnet.id, ipam.text(subnet.ip_version, found)
    raise errors.exhausted(network_id)


def _used_among(session: Session, subnet: Subnet, numbers: list[int]) -> set[int]:
    words = {ipam.text(subnet.ip_version, number): number for number in numbers}
    rows = session.execute(
        sa.select(PortAddress.ip_address).where(
            PortAddress.subnet_id == subnet.id, PortAddress.ip_address.in_(list(words))
        )
    )
    return {words[row.ip_address] for row in rows}


def _all_used(session: Session, subnet: Subnet) -> set[int]:
    rows = session.execute(sa.select(PortAddress.ip_address).where(PortAddress.subnet_id == subnet.id))
    return {int(ipaddress.ip_address(row.ip_address)) for row in rows}


def store(session: Session, port_id: str, network_id: str, given: Sequence[Given]) -> None:
    """Write down a new port's addresses."""
    if given:
        rows: list[dict[str, Any]] = [
            {"subnet_id": subnet, "ip_address": address, "port_id": port_id, "network_id": network_id, "position": n}
            for n, (subnet, address) in enumerate(given)
        ]
        session.execute(sa.insert(PortAddress), rows)


def of_port(session: Session, port_id: str) -> list[Given]:
    rows = session.execute(
        sa.select(PortAddress.subnet_id, PortAddress.ip_address)
        .where(PortAddress.port_id == port_id)
        .order_by(PortAddress.position)
    )
    return [(row.subnet_id, row.ip_address) for row in rows]


def replace(session: Session, port_id: str, network_id: str, given: Sequence[Given]) -> None:
    session.execute(sa.delete(PortAddress).where(PortAddress.port_id == port_id))
    store(session, port_id, network_id, given)
