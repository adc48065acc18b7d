"""The part of public.py that images of servers stand on: compute says what such an image is, its host sends the data.

A snapshot is an image like any other. It is `queued` from the request on, `saving` while its host sends the data, and
`active`; one that came to nothing is deleted, as Nova does. All but `receive` work in the caller's session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, Forbidden
from onestack.core.http import Request
from onestack.image import changes, data, limits, protections, quotas, removal, schema
from onestack.image.api import data as upload
from onestack.image.models import Image, ImageMember, ImageProperty
from onestack.image.store import Digest
from onestack.image.stores import stores


class NewSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What compute knows of the image at the request. min_disk in GiB, min_ram in MiB."""

    name: str
    properties: dict[str, str]
    min_disk: int
    min_ram: int
    disk_format: str | None = None
    container_format: str | None = None
    shared_with: str | None = None  # the server's project, where that isn't the caller's


def create(session: Session, cloud: Cloud, ctx: Context, new: NewSnapshot) -> str:
    """A queued image of the caller's project; its id. Raises BadRequest, Forbidden, TooLarge (a limit of images)."""
    if ctx.project_id is None:
        raise Forbidden("An image belongs to a project: ask with a token that is scoped to one.")
    for name in new.properties:
        changes.protect(name)
        if name in schema.BASE:
            raise BadRequest(f"Attribute '{name}' is reserved.")
        protections.require(cloud, ctx, "create", name)
    values = {"name": new.name, **new.properties}
    schema.validate(values, cloud.settings.image)
    schema.storable(values)
    quotas.check(cloud, "property", len(new.properties))
    limits.enforce(session, cloud, ctx.project_id, {limits.COUNT: 1})
    now = cloud.clock.now()
    image = Image(
        id=cloud.ids.uuid(), name=new.name, owner=ctx.project_id, status="queued",
        visibility="shared" if new.shared_with else "private", disk_format=new.disk_format,
        container_format=new.container_format, min_disk=new.min_disk, min_ram=new.min_ram, created_at=now,
        updated_at=now,
    )  # fmt: skip
    session.add(image)
    session.flush()
    if new.shared_with:
        session.add(ImageMember(image_id=image.id, member_id=new.shared_with, created_at=now, updated_at=now))
    _set(session, image.id, new.properties)
    return image.id


def exists(session: Session, image_id: str) -> bool:
    return session.scalar(sa.select(Image.id).where(Image.id == image_id)) is not None


def announce(
    session: Session, cloud: Cloud, image_id: str, *, disk_format: str, size: int, properties: Mapping[str, str]
) -> bool:
    """`size` bytes of data are about to be received: the image is `saving`. False when it was deleted.

    Raises Conflict when it has other data by now, TooLarge.
    """
    image = session.scalars(sa.select(Image).where(Image.id == image_id).with_for_update()).one_or_none()
    if image is None:
        return False
    if image.status not in ("queued", "saving"):
        raise Conflict(f"Image status transition from {image.status} to saving is not allowed")
    if disk_format not in cloud.settings.image.disk_formats:
        raise BadRequest(f"Disk format {disk_format} is not known")
    _fits(session, cloud, image, size)
    image.status, image.disk_format, image.container_format = "saving", disk_format, "bare"
    image.updated_at = cloud.clock.now()
    _set(session, image.id, properties)
    return True


def _fits(session: Session, cloud: Cloud, image: Image, size: int) -> None:
    """Before the first byte: a client whose body is refused in its middle may never see why."""
    quotas.check_size(cloud, size)
    quotas.check_room(cloud, session, image, size)
    if image.status == "queued":
        limits.enforce(session, cloud, image.owner, {limits.SIZE: size // limits.MIB, limits.UPLOADING: 1})


async def receive(req: Request, image_id: str, first: Callable[[Session], None]) -> None:
    """The body of the request becomes the data of an announced image, in the default store. `first` is called in the
    transaction that makes it active, before the image is looked at. Raises a Fault; then the image is as it was."""

    def finish(cloud: Cloud, image_id: str, file: Path, digest: Digest, store_name: str) -> None:
        data.activate(cloud, image_id, file, digest, "saving", store_name, first)

    await upload.receive(req, image_id, finish, stores(req.cloud).default.name)


def abandon(session: Session, cloud: Cloud, image_id: str) -> None:
    """Nothing will come any more: an image without data goes. One that its owner protects stays, without data."""
    image = session.scalars(sa.select(Image).where(Image.id == image_id).with_for_update()).one_or_none()
    if image is None or image.status not in ("queued", "saving"):
        return
    if image.protected:
        image.status = "queued"
        return
    removal.forget(session, cloud, image)


def rotate(session: Session, cloud: Cloud, owner: str, properties: Mapping[str, str], keep: int) -> None:
    """Delete the oldest of the owner's images that have these properties, so that `keep` are left. Protected ones
    count, and stay."""
    query = sa.select(Image).where(Image.owner == owner)
    for name, value in properties.items():
        has = sa.select(ImageProperty.image_id).where(ImageProperty.name == name, ImageProperty.value == value)
        query = query.where(Image.id.in_(has))
    query = query.order_by(Image.created_at.desc(), Image.id.desc()).with_for_update()
    for image in list(session.scalars(query))[keep:]:
        if not image.protected:
            removal.forget(session, cloud, image)


def _set(session: Session, image_id: str, properties: Mapping[str, str]) -> None:
    if not properties:
        return
    gone = sa.delete(ImageProperty).where(ImageProperty.image_id == image_id, ImageProperty.name.in_(list(properties)))
    session.execute(gone)
    rows = [{"image_id": image_id, "name": name, "value": value} for name, value in properties.items()]
    session.execute(sa.insert(ImageProperty), rows)
