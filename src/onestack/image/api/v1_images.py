"""API v1: images. https://docs.openstack.org/api-ref/image/v1/"""

from __future__ import annotations

import functools
from typing import Any

from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, Conflict, Fault, Forbidden, MethodNotAllowed, NotFound
from onestack.core.http import Request, Response
from onestack.core.words import truth
from onestack.image import access, limits, quotas, v1_data, v1_listing, v1_meta, v1_properties
from onestack.image.api import data, images
from onestack.image.models import Image
from onestack.image.v1_meta import Meta

PATH = "/v1/images"


def find(req: Request, session: Session, image_id: str, rule: str | None = None, *, for_update: bool = False) -> Image:
    """The image, in v1's words where there is none. Raises NotFound, Forbidden."""
    try:
        return access.load(req, session, image_id, rule, for_update=for_update)
    except NotFound:
        raise NotFound(f"Image with identifier {image_id} not found") from None


def index(req: Request) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {"images": [v1_meta.render_brief(row) for row in v1_listing.page(req, session)]}


def detail(req: Request) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        rows = v1_listing.page(req, session)
        properties = v1_properties.shown_of_all(req, session, [row.id for row in rows])
        return {"images": [v1_meta.render(row, properties[row.id]) for row in rows]}


def head_detail(req: Request) -> None:
    raise MethodNotAllowed(
        "This operation is currently not permitted on Glance images details.", headers={"Allow": "GET"}
    )


def meta(req: Request, image_id: str) -> Response:
    with req.cloud.db.read() as session:
        image = find(req, session, image_id)
        return Response(None, 200, v1_meta.headers(image, v1_properties.shown(req, session, image.id)))


async def show(req: Request, image_id: str) -> Response:
    """The data, with everything else in the headers."""
    image, headers = await req.run(_active, req, image_id)
    answer = await data.download(req, image.id)
    answer.headers.pop("Content-MD5", None)
    answer.headers.update(headers)
    return answer


def _active(req: Request, image_id: str) -> tuple[Image, dict[str, str]]:
    with req.cloud.db.read() as session:
        image = find(req, session, image_id, "get_image")
        if image.status == "deactivated":
            raise Forbidden(f"Image {image_id} is deactivated")
        if image.status != "active":
            raise NotFound(f"Image {image_id} is not active")
        return image, v1_meta.headers(image, v1_properties.shown(req, session, image.id))


def has_body(req: Request) -> bool:
    """Whether there is a body, even an empty one in chunks."""
    chunked = (req.header("Transfer-Encoding") or "").lower() in ("chunked", "compress", "deflate", "gzip", "identity")
    return chunked or (req.falcon.content_length or 0) > 0


async def create(req: Request) -> Response:
    given, source, receiving = await req.run(_wanted, req)
    receiving = receiving or (source is None and _is_empty(given))
    image_id = await req.run(register, req, given, source, receiving)
    if receiving:
        await _receive(req, image_id, given)
    return await req.run(_answer, req, image_id, 201)


def _wanted(req: Request) -> tuple[Meta, v1_data.Source | None, bool]:
    """What the headers say, where the data is to come from, and whether the body is it. Raises BadRequest."""
    given = v1_meta.read(req)
    source, receiving = v1_data.source(req, given.values), has_body(req)
    if receiving and source is not None:
        raise BadRequest("It's invalid to provide multiple image sources.")
    if receiving and (req.header("Content-Type") or "").split(";")[0].strip().lower() != "application/octet-stream":
        raise BadRequest("Content-Type must be application/octet-stream")
    if given.values.get("store") and not v1_data.is_store(req.cloud, given.values["store"]):
        raise BadRequest(f"Required store {given.values['store']} is invalid")
    length, size = req.falcon.content_length, given.values.get("size")
    if receiving and length is not None and size and size != length:
        raise _mismatch("size", size, length)
    limit = v1_data.largest(req.cloud)
    if max(length or 0, size or 0) > limit:
        raise BadRequest(f"Denying attempt to upload image larger than {limit} bytes.")
    return given, source, receiving


def _is_empty(given: Meta) -> bool:
    """An image that is said to be empty is whole when it is registered."""
    values = given.values
    return bool(values.get("size") == 0 and values.get("disk_format") and values.get("container_format"))


def _mismatch(name: str, supplied: Any, actual: Any) -> BadRequest:
    return BadRequest(
        f"Supplied {name} ({supplied}) and {name} generated from uploaded image ({actual}) did not match. Setting "
        "image status to 'killed'."
    )


def register(req: Request, given: Meta, source: v1_data.Source | None, receiving: bool = False) -> str:
    """A new image; its id. `receiving`: its data comes next."""
    values = given.values
    owner = values.get("owner") if req.ctx.is_admin and values.get("owner") else req.ctx.project_id
    what = {"project_id": owner, "owner": owner, "visibility": "public" if values.get("is_public") else "shared"}
    req.authorize(what, "add_image")
    _authorize_rest(req, what, values, source, receiving)
    if source is not None or receiving:
        _require_formats(values)
    v1_properties.check_new(req, given.properties)
    quotas.check(req.cloud, "property", len(given.properties))
    now = req.cloud.clock.now()
    image_id = values.get("id") or req.cloud.ids.uuid()
    with req.cloud.db.write() as session:
        if session.get(Image, image_id) is not None:
            raise Conflict(f"An image with identifier {image_id} already exists")
        limits.enforce(session, req.cloud, req.ctx.project_id, {limits.COUNT: 1})
        kept = {"visibility": "shared", "min_disk": 0, "min_ram": 0, "protected": False, "os_hidden": False}
        image = Image(
            id=image_id, status="queued", owner=owner, size=values.get("size"), created_at=now, updated_at=now,
            **(kept | v1_meta.columns(values)),
        )  # fmt: skip
        session.add(image)
        session.flush()
        v1_properties.add(session, image_id, given.properties)
        if source is not None:
            v1_data.start(req, session, image, source)
    return image_id


def _authorize_rest(
    req: Request, what: dict[str, Any], values: dict[str, Any], source: v1_data.Source | None, receiving: bool
) -> None:
    if values.get("is_public"):
        req.authorize(what, "publicize_image")
    if source is not None:
        req.authorize(what, "copy_from")
    if receiving or source is not None:
        req.authorize(what, "upload_image")


def _require_formats(values: dict[str, Any], image: Image | None = None) -> None:
    for name, word in (("disk_format", "Disk"), ("container_format", "Container")):
        if not (values.get(name) or (image is not None and getattr(image, name))):
            raise BadRequest(f"{word} format is not specified.")


async def _receive(req: Request, image_id: str, given: Meta) -> None:
    """The body becomes the image's data; an image whose data is refused is killed, as v1 has it."""
    try:
        await data.upload(req, image_id)
        await req.run(_verify, req, image_id, given)
    except Fault:
        await req.run(v1_data.discard, req.cloud, image_id)
        raise


def _verify(req: Request, image_id: str, given: Meta) -> None:
    """Raises BadRequest when the data isn't what the client said it would be."""
    with req.cloud.db.read() as session:
        image = session.get_one(Image, image_id)
        for name in ("size", "checksum"):
            supplied, actual = given.values.get(name), getattr(image, name)
            if supplied and supplied != actual:
                raise _mismatch(name, supplied, actual)


def _answer(req: Request, image_id: str, status: int) -> Response:
    with req.cloud.db.read() as session:
        image = session.get(Image, image_id)
        if image is None:
            raise NotFound(f"Image with identifier {image_id} not found")
        shown = v1_meta.render(image, v1_properties.shown(req, session, image_id))
    headers = v1_meta.etag(image)
    if status == 201:
        headers["Location"] = f"{PATH}/{image_id}"
    return Response({"image": shown}, status, headers)


async def update(req: Request, image_id: str) -> Response:
    given, source, receiving = await req.run(_wanted, req)
    purge = not receiving and truth(req.header("X-Glance-Registry-Purge-Props", "true") or "") is True
    image_id = await req.run(functools.partial(change, req, image_id, given, source, receiving, purge=purge))
    if receiving:
        await _receive(req, image_id, given)
    return await req.run(_answer, req, image_id, 200)


def change(
    req: Request, image_id: str, given: Meta, source: v1_data.Source | None, receiving: bool = False, *, purge: bool,
    from_state: str | None = None,
) -> str:  # fmt: skip
    """The image becomes what is given; its id. `from_state`: the only status that it may have now."""
    values = given.values
    with req.cloud.db.write() as session:
        image = find(req, session, image_id, "modify_image", for_update=True)
        if from_state is not None and v1_meta.status_of(image) != from_state:
            raise Conflict("Image operation conflicts", extra={"plain": True})
        what = access.Target(image, req.ctx, False)
        _authorize_rest(req, what, values, source, receiving)
        _immutable(req, image, values)
        if receiving and image.status != "queued":
            raise Conflict("Cannot upload to an unqueued image")
        if source is not None and image.status != "queued":
            raise BadRequest("Attempted to update Location field for an image not in queued status.")
        if receiving or source is not None:
            _require_formats(values, image)
        v1_properties.change(req, session, image.id, given.properties, purge=purge)
        _apply(req, image, given)
        if source is not None:
            v1_data.start(req, session, image, source)
        return image.id


def _immutable(req: Request, image: Image, values: dict[str, Any]) -> None:
    """Raises Forbidden for what may not be changed any more, or never."""
    fixed = ["disk_format", "container_format"] if image.status != "queued" else []
    if image.status in ("active", "deactivated") and not req.ctx.is_admin:
        fixed += ["size", "checksum"]
    for name in fixed:
        if name in values and values[name] != getattr(image, name):
            raise Forbidden(f"Forbidden to modify '{name}' of {image.status} image.")
    for name, value in (("status", v1_meta.status_of(image)), ("id", image.id)):
        if name in values and values[name] != value:
            raise Forbidden(f"Forbidden to modify '{name}' of image.")


def _apply(req: Request, image: Image, given: Meta) -> None:
    kept = v1_meta.columns(given.values)
    if image.visibility != "public" and kept.get("visibility") == "shared":
        kept.pop("visibility")  # private, shared and community are all "not public"
    if req.ctx.is_admin and given.values.get("owner"):
        kept["owner"] = given.values["owner"]
    if image.status == "queued" and "size" in given.values:
        kept["size"] = given.values["size"]
    for name, value in kept.items():
        setattr(image, name, value)
    image.updated_at = req.cloud.clock.now()


def delete(req: Request, image_id: str) -> Response:
    with req.cloud.db.read() as session:
        image = find(req, session, image_id)
        if image.protected:
            raise Forbidden("Image is protected")
    images.delete(req, image.id)
    return Response(b"", 200, content_type="text/html; charset=UTF-8")
