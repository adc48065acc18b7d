"""Security group rules as OVN match expressions."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from onestack.network.drivers.base import Rule
from onestack.network.drivers.ovn import acl

GROUP = "11111111-2222-3333-4444-555555555555"
REMOTE = "$pg_11111111_2222_3333_4444_555555555555"
IN4 = Rule(id=GROUP, direction="ingress")
IN6 = replace(IN4, ethertype="IPv6")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (IN4, "outport == @pg && ip4"),
        (replace(IN4, direction="egress"), "inport == @pg && ip4"),
        (replace(IN6, direction="egress"), "inport == @pg && ip6"),
        (replace(IN4, protocol="any"), "outport == @pg && ip4"),
        (replace(IN4, protocol="0"), "outport == @pg && ip4"),
        (replace(IN4, protocol="tcp"), "outport == @pg && ip4 && tcp"),
        (
            replace(IN4, protocol="TCP", port_range_min=22, port_range_max=22),
            "outport == @pg && ip4 && tcp && tcp.dst == 22",
        ),
        (
            replace(IN4, protocol="17", port_range_min=80, port_range_max=90),
            "outport == @pg && ip4 && udp && udp.dst >= 80 && udp.dst <= 90",
        ),
        (replace(IN4, protocol="tcp", port_range_min=1, port_range_max=65535), "outport == @pg && ip4 && tcp"),
        (
            replace(IN4, protocol="sctp", port_range_min=5, port_range_max=65535),
            "outport == @pg && ip4 && sctp && sctp.dst >= 5",
        ),
        (replace(IN4, protocol="icmp"), "outport == @pg && ip4 && icmp4"),
        (replace(IN4, protocol="1", port_range_min=8), "outport == @pg && ip4 && icmp4 && icmp4.type == 8"),
        (
            replace(IN4, protocol="icmp", port_range_min=0, port_range_max=0),
            "outport == @pg && ip4 && icmp4 && icmp4.type == 0 && icmp4.code == 0",
        ),
        (replace(IN6, protocol="icmp"), "outport == @pg && ip6 && icmp6"),
        (replace(IN6, protocol="ipv6-icmp", port_range_min=128), "outport == @pg && ip6 && icmp6 && icmp6.type == 128"),
        (replace(IN6, protocol="58"), "outport == @pg && ip6 && icmp6"),
        (replace(IN4, protocol="vrrp"), "outport == @pg && ip4 && ip.proto == 112"),
        (replace(IN4, protocol="47"), "outport == @pg && ip4 && ip.proto == 47"),
        (replace(IN4, remote_ip_prefix="10.1.2.3/8"), "outport == @pg && ip4 && ip4.src == 10.0.0.0/8"),
        (
            replace(IN4, direction="egress", remote_ip_prefix="0.0.0.0/0"),
            "inport == @pg && ip4 && ip4.dst == 0.0.0.0/0",
        ),
        (replace(IN6, remote_ip_prefix="FD00::/8"), "outport == @pg && ip6 && ip6.src == fd00::/8"),
        (replace(IN4, remote_group_id=GROUP), f"outport == @pg && ip4 && ip4.src == {REMOTE}_ip4"),
        (
            replace(IN6, direction="egress", remote_group_id=GROUP, protocol="udp"),
            f"inport == @pg && ip6 && ip6.dst == {REMOTE}_ip6 && udp",
        ),
    ],
)
def test_match(rule: Rule, expected: str) -> None:
    assert acl.match(rule, "pg") == expected


def test_a_rule_that_ovn_can_not_express_allows_nothing() -> None:
    assert acl.match(replace(IN4, protocol="dccp", port_range_min=5, port_range_max=5), "pg") is None
    assert acl.match(replace(IN4, port_range_min=5, port_range_max=5), "pg") is None


@pytest.mark.parametrize(
    "rule",
    [
        replace(IN4, remote_ip_prefix="10.0.0.0/8 || 1"),
        replace(IN4, remote_ip_prefix="fd00::/8"),
        replace(IN6, remote_ip_prefix="10.0.0.0/8"),
        replace(IN4, remote_group_id="1 || ip"),
        replace(IN4, protocol="tcp || 1"),
        replace(IN4, protocol="256"),
        replace(IN4, protocol="-1"),
    ],
)
def test_nothing_typed_gets_into_an_expression(rule: Rule) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        acl.match(rule, "pg")
