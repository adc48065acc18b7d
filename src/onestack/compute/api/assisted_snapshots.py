"""Snapshots of volumes that a hypervisor takes for the volume service: /os-assisted-volume-snapshots.

Source: the compute API reference, "Assisted volume snapshots". No server of this cloud has a volume, so that no
request that is well formed finds one.
"""

from __future__ import annotations

from typing import Any

import msgspec

from onestack.compute import schema
from onestack.core.errors import BadRequest
from onestack.core.http import Request

_TEXT = schema.string(None, 1)
_INFO = {"snapshot_id": _TEXT, "type": schema.one_of("qcow2"), "new_file": _TEXT, "id": _TEXT}


def create(req: Request) -> None:
    info = schema.obj(_INFO, ("snapshot_id", "type", "new_file"), req.version)
    fields = {"volume_id": _TEXT, "create_info": info}
    values = schema.body(req.body, "snapshot", fields, req.version, required=tuple(fields))
    req.authorize()
    raise _not_attached(values["volume_id"])


def delete(req: Request, snapshot_id: str) -> None:
    info = req.get("delete_info")
    if info is None:
        raise BadRequest("'delete_info'")
    try:
        found: Any = msgspec.json.decode(info)
    except msgspec.DecodeError:
        raise BadRequest("Expecting value: line 1 column 1 (char 0)") from None
    if not isinstance(found, dict) or "volume_id" not in found:
        raise BadRequest("'volume_id'")
    raise _not_attached(found["volume_id"])


def _not_attached(volume_id: Any) -> BadRequest:
    return BadRequest(f"No volume Block Device Mapping with id {volume_id}.")
