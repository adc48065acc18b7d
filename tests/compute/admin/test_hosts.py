"""Services, hypervisors, hosts, availability zones."""

from __future__ import annotations

import msgspec
import pytest

from onestack.compute import hosts, public
from onestack.config import ConfigError
from tests.compute.conftest import TOKEN

BINARIES = ["nova-scheduler", "nova-conductor", "nova-compute"]


def message(answer):
    (fault,) = answer.json.values()
    return fault["message"]


def test_services(nova, operator):
    rows = operator.get("os-services").json["services"]
    assert [row["binary"] for row in rows] == BINARIES
    assert [row["zone"] for row in rows] == ["internal", "internal", "nova"]
    assert len({row["id"] for row in rows}) == 3
    assert all("forced_down" not in row for row in rows)
    assert rows[2] == {
        "id": 3, "binary": "nova-compute", "host": "host1", "zone": "nova", "status": "enabled", "state": "up",
        "updated_at": "2026-01-01T12:00:00.000000", "disabled_reason": None,
    }  # fmt: skip
    assert operator.get("os-services", "2.11").json["services"][2]["forced_down"] is False
    uuids = [row["id"] for row in operator.get("os-services", "2.53").json["services"]]
    assert all(len(one) == 36 for one in uuids)
    assert uuids == [row["id"] for row in operator.get("os-services", "2.53").json["services"]]
    only = operator.get("os-services?host=host1&binary=nova-compute").json["services"]
    assert [row["host"] for row in only] == ["host1"]
    assert operator.get("os-services", as_="member").status_code == 403


def test_a_silent_host_is_down(nova, operator):
    nova.cloud.clock.advance(100)
    assert operator.get("os-services?binary=nova-compute").json["services"][0]["state"] == "down"
    assert operator.get("os-hypervisors").json["hypervisors"][0]["state"] == "down"
    nova.agent.hello()
    assert operator.get("os-services?binary=nova-compute").json["services"][0]["state"] == "up"


def test_disable_and_enable_by_name(nova, operator):
    body = {"host": "host1", "binary": "nova-compute"}
    answer = operator.put("os-services/disable", body)
    assert answer.json == {"service": {**body, "status": "disabled"}}
    nova.create()
    nova.settle()
    assert nova.client.get("/v2.1/servers/detail").json["servers"][0]["status"] == "ERROR"
    reason = operator.put("os-services/disable-log-reason", {**body, "disabled_reason": "broken fan"})
    assert reason.json["service"]["disabled_reason"] == "broken fan"
    assert operator.get("os-services").json["services"][2]["disabled_reason"] == "broken fan"
    assert operator.put("os-services/enable", body).json == {"service": {**body, "status": "enabled"}}
    assert operator.get("os-services").json["services"][2]["disabled_reason"] is None
    assert nova.boot()


def test_refusals_before_2_53(nova, operator):
    body = {"host": "host1", "binary": "nova-compute"}
    assert operator.put("os-services/disable-log-reason", body).status_code == 400
    assert operator.put("os-services/jump", body).status_code == 404
    assert operator.put("os-services/enable", {"host": "host1"}).status_code == 400
    missing = operator.put("os-services/enable", {**body, "host": "host9"})
    assert (missing.status_code, message(missing)) == (404, "Host 'host9' is not mapped to any cell")
    assert operator.put("os-services/force-down", {**body, "forced_down": True}, "2.10").status_code in (400, 404)
    forced = operator.put("os-services/force-down", {**body, "forced_down": True}, "2.11")
    assert forced.json == {"service": {**body, "forced_down": True}}
    assert operator.get("os-services", "2.11").json["services"][2]["state"] == "down"


def test_update_by_uuid(nova, operator):
    identifier = operator.get("os-services?binary=nova-compute", "2.53").json["services"][0]["id"]
    path = f"os-services/{identifier}"
    changed = operator.put(path, {"status": "disabled", "disabled_reason": "maintenance"}, "2.53").json["service"]
    assert (changed["status"], changed["disabled_reason"], changed["id"]) == ("disabled", "maintenance", identifier)
    down = operator.put(path, {"forced_down": True}, "2.53").json["service"]
    assert (down["state"], down["status"], down["forced_down"]) == ("down", "disabled", True)
    enabled = {"status": "enabled", "disabled_reason": "x"}
    for wrong in ({}, {"disabled_reason": "x"}, enabled, {"status": "x"}, {"y": 1}):
        assert operator.put(path, wrong, "2.53").status_code == 400
    assert operator.put("os-services/enable", {"status": "enabled"}, "2.53").status_code == 400
    unknown = "11111111-2222-4333-8444-555555555555"
    assert operator.put(f"os-services/{unknown}", {"status": "enabled"}, "2.53").status_code == 404
    scheduler = operator.get("os-services?binary=nova-scheduler", "2.53").json["services"][0]["id"]
    refused = operator.put(f"os-services/{scheduler}", {"status": "disabled"}, "2.53")
    assert message(refused) == (
        "Updating a nova-scheduler service is not supported. Only nova-compute services can be updated."
    )


def test_a_host_is_forgotten_and_comes_back(nova, operator):
    server = nova.boot()
    refused = operator.delete("os-services/3")
    assert (refused.status_code, "hosting instances" in message(refused)) == (409, True)
    nova.client.delete(f"/v2.1/servers/{server}")
    nova.settle()
    assert operator.delete("os-services/1").status_code == 400
    assert operator.delete("os-services/x").status_code == 400
    assert operator.delete("os-services/99").status_code == 404
    assert operator.delete("os-services/3").status_code == 204
    assert operator.get("os-hypervisors").json["hypervisors"] == []
    assert nova.agent.hello().status_code == 200
    nova.boot()


def test_hypervisor_forms(nova, operator):
    nova.boot()
    old = operator.get("os-hypervisors/1").json["hypervisor"]
    assert isinstance(old["cpu_info"], str)
    assert msgspec.json.decode(old["cpu_info"]) == {}
    assert (old["vcpus_used"], old["memory_mb_used"], old["free_ram_mb"]) == (1, 512, 262144 - 512)
    assert (old["running_vms"], old["current_workload"], old["service"]["id"]) == (1, 0, 3)
    assert operator.get("os-hypervisors/1", "2.28").json["hypervisor"]["cpu_info"] == {}
    identifier = operator.get("os-hypervisors", "2.53").json["hypervisors"][0]["id"]
    new = operator.get(f"os-hypervisors/{identifier}", "2.88").json["hypervisor"]
    assert set(new) == {"id", "hypervisor_hostname", "state", "status", "hypervisor_type", "hypervisor_version",
                        "host_ip", "service", "uptime"}  # fmt: skip
    with_servers = operator.get(f"os-hypervisors/{identifier}?with_servers=true", "2.53").json["hypervisor"]
    assert [server["name"] for server in with_servers["servers"]] == ["one"]
    assert operator.get("os-hypervisors", as_="member").status_code == 403


def test_hypervisors_that_are_not_there(nova, operator):
    assert operator.get("os-hypervisors/9").status_code == 404
    assert operator.get("os-hypervisors/x").status_code == 404
    assert operator.get("os-hypervisors/x", "2.53").status_code == 400
    missing = operator.get("os-hypervisors/11111111-2222-4333-8444-555555555555", "2.53")
    assert missing.status_code == 404
    assert message(operator.get("os-hypervisors/nope/search")) == "No hypervisor matching 'nope' could be found."


def test_paging_of_hypervisors(nova, second, operator):
    page = operator.get("os-hypervisors?limit=1", "2.33").json
    assert [row["hypervisor_hostname"] for row in page["hypervisors"]] == ["host1"]
    assert page["hypervisors_links"][0]["href"].endswith("os-hypervisors?limit=1&marker=1")
    rest = operator.get("os-hypervisors/detail?limit=2&marker=1", "2.33").json
    assert [row["hypervisor_hostname"] for row in rest["hypervisors"]] == ["host2"]
    assert operator.get("os-hypervisors?marker=9", "2.33").status_code == 400
    assert len(operator.get("os-hypervisors?limit=1").json["hypervisors"]) == 2
    found = operator.get("os-hypervisors?hypervisor_hostname_pattern=ost2", "2.53").json["hypervisors"]
    assert [row["hypervisor_hostname"] for row in found] == ["host2"]
    assert operator.get("os-hypervisors?hypervisor_hostname_pattern=x", "2.53").status_code == 404
    assert operator.get("os-hypervisors?hypervisor_hostname_pattern=h&limit=1", "2.53").status_code == 400


def test_search_servers_statistics(nova, second, operator):
    nova.boot()
    assert len(operator.get("os-hypervisors/host/search").json["hypervisors"]) == 2
    listed = operator.get("os-hypervisors/host/servers").json["hypervisors"]
    assert sum(len(row.get("servers", [])) for row in listed) == 1
    assert operator.get("os-hypervisors/host/search", "2.53").status_code == 404
    total = operator.get("os-hypervisors/statistics").json["hypervisor_statistics"]
    assert (total["count"], total["vcpus"], total["vcpus_used"], total["running_vms"]) == (2, 128, 1, 1)
    assert operator.get("os-hypervisors/statistics", "2.88").status_code in (400, 404)


def test_uptime_is_known_of_this_machine_alone(nova, operator):
    assert operator.get("os-hypervisors/1/uptime").status_code == 501
    with open("/proc/sys/kernel/random/boot_id") as file:
        nova.agent.hello(boot_id=file.read().strip())
    shown = operator.get("os-hypervisors/1/uptime").json["hypervisor"]
    assert "load average" in shown["uptime"]
    assert operator.get("os-hypervisors/1/uptime", "2.88").status_code == 404
    nova.cloud.clock.advance(100)
    assert operator.get("os-hypervisors/1/uptime").status_code == 400


def test_old_hosts(nova, operator):
    nova.boot()
    rows = operator.get("os-hosts").json["hosts"]
    assert [row["service"] for row in rows] == ["scheduler", "conductor", "compute"]
    assert operator.get("os-hosts?service=compute").json["hosts"] == rows  # not a parameter of Nova's query schema
    shown = operator.get("os-hosts/host1").json["host"]
    assert [entry["resource"]["project"] for entry in shown] == ["(total)", "(used_now)", "(used_max)", "1" * 32]
    assert shown[1]["resource"] == {"project": "(used_now)", "host": "host1", "cpu": 1, "memory_mb": 512, "disk_gb": 1}
    assert operator.put("os-hosts/host1", {"status": "disable"}).json == {"host": "host1", "status": "disabled"}
    assert operator.put("os-hosts/host1", {"maintenance_mode": "enable"}).status_code == 501
    assert operator.put("os-hosts/host1", {"status": "x"}).status_code == 400
    assert operator.get("os-hosts/host1/reboot").status_code == 501
    assert operator.get("os-hosts/host9").status_code == 404
    assert operator.get("os-hosts", "2.43").status_code == 404


def test_availability_zones(nova, operator):
    listed = operator.get("os-availability-zone", as_="member").json
    assert listed == {"availabilityZoneInfo": [{"zoneName": "nova", "zoneState": {"available": True}, "hosts": None}]}
    assert operator.get("os-availability-zone/detail", as_="member").status_code == 403
    internal, zone = operator.get("os-availability-zone/detail").json["availabilityZoneInfo"]
    assert internal["zoneName"] == "internal"
    assert {binary for host in internal["hosts"].values() for binary in host} == set(BINARIES[:2])
    assert zone["hosts"]["host1"]["nova-compute"] == {
        "available": True, "active": True, "updated_at": "2026-01-01T12:00:00.000000",
    }  # fmt: skip
    operator.put("os-services/disable", {"host": "host1", "binary": "nova-compute"})
    assert operator.get("os-availability-zone").json["availabilityZoneInfo"][0]["zoneState"] == {"available": False}
    refused = nova.create(availability_zone="nova")
    assert message(refused) == "The requested availability zone is not available"


@pytest.mark.parametrize("path", ["os-hypervisors/detail", "os-services", "os-availability-zone/detail", "os-hosts"])
def test_the_old_v2_answers_too(nova, compute, path):
    assert compute.get(f"/v2/{path}", as_="admin").status_code == 200


def test_a_machine_does_not_take_the_name_of_one_that_is_up(nova, operator):
    def register(token):
        with nova.cloud.db.write() as session:
            public.register_host_token(session, nova.cloud, "host1", token)

    register(TOKEN)  # a server of the machine itself starts again
    with pytest.raises(ConfigError, match="host: 'host1' is another machine"):
        register("of-another")
    assert nova.agent.hello().status_code == 200
    nova.cloud.clock.advance(hosts.DOWN_AFTER_SECONDS + 1)
    register("of-another")
    assert nova.agent.hello().status_code == 401
