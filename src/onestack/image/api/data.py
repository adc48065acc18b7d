"""The bytes of an image: upload, download and staging, and whether they may be downloaded."""

from __future__ import annotations

import asyncio
import itertools
import mmap
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

from onestack.core.errors import (
    BadRequest,
    Conflict,
    Forbidden,
    NotFound,
    RangeNotSatisfiable,
)
from onestack.core.http import Request, Response
from onestack.image import access, cache, data, limits, quotas, reading, signatures, store
from onestack.image.faults import unsupported
from onestack.image.models import Image
from onestack.image.store import Staging
from onestack.image.stores import stores

GONE = "onestack.client_gone"  # in the ASGI scope: the client went away before its body had ended
_BLOCKS = store.AHEAD + 2  # buffers of an upload: those that are unfinished, one on its way to them, one being filled
_CHUNK = 1 << 20  # bytes that are read and sent at once
_DRAIN = 64 << 20  # bytes of a refused body that are still read, so that the client gets to see the answer
_RANGE = re.compile(r"^bytes=(\d{0,18})-(\d{0,18})$", re.ASCII)
_CONTENT_RANGE = re.compile(r"^bytes (\d{1,18})-(\d{1,18})/(?:\*|\d{1,18})$", re.ASCII)


async def upload(req: Request, image_id: str) -> Response:
    name = req.header("X-Image-Meta-Store")
    if name is not None and stores(req.cloud).find(name) is None:
        raise BadRequest(f"Store for identifier {name} not found")
    return await _take(req, image_id, "upload_image", "saving", data.upload)


async def stage(req: Request, image_id: str) -> Response:
    if "glance-direct" not in req.cloud.settings.image.enabled_import_methods:
        raise NotFound("'glance-direct' method is not available at this site.")
    return await _take(req, image_id, "modify_image", "uploading", data.stage)


async def _take(req: Request, image_id: str, rule: str, wanted: str, finish: data.Finish) -> Response:
    given = req.header("Content-Type")
    media = None if given is None else given.split(";")[0].strip()
    if media != "application/octet-stream":
        raise unsupported(given, f"Invalid content type {media}")
    size = _told_size(req)
    image_id = await req.run(_check, req, image_id, rule, wanted, size)
    name = req.header("X-Image-Meta-Store") or stores(req.cloud).default.name
    await receive(req, image_id, finish, name, size)
    return Response(None, 204)


async def receive(req: Request, image_id: str, finish: data.Finish, store_name: str, size: int = 0) -> None:
    """The body of the request goes to `finish`, as a file that is hashed; `size`: its bytes, where they are known.
    Whatever fails, no file is left."""
    with data.disk_errors():
        staging = await req.run(Staging, req.cloud, image_id)
        chunks = aiter(req.stream)
        try:
            await _receive(req, staging, chunks)
            if size not in (0, staging.size):
                raise BadRequest(f"Size mismatch: expected {size} bytes, got {staging.size} bytes")
            digest = await req.run(staging.finish)
            await req.run(finish, req.cloud, image_id, staging.path, digest, store_name)
        except OSError:
            await _drain(chunks)
            raise
        finally:
            await asyncio.shield(req.run(staging.discard))


def _told_size(req: Request) -> int:
    """How much data the client says that it has; 0 when it doesn't say. Raises BadRequest."""
    text = req.header("X-OpenStack-Image-Size")
    if text is None:
        return req.falcon.content_length or 0
    if re.fullmatch(r"\d{1,18}", text.strip(), re.ASCII) is None:
        raise BadRequest("Invalid or missing image size in request headers.")
    return int(text)


def _check(req: Request, image_id: str, rule: str, wanted: str, size: int) -> str:
    with req.cloud.db.read() as session:
        image = access.load(req, session, image_id, rule)
        data.require_status(image, "queued", wanted)
        if wanted == "saving":
            data.require_formats(image)
            signatures.require(session, image.id)
        total = limits.STAGED if wanted == "uploading" else limits.SIZE
        limits.enforce(session, req.cloud, image.owner, {total: size // limits.MIB, limits.UPLOADING: 1})
        if store.receiving(req.cloud, image.id):
            raise Conflict(f"Image status transition from saving to {wanted} is not allowed")
        return image.id


async def _receive(req: Request, staging: Staging, chunks: AsyncIterator[bytes]) -> None:
    """The body into the staging file. While blocks are written and hashed, the next is received."""
    expected = req.falcon.content_length
    quotas.check_size(req.cloud, expected or 0)
    staging.fits(expected or 0)
    writing: asyncio.Future[Any] | None = None
    # Kept for the whole upload: new memory for each block would cost as much as a hash. Aligned to pages, as disks want
    # what goes past the page cache; shared, so that a program that is started meanwhile copies none of it.
    blocks = itertools.cycle([memoryview(mmap.mmap(-1, store.BLOCK)) for _ in range(_BLOCKS)])
    block, size, total = next(blocks), 0, 0
    try:
        async for chunk in chunks:
            total += len(chunk)
            quotas.check_size(req.cloud, total)
            rest = memoryview(chunk)
            while rest:
                fits = rest[: store.BLOCK - size]
                block[size : size + len(fits)] = fits
                size, rest = size + len(fits), rest[len(fits) :]
                if size == store.BLOCK:
                    if writing is not None:
                        await writing
                    writing = asyncio.ensure_future(req.run(staging.write, block))
                    block, size = next(blocks), 0
        if writing is not None:
            await writing
        writing = None
        if size:
            await req.run(staging.write, block[:size])
    finally:
        if writing is not None:
            await asyncio.wait([writing])
    if req.falcon.scope.get(GONE) or (expected is not None and staging.size != expected):
        raise BadRequest(f"The upload ended after {staging.size} bytes, before it was complete.")


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """What is left of the body, by the iterator that began it: only this one knows whether it was at the end."""
    left = _DRAIN
    async for chunk in chunks:
        left -= len(chunk)
        if left <= 0:
            return


async def download(req: Request, image_id: str) -> Response:
    found = await req.run(_downloadable, req, image_id)
    if found is None:
        return Response(None, 204)
    image, source = found
    size = image.size or 0
    part = _part(req, size)
    first, last = part or (0, size - 1)
    headers = {"Content-Length": str(last - first + 1)}
    if image.checksum:
        headers["Content-MD5"] = image.checksum
    if part is not None:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    stream = _chunks(req, await req.run(source.open, req.cloud, first, last))
    status = 200 if part is None else 206
    return Response(None, status, headers, content_type="application/octet-stream", stream=stream)


def _downloadable(req: Request, image_id: str) -> tuple[Image, reading.Source] | None:
    """None when there is no data yet."""
    prefer = [name.strip() for text in req.get_all("prefer") for name in text.split(",") if name.strip()]
    with req.cloud.db.read() as session:
        image = access.load(req, session, image_id, "get_image")
        if image.status == "deactivated" and not req.ctx.is_admin:
            raise Forbidden("The requested image has been deactivated. Image data download is forbidden.")
        access.load(req, session, image_id)
        if image.status not in ("active", "deactivated"):
            return None
        if prefer:
            access.load(req, session, image_id, "download_from_store")
            for name in prefer:
                if stores(req.cloud).find(name) is None:
                    raise BadRequest(f"Store '{name}' is not configured.")
        source = reading.source(req.cloud, session, image, prefer=prefer)
    cache.used(req.cloud, image.id)
    return image, source


def _part(req: Request, size: int) -> tuple[int, int] | None:
    """First and last byte that are asked for; None for all. Older clients ask with the header of answers."""
    text = req.header("Range")
    if text is not None:
        return byte_range(text, size)
    text = req.header("Content-Range")
    return None if text is None else content_range(text, size)


def byte_range(text: str, size: int) -> tuple[int, int]:
    """What a Range header means. Raises RangeNotSatisfiable, BadRequest when it means several."""
    if "," in text:
        raise BadRequest(
            "Requests with multiple ranges are not supported in Glance. You may make multiple single-range requests "
            "instead."
        )
    match = _RANGE.match(text.strip())
    if match is None or not (match[1] or match[2]):
        raise _unsatisfiable("Invalid Range header.", size)
    if match[1]:
        first, last = int(match[1]), min(int(match[2]), size - 1) if match[2] else size - 1
    else:
        first, last = max(size - int(match[2]), 0), size - 1
    if first >= size:
        raise _beyond("start", "Range", size)
    if first > last:
        raise _unsatisfiable("Invalid Range header.", size)
    return first, last


def content_range(text: str, size: int) -> tuple[int, int]:
    """What a Content-Range header means in a request. Raises RangeNotSatisfiable."""
    match = _CONTENT_RANGE.match(text.strip())
    if match is None or int(match[1]) > int(match[2]):
        raise _unsatisfiable("Invalid Content-Range header.", size)
    first, last = int(match[1]), int(match[2])
    if last >= size:
        raise _beyond("stop", "Content-Range", size)
    return first, last


def _beyond(which: str, header: str, size: int) -> RangeNotSatisfiable:
    the = "The stop" if which == "stop" else "Start"
    return _unsatisfiable(
        f"Invalid {which} position in {header} header. {the} position MUST be in the inclusive range [0, {size - 1}].",
        size,
    )


def _unsatisfiable(words: str, size: int) -> RangeNotSatisfiable:
    return RangeNotSatisfiable(words, headers={"Content-Range": f"bytes */{size}"})


async def _chunks(req: Request, data: Iterator[bytes]) -> AsyncIterator[bytes]:
    try:
        while chunk := await req.run(next, data, b""):
            yield chunk
    finally:
        close = getattr(data, "close", None)
        if close is not None:
            await asyncio.shield(req.run(close))


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
