"""The /openstack tree: one folder for each version, named by the day it became what it is.

    2012-08-10  meta_data.json, user_data, network_data.json
    2013-04-04  password; random_seed
    2013-10-17  vendor_data.json
    2015-10-15  network_data.json is listed; project_id
    2016-06-30  devices
    2016-10-06  vendor_data2.json
    2018-08-27  vf_trusted of devices
    2020-10-14  dedicated_cpus
    2017-02-22 (VLANs of devices) and 2025-04-04 (shares) add what this cloud doesn't have

Source: Nova's user guide, "Metadata".
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from onestack.compute.metadata.facts import Facts
from onestack.compute.metadata.network_data import network_data
from onestack.network.public import Nic

VERSIONS = (
    "2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06", "2017-02-22", "2018-08-27",
    "2020-10-14", "2025-04-04",
)  # fmt: skip
LATEST = "latest"
SEED_BYTES = 512

PASSWORD = "password"  # noqa: S105
TEXT, JSON = "text/plain; charset=UTF-8", "application/json"

# File → the version that brought it. network_data.json can be read in every version, though it is listed later.
_SINCE = {
    "meta_data.json": "2012-08-10", "user_data": "2012-08-10", PASSWORD: "2013-04-04", "vendor_data.json": "2013-10-17",
    "network_data.json": "2015-10-15", "vendor_data2.json": "2016-10-06",
}  # fmt: skip
_READABLE_SINCE = {**_SINCE, "network_data.json": "2012-08-10"}


def resolved(version: str) -> str | None:
    """The version that a path's folder means; None when there is no such."""
    if version == LATEST:
        return VERSIONS[-1]
    return version if version in VERSIONS else None


def names(facts: Facts, version: str) -> list[str]:
    """The files of a version's folder."""
    return [
        name
        for name, since in _SINCE.items()
        if version >= since and not (name == "user_data" and facts.user_data is None)
    ]


def document(facts: Facts, version: str, name: str, seed: bytes, *, drive: bool = False) -> tuple[bytes, str] | None:
    """(content, content type) of a file; None when this version, or this server, doesn't have it."""
    if name not in _READABLE_SINCE or version < _READABLE_SINCE[name]:
        return None
    if name == "user_data":
        return None if facts.user_data is None else (facts.user_data, TEXT)
    if name == PASSWORD:
        return facts.password.encode(), TEXT
    if name == "network_data.json":
        # Nova says text here, and so it stays.
        return msgspec.json.encode(network_data(facts.interfaces)), TEXT
    if name == "vendor_data.json":
        return b"{}", JSON
    if name == "vendor_data2.json":
        return msgspec.json.encode({"static": {}}), JSON
    return msgspec.json.encode(meta_data(facts, version, seed, drive=drive)), JSON


def meta_data(facts: Facts, version: str, seed: bytes, *, drive: bool = False) -> dict[str, Any]:
    """meta_data.json. `seed`: random bytes for the guest's pool. `drive`: with what only the config drive holds."""
    body: dict[str, Any] = {"uuid": facts.id}
    if facts.meta:
        body["meta"] = facts.meta
    if drive and facts.files:
        body["files"] = [{"path": path, "content_path": place} for path, place, _content in contents(facts)]
    if drive and facts.admin_password is not None:
        body["admin_pass"] = facts.admin_password
    if facts.key is not None:
        body["public_keys"] = {facts.key.name: facts.key.data}
        body["keys"] = [{"name": facts.key.name, "type": facts.key.type, "data": facts.key.data}]
    body["hostname"] = facts.hostname
    body["name"] = facts.name
    body["launch_index"] = facts.launch_index
    body["availability_zone"] = facts.availability_zone
    if version >= "2013-04-04":
        body["random_seed"] = base64.b64encode(seed).decode()
    if version >= "2015-10-15":
        body["project_id"] = facts.project_id
    if version >= "2016-06-30":
        body["devices"] = [_device(nic, version) for nic in facts.interfaces if nic.tag]
    if version >= "2020-10-14":
        body["dedicated_cpus"] = []
    return body


def contents(facts: Facts) -> list[tuple[str, str, bytes]]:
    """The files given at create: (path in the guest, path below openstack/, content)."""
    return [(path, f"/content/{number:04d}", content) for number, (path, content) in enumerate(facts.files)]


def _device(nic: Nic, version: str) -> dict[str, Any]:
    """Which bus an interface is on, only its host knows; Nova says "none" then as well."""
    body: dict[str, Any] = {"type": "nic", "mac": nic.mac, "bus": "none", "address": "none"}
    if version >= "2018-08-27":
        body["vf_trusted"] = False
    return {**body, "tags": [nic.tag]}
