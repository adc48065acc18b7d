"""What the query of a list of servers may hold: which parameters, in which form. Its words are Nova's query schema's.

Filters that a caller may not use are ignored (server_query), but their form is checked for everybody.
"""

from __future__ import annotations

import re

from onestack.compute import links, queries
from onestack.compute.microversions import LEGACY
from onestack.core.dialect import Version
from onestack.core.errors import BadRequest, Forbidden
from onestack.core.http import Request

# In the order in which they are checked.
_PATTERNS = (
    "kernel_id", "ramdisk_id", "hostname", "key_name", "power_state", "node", "flavor", "reservation_id",
    "launched_at", "terminated_at", "availability_zone", "name", "display_name", "description", "display_description",
    "locked_by", "root_device_name", "config_drive", "access_ip_v4", "access_ip_v6", "auto_disk_config", "progress",
)  # fmt: skip
_LATER_PATTERNS = ("ip", "ip6", "created_at")
_TAGS = ("tags", "tags-any", "not-tags", "not-tags-any")
_SORT_KEYS = (
    "access_ip_v4", "access_ip_v6", "auto_disk_config", "availability_zone", "config_drive", "created_at",
    "display_description", "display_name", "host", "hostname", "image_ref", "instance_type_id", "kernel_id",
    "key_name", "launch_index", "launched_at", "locked_by", "node", "power_state", "progress", "project_id",
    "ramdisk_id", "root_device_name", "task_state", "terminated_at", "updated_at", "user_id", "uuid", "vm_state",
)  # fmt: skip
# Until 2.74 these are taken and not sorted by.
IGNORED_SORT_KEYS = (
    "architecture", "cell_name", "cleaned", "default_ephemeral_device", "default_swap_device", "deleted",
    "deleted_at", "disable_terminate", "ephemeral_gb", "ephemeral_key_uuid", "id", "key_data", "launched_on", "locked",
    "memory_mb", "os_type", "reservation_id", "root_gb", "shutdown_terminate", "user_data", "vcpus", "vm_mode",
)  # fmt: skip
# Names that mean something inside Nova: they are known, and refused to those who may use every filter.
_INTERNAL = frozenset(
    ("block_device_mapping", "services", "metadata", "system_metadata", "info_cache", "security_groups", "pci_devices")
)
_KNOWN = _INTERNAL | frozenset(
    ("user_id", "project_id", "tenant_id", "launch_index", "image_ref", "image", "vm_state", "task_state", "host",
     "uuid", "sort_key", "sort_dir", "all_tenants", "soft_deleted", "deleted", "status", "changes-since", "limit",
     "marker", *_PATTERNS, *_LATER_PATTERNS)
)  # fmt: skip


def sort_keys(version: Version) -> tuple[str, ...]:
    if version >= (2, 75):
        return ("locked", *_SORT_KEYS)
    return (*_SORT_KEYS, *IGNORED_SORT_KEYS)


def check(req: Request) -> None:
    """Raises BadRequest, Forbidden."""
    version = req.version
    tags = _TAGS if version >= (2, 26) else ()
    for name, value in _in_order(req, (*_PATTERNS, "sort_key", "changes-since", *_LATER_PATTERNS, *tags)):
        if name == "sort_key":
            _check_sort_key(req, value)
        elif name == "changes-since":
            links.moment(name, value)
        else:
            _check_pattern(name, value)
    for _name, value in _in_order(req, ("changes-before",) if version >= (2, 66) else ()):
        links.moment("changes-before", value)
    for value in req.get_all("limit"):
        queries.whole("limit", value)
    _check_names(req)


def _in_order(req: Request, names: tuple[str, ...]) -> list[tuple[str, str]]:
    present = {name for name, _value in req.query}
    return [(name, value) for name in names if name in present for value in req.get_all(name)]


def _check_pattern(name: str, value: str) -> None:
    try:
        if value:
            re.compile(value)
            return
    except (re.error, RecursionError, OverflowError):
        pass
    raise BadRequest(f"Invalid input for query parameters {name}. Value: {value}. {value!r} is not a 'regex'")


def _check_sort_key(req: Request, value: str) -> None:
    known = sort_keys(req.version)
    if value not in known:
        message = f"{value!r} is not one of {list(known)!r}"
        raise BadRequest(f"Invalid input for query parameters sort_key. Value: {value}. {message}")
    if value in ("host", "node") and not req.ctx.is_admin:
        raise Forbidden(f"Only administrators can sort servers by {value}")


def _check_names(req: Request) -> None:
    """Unknown ones are ignored until 2.74; so are those that begin with an underscore, but for whom nothing is."""
    version, given = req.version, [name for name, _value in req.query]
    known = set(_KNOWN)
    known.update(_TAGS if version >= (2, 26) else ())
    known.update(("changes-before",) if version >= (2, 66) else ())
    known.update(("locked",) if version >= (2, 73) else ())
    unknown = sorted({name for name in given if name not in known and not name.startswith("_")})
    if unknown and version >= (2, 75) and version != LEGACY:
        names, verb = ", ".join(map(repr, unknown)), "does" if len(unknown) == 1 else "do"
        raise BadRequest(f"{names} {verb} not match any of the regexes: '^_'")
    if req.allows("os_compute_api:servers:allow_all_filters"):
        for name in given:
            if name.startswith("_") or name in _INTERNAL:
                raise BadRequest(f"Invalid filter field: {name}.")
