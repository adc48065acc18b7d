"""The life of a server: what its owner sees while the host's agent works, fails, dies or says nothing."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from onestack.compute.models import Server, Stray
from onestack.core.operations import Operation
from onestack.placement.models import Allocation
from onestack.wire import ServerStatus


def held(nova):
    """Allocations and unfinished operations: both must be zero when nothing lives."""
    with nova.cloud.db.read() as session:
        allocations = session.scalar(sa.select(sa.func.count()).select_from(Allocation))
        owed = session.scalar(sa.select(sa.func.count()).select_from(Operation).where(Operation.finished_at.is_(None)))
    return allocations, owed


def test_from_create_to_delete(nova):
    made = nova.create()
    assert made.status_code == 202
    server_id = made.json["server"]["id"]
    assert made.headers["Location"].endswith(f"/v2.1/servers/{server_id}")
    assert set(made.json["server"]) == {"id", "links", "OS-DCF:diskConfig", "security_groups", "adminPass"}
    assert nova.states(server_id) == ("BUILD", "building", "scheduling", 0)
    nova.schedule()
    assert nova.states(server_id) == ("BUILD", "building", "spawning", 0)
    spec = nova.agent.work().servers[0]
    assert (spec.desired, spec.operation.action, spec.memory_mb, spec.host) == ("running", "create", 512, "host1")
    nova.agent.report(nova.agent.does(spec))
    assert nova.states(server_id) == ("ACTIVE", "active", None, 1)
    assert nova.client.delete(f"/v2.1/servers/{server_id}").status_code == 204
    assert nova.states(server_id) == ("ACTIVE", "active", "deleting", 1)
    assert nova.client.delete(f"/v2.1/servers/{server_id}").status_code == 204
    nova.agent.run()
    gone = nova.client.get(f"/v2.1/servers/{server_id}")
    assert gone.status_code == 404
    assert gone.json["itemNotFound"]["message"] == f"Instance {server_id} could not be found."
    assert held(nova) == (0, 0)


@pytest.mark.parametrize(
    ("before", "action", "argument", "task", "after"),
    [([], "os-stop", None, "powering-off", "SHUTOFF"), ([("os-stop", None)], "os-start", None, "powering-on", "ACTIVE"),
     ([], "pause", None, "pausing", "PAUSED"), ([("pause", None)], "unpause", None, "unpausing", "ACTIVE"),
     ([], "suspend", None, "suspending", "SUSPENDED"), ([("suspend", None)], "resume", None, "resuming", "ACTIVE"),
     ([], "reboot", {"type": "SOFT"}, "rebooting", "ACTIVE"),
     ([], "reboot", {"type": "HARD"}, "rebooting_hard", "ACTIVE"),
     ([("os-stop", None)], "reboot", {"type": "HARD"}, "rebooting_hard", "ACTIVE")],
)  # fmt: skip
def test_actions(nova, before, action, argument, task, after):
    server_id = nova.boot()
    for name, value in before:
        assert nova.act(server_id, name, value).status_code == 202
        nova.settle()
    answer = nova.act(server_id, action, argument)
    assert answer.status_code == 202, answer.text
    assert nova.states(server_id)[2] == task
    assert nova.act(server_id, "pause").status_code == 409
    nova.settle()
    assert (nova.states(server_id)[0], nova.states(server_id)[2]) == (after, None)


def test_refusals_are_novas(nova):
    server_id = nova.boot()
    answer = nova.act(server_id, "os-start")
    assert answer.status_code == 409
    assert answer.json["conflictingRequest"]["message"] == (
        f"Cannot 'start' instance {server_id} while it is in vm_state active"
    )
    assert nova.act(server_id, "reboot", {"type": "WARM"}).status_code == 400
    assert nova.act(server_id, "reboot", {}).status_code == 400
    assert nova.act(server_id, "dance").json["badRequest"]["message"] == "There is no such action: dance"
    assert nova.act(server_id, "changePassword", {"adminPass": "x"}).status_code == 501
    assert nova.act(server_id, "os-stop", as_="reader").status_code == 403
    assert nova.act(server_id, "os-stop", as_="other").status_code == 404
    assert nova.client.post(f"/v2.1/servers/{server_id}/action", body="[]").status_code == 400
    assert nova.client.post(f"/v2.1/servers/{server_id}/action", json={}).status_code == 400


def test_hard_reboot_replaces_a_soft_one(nova):
    server_id = nova.boot()
    assert nova.act(server_id, "reboot", {"type": "SOFT"}).status_code == 202
    assert nova.act(server_id, "reboot", {"type": "SOFT"}).status_code == 409
    assert nova.act(server_id, "reboot", {"type": "HARD"}).status_code == 202
    assert nova.show(server_id)["status"] == "HARD_REBOOT"
    nova.settle()
    assert nova.show(server_id)["status"] == "ACTIVE"
    assert held(nova) == (3, 0)


def test_delete_wins_over_a_create_under_way(nova):
    server_id = nova.create().json["server"]["id"]
    nova.schedule()
    old = nova.agent.work().servers[0]
    assert nova.client.delete(f"/v2.1/servers/{server_id}").status_code == 204
    nova.agent.report(nova.agent.does(old))  # the create was done all the same
    assert nova.states(server_id)[2] == "deleting"
    late = ServerStatus(id=server_id, revision=old.revision, power="absent")
    nova.agent.report(late)
    assert nova.states(server_id)[2] == "deleting"  # an answer to an older spec ends nothing
    nova.agent.run()
    assert nova.client.get(f"/v2.1/servers/{server_id}").status_code == 404
    assert held(nova) == (0, 0)


def test_delete_without_a_host_is_done_at_once(nova):
    server_id = nova.create().json["server"]["id"]
    assert nova.client.delete(f"/v2.1/servers/{server_id}").status_code == 204
    assert nova.client.get(f"/v2.1/servers/{server_id}").status_code == 404
    nova.schedule()
    assert nova.agent.work().servers == []
    assert held(nova) == (0, 0)


def test_a_failed_create_is_error_and_holds_nothing(nova):
    nova.agent.failing["create"] = "The disk is full."
    server_id = nova.boot()
    shown = nova.show(server_id, as_="admin")
    assert shown["status"] == "ERROR"
    assert (shown["fault"]["code"], shown["fault"]["message"], shown["fault"]["details"]) == (
        500, "The disk is full.", "more",
    )  # fmt: skip
    assert "details" not in nova.show(server_id)["fault"]
    assert held(nova) == (0, 0)
    assert nova.client.delete(f"/v2.1/servers/{server_id}").status_code == 204
    assert nova.client.get(f"/v2.1/servers/{server_id}").status_code == 404


def test_a_failed_action_leaves_the_server_as_it_is(nova):
    server_id = nova.boot()
    nova.agent.failing["pause"] = "No."
    nova.cloud.clock.advance(1)
    nova.act(server_id, "pause")
    nova.settle()
    assert nova.states(server_id) == ("ACTIVE", "active", None, 1)
    actions = nova.client.get(f"/v2.1/servers/{server_id}/os-instance-actions").json["instanceActions"]
    assert [(entry["action"], entry["message"]) for entry in actions] == [("pause", "Error"), ("create", None)]


def test_no_valid_host_says_why(nova):
    nova.agent.hello(vcpus=1, memory_mb=256)
    server_id = nova.create().json["server"]["id"]
    nova.schedule()
    shown = nova.show(server_id, as_="admin")
    assert shown["status"] == "ERROR"
    assert shown["fault"]["message"] == "No valid host was found. There are not enough hosts available."
    assert shown["fault"]["details"].startswith("host1: ")
    assert "MEMORY_MB" in shown["fault"]["details"]


def test_down_and_disabled_hosts_are_not_chosen(nova):
    nova.cloud.clock.advance(100)
    server_id = nova.create().json["server"]["id"]
    nova.schedule()
    assert "host1: down" in nova.show(server_id, as_="admin")["fault"]["details"]


def test_right_after_a_start_creates_wait_for_the_agents(nova):
    with nova.cloud.db.write() as session:
        session.execute(sa.text("UPDATE hosts SET seen_at = '2020-01-01 00:00:00.000000'"))
    server_id = nova.create().json["server"]["id"]
    assert nova.workers.run_one()
    assert nova.states(server_id)[0] == "BUILD"
    nova.agent.hello()
    nova.cloud.clock.advance(2)
    nova.settle()
    assert nova.states(server_id)[0] == "ACTIVE"


def test_a_guest_that_powers_itself_off_is_shutoff_and_stays_so(nova):
    server_id = nova.boot()
    spec = nova.agent.specs[server_id]
    nova.agent.power[server_id] = "shutdown"
    nova.agent.report(ServerStatus(id=server_id, revision=spec.revision, power="shutdown"))
    assert nova.states(server_id) == ("SHUTOFF", "stopped", None, 4)
    assert [one.desired for one in nova.agent.run().servers] == ["stopped"]
    assert nova.act(server_id, "os-start").status_code == 202
    nova.settle()
    assert nova.states(server_id)[0] == "ACTIVE"


def test_power_flapping_during_a_reboot_is_not_shown_as_a_stop(nova):
    server_id = nova.boot()
    nova.act(server_id, "reboot", {"type": "HARD"})
    spec = nova.agent.work().servers[0]
    nova.agent.report(
        ServerStatus(id=server_id, revision=spec.revision, power="shutdown", operation_id=spec.operation.id,
                     operation_state="running")
    )  # fmt: skip
    assert nova.states(server_id) == ("HARD_REBOOT", "active", "rebooting_hard", 4)
    nova.agent.report(nova.agent.does(spec))
    assert nova.states(server_id) == ("ACTIVE", "active", None, 1)


def test_statuses_may_come_twice(nova):
    server_id = nova.create().json["server"]["id"]
    nova.schedule()
    status = nova.agent.does(nova.agent.work().servers[0])
    nova.agent.report(status, status)
    nova.agent.report(status)
    assert nova.states(server_id) == ("ACTIVE", "active", None, 1)
    nova.client.delete(f"/v2.1/servers/{server_id}")
    absent = nova.agent.does(nova.agent.work().servers[0])
    nova.agent.report(absent)
    nova.agent.report(absent)
    assert held(nova) == (0, 0)


def test_deleting_on_a_lost_host_is_done_and_repaired_when_it_comes_back(nova):
    server_id = nova.boot()
    nova.cloud.clock.advance(100)
    assert nova.client.delete(f"/v2.1/servers/{server_id}").status_code == 204
    assert nova.client.get(f"/v2.1/servers/{server_id}").status_code == 404
    assert held(nova) == (0, 0)
    nova.agent.hello()
    specs = nova.agent.work(after=0).servers
    assert [(spec.id, spec.desired) for spec in specs] == [(server_id, "absent")]
    nova.agent.report(*[nova.agent.does(spec) for spec in specs])
    with nova.cloud.db.read() as session:
        assert session.scalars(sa.select(Stray)).all() == []


def test_an_agent_touches_only_its_own_servers(nova):
    from onestack.compute import public
    from tests.compute.conftest import PlayedAgent

    server_id = nova.boot()
    with nova.cloud.db.write() as session:
        public.register_host_token(session, nova.cloud, "evil", "evil-token")
    evil = PlayedAgent(nova.agents, "evil", "evil-token")
    assert evil.hello().status_code == 200
    assert evil.work(after=0).servers == []
    evil.report(ServerStatus(id=server_id, revision=10**6, power="absent"))
    assert nova.states(server_id) == ("ACTIVE", "active", None, 1)
    evil.hostname = "host1"
    assert evil.hello().status_code == 403
    evil.token = "nobody's"
    assert evil.hello().status_code == 401
    assert nova.agents.get("/v1/work?after=0", as_=None).status_code == 401


def test_restart_of_server_and_agent_at_every_step(nova, cloud):
    """Everything in memory is lost between any two transactions: new workers, and an agent that begins with 0."""
    from onestack.compute import operations, servers
    from onestack.core.operations import Workers

    server_id = nova.create().json["server"]["id"]

    def restarted():
        cloud.runners[(servers.OBJECT, "create")] = operations.Scheduler(cloud).runner()
        return Workers(cloud, cloud.runners)

    dying = restarted()
    assert dying._claim() is not None  # killed after the claim: the lease runs out
    cloud.clock.advance(31)
    nova.agent.hello()
    assert restarted().run_one()
    nova.agent.revision = 0
    spec = nova.agent.work().servers[0]
    nova.agent.revision = 0  # the agent died before it did anything
    assert nova.agent.work().servers[0].operation.id == spec.operation.id
    nova.agent.report(nova.agent.does(spec))  # and once more after doing it, before it knew that it was heard
    nova.agent.revision = 0
    again = nova.agent.work()
    assert again.full
    assert again.servers[0].operation is None
    assert nova.states(server_id) == ("ACTIVE", "active", None, 1)
    assert held(nova) == (3, 0)


def test_min_and_max_count(nova):
    made = nova.create(min_count=2, max_count=3, return_reservation_id=True)
    assert made.status_code == 202
    reservation = made.json["reservation_id"]
    assert reservation.startswith("r-")
    nova.settle()
    listed = nova.client.get(f"/v2.1/servers/detail?reservation_id={reservation}").json["servers"]
    assert sorted(server["name"] for server in listed) == ["one-1", "one-2", "one-3"]
    assert {server["status"] for server in listed} == {"ACTIVE"}
    assert nova.create(min_count=3, max_count=2).status_code == 400


def test_lock(nova):
    server_id = nova.boot()
    assert nova.act(server_id, "lock", {"locked_reason": "mine"}, version="2.73").status_code == 202
    shown = nova.show(server_id, "2.73")
    assert (shown["locked"], shown["locked_reason"]) == (True, "mine")
    refused = nova.act(server_id, "os-stop")
    assert refused.json["conflictingRequest"]["message"] == f"Instance {server_id} is locked"
    assert nova.client.delete(f"/v2.1/servers/{server_id}").status_code == 409
    assert nova.act(server_id, "os-stop", as_="admin").status_code == 202
    nova.settle()
    assert nova.act(server_id, "unlock").status_code == 202
    assert nova.act(server_id, "os-start").status_code == 202
    nova.settle()
    nova.act(server_id, "lock", as_="admin")
    assert nova.act(server_id, "unlock").status_code == 403


def test_reset_state(nova):
    server_id = nova.boot()
    assert nova.act(server_id, "os-resetState", {"state": "error"}).status_code == 403
    assert nova.act(server_id, "os-resetState", {"state": "error"}, as_="admin").status_code == 202
    assert nova.show(server_id)["status"] == "ERROR"
    assert nova.act(server_id, "os-resetState", {"state": "active"}, as_="admin").status_code == 202
    assert nova.show(server_id)["status"] == "ACTIVE"


def test_rebuild(nova):
    server_id = nova.boot()
    image = "99999999-31e7-49b7-b260-868f441e862b"
    answer = nova.act(server_id, "rebuild", {"imageRef": image, "name": "new", "metadata": {"a": "b"}})
    assert answer.status_code == 202, answer.text
    assert answer.json["server"]["adminPass"]
    assert nova.show(server_id)["status"] == "REBUILD"
    nova.settle()
    shown = nova.show(server_id)
    assert (shown["status"], shown["name"], shown["image"]["id"], shown["metadata"]) == (
        "ACTIVE",
        "new",
        image,
        {"a": "b"},
    )


def test_deleted_servers_are_kept_for_admins(nova):
    server_id = nova.boot()
    nova.client.delete(f"/v2.1/servers/{server_id}")
    nova.settle()
    with nova.cloud.db.read() as session:
        assert session.get(Server, server_id).deleted_at is not None
    assert nova.client.get("/v2.1/servers").json["servers"] == []
    listed = nova.client.get("/v2.1/servers/detail?deleted=true&all_tenants=1", as_="admin").json["servers"]
    assert [(server["id"], server["status"]) for server in listed] == [(server_id, "DELETED")]
    assert nova.client.get("/v2.1/servers?status=deleted").status_code == 403
    actions = f"/v2.1/servers/{server_id}/os-instance-actions"
    assert nova.client.get(actions).status_code == 404
    assert nova.client.get(actions, headers={"OpenStack-API-Version": "compute 2.21"}).status_code == 200
