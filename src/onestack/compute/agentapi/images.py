"""GET /v1/images/{id}: the bytes of an image that one of the agent's servers is made from."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO

import sqlalchemy as sa

from onestack.compute.agentapi.auth import agent_only, hosts_of
from onestack.compute.models import Server
from onestack.core.errors import NotFound, RangeNotSatisfiable
from onestack.core.http import Request, Response
from onestack.image import public as image

_CHUNK = 1 << 20
_RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")


@agent_only
async def download(req: Request, agent: str, image_id: str) -> Response:
    path = await req.run(_path, req, agent, image_id)
    try:
        handle = await req.run(open, path, "rb")
    except FileNotFoundError:
        raise NotFound(f"The data of image {image_id} is gone.") from None
    size = path.stat().st_size
    first, last = _range(req.header("Range"), size)
    headers = {"Content-Length": str(last - first + 1), "Accept-Ranges": "bytes"}
    partial = req.header("Range") is not None
    if partial:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Response(
        status=206 if partial else 200, headers=headers, content_type="application/octet-stream",
        stream=_chunks(req, handle, first, last),
    )  # fmt: skip


def _path(req: Request, agent: str, image_id: str) -> Path:
    with req.cloud.db.read() as session:
        query = sa.select(Server.id).where(
            Server.image_id == image_id, Server.host.in_(hosts_of(session, agent)), Server.deleted_at.is_(None)
        )
        if session.execute(query.limit(1)).first() is None:
            raise NotFound(f"No server of this host is made from image {image_id}.")
        return image.data_path(req.cloud, session, image_id)


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


async def _chunks(req: Request, handle: BinaryIO, first: int, last: int) -> AsyncIterator[bytes]:
    left = last - first + 1
    try:
        await req.run(handle.seek, first)
        while left > 0:
            data = await req.run(handle.read, min(_CHUNK, left))
            if not data:
                return
            left -= len(data)
            yield data
    finally:
        await asyncio.shield(req.run(handle.close))
