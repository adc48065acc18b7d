"""Lists of servers: filters, sorting, paging, and what they cost."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tests.conftest import OTHER_PROJECT


def v(number):
    return {"OpenStack-API-Version": f"compute {number}"}


@pytest.fixture
def fleet(nova):
    """Three servers: web-1 (ACTIVE, tagged), web-2 (SHUTOFF), db (BUILD); and one of somebody else."""
    found = {}
    for number, name in enumerate(("web-1", "web-2", "db")):
        nova.cloud.clock.advance(1)
        meta = {"n": str(number), "who": 'a"b'}
        answer = nova.create(name=name, version="2.52", metadata=meta, tags=[f"t{number}", "all"])
        found[name] = answer.json["server"]["id"]
        if name != "db":
            nova.settle()
    nova.act(found["web-2"], "os-stop")
    nova.agent.run()
    nova.cloud.clock.advance(1)
    found["theirs"] = nova.create(name="theirs", as_="other").json["server"]["id"]
    return found


def names(nova, query="", as_="member", version="2.1", status=200):
    answer = nova.client.get(f"/v2.1/servers{query}", as_=as_, headers=v(version))
    assert answer.status_code == status, answer.text
    return [server["name"] for server in answer.json["servers"]] if status == 200 else answer.json


@pytest.mark.parametrize(
    ("query", "expected"),
    [("", ["db", "web-2", "web-1"]), ("?name=web", ["web-2", "web-1"]), ("?name=^web-[2-9]$", ["web-2"]),
     ("?name=100%25", []), ("?status=ACTIVE", ["web-1"]), ("?status=shutoff", ["web-2"]), ("?status=BUILD", ["db"]),
     ("?status=ACTIVE&status=BUILD", ["db", "web-1"]), ("?status=RESIZE", []), ("?status=REBOOT", []),
     ("?image=70a599e0-31e7-49b7-b260-868f441e862b&flavor=1", ["db", "web-2", "web-1"]), ("?flavor=2", []),
     ("?sort_key=display_name&sort_dir=asc", ["db", "web-1", "web-2"]),
     ("?sort_key=display_name&sort_key=created_at&sort_dir=desc&sort_dir=asc", ["web-2", "web-1", "db"]),
     ("?metadata={%22n%22:%221%22}", ["web-2"]), ("?metadata={%22who%22:%22a%5C%22b%22,%22n%22:%220%22}", ["web-1"]),
     ("?limit=2", ["db", "web-2"]),
     ("?nonsense=1", ["db", "web-2", "web-1"]), ("?host=host1", ["db", "web-2", "web-1"])],
)  # fmt: skip
def test_filters_and_order(nova, fleet, query, expected):
    assert names(nova, query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [("?tags=t0,all", ["web-1"]), ("?tags-any=t0,t1", ["web-2", "web-1"]), ("?not-tags=t0", ["db", "web-2"]),
     ("?not-tags-any=t0,t1", ["db"]), ("?changes-since=2026-01-01T12:00:02Z", ["db", "web-2"]),
     ("?changes-before=2026-01-01T12:00:01Z", ["web-1"]), ("?locked=true", []), ("?vm_state=stopped", ["web-2"])],
)  # fmt: skip
def test_newer_filters(nova, fleet, query, expected):
    assert names(nova, query, version="2.83") == expected


def test_bad_filters(nova, fleet):
    assert "Invalid status value" in str(names(nova, "?status=nope", version="2.38", status=400))
    assert names(nova, "?status=nope") == []
    for query in ("?name=(", "?limit=-1", "?limit=x", "?marker=nope", "?sort_key=password", "?sort_dir=up",
                  "?changes-since=yesterday", "?metadata=x", "?all_tenants=perhaps", "?name=(a*)*b"):  # fmt: skip
        names(nova, query, status=400)
    names(nova, "?nonsense=1", version="2.75", status=400)


def test_tenants(nova, fleet):
    assert names(nova, as_="other") == ["theirs"]
    names(nova, "?all_tenants=1", status=403)
    assert names(nova, "?all_tenants=1", as_="admin") == ["theirs", "db", "web-2", "web-1"]
    assert names(nova, f"?all_tenants=1&project_id={OTHER_PROJECT}", as_="admin") == ["theirs"]
    assert names(nova, f"?tenant_id={OTHER_PROJECT}", as_="admin") == []
    assert names(nova, "?all_tenants=1&host=host1", as_="admin") == ["web-2", "web-1"]


def test_paging_covers_everything_once(nova, fleet):
    first = nova.client.get("/v2.1/servers/detail?limit=2").json
    assert [server["name"] for server in first["servers"]] == ["db", "web-2"]
    link = first["servers_links"][0]["href"]
    rest = nova.client.get("/v2.1/servers/detail" + link[link.index("?") :]).json
    assert [server["name"] for server in rest["servers"]] == ["web-1"]
    assert "servers_links" not in rest


def queries_of(nova, path):
    count = []
    listener = lambda *args: count.append(args[2])  # noqa: E731
    sa.event.listen(nova.cloud.db.engine, "before_cursor_execute", listener)
    try:
        answer = nova.client.get(path, headers=v("latest"), as_="admin")
    finally:
        sa.event.remove(nova.cloud.db.engine, "before_cursor_execute", listener)
    return len(count), len(answer.json["servers"])


def test_a_list_costs_the_same_number_of_queries_whatever_its_length(nova):
    for _ in range(3):
        nova.boot(as_="admin")
    few = queries_of(nova, "/v2.1/servers/detail?limit=1")
    many = queries_of(nova, "/v2.1/servers/detail")
    assert (few[1], many[1]) == (1, 3)
    assert few[0] == many[0]
    assert many[0] <= 12
