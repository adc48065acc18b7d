"""Decisions: the same as oslo.policy's own, whatever the rules; and the operator's file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oslo_config import cfg
from oslo_policy import opts, policy

from onestack.core.context import Context
from onestack.core.errors import Forbidden
from onestack.core.policy import Policy
from onestack.core.policy_checks import Compiled

VALUES = ("a", "b", "None", "True", "admin")
KEYS = ("project_id", "user_id", "target.user.domain_id", "absent")
LEFT = (
    "project_id", "user_id", "token.domain.id", "token.project.domain.id", "token.list.id", "roles", "is_admin", "None",
    "True", "'a'", "1", "absent", "groups",
)  # fmt: skip

sides = st.one_of(
    st.sampled_from([f"%({key})s" for key in KEYS]),
    st.sampled_from(VALUES),
    st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES)).map(lambda pair: f"{pair[1]}-%({pair[0]})s"),
)


def checks(*names: str) -> st.SearchStrategy[str]:
    """Check strings that refer to none but `names`: in a circle there is no answer to compare."""
    leaves = st.one_of(
        st.sampled_from(["@", "!", "rule:nowhere", *(f"rule:{name}" for name in names)]),
        st.sampled_from(["role:admin", "role:Reader", "role:%(project_id)s", "role:%(absent)s"]),
        st.tuples(st.sampled_from(LEFT), sides).map(lambda pair: f"{pair[0]}:{pair[1]}"),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            inner.map(lambda text: f"not ({text})"),
            st.lists(inner, min_size=2, max_size=3).map(lambda parts: "(" + " and ".join(parts) + ")"),
            st.lists(inner, min_size=2, max_size=3).map(lambda parts: "(" + " or ".join(parts) + ")"),
        ),
        max_leaves=8,
    )


tables = st.fixed_dictionaries({"one": checks("two", "three"), "two": checks("three"), "three": checks()})
targets = st.dictionaries(st.sampled_from(KEYS[:-1]), st.sampled_from([*VALUES, None, True, 1, ["a"]]))
contexts = st.builds(
    Context,
    user_id=st.sampled_from(VALUES),
    project_id=st.sampled_from([*VALUES, None]),
    domain_id=st.sampled_from([*VALUES, None]),
    project_domain_id=st.sampled_from([*VALUES, None]),
    system=st.booleans(),
    roles=st.lists(st.sampled_from(["admin", "Reader", "reader", "member", "a"]), max_size=3),
)


def enforcer(rules: dict[str, str]) -> policy.Enforcer:
    conf = cfg.ConfigOpts()
    conf([], project="onestack", default_config_files=[], default_config_dirs=[])
    opts.set_defaults(conf)
    made = policy.Enforcer(conf, use_conf=False)
    made.set_rules(policy.Rules.from_dict(rules, "default"), use_conf=False)
    return made


def answer(function: Any) -> Any:
    """What a call says, or how it stumbles."""
    try:
        return bool(function())
    except Exception as error:
        return type(error)


@settings(max_examples=400, deadline=None)
@given(rules=tables, target=targets, context=contexts)
def test_every_decision_is_that_of_oslo_policy(rules: dict[str, str], target: dict[str, Any], context: Context) -> None:
    theirs = enforcer(rules)
    ours = Compiled(theirs)
    for name in (*rules, "nowhere"):
        credentials = {**context.credentials(), "groups": [{"x": 1}, "a"]}
        credentials["token"]["list"] = [{"id": "a"}, {"id": "b"}]
        if context.system:
            credentials["system"] = "all"
        expected = answer(lambda name=name, it=credentials: theirs.enforce(name, target, dict(it)))
        assert answer(lambda name=name, it=credentials: ours.allows(name, target, it)) == expected


def test_a_rule_named_default_answers_for_rules_that_there_are_not() -> None:
    theirs = enforcer({"default": "role:admin", "one": "rule:nowhere"})
    ours = Compiled(theirs)
    for roles in (["admin"], ["member"]):
        credentials = Context(user_id="u", roles=roles).credentials()
        for name in ("one", "missing"):
            assert ours.allows(name, {}, credentials) == theirs.enforce(name, {}, dict(credentials))


def test_a_check_of_another_kind_is_asked_itself_with_the_name_of_the_rule() -> None:
    asked: list[Any] = []

    class Plugin(policy.Check):
        def __call__(self, target: Any, creds: Any, enforcer: Any, current_rule: Any = None) -> bool:
            asked.append((self.match, target["project_id"], current_rule))
            return bool(target["project_id"] == "p")

    theirs = enforcer({"one": "rule:two and role:member", "two": "@"})
    theirs.rules["two"] = Plugin("plugin", "where")
    credentials = Context(user_id="u", roles=["member"]).credentials()
    ours = Compiled(theirs)
    assert ours.allows("one", {"project_id": "p"}, credentials)
    assert not ours.allows("one", {"project_id": "q"}, credentials)
    assert asked == [("where", "p", "one"), ("where", "q", "one")]
    assert not ours.allows("one", {}, credentials), "a key that the plug-in misses denies, below a rule"


def test_the_operators_file_beats_the_defaults_and_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file = tmp_path / "compute.yaml"
    file.write_text('"shut": "!"\n')
    os.utime(file, (1000, 1000))
    rules = Policy("compute", {"shut": "@", "own": "project_id:%(project_id)s"}, tmp_path)
    member = Context(user_id="u", project_id="p", roles=["member"])
    assert not rules.allows("shut", member, {})
    assert rules.allows("own", member, {"project_id": "p"})
    assert not rules.allows("own", member, {"project_id": "q"})
    file.write_text('"shut": "role:member"\n"own": "!"\n')
    os.utime(file, (2000, 2000))
    assert rules.allows("shut", member, {})
    assert not rules.allows("own", member, {"project_id": "p"})


def test_an_unknown_rule_is_denied_to_everybody() -> None:
    admin = Context(user_id="u", project_id="p", roles=["admin"])
    rules = Policy("compute", {"known": "role:admin"})
    rules.authorize("known", admin, {})
    with pytest.raises(Forbidden, match="Policy doesn't allow unknown to be performed"):
        rules.authorize("unknown", admin, {})
