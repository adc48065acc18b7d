"""The bytes of an image: upload, download, staging and import, and whether they may be downloaded."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any, BinaryIO

from onestack.core.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    RangeNotSatisfiable,
    TooLarge,
    UnsupportedMedia,
)
from onestack.core.http import Request, Response
from onestack.image import access, data, store, views
from onestack.image.api.info import IMPORT_METHODS
from onestack.image.models import Image, ImageTask
from onestack.image.store import Digest, Staging

GONE = "onestack.client_gone"  # in the ASGI scope: the client went away before its body had ended
MAXIMUM_SIZE = 1 << 40  # bytes of one image, Glance's image_size_cap
_BLOCK = 4 << 20  # bytes that are written and hashed at once; two blocks are in memory
_CHUNK = 1 << 20  # bytes that are read and sent at once
_DRAIN = 64 << 20  # bytes of a refused body that are still read, so that the client gets to see the answer
_RANGE = re.compile(r"^bytes=(\d*)-(\d*)$")


async def upload(req: Request, image_id: str) -> Response:
    if req.header("X-Image-Meta-Store", views.STORE) != views.STORE:
        raise BadRequest(f"Unknown scheme '{req.header('X-Image-Meta-Store')}' found in URI")
    return await _take(req, image_id, "upload_image", "saving", data.upload)


async def stage(req: Request, image_id: str) -> Response:
    return await _take(req, image_id, "modify_image", "uploading", data.stage)


async def _take(req: Request, image_id: str, rule: str, wanted: str, finish: data.Finish) -> Response:
    """Receive the body and hand it to `finish`. Whatever fails, no file is left."""
    media = (req.header("Content-Type") or "").split(";")[0].strip().lower()
    if media != "application/octet-stream":
        raise UnsupportedMedia(f"Invalid content type {media or 'None'}")
    image_id = await req.run(_check, req, image_id, rule, wanted)
    with data.disk_errors():
        staging = await req.run(Staging, req.cloud, image_id)
        try:
            await _receive(req, staging)
            digest = await req.run(staging.finish)
            await req.run(finish, req.cloud, image_id, staging.path, digest)
        except OSError:
            await _drain(req)
            raise
        finally:
            await asyncio.shield(req.run(staging.discard))
    return Response(None, 204)


def _check(req: Request, image_id: str, rule: str, wanted: str) -> str:
    with req.cloud.db.read() as session:
        image = access.load(req, session, image_id, rule)
        data.require_status(image, "queued", wanted)
        data.require_formats(image)
        if store.receiving(req.cloud, image.id):
            raise Conflict(f"Image status transition from saving to {wanted} is not allowed")
        return image.id


async def _receive(req: Request, staging: Staging) -> None:
    """The body into the staging file. While one block is written and hashed, the next is received."""
    expected = req.falcon.content_length
    if expected is not None and expected > MAXIMUM_SIZE:
        raise TooLarge(f"The incoming image is too large: at most {MAXIMUM_SIZE} bytes are allowed.")
    writing: asyncio.Future[Any] | None = None
    block: list[bytes] = []
    size = total = 0
    try:
        async for chunk in req.stream:
            block.append(chunk)
            size += len(chunk)
            if size < _BLOCK:
                continue
            total += size
            if total > MAXIMUM_SIZE:
                raise TooLarge(f"The incoming image is too large: at most {MAXIMUM_SIZE} bytes are allowed.")
            if writing is not None:
                await writing
            writing = asyncio.ensure_future(req.run(staging.write, b"".join(block)))
            block, size = [], 0
        if writing is not None:
            await writing
        writing = None
        if block:
            await req.run(staging.write, b"".join(block))
    finally:
        if writing is not None:
            await asyncio.wait([writing])
    if req.falcon.scope.get(GONE) or (expected is not None and staging.size != expected):
        raise BadRequest(f"The upload ended after {staging.size} bytes, before it was complete.")


async def _drain(req: Request) -> None:
    left = _DRAIN
    while left > 0 and not req.stream.eof:
        left -= len(await req.stream.read(_CHUNK)) or left


def start_import(req: Request, image_id: str) -> None:
    """POST /v2/images/{id}/import. The data was hashed when it was staged, so what is left to do fits a request.

    Data that is refused is told by the image's task, and by the image that is queued again, as the real service does.
    """
    method = req.body.get("method")
    if not isinstance(method, dict):
        raise BadRequest("Import request requires a 'method' field.")
    if "name" not in method:
        raise BadRequest("Import request requires a 'name' field.")
    if method["name"] not in IMPORT_METHODS:
        raise BadRequest(f"Unknown import method name '{method['name']}'.")
    with req.cloud.db.read() as session:
        image = access.load(req, session, image_id)
        if image.status == "active":
            raise Conflict("Image with status active cannot be target for import")
        if image.status != "uploading" or image.staged is None:
            raise Conflict("Image needs to be staged before 'glance-direct' method can be used")
        for name in ("container_format", "disk_format"):
            if not getattr(image, name):
                raise Conflict(f"'{name}' needs to be set before import")
        digest = Digest(**image.staged)
    refusal = data.import_staged(req.cloud, image.id, digest)
    with req.cloud.db.write() as session:
        if session.get(Image, image.id) is not None:
            session.add(
                ImageTask(
                    id=req.cloud.ids.uuid(), image_id=image.id, status="failure" if refusal else "success",
                    method=method["name"], owner=req.ctx.project_id, user_id=req.ctx.user_id, request_id=req.id,
                    message=refusal, created_at=req.cloud.clock.now(),
                )
            )  # fmt: skip


async def download(req: Request, image_id: str) -> Response:
    image = await req.run(_downloadable, req, image_id)
    if image is None:
        return Response(None, 204)
    size = image.size or 0
    text = req.header("Range")
    first, last = byte_range(text, size)
    headers = {"Content-Length": str(last - first + 1)}
    if image.checksum:
        headers["Content-MD5"] = image.checksum
    if text is not None:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    try:
        handle = await req.run(open, store.path(req.cloud, image.id), "rb")
    except FileNotFoundError:
        raise NotFound(f"The data of image {image.id} is gone.") from None
    stream = _chunks(req, handle, first, last)
    status = 200 if text is None else 206
    return Response(None, status, headers, content_type="application/octet-stream", stream=stream)


def _downloadable(req: Request, image_id: str) -> Image | None:
    """None when there is no data yet."""
    with req.cloud.db.read() as session:
        image = access.load(req, session, image_id)
        if image.status == "deactivated" and not req.ctx.is_admin:
            raise Forbidden("The requested image has been deactivated. Image data download is forbidden.")
        return image if image.status in ("active", "deactivated") else None


def byte_range(text: str | None, size: int) -> tuple[int, int]:
    """First and last byte that a Range header means; one range only. Raises RangeNotSatisfiable."""
    if text is None:
        return 0, size - 1
    match = _RANGE.match(text.strip())
    if match is not None and (match[1] or match[2]):
        if match[1]:
            first, last = int(match[1]), min(int(match[2]), size - 1) if match[2] else size - 1
        else:
            first, last = max(size - int(match[2]), 0), size - 1
        if first <= last:
            return first, last
    message = (
        f"The byte range passed in the 'Range' header did not match any available byte range in the resource: {size}"
    )
    raise RangeNotSatisfiable(message, headers={"Content-Range": f"bytes */{size}"})


async def _chunks(req: Request, handle: BinaryIO, first: int, last: int) -> AsyncIterator[bytes]:
    left = last - first + 1
    try:
        await req.run(handle.seek, first)
        while left > 0:
            chunk = await req.run(handle.read, min(_CHUNK, left))
            if not chunk:
                raise OSError("the image's file is shorter than it was")
            left -= len(chunk)
            yield chunk
    finally:
        handle.close()


def deactivate(req: Request, image_id: str) -> None:
    _switch(req, image_id, "active", "deactivated", "deactivate")


def reactivate(req: Request, image_id: str) -> None:
    _switch(req, image_id, "deactivated", "active", "reactivate")


def _switch(req: Request, image_id: str, before: str, after: str, verb: str) -> None:
    with req.cloud.db.write() as session:
        image = access.load(req, session, image_id, for_update=True)
        if image.status == after:
            return
        if image.status != before:
            raise Forbidden(f"Not allowed to {verb} image in status '{image.status}'")
        image.status = after
        image.updated_at = req.cloud.clock.now()
