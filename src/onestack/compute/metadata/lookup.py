"""From a path to a document: /openstack/… is OpenStack's tree, /ec2/… and everything else EC2's."""

from __future__ import annotations

from typing import NamedTuple

from onestack.compute.metadata import ec2, openstack
from onestack.compute.metadata.facts import Facts
from onestack.compute.metadata.openstack import TEXT


class Document(NamedTuple):
    content: bytes
    content_type: str


def steps(path: str) -> list[str]:
    """A path's parts; empty ones don't count, and ".." doesn't lead out."""
    found: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del found[-1:]
        elif part not in ("", "."):
            found.append(part)
    return found


def root() -> Document:
    """The answer to /, which is the same for everybody."""
    return _lines([*ec2.VERSIONS, ec2.LATEST])


def lookup(facts: Facts, path: str, seed: bytes) -> Document | None:
    """The document at a path; None when there is none. `seed` is random, of openstack.SEED_BYTES bytes."""
    parts = steps(path)
    if parts[:1] == ["openstack"]:
        return _openstack(facts, parts[1:], seed)
    if parts[:1] == ["ec2"]:
        del parts[0]
    if not parts:
        return root()
    version = ec2.resolved(parts[0])
    if version is None:
        return None
    try:
        return Document(ec2.text(ec2.find(ec2.tree(facts, version), parts[1:])), TEXT)
    except KeyError:
        return None


def _openstack(facts: Facts, parts: list[str], seed: bytes) -> Document | None:
    if not parts:
        return _lines([*openstack.VERSIONS, openstack.LATEST])
    version = openstack.resolved(parts[0])
    if version is None:
        return None
    if len(parts) == 1:
        return _lines(openstack.names(facts, version))
    found = openstack.document(facts, version, "/".join(parts[1:]), seed)
    return None if found is None else Document(*found)


def is_password(path: str) -> bool:
    """Whether a guest may post its password there."""
    parts = steps(path)
    if len(parts) != 3 or parts[0] != "openstack" or parts[2] != openstack.PASSWORD:
        return False
    version = openstack.resolved(parts[1])
    return version is not None and version >= "2013-04-04"


def _lines(lines: list[str]) -> Document:
    return Document("\n".join(lines).encode(), TEXT)
