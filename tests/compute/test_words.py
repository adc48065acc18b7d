"""Which mistake is named, in which words, and what the answers around Nova's own code look like."""

from __future__ import annotations

import pytest

from tests.conftest import PROJECT

NOWHERE = "70a599e0-31e7-49b7-b260-868f441e8620"


def said(answer):
    assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"
    ((_name, error),) = answer.json.items()
    return error["message"]


@pytest.mark.parametrize(
    ("body", "version", "words"),
    [
        (None, "2.1", "None is not of type 'object'"),
        ([], "2.1", "[] is not of type 'object'"),
        ({}, "2.1", "'server' is a required property"),
        ({"server": {"name": "a", "flavorRef": "1"}, "x": 1}, "2.1",
         "Additional properties are not allowed ('x' was unexpected)"),
        ({"server": {"name": 1}}, "2.1", "Invalid input for field/attribute name. Value: 1. 1 is not of type 'string'"),
        ({"server": {"name": "a", "x": 1}}, "2.1", "Invalid input for field/attribute server. Value: "
         "{'name': 'a', 'x': 1}. 'flavorRef' is a required property"),
        ({"server": {"name": " a"}}, "2.1", "An invalid 'name' value was provided. The name must be: printable "
         "characters. Can not start or end with whitespace."),
        ({"server": {"name": "a", "metadata": {"a/b": "c"}}}, "2.1", "Invalid input for field/attribute metadata. "
         "Value: {'a/b': 'c'}. 'a/b' does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{1,255}$'"),
        ({"server": {"name": "a", "networks": [{"x": 1}]}}, "2.1", "Invalid input for field/attribute 0. Value: "
         "{'x': 1}. Additional properties are not allowed ('x' was unexpected)"),
        ({"server": {"name": "a", "networks": ["auto"]}}, "2.37", "Invalid input for field/attribute networks. Value: "
         "['auto']. ['auto'] is not valid under any of the given schemas"),
        ({"server": {"name": "a", "min_count": ""}}, "2.1",
         "Invalid input for field/attribute min_count. Value: . '' should be non-empty"),
        ({"server": {"name": "a", "flavorRef": "1"}, "os:scheduler_hints": {"group": "x"}}, "2.1",
         "Invalid input for field/attribute group. Value: x. 'x' is not valid under any of the given schemas"),
    ],
)  # fmt: skip
def test_words_of_the_schema(nova, body, version, words):
    """They come before the rights of the caller are looked at."""
    for as_ in ("member", "reader"):
        headers = {"OpenStack-API-Version": f"compute {version}"}
        answer = nova.client.post("/v2.1/servers", as_=as_, json=body, headers=headers)
        assert (answer.status_code, said(answer)) == (400, words)


@pytest.mark.parametrize(
    ("query", "version", "words"),
    [
        ("name=", "2.1", "Invalid input for query parameters name. Value: . '' is not a 'regex'"),
        ("limit=", "2.1", "Invalid input for query parameters limit. Value: . '' should be non-empty"),
        ("_x=1", "2.75", None),
        ("foo=1&bar=2", "2.75", "'bar', 'foo' do not match any of the regexes: '^_'"),
        ("foo=1", "2.74", None),
        ("sort_key=host", "2.1", "Only administrators can sort servers by host"),
        ("sort_key=vcpus", "2.74", None),
        ("sort_key=updated_at&sort_key=name", "2.74", "Invalid input for query parameters sort_key. Value: name."),
        ("hostname=none", "2.89", None),
    ],
)
def test_queries_of_lists(nova, query, version, words):
    nova.boot()
    answer = nova.client.get(f"/v2.1/servers?{query}", headers={"OpenStack-API-Version": f"compute {version}"})
    if words is None:
        assert len(answer.json["servers"]) == 1
    else:
        assert said(answer).startswith(words)


def test_users_filter_by_host_name_since_290(nova):
    nova.boot()
    answer = nova.client.get("/v2.1/servers?hostname=none", headers={"OpenStack-API-Version": "compute 2.90"})
    assert answer.json["servers"] == []


def test_parameters_without_a_meaning_are_refused_since_2102(nova):
    server = nova.boot()
    for path in ("", "/ips", "/metadata", "/os-interface", "/topology"):
        url = f"/v2.1/servers/{server}{path}?x=1"
        assert nova.client.get(url, headers={"OpenStack-API-Version": "compute 2.101"}).status_code == 200
        answer = nova.client.get(url, headers={"OpenStack-API-Version": "compute 2.102"})
        assert said(answer) == "Additional properties are not allowed ('x' was unexpected)"


def test_actions_are_not_changed_before_they_were(nova):
    query = "changes-since=2021-01-01T00:00:00Z&changes-before=2020-01-01T00:00:00Z"
    url = f"/v2.1/servers/{nova.boot()}/os-instance-actions?{query}"
    answer = nova.client.get(url, headers={"OpenStack-API-Version": "compute 2.66"})
    assert said(answer) == "The value of changes-since must be less than or equal to changes-before."


def test_the_token_comes_before_everything(nova):
    for path, version in (("/v2.1/nowhere", "2.1"), ("/v2.1/servers", "9.9"), (f"/v2.1/{PROJECT}/", "2.1")):
        answer = nova.client.get(path, as_=None, headers={"OpenStack-API-Version": f"compute {version}"})
        assert answer.status_code == 401
        assert "OpenStack-API-Version" not in answer.headers


@pytest.mark.parametrize(
    ("header", "status", "shown"),
    [("compute 2.20, compute 2.30", 200, "2.30"), ("COMPUTE 2.30", 200, "2.30"), ("compute LATEST", 400, None),
     ("compute 2.30 x", 400, None), ("compute 2.999", 406, "2.999"), ("volume 3.0", 200, "2.1")],
)  # fmt: skip
def test_versions_that_are_asked_for(nova, header, status, shown):
    answer = nova.client.get("/v2.1/servers", headers={"OpenStack-API-Version": header})
    assert answer.status_code == status
    assert answer.headers.get("X-OpenStack-Nova-API-Version") == shown
    assert nova.client.get("/v2/servers", headers={"OpenStack-API-Version": header}).status_code == 200


def test_what_is_not_there(nova):
    answer = nova.client.get("/v3/servers", as_=None)
    assert answer.status_code == 300
    assert [choice["id"] for choice in answer.json["choices"]] == ["v2.0", "v2.1"]
    for method, path in (("DELETE", "/v2.1/servers"), ("GET", "/v2.1/nowhere"), ("GET", f"/v2.1/{PROJECT}")):
        answer = nova.client.request(method, path, headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json["code"]) == (404, "404 Not Found")


def test_content_types(nova):
    for kind, status in (("application/xml", 415), ("text/plain", 400), ("application/json; charset=utf-8", 400)):
        answer = nova.client.request("POST", "/v2.1/servers", body=b"{}", headers={"Content-Type": kind})
        assert answer.status_code == status
    server = nova.boot()
    assert nova.client.delete(f"/v2.1/servers/{server}").headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "servers/x/os-virtual-interfaces"), ("POST", "servers/x/consoles"), ("GET", "os-cells/detail"),
     ("DELETE", "os-agents/1")],
)  # fmt: skip
def test_what_is_gone(nova, method, path):
    answer = nova.client.request(method, f"/v2.1/{path}", headers={"OpenStack-API-Version": "compute 2.96"})
    assert answer.status_code == 410


@pytest.mark.parametrize(
    ("raw", "status"),
    [(b"", 400), (b"{}", 400), (b'{"pause": null, "lock": null}', 400), (b"null", 404), (b"[1]", 404),
     (b'{"resetNetwork": null}', 410), (b'{"nope": null}', 400), (b'{"os-getVNCConsole": {"type": "novnc"}}', 404)],
)  # fmt: skip
def test_bodies_of_actions(nova, raw, status):
    answer = nova.client.request(
        "POST", f"/v2.1/servers/{NOWHERE}/action", body=raw, headers={"OpenStack-API-Version": "compute 2.6"}
    )
    assert answer.status_code == status


def test_ports_and_mappings_that_contradict_themselves(nova):
    port = {"port": NOWHERE}
    assert "was specified twice" in said(nova.create(networks=[port, port]))
    assert "the two cannot be specified together" in said(nova.create(networks=[{**port, "fixed_ip": "1.2.3.4"}]))
    assert said(nova.create(networks=[{}])) == "Bad network format: missing 'uuid'"
    blank = {"source_type": "blank", "uuid": NOWHERE}
    assert said(nova.create(block_device_mapping_v2=[blank])).endswith("Invalid device UUID.")
    assert said(nova.create(block_device_mapping_v2=[{"source_type": "image"}])).endswith("Missing device UUID.")
