"""Addresses: whatever the pools, the same one is never given twice, and none is left over."""

from __future__ import annotations

import ipaddress
import random

from hypothesis import given
from hypothesis import strategies as st

from onestack.network import ipam

bounds = st.tuples(st.integers(0, 60), st.integers(0, 8)).map(lambda pair: (pair[0], pair[0] + pair[1]))
pool_lists = st.lists(bounds, min_size=1, max_size=5).filter(lambda pools: ipam.overlapping(pools) is None)


def every(pools):
    return {number for first, last in pools for number in range(first, last + 1)}


@given(pool_lists, st.sets(st.integers(0, 80)))
def test_the_lowest_free_address(pools, used):
    free = every(pools) - used
    assert ipam.lowest_free(pools, used) == (min(free) if free else None)


@given(pool_lists, st.integers(0, 1 << 30))
def test_choosing_until_nothing_is_left_gives_each_address_once(pools, seed):
    rng, used = random.Random(seed), set()
    while (found := ipam.choose(pools, rng, lambda numbers: used & set(numbers), lambda: used)) is not None:
        assert found not in used
        used.add(found)
    assert used == every(pools)


@given(st.integers(0, 1 << 30))
def test_a_huge_pool_is_not_enumerated(seed):
    pools = ipam.default_pools(ipaddress.ip_network("fd00::/16"), None)
    found = ipam.choose(pools, random.Random(seed), lambda numbers: set(), lambda: set())
    assert ipam.in_pools(found, pools)
    assert ipam.lowest_free(pools, range(pools[0][0], pools[0][0] + 1000)) == pools[0][0] + 1000


@given(st.lists(bounds, max_size=6))
def test_overlap_is_found(pools):
    numbers = [number for first, last in pools for number in range(first, last + 1)]
    assert (ipam.overlapping(pools) is not None) == (len(numbers) != len(set(numbers)))


@given(st.integers(16, 32), st.integers(0, (1 << 32) - 1), st.integers(0, 300))
def test_default_pools_leave_out_the_gateway_and_the_ends(prefix, base, offset):
    network = ipaddress.ip_network((base, prefix), strict=False)
    gateway = network.network_address + min(offset, network.num_addresses - 1)
    pools = ipam.default_pools(network, gateway)
    first, last = ipam.usable(network)
    inside = first <= int(gateway) <= last
    assert ipam.size(pools) == last - first + 1 - inside
    assert not (inside and ipam.in_pools(int(gateway), pools))


def test_eui64():
    network = ipaddress.ip_network("2001:db8::/64")
    assert ipam.eui64(network, "fa:16:3e:00:00:01") == "2001:db8::f816:3eff:fe00:1"
