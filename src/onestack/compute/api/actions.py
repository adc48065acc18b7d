"""POST /servers/{id}/action: one route, one entry of ACTIONS for each action. Source: "Servers - run an action".

The second half of this service adds its own actions to ACTIONS (consoles).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from sqlalchemy.orm import Session

from onestack.compute import hosts, nics, questions, schema, servers
from onestack.compute.api import create_image, rebuild
from onestack.compute.dialect import GONE
from onestack.compute.servers import Loaded
from onestack.core.dialect import Version
from onestack.core.errors import BadRequest, Conflict, Gone, NotFound, NotImplementedHere
from onestack.core.http import Request, Response

_V = "os_compute_api:"


class Action(msgspec.Struct, frozen=True):
    """`run(session, req, found, argument)` in a transaction, or `ask(req, server_id, argument)`, a coroutine.

    `rule` names the policy; `guarded`: refused while the server is locked; `state`: the name in state.RULES to check.
    """

    rule: str
    run: Callable[[Session, Request, Loaded, Any], Any] | None = None
    ask: Callable[[Request, str, Any], Awaitable[Response]] | None = None
    argument: Callable[[Version, str, Any], Any] | None = None
    state: str | None = None
    guarded: bool = True
    status: int = 202
    since: Version | None = None
    until: Version | None = None


async def action(req: Request, server_id: str) -> Response:
    """A stream handler, so that an action that asks a host needs no thread while it waits."""
    body = await req.json(Any)
    name, argument, chosen = _chosen(req, body)
    if chosen.ask is not None:
        return await chosen.ask(req, server_id, argument)
    return await req.run(_run, req, server_id, name, argument, chosen)


def _chosen(req: Request, body: Any) -> tuple[str, Any, Action]:
    name, value = schema.one_action(body, empty=body is None and not req.falcon.content_length)
    chosen = ACTIONS.get(name)
    if chosen is None:
        raise BadRequest(f"There is no such action: {name}")
    if not _serves(chosen, req.version):
        raise NotFound("The resource could not be found.")
    if chosen.argument is not None:
        value = chosen.argument(req.version, name, value)
    return name, value, chosen


def _serves(chosen: Action, version: Version) -> bool:
    return (chosen.since is None or version >= chosen.since) and (chosen.until is None or version <= chosen.until)


def _run(req: Request, server_id: str, name: str, argument: Any, chosen: Action) -> Response:
    assert chosen.run is not None
    with req.cloud.db.write() as session:
        found = servers.load(req, session, server_id, rule=chosen.rule)
        if chosen.guarded:
            servers.check_unlocked(req.ctx, found)
        if chosen.state is not None:
            found.check(chosen.state)
        result = chosen.run(session, req, found, argument)
    return result if isinstance(result, Response) else Response(result, chosen.status)


def _owed(action: str, desired: str, **args: Any) -> Callable[[Session, Request, Loaded, Any], None]:
    def run(session: Session, req: Request, found: Loaded, _argument: Any) -> None:
        servers.begin(session, req, found, action, desired=desired, args=args)

    return run


def _reboot(session: Session, req: Request, found: Loaded, argument: dict[str, Any]) -> None:
    kind = argument["type"].upper()
    found.check("reboot_soft" if kind == "SOFT" else "reboot_hard")
    if found.server.host is None:
        state_name = found.vm_state
        raise Conflict(f"Cannot 'reboot' instance {found.server.id} while it is in vm_state {state_name}")
    servers.begin(session, req, found, "reboot", desired="running", args={"type": kind})


def _stop(session: Session, req: Request, found: Loaded, _argument: Any) -> None:
    if found.server.host is None:
        raise Conflict(f"Instance {found.server.id} is not ready")
    servers.begin(session, req, found, "stop", desired="stopped")


def _lock(session: Session, req: Request, found: Loaded, argument: Any) -> None:
    server = found.server
    owner = server.project_id == req.ctx.project_id
    if server.locked_by is None or not owner:
        server.locked_by = "owner" if owner else "admin"
    server.locked_reason = (argument or {}).get("locked_reason")
    servers.instant(session, req, server, "lock")


def _unlock(session: Session, req: Request, found: Loaded, _argument: Any) -> None:
    server = found.server
    if server.locked_by == "admin":
        req.authorize({"project_id": server.project_id}, f"{_V}os-lock-server:unlock:unlock_override")
    server.locked_by = server.locked_reason = None
    servers.instant(session, req, server, "unlock")


def _reset_state(session: Session, req: Request, found: Loaded, argument: dict[str, Any]) -> None:
    """`error` marks the server; `active` takes the mark away and shows what the server really is. An operation under
    way is ended: the host's agent then only repeats what became of it."""
    server = found.server
    if found.operation is not None and found.operation.host is not None:
        servers.supersede(session, req.cloud, found.operation, "os-resetState")
        found.operation = None
        hosts.touch(session, req.cloud, server)
    server.error = argument["state"] == "error"
    if not server.error:
        server.launched_at = server.launched_at or (req.cloud.clock.now() if server.host is not None else None)
        server.fault_code = server.fault_message = server.fault_details = server.fault_at = None
    servers.instant(session, req, server, "resetState")


def _password(session: Session, req: Request, found: Loaded, _argument: Any) -> None:
    raise NotImplementedHere("Unable to set password on instance")


def _groups(change: str) -> Callable[[Session, Request, Loaded, Any], None]:
    """As in Nova this is the network's business, and no action of the server's."""

    def run(session: Session, req: Request, found: Loaded, argument: dict[str, str]) -> None:
        nics.change_group(session, req, found.server, argument["name"], add=change == "add")

    return run


def _inject_network(session: Session, req: Request, found: Loaded, _argument: Any) -> None:
    """Guests learn their network from DHCP and metadata, which are always current: there is nothing to inject."""
    servers.instant(session, req, found.server, "injectNetworkInfo")


def _restore(session: Session, req: Request, found: Loaded, _argument: Any) -> None:
    """A delete is at once and for good here (Nova's reclaim_instance_interval = 0): nothing can be restored."""
    raise Conflict(f"Cannot 'restore' instance {found.server.id} while it is in vm_state {found.vm_state}")


def _force_delete(session: Session, req: Request, found: Loaded, _argument: Any) -> None:
    servers.delete(session, req, found)


async def _console_output(req: Request, server_id: str, argument: dict[str, Any]) -> Response:
    host = await req.run(_host_to_ask, req, server_id, f"{_V}os-console-output")
    length = argument.get("length")
    wanted = -1 if length is None else int(length)
    if wanted == 0:
        return Response({"output": ""}, 200)
    answer = await questions.ask(req, host, server_id, "console_output", {"length": max(wanted, 0)})
    output = answer.get("output", "")
    # Nova counts what lies between line feeds: after the last one there is one more, empty line.
    return Response({"output": output if wanted < 0 else "\n".join(output.split("\n")[-wanted:])}, 200)


def _host_to_ask(req: Request, server_id: str, rule: str) -> str:
    with req.cloud.db.read() as session:
        found = servers.load(req, session, server_id, rule=rule)
        if found.server.host is None or found.server.launched_at is None:
            raise Conflict(f"Instance {server_id} is not ready")
        return found.server.host


def _anything(_version: Version, _name: str, value: Any) -> Any:
    return value


def _gone(_version: Version, _name: str, _value: Any) -> Any:
    raise Gone(GONE)


def _reboot_body(version: Version, name: str, value: Any) -> Any:
    kind = schema.one_of("HARD", "Hard", "hard", "SOFT", "Soft", "soft")
    return schema.obj({"type": kind}, ("type",), version)(name, value)


def _lock_body(version: Version, name: str, value: Any) -> Any:
    if version < (2, 73):
        return None
    return schema.obj({"locked_reason": schema.string(255, 1)}, (), version, null=True)(name, value)


def _reset_body(version: Version, name: str, value: Any) -> Any:
    return schema.obj({"state": schema.one_of("active", "error")}, ("state",), version)(name, value)


def _group_body(version: Version, name: str, value: Any) -> Any:
    return schema.obj({"name": schema.string(None, 1)}, ("name",), version)(name, value)


def _password_body(version: Version, name: str, value: Any) -> Any:
    return schema.obj({"adminPass": schema.string(None)}, ("adminPass",), version)(name, value)


def _console_body(version: Version, name: str, value: Any) -> Any:
    return schema.obj({"length": schema.integer(-1, null=True)}, (), version)(name, value)


ACTIONS: dict[str, Action] = {
    "os-start": Action(f"{_V}servers:start", _owed("start", "running"), argument=_anything, state="start"),
    "os-stop": Action(f"{_V}servers:stop", _stop, argument=_anything, state="stop"),
    "reboot": Action(f"{_V}servers:reboot", _reboot, argument=_reboot_body),
    "pause": Action(f"{_V}os-pause-server:pause", _owed("pause", "paused"), argument=_anything, state="pause"),
    "unpause": Action(
        f"{_V}os-pause-server:unpause", _owed("unpause", "running"), argument=_anything, state="unpause"
    ),
    "suspend": Action(
        f"{_V}os-suspend-server:suspend", _owed("suspend", "suspended"), argument=_anything, state="suspend"
    ),
    "resume": Action(f"{_V}os-suspend-server:resume", _owed("resume", "running"), argument=_anything, state="resume"),
    "lock": Action(f"{_V}os-lock-server:lock", _lock, argument=_lock_body, guarded=False),
    "unlock": Action(f"{_V}os-lock-server:unlock", _unlock, argument=_anything, guarded=False),
    "rebuild": Action(
        f"{_V}servers:rebuild", rebuild.run, argument=rebuild.body, state="rebuild"
    ),
    # As in Nova, a lock keeps nobody from making an image: it protects the server, which isn't changed.
    "createImage": Action(
        f"{_V}servers:create_image", create_image.image, argument=create_image.image_body, guarded=False
    ),
    "createBackup": Action(
        f"{_V}os-create-backup", create_image.backup, argument=create_image.backup_body, guarded=False
    ),
    "forceDelete": Action(f"{_V}os-deferred-delete:force", _force_delete, argument=_anything, state="delete"),
    "restore": Action(f"{_V}os-deferred-delete:restore", _restore, argument=_anything),
    "injectNetworkInfo": Action(f"{_V}os-admin-actions:inject_network_info", _inject_network, argument=_anything),
    "resetNetwork": Action(f"{_V}os-admin-actions:reset_state", argument=_gone),
    "os-resetState": Action(
        f"{_V}os-admin-actions:reset_state", _reset_state, argument=_reset_body, guarded=False
    ),
    "changePassword": Action(
        f"{_V}os-admin-password", _password, argument=_password_body, state="changePassword"
    ),
    "addSecurityGroup": Action(
        f"{_V}os-security-groups:add", _groups("add"), argument=_group_body, state="addSecurityGroup"
    ),
    "removeSecurityGroup": Action(
        f"{_V}os-security-groups:remove", _groups("remove"), argument=_group_body, state="removeSecurityGroup"
    ),
    "os-getConsoleOutput": Action(
        f"{_V}os-console-output", ask=_console_output, argument=_console_body, status=200
    ),
}  # fmt: skip
