"""Options of domains: whole, by group, one by one; what is secret; and what anybody may know of password rules."""

from __future__ import annotations

import msgspec
import pytest

CONFIG = {
    "identity": {"driver": "ldap"},
    "ldap": {"url": "ldap://myldap.com:389/", "user_tree_dn": "ou=Users,dc=my_new_root,dc=org"},
}
INVALID = "Invalid domain specific configuration: "


@pytest.fixture
def domain(keystone):
    return keystone.make("domain", name="d")["id"]


def ask(keystone, method, path, config=None, as_=None):
    more = {} if config is None else {"json": {"config": config}}
    return keystone.client.request(method, f"/v3/domains/{path}", as_=as_ or keystone.admin, **more)


def words(answer):
    return answer.json["error"]["message"]


def test_the_life_of_a_configuration(keystone, domain):
    path = f"{domain}/config"
    none = ask(keystone, "GET", path)
    assert none.status_code == 404
    assert words(none) == f"Could not find any options in domain configuration for domain {domain}."
    made = ask(keystone, "PUT", path, CONFIG)
    assert (made.status_code, made.json) == (201, {"config": CONFIG})
    assert ask(keystone, "GET", path).json == {"config": CONFIG}
    assert ask(keystone, "HEAD", path).status_code == 200
    assert ask(keystone, "GET", f"{path}/ldap").json == {"config": {"ldap": CONFIG["ldap"]}}
    assert ask(keystone, "GET", f"{path}/ldap/url").json == {"config": {"url": CONFIG["ldap"]["url"]}}
    assert ask(keystone, "HEAD", f"{path}/ldap/url").status_code == 200
    again = ask(keystone, "PUT", path, {"identity": {"driver": "sql"}})
    assert (again.status_code, again.json) == (200, {"config": {"identity": {"driver": "sql"}}})
    assert ask(keystone, "DELETE", path).status_code == 204
    assert ask(keystone, "GET", path).status_code == 404
    assert ask(keystone, "DELETE", path).status_code == 204


def test_changing_parts(keystone, domain):
    path = f"{domain}/config"
    ask(keystone, "PUT", path, CONFIG)
    changed = ask(keystone, "PATCH", path, {"ldap": {"suffix": "dc=x"}})
    assert changed.json["config"] == CONFIG | {"ldap": CONFIG["ldap"] | {"suffix": "dc=x"}}
    changed = ask(keystone, "PATCH", f"{path}/ldap", {"ldap": {"url": "ldaps://b"}})
    assert changed.json["config"]["ldap"]["url"] == "ldaps://b"
    assert changed.json["config"]["identity"] == CONFIG["identity"]
    changed = ask(keystone, "PATCH", f"{path}/ldap/url", {"url": "ldaps://c"})
    assert changed.json["config"]["ldap"]["url"] == "ldaps://c"
    assert ask(keystone, "DELETE", f"{path}/ldap/url").status_code == 204
    gone = ask(keystone, "GET", f"{path}/ldap/url")
    assert words(gone) == f"Could not find option url in group ldap in domain configuration for domain {domain}."
    assert ask(keystone, "DELETE", f"{path}/ldap").status_code == 204
    gone = ask(keystone, "GET", f"{path}/ldap")
    assert words(gone) == f"Could not find group ldap in domain configuration for domain {domain}."
    assert ask(keystone, "DELETE", f"{path}/ldap").status_code == 404
    assert ask(keystone, "GET", path).json["config"] == {"identity": CONFIG["identity"]}


@pytest.mark.parametrize(
    ("method", "part", "config", "reason"),
    [
        ("PUT", "", {}, "No options specified."),
        ("PUT", "", "x", "No options specified."),
        ("PUT", "", None, "No options specified."),
        ("PUT", "", {"ldap": []}, "The value of group ldap specified in the config should be a dictionary of options."),
        ("PUT", "", {"odd": {"a": 1}}, "Group odd is not supported for domain specific configurations."),
        (
            "PATCH", "", {"ldap": {"odd": 1}},
            "Option odd in group ldap is not supported for domain specific configurations.",
        ),
        (
            "PATCH", "/ldap", CONFIG,
            "Trying to update group ldap, so that, and only that, group must be specified in the config.",
        ),
        (
            "PATCH", "/ldap", {"identity": {"driver": "sql"}},
            "request to update group ldap, but config provided contains group identity instead.",
        ),
        (
            "PATCH", "/ldap/url", {"suffix": "x"},
            "Trying to update option url in group ldap, but config provided contains option suffix instead.",
        ),
        ("PATCH", "/odd", {"odd": {"a": 1}}, "Group odd is not supported for domain specific configurations."),
        ("GET", "/odd", None, "Group odd is not supported for domain specific configurations."),
        ("DELETE", "/ldap/odd", None, "Option odd in group ldap is not supported for domain specific configurations."),
    ],
)  # fmt: skip
def test_what_is_not_a_domains_to_set(keystone, domain, method, part, config, reason):
    ask(keystone, "PUT", f"{domain}/config", CONFIG)
    more = {"json": {} if config is None else {"config": config}} if method in ("PUT", "PATCH") else {}
    answer = keystone.client.request(method, f"/v3/domains/{domain}/config{part}", as_=keystone.admin, **more)
    assert (answer.status_code, words(answer)) == (403, INVALID + reason)
    assert ask(keystone, "GET", f"{domain}/config").json["config"] == CONFIG


def test_only_what_is_there_can_be_changed_by_name(keystone, domain):
    assert ask(keystone, "PATCH", f"{domain}/config/ldap", {"ldap": {"url": "x"}}).status_code == 404
    assert ask(keystone, "PATCH", f"{domain}/config/ldap/url", {"url": "x"}).status_code == 404
    assert ask(keystone, "PUT", "none/config", CONFIG).status_code == 404
    assert ask(keystone, "PATCH", "none/config", CONFIG).status_code == 404
    assert ask(keystone, "DELETE", "none/config").status_code == 404


def test_secrets_are_never_shown_and_encrypted_at_rest(keystone, domain):
    path = f"{domain}/config"
    config = {"ldap": CONFIG["ldap"] | {"password": "hidden-thing"}}
    assert ask(keystone, "PUT", path, config).json["config"] == {"ldap": CONFIG["ldap"]}
    for part in ("", "/ldap", "/ldap/password"):
        assert "hidden-thing" not in ask(keystone, "GET", path + part).text
    assert ask(keystone, "GET", f"{path}/ldap/password").status_code == 404
    for file in (keystone.cloud.settings.root / "db").iterdir():
        assert b"hidden-thing" not in file.read_bytes()
    changed = ask(keystone, "PATCH", f"{path}/ldap/password", {"password": "other"})
    assert changed.json["config"] == {"ldap": CONFIG["ldap"]}
    assert ask(keystone, "DELETE", f"{path}/ldap/password").status_code == 204
    assert ask(keystone, "PATCH", f"{path}/ldap/password", {"password": "other"}).status_code == 404


def test_values_keep_their_types(keystone, domain):
    config = {"ldap": {"page_size": 7, "use_tls": True, "debug_level": None, "group_attribute_ignore": ["a", "b"]}}
    assert ask(keystone, "PUT", f"{domain}/config", config).json["config"] == config


def test_options_go_with_their_domain(keystone, domain):
    ask(keystone, "PUT", f"{domain}/config", CONFIG)
    keystone.client.patch(f"/v3/domains/{domain}", as_=keystone.admin, json={"domain": {"enabled": False}})
    assert keystone.client.delete(f"/v3/domains/{domain}", as_=keystone.admin).status_code == 204
    assert ask(keystone, "GET", f"{domain}/config").status_code == 404


def test_defaults(keystone):
    shown = ask(keystone, "GET", "config/default").json["config"]
    assert shown.keys() == {"identity", "ldap"}
    assert shown["identity"] == {"driver": "sql", "list_limit": None}
    assert "password" not in shown["ldap"]
    assert ask(keystone, "GET", "config/ldap/default").json["config"] == {"ldap": shown["ldap"]}
    assert ask(keystone, "GET", "config/ldap/url/default").json == {"config": {"url": "ldap://localhost"}}
    assert ask(keystone, "HEAD", "config/default").status_code == 200
    secret = ask(keystone, "GET", "config/ldap/password/default")
    assert secret.status_code == 403
    assert words(secret) == INVALID + "Reading the default for option password in group ldap is not supported."
    assert ask(keystone, "GET", "config/odd/default").status_code == 403


def test_password_rules_are_for_everybody(keystone, domain):
    rules = msgspec.structs.replace(
        keystone.cloud.settings.security_compliance, password_regex="^.{7,}$", password_regex_description="long"
    )
    keystone.cloud.settings = msgspec.structs.replace(keystone.cloud.settings, security_compliance=rules)
    path = "default/config/security_compliance"
    shown = ask(keystone, "GET", path, as_=keystone.demo)
    wanted = {"password_regex": "^.{7,}$", "password_regex_description": "long"}
    assert shown.json == {"config": {"security_compliance": wanted}}
    one = ask(keystone, "GET", f"{path}/password_regex_description", as_=keystone.demo)
    assert one.json == {"config": {"password_regex_description": "long"}}
    assert ask(keystone, "HEAD", path, as_=keystone.demo).status_code == 200
    assert ask(keystone, "GET", f"{path}/lockout_duration", as_=keystone.demo).status_code == 403
    assert ask(keystone, "GET", f"{domain}/config/security_compliance").status_code == 403
    assert ask(keystone, "PATCH", path, {"security_compliance": wanted}).status_code == 403
    assert ask(keystone, "DELETE", path).status_code == 403
    assert ask(keystone, "GET", "default/config/ldap", as_=keystone.demo).status_code == 403
