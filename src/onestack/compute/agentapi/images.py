"""GET /v1/images/{id}: the bytes of an image that one of the agent's servers is made from."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import sqlalchemy as sa

from onestack.compute.agentapi.auth import agent_only, hosts_of
from onestack.compute.models import Server
from onestack.core.errors import NotFound, RangeNotSatisfiable
from onestack.core.http import Request, Response
from onestack.image import public as image

_RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")


@agent_only
async def download(req: Request, agent: str, image_id: str) -> Response:
    source = await req.run(_source, req, agent, image_id)
    size = source.size
    first, last = _range(req.header("Range"), size)
    headers = {"Content-Length": str(last - first + 1), "Accept-Ranges": "bytes"}
    partial = req.header("Range") is not None
    if partial:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    data = await req.run(source.open, req.cloud, first, last)
    return Response(
        status=206 if partial else 200, headers=headers, content_type="application/octet-stream",
        stream=_chunks(req, data),
    )  # fmt: skip


def _source(req: Request, agent: str, image_id: str) -> Any:
    with req.cloud.db.read() as session:
        query = sa.select(Server.id).where(
            Server.image_id == image_id, Server.host.in_(hosts_of(session, agent)), Server.deleted_at.is_(None)
        )
        if session.execute(query.limit(1)).first() is None:
            raise NotFound(f"No server of this host is made from image {image_id}.")
        return image.boot_source(req.cloud, session, image_id)


def _range(text: str | None, size: int) -> tuple[int, int]:
    """First and last byte. Raises RangeNotSatisfiable."""
    if text is None:
        return 0, size - 1
    match = _RANGE.match(text.strip())
    if match is None or not (match[1] or match[2]):
        raise RangeNotSatisfiable(f"The range {text} can't be read.")
    if not match[1]:
        return max(size - int(match[2]), 0), size - 1
    first, last = int(match[1]), min(int(match[2]), size - 1) if match[2] else size - 1
    if first > last:
        raise RangeNotSatisfiable(f"The image has {size} bytes.", headers={"Content-Range": f"bytes */{size}"})
    return first, last


async def _chunks(req: Request, data: Iterator[bytes]) -> AsyncIterator[bytes]:
    try:
        while chunk := await req.run(next, data, b""):
            yield chunk
    finally:
        close = getattr(data, "close", None)
        if close is not None:
            await asyncio.shield(req.run(close))
