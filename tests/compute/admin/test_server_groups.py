"""Server groups, and how they steer the scheduler."""

from __future__ import annotations

import pytest

from onestack.core import quota
from tests.conftest import OTHER_PROJECT, PROJECT


def message(answer):
    (fault,) = answer.json.values()
    return fault["message"]


def make(operator, policy="affinity", version="2.64", as_="member", **more):
    key = {"policy": policy} if version >= "2.64" else {"policies": [policy]}
    return operator.post("os-server-groups", {"server_group": {"name": "g", **key, **more}}, version, as_=as_)


def boot(nova, agents, group, name="s", **hints):
    """A server with hints, created directly as the body wants it. Its host, or its fault."""
    body = {
        "server": {"name": name, "flavorRef": "1", "imageRef": "70a599e0-31e7-49b7-b260-868f441e862b"},
        "os:scheduler_hints": {"group": group, **hints} if group else hints,
    }
    answer = nova.client.post("/v2.1/servers", json=body)
    assert answer.status_code == 202, answer.text
    nova.schedule()
    for agent in agents:
        agent.run()
    shown = nova.show(answer.json["server"]["id"], as_="admin")
    return shown["OS-EXT-SRV-ATTR:host"] or shown["fault"]["message"]


def test_forms(operator):
    old = make(operator, "anti-affinity", "2.1").json["server_group"]
    assert set(old) == {"id", "name", "policies", "members", "metadata"}
    assert old["policies"] == ["anti-affinity"]
    assert set(operator.get(f"os-server-groups/{old['id']}", "2.13", as_="member").json["server_group"]) == set(old) | {
        "project_id",
        "user_id",
    }
    new = make(operator, "anti-affinity", rules={"max_server_per_host": 3}).json["server_group"]
    assert (new["policy"], new["rules"], new["project_id"]) == ("anti-affinity", {"max_server_per_host": 3}, PROJECT)
    assert len(operator.get("os-server-groups", as_="member").json["server_groups"]) == 2
    assert len(operator.get("os-server-groups?limit=1&offset=1", as_="member").json["server_groups"]) == 1
    assert operator.get("os-server-groups").json["server_groups"] == []
    assert len(operator.get("os-server-groups?all_projects=1").json["server_groups"]) == 2
    assert operator.get("os-server-groups?all_projects=1", as_="other").json["server_groups"] == []
    assert operator.get(f"os-server-groups/{new['id']}", as_="other").status_code == 404
    assert operator.delete(f"os-server-groups/{new['id']}", as_="reader").status_code == 403
    assert operator.delete(f"os-server-groups/{new['id']}", as_="member").status_code == 204
    gone = operator.delete(f"os-server-groups/{new['id']}", as_="member")
    assert (gone.status_code, message(gone)) == (404, f"Instance group {new['id']} could not be found.")


@pytest.mark.parametrize(
    ("version", "body"),
    [("2.1", {"policies": []}), ("2.1", {"policies": ["x"]}), ("2.14", {"policies": ["soft-affinity"]}),
     ("2.1", {"policies": ["affinity", "anti-affinity"]}), ("2.64", {"policies": ["affinity"]}),
     ("2.64", {"policy": "affinity", "rules": {"max_server_per_host": 1}}),
     ("2.64", {"policy": "anti-affinity", "rules": {"max_server_per_host": 0}}),
     ("2.64", {"policy": "anti-affinity", "rules": {"x": 0}}), ("2.64", {"policy": "affinity", "name": " "})],
)  # fmt: skip
def test_bad_groups(operator, version, body):
    answer = operator.post("os-server-groups", {"server_group": {"name": "g", **body}}, version, as_="member")
    assert answer.status_code == 400


def test_together_and_apart(nova, second, operator):
    agents = [nova.agent, second]
    near = make(operator).json["server_group"]["id"]
    assert len({boot(nova, agents, near) for _ in range(4)}) == 1
    far = make(operator, "anti-affinity").json["server_group"]["id"]
    assert {boot(nova, agents, far), boot(nova, agents, far)} == {"host1", "host2"}
    assert boot(nova, agents, far).startswith("No valid host was found.")
    members = operator.get(f"os-server-groups/{far}", as_="member").json["server_group"]["members"]
    assert len(members) == 3
    gone = next(one for one in members if nova.show(one)["status"] == "ACTIVE")
    assert nova.show(gone, version="2.71")["server_groups"] == [far]
    nova.client.delete(f"/v2.1/servers/{gone}")
    for agent in agents:
        agent.run()
    assert gone not in operator.get(f"os-server-groups/{far}", as_="member").json["server_group"]["members"]
    assert boot(nova, agents, far) in ("host1", "host2")


def test_rules_and_soft_policies(nova, second, operator):
    agents = [nova.agent, second]
    two = make(operator, "anti-affinity", rules={"max_server_per_host": 2}).json["server_group"]["id"]
    hosts = [boot(nova, agents, two) for _ in range(4)]
    assert (hosts.count("host1"), hosts.count("host2")) == (2, 2)
    assert boot(nova, agents, two).startswith("No valid host was found.")
    soft = make(operator, "soft-anti-affinity").json["server_group"]["id"]
    hosts = [boot(nova, agents, soft) for _ in range(4)]
    assert (hosts.count("host1"), hosts.count("host2")) == (2, 2)
    near = make(operator, "soft-affinity", as_="member").json["server_group"]["id"]
    with nova.cloud.db.write() as session:
        quota.set_limits(session, "compute", PROJECT, {"instances": -1})
    assert len({boot(nova, agents, near) for _ in range(3)}) == 1


def test_same_and_different_host(nova, second):
    agents = [nova.agent, second]
    first = boot(nova, agents, None)
    listed = nova.client.get("/v2.1/servers").json["servers"][0]["id"]
    assert boot(nova, agents, None, same_host=[listed]) == first
    assert boot(nova, agents, None, different_host=listed) != first


def test_hints_are_checked(nova, operator):
    group = make(operator, as_="other").json["server_group"]["id"]
    body = {
        "server": {"name": "s", "flavorRef": "1", "imageRef": "70a599e0-31e7-49b7-b260-868f441e862b"},
        "os:scheduler_hints": {"group": group},
    }
    refused = nova.client.post("/v2.1/servers", json=body)
    assert (refused.status_code, message(refused)) == (400, f"Instance group {group} could not be found.")
    assert nova.client.get("/v2.1/servers").json["servers"] == []


def test_quotas(nova, operator):
    with nova.cloud.db.write() as session:
        quota.set_limits(session, "compute", PROJECT, {"server_groups": 1, "server_group_members": 1})
    group = make(operator).json["server_group"]["id"]
    assert message(make(operator)) == "Quota exceeded, too many server groups."
    assert make(operator, as_="other").json["server_group"]["project_id"] == OTHER_PROJECT
    assert boot(nova, [nova.agent], group) == "host1"
    body = {
        "server": {"name": "s", "flavorRef": "1", "imageRef": "70a599e0-31e7-49b7-b260-868f441e862b"},
        "os:scheduler_hints": {"group": group},
    }
    refused = nova.client.post("/v2.1/servers", json=body)
    assert (refused.status_code, message(refused)) == (403, "Quota exceeded, too many servers in group")
