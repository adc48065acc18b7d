"""Lists of servers: filters, sorting and paging, as conditions on plain columns.

Source: the compute API reference, "List Servers"; which filters users may use: its table of query parameters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import links, list_schema, state
from onestack.compute.models import Server, ServerTag
from onestack.core.errors import BadRequest, Forbidden
from onestack.core.http import Request
from onestack.core.operations import Operation
from onestack.core.words import truth
from onestack.network import public as network

SORT: dict[str, Any] = {
    "created_at": Server.created_at, "updated_at": Server.updated_at, "uuid": Server.id, "id": Server.id,
    "display_name": Server.name, "name": Server.name, "display_description": Server.description,
    "host": Server.host, "node": Server.host, "hostname": Server.hostname, "image_ref": Server.image_id,
    "instance_type_id": Server.flavor_id, "key_name": Server.key_name, "launch_index": Server.launch_index,
    "launched_at": Server.launched_at, "project_id": Server.project_id, "user_id": Server.user_id,
    "power_state": Server.power, "vm_state": Server.settled, "task_state": Operation.action,
    "terminated_at": Server.terminated_at, "root_device_name": Server.root_device_name,
    "availability_zone": Server.availability_zone, "access_ip_v4": Server.access_ip_v4,
    "access_ip_v6": Server.access_ip_v6, "config_drive": Server.config_drive, "locked": Server.locked_by,
    "locked_by": Server.locked_by, "kernel_id": Server.image_id, "ramdisk_id": Server.image_id,
    "auto_disk_config": Server.disk_config, "progress": Server.id,
}  # fmt: skip

# Filters that everybody may use; the rest is for admins, and ignored otherwise.
_FOR_ALL = frozenset(
    ("reservation_id", "name", "status", "image", "flavor", "ip", "changes-since", "all_tenants", "metadata",
     "tenant_id", "project_id", "user_id")
)  # fmt: skip
_FOR_ALL_2_83 = frozenset(
    ("availability_zone", "config_drive", "key_name", "created_at", "launched_at", "terminated_at", "power_state",
     "task_state", "vm_state", "progress")
)  # fmt: skip
_TAG_FILTERS = ("tags", "tags-any", "not-tags", "not-tags-any")
PAGING = frozenset(("limit", "marker", "sort_key", "sort_dir"))
KNOWN = PAGING | _FOR_ALL | _FOR_ALL_2_83 | frozenset(
    ("all_projects", "host", "node", "hostname", "description", "display_description", "display_name", "deleted",
     "uuid", "ip6", "locked", "changes-before", "access_ip_v4", "access_ip_v6", "image_ref", "instance_type_id",
     "launch_index", "root_device_name", "soft_deleted", "auto_disk_config", "kernel_id", "ramdisk_id", "locked_by",
     *_TAG_FILTERS)
)  # fmt: skip

_EQUAL: dict[str, Any] = {
    "reservation_id": Server.reservation_id, "uuid": Server.id, "host": Server.host, "node": Server.host,
    "image": Server.image_id, "image_ref": Server.image_id, "flavor": Server.flavor_id,
    "instance_type_id": Server.flavor_id, "user_id": Server.user_id, "availability_zone": Server.availability_zone,
    "key_name": Server.key_name, "launch_index": Server.launch_index, "root_device_name": Server.root_device_name,
    "access_ip_v4": Server.access_ip_v4, "access_ip_v6": Server.access_ip_v6,
}  # fmt: skip
_LIKE: dict[str, Any] = {
    "name": Server.name, "display_name": Server.name, "hostname": Server.hostname, "description": Server.description,
    "display_description": Server.description,
}  # fmt: skip


class Nothing(Exception):
    """The filters can't be met by any server."""


def conditions(req: Request, session: Session, *, detail: bool) -> list[sa.ColumnElement[bool]]:
    """What the query parameters ask for. Raises BadRequest, Forbidden, Nothing."""
    filters = _allowed(req)
    found: list[sa.ColumnElement[bool]] = [_tenants(req, filters, detail)]
    found += _changes(filters)
    found.append(_deleted(req, filters))
    if "status" in filters:
        found.append(_status(req, req.get_all("status")))
    for name, value in filters.items():
        if name in _EQUAL:
            found.append(_as_text(_EQUAL[name]) == value)
        elif name in _LIKE:
            found.append(_regexp(_LIKE[name], value))
    found += _states(filters)
    found += _others(session, filters, found[0])
    return found


def _as_text(column: Any) -> Any:
    """For comparing with what stood in the query: a number's text, so that what is no number finds nothing."""
    return sa.cast(column, sa.String) if isinstance(column.type, sa.Integer) else column


def _allowed(req: Request) -> dict[str, str]:
    everything = req.ctx.is_admin and req.allows("os_compute_api:servers:allow_all_filters")
    allowed = KNOWN if everything else _FOR_ALL | frozenset(("ip6", "changes-before", "locked", *_TAG_FILTERS))
    if req.version >= (2, 83):
        allowed |= _FOR_ALL_2_83
    if req.version >= (2, 90):
        allowed |= {"hostname"}
    filters = {name: value for name, value in req.query if name in allowed and name not in PAGING}
    if req.version < (2, 66):
        filters.pop("changes-before", None)
    if req.version < (2, 73):
        filters.pop("locked", None)
    if req.version < (2, 5) and not req.ctx.is_admin:
        filters.pop("ip6", None)
    if req.version < (2, 26):
        for name in _TAG_FILTERS:
            filters.pop(name, None)
    return filters


def _tenants(req: Request, filters: dict[str, str], detail: bool) -> sa.ColumnElement[bool]:
    text = filters.pop("all_tenants", None)
    project = filters.pop("project_id", None) or filters.pop("tenant_id", None)
    filters.pop("tenant_id", None)
    if text is None:
        return Server.project_id == (req.ctx.project_id or "")
    wanted = True if text == "" else _boolean("all_tenants", text)
    if not wanted:
        return Server.project_id == (req.ctx.project_id or "")
    req.policy.authorize(
        f"os_compute_api:servers:{'detail' if detail else 'index'}:get_all_tenants", req.ctx,
        {"project_id": req.ctx.project_id},
    )  # fmt: skip
    return Server.project_id == project if project else sa.true()


def _boolean(name: str, text: str) -> bool:
    value = truth(text)
    if value is None:
        raise BadRequest(f"Unrecognized value '{text}', acceptable values are: '0', '1', 'f', 'false', 'n', 'no', "
                         "'off', 'on', 't', 'true', 'y', 'yes'")  # fmt: skip
    return value


def _changes(filters: dict[str, str]) -> list[sa.ColumnElement[bool]]:
    times = {}
    for name in ("changes-since", "changes-before"):
        if name in filters:
            times[name] = links.moment(name, filters[name])
    if len(times) == 2 and times["changes-since"] > times["changes-before"]:
        raise BadRequest("The value of changes-since must be less than or equal to changes-before.")
    found = []
    if "changes-since" in times:
        found.append(Server.updated_at >= times["changes-since"])
    if "changes-before" in times:
        found.append(Server.updated_at <= times["changes-before"])
    return found


def _deleted(req: Request, filters: dict[str, str]) -> sa.ColumnElement[bool]:
    statuses = {text.lower() for text in req.get_all("status")}
    if statuses == {"deleted"}:
        if not req.ctx.is_admin:
            raise Forbidden("Only administrators may list deleted instances")
        filters["deleted"] = "true"
    text = filters.pop("deleted", None)
    if text is None:
        if "changes-since" in filters or "changes-before" in filters:
            return sa.true()
        return Server.deleted_at.is_(None)
    return Server.deleted_at.is_not(None) if truth(text) else Server.deleted_at.is_(None)


def vm_state_is(vm: str) -> sa.ColumnElement[bool]:
    """state.vm_state as a condition."""
    alive, fine = Server.deleted_at.is_(None), Server.error.is_(False)
    if vm == "deleted":
        return Server.deleted_at.is_not(None)
    if vm == "error":
        return sa.and_(alive, Server.error.is_(True))
    if vm == "building":
        return sa.and_(alive, fine, Server.launched_at.is_(None))
    powers = state.SETTLED_AT.get(vm, ())
    return sa.and_(alive, fine, Server.launched_at.is_not(None), Server.settled.in_(powers))


def _status(req: Request, texts: list[str]) -> sa.ColumnElement[bool]:
    wanted = {text.upper() for text in texts}
    pairs = [(vm, task) for vm in state.VM_STATES for task in state.TASK_STATES if state.status(vm, task) in wanted]
    if not pairs:
        if wanted & state.OTHER_STATUSES or req.version < (2, 38):
            raise Nothing
        raise BadRequest("Invalid status value")
    every = frozenset(state.TASK_STATES)
    found = []
    for vm in {vm for vm, _task in pairs}:
        tasks = {task for one, task in pairs if one == vm}
        found.append(vm_state_is(vm) if tasks == every else sa.and_(vm_state_is(vm), _task_in(tasks)))
    return sa.or_(*found)


def _task_in(tasks: set[str | None]) -> sa.ColumnElement[bool]:
    """state.task_state as a condition. Which kind of reboot it is stands in the operation's arguments."""
    soft = sa.type_coerce(Operation.args, sa.Text).like('%"type":"SOFT"%')
    found: list[sa.ColumnElement[bool]] = []
    for action in ("start", "stop", "pause", "unpause", "suspend", "resume", "delete", "rebuild"):
        if state.task_state(action, "", {}) in tasks:
            found.append(Operation.action == action)
    if "rebooting" in tasks:
        found.append(sa.and_(Operation.action == "reboot", soft))
    if "rebooting_hard" in tasks:
        found.append(sa.and_(Operation.action == "reboot", sa.not_(soft)))
    if None in tasks:
        found.append(sa.or_(Operation.action.is_(None), Operation.action.in_(("attach_interface", "detach_interface"))))
    for action, stages in state.STAGES.items():
        wanted = [stage for stage in stages if stage in tasks] + ([""] if stages[0] in tasks else [])
        if wanted:
            found.append(sa.and_(Operation.action == action, Operation.stage.in_(wanted)))
    return sa.or_(sa.false(), *found)


def _states(filters: dict[str, str]) -> list[sa.ColumnElement[bool]]:
    found = []
    if "vm_state" in filters:
        found.append(vm_state_is(filters["vm_state"].lower()))
    if "task_state" in filters:
        found.append(_task_in({filters["task_state"].lower()}))
    if "power_state" in filters:
        text = filters["power_state"]
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise BadRequest(f"Invalid power state [{text}]")
        found.append(Server.power.in_([name for name, number in state.POWER_NUMBERS.items() if number == int(text)]))
    return found


def _others(session: Session, filters: dict[str, str], tenants: sa.ColumnElement[bool]) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if "metadata" in filters:
        found += _metadata(filters["metadata"])
    if "locked" in filters:
        locked = _boolean("locked", filters["locked"])
        found.append(Server.locked_by.is_not(None) if locked else Server.locked_by.is_(None))
    if "config_drive" in filters:
        found.append(Server.config_drive.is_(filters["config_drive"].lower() in ("1", "true", "t", "yes", "on")))
    for name, version in (("ip", 4), ("ip6", 6)):
        if name in filters:
            found.append(Server.id.in_(_with_address(session, tenants, _compiled(filters[name]), version)))
    for name, build in _TAGS.items():
        if name in filters:
            found.append(build([tag for tag in filters[name].split(",") if tag]))
    return found


def _with_address(
    session: Session, tenants: sa.ColumnElement[bool], pattern: re.Pattern[str], version: int
) -> list[str]:
    """The servers that have an address like `pattern`."""
    ids = list(session.scalars(sa.select(Server.id).where(tenants, Server.deleted_at.is_(None))))
    return [
        server_id
        for server_id, lines in network.addresses_of(session, ids).items()
        if any(line.version == version and pattern.search(line.address) for line in lines)
    ]


def _metadata(text: str) -> list[sa.ColumnElement[bool]]:
    """`{"key": "value"}`: each pair stands in the column exactly as it is encoded there."""
    try:
        wanted = msgspec.json.decode(text, type=dict[str, str])
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise BadRequest(f"Invalid filter field: metadata. Value: {text}") from None
    found = []
    for key, value in wanted.items():
        pair = msgspec.json.encode({key: value}).decode()[1:-1]
        found.append(sa.type_coerce(Server.meta, sa.Text).contains(pair, autoescape=True))
    return found


def _tagged(tag: str) -> sa.ColumnElement[bool]:
    return sa.exists().where(ServerTag.server_id == Server.id, ServerTag.tag == tag)


_TAGS: dict[str, Callable[[list[str]], sa.ColumnElement[bool]]] = {
    "tags": lambda tags: sa.and_(sa.true(), *map(_tagged, tags)),
    "tags-any": lambda tags: sa.or_(sa.false(), *map(_tagged, tags)),
    "not-tags": lambda tags: sa.not_(sa.and_(sa.true(), *map(_tagged, tags))),
    "not-tags-any": lambda tags: sa.not_(sa.or_(sa.false(), *map(_tagged, tags))),
}


def _regexp(column: Any, text: str) -> sa.ColumnElement[bool]:
    """A regular expression that matches anywhere, in the database's own dialect of them."""
    _compiled(text)
    if not re.search(r"[\\^$.|?*+()\[\]{}]", text):
        return column.contains(text, autoescape=True)
    return column.regexp_match(text)


def _compiled(text: str) -> re.Pattern[str]:
    """A user's regular expression; list_schema has seen that it is one. Raises BadRequest for one whose matching could
    take for ever, as it does when a repetition is repeated."""
    if len(text) > 255 or _repeats(_parser.parse(text), inside=False):
        raise BadRequest(f"Invalid input for query parameters. Value: {text}. The regular expression is too costly.")
    return re.compile(text)


def _repeats(parsed: Any, *, inside: bool) -> bool:
    """Whether a repetition without a bound stands in another one, or a back reference anywhere."""
    for operation, argument in parsed:
        name = str(operation)
        if name == "GROUPREF":
            return True
        if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            many = argument[1] > 1
            if (inside and many) or _repeats(argument[2], inside=inside or many):
                return True
        elif (
            (name == "SUBPATTERN" and _repeats(argument[3], inside=inside))
            or (name == "BRANCH" and any(_repeats(branch, inside=inside) for branch in argument[1]))
            or (name in ("ASSERT", "ASSERT_NOT") and _repeats(argument[1], inside=inside))
        ):
            return True
    return False


def sorts(req: Request) -> list[tuple[str, str]]:
    """Sort keys, which have been checked, and directions."""
    keys = [key.strip() for key in req.get_all("sort_key")] or ["created_at"]
    directions = [text.strip().lower() for text in req.get_all("sort_dir")] or ["desc"]
    for direction in directions:
        if direction not in ("asc", "desc"):
            raise BadRequest(f"Invalid input for query parameters sort_dir. Value: {direction}. "
                             f"'{direction}' does not match '^(?i)(asc|desc)$'")  # fmt: skip
    result = []
    for number, key in enumerate(keys):
        if key in list_schema.IGNORED_SORT_KEYS and not (key == "locked" and req.version >= (2, 73)):
            continue
        result.append((key, directions[number] if number < len(directions) else directions[-1]))
    last = directions[0]
    if not any(key == "created_at" for key, _ in result):
        result.append(("created_at", last))
    if not any(key in ("uuid", "id") for key, _ in result):
        result.append(("uuid", last))
    return result
