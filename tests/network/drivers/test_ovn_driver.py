"""The OVN driver on a real northbound database."""

from __future__ import annotations

import threading
import time

import pytest
from msgspec.structs import replace

from onestack.config import Settings
from onestack.network.drivers import base
from onestack.network.drivers.ovn import ovsdb, rows
from onestack.network.drivers.ovn.driver import OvnDriver

from . import worlds
from .engine import Databases
from .worlds import FLOATING, GROUP, NET, OTHER, ROUTER, SUBNET, VM1, VM2, changes, vm, vm1, world


def ports_of(databases: Databases, table: str, uuid: str) -> set[str]:
    row = databases.row(table, uuid)
    assert row is not None
    members = row["ports"]
    return set(members) if isinstance(members, frozenset) else {members}


def test_a_whole_world_is_made_in_one_call_and_nothing_is_left_to_repair(
    driver: OvnDriver, databases: Databases
) -> None:
    driver.apply(changes())
    content = databases.content()

    report = driver.reconcile(lambda: world)

    assert report.repairs == ()
    assert report.failed == {}
    assert report.objects == 13
    assert databases.content() == content


def test_applying_again_changes_nothing(driver: OvnDriver, databases: Databases) -> None:
    driver.apply(changes())
    before = {row["_uuid"]: row["_version"] for row in databases.rows("Logical_Switch")}
    driver.apply(changes())
    assert {row["_uuid"]: row["_version"] for row in databases.rows("Logical_Switch")} == before


def test_objects_applied_one_by_one_give_the_same_as_all_at_once(driver: OvnDriver, databases: Databases) -> None:
    driver.apply(changes())
    content = databases.content()
    databases.clear()
    names = {
        "network": "networks",
        "subnet": "subnets",
        "port": "ports",
        "router": "routers",
        "floating_ip": "floating_ips",
        "security_group": "security_groups",
    }
    for kind, item in base.described(world):
        driver.apply(base.Changes(**{names[kind]: (item,)}))
    assert databases.content() == content


def test_all_objects_gone_leave_an_empty_database(driver: OvnDriver, databases: Databases) -> None:
    databases_before = databases.content()
    driver.apply(changes())
    driver.apply(base.Changes(gone=frozenset((kind, item.id) for kind, item in base.described(world))))
    left = {row["name"] for row in databases.rows("Port_Group")}
    assert left == {rows.DROP_GROUP}
    databases.transact("nb", {"op": "delete", "table": "Port_Group", "where": []})
    assert databases.content() == databases_before


def test_a_port_that_is_gone_leaves_its_switch_its_groups_and_dns(driver: OvnDriver, databases: Databases) -> None:
    driver.apply(changes())
    driver.apply(base.Changes(gone=frozenset({("port", VM1)})))
    assert VM1 not in ports_of(databases, "Logical_Switch", NET)
    assert ports_of(databases, "Port_Group", GROUP) == {VM2}
    assert {row["_uuid"] for row in databases.rows("DNS")} == {VM2}
    driver.apply(base.Changes(gone=frozenset({("port", VM1)})))


def test_a_port_changes_groups(driver: OvnDriver, databases: Databases) -> None:
    driver.apply(changes())
    driver.apply(base.Changes(ports=(replace(vm1, security_group_ids=(OTHER,)),)))
    assert ports_of(databases, "Port_Group", GROUP) == {VM2}
    assert ports_of(databases, "Port_Group", OTHER) == {VM1}
    driver.apply(base.Changes(ports=(replace(vm1, security_group_ids=(), port_security_enabled=False),)))
    assert ports_of(databases, "Port_Group", OTHER) == set()
    assert ports_of(databases, "Port_Group", rows.DROP_PLACE.uuid) == {VM2}


def test_a_rule_that_is_removed_is_gone_at_once(driver: OvnDriver, databases: Databases) -> None:
    driver.apply(changes())
    driver.apply(base.Changes(security_groups=(replace(worlds.group, rules=worlds.rules[:1]),)))
    matches = {row["match"] for row in databases.rows("ACL")}
    assert not any("tcp.dst == 22" in match for match in matches)
    assert ports_of(databases, "Port_Group", GROUP) == {VM1, VM2}


def test_a_router_loses_its_gateway_and_keeps_what_is_not_its_own(driver: OvnDriver, databases: Databases) -> None:
    driver.apply(changes())
    driver.apply(base.Changes(routers=(replace(worlds.router, gateway=None, routes=()),)))
    assert [row["type"] for row in databases.rows("NAT")] == ["dnat_and_snat"]
    assert databases.rows("Logical_Router_Static_Route") == []
    assert databases.rows("Gateway_Chassis") == []
    assert [row["name"] for row in databases.rows("Logical_Router_Port")] == [f"lrp-{worlds.INTERFACE}"]


def test_a_floating_ip_moves_between_routers_and_is_released(driver: OvnDriver, databases: Databases) -> None:
    second = base.Router(id=worlds.id_of("second"))
    driver.apply(changes())
    driver.apply(base.Changes(routers=(second,), floating_ips=(replace(worlds.floating, router_id=second.id),)))
    holders = {row["_uuid"]: row["nat"] for row in databases.rows("Logical_Router")}
    assert holders[second.id] == FLOATING
    assert FLOATING not in {holders[ROUTER]} | (holders[ROUTER] if isinstance(holders[ROUTER], frozenset) else set())
    driver.apply(base.Changes(floating_ips=(replace(worlds.floating, router_id="", port_id="", fixed_ip_address=""),)))
    assert [row["type"] for row in databases.rows("NAT")] == ["snat"]


def test_a_network_that_loses_its_metadata_port(driver: OvnDriver, databases: Databases) -> None:
    driver.apply(changes())
    driver.apply(base.Changes(networks=(replace(worlds.network, metadata=None),)))
    assert worlds.METADATA not in ports_of(databases, "Logical_Switch", NET)
    assert VM1 in ports_of(databases, "Logical_Switch", NET)


def test_a_port_without_its_network_fails_and_the_others_do_not(driver: OvnDriver, databases: Databases) -> None:
    driver.apply(changes())
    lost = vm(3, network_id=worlds.id_of("nowhere"))
    with pytest.raises(base.ObjectsFailed) as caught:
        driver.apply(base.Changes(ports=(lost, vm(4))))
    assert set(caught.value.failed) == {f"port:{lost.id}"}
    assert "is not there" in caught.value.failed[f"port:{lost.id}"]
    assert vm(4).id in ports_of(databases, "Logical_Switch", NET)
    assert databases.row("Logical_Switch_Port", lost.id) is None


def test_a_port_of_a_network_that_goes_in_the_same_call_fails(driver: OvnDriver, databases: Databases) -> None:
    driver.apply(changes())
    with pytest.raises(base.ObjectsFailed):
        driver.apply(base.Changes(ports=(vm(3),), gone=frozenset({("network", NET)})))
    assert databases.row("Logical_Switch", NET) is None


@pytest.mark.parametrize(
    "broken",
    [
        replace(vm1, mac="fa:16:3e:00:00:01 unknown"),
        replace(vm1, fixed_ips=(base.FixedIp(subnet_id=SUBNET, address="10.0.0.1; drop"),)),
        replace(vm1, dns_name='x" || 1'),
        replace(vm1, allowed_address_pairs=(base.AddressPair(ip="10.0.0.0/24", mac="nonsense"),)),
        replace(vm1, id="not-a-uuid"),
    ],
)
def test_what_ovn_can_not_take_is_named_and_never_written(
    driver: OvnDriver, databases: Databases, broken: base.Port
) -> None:
    driver.apply(changes())
    before = databases.content()
    with pytest.raises(base.ObjectsFailed) as caught:
        driver.apply(base.Changes(ports=(broken,)))
    assert set(caught.value.failed) == {f"port:{broken.id}"}
    assert databases.content() == before


def test_an_object_that_the_database_refuses_does_not_stop_its_batch(driver: OvnDriver, databases: Databases) -> None:
    driver.apply(changes())
    wrong = replace(worlds.public, id=worlds.id_of("wrong"), segmentation_id=99999)
    right = replace(worlds.network, id=worlds.id_of("right"), metadata=None)
    with pytest.raises(base.ObjectsFailed) as caught:
        driver.apply(base.Changes(networks=(wrong, right), ports=(vm(5),)))
    assert set(caught.value.failed) == {f"network:{wrong.id}"}
    assert databases.row("Logical_Switch", right.id) is not None
    assert vm(5).id in ports_of(databases, "Logical_Switch", NET)


def test_a_name_that_somebody_else_took_is_taken_back(driver: OvnDriver, databases: Databases) -> None:
    databases.transact(
        "nb",
        {"op": "insert", "table": "Logical_Switch_Port", "uuid-name": "p", "row": {"name": VM1}},
        {"op": "insert", "table": "Logical_Switch", "row": {"name": "theirs", "ports": ["named-uuid", "p"]}},
        {"op": "insert", "table": "Port_Group", "row": {"name": "pg_" + GROUP.replace("-", "_")}},
    )
    driver.apply(changes())
    assert driver.reconcile(lambda: world).repairs == ()
    assert VM1 in ports_of(databases, "Logical_Switch", NET)
    assert "theirs" in {row["name"] for row in databases.rows("Logical_Switch")}


def test_reconcile_repairs_and_says_what_was_wrong(driver: OvnDriver, databases: Databases) -> None:
    driver.apply(changes())
    content = databases.content()
    here = ovsdb.where_uuid(VM1)
    databases.transact(
        "nb",
        {"op": "update", "table": "Logical_Switch_Port", "where": here, "row": {"port_security": ["set", []]}},
        {"op": "delete", "table": "Logical_Router", "where": []},
        {"op": "mutate", "table": "Port_Group", "where": [], "mutations": [["ports", "delete", ["uuid", VM2]]]},
    )
    report = driver.reconcile(lambda: world)
    assert f"Logical_Switch_Port {VM1} differs in port_security" in report.repairs
    assert f"Logical_Router neutron-{ROUTER} is missing" in report.repairs
    assert any(line.endswith(f"{VM2} is a missing member") for line in report.repairs)
    assert databases.content() == content
    assert driver.reconcile(lambda: world).repairs == ()


def test_reconcile_removes_what_is_not_in_the_world_and_leaves_what_is_not_ours(
    driver: OvnDriver, databases: Databases
) -> None:
    neighbour = OvnDriver(databases.remote("nb"), databases.remote("sb"), "cloud-2")
    theirs = base.Network(id=worlds.id_of("theirs"), name="theirs")
    neighbour.apply(base.Changes(networks=(theirs,)))
    neighbour.close()
    driver.apply(changes())
    databases.transact(
        "nb",
        {"op": "insert", "table": "Logical_Switch_Port", "uuid-name": "p", "row": {"name": "by-hand"}},
        {
            "op": "mutate",
            "table": "Logical_Switch",
            "where": ovsdb.where_uuid(NET),
            "mutations": [["ports", "insert", ["named-uuid", "p"]]],
        },
    )
    report = driver.reconcile(lambda: base.World(networks=(worlds.network,)))
    assert f"Logical_Router neutron-{ROUTER} is surplus" in report.repairs
    assert {row["_uuid"] for row in databases.rows("Logical_Switch")} == {NET, theirs.id}
    assert {row["name"] for row in databases.rows("Logical_Switch_Port")} == {worlds.METADATA, "by-hand"}
    assert databases.rows("Logical_Router") == databases.rows("DHCP_Options") == databases.rows("DNS") == []


def test_strangers_are_put_out_of_a_security_group(driver: OvnDriver, databases: Databases) -> None:
    driver.apply(changes())
    databases.transact(
        "nb",
        {"op": "insert", "table": "Logical_Switch_Port", "uuid-name": "p", "row": {"name": "by-hand"}},
        {"op": "insert", "table": "Logical_Switch", "row": {"name": "theirs", "ports": ["named-uuid", "p"]}},
    )
    content = databases.content()
    stranger = next(row["_uuid"] for row in databases.rows("Logical_Switch_Port") if row["name"] == "by-hand")
    acl = {"priority": 2000, "direction": "to-lport", "match": "1", "action": "allow"}
    members = ["set", [["uuid", worlds.INTERFACE], ["uuid", stranger]]]
    databases.transact(
        "nb",
        {"op": "insert", "table": "ACL", "uuid-name": "a", "row": acl},
        {
            "op": "mutate",
            "table": "Port_Group",
            "where": ovsdb.where_uuid(GROUP),
            "mutations": [["ports", "insert", members], ["acls", "insert", ["named-uuid", "a"]]],
        },
    )
    driver.reconcile(lambda: world)
    assert databases.content() == content


def test_a_port_stays_in_an_operators_own_group(driver: OvnDriver, databases: Databases) -> None:
    driver.apply(changes())
    databases.transact("nb", {"op": "insert", "table": "Port_Group", "row": {"name": "mine", "ports": ["uuid", VM1]}})
    driver.apply(base.Changes(ports=(replace(vm1, name="new"),)))
    driver.reconcile(lambda: replace(world, ports=(replace(vm1, name="new"), *world.ports[1:])))
    assert next(row["ports"] for row in databases.rows("Port_Group") if row["name"] == "mine") == VM1


def test_a_repair_does_not_undo_what_another_server_did_meanwhile(databases: Databases) -> None:
    ours = OvnDriver(databases.remote("nb"), databases.remote("sb"), "cloud-1")
    theirs = OvnDriver(databases.remote("nb"), databases.remote("sb"), "cloud-1")
    ours.apply(changes())
    drift = {"op": "update", "table": "Logical_Switch_Port", "where": ovsdb.where_uuid(VM1), "row": {"addresses": "x"}}
    databases.transact("nb", drift)
    newer = replace(vm1, allowed_address_pairs=(base.AddressPair(ip="10.0.0.99", mac=worlds.mac_of(99)),))
    loads = []

    def load() -> base.World:
        loads.append(1)
        if len(loads) > 1:
            return replace(world, ports=(newer, *world.ports[1:]))
        theirs.apply(base.Changes(ports=(newer,)))
        return world

    ours.reconcile(load)
    assert len(loads) == 2
    row = databases.row("Logical_Switch_Port", VM1)
    assert row is not None
    assert worlds.mac_of(99) in row["addresses"]
    ours.close()
    theirs.close()


def test_reconcile_keeps_what_an_object_had_whose_description_is_bad(driver: OvnDriver, databases: Databases) -> None:
    driver.apply(changes())
    before = databases.content()
    bad = replace(world, ports=(replace(vm1, mac="bad"), *world.ports[1:]))
    report = driver.reconcile(lambda: bad)
    assert set(report.failed) == {f"port:{VM1}"}
    assert report.repairs == ()
    assert databases.content() == before


def test_a_port_applied_while_reconcile_runs_survives_it(databases: Databases) -> None:
    """Another server applies a port after this one read the database; its world has the port."""
    ours = OvnDriver(databases.remote("nb"), databases.remote("sb"), "cloud-1")
    theirs = OvnDriver(databases.remote("nb"), databases.remote("sb"), "cloud-1")
    ours.apply(changes())

    def load() -> base.World:
        theirs.apply(base.Changes(ports=(vm(7),)))
        return replace(world, ports=(*world.ports, vm(7)))

    assert ours.reconcile(load).repairs == ()
    assert vm(7).id in ports_of(databases, "Logical_Switch", NET)
    ours.close()
    theirs.close()


def test_two_servers_apply_at_once(databases: Databases) -> None:
    OvnDriver(databases.remote("nb"), databases.remote("sb"), "cloud-1").apply(changes())
    problems: list[Exception] = []

    def work(number: int) -> None:
        driver = OvnDriver(databases.remote("nb"), databases.remote("sb"), "cloud-1")
        try:
            for name in ("a", "b", "c"):
                driver.apply(base.Changes(ports=(vm(8, name=name), vm(10 + number, name=name))))
        except Exception as error:
            problems.append(error)
        driver.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert {vm(10 + number).id for number in range(4)} < ports_of(databases, "Logical_Switch", NET)


def test_the_database_is_killed_and_comes_back(driver: OvnDriver, databases: Databases) -> None:
    driver.apply(changes())
    databases.kill("nb")
    assert not driver.look().ok
    assert "nb.sock" in driver.look().reason
    with pytest.raises(base.EngineUnavailable):
        driver.apply(base.Changes(ports=(vm(3),)))
    databases.start("nb")
    assert driver.look() == base.Health(ok=True)
    driver.apply(base.Changes(ports=(vm(3),)))
    assert vm(3).id in ports_of(databases, "Logical_Switch", NET)


def test_a_hung_database_does_not_hang_the_caller(databases: Databases) -> None:
    driver = OvnDriver(databases.remote("nb"), databases.remote("sb"), "cloud-1", timeout=0.3)
    driver.apply(changes())
    server = databases.processes["nb"]
    server.send_signal(19)  # SIGSTOP
    try:
        began = time.monotonic()
        with pytest.raises(base.EngineUnavailable):
            driver.apply(base.Changes(ports=(vm(3),)))
        assert time.monotonic() - began < 5
    finally:
        server.send_signal(18)  # SIGCONT
    driver.apply(base.Changes(ports=(vm(3),)))
    assert driver.reconcile(lambda: replace(world, ports=(*world.ports, vm(3)))).repairs == ()
    driver.close()


def test_a_clouds_own_databases_are_found_in_its_state_directory(databases: Databases) -> None:
    (databases.root / "run").mkdir(exist_ok=True)
    for which in ("nb", "sb"):
        link = databases.root / "run" / f"ovn{which}_db.sock"
        link.unlink(missing_ok=True)
        link.symlink_to(databases.root / f"{which}.sock")
    driver = OvnDriver.from_settings(Settings(state=str(databases.root)))
    assert driver.look() == base.Health(ok=True)
    driver.close()
