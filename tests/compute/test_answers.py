"""Details of answers that clients' schemas insist on; Tempest found each of them wrong once."""

from __future__ import annotations

import threading
import time

import pytest
import sqlalchemy as sa

from onestack.compute.models import Question
from tests.compute.conftest import IMAGE
from tests.compute.test_create import net as net  # a fixture

SHOWN_TO_ALL = {
    "OS-EXT-AZ:availability_zone", "OS-EXT-STS:vm_state", "OS-SRV-USG:launched_at", "config_drive",
    "os-extended-volumes:volumes_attached",
}  # fmt: skip


def rebuilt(nova, version, as_="member"):
    server_id = nova.boot()
    answer = nova.act(server_id, "rebuild", {"imageRef": IMAGE}, version=version, as_=as_)
    assert answer.status_code == 202, answer.text
    return answer.json["server"]


@pytest.mark.parametrize(
    ("version", "there", "missing"),
    [
        ("2.1", {"adminPass"}, SHOWN_TO_ALL | {"key_name", "user_data"}),
        ("2.54", {"key_name"}, SHOWN_TO_ALL | {"user_data"}),
        ("2.57", {"key_name", "user_data"}, SHOWN_TO_ALL),
        ("2.75", SHOWN_TO_ALL | {"key_name", "user_data"}, {"OS-EXT-SRV-ATTR:user_data"}),
    ],
)
def test_the_answer_to_a_rebuild(nova, version, there, missing):
    shown = set(rebuilt(nova, version, as_="admin" if version == "2.75" else "member"))
    assert there <= shown
    assert not shown & missing


def test_addresses_in_the_answer_to_an_update_are_bare_before_2_75(nova, net):
    server_id = nova.boot(networks=[{"uuid": net}])
    for version, keys in (("2.1", {"version", "addr"}), ("2.75", {"version", "addr", "OS-EXT-IPS:type",
                                                                  "OS-EXT-IPS-MAC:mac_addr"})):  # fmt: skip
        shown = nova.client.put(
            f"/v2.1/servers/{server_id}", json={"server": {"name": "two"}},
            headers={"OpenStack-API-Version": f"compute {version}"},
        ).json["server"]  # fmt: skip
        ((entry, *_rest),) = shown["addresses"].values()
        assert set(entry) == keys


def test_addresses_are_canonical(nova):
    server_id = nova.boot(accessIPv6="0000:0000:0000:0000:0000:babe:220.12.22.2")
    assert nova.show(server_id)["accessIPv6"] == "::babe:dc0c:1602"


def test_hosts_of_no_zone_in_particular(nova):
    hosts = nova.client.get("/v2.1/os-hosts?zone=&service=", as_="admin").json["hosts"]
    assert "host1" in {one["host_name"] for one in hosts}


def test_limit_0_asks_for_none(nova):
    nova.boot()
    for path in ("servers", "servers/detail", "flavors"):
        answer = nova.client.get(f"/v2.1/{path}?limit=0")
        assert answer.json == {path.partition("/")[0]: []}


@pytest.mark.parametrize("path", ["servers/", "servers/detail/", "os-security-groups/"])
@pytest.mark.parametrize("base", ["/v2.1", "/v2", f"/v2.1/{'1' * 32}"])
def test_a_slash_at_the_end_leads_nowhere(nova, base, path):
    for method in ("GET", "DELETE"):
        answer = nova.client.request(method, f"{base}/{path}")
        assert answer.status_code == 404
        assert answer.headers["Content-Type"].startswith("text/")


@pytest.mark.parametrize("path", ["/", "/v2.1/", "/v2/"])
def test_versions_may_end_in_a_slash(nova, path):
    assert nova.client.get(path).status_code in (200, 300)


def test_nothing_can_be_restored(nova):
    server_id = nova.boot()
    answer = nova.act(server_id, "restore")
    assert (answer.status_code, set(answer.json)) == (409, {"conflictingRequest"})
    assert nova.act("8d7f5ad0-3a7b-4b0d-8b54-3b3c1a2f4d5e", "restore").status_code == 404


def test_inject_network_info_is_written_down(nova):
    server_id = nova.boot()
    assert nova.act(server_id, "injectNetworkInfo").status_code == 403
    assert nova.act(server_id, "injectNetworkInfo", as_="admin").status_code == 202
    actions = nova.client.get(f"/v2.1/servers/{server_id}/os-instance-actions").json["instanceActions"]
    assert {one["action"] for one in actions} == {"create", "injectNetworkInfo"}


def test_security_groups_of_a_running_server(nova, net):
    server_id = nova.boot(networks=[{"uuid": net}])
    own = nova.client.post("/v2.1/os-security-groups", json={"security_group": {"name": "web", "description": ""}}).json
    own = own["security_group"]["id"]

    def change(verb, name):
        answer = nova.act(server_id, f"{verb}SecurityGroup", {"name": name})
        return answer.status_code, next(iter(answer.json.values()))["message"] if answer.content else ""

    assert change("add", "web") == (202, "")
    again = f"Invalid input for security_groups. Reason: Duplicate items in the list: '{own}'."
    assert change("add", "web") == (400, again)
    assert change("remove", own) == (202, "")
    assert change("remove", "web") == (404, f"Security group web not associated with the instance {server_id}")
    actions = nova.client.get(f"/v2.1/servers/{server_id}/os-instance-actions").json["instanceActions"]
    assert [one["action"] for one in actions] == ["create"]


def test_usage_audit_log(nova):
    path = "/v2.1/os-instance_usage_audit_log"
    log = nova.client.get(path, as_="admin").json["instance_usage_audit_logs"]
    assert (log["period_beginning"], log["period_ending"]) == ("2025-12-01 00:00:00", "2026-01-01 00:00:00")
    assert (log["num_hosts"], log["hosts_not_run"], log["log"]) == (1, ["host1"], {})
    assert log["overall_status"] == "0 of 1 hosts done. 0 errors."
    older = nova.client.get(f"{path}/2025-03-31%2012%3A00%3A00", as_="admin").json["instance_usage_audit_log"]
    assert older["period_beginning"] == "2025-02-01 00:00:00"
    for wrong in ("soon", "0001-01-01 00:00:00"):
        assert nova.client.get(f"{path}/{wrong}", as_="admin").status_code == 400
    assert nova.client.get(path).status_code == 403


@pytest.mark.parametrize(
    ("length", "output"),
    [(None, "one\ntwo\n"), (-1, "one\ntwo\n"), (0, ""), (1, ""), ("2", "two\n"), (9, "one\ntwo\n")],
)
def test_console_lines_are_counted_as_nova_does(nova, cloud, length, output):
    server_id = nova.boot()
    stop = threading.Event()

    def host():
        """Answers questions, as POST /v1/answers does."""
        while not stop.is_set():
            with cloud.db.write() as session:
                for question in session.scalars(sa.select(Question)):
                    question.answer = {"ok": True, "body": {"output": "one\ntwo\n"}}
            time.sleep(0.01)

    thread = threading.Thread(target=host)
    thread.start()
    answer = nova.act(server_id, "os-getConsoleOutput", {} if length is None else {"length": length})
    stop.set()
    thread.join(20)
    assert (answer.status_code, answer.json) == (200, {"output": output})
