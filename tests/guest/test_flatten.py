"""The guest's own reader of JSON and #cloud-config, run by the busybox that goes into the guest."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from onestack.guest import rootfs

SCRIPTS = rootfs.FILES / "rootfs/usr/lib/onestack"

pytestmark = pytest.mark.skipif(not shutil.which("busybox"), reason="needs busybox-static")


def flatten(text: str) -> dict[str, str]:
    done = subprocess.run(
        ["busybox", "awk", "-f", SCRIPTS / "flatten.awk"],
        input=text, capture_output=True, text=True, check=True, env={},
    )  # fmt: skip
    assert done.stderr == ""
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    return {path: value.replace("\\\\", "\0").replace("\\n", "\n").replace("\\t", "\t").replace("\0", "\\")
            for path, value in lines}  # fmt: skip


def test_json_as_the_metadata_service_writes_it() -> None:
    key = "ssh-ed25519 AAAAC3Nza+/= me@here\n"
    document = {
        "uuid": "83679162-1378-4288-a2d4-70e13ec132aa",
        "hostname": "vm.novalocal",
        "meta": {"hostname": "trap", "quote": 'a "b" \\ c', "braces": "}]{[", "empty": ""},
        "public_keys": {"my key, 1": key},
        "keys": [{"data": key, "type": "ssh", "name": "k"}],
        "launch_index": 0,
        "devices": [],
        "nothing": {},
        "emoji": "é€😀",
    }
    for indent in (None, 2):
        got = flatten(json.dumps(document, indent=indent))
        assert got["uuid"] == document["uuid"]
        assert got["hostname"] == "vm.novalocal"
        assert got["meta.quote"] == 'a "b" \\ c'
        assert got["meta.braces"] == "}]{["
        assert got["meta.empty"] == ""
        assert got["public_keys.my key, 1"] == key
        assert got["keys.0.data"] == key
        assert got["keys.0.name"] == "k"
        assert got["launch_index"] == "0"
        assert got["emoji"] == "é€😀"


def test_cloud_config_as_people_write_it() -> None:
    got = flatten(
        """#cloud-config
# a comment
hostname: vm1   # trailing
fqdn: "vm1.example.org"
ssh_pwauth: True
password: 'it''s#1'
chpasswd:
  expire: false
  list: |
    root:one
    cirros:t:w:o
ssh_authorized_keys:
- ssh-ed25519 AAAA first key
- ssh-rsa BBBB

runcmd:
  - echo "a: b" > /tmp/x
  - [ sh, -c, 'echo "hi, there" | tee /tmp/y' ]
  - - touch
    - /tmp/z
  - |
    if true; then
      echo deep
    fi
  - [ls,
     -l]
write_files:
  - path: /etc/one
    permissions: '0600'
    content: |
      line 1
        indented\\t\\n

      line 4
  - content: >-
      folded
      text
    path: /etc/two
  - {path: /etc/three, content: "x\\ny", append: true}
final: yes
"""
    )
    assert got == {
        "hostname": "vm1",
        "fqdn": "vm1.example.org",
        "ssh_pwauth": "True",
        "password": "it's#1",
        "chpasswd.expire": "false",
        "chpasswd.list": "root:one\ncirros:t:w:o\n",
        "ssh_authorized_keys.0": "ssh-ed25519 AAAA first key",
        "ssh_authorized_keys.1": "ssh-rsa BBBB",
        "runcmd.0": 'echo "a: b" > /tmp/x',
        "runcmd.1.0": "sh",
        "runcmd.1.1": "-c",
        "runcmd.1.2": 'echo "hi, there" | tee /tmp/y',
        "runcmd.2.0": "touch",
        "runcmd.2.1": "/tmp/z",
        "runcmd.3": "if true; then\n  echo deep\nfi\n",
        "runcmd.4.0": "ls",
        "runcmd.4.1": "-l",
        "write_files.0.path": "/etc/one",
        "write_files.0.permissions": "0600",
        "write_files.0.content": "line 1\n  indented\\t\\n\n\nline 4\n",
        "write_files.1.content": "folded text",
        "write_files.1.path": "/etc/two",
        "write_files.2.path": "/etc/three",
        "write_files.2.content": "x\ny",
        "write_files.2.append": "true",
        "final": "yes",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:\n  b: 1\nc: 2", {"a.b": "1", "c": "2"}),
        ("a:\n- b: 1\n  c: 2\n- b: 3", {"a.0.b": "1", "a.0.c": "2", "a.1.b": "3"}),
        ("a: |\n  x\n\n\nb: 1", {"a": "x\n", "b": "1"}),
        ("a: |+\n  x\n\nb: 1", {"a": "x\n\n", "b": "1"}),
        ("a: |-\n  x\n", {"a": "x"}),
        ("a: one\r\nb: two\r\n", {"a": "one", "b": "two"}),
        ("a: http://x.org:80/y", {"a": "http://x.org:80/y"}),
        ("a:\n  - x\n  -\n    b: y", {"a.0": "x", "a.1.b": "y"}),
        ("", {}),
        ("{", {}),
        ("a: [", {}),
        ("- - - x", {"0.0.0": "x"}),
    ],
)
def test_corners(text: str, expected: dict[str, str]) -> None:
    assert flatten(text) == expected


def test_mime_parts(tmp_path: Path) -> None:
    message = (
        'Content-Type: multipart/mixed; boundary="==X=="\nMIME-Version: 1.0\n\n'
        "--==X==\nContent-Type: text/cloud-config; charset=us-ascii\n\n#cloud-config\na: 1\n"
        "--==X==\nContent-Type: text/x-shellscript\nContent-Transfer-Encoding: base64\n\nIyEvYmluL3NoCg==\n--==X==--\n"
    )
    subprocess.run(
        ["busybox", "awk", "-v", f"home={tmp_path}", "-f", SCRIPTS / "mime.awk"], input=message, text=True, check=True
    )
    assert (tmp_path / "0").read_text() == "#cloud-config\na: 1\n"
    assert (tmp_path / "0.type").read_text() == "text/cloud-config\n"
    assert (tmp_path / "1").read_text() == "IyEvYmluL3NoCg==\n"
    assert (tmp_path / "1.encoding").read_text() == "base64\n"
    assert not (tmp_path / "2").exists()
