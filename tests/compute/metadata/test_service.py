"""Port 8775, and what agents ask for their guests."""

from __future__ import annotations

import hashlib
import hmac
import json

import msgspec
import pytest

from onestack.compute import public
from onestack.compute.metadata import service
from onestack.wire import ConfigDrive
from tests.compute.conftest import PlayedAgent
from tests.compute.metadata.conftest import KEY
from tests.conftest import OTHER_PROJECT, PROJECT

UNKNOWN = "99999999-9999-4999-8999-999999999999"


@pytest.fixture
def signed(cloud):
    """The headers of a proxy that asks for a server."""

    def make(server_id, project_id=PROJECT, secret=None):
        key = service.shared_secret(cloud) if secret is None else secret
        signature = hmac.new(key, server_id.encode(), hashlib.sha256).hexdigest()
        return {"X-Instance-ID": server_id, "X-Tenant-ID": project_id, "X-Instance-ID-Signature": signature}

    return make


@pytest.fixture
def other_agent(nova, cloud):
    """The agent of another host."""
    with cloud.db.write() as session:
        public.register_host_token(session, cloud, "host2", "other-token")
    agent = PlayedAgent(nova.agents, "host2", "other-token")
    assert agent.hello().status_code == 200
    return agent


# Port 8775


def test_the_versions_need_no_headers(metadata):
    answer = metadata.get("/", as_=None)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=UTF-8")
    assert answer.text.split("\n")[-2:] == ["2009-04-04", "latest"]


def test_a_proxy_gets_the_documents_of_its_server(metadata, server, signed):
    answer = metadata.get("/openstack/latest/meta_data.json", as_=None, headers=signed(server))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    body = answer.json
    assert body["uuid"] == server
    assert body["hostname"] == "one.novalocal"
    assert body["meta"] == {"role": "web"}
    assert body["keys"] == [{"name": "mine", "type": "ssh", "data": KEY}]
    assert body["availability_zone"] == "nova"
    assert "admin_pass" not in body
    answer = metadata.get("/latest/user-data", as_=None, headers=signed(server))
    assert (answer.content, answer.headers["content-type"]) == (b"#!/bin/sh\n", "text/plain; charset=UTF-8")


@pytest.mark.parametrize("missing", ["X-Instance-ID", "X-Instance-ID-Signature", "X-Tenant-ID"])
def test_each_header_is_needed(metadata, server, signed, missing):
    headers = signed(server)
    del headers[missing]
    answer = metadata.get("/latest", as_=None, headers=headers)
    assert answer.status_code == 400
    assert f"{missing} header is missing from request." in answer.text


@pytest.mark.parametrize("signature", ["", "0" * 64, "é"])
def test_a_wrong_signature_is_refused(metadata, server, signed, signature):
    headers = {**signed(server), "X-Instance-ID-Signature": signature}
    answer = metadata.get("/latest", as_=None, headers=headers)
    assert answer.status_code == 403
    assert "Invalid proxy request signature." in answer.text


def test_a_signature_is_for_one_server(metadata, server, signed):
    headers = {**signed(server), "X-Instance-ID": UNKNOWN}
    assert metadata.get("/latest", as_=None, headers=headers).status_code == 403


def test_what_is_not_there_is_not_found(metadata, server, signed):
    for path, headers in (
        ("/latest", signed(UNKNOWN)),
        ("/latest", signed(server, OTHER_PROJECT)),
        ("/openstack/latest/nothing", signed(server)),
    ):
        answer = metadata.get(path, as_=None, headers=headers)
        assert answer.status_code == 404
        assert "404 Not Found" in answer.text


def test_errors_look_as_the_client_asks(metadata, server, signed):
    for accept, kind in (
        ("*/*", "text/html; charset=UTF-8"),
        ("application/json", "application/json"),
        ("text/plain", "text/plain; charset=UTF-8"),
    ):
        answer = metadata.get("/nothing", as_=None, headers={**signed(server), "Accept": accept})
        assert (answer.status_code, answer.headers["content-type"]) == (404, kind)


def test_a_deleted_server_is_not_found(nova, metadata, server, signed):
    assert nova.client.delete(f"/v2.1/servers/{server}").status_code == 204
    nova.settle()
    assert metadata.get("/latest", as_=None, headers=signed(server)).status_code == 404


def test_a_guest_posts_its_password_once(metadata, server, signed):
    path = "/openstack/2013-04-04/password"
    assert metadata.get(path, as_=None, headers=signed(server)).content == b""
    answer = metadata.post(path, as_=None, headers=signed(server), body=b"Zm9v")
    assert (answer.status_code, answer.content) == (200, b"")
    assert metadata.get(path, as_=None, headers=signed(server)).content == b"Zm9v"
    assert metadata.post(path, as_=None, headers=signed(server), body=b"other").status_code == 409
    assert metadata.get(path, as_=None, headers=signed(server)).content == b"Zm9v"


def test_a_password_has_an_end_and_an_owner(metadata, server, signed):
    path = "/openstack/latest/password"
    assert metadata.post(path, as_=None, headers=signed(server), body=b"x" * 1021).status_code == 400
    assert metadata.post(path, as_=None, headers=signed(server), body=b"\xff").status_code == 400
    assert metadata.post(path, as_=None, headers=signed(server, secret=b"guess"), body=b"x").status_code == 403
    assert metadata.get(path, as_=None, headers=signed(server)).content == b""


# The agents


def test_a_guest_is_known_by_its_network_and_address(nova, server, network, address):
    answer = nova.agents.get(
        f"/v1/metadata/{network}/{address}/openstack/latest/meta_data.json", as_=None, headers=nova.agent.headers
    )
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json["uuid"] == server
    answer = nova.agents.get(
        f"/v1/metadata/{network}/{address}/latest/meta-data/local-ipv4", as_=None, headers=nova.agent.headers
    )
    assert answer.text == address


@pytest.mark.parametrize("rest", ["", "/"])
def test_a_guest_may_ask_for_the_root(nova, server, network, address, rest):
    answer = nova.agents.get(f"/v1/metadata/{network}/{address}{rest}", as_=None, headers=nova.agent.headers)
    assert answer.status_code == 200
    assert answer.text.startswith("1.0\n2007-01-19")


def test_unknown_guests_and_paths_are_not_found(nova, server, network, address):
    for path in (f"{network}/10.0.0.250/latest", f"{UNKNOWN}/{address}/latest", f"{network}/{address}/nothing"):
        answer = nova.agents.get(f"/v1/metadata/{path}", as_=None, headers=nova.agent.headers)
        assert answer.status_code == 404
        assert "The resource could not be found." in answer.text


def test_an_agent_sees_only_guests_of_its_host(nova, server, network, address, other_agent):
    for path in (f"metadata/{network}/{address}/latest", f"servers/{server}/config-drive"):
        assert nova.agents.get(f"/v1/{path}", as_=None, headers=nova.agent.headers).status_code == 200
        assert nova.agents.get(f"/v1/{path}", as_=None, headers=other_agent.headers).status_code == 404
        assert nova.agents.get(f"/v1/{path}", as_=None).status_code == 401


def test_the_config_drive_of_a_server(nova, server, address):
    answer = nova.agents.get(f"/v1/servers/{server}/config-drive", as_=None, headers=nova.agent.headers)
    assert answer.status_code == 200
    files = {file.path: file.content for file in msgspec.json.decode(answer.content, type=ConfigDrive).files}
    assert files["openstack/latest/user_data"] == b"#!/bin/sh\n"
    body = json.loads(files["openstack/latest/meta_data.json"])
    assert (body["uuid"], body["hostname"]) == (server, "one.novalocal")
    assert body["admin_pass"]
    network = json.loads(files["openstack/latest/network_data.json"])
    assert [entry["type"] for entry in network["networks"]] == ["ipv4_dhcp"]
    assert network["services"] == [{"type": "dns", "address": "9.9.9.9"}]


def test_files_given_at_create_are_on_the_drive(nova, network):
    answer = nova.create(
        version="2.1", networks=[{"uuid": network}], config_drive=True,
        personality=[{"path": "/etc/motd", "contents": "aGVsbG8="}],
    )  # fmt: skip
    assert answer.status_code == 202, answer.text
    nova.settle()
    server_id = answer.json["server"]["id"]
    answer = nova.agents.get(f"/v1/servers/{server_id}/config-drive", as_=None, headers=nova.agent.headers)
    files = {file.path: file.content for file in msgspec.json.decode(answer.content, type=ConfigDrive).files}
    assert files["openstack/content/0000"] == b"hello"
    assert json.loads(files["openstack/latest/meta_data.json"])["files"] == [
        {"path": "/etc/motd", "content_path": "/content/0000"}
    ]
