"""The shape of an image, and loading what belongs to many at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.clock import seconds
from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.db import fetch, many
from onestack.image import protections
from onestack.image.models import Image, ImageProperty, ImageTag
from onestack.image.models_stores import ACTIVE, ImageLocation

_SHOWN = (
    "name", "disk_format", "container_format", "visibility", "size", "virtual_size", "status", "checksum", "protected",
    "min_ram", "min_disk", "owner", "os_hidden", "os_hash_algo", "os_hash_value",
)  # fmt: skip


def render_image(image: Any, properties: dict[str, str], tags: list[str], stores: Sequence[str] = ()) -> dict[str, Any]:
    """`image` is an Image or a row of its columns."""
    body: dict[str, Any] = dict(properties)
    for name in _SHOWN:
        body[name] = getattr(image, name)
    here = f"/v2/images/{image.id}"
    body.update(
        id=image.id, created_at=seconds(image.created_at), updated_at=seconds(image.updated_at), tags=tags, self=here,
        file=f"{here}/file", schema="/v2/schemas/image",
    )  # fmt: skip
    if stores:
        body["stores"] = ",".join(stores)
    return body


_PROPERTIES = sa.select(ImageProperty.image_id, ImageProperty.name, ImageProperty.value).where(
    ImageProperty.image_id.in_(many("ids"))
)
_TAGS = sa.select(ImageTag.image_id, ImageTag.tag).where(ImageTag.image_id.in_(many("ids"))).order_by(ImageTag.tag)


def properties(session: Session, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """The custom properties of images."""
    found: dict[str, dict[str, str]] = {image_id: {} for image_id in ids}
    if ids:
        for image_id, name, value in fetch(session, _PROPERTIES, ids=ids):
            found[image_id][name] = value
    return found


_STORES = (
    sa.select(ImageLocation.image_id, ImageLocation.store)
    .where(ImageLocation.image_id.in_(many("ids")), ImageLocation.status == ACTIVE)
    .order_by(ImageLocation.position, ImageLocation.id)
)


def render_images(cloud: Cloud, session: Session, ctx: Context, images: Sequence[Any]) -> list[dict[str, Any]]:
    """Three queries, however many images, as the caller may see them. The store with the largest weight comes first."""
    weights = {name: one.weight for name, one in cloud.settings.image.stores.items()}
    ids = [image.id for image in images]
    tags: dict[str, list[str]] = {image_id: [] for image_id in ids}
    stores: dict[str, list[str]] = {image_id: [] for image_id in ids}
    if ids:
        for image_id, tag in fetch(session, _TAGS, ids=ids):
            tags[image_id].append(tag)
        for image_id, store in fetch(session, _STORES, ids=ids):
            stores[image_id].append(store)
    custom = properties(session, ids)
    protections.hide(cloud, ctx, custom.values())
    for image in images:
        if image.status == "deactivated" and not ctx.is_admin:
            stores[image.id] = []  # where its data is, is the administrators' business until it is active again
        stores[image.id].sort(key=lambda name: -weights.get(name, 0))
    return [render_image(image, custom[image.id], tags[image.id], stores[image.id]) for image in images]


def render_one(cloud: Cloud, session: Session, ctx: Context, image: Image) -> dict[str, Any]:
    return render_images(cloud, session, ctx, [image])[0]
