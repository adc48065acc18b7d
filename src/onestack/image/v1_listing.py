"""API v1: the filters, the order and the pages of GET /v1/images."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core import paging
from onestack.core.context import Context
from onestack.core.errors import BadRequest, NotFound
from onestack.core.http import Request
from onestack.core.words import YES
from onestack.image import access, listing, protections
from onestack.image.models import Image

_EQUAL = ("name", "status", "container_format", "disk_format")
_NUMBERS = ("min_ram", "min_disk", "size_min", "size_max")
_LARGEST = (1 << 63) - 1


def page(req: Request, session: Session) -> list[Any]:
    """Rows of images' columns. Raises BadRequest."""
    conditions = [_condition(req, key, value) for key, value in req.query]
    public = _is_public(req)
    conditions.append(_visible(req.ctx, public))
    order = _order(req)
    limit = listing.limit_of(req.get("limit"))
    marker = _marker(req, session, order)
    if req.get("changes-since") is None:
        conditions.append(_is(Image.status != "killed"))
    query = sa.select(*Image.__table__.columns).where(
        Image.os_hidden.is_(False), *(condition for condition in conditions if condition is not None)
    )
    return list(session.execute(paging.paginate(query, listing.SORT_KEYS, order, marker=marker, limit=limit)).all())


def _visible(ctx: Context, is_public: bool | None) -> sa.ColumnElement[bool]:
    """An administrator sees what anybody in the project would, unless is_public is asked for."""
    if not ctx.is_admin or is_public is True:
        return listing.visible(msgspec.structs.replace(ctx, roles=[]), None, "all")
    everything = listing.visible(ctx, None, "all")
    return everything if is_public is None else sa.and_(everything, Image.visibility != "public")


def _is_public(req: Request) -> bool | None:
    text = req.get("is_public")
    if text is None:
        return True
    if text.lower() == "none":
        return None
    return _truth("is_public", text)


def _bad(key: str, value: str) -> BadRequest:
    return BadRequest(f"Bad value passed to filter {key} got {value}")


def _truth(key: str, text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise _bad(key, text)
    return text.lower() in ("true", "1")


def _condition(req: Request, key: str, value: str) -> sa.ColumnElement[bool] | None:
    if key in _EQUAL:
        return _is(getattr(Image, key) == value)
    if key in _NUMBERS:
        number = _number(key, value)
        if key == "size_min":
            return _is(Image.size >= number)
        return _is(Image.size <= number if key == "size_max" else getattr(Image, key) == number)
    if key == "protected":
        return Image.protected.is_(_truth(key, value))
    if key == "changes-since":
        return _is(Image.updated_at > _moment(value))
    if key == "deleted":
        return sa.false() if value.lower() in YES else None
    if key.startswith("property-"):
        known = protections.may(req.cloud, req.ctx, "read", key[9:])
        return listing.has_property(key[9:], value) if known else sa.false()
    return None


def _is(expression: Any) -> sa.ColumnElement[bool]:
    condition: sa.ColumnElement[bool] = expression
    return condition


def _number(key: str, value: str) -> int:
    try:
        number = int(value)
    except ValueError:
        raise _bad(key, value) from None
    if not 0 <= number <= _LARGEST:
        raise _bad(key, value)
    return number


def _moment(text: str) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(text.replace(" ", "+"))
        return moment if moment.tzinfo is None else moment.astimezone(datetime.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise BadRequest("Unrecognized changes-since value") from None


def _order(req: Request) -> list[paging.Sort]:
    key, direction = req.get("sort_key", "created_at") or "", req.get("sort_dir", "desc") or ""
    if key not in listing.SORT_KEYS:
        raise BadRequest(f"Unsupported sort_key. Acceptable values: {', '.join(listing.SORT_KEYS)}")
    if direction not in ("asc", "desc"):
        raise BadRequest("Unsupported sort_dir. Acceptable values: asc, desc")
    return [(name, direction) for name in dict.fromkeys((key, "created_at", "id"))]


def _marker(req: Request, session: Session, order: list[paging.Sort]) -> dict[str, Any] | None:
    marker = req.get("marker")
    if not marker:
        return None
    try:
        image, _ = access.find(session, req.ctx, str(uuid.UUID(marker)))
    except ValueError:
        raise BadRequest("Invalid marker format") from None
    except NotFound:
        raise BadRequest("Invalid marker. Image could not be found.") from None
    return {key: getattr(image, key) for key, _ in order}
