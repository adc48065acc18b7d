"""API v1 and the registry: an image's custom properties, as far as property protections let the caller.

Source of the rules: Glance's administration guide, "Property protections", and the Image API v1 reference on purging.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import Forbidden
from onestack.core.http import Request
from onestack.image import protections, quotas, schema, views
from onestack.image.models import ImageProperty


def shown(req: Request, session: Session, image_id: str) -> dict[str, str]:
    """Those that the caller may read."""
    return shown_of_all(req, session, [image_id])[image_id]


def shown_of_all(req: Request, session: Session, ids: list[str]) -> dict[str, dict[str, str]]:
    found = views.properties(session, ids)
    protections.hide(req.cloud, req.ctx, found.values())
    return found


def check_new(req: Request, names: Iterable[str]) -> None:
    """Raises Forbidden."""
    for name in names:
        _require(req, "create", name)


def add(session: Session, image_id: str, properties: dict[str, str]) -> None:
    if properties:
        rows = [{"image_id": image_id, "name": name, "value": value} for name, value in properties.items()]
        session.execute(sa.insert(ImageProperty), rows)


def change(req: Request, session: Session, image_id: str, given: dict[str, str], *, purge: bool) -> None:
    """Set what is given and, with `purge`, remove the rest; but neither what is Glance's own, nor what the caller can't
    know of. Raises Forbidden, TooLarge."""
    have = views.properties(session, [image_id])[image_id]
    before = {name: value for name, value in have.items() if not name.startswith(schema.RESERVED_NAMESPACE)}
    for name in given.keys() & before.keys():
        _require(req, "read", name)
        if given[name] != before[name]:
            _require(req, "update", name)
    check_new(req, given.keys() - before.keys())
    gone = {
        name for name in before.keys() - given.keys() if purge and protections.may(req.cloud, req.ctx, "read", name)
    }
    for name in gone:
        _require(req, "delete", name)
    quotas.check(req.cloud, "property", len(before.keys() - gone | given.keys()))
    old = sa.delete(ImageProperty).where(ImageProperty.image_id == image_id)
    session.execute(old.where(ImageProperty.name.in_(gone | given.keys())))
    add(session, image_id, given)


def _require(req: Request, action: str, name: str) -> None:
    if not protections.may(req.cloud, req.ctx, action, name):
        raise Forbidden(f"Property '{name}' is protected")
