"""POST /servers: what is taken, what is refused and in which words; interfaces; quotas."""

from __future__ import annotations

import base64
import threading
import time

import pytest
import sqlalchemy as sa

from onestack.compute.models import Question, Server
from onestack.core import quota
from onestack.network import attributes, networks, subnets
from tests.compute.conftest import IMAGE, add_image
from tests.conftest import PROJECT


@pytest.fixture
def net(nova):
    """A network of the member's project with a subnet: its id."""
    with nova.cloud.db.write() as session:
        return _network(session, nova.cloud, "net1", "10.1.0.0/24")


def _network(session, cloud, name, cidr):
    network = networks.create(
        session, cloud, PROJECT, attributes.read(networks.ATTRIBUTES, {"name": name}, creating=True)
    )
    sent = {"name": name, "network_id": network.id, "cidr": cidr, "ip_version": 4}
    subnets.create(session, cloud, network, PROJECT, attributes.read(subnets.ATTRIBUTES, sent, creating=True))
    return network.id


def message(answer):
    return next(iter(answer.json.values()))["message"]


@pytest.mark.parametrize(
    ("more", "words"),
    [({"imageRef": "nope"}, "imageRef"),
     ({"imageRef": "00000000-31e7-49b7-b260-868f441e862b"}, "Can not find requested"),
     ({"imageRef": ""}, "Missing imageRef attribute"), ({"flavorRef": "99"}, "Flavor 99 could not be found."),
     ({"key_name": "nokey"}, "Invalid key_name provided."), ({"name": ""}, "should be non-empty"),
     ({"name": "x" * 256}, "too long"),
     ({"metadata": {"a": 1}}, "is not of type 'string'"), ({"metadata": {"a/b": "c"}}, "does not match"),
     ({"metadata": []}, "is not of type 'object'"), ({"user_data": "YWJ"}, "base64"),
     ({"min_count": 0}, "minimum of 1"),
     ({"min_count": "x"}, "min_count"), ({"max_count": 2**63 - 1, "min_count": 2**33}, "greater than"),
     ({"networks": [{"uuid": "x"}]}, "uuid"), ({"networks": "any"}, "networks"), ({"networks": [{"foo": 1}]}, "foo"),
     ({"networks": [{"uuid": "70a599e0-31e7-49b7-b260-868f441e8620"}]}, "could not be found"),
     ({"networks": [{"port": "70a599e0-31e7-49b7-b260-868f441e8620"}]}, "could not be found"),
     ({"networks": [{"fixed_ip": "999.1.1.1"}]}, "ip"), ({"availability_zone": "mars"}, "availability zone"),
     ({"unknown": 1}, "Additional properties are not allowed"), ({"accessIPv4": "fe80::1"}, "ipv4"),
     ({"OS-DCF:diskConfig": "MAYBE"}, "is not one of"), ({"config_drive": "perhaps"}, "config_drive"),
     ({"tags": ["not yet"]}, "Additional properties"), ({"description": 5}, "description"),
     ({"block_device_mapping_v2": [{"source_type": "volume", "uuid": "x", "boot_index": 0}]}, "no volumes"),
     ({"security_groups": [{"name": "nogroup"}], "networks": "auto"}, "")],
)  # fmt: skip
def test_what_is_refused(nova, more, words):
    answer = nova.create(**more)
    assert answer.status_code == 400, answer.text
    assert words in message(answer)
    with nova.cloud.db.read() as session:
        assert session.scalars(sa.select(Server)).all() == []


def test_missing_fields(nova):
    for body in ({}, {"server": {}}, {"server": {"name": "a"}}, {"server": []}, {"servers": {}}):
        assert nova.client.post("/v2.1/servers", json=body).status_code == 400
    assert (
        nova.create(version="2.37", networks=None)
        .json["badRequest"]["message"]
        .endswith("'networks' is a required property")
    )
    assert nova.create(version="2.36", networks=None).status_code == 202


def test_an_image_must_fit_the_flavor(nova):
    big, hungry = "11111111-31e7-49b7-b260-868f441e862b", "22222222-31e7-49b7-b260-868f441e862b"
    with nova.cloud.db.write() as session:
        add_image(session, nova.cloud, big, virtual_size=5 << 30)
        add_image(session, nova.cloud, hungry, min_ram=4096)
    assert "Flavor's disk is too small for requested image" in message(nova.create(imageRef=big))
    assert "Flavor's memory is too small for requested image" in message(nova.create(imageRef=hungry))


def test_quota(nova):
    with nova.cloud.db.write() as session:
        quota.set_limits(session, "compute", PROJECT, {"cores": 2, "metadata_items": 1})
    assert nova.create(name="a").status_code == 202
    refused = nova.create(min_count=2)
    assert refused.status_code == 403
    assert message(refused) == "Quota exceeded for cores: Requested 2, but already used 1 of 2 cores"
    assert nova.create(min_count=1, max_count=5).status_code == 202
    with nova.cloud.db.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Server)) == 2  # as many as fit
    assert nova.create(metadata={"a": "b", "c": "d"}).status_code == 403


def test_everything_that_can_be_given(nova, net):
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ1Qw0m4Zl3lq6mX6D9qf0v0mJm2rM3v7l0m2d0qk3vB"
    nova.client.post("/v2.1/os-keypairs", json={"keypair": {"name": "k", "public_key": key}})
    data = base64.b64encode(b"#!/bin/sh").decode()
    server_id = nova.boot(
        version="2.94", name="All of it!", networks=[{"uuid": net, "fixed_ip": "10.1.0.77", "tag": "nic0"}],
        key_name="k", user_data=data, metadata={"a": "b"}, tags=["t"], description="d", config_drive=True,
        hostname="host.example.org", adminPass="secret", accessIPv4="192.0.2.1", security_groups=[{"name": "default"}],
        availability_zone="nova", **{"OS-DCF:diskConfig": "AUTO"},
    )  # fmt: skip
    spec = nova.agent.specs[server_id]
    assert spec.config_drive
    assert spec.hostname == "host.example.org"
    assert [nic.network_id for nic in spec.nics] == [net]
    assert spec.disks[0].size_gb == 1
    shown = nova.show(server_id, "latest", as_="admin")
    assert [entry["addr"] for entry in shown["addresses"]["net1"]] == ["10.1.0.77"]
    assert shown["security_groups"] == [{"name": "default"}]
    assert (shown["key_name"], shown["tags"], shown["description"], shown["accessIPv4"]) == (
        "k",
        ["t"],
        "d",
        "192.0.2.1",
    )
    assert (shown["OS-EXT-SRV-ATTR:user_data"], shown["config_drive"], shown["OS-DCF:diskConfig"]) == (
        data,
        "True",
        "AUTO",
    )
    assert shown["flavor"]["original_name"] == "m1.tiny"
    ips = nova.client.get(f"/v2.1/servers/{server_id}/ips").json["addresses"]
    assert ips == {"net1": [{"version": 4, "addr": "10.1.0.77"}]}
    assert nova.client.get(f"/v2.1/servers/{server_id}/ips/other").status_code == 404


def test_boot_device_mapping_of_the_image(nova):
    mapping = [{"uuid": IMAGE, "boot_index": 0, "source_type": "image", "destination_type": "local",
                "delete_on_termination": True}]  # fmt: skip
    assert nova.create(block_device_mapping_v2=mapping).status_code == 202
    refused = nova.create(imageRef="", block_device_mapping_v2=mapping)
    assert message(refused) == "Block Device Mapping is Invalid: Mapping image to local is not supported."


def test_forced_hosts_are_for_admins(nova):
    assert nova.create(availability_zone="nova:host1").status_code == 403
    assert nova.create(as_="admin", availability_zone="nova:host1").status_code == 202
    assert nova.create(as_="admin", availability_zone="nova:nowhere").status_code == 400
    assert nova.create(version="2.74", host="host1").status_code == 403
    assert nova.create(as_="admin", version="2.74", host="host1").status_code == 202


def test_several_networks_must_be_chosen_from(nova, net):
    with nova.cloud.db.write() as session:
        _network(session, nova.cloud, "net2", "10.2.0.0/24")
    refused = nova.create(version="2.36", networks=None)
    assert refused.status_code == 409
    assert message(refused) == "Multiple possible networks found, use a Network ID to be more specific."


def test_interfaces_come_and_go(nova, net):
    server_id = nova.boot()
    base = f"/v2.1/servers/{server_id}/os-interface"
    made = nova.client.post(base, json={"interfaceAttachment": {"net_id": net}})
    assert made.status_code == 200, made.text
    port = made.json["interfaceAttachment"]["port_id"]
    assert nova.client.post(base, json={"interfaceAttachment": {"net_id": net}}).status_code == 200  # nothing is shown
    nova.settle()
    assert len(nova.client.get(base).json["interfaceAttachments"]) == 2
    assert nova.client.get(f"{base}/{port}").json["interfaceAttachment"]["net_id"] == net
    assert nova.client.delete(f"{base}/{port}").status_code == 202
    nova.settle()
    assert [nic.port_id for nic in nova.agent.specs[server_id].nics] != [port]
    assert nova.client.get(f"{base}/{port}").status_code == 404
    assert nova.client.delete(f"{base}/{port}").status_code == 404
    assert nova.client.post(base, json={"interfaceAttachment": {"net_id": net, "port_id": port}}).status_code == 400
    nova.client.delete(f"/v2.1/servers/{server_id}")
    nova.settle()
    with nova.cloud.db.read() as session:
        assert (
            session.execute(sa.text("SELECT count(*) FROM ports WHERE device_id = :id"), {"id": server_id}).scalar()
            == 0
        )


def test_metadata_and_tags(nova):
    server_id = nova.boot(metadata={"a": "1"})
    base = f"/v2.1/servers/{server_id}"
    v = {"OpenStack-API-Version": "compute 2.26"}
    assert nova.client.post(f"{base}/metadata", json={"metadata": {"b": "2"}}).json == {
        "metadata": {"a": "1", "b": "2"}
    }
    assert nova.client.put(f"{base}/metadata/b", json={"meta": {"b": "3"}}).json == {"meta": {"b": "3"}}
    assert nova.client.put(f"{base}/metadata/b", json={"meta": {"c": "3"}}).status_code == 400
    assert nova.client.put(f"{base}/metadata", json={"metadata": {"z": "9"}}).json == {"metadata": {"z": "9"}}
    assert nova.client.delete(f"{base}/metadata/z").status_code == 204
    assert nova.client.get(f"{base}/metadata/z").status_code == 404
    assert nova.client.put(f"{base}/tags/x", headers=v).status_code == 201
    assert nova.client.put(f"{base}/tags/x", headers=v).status_code == 204
    assert nova.client.put(f"{base}/tags", json={"tags": ["y", "z"]}, headers=v).json == {"tags": ["y", "z"]}
    assert nova.client.get(f"{base}/tags/y", headers=v).status_code == 204
    assert nova.client.delete(f"{base}/tags/x", headers=v).status_code == 404
    assert nova.client.get(f"{base}/tags").status_code == 404  # not before 2.26


def test_update(nova):
    server_id = nova.boot()
    path = f"/v2.1/servers/{server_id}"
    body = {"server": {"name": "new", "accessIPv4": "192.0.2.9"}}
    shown = nova.client.put(path, json=body).json["server"]
    assert (shown["name"], shown["accessIPv4"]) == ("new", "192.0.2.9")
    assert "OS-EXT-STS:vm_state" not in shown
    assert nova.client.put(path, json={"server": {"description": "x"}}).status_code == 400
    assert nova.client.put(path, json=body, as_="other").status_code == 404
    assert nova.client.put(path, json=body, as_="reader").status_code == 403
    assert nova.agent.run().servers[0].name == "new"


def test_console_output_asks_the_host(nova, cloud):
    server_id = nova.boot()
    asked = []

    def host():
        """Answers the first question there is, as POST /v1/answers does."""
        while not asked:
            with cloud.db.write() as session:
                for question in session.scalars(sa.select(Question)):
                    asked.append((question.host, question.kind, question.args))
                    question.answer = {"ok": True, "body": {"output": "login:"}}
            time.sleep(0.01)

    thread = threading.Thread(target=host)
    thread.start()
    answer = nova.act(server_id, "os-getConsoleOutput", {"length": 5})
    thread.join(20)
    assert (answer.status_code, answer.json) == (200, {"output": "login:"})
    assert asked == [("host1", "console_output", {"length": 5})]


def test_questions_reach_the_agent_once_and_only_its_own(nova, cloud):
    with cloud.db.write() as session:
        for number, host in enumerate(("host1", "elsewhere")):
            session.add(Question(id=f"q{number}", host=host, server_id="s", kind="diagnostics", args={},
                                 created_at=cloud.clock.now()))  # fmt: skip
    assert [question.id for question in nova.agent.work().questions] == ["q0"]
    assert nova.agent.work().questions == []
    assert nova.agent.post("/v1/answers/q0", {"ok": True}).status_code == 200
    assert nova.agent.post("/v1/answers/q1", {"ok": True}).status_code == 404
