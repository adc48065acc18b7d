"""Every line of the sheet (lines.toml, docs/cheat-sheet.md) with the client of its time, and what replaces it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.clients.cloud import IMAGE

LINES = tomllib.loads(Path(__file__).with_name("lines.toml").read_text(encoding="utf-8"))["line"]


def name(line):
    words = [word for word in line["command"].split()[1:] if re.fullmatch(r"[a-z][a-z_-]+", word)]
    return f"{line['number']}-{line['client']}-{(words or ['script'])[0]}"


@pytest.mark.parametrize("line", LINES, ids=name)
def test_line(cloud, line):
    said = cloud.run(line["client"], line["command"], line.get("variables", "v2"), **line.get("environment", {}))
    assert said.code == 0, said.errors + said.text
    assert "Traceback" not in said.errors
    if line.get("image"):
        assert said.out == IMAGE
        return
    for wanted in line["says"]:
        assert re.search(cloud.filled(wanted), said.text, re.MULTILINE), f"{wanted!r} is not in\n{said.text}"


def test_line_71_with_a_wrong_token(cloud):
    command = "keystone --os-token wrong --os-endpoint http://127.0.0.1:35357/v2.0/ tenant-list"
    said = cloud.run("keystone", command, "none")
    assert said.code == 1
    assert "Invalid OpenStack Identity credentials." in said.errors


def test_line_86_policy_json(cloud):
    """Read while the server runs; the words of the refusal are Keystone's."""
    file = cloud.state / "policy" / "identity.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"admin_required": [["role:admin"]], "identity:list_regions": [["role:nobody"]]}))
    try:
        said = cloud.run("openstack", "openstack region list", "v3")
        assert said.code == 1
        assert "You are not authorized to perform the requested action: identity:list_regions." in said.errors
    finally:
        file.unlink()
    assert cloud.run("openstack", "openstack region list", "v3").code == 0
