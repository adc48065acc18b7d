"""Addresses: pools, gaps in them, EUI-64. Pure functions; a pool is never enumerated, whatever its size."""

from __future__ import annotations

import ipaddress
import itertools
import random
from collections.abc import Callable, Iterable, Sequence

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Pool = tuple[int, int]  # first and last address, both included

PROBES = 12  # random addresses that are looked up at once before the exact search


def usable(network: IPNetwork) -> Pool:
    """First and last address that a port may have. /31, /32, /127 and /128 are used whole."""
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.num_addresses <= 2:
        return first, last
    return first + 1, last - (1 if network.version == 4 else 0)


def default_gateway(network: IPNetwork) -> int:
    """The first address of IPv4, and of IPv6 the one that all routers of a subnet answer to (RFC 4291, 2.6.1)."""
    return int(network.network_address) + (1 if network.version == 4 else 0)


def default_pools(network: IPNetwork, gateway: IPAddress | None) -> list[Pool]:
    """All usable addresses except the gateway's: one pool, or two around it."""
    first, last = usable(network)
    if gateway is None or not first <= int(gateway) <= last:
        return [(first, last)]
    middle = int(gateway)
    return [pool for pool in ((first, middle - 1), (middle + 1, last)) if pool[0] <= pool[1]]


def in_pools(address: int, pools: Iterable[Pool]) -> bool:
    return any(first <= address <= last for first, last in pools)


def size(pools: Iterable[Pool]) -> int:
    return sum(last - first + 1 for first, last in pools)


def overlapping(pools: Sequence[Pool]) -> tuple[Pool, Pool] | None:
    """Two pools that share an address, if there are any."""
    ordered = sorted(pools)
    for before, after in itertools.pairwise(ordered):
        if after[0] <= before[1]:
            return before, after
    return None


def lowest_free(pools: Iterable[Pool], used: Iterable[int]) -> int | None:
    """The smallest address of the pools that is not in `used`; the cost grows with `used`, not with the pools."""
    taken = sorted(set(used))
    position = 0
    for first, last in sorted(pools):
        candidate = first
        while position < len(taken) and taken[position] < first:
            position += 1
        while position < len(taken) and taken[position] == candidate <= last:
            candidate += 1
            position += 1
        if candidate <= last:
            return candidate
    return None


def probes(pools: Sequence[Pool], rng: random.Random, count: int = PROBES) -> list[int]:
    """Up to `count` different addresses of the pools, at random."""
    total = size(pools)
    if total == 0:
        return []
    found: dict[int, None] = {}
    for _ in range(count):
        offset = rng.randrange(total)
        for first, last in pools:
            if offset <= last - first:
                found[first + offset] = None
                break
            offset -= last - first + 1
    return list(found)


def choose(
    pools: Sequence[Pool],
    rng: random.Random,
    among: Callable[[list[int]], set[int]],
    everything: Callable[[], set[int]],
) -> int | None:
    """A free address at random, None when there is none.

    `among` says which of some addresses are taken; `everything` all that are, and is asked only where probing
    found nothing, that is in pools that are nearly full.
    """
    candidates = probes(pools, rng)
    taken = among(candidates) if candidates else set()
    for candidate in candidates:
        if candidate not in taken:
            return candidate
    return lowest_free(pools, everything())


def eui64(network: IPNetwork, mac: str) -> str:
    """The address that a guest with this MAC makes for itself in an IPv6 /64 (RFC 4291, appendix A)."""
    octets = bytearray(bytes.fromhex(mac.replace(":", "")))
    octets[0] ^= 0x02
    interface = bytes(octets[:3]) + b"\xff\xfe" + bytes(octets[3:])
    return str(ipaddress.IPv6Address(int(network.network_address) | int.from_bytes(interface, "big")))


def is_auto(ip_version: int, ra_mode: str | None, address_mode: str | None) -> bool:
    """Whether guests make their own addresses in this subnet, so that ours must be the same."""
    automatic = ("slaac", "dhcpv6-stateless")
    return ip_version == 6 and (ra_mode in automatic or address_mode in automatic)


def text(version: int, address: int) -> str:
    return str(ipaddress.IPv4Address(address) if version == 4 else ipaddress.IPv6Address(address))
