"""Port events from a real southbound database."""

from __future__ import annotations

import queue
from typing import Any

from onestack.network.drivers.base import Chassis
from onestack.network.drivers.ovn.driver import OvnDriver
from onestack.network.drivers.ovn.southbound import Bindings

from .engine import Databases, wait_for

UUID = "00000000-0000-4000-8000-00000000000"
DATAPATH = UUID + "d"


def chassis(name: str, uuid: str) -> list[dict[str, Any]]:
    encap = {"type": "geneve", "ip": f"192.0.2.{uuid[-1]}", "chassis_name": name}
    row = {
        "name": name,
        "hostname": f"{name}.example",
        "encaps": ["named-uuid", "e" + name],
        "other_config": ["map", [["ovn-bridge-mappings", "public:br-ex,other:br-o"]]],
    }
    return [
        {"op": "insert", "table": "Encap", "uuid-name": "e" + name, "row": encap},
        {"op": "insert", "table": "Chassis", "uuid": uuid, "row": row},
    ]


def binding(port: str, key: int, chassis: str | None = None, up: bool = False, kind: str = "") -> dict[str, Any]:
    row: dict[str, Any] = {"logical_port": port, "type": kind, "tunnel_key": key, "datapath": ["uuid", DATAPATH]}
    if chassis:
        row |= {"chassis": ["uuid", chassis], "up": up}
    return {"op": "insert", "table": "Port_Binding", "row": row}


def change(port: str, **columns: Any) -> dict[str, Any]:
    return {"op": "update", "table": "Port_Binding", "where": [["logical_port", "==", port]], "row": columns}


def test_ports_come_up_go_down_move_and_nothing_is_lost_over_a_restart(databases: Databases) -> None:
    one, two = UUID + "1", UUID + "2"
    datapath = {"op": "insert", "table": "Datapath_Binding", "uuid": DATAPATH, "row": {"tunnel_key": 1}}
    databases.transact("sb", datapath, *chassis("one", one), *chassis("two", two))
    databases.transact("sb", binding("a", 1, one, True), binding("b", 2), binding("r", 3, one, True, "patch"))
    driver = OvnDriver(databases.remote("nb"), databases.remote("sb"), "cloud-1")
    events: queue.Queue[tuple[str, bool, str | None]] = queue.Queue()

    def callback(*event: Any) -> None:
        events.put(event)
        if event[0] == "b":
            raise RuntimeError("a callback's failure must not end the watch")

    driver.watch(callback)
    assert events.get(timeout=5) == ("a", True, "one.example")

    databases.transact("sb", change("b", chassis=["uuid", one], up=True))
    assert events.get(timeout=5) == ("b", True, "one.example")
    databases.transact("sb", change("b", chassis=["uuid", two]))
    assert events.get(timeout=5) == ("b", True, "two.example")
    databases.transact("sb", change("a", up=False))
    assert events.get(timeout=5) == ("a", False, None)

    databases.kill("sb")
    databases.start("sb")
    databases.transact(
        "sb", change("a", up=True), {"op": "delete", "table": "Port_Binding", "where": [["logical_port", "==", "b"]]}
    )
    seen = {events.get(timeout=10), events.get(timeout=10)}
    assert seen == {("a", True, "one.example"), ("b", False, None)}

    networks = ("public", "other")
    assert driver.chassis() == (
        Chassis(name="one", hostname="one.example", physical_networks=networks),
        Chassis(name="two", hostname="two.example", physical_networks=networks),
    )
    driver.close()
    assert events.empty()


def test_a_watch_starts_before_the_database(databases: Databases) -> None:
    databases.kill("sb")
    driver = OvnDriver(databases.remote("nb"), databases.remote("sb"), "cloud-1")
    events: queue.Queue[tuple[Any, ...]] = queue.Queue()
    driver.watch(lambda *event: events.put(event))
    databases.start("sb")
    wait_for(lambda: driver._watcher is not None and driver._watcher.connected.is_set())
    driver.close()


def test_a_port_on_a_host_that_left_is_down() -> None:
    bindings = Bindings()
    whole = {
        "Chassis": {"c": {"new": {"name": "c", "hostname": ""}}},
        "Port_Binding": {
            "p": {"new": {"logical_port": "p", "type": "", "up": True, "chassis": ["uuid", "c"]}},
            "q": {"new": {"logical_port": "q", "type": "", "up": ["set", []], "chassis": ["set", []]}},
        },
    }
    assert bindings.take(whole, whole=True) == [("p", (True, "c"))]
    assert bindings.take(whole) == []
    assert bindings.take({"Chassis": {"c": {"old": {}}}}) == [("p", (False, None))]
