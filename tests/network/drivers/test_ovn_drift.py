"""Whatever has happened to the northbound database, one reconcile makes it right, and a second finds nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from onestack.network.drivers import base
from onestack.network.drivers.ovn import ovsdb, schema
from onestack.network.drivers.ovn.driver import OvnDriver

from . import worlds
from .engine import Databases

# Enough of other worlds to come from: each drops some objects and changes others.
PORTS = (*worlds.world.ports, worlds.vm(3), worlds.vm(4, security_group_ids=(worlds.OTHER,)), worlds.vm(5, host=""))


@st.composite
def some_world(draw: st.DrawFn) -> base.World:
    """A part of the cloud that fits together."""
    ports = tuple(port for port in PORTS if draw(st.booleans()))
    router = worlds.router
    if draw(st.booleans()):
        router = replace(router, gateway=None, routes=())
    if draw(st.booleans()):
        ports = tuple(replace(port, security_group_ids=(), dns_name="") for port in ports)
    has_router = draw(st.booleans())
    return replace(
        worlds.world,
        ports=ports,
        routers=(router,) if has_router else (),
        floating_ips=worlds.world.floating_ips if has_router and draw(st.booleans()) else (),
        security_groups=(replace(worlds.group, rules=worlds.rules[: draw(st.integers(0, 3))]), worlds.other),
    )


TABLES = sorted(schema.COLUMNS)
SPOILT: dict[str, Any] = {"set": ["set", []], "map": ["map", [["junk", "1"]]]}
TEXTS = ("name", "match", "cidr", "nexthop", "logical_ip")

damage = st.tuples(
    st.sampled_from(["delete", "column", "members"]), st.sampled_from(TABLES), st.integers(0, 9), st.integers(0, 9)
)


def spoil(databases: Databases, kind: str, table: str, which: int, column: int) -> None:
    """Damage one row; what the database does not allow does not happen."""
    rows = sorted(databases.rows(table), key=lambda row: str(row["_uuid"]))
    if not rows:
        return
    where = ovsdb.where_uuid(rows[which % len(rows)]["_uuid"])
    if kind == "delete":
        operation: dict[str, Any] = {"op": "delete", "table": table, "where": where}
    elif kind == "members" and table in schema.SHARED_BY_PARENT:
        columns = schema.SHARED_BY_PARENT[table]
        empty = {columns[column % len(columns)]: SPOILT["set"]}
        operation = {"op": "update", "table": table, "where": where, "row": empty}
    else:
        # Without the mark a row is nobody's, and nobody's rows stay: so that is not damaged here.
        names = [name for name in schema.COLUMNS[table] if name != "external_ids"]
        name = names[column % len(names)]
        sort = schema.COLUMNS[table][name]
        if sort == "atom" and name not in TEXTS:
            return
        value = SPOILT.get(sort, f"spoilt-{which}")
        operation = {"op": "update", "table": table, "where": where, "row": {name: value}}
    try:
        databases.transact("nb", operation)
    except ovsdb.Refused:
        return


@pytest.fixture(scope="module")
def pair(server: Databases) -> Iterator[tuple[Databases, OvnDriver]]:
    driver = OvnDriver(server.remote("nb"), server.remote("sb"), "cloud-1")
    yield server, driver
    driver.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=some_world(), after=some_world(), damages=st.lists(damage, max_size=6))
def test_reconcile_from_any_state(
    pair: tuple[Databases, OvnDriver], before: base.World, after: base.World, damages: list[tuple[str, str, int, int]]
) -> None:
    databases, driver = pair
    databases.clear()
    driver.reconcile(lambda: after)
    right = databases.content()
    driver.reconcile(lambda: before)
    for item in damages:
        spoil(databases, *item)

    report = driver.reconcile(lambda: after)

    assert report.failed == {}
    assert databases.content() == right
    assert driver.reconcile(lambda: after).repairs == ()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=some_world(), after=some_world())
def test_applying_the_difference_is_as_good_as_a_reconcile(
    pair: tuple[Databases, OvnDriver], before: base.World, after: base.World
) -> None:
    databases, driver = pair
    databases.clear()
    driver.reconcile(lambda: before)
    old = {(kind, item.id) for kind, item in base.described(before)}
    new = {(kind, item.id) for kind, item in base.described(after)}

    driver.apply(worlds.changes(after, gone=frozenset(old - new)))

    assert driver.reconcile(lambda: after).repairs == ()
