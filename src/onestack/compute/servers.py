"""Servers: finding them, their states, beginning and ending what is done to them.

Every function works in the caller's transaction.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import hosts, snapshots, state
from onestack.compute.console import tokens
from onestack.compute.metadata import passwords
from onestack.compute.models import Server, ServerTag
from onestack.core import operations
from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.db import held
from onestack.core.errors import Conflict, NotFound
from onestack.core.http import Request
from onestack.core.operations import Operation
from onestack.network import public as network
from onestack.placement import public as placement

OBJECT = "server"

# The power that a host reports → what is wanted from then on, outside operations.
DESIRED_BY_POWER = {
    "running": "running", "paused": "paused", "suspended": "suspended", "shutdown": "stopped", "crashed": "stopped",
    "absent": "stopped",
}  # fmt: skip


class Loaded:
    """A server with its unfinished operation, and the states that follow from both."""

    __slots__ = ("operation", "server")

    def __init__(self, server: Server, operation: Operation | None) -> None:
        self.server = server
        self.operation = operation

    @property
    def vm_state(self) -> str:
        server = self.server
        return state.vm_state(
            deleted=server.deleted_at is not None, error=server.error, launched=server.launched_at is not None,
            settled=server.settled,
        )  # fmt: skip

    @property
    def task_state(self) -> str | None:
        operation = self.operation
        if operation is None:
            return None
        return state.task_state(operation.action, operation.stage, operation.args)

    def check(self, action: str) -> None:
        """Raise Conflict unless the state allows `action`."""
        state.check(action, self.server.id, self.vm_state, self.task_state)


def find(session: Session, server_id: str, *, deleted: bool = False) -> Loaded | None:
    if "\x00" in server_id:
        return None
    query = sa.select(Server).where(Server.id == server_id)
    if not deleted:
        query = query.where(Server.deleted_at.is_(None))
    server = session.scalars(held(session, query)).first()
    return None if server is None else Loaded(server, operations.unfinished(session, server_id))


def load(req: Request, session: Session, server_id: str, *, rule: str | None = None, deleted: bool = False) -> Loaded:
    """The server, if the caller may do what the route's rule (or `rule`) says to it. Raises NotFound, Forbidden.

    Another project's server doesn't exist for a caller who isn't an admin.
    """
    found = find(session, server_id, deleted=deleted)
    ctx = req.ctx
    if found is None or not (ctx.is_admin or found.server.project_id == ctx.project_id):
        raise NotFound(f"Instance {server_id} could not be found.")
    req.authorize({"project_id": found.server.project_id, "user_id": found.server.user_id}, rule)
    return found


def check_unlocked(ctx: Context, found: Loaded) -> None:
    """Raise Conflict when the server is locked and the caller is no admin."""
    if found.server.locked_by is not None and not ctx.is_admin:
        raise Conflict(f"Instance {found.server.id} is locked")


def begin(
    session: Session, req: Request, found: Loaded, action: str, *, desired: str | None = None,
    args: dict[str, Any] | None = None, stage: str = "",
) -> Operation:  # fmt: skip
    """Owe `action` to the server's host, replacing what is under way. The caller has checked that it is allowed."""
    server, cloud = found.server, req.cloud
    if found.operation is not None:
        supersede(session, cloud, found.operation, action)
    if desired is not None:
        server.desired = desired
    server.updated_at = cloud.clock.now()
    found.operation = operations.enqueue(
        session, cloud, action=action, object_type=OBJECT, object_id=server.id, project_id=req.ctx.project_id,
        user_id=req.ctx.user_id, request_id=req.id, args=args, host=server.host, stage=stage,
    )  # fmt: skip
    hosts.touch(session, cloud, server)
    return found.operation


def instant(session: Session, req: Request, server: Server, action: str, args: dict[str, Any] | None = None) -> None:
    """Write down an action that is complete in this transaction, for os-instance-actions."""
    now = req.cloud.clock.now()
    session.add(
        Operation(
            id=req.cloud.ids.uuid(), action=action, object_type=OBJECT, object_id=server.id, user_id=req.ctx.user_id,
            project_id=req.ctx.project_id, request_id=req.id, args=args or {}, state=operations.DONE, stage="",
            attempts=1, created_at=now, updated_at=now, finished_at=now,
        )
    )  # fmt: skip
    server.updated_at = now


def supersede(session: Session, cloud: Cloud, operation: Operation, action: str) -> None:
    operations.finish(session, cloud, operation, error=f"Replaced by {action}.")
    snapshots.ended(session, cloud, operation)
    session.flush()  # the next one can't be unfinished before this one is finished


def delete(session: Session, req: Request, found: Loaded) -> None:
    """Delete wins over everything. A server without a host, or whose host is away, goes at once: should the host come
    back with it, its agent is told to remove it (hosts.greet)."""
    server, cloud = found.server, req.cloud
    if found.operation is not None and found.operation.action == "delete":
        return
    if server.host is not None and _host_is_up(session, cloud, server.host):
        begin(session, req, found, "delete", desired="absent")
        return
    if found.operation is not None:
        supersede(session, cloud, found.operation, "delete")
        found.operation = None
    hostname = server.host
    instant(session, req, server, "delete")
    server.desired = "absent"
    gone(session, cloud, server)
    if hostname is not None:
        hosts.advance(session, cloud, hostname)


def _host_is_up(session: Session, cloud: Cloud, hostname: str) -> bool:
    return any(host.hostname == hostname for host in hosts.up(session, cloud))


def gone(session: Session, cloud: Cloud, server: Server) -> None:
    """The server no longer exists on any host: give back what it held. The row stays, as a deleted one."""
    let_go(session, cloud, server)
    now = cloud.clock.now()
    server.power = server.settled = "absent"
    server.deleted_at = server.terminated_at = server.updated_at = now
    server.admin_password = None
    session.execute(sa.delete(ServerTag).where(ServerTag.server_id == server.id))
    tokens.forget(session, server.id)
    passwords.forget(session, server.id)


def let_go(session: Session, cloud: Cloud, server: Server) -> None:
    """Ports and allocations are free again, and no host has the server."""
    session.flush()
    network.release(session, cloud, server.id)
    placement.release(session, server.id)
    server.host = None


def fail(session: Session, cloud: Cloud, server: Server, message: str, details: str = "", code: int = 500) -> None:
    """The server is in ERROR, and says why."""
    now = cloud.clock.now()
    server.error = True
    server.fault_code, server.fault_message, server.fault_details, server.fault_at = code, message, details, now
    server.updated_at = now


def resources(server: Server) -> dict[str, int]:
    """What a server claims of its host, by placement's resource classes. Swap counts as whole GiB."""
    disk = server.disk + server.ephemeral + -(-server.swap // 1024)
    return {"VCPU": server.vcpus, "MEMORY_MB": server.ram, "DISK_GB": disk}
