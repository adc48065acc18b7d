"""The operator's policy files: old and new forms, coming and going, and what is wrong with broken ones."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from onestack.core import policy_explain, policy_files
from onestack.core.context import Context
from onestack.core.policy import Policy
from onestack.core.policy_files import PolicyFileError

DEFAULTS = {"admin_required": "role:admin", "see": "rule:admin_required or project_id:%(project_id)s", "other": "@"}
ADMIN = Context(user_id="a", project_id="p", roles=["admin"])
MEMBER = Context(user_id="m", project_id="p", roles=["member"])
HAVANA = {
    "admin_required": [["role:admin"], ["is_admin:1"]],
    "owner": [["user_id:%(user_id)s"]],
    "admin_or_owner": [["rule:admin_required"], ["rule:owner"]],
    "see": [["rule:admin_required"], ["role:member", "rule:owner"]],
    "other": [],
}


def test_the_json_of_old_releases(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps(HAVANA))
    rules = Policy("s", DEFAULTS, tmp_path)
    assert rules.allows("see", ADMIN, {"user_id": "x"})
    assert rules.allows("see", MEMBER, {"user_id": "m"})
    assert not rules.allows("see", MEMBER, {"user_id": "x", "project_id": "p"}), "the default is not asked any more"
    assert rules.allows("see", Context(user_id="", by_admin_token=True), {"user_id": "x"})
    assert rules.allows("other", MEMBER, {})
    assert rules.overrides["see"] == "rule:admin_required or (role:member and rule:owner)"


def test_a_file_may_come_change_and_go(tmp_path: Path) -> None:
    rules = Policy("s", DEFAULTS, tmp_path / "policy")
    assert rules.allows("other", MEMBER, {})
    (tmp_path / "policy").mkdir()
    file = tmp_path / "policy" / "s.yaml"
    file.write_text('"other": "!"\n')
    assert not rules.allows("other", MEMBER, {})
    file.write_text('"other": "role:member"\n')
    os.utime(file, (1, 1))
    assert rules.allows("other", MEMBER, {})
    assert not rules.allows("other", ADMIN, {})
    file.unlink()
    assert rules.allows("other", ADMIN, {})


BROKEN = [
    ("{", "s.yaml"),
    ("- a\n- b\n", "must map"),
    ('"see": "role:"admin\n', "s.yaml"),
    ('"see": "this is no check"\n', "cannot be read"),
    ('"see": "role:admin or nonsense"\n', "cannot be read"),
    ('"see": 7\n', "neither a string nor a list"),
    ('"see": {"a": 1}\n', "neither a string nor a list"),
    ('"see": [["role:admin", 7]]\n', "list of lists"),
    ('"see": "rule:more"\n"more": "not rule:see"\n', "see → more → see"),
    ('"see": "rule:see"\n', "see → see"),
    (b"\xff\xfe\x00", "s.yaml"),
]


@pytest.mark.parametrize(("content", "words"), BROKEN)
def test_a_broken_file_changes_nothing_and_is_told_of(
    tmp_path: Path, content: str | bytes, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "s.yaml"
    file.write_text('"other": "role:member"\n')
    rules = Policy("s", DEFAULTS, tmp_path)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert rules.allows("other", MEMBER, {})
            assert not rules.allows("other", ADMIN, {})
    assert len([record for record in caplog.records if record.name == "onestack.core.policy"]) == 1
    assert words in caplog.text
    with pytest.raises(PolicyFileError, match=r"s\.yaml"):
        Policy("s", DEFAULTS, tmp_path)
    file.write_text('"other": "!"\n')
    assert not rules.allows("other", MEMBER, {}), "a repaired file is in force"


def test_an_empty_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("# nothing yet\n")
    assert Policy("s", DEFAULTS, tmp_path).allows("other", MEMBER, {})
    assert policy_files.read(tmp_path / "s.yaml") == {}


def test_an_expansion_says_where_each_rule_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text('"admin_required": "role:boss or rule:lost"\n')
    rules = Policy("s", DEFAULTS, tmp_path)
    lines = {line.name: line for line in policy_explain.expansion(rules, "see")}
    assert list(lines) == ["see", "admin_required", "lost"]
    assert (lines["see"].source, lines["admin_required"].source, lines["lost"].source) == (
        "default", str(file), "nowhere",
    )  # fmt: skip
    assert policy_explain.keys(list(lines.values())) == ["project_id"]


def test_personas_have_their_own_things_and_others() -> None:
    rules = Policy("s", DEFAULTS)
    people = policy_explain.personas()
    member = people["project member"]
    own, other = (policy_explain.target_of(["project_id"], whose) for whose in (member, None))
    assert policy_explain.allows(rules, "see", member, own) is True
    assert policy_explain.allows(rules, "see", member, other) is False
    assert policy_explain.allows(rules, "see", people["system admin"], other) is True
