"""A server as JSON, from a row of plain columns. The same for one server and for a thousand.

Source: the compute API reference, "Show Server Details"; which field came with which microversion: microversions.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import availability, hosts, links, nics, state
from onestack.compute.models import Host, Server, ServerTag
from onestack.core.clock import micros, seconds
from onestack.core.db import fetch, many
from onestack.core.http import Request
from onestack.core.operations import Operation

_LEFT_OUT = ("public_key", "key_type", "admin_password", "personality", "user_data", "requested_host", "image")

COLUMNS = [
    *(
        getattr(Server, attribute.key).label(attribute.key)  # not the column's name, which may be another one
        for attribute in sa.inspect(Server).column_attrs
        if attribute.key not in _LEFT_OUT
    ),
    Operation.action.label("task_action"),
    Operation.stage.label("task_stage"),
    Operation.args.label("task_args"),
]
UNFINISHED = sa.and_(Operation.object_id == Server.id, Operation.finished_at.is_(None))

_WITH_PROGRESS = frozenset(("ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"))


def select(*more: Any) -> sa.Select[Any]:
    """Servers with their unfinished operation, as the rows that `render` takes."""
    return sa.select(*COLUMNS, *more).select_from(Server).outerjoin(Operation, UNFINISHED)


def extra_columns(req: Request) -> list[Any]:
    """What only some callers or microversions see."""
    return [getattr(Server, name) for name in _extra(req)]


def _extra(req: Request) -> tuple[str, ...]:
    more: tuple[str, ...] = ()
    if req.version >= (2, 3) and req.allows("os_compute_api:os-extended-server-attributes"):
        more += ("user_data",)
    if req.version >= (2, 98):
        more += ("image",)
    return more


@cache
def _one(*extra: str) -> sa.Select[Any]:
    return select(*(getattr(Server, name) for name in extra)).where(Server.id == sa.bindparam("id"))


def one(req: Request, session: Session, server_id: str) -> Any:
    """The row of one server, deleted ones too; None when there is none."""
    return fetch(session, _one(*_extra(req)), id=server_id).one_or_none()


_HOSTS = sa.select(Host.hostname, Host.forced_down, Host.seen_at, Host.disabled).where(Host.hostname.in_(many("names")))
_TAGS = (
    sa.select(ServerTag.server_id, ServerTag.tag).where(ServerTag.server_id.in_(many("ids"))).order_by(ServerTag.tag)
)


class View:
    """Renders many rows of one request: everything that is the same for all of them is found out once."""

    def __init__(self, req: Request, session: Session, rows: Sequence[Any]) -> None:
        self.req = req
        self.version = req.version
        self.root, self.bookmarks = links.root(req), links.bookmark_root(req)
        self.admin = req.ctx.is_admin
        self.extended = req.allows("os_compute_api:os-extended-server-attributes")
        self.extra_specs = self.version >= (2, 47) and req.allows("os_compute_api:servers:show:flavor-extra-specs")
        ids = [row.id for row in rows]
        names = {row.host for row in rows if row.host is not None}
        self.nics = nics.of(session, [row.id for row in rows if row.host is not None or row.launched_at is not None])
        self.zones = availability.zones(session, names)
        self.tags = _tags(session, ids) if self.version >= (2, 26) else {}
        self.host_status = self._host_statuses(session, names)

    def _host_statuses(self, session: Session, names: Iterable[str]) -> dict[str, str] | None:
        if self.version < (2, 16) or not self.req.allows("os_compute_api:servers:show:host_status"):
            return None
        now = self.req.cloud.clock.now()
        found = {}
        for host in fetch(session, _HOSTS, names=list(names)):
            up = "UP" if hosts.is_up(host, now) else "DOWN"
            found[host.hostname] = "MAINTENANCE" if host.disabled else up
        return found

    def render(self, row: Any) -> dict[str, Any]:
        vm = state.vm_state(
            deleted=row.deleted_at is not None, error=row.error, launched=row.launched_at is not None,
            settled=row.settled,
        )  # fmt: skip
        task = state.task_state(row.task_action, row.task_stage, row.task_args)
        status = state.status(vm, task)
        ports = self.nics.get(row.id, ())
        body: dict[str, Any] = {
            "id": row.id,
            "name": row.name,
            "status": status,
            "tenant_id": row.project_id,
            "user_id": row.user_id,
            "metadata": row.meta,
            "hostId": host_id(row.host, row.project_id),
            "image": self._image(row),
            "flavor": self._flavor(row),
            "created": seconds(row.created_at),
            "updated": seconds(row.updated_at),
            "addresses": {} if vm == "building" else nics.addresses(ports),
            "accessIPv4": row.access_ip_v4,
            "accessIPv6": row.access_ip_v6,
            "links": self.links(row.id),
            "OS-DCF:diskConfig": row.disk_config,
            "OS-EXT-AZ:availability_zone": (row.availability_zone or "") if row.host is None else self.zones[row.host],
            "config_drive": "True" if row.config_drive else "",
            "key_name": row.key_name,
            "OS-SRV-USG:launched_at": micros(row.launched_at),
            "OS-SRV-USG:terminated_at": micros(row.terminated_at),
            "OS-EXT-STS:task_state": task,
            "OS-EXT-STS:vm_state": vm,
            "OS-EXT-STS:power_state": state.POWER_NUMBERS[row.power],
            "os-extended-volumes:volumes_attached": [],
        }
        if status in _WITH_PROGRESS:
            body["progress"] = 0
        if row.fault_at is not None and status in ("ERROR", "DELETED"):
            body["fault"] = self._fault(row)
        if groups := nics.security_groups(ports):
            body["security_groups"] = groups
        if self.extended:
            self._add_extended(body, row)
        self._add_by_version(body, row)
        return body

    def links(self, server_id: str) -> list[dict[str, str]]:
        return [
            {"rel": "self", "href": f"{self.root}/servers/{server_id}"},
            {"rel": "bookmark", "href": f"{self.bookmarks}/servers/{server_id}"},
        ]

    def _image(self, row: Any) -> Any:
        if row.image_id is None:
            return ""
        body: dict[str, Any] = {
            "id": row.image_id,
            "links": [{"rel": "bookmark", "href": f"{self.bookmarks}/images/{row.image_id}"}],
        }
        if self.version >= (2, 98):
            body["properties"] = (row.image or {}).get("properties", {})
        return body

    def _flavor(self, row: Any) -> dict[str, Any]:
        if self.version < (2, 47):
            href = f"{self.bookmarks}/flavors/{row.flavor_id}"
            return {"id": row.flavor_id, "links": [{"rel": "bookmark", "href": href}]}
        body = {
            "vcpus": row.vcpus, "ram": row.ram, "disk": row.disk, "ephemeral": row.ephemeral, "swap": row.swap,
            "original_name": row.flavor_name,
        }  # fmt: skip
        if self.extra_specs:
            body["extra_specs"] = row.extra_specs
        return body

    def _fault(self, row: Any) -> dict[str, Any]:
        fault = {"code": row.fault_code, "created": seconds(row.fault_at), "message": row.fault_message}
        if row.fault_details and (self.admin or row.fault_code != 500):
            fault["details"] = row.fault_details
        return fault

    def _add_extended(self, body: dict[str, Any], row: Any) -> None:
        body["OS-EXT-SRV-ATTR:host"] = row.host
        body["OS-EXT-SRV-ATTR:instance_name"] = f"instance-{row.number:08x}"
        body["OS-EXT-SRV-ATTR:hypervisor_hostname"] = row.host
        if self.version >= (2, 3):
            body["OS-EXT-SRV-ATTR:hostname"] = row.hostname
            body["OS-EXT-SRV-ATTR:kernel_id"] = ""
            body["OS-EXT-SRV-ATTR:ramdisk_id"] = ""
            body["OS-EXT-SRV-ATTR:launch_index"] = row.launch_index
            body["OS-EXT-SRV-ATTR:reservation_id"] = row.reservation_id
            body["OS-EXT-SRV-ATTR:root_device_name"] = row.root_device_name
            body["OS-EXT-SRV-ATTR:user_data"] = row.user_data

    def _add_by_version(self, body: dict[str, Any], row: Any) -> None:
        version = self.version
        if version >= (2, 9):
            body["locked"] = row.locked_by is not None
        if self.host_status is not None and row.host is not None:
            body["host_status"] = self.host_status.get(row.host, "UNKNOWN")
        if self.host_status is not None and row.host is None:
            body["host_status"] = ""
        if version >= (2, 19):
            body["description"] = row.description
        if version >= (2, 26):
            body["tags"] = self.tags.get(row.id, [])
        if version >= (2, 63):
            body["trusted_image_certificates"] = row.trusted_certs
        if version >= (2, 73):
            body["locked_reason"] = row.locked_reason
        if version >= (2, 90):
            body["OS-EXT-SRV-ATTR:hostname"] = row.hostname
        if version >= (2, 96):
            body["pinned_availability_zone"] = row.availability_zone
        if version >= (2, 100):
            body["scheduler_hints"] = row.scheduler_hints


def _tags(session: Session, ids: Sequence[str]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for server_id, tag in fetch(session, _TAGS, ids=ids):
        found.setdefault(server_id, []).append(tag)
    return found


@lru_cache(maxsize=4096)
def host_id(host: str | None, project_id: str) -> str:
    """The host as its tenants see it: the same for two servers on one host, and nothing more."""
    return hashlib.sha224((project_id + host).encode()).hexdigest() if host else ""
