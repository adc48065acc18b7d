"""Consoles in the API: remote-consoles, the older actions, console-auth-tokens."""

from __future__ import annotations

import datetime
import hashlib
import urllib.parse

import pytest
import sqlalchemy as sa

from onestack.compute.console import tokens


def ask(nova, server_id, protocol="vnc", kind="novnc", version="2.6", as_="member", **more):
    body = {"remote_console": {"protocol": protocol, "type": kind, **more}}
    headers = {"OpenStack-API-Version": f"compute {version}"}
    return nova.client.post(f"/v2.1/servers/{server_id}/remote-consoles", as_=as_, json=body, headers=headers)


def show(nova, token, version="2.31", as_="admin"):
    headers = {"OpenStack-API-Version": f"compute {version}"}
    return nova.client.get(f"/v2.1/os-console-auth-tokens/{token}", as_=as_, headers=headers)


def token_of(url):
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    inner = query["path"][0].removeprefix("?") if "path" in query else urllib.parse.urlsplit(url).query
    return urllib.parse.parse_qs(inner)["token"][0]


MALFORMED = "The server could not comply with the request since it is either malformed or otherwise incorrect."


@pytest.fixture
def server(nova):
    return nova.boot()


def test_a_vnc_console(nova, cloud, server):
    answer = ask(nova, server)
    assert answer.status_code == 200
    console = answer.json["remote_console"]
    assert (console["protocol"], console["type"]) == ("vnc", "novnc")
    assert console["url"].startswith("http://127.0.0.1:6080/vnc_lite.html?path=%3Ftoken%3D")
    with cloud.db.read() as session:
        row = session.scalars(sa.select(tokens.ConsoleToken)).one()
    token = token_of(console["url"])
    assert row.token_sha256 == hashlib.sha256(token.encode()).hexdigest()
    assert token not in str(vars(row))


def test_a_serial_console(nova, server):
    console = ask(nova, server, "serial", "serial").json["remote_console"]
    assert console["url"].startswith("ws://127.0.0.1:6080/?token=")


def test_the_older_actions(nova, server):
    answer = nova.act(server, "os-getVNCConsole", {"type": "novnc"})
    assert answer.status_code == 200
    assert answer.json["console"]["type"] == "novnc"
    assert "/vnc_lite.html?path=" in answer.json["console"]["url"]
    answer = nova.act(server, "os-getSerialConsole", {"type": "serial"})
    assert answer.json["console"]["url"].startswith("ws://")


@pytest.mark.parametrize(
    ("protocol", "kind", "version", "message"),
    [
        ("vnc", "xvpvnc", "2.6", "Invalid console type xvpvnc"),
        ("spice", "spice-html5", "2.6", "Unavailable console type spice-html5."),
        ("rdp", "rdp-html5", "2.6", MALFORMED),
        ("mks", "webmks", "2.8", "Unavailable console type webmks."),
        ("spice", "spice-direct", "2.99", "Unavailable console type spice-direct."),
        ("serial", "novnc", "2.6", "Invalid console type novnc"),
    ],
)
def test_other_types_are_refused(nova, server, protocol, kind, version, message):
    answer = ask(nova, server, protocol, kind, version)
    assert (answer.status_code, answer.json["badRequest"]["message"]) == (400, message)


@pytest.mark.parametrize(
    ("action", "kind", "message"),
    [
        ("os-getVNCConsole", "xvpvnc", "Invalid console type xvpvnc"),
        ("os-getSPICEConsole", "spice-html5", "Unavailable console type spice-html5."),
        ("os-getRDPConsole", "rdp-html5", MALFORMED),
    ],
)
def test_other_actions_are_refused(nova, server, action, kind, message):
    answer = nova.act(server, action, {"type": kind})
    assert (answer.status_code, answer.json["badRequest"]["message"]) == (400, message)


@pytest.mark.parametrize(
    ("protocol", "kind", "version"),
    [("mks", "webmks", "2.7"), ("spice", "spice-direct", "2.98"), ("tv", "novnc", "2.6")],
)
def test_the_schema_of_each_version(nova, server, protocol, kind, version):
    answer = ask(nova, server, protocol, kind, version)
    assert answer.status_code == 400
    assert "is not one of" in answer.json["badRequest"]["message"]


def test_bad_bodies(nova, server):
    assert ask(nova, server, more=1).status_code == 400
    for body in ({}, {"remote_console": {"protocol": "vnc"}}, {"remote_console": []}):
        headers = {"OpenStack-API-Version": "compute 2.6"}
        answer = nova.client.post(f"/v2.1/servers/{server}/remote-consoles", json=body, headers=headers)
        assert answer.status_code == 400
    assert nova.act(server, "os-getVNCConsole", {}).status_code == 400
    assert nova.act(server, "os-getVNCConsole", {"type": "other"}).status_code == 400


def test_remote_consoles_came_with_2_6_and_the_actions_ended(nova, server):
    assert ask(nova, server, version="2.5").status_code == 404
    assert nova.act(server, "os-getVNCConsole", {"type": "novnc"}, version="2.6").status_code in (400, 404)


def test_who_may(nova, server):
    assert ask(nova, server, as_="other").status_code == 404
    assert ask(nova, server, as_="reader").status_code == 403
    assert ask(nova, server, as_="admin").status_code == 200
    assert ask(nova, "99999999-9999-4999-8999-999999999999").status_code == 404


def test_a_server_that_is_being_built_has_no_console_yet(nova):
    answer = nova.create()
    server_id = answer.json["server"]["id"]
    for settled in (lambda: None, nova.schedule):
        settled()
        refused = ask(nova, server_id)
        assert (refused.status_code, refused.json["conflictingRequest"]["message"]) == (
            409, f"Instance {server_id} is not ready",
        )  # fmt: skip


def test_a_server_that_is_being_deleted_has_no_console_any_more(nova, server):
    assert nova.client.delete(f"/v2.1/servers/{server}").status_code == 204
    refused = ask(nova, server)
    assert refused.status_code == 409
    assert "while it is in task_state deleting" in refused.json["conflictingRequest"]["message"]


def test_what_a_token_is_for(nova, server):
    token = token_of(ask(nova, server).json["remote_console"]["url"])
    console = {"instance_uuid": server, "host": "host1", "port": 0, "internal_access_path": None}
    assert show(nova, token).json == {"console": console}
    assert show(nova, token, "2.99").json == {"console": console}
    assert show(nova, token, as_="member").status_code == 403
    assert show(nova, token, "2.30").status_code == 400
    missing = show(nova, "nonsense")
    assert (missing.status_code, missing.json["itemNotFound"]["message"]) == (404, "Token not found")


def test_a_token_lives_for_ten_minutes(nova, cloud, server):
    token = token_of(ask(nova, server).json["remote_console"]["url"])
    cloud.clock.advance(599)
    assert show(nova, token).status_code == 200
    cloud.clock.advance(1)
    assert show(nova, token).status_code == 404


def test_a_token_ends_with_its_server(nova, cloud, server):
    token = token_of(ask(nova, server).json["remote_console"]["url"])
    assert nova.client.delete(f"/v2.1/servers/{server}").status_code == 204
    nova.settle()
    assert show(nova, token).status_code == 404
    with cloud.db.read() as session:
        assert session.scalars(sa.select(tokens.ConsoleToken)).all() == []


def test_a_token_is_for_the_host_it_was_made_for(cloud, nova, server):
    with cloud.db.write() as session:
        token = tokens.issue(session, cloud, server_id=server, host="elsewhere", console_type="novnc")
    assert show(nova, token).status_code == 404


def test_expired_tokens_are_cleared_away(nova, cloud, server):
    ask(nova, server)
    cloud.clock.advance(tokens.LIFETIME / datetime.timedelta(seconds=1))
    ask(nova, server)
    with cloud.db.read() as session:
        assert len(session.scalars(sa.select(tokens.ConsoleToken)).all()) == 1
