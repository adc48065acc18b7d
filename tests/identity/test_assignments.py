"""Grants and role assignments: what each filter finds, what is refused, and what it costs."""

from __future__ import annotations

import pytest

from tests.identity.test_queries import Counter


def call(keystone, method, path, **body):
    more = {"json": body} if body else {}
    return keystone.client.request(method, f"/v3/{path}", as_=keystone.admin, **more)


def message(answer):
    return answer.json["error"]["message"]


def assignments(keystone, query):
    answer = call(keystone, "GET", f"role_assignments?{query}")
    assert answer.status_code == 200, answer.text
    return answer.json["role_assignments"]


@pytest.fixture
def world(keystone):
    """A domain with top → leaf and, beside it, other; a user in a group of the domain; a role of the domain."""
    domain = keystone.make("domain", name="d")["id"]
    ids = {"domain": domain}
    ids["top"] = keystone.make("project", name="top", domain_id=domain)["id"]
    ids["leaf"] = keystone.make("project", name="leaf", domain_id=domain, parent_id=ids["top"])["id"]
    ids["other"] = keystone.make("project", name="other", domain_id=domain)["id"]
    ids["user"] = keystone.make("user", name="u", domain_id=domain, password="pw")["id"]
    ids["group"] = keystone.make("group", name="g", domain_id=domain)["id"]
    ids["role"] = keystone.make("role", name="local", domain_id=domain)["id"]
    ids["reader"] = keystone.find("roles", "reader")
    call(keystone, "PUT", f"groups/{ids['group']}/users/{ids['user']}")
    return ids


def give(keystone, world, path, role="reader"):
    suffix = "/inherited_to_projects" if path.startswith("OS-INHERIT") else ""
    answer = call(keystone, "PUT", f"{path.format(**world)}/roles/{world.get(role, role)}{suffix}")
    assert answer.status_code == 204, answer.text


def where(found):
    """(what, id) of the scopes of assignments."""
    return sorted((kind, scope["id"]) for item in found for kind, scope in item["scope"].items() if "id" in scope)


def test_the_scope_filters(keystone, world):
    give(keystone, world, "projects/{top}/users/{user}")
    give(keystone, world, "projects/{leaf}/groups/{group}")
    give(keystone, world, "domains/{domain}/users/{user}")
    give(keystone, world, "system/users/{user}")
    give(keystone, world, "OS-INHERIT/projects/{top}/users/{user}")
    top, leaf, domain = ("project", world["top"]), ("project", world["leaf"]), ("domain", world["domain"])
    assert where(assignments(keystone, f"user.id={world['user']}")) == sorted([top, top, domain])
    assert len(assignments(keystone, f"user.id={world['user']}")) == 4  # and that on the system
    assert where(assignments(keystone, f"group.id={world['group']}")) == [leaf]
    assert where(assignments(keystone, f"scope.domain.id={world['domain']}")) == [domain]
    inherited = assignments(keystone, f"scope.project.id={world['top']}&scope.OS-INHERIT:inherited_to=projects")
    assert [item["scope"].get("OS-INHERIT:inherited_to") for item in inherited] == ["projects"]
    assert "/v3/OS-INHERIT/projects/" in inherited[0]["links"]["assignment"]
    tree = assignments(keystone, f"scope.project.id={world['top']}&include_subtree")
    assert where(tree) == sorted([top, top, leaf])
    (system,) = assignments(keystone, f"scope.system=all&user.id={world['user']}")
    assert system["scope"] == {"system": {"all": True}}
    assert system["links"]["assignment"].endswith(f"/v3/system/users/{world['user']}/roles/{world['reader']}")


def test_what_assignments_come_to(keystone, world):
    give(keystone, world, "OS-INHERIT/projects/{top}/groups/{group}")
    give(keystone, world, "system/users/{user}")
    found = assignments(keystone, f"effective&user.id={world['user']}")
    assert where(found) == [("project", world["leaf"])]  # neither on the parent itself nor on the system
    assert "/groups/" in found[0]["links"]["membership"]
    for project, expected in (("leaf", 1), ("top", 0), ("other", 0)):
        query = f"effective&user.id={world['user']}&scope.project.id={world[project]}"
        assert len(assignments(keystone, query)) == expected
    query = f"effective&scope.project.id={world['top']}&include_subtree"
    assert where(assignments(keystone, query)) == [("project", world["leaf"])]
    assert assignments(keystone, f"effective&scope.domain.id={world['domain']}") == []
    assert len(assignments(keystone, f"effective&scope.system=all&user.id={world['user']}")) == 1


def test_names(keystone, world):
    give(keystone, world, "projects/{top}/users/{user}", "role")
    (found,) = assignments(keystone, f"user.id={world['user']}&include_names")
    domain = {"id": world["domain"], "name": "d"}
    assert found["user"] == {"id": world["user"], "name": "u", "domain": domain}
    assert found["role"] == {"id": world["role"], "name": "local", "domain": domain}
    assert found["scope"] == {"project": {"id": world["top"], "name": "top", "domain": domain}}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("user.id=a&group.id=b", "Specify a user or group, not both"),
        ("scope.project.id=a&scope.domain.id=b", "Specify a domain or project, not both"),
        ("scope.system=all&scope.domain.id=b", "Specify system or domain, not both"),
        ("scope.system=all&scope.project.id=b", "Specify system or project, not both"),
        ("effective&group.id=a", "Combining effective and group filter will always result in an empty list."),
        (
            "effective&scope.domain.id=a&scope.OS-INHERIT:inherited_to=projects",
            "Combining effective, domain and inherited filters will always result in an empty list.",
        ),
        ("include_subtree", "'scope.project.id' is a dependency of 'include_subtree'"),
    ],
)
def test_filters_that_make_no_sense(keystone, query, words):
    answer = call(keystone, "GET", f"role_assignments?{query}")
    assert (answer.status_code, message(answer)) == (400, words)


# Roles of a domain


def test_where_a_role_of_a_domain_can_be_given(keystone, world):
    demo = keystone.find("projects", "demo")
    answer = call(keystone, "PUT", f"projects/{demo}/users/{world['user']}/roles/{world['role']}")
    words = f"Project {demo} must be in the same domain as the role {world['role']} being assigned."
    assert (answer.status_code, message(answer)) == (403, words)
    answer = call(keystone, "PUT", f"system/users/{world['user']}/roles/{world['role']}")
    assert (answer.status_code, message(answer)) == (
        400, f"Role {world['role']} is a domain-specific role. Unable to use a domain-specific role in a system "
        "assignment."
    )  # fmt: skip
    answer = call(keystone, "GET", f"system/users/{world['user']}/roles/{world['reader']}")
    assert message(answer) == (
        f"Could not find role assignment with role: {world['reader']}, user or group: {world['user']}, "
        "project, domain, or system: system."
    )
    answer = call(keystone, "PUT", f"roles/{world['reader']}/implies/{world['role']}")
    assert (answer.status_code, message(answer)) == (403, f"{world['role']} cannot be an implied roles.")
    again = call(keystone, "POST", "roles", role={"name": "local", "domain_id": world["domain"]})
    assert again.status_code == 409
    assert f"Duplicate entry found with name local at domain ID {world['domain']}" in message(again)
    assert call(keystone, "POST", "roles", role={"name": "local"}).status_code == 201


def test_a_role_is_implied_once(keystone, world):
    path = f"roles/{world['role']}/implies/{world['reader']}"
    assert call(keystone, "PUT", path).status_code == 201
    again = call(keystone, "PUT", path)
    words = "Conflict occurred attempting to store implied_role - Duplicate entry."
    assert (again.status_code, message(again)) == (409, words)


def test_a_role_that_goes_takes_the_application_credentials_that_stood_on_it(keystone, world):
    role = keystone.make("role", name="worker")["id"]
    give(keystone, world, "projects/{top}/users/{user}", role)
    token = keystone.token("u", "pw", {"project": {"id": world["top"]}}, world["domain"])
    path = f"/v3/users/{world['user']}/application_credentials"
    body = {"application_credential": {"name": "a"}}
    assert keystone.client.post(path, as_=token, json=body).status_code == 201
    assert call(keystone, "DELETE", f"roles/{role}").status_code == 204
    assert keystone.client.get(path, as_=keystone.admin).json["application_credentials"] == []


# Who may know that something is not there


@pytest.mark.parametrize(
    ("method", "path"),
    [("PATCH", "domains/none"), ("DELETE", "domains/none"), ("GET", "roles/none"), ("PATCH", "roles/none"),
     ("DELETE", "roles/none"), ("DELETE", "groups/none"), ("GET", "roles/none/implies")],
)  # fmt: skip
def test_that_there_is_none_is_no_secret(keystone, method, path):
    body = {"json": {path.partition("s/")[0]: {"name": "x"}}} if method == "PATCH" else {}
    assert keystone.client.request(method, f"/v3/{path}", as_=keystone.demo, **body).status_code == 404


@pytest.mark.parametrize(("method", "path"), [("GET", "users/none"), ("PATCH", "groups/none"), ("GET", "domains/none")])
def test_that_there_is_none_is_a_secret(keystone, method, path):
    body = {"json": {"group": {"name": "x"}}} if method == "PATCH" else {}
    assert keystone.client.request(method, f"/v3/{path}", as_=keystone.demo, **body).status_code == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
@pytest.mark.parametrize("kind", ["projects", "domains"])
def test_who_may_not_give_inherited_roles_learns_of_no_place(keystone, world, kind, method):
    path = f"/v3/OS-INHERIT/{kind}/none/users/{world['user']}/roles/{world['reader']}/inherited_to_projects"
    assert keystone.client.request(method, path, as_=keystone.demo).status_code == 403
    assert keystone.client.request(method, path, as_=keystone.admin).status_code == 404


def test_who_may_act_in_one_domain_names_it(keystone, world):
    give(keystone, world, "domains/{domain}/users/{user}", keystone.find("roles", "manager"))
    manager = keystone.token("u", "pw", {"domain": {"id": world["domain"]}}, world["domain"])
    for noun in ("user", "group", "project"):
        body = {noun: {"name": "new"}}
        assert keystone.client.post(f"/v3/{noun}s", as_=manager, json=body).status_code == 403
        body[noun]["domain_id"] = world["domain"]
        assert keystone.client.post(f"/v3/{noun}s", as_=manager, json=body).status_code == 201


def test_a_reader_of_the_system_may_ask_about_roles_of_every_domain(keystone, world):
    path = f"projects/{world['top']}/users/{world['user']}/roles/{world['role']}"
    give(keystone, world, "system/users/{user}")
    reader = keystone.token("u", "pw", {"system": {"all": True}}, world["domain"])
    assert keystone.client.head(f"/v3/{path}", as_=reader).status_code == 404
    give(keystone, world, "projects/{top}/users/{user}", "role")
    assert keystone.client.head(f"/v3/{path}", as_=reader).status_code == 204


# What it costs


def test_assignments_cost_the_same_however_many_there_are(keystone, world):
    queries = [
        "effective&include_names", f"effective&user.id={world['user']}", "include_names",
        f"effective&scope.project.id={world['top']}&include_subtree",
    ]  # fmt: skip

    def spread(suffix):
        parent = keystone.make("project", name=f"p{suffix}", domain_id=world["domain"], parent_id=world["top"])["id"]
        keystone.make("project", name=f"q{suffix}", domain_id=world["domain"], parent_id=parent)
        group = keystone.make("group", name=f"g{suffix}", domain_id=world["domain"])["id"]
        call(keystone, "PUT", f"groups/{group}/users/{world['user']}")
        call(
            keystone,
            "PUT",
            f"OS-INHERIT/projects/{parent}/groups/{group}/roles/{world['reader']}/inherited_to_projects",
        )

    spread("first")
    counter = Counter(keystone.cloud)

    def costs():
        found = []
        for query in [*(f"role_assignments?{query}" for query in queries), f"users/{world['user']}/projects"]:
            call(keystone, "GET", "regions")  # the token is known
            counter.statements.clear()
            assert call(keystone, "GET", query).status_code == 200
            found.append(len(counter.statements))
        return found

    few = costs()
    for number in range(8):
        spread(number)
    assert costs() == few
    assert len(call(keystone, "GET", f"users/{world['user']}/projects").json["projects"]) == 9


def test_a_domain_goes_at_the_same_cost_however_many_are_in_it(keystone):
    counter = Counter(keystone.cloud)

    def cost(users):
        domain = keystone.make("domain", name=f"d{users}")["id"]
        for number in range(users):
            keystone.make("user", name=f"u{number}", domain_id=domain)
            keystone.make("project", name=f"p{number}", domain_id=domain)
        call(keystone, "PATCH", f"domains/{domain}", domain={"enabled": False})
        counter.statements.clear()
        assert call(keystone, "DELETE", f"domains/{domain}").status_code == 204
        return len(counter.statements)

    assert cost(1) == cost(12)
