"""Quota sets, quota classes, limits."""

from __future__ import annotations

import pytest

from tests.conftest import OTHER_PROJECT, PERSONAS, PROJECT

USER = PERSONAS["member"].user_id
NETWORK = {"fixed_ips", "floating_ips", "security_groups", "security_group_rules"}
INJECTED = {"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"}
ALWAYS = {"instances", "cores", "ram", "metadata_items", "key_pairs", "server_groups", "server_group_members"}


@pytest.fixture(autouse=True)
def projects(monkeypatch):
    from onestack.identity import public as identity

    monkeypatch.setattr(identity, "project_exists", lambda session, project: project in (PROJECT, OTHER_PROJECT))


def message(answer):
    (fault,) = answer.json.values()
    return fault["message"]


@pytest.mark.parametrize(
    ("version", "names"),
    [("2.1", ALWAYS | NETWORK | INJECTED), ("2.36", ALWAYS | INJECTED), ("2.57", ALWAYS), ("latest", ALWAYS)],
)
def test_forms(operator, version, names):
    shown = operator.get(f"os-quota-sets/{PROJECT}", version, as_="member").json["quota_set"]
    assert set(shown) == names | {"id"}
    assert (shown["id"], shown["instances"], shown["ram"]) == (PROJECT, 10, 51200)
    assert operator.get(f"os-quota-sets/{PROJECT}/defaults", version, as_="member").json["quota_set"] == shown
    detail = operator.get(f"os-quota-sets/{PROJECT}/detail", version).json["quota_set"]
    assert set(detail) == names | {"id"}
    assert detail["cores"] == {"limit": 20, "in_use": 0, "reserved": 0}
    changed = operator.put(f"os-quota-sets/{PROJECT}", {"quota_set": {"cores": "45"}}, version).json["quota_set"]
    assert set(changed) == names
    assert changed["cores"] == 45


def test_who_may(operator):
    assert operator.get(f"os-quota-sets/{PROJECT}", as_="other").status_code == 403
    assert operator.get(f"os-quota-sets/{PROJECT}", as_="reader").status_code == 200
    body = {"quota_set": {"cores": 1}}
    assert operator.put(f"os-quota-sets/{PROJECT}", body, as_="member").status_code == 403
    assert operator.delete(f"os-quota-sets/{PROJECT}", as_="member").status_code == 403
    assert operator.get("os-quota-class-sets/default", as_="member").status_code == 403


@pytest.mark.parametrize(
    ("version", "wrong"),
    [("2.1", {"cores": -2}), ("2.1", {"cores": "x"}), ("2.1", {"cores": 2**31}), ("2.1", {"nope": 1}),
     ("2.1", {"force": "perhaps"}), ("2.36", {"floating_ips": 1}), ("2.57", {"injected_files": 1}),
     ("2.1", {"cores": None}), ("2.1", {"cores": 1.5})],
)  # fmt: skip
def test_bad_updates(operator, version, wrong):
    answer = operator.put(f"os-quota-sets/{PROJECT}", {"quota_set": wrong}, version)
    assert answer.status_code == 400
    assert "badRequest" in answer.json


def test_unknown_projects_and_queries(operator):
    answer = operator.get("os-quota-sets/nobody")
    assert answer.status_code == 400
    assert message(answer) == "Project ID nobody is not a valid project."
    assert operator.get(f"os-quota-sets/{PROJECT}?nope=1", "2.75").status_code == 400
    assert operator.get(f"os-quota-sets/{PROJECT}?nope=1", "2.74").status_code == 200


def test_no_limit_below_what_is_used_unless_forced(nova, operator):
    nova.boot()
    nova.boot(name="two")
    body = {"quota_set": {"instances": 1}}
    answer = operator.put(f"os-quota-sets/{PROJECT}", body)
    assert answer.status_code == 400
    assert message(answer) == (
        "Quota limit 1 for instances must be greater than or equal to already used and reserved 2."
    )
    assert operator.put(f"os-quota-sets/{PROJECT}", {"quota_set": {"instances": 1, "force": True}}).status_code == 200
    refused = nova.create(name="three")
    assert refused.status_code == 403
    assert "Quota exceeded for instances" in message(refused)
    assert operator.delete(f"os-quota-sets/{PROJECT}").status_code == 202
    assert operator.get(f"os-quota-sets/{PROJECT}").json["quota_set"]["instances"] == 10
    assert nova.create(name="three").status_code == 202


def test_limits_of_one_user_are_enforced(nova, operator):
    path = f"os-quota-sets/{PROJECT}?user_id={USER}"
    too_many = operator.put(path, {"quota_set": {"instances": 11}})
    assert message(too_many) == "Quota limit 11 for instances must be less than or equal to 10."
    assert operator.put(path, {"quota_set": {"instances": 1}}).json["quota_set"]["instances"] == 1
    assert operator.get(path).json["quota_set"]["instances"] == 1
    assert operator.get(f"os-quota-sets/{PROJECT}").json["quota_set"]["instances"] == 10
    assert nova.create().status_code == 202
    assert operator.get(path.replace("?", "/detail?")).json["quota_set"]["instances"]["in_use"] == 1
    assert nova.create().status_code == 403
    assert operator.delete(path).status_code == 202
    assert nova.create().status_code == 202


def test_classes_are_the_defaults(operator):
    assert set(operator.get("os-quota-class-sets/default").json["quota_class_set"]) == (
        {"id"} | NETWORK | INJECTED | ALWAYS - {"server_groups", "server_group_members"}
    )
    newer = operator.get("os-quota-class-sets/default", "2.50").json["quota_class_set"]
    assert set(newer) == {"id"} | ALWAYS | INJECTED
    changed = operator.put("os-quota-class-sets/default", {"quota_class_set": {"cores": 7}}, "2.57")
    assert changed.json["quota_class_set"]["cores"] == 7
    assert "id" not in changed.json["quota_class_set"]
    assert operator.get(f"os-quota-sets/{PROJECT}").json["quota_set"]["cores"] == 7
    other = operator.put("os-quota-class-sets/gold", {"quota_class_set": {"cores": 9}}).json["quota_class_set"]
    assert other["cores"] == 9
    assert operator.get(f"os-quota-sets/{PROJECT}").json["quota_set"]["cores"] == 7
    assert operator.get(f"os-quota-class-sets/{'x' * 300}").status_code == 400
    # The network has its own limits of these; here they are only kept for who wrote them.
    network = operator.put("os-quota-class-sets/default", {"quota_class_set": {"floating_ips": 99}}).json
    assert network["quota_class_set"]["floating_ips"] == 99
    assert operator.get("os-quota-class-sets/default").json["quota_class_set"]["floating_ips"] == 99
    assert operator.get(f"os-quota-sets/{PROJECT}").json["quota_set"]["floating_ips"] == 99


def test_limits(nova, operator):
    nova.boot()
    shown = operator.get("limits", as_="member").json["limits"]
    assert shown["rate"] == []
    absolute = shown["absolute"]
    assert len(absolute) == 19
    assert (absolute["totalInstancesUsed"], absolute["totalCoresUsed"], absolute["totalRAMUsed"]) == (1, 1, 512)
    assert absolute["maxTotalFloatingIps"] == -1
    assert "maxTotalFloatingIps" not in operator.get("limits", "2.36").json["limits"]["absolute"]
    assert "maxImageMeta" not in operator.get("limits", "2.39").json["limits"]["absolute"]
    assert len(operator.get("limits", "2.57").json["limits"]["absolute"]) == 11
    assert operator.get(f"limits?tenant_id={PROJECT}").json["limits"]["absolute"]["totalInstancesUsed"] == 1
    assert operator.get(f"limits?tenant_id={OTHER_PROJECT}", as_="member").status_code == 403
    assert operator.get("limits?reserved=1&nope=2", "2.75").status_code == 400
