"""Tags of every object: /v2.0/{networks,ports,…}/{id}/tags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import NotFound
from onestack.core.http import Request, Response
from onestack.network import attributes, errors, listing, objects, views
from onestack.network.api import crud
from onestack.network.models import Tag

_RESOURCES = {collection.replace("_", "-"): resource for resource, collection in listing.COLLECTIONS.items()}
TAGGED = ("networks", "subnets", "ports", "routers", "floatingips", "security-groups")


MAX_TAGS = 50
_TAG = attributes.text(255)


def _checked(tag: str) -> None:
    try:
        _TAG(tag)
    except attributes.Reason as reason:
        raise errors.invalid_input(str(reason)) from None


def _asked(req: Request) -> list[str]:
    if "tags" not in req.body:
        raise errors.invalid_input("Invalid tags body")
    try:
        return attributes.different(req.body["tags"], _TAG)
    except attributes.Reason as reason:
        raise errors.invalid_input(str(reason)) from None


def _check_number(collection: str, tags: list[str]) -> None:
    if len(tags) > MAX_TAGS:
        words = f"The number of tags exceed the per-resource limit of {MAX_TAGS}"
        raise errors.bad_resource(collection.replace("-", "_"), words)


def _id(params: dict[str, str]) -> str:
    """The object's id: the router names it after the collection."""
    return next(value for name, value in params.items() if name != "tag")


def _held(session: Session, identifier: str) -> list[str]:
    return objects.tags_of(session, [identifier]).get(identifier, [])


def handlers(collection: str) -> dict[str, Callable[..., Any]]:
    """The handlers of one collection's tags, by name."""
    resource = _RESOURCES[collection]

    def authorized(req: Request, session: Session, identifier: str) -> Any:
        row = crud.loaded(req, session, resource, identifier)
        req.authorize(views.targets(session, resource, [row])[0])
        return row

    def index(req: Request, **params: str) -> dict[str, Any]:
        with req.cloud.db.read() as session:
            return {"tags": listing.one(req, session, resource, _id(params)).get("tags", [])}

    def show(req: Request, tag: str, **params: str) -> None:
        if tag not in index(req, **params)["tags"]:
            raise NotFound(f"Tag {tag} could not be found.", kind="TagNotFound")

    def replace(req: Request, **params: str) -> dict[str, Any]:
        wanted = _asked(req)
        with req.cloud.db.write() as session:
            row = authorized(req, session, _id(params))
            _check_number(collection, wanted)
            objects.forget_tags(session, [row.id])
            objects.add_tags(session, row.id, wanted)
            objects.touch(req.cloud, row)
        return dict(req.body)

    def extend(req: Request, **params: str) -> dict[str, Any]:
        wanted = _asked(req)
        with req.cloud.db.write() as session:
            row = authorized(req, session, _id(params))
            _add(req, session, row, wanted)
        return dict(req.body)

    def add(req: Request, tag: str, **params: str) -> Response:
        _checked(tag)
        with req.cloud.db.write() as session:
            row = authorized(req, session, _id(params))
            _add(req, session, row, [tag])
        return Response(b"null")

    def _add(req: Request, session: Session, row: Any, wanted: list[str]) -> None:
        held = _held(session, row.id)
        new = [tag for tag in wanted if tag not in held]
        _check_number(collection, held + new)
        objects.add_tags(session, row.id, new)
        if new:
            objects.touch(req.cloud, row)

    def remove(req: Request, tag: str, **params: str) -> None:
        with req.cloud.db.write() as session:
            row = authorized(req, session, _id(params))
            if tag not in _held(session, row.id):
                raise NotFound(f"Tag {tag} could not be found.", kind="TagNotFound")
            session.execute(sa.delete(Tag).where(Tag.object_id == row.id, Tag.tag == tag))
            objects.touch(req.cloud, row)

    def clear(req: Request, **params: str) -> None:
        with req.cloud.db.write() as session:
            row = authorized(req, session, _id(params))
            objects.forget_tags(session, [row.id])
            objects.touch(req.cloud, row)

    return {
        "index": index,
        "show": show,
        "replace": replace,
        "extend": extend,
        "add": add,
        "remove": remove,
        "clear": clear,
    }
