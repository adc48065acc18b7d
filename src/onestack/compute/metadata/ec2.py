"""The tree that EC2's guests know: /latest/meta-data/… and /latest/user-data.

A folder lists its entries, those that are folders with a slash. Source: EC2's user guide, "Instance metadata
categories", and what Nova serves of it.
"""

from __future__ import annotations

import uuid
from typing import Any

from onestack.compute.metadata.facts import Facts

VERSIONS = (
    "1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15", "2008-02-01", "2008-09-01",
    "2009-04-04",
)  # fmt: skip
LATEST = "latest"

Tree = dict[str, Any]
LISTED_AS = "_name"  # the entry of a folder that says how its parent lists it


def resolved(version: str) -> str | None:
    if version == LATEST:
        return VERSIONS[-1]
    return version if version in VERSIONS else None


def tree(facts: Facts, version: str) -> Tree:
    """{"meta-data": …, "user-data": bytes} of a resolved version."""
    found: Tree = {"meta-data": meta_data(facts, version)}
    if facts.user_data is not None:
        found["user-data"] = facts.user_data
    return found


def meta_data(facts: Facts, version: str) -> Tree:
    local = [fixed.address for nic in facts.interfaces for fixed in nic.fixed_ips if fixed.version == 4]
    public = [floating for nic in facts.interfaces for floating, _fixed in nic.floating_ips]
    body: Tree = {
        "ami-id": _image(facts.image_id),
        "ami-launch-index": facts.launch_index,
        "ami-manifest-path": "(unknown)",
        "instance-id": f"i-{facts.number:08x}",
        "hostname": facts.hostname,
        "local-ipv4": local[0] if local else "",
        "reservation-id": facts.reservation_id,
        "security-groups": facts.security_groups,
    }
    if facts.key is not None:
        body["public-keys"] = {"0": {LISTED_AS: f"0={facts.key.name}", "openssh-key": facts.key.data}}
    if version >= "2007-01-19":
        body["local-hostname"] = body["public-hostname"] = facts.hostname
        body["public-ipv4"] = public[0] if public else ""
    if version >= "2007-08-29":
        body["instance-type"] = facts.flavor_name
    if version >= "2007-12-15":
        root = facts.disks.get("root", "")
        body["block-device-mapping"] = {"ami": root.removeprefix("/dev/"), **facts.disks}
    if version >= "2008-02-01":
        body["placement"] = {"availability-zone": facts.availability_zone}
    if version >= "2008-09-01":
        body["instance-action"] = "none"
    return body


def _image(image_id: str | None) -> str:
    """EC2's ids have 32 bits: those that an image's own id begins with."""
    return "" if image_id is None else f"ami-{uuid.UUID(image_id).int >> 96:08x}"


def without_listings(node: Tree) -> Tree:
    """The tree as plain values, for the config drive's JSON."""
    return {
        key: without_listings(value) if isinstance(value, dict) else value
        for key, value in node.items()
        if key != LISTED_AS
    }


def find(node: Any, steps: list[str]) -> Any:
    """What is at a path of the tree. Raises KeyError."""
    for step in steps:
        if not isinstance(node, dict) or step == LISTED_AS:
            raise KeyError(step)
        node = node[step]
    return node


def text(node: Any) -> bytes:
    """An entry as a guest reads it: a value, a list line by line, a folder's listing."""
    if isinstance(node, bytes):
        return node
    if isinstance(node, dict):
        return "\n".join(_listed(key, node[key]) for key in sorted(node) if key != LISTED_AS).encode()
    if isinstance(node, list):
        return "\n".join(node).encode()
    return str(node).encode()


def _listed(key: str, value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get(LISTED_AS, f"{key}/"))
    return key
