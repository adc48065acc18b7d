"""Small things below one server, and events from other services: os-server-password, topology,
/os-server-external-events. Source: the compute API reference."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from onestack.compute import schema, servers
from onestack.compute.microversions import LEGACY
from onestack.compute.models import Server
from onestack.core.dialect import Version
from onestack.core.http import Request, Response

_EVENTS: tuple[tuple[Version, str], ...] = (
    (LEGACY, "network-changed"), (LEGACY, "network-vif-plugged"), (LEGACY, "network-vif-unplugged"),
    (LEGACY, "network-vif-deleted"), ((2, 51), "volume-extended"), ((2, 76), "power-update"),
    ((2, 82), "accelerator-request-bound"), ((2, 93), "volume-reimaged"),
)  # fmt: skip
# What they say is in their tag.
_TAGGED = frozenset(("volume-extended", "power-update", "accelerator-request-bound"))


def show_password(req: Request, server_id: str) -> dict[str, Any]:
    """The password that the guest posted, encrypted with its user's key. Guests of this cloud post none."""
    with req.cloud.db.read() as session:
        servers.load(req, session, server_id)
    return {"password": ""}


def clear_password(req: Request, server_id: str) -> Response:
    with req.cloud.db.read() as session:
        servers.load(req, session, server_id)
    return Response()


def topology(req: Request, server_id: str) -> dict[str, Any]:
    """The guest's NUMA nodes. Servers of this cloud have none of their own."""
    with req.cloud.db.read() as session:
        servers.load(req, session, server_id)
    return {"nodes": [], "pagesize_kb": None}


def external_events(req: Request) -> Response:
    """Other services tell what became of a server's ports. Ours tell each other in their transactions, so an event is
    checked, answered with its own code, and changes nothing that isn't known already."""
    fields: dict[str, schema.Check] = {
        "name": schema.one_of(*(name for since, name in _EVENTS if req.version >= since)),
        "server_uuid": schema.uuid_string,
        "status": schema.one_of("failed", "completed", "in-progress"),
        "tag": schema.string(),
    }
    events = schema.array(schema.obj(fields, ("name", "server_uuid"), req.version), minimum=1)
    checked = schema.obj({"events": events}, ("events",), req.version)("", req.body)["events"]
    req.authorize()
    with req.cloud.db.read() as session:
        ids = {event["server_uuid"] for event in checked}
        query = sa.select(Server.id, Server.host).where(Server.id.in_(ids), Server.deleted_at.is_(None))
        known = {row.id: row.host for row in session.execute(query)}
    answers = [_answer(event, known) for event in checked]
    return Response({"events": answers}, 200 if all(answer["code"] == 200 for answer in answers) else 207)


def _answer(event: dict[str, Any], known: dict[str, str | None]) -> dict[str, Any]:
    answer = {"status": "completed", **event, "code": 200}
    server_id = event["server_uuid"]
    if server_id not in known:
        answer |= {"status": "failed", "code": 404}
    elif event["name"] in _TAGGED and "tag" not in event:
        answer |= {"status": "failed", "code": 400}
    elif known[server_id] is None:
        # It is on no host yet: the sender is to try again.
        answer |= {"status": "failed", "code": 422}
    return answer
