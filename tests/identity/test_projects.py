"""Projects and domains: their tree, names, tags and marks, in Keystone's words."""

from __future__ import annotations

import msgspec
import pytest

from tests.identity.conftest import ADMIN_PASSWORD


def call(keystone, method, path, **body):
    more = {"json": body} if body else {}
    return keystone.client.request(method, f"/v3/{path}", as_=keystone.admin, **more)


def message(answer):
    return answer.json["error"]["message"]


def refused(keystone, method, path, **body):
    answer = call(keystone, method, path, **body)
    assert answer.status_code >= 400, answer.text
    return answer.status_code, message(answer)


@pytest.fixture
def tree(keystone):
    """A domain with top → middle → leaf."""
    ids = {"domain": keystone.make("domain", name="d")["id"]}
    parent = ids["domain"]
    for name in ("top", "middle", "leaf"):
        parent = ids[name] = keystone.make("project", name=name, domain_id=ids["domain"], parent_id=parent)["id"]
    return ids


def test_what_a_change_of_the_tree_is_told(keystone, tree):
    top, leaf = tree["top"], tree["leaf"]
    assert refused(keystone, "PATCH", f"projects/{top}", project={"enabled": False}) == (
        403, f"Cannot disable project {top} since its subtree contains enabled projects."
    )  # fmt: skip
    code, words = refused(keystone, "DELETE", f"projects/{tree['middle']}")
    assert code == 403
    assert "since it is not a leaf in the hierarchy" in words
    for name in ("leaf", "middle", "top"):
        assert call(keystone, "PATCH", f"projects/{tree[name]}", project={"enabled": False}).status_code == 200
    assert refused(keystone, "PATCH", f"projects/{leaf}", project={"enabled": True}) == (
        403, f"Cannot enable project {leaf} since it has disabled parents"
    )  # fmt: skip
    under = {"name": "x", "parent_id": leaf, "domain_id": tree["domain"]}
    code, words = refused(keystone, "POST", "projects", project=under)
    assert code == 400
    assert words.startswith("cannot create a project in a branch containing a disabled project: ")


def test_a_disabled_domain_takes_no_projects_but_may_have_enabled_ones(keystone, tree):
    words = "Cannot delete a domain that is enabled, please disable it first."
    assert refused(keystone, "DELETE", f"domains/{tree['domain']}") == (403, words)
    assert call(keystone, "PATCH", f"domains/{tree['domain']}", domain={"enabled": False}).status_code == 200
    assert call(keystone, "GET", f"projects/{tree['top']}").json["project"]["enabled"] is True
    new = {"name": "x", "domain_id": tree["domain"]}
    assert refused(keystone, "POST", "projects", project=new)[0] == 400


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"parent_id": "default"}, (403, "Update of `parent_id` is not allowed.")),
        ({"domain_id": "default"}, (400, "Cannot change Domain ID")),
        ({"is_domain": True}, (400, "Update of `is_domain` is not allowed.")),
    ],
)
def test_nothing_moves(keystone, tree, change, expected):
    assert refused(keystone, "PATCH", f"projects/{tree['leaf']}", project=change) == expected
    for noun in ("user", "group"):
        made = keystone.make(noun, name="n")
        change = {"domain_id": tree["domain"]}
        assert refused(keystone, "PATCH", f"{noun}s/{made['id']}", **{noun: change}) == (400, "Cannot change Domain ID")


def test_domain_and_parent_must_agree(keystone, tree):
    code, words = refused(
        keystone, "POST", "projects", project={"name": "x", "domain_id": "default", "parent_id": tree["domain"]}
    )
    assert (code, words.split(",")[0]) == (400, "Cannot create project")
    assert "is acting as a domain" in words
    code, words = refused(
        keystone, "POST", "projects", project={"name": "x", "domain_id": "default", "parent_id": tree["top"]}
    )
    assert code == 400
    assert f"specifies a parent in a different domain ({tree['domain']})" in words


def test_the_depth_is_a_setting(keystone, tree):
    settings = keystone.cloud.settings
    identity = msgspec.structs.replace(settings.identity, max_project_tree_depth=3)
    keystone.cloud.settings = msgspec.structs.replace(settings, identity=identity)
    new = {"name": "x", "domain_id": tree["domain"], "parent_id": tree["leaf"]}
    words = f"Max hierarchy depth reached for {tree['leaf']} branch."
    assert refused(keystone, "POST", "projects", project=new) == (403, words)
    assert call(keystone, "POST", "projects", project=new | {"parent_id": tree["middle"]}).status_code == 201


def test_names_for_urls(keystone):
    settings = keystone.cloud.settings
    identity = msgspec.structs.replace(settings.identity, project_name_url_safe="new", domain_name_url_safe="new")
    keystone.make("project", name="a/b")
    keystone.cloud.settings = msgspec.structs.replace(settings, identity=identity)
    words = "Project name cannot contain the following reserved characters: ?:"
    assert refused(keystone, "POST", "projects", project={"name": "a?b:"}) == (400, words)
    words = "Domain name cannot contain the following reserved characters: /"
    assert refused(keystone, "POST", "domains", domain={"name": "a/b"}) == (400, words)
    made = keystone.make("project", name="fine")
    assert refused(keystone, "PATCH", f"projects/{made['id']}", project={"name": "a#"})[0] == 400


# A project that acts as a domain


def test_a_project_that_acts_as_a_domain(keystone):
    made = call(keystone, "POST", "projects", project={"name": "acts", "is_domain": True, "tags": ["t"]}).json[
        "project"
    ]
    assert (made["is_domain"], made["domain_id"], made["parent_id"]) == (True, None, None)
    domain = call(keystone, "GET", f"domains/{made['id']}").json["domain"]
    assert (domain["name"], domain["tags"]) == ("acts", ["t"])
    assert "parent_id" not in domain
    found = call(keystone, "GET", "projects?is_domain=true").json["projects"]
    assert made["id"] in [project["id"] for project in found]
    assert made["id"] not in [project["id"] for project in call(keystone, "GET", "projects").json["projects"]]
    for more in ({"parent_id": "default"}, {"domain_id": "default"}):
        body = {"name": "other", "is_domain": True} | more
        words = "only root projects are allowed to act as domains."
        assert refused(keystone, "POST", "projects", project=body) == (400, words)
    words = "it is not permitted to have two projects acting as domains with the same name: acts"
    code, found = refused(keystone, "POST", "domains", domain={"name": "acts"})
    assert (code, words in found) == (409, True)
    assert call(keystone, "DELETE", f"projects/{made['id']}").status_code == 403
    assert call(keystone, "PATCH", f"projects/{made['id']}", project={"enabled": False}).status_code == 200
    assert call(keystone, "DELETE", f"projects/{made['id']}").status_code == 204
    assert call(keystone, "GET", f"domains/{made['id']}").status_code == 404


def test_domains_of_a_given_id(keystone):
    wanted = "ab" * 16
    assert keystone.make("domain", name="d", explicit_domain_id=wanted)["id"] == wanted
    words = "Domain ID does not conform to required UUID format."
    assert refused(keystone, "POST", "domains", domain={"name": "e", "explicit_domain_id": "not-one"}) == (400, words)
    assert refused(keystone, "POST", "domains", domain={"name": "e", "explicit_domain_id": wanted})[0] == 409


def test_a_domain_with_an_immutable_project_stays(keystone, tree):
    call(keystone, "PATCH", f"projects/{tree['leaf']}", project={"options": {"immutable": True}})
    call(keystone, "PATCH", f"domains/{tree['domain']}", domain={"enabled": False})
    code, words = refused(keystone, "DELETE", f"domains/{tree['domain']}")
    assert (code, words) == (
        403, f'Unable to delete immutable project resource: `{tree["leaf"]}. Set resource option "immutable" to '
        "false first."
    )  # fmt: skip
    assert call(keystone, "GET", f"projects/{tree['top']}").status_code == 200


# Tags


def test_tags_of_an_immutable_project(keystone):
    made = keystone.make("project", name="p", tags=["a"], options={"immutable": True})
    path = f"projects/{made['id']}/tags"
    for method, where, verb, body in (
        ("PUT", f"{path}/b", "create", {}), ("PUT", path, "update", {"tags": []}), ("DELETE", path, "update", {}),
        ("DELETE", f"{path}/a", "delete", {}),
    ):  # fmt: skip
        code, words = refused(keystone, method, where, **body)
        assert code == 403
        assert words.startswith(f"Cannot {verb} project tags for {made['id']}, project is immutable.")
    assert call(keystone, "GET", path).json["tags"] == ["a"]


def test_the_four_filters_of_tags(keystone):
    for name, tags in (("none", []), ("red", ["red"]), ("both", ["red", "blue"]), ("blue", ["blue"])):
        keystone.make("project", name=name, tags=tags)

    def found(query):
        names = {project["name"] for project in call(keystone, "GET", f"projects?{query}").json["projects"]}
        return names - {"admin", "demo", "service"}

    assert found("tags=red,blue") == {"both"}
    assert found("tags-any=red,blue") == {"red", "both", "blue"}
    assert found("not-tags=red,blue") == {"none", "red", "blue"}
    assert found("not-tags-any=red,blue") == {"none"}
    assert found("tags=red&not-tags-any=blue") == {"red"}


def test_a_tag_is_added_once_and_eighty_are_the_most(keystone):
    made = keystone.make("project", name="p", tags=[f"t{i}" for i in range(80)])
    path = f"projects/{made['id']}/tags"
    assert refused(keystone, "PUT", f"{path}/t80")[0] == 400
    assert call(keystone, "PUT", path, tags=["a"]).json["tags"] == ["a"]
    assert refused(keystone, "PUT", f"{path}/a")[0] == 400
    assert call(keystone, "PUT", f"{path}/b").status_code == 201


# Lists and trees


def test_trees_show_only_what_one_has_a_role_on(keystone, tree):
    user, role = keystone.find("users", "admin"), keystone.find("roles", "reader")
    for name in ("top", "leaf"):
        call(keystone, "PUT", f"projects/{tree[name]}/users/{user}/roles/{role}")
    shown = call(keystone, "GET", f"projects/{tree['leaf']}?parents_as_list&include_limits").json["project"]
    assert [item["project"]["name"] for item in shown["parents"]] == ["top"]
    assert shown["parents"][0]["project"]["limits"] == []
    shown = call(keystone, "GET", f"projects/{tree['top']}?subtree_as_list").json["project"]
    assert [item["project"]["name"] for item in shown["subtree"]] == ["leaf"]
    assert "limits" not in shown["subtree"][0]["project"]
    for pair in ("parents_as_list&parents_as_ids", "subtree_as_list&subtree_as_ids"):
        code, words = refused(keystone, "GET", f"projects/{tree['top']}?{pair}")
        assert (code, words.startswith("Cannot use ")) == (400, True)


def test_the_operator_limits_lists(keystone):
    settings = keystone.cloud.settings
    identity = msgspec.structs.replace(settings.identity, list_limit=2)
    keystone.cloud.settings = msgspec.structs.replace(settings, identity=identity)
    answer = call(keystone, "GET", "projects").json
    assert (len(answer["projects"]), answer["truncated"]) == (2, True)
    assert "marker=" in answer["links"]["next"]
    assert len(call(keystone, "GET", "projects?limit=3").json["projects"]) == 3
    assert refused(keystone, "GET", "projects?marker=none") == (404, "Marker none could not be found.")


def test_what_is_in_nobodys_domain_goes_to_the_default_one(keystone, tree):
    """A token for a project says nothing about where something new belongs."""
    user, role = keystone.find("users", "admin"), keystone.find("roles", "admin")
    call(keystone, "PUT", f"projects/{tree['top']}/users/{user}/roles/{role}")
    keystone.admin = keystone.token("admin", ADMIN_PASSWORD, {"project": {"id": tree["top"]}})
    assert keystone.make("user", name="u")["domain_id"] == "default"
    assert keystone.make("group", name="g")["domain_id"] == "default"
    call(keystone, "PUT", f"domains/{tree['domain']}/users/{user}/roles/{role}")
    keystone.admin = keystone.token("admin", ADMIN_PASSWORD, {"domain": {"id": tree["domain"]}})
    assert keystone.make("user", name="u")["domain_id"] == tree["domain"]


def test_groups_of_a_user_say_that_membership_lasts(keystone):
    user, group = keystone.make("user", name="u"), keystone.make("group", name="g")
    call(keystone, "PUT", f"groups/{group['id']}/users/{user['id']}")
    (found,) = call(keystone, "GET", f"users/{user['id']}/groups").json["groups"]
    assert found == group | {"membership_expires_at": None}


def test_who_leaves_a_group_must_log_in_again(keystone):
    user, group = keystone.make("user", name="u", password="pw"), keystone.make("group", name="g")
    call(keystone, "PUT", f"groups/{group['id']}/users/{user['id']}")
    token = keystone.token("u", "pw")
    call(keystone, "DELETE", f"groups/{group['id']}/users/{user['id']}")
    assert keystone.status(token) == 401


def test_users_of_providers_that_are_not_there(keystone):
    federated = [{"idp_id": "moon", "protocols": [{"protocol_id": "saml2", "unique_id": "u"}]}]
    body = {"name": "u", "federated": federated}
    assert refused(keystone, "POST", "users", user=body) == (400, "Could not find Identity Provider: moon")
    assert "federated" not in keystone.make("user", name="u", federated=[])
    assert refused(keystone, "POST", "users", user={"name": "v", "federated": [{"idp_id": "moon"}]})[0] == 400
    assert call(keystone, "GET", "users?idp_id=moon").json["users"] == []
