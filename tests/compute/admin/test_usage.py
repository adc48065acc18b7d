"""Usage reports, extensions, external events and the small things below a server."""

from __future__ import annotations

from tests.conftest import OTHER_PROJECT, PROJECT

DAY = "start=2026-01-01T00:00:00&end=2026-01-02T00:00:00"


def usage(operator, query=DAY, project=PROJECT, version="2.1", as_="member"):
    return operator.get(f"os-simple-tenant-usage/{project}?{query}", version, as_=as_)


def test_hours_of_servers(nova, operator):
    server = nova.boot()
    nova.cloud.clock.advance(3600)
    nova.agent.hello()
    nova.client.delete(f"/v2.1/servers/{server}")
    nova.settle()
    nova.boot(name="two")
    nova.cloud.clock.advance(1800)
    found = usage(operator).json["tenant_usage"]
    first, second = sorted(found["server_usages"], key=lambda one: one["name"])
    assert (first["hours"], first["state"], first["uptime"], first["memory_mb"]) == (1.0, "terminated", 3600, 512)
    # Nobody is charged for what is still to come.
    assert (second["hours"], second["state"], second["ended_at"]) == (0.5, "active", None)
    assert (found["total_hours"], found["total_memory_mb_usage"], found["tenant_id"]) == (1.5, 768.0, PROJECT)
    assert found["stop"] == "2026-01-01T13:30:00.000000"
    later = usage(operator, "start=2026-01-01T12:30:00&end=2026-01-01T13:00:00").json["tenant_usage"]
    assert [one["hours"] for one in later["server_usages"]] == [0.5]
    listed = operator.get(f"os-simple-tenant-usage?{DAY}").json["tenant_usages"]
    assert [(one["tenant_id"], one["total_hours"]) for one in listed] == [(PROJECT, 1.5)]
    assert "server_usages" not in listed[0]
    detailed = operator.get(f"os-simple-tenant-usage?{DAY}&detailed=1").json["tenant_usages"]
    assert len(detailed[0]["server_usages"]) == 2


def test_paging_of_usage(nova, operator):
    for name in ("a", "b", "c"):
        nova.boot(name=name)
        nova.cloud.clock.advance(1)
    page = usage(operator, DAY + "&limit=2", version="2.40").json
    assert [one["name"] for one in page["tenant_usage"]["server_usages"]] == ["a", "b"]
    marker = page["tenant_usage_links"][0]["href"].rpartition("marker=")[2]
    rest = usage(operator, f"{DAY}&limit=2&marker={marker}", version="2.40").json
    assert [one["name"] for one in rest["tenant_usage"]["server_usages"]] == ["c"]
    assert "tenant_usage_links" not in rest
    assert usage(operator, DAY + "&marker=nope", version="2.40").status_code == 400


def test_bad_periods_and_strangers(operator):
    assert usage(operator, "start=yesterday").status_code == 400
    assert usage(operator, "start=2026-01-02T00:00:00&end=2026-01-01T00:00:00").status_code == 400
    assert usage(operator, project=OTHER_PROJECT).status_code == 403
    assert usage(operator).json == {"tenant_usage": {}}
    assert operator.get(f"os-simple-tenant-usage?{DAY}", as_="member").status_code == 403


def test_extensions(operator):
    found = operator.get("extensions", as_="member").json["extensions"]
    assert len(found) == 100
    shown = operator.get("extensions/os-aggregates", as_="member").json["extension"]
    assert (shown["alias"], shown["name"], shown["links"]) == ("os-aggregates", "Aggregates", [])
    assert operator.get("extensions/nope", as_="member").status_code == 404


def test_external_events(nova, operator):
    server = nova.boot()
    missing = "11111111-2222-4333-8444-555555555555"

    def send(*ids, name="network-changed", as_="service", version="2.1", **more):
        events = [{"name": name, "server_uuid": one, "tag": "t", **more} for one in ids]
        return operator.post("os-server-external-events", {"events": events}, version, as_=as_)

    answer = send(server)
    assert (answer.status_code, answer.json["events"][0]["code"]) == (200, 200)
    assert answer.json["events"][0]["status"] == "completed"
    mixed = send(server, missing)
    assert mixed.status_code == 207
    assert [(one["code"], one["status"]) for one in mixed.json["events"]] == [(200, "completed"), (404, "failed")]
    assert (send(missing).status_code, send(missing).json["events"][0]["code"]) == (207, 404)
    assert send(server, as_="member").status_code == 403
    event = {"name": "network-changed", "server_uuid": server}
    assert nova.client.post("/v2/os-server-external-events", as_="service", json={"events": [event]}).status_code == 200
    assert send(server, name="volume-extended").status_code == 400
    assert send(server, name="volume-extended", version="2.51").status_code == 200
    assert send(server, status="odd").status_code == 400
    assert send().status_code == 400
    waiting = nova.create(name="waiting").json["server"]["id"]
    assert send(waiting).json["events"][0]["code"] == 422


def test_passwords(nova, operator):
    server = nova.boot()
    assert operator.get(f"servers/{server}/os-server-password", as_="member").json == {"password": ""}
    assert operator.delete(f"servers/{server}/os-server-password", as_="member").status_code == 204
    assert operator.get(f"servers/{server}/os-server-password", as_="other").status_code == 404
