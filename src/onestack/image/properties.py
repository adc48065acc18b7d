"""Custom properties of an image, one row each."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.image.models import ImageProperty
from onestack.image.schema import RESERVED_NAMESPACE


def set_property(session: Session, image_id: str, name: str, value: str | None) -> None:
    """None: the image has no such property."""
    row = session.get(ImageProperty, (image_id, name))
    if value is None:
        if row is not None:
            session.delete(row)
    elif row is None:
        session.add(ImageProperty(image_id=image_id, name=name, value=value))
    else:
        row.value = value
    session.flush()


def count(session: Session, image_id: str) -> int:
    """Those that count against the quota: Glance's own don't."""
    names = session.scalars(sa.select(ImageProperty.name).where(ImageProperty.image_id == image_id))
    return sum(not name.startswith(RESERVED_NAMESPACE) for name in names)
