"""The part of public.py that compute's older API stands on: listing, removing and describing images.

Every function takes the caller's session and commits nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core import paging
from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Forbidden, NotFound
from onestack.image import access, changes, listing, protections, removal, schema, views
from onestack.image.models import Image, ImageProperty


class ListedImage(msgspec.Struct, frozen=True, kw_only=True):
    """Size in bytes, min_disk in GiB, min_ram in MiB."""

    id: str
    name: str | None
    owner: str | None
    status: str
    size: int
    min_disk: int
    min_ram: int
    created_at: datetime.datetime
    updated_at: datetime.datetime
    properties: dict[str, str]


_SORTS = [("created_at", "desc"), ("id", "desc")]


def images(
    session: Session, cloud: Cloud, ctx: Context, *, limit: int, marker: str | None = None, name: str | None = None,
    statuses: Sequence[str] | None = None, changed_since: datetime.datetime | None = None, min_ram: int | None = None,
    min_disk: int | None = None, properties: Mapping[str, str] | None = None,
) -> list[ListedImage]:  # fmt: skip
    """What the caller's list shows, newest first. Raises BadRequest when there is no image `marker`."""
    query = sa.select(Image).where(listing.visible(ctx, None, "accepted"), Image.os_hidden.is_(False))
    if name is not None:
        query = query.where(Image.name == name)
    if statuses is not None:
        query = query.where(Image.status.in_(statuses))
    if changed_since is not None:
        query = query.where(Image.updated_at >= changed_since)
    if min_ram is not None:
        query = query.where(Image.min_ram >= min_ram)
    if min_disk is not None:
        query = query.where(Image.min_disk >= min_disk)
    for key, value in (properties or {}).items():
        known = protections.may(cloud, ctx, "read", key)
        query = query.where(listing.has_property(key, value) if known else sa.false())
    after = None
    if marker is not None:
        try:
            row, _ = access.find(session, ctx, marker)
        except NotFound:
            raise BadRequest(f"marker [{marker}] not found") from None
        after = {"created_at": row.created_at, "id": row.id}
    paged = paging.paginate(query, listing.SORT_KEYS, _SORTS, marker=after, limit=limit)
    return _listed(session, cloud, ctx, list(session.scalars(paged)))


def image(session: Session, cloud: Cloud, ctx: Context, image_id: str) -> ListedImage:
    """Raises NotFound when the caller can't see it."""
    return _listed(session, cloud, ctx, [access.find(session, ctx, image_id)[0]])[0]


def delete(session: Session, cloud: Cloud, ctx: Context, image_id: str) -> None:
    """Raises NotFound, and Forbidden when it is protected or somebody else's."""
    row = _owned(session, ctx, image_id)
    if row.protected:
        raise Forbidden(f"Image {row.id} is protected and cannot be deleted.")
    removal.forget(session, cloud, row)


def set_properties(
    session: Session, cloud: Cloud, ctx: Context, image_id: str, values: Mapping[str, str], *, purge: bool = False
) -> dict[str, str]:
    """Set custom properties, and with `purge` remove all others that the caller knows of; what they are then. Raises
    NotFound, Forbidden (not the caller's, a name that is taken, or protected)."""
    row = _owned(session, ctx, image_id)
    for name in values:
        changes.protect(name)
        if name in schema.BASE:
            raise Forbidden(f"Attribute '{name}' is reserved.")
    have = views.properties(session, [row.id])[row.id]
    gone = {name for name in have if purge and name not in values and _knows(cloud, ctx, name)}
    for name in gone:
        protections.require(cloud, ctx, "delete", name)
    for name in values:
        if name in have:
            protections.require(cloud, ctx, "read", name)
        protections.require(cloud, ctx, "update" if name in have else "create", name)
    old = sa.delete(ImageProperty).where(ImageProperty.image_id == row.id)
    session.execute(old.where(ImageProperty.name.in_([*gone, *values])))
    session.add_all(ImageProperty(image_id=row.id, name=name, value=value) for name, value in values.items())
    row.updated_at = cloud.clock.now()
    session.flush()
    return _listed(session, cloud, ctx, [row])[0].properties


def _knows(cloud: Cloud, ctx: Context, name: str) -> bool:
    """Whether a property is one that the caller can see, and that isn't Glance's own."""
    return not name.startswith(schema.RESERVED_NAMESPACE) and protections.may(cloud, ctx, "read", name)


def remove_property(session: Session, cloud: Cloud, ctx: Context, image_id: str, name: str) -> None:
    """The image has no such property afterwards. Raises NotFound, Forbidden."""
    row = _owned(session, ctx, image_id)
    changes.protect(name)
    if protections.may(cloud, ctx, "read", name):
        protections.require(cloud, ctx, "delete", name)
        session.execute(sa.delete(ImageProperty).where(ImageProperty.image_id == row.id, ImageProperty.name == name))
    row.updated_at = cloud.clock.now()


def _owned(session: Session, ctx: Context, image_id: str) -> Image:
    row, _ = access.find(session, ctx, image_id, for_update=True)
    if not ctx.is_admin and (row.owner is None or row.owner != ctx.project_id):
        raise Forbidden(f"You are not permitted to change image {row.id}.")
    return row


def _listed(session: Session, cloud: Cloud, ctx: Context, rows: Sequence[Image]) -> list[ListedImage]:
    properties: dict[str, dict[str, str]] = {row.id: {} for row in rows}
    query = sa.select(ImageProperty).where(ImageProperty.image_id.in_(list(properties))).order_by(ImageProperty.name)
    for one in session.scalars(query):
        properties[one.image_id][one.name] = one.value
    protections.hide(cloud, ctx, properties.values())
    return [
        ListedImage(
            id=row.id, name=row.name, owner=row.owner, status=row.status, size=row.size or 0, min_disk=row.min_disk,
            min_ram=row.min_ram, created_at=row.created_at, updated_at=row.updated_at, properties=properties[row.id],
        )
        for row in rows
    ]  # fmt: skip
