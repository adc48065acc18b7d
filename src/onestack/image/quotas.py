"""How much of the image service one image, and one project, may use. Names, defaults and words are Glance's.

A negative number is no limit. What a project stores is counted from the rows, in the transaction that adds to it: each
place where an image's data is, and what waits in staging.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.config import storage_bytes
from onestack.core import quota
from onestack.core.cloud import Cloud
from onestack.core.errors import TooLarge
from onestack.image.models import Image
from onestack.image.models_stores import ACTIVE, ImageLocation


def exceeded(cloud: Cloud, what: str, attempted: int) -> str | None:
    """Why an image can't have that many: `what` is property, tag, member or location."""
    most = int(getattr(cloud.settings.image, f"image_{what}_quota"))
    if most < 0 or attempted <= most:
        return None
    noun = {"property": "properties"}.get(what, f"{what}s") + (" for this image" if what == "member" else "")
    return f"The limit has been exceeded on the number of allowed image {noun}. Attempted: {attempted}, Maximum: {most}"


def check(cloud: Cloud, what: str, attempted: int) -> None:
    """Raises TooLarge."""
    words = exceeded(cloud, what, attempted)
    if words is not None:
        raise TooLarge(words)


def remaining(cloud: Cloud, session: Session, owner: str | None, but: str | None = None) -> int | None:
    """Bytes that a project may still store, an image of its left aside; None when there is no limit."""
    most = storage_bytes(cloud.settings.image.user_storage_quota)
    if most <= 0 or owner is None:
        return None
    places = (
        sa.select(sa.func.count()).select_from(ImageLocation)
        .where(ImageLocation.image_id == Image.id, ImageLocation.status == ACTIVE).correlate(Image).scalar_subquery()
    )  # fmt: skip
    waiting = sa.case((Image.status.in_(("uploading", "importing")), 1), else_=0)
    kept = sa.select(Image.id, Image.size, places.label("places"), waiting.label("waiting")).where(
        Image.owner == owner, Image.size > 0, Image.status != "killed"
    )
    rows = session.execute(kept if but is None else kept.where(Image.id != but))
    return most - sum(row.size * max(row.places, row.waiting) for row in rows)


def left_for(cloud: Cloud, image_id: str) -> int | None:
    """Bytes that an image's data may have, before any of them is received."""
    with cloud.db.read() as session:
        owner = session.scalar(sa.select(Image.owner).where(Image.id == image_id))
        return remaining(cloud, session, owner, image_id)


def check_size(cloud: Cloud, size: int) -> None:
    """Any image may have data of this size. Raises TooLarge."""
    cap = cloud.settings.image.image_size_cap
    if size > cap:
        raise TooLarge(f"The incoming image is too large: at most {cap} bytes are allowed.")


def check_storage(cloud: Cloud, session: Session, image: Image, size: int, *, places: int = 1) -> None:
    """The image gets data of this size in so many places in all, in this transaction. Raises TooLarge."""
    quota.lock(session, "image", image.owner or "")
    check_room(cloud, session, image, size, places=places)


def check_room(cloud: Cloud, session: Session, image: Image, size: int, *, places: int = 1) -> None:
    """The image could have data of this size in so many places in all, as things are now. Raises TooLarge."""
    left = remaining(cloud, session, image.owner, image.id)
    if left is not None and size * places > left:
        raise too_much(size * places, left)


def too_much(size: int, left: int) -> TooLarge:
    return TooLarge(
        f"Image exceeds the storage quota: The size of the data {size} will exceed the limit. "
        f"{max(left, 0)} bytes remaining."
    )
