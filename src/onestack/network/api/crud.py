"""What the handlers of all nouns share: bodies, policy on objects and their attributes, rendering."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from onestack.core.db import hold
from onestack.core.errors import Fault
from onestack.core.http import Request
from onestack.network import attributes, errors, listing, objects, views
from onestack.network.attributes import UNSET, Attributes
from onestack.network.policies import POLICIES

Target = dict[str, Any]
Make = Callable[[Session, str, dict[str, Any], dict[str, Any]], Any]


def index(req: Request, resource: str) -> dict[str, Any]:
    return listing.index(req, resource)


def show(req: Request, resource: str, identifier: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {resource: listing.one(req, session, resource, identifier)}


def create(req: Request, resource: str, known: Attributes, make: Make) -> dict[str, Any]:
    """POST of one object or of several (`{"ports": [...]}`), all or nothing.

    `make(session, project_id, values, sent)` authorizes and creates one, and returns its row.
    """
    collection = listing.COLLECTIONS[resource]
    bodies, bulk = _bodies(req.body, resource, collection)
    parsed = [(attributes.owner(req.ctx, sent), attributes.read(known, sent, creating=True), sent) for sent in bodies]
    with req.cloud.db.write() as session:
        rows = [make(session, project, values, sent) for project, values, sent in parsed]
        session.flush()
        rendered = rendered_rows(req, session, resource, rows)
    return {collection: rendered} if bulk else {resource: rendered[0]}


def rendered_rows(req: Request, session: Session, resource: str, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """What the caller sees of what they just made or changed."""
    rendered = listing.show_allowed(req, session, resource, rows)
    return rendered if len(rendered) == len(rows) else views.RENDER[resource](session, req.cloud, rows)


def _bodies(body: Any, resource: str, collection: str) -> tuple[list[dict[str, Any]], bool]:
    if collection in body:
        items = body[collection]
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise errors.bad_request("Body contains invalid data")
        if not items:
            raise errors.bad_request("Resources required")
        # Each may be wrapped once more, as in {"networks": [{"network": {...}}]}.
        return [item[resource] if isinstance(item.get(resource), dict) else item for item in items], True
    return [body_of(body, resource)], False


def body_of(body: Any, resource: str) -> dict[str, Any]:
    found = body.get(resource)
    if found is None:
        raise errors.bad_request(f"Unable to find '{resource}' in request body")
    if not isinstance(found, dict):
        raise errors.bad_request(f"Object '{resource}' contains invalid data")
    return found


def update(
    req: Request,
    resource: str,
    identifier: str,
    known: Attributes,
    change: Callable[[Session, Any, dict[str, Any]], None],
) -> dict[str, Any]:
    sent = body_of(req.body, resource)
    values = attributes.read(known, sent, creating=False)
    with req.cloud.db.write() as session:
        row = loaded(req, session, resource, identifier)
        target = views.targets(session, resource, [row])[0]
        req.authorize(target)
        for name in ("device_owner", "shared"):
            if name in values and resource == "port":
                target[name] = values[name]
        authorize_attributes(req, "update", resource, values, target)
        change(session, row, values)
        session.flush()
        return {resource: rendered_rows(req, session, resource, [row])[0]}


def delete(req: Request, resource: str, identifier: str, remove: Callable[[Session, Any], None]) -> None:
    with req.cloud.db.write() as session:
        row = loaded(req, session, resource, identifier)
        req.authorize(views.targets(session, resource, [row])[0])
        remove(session, row)


_IF_MATCH = re.compile(r"^revision_number=(\d+)$")


def loaded(req: Request, session: Session, resource: str, identifier: str) -> Any:
    """The entity, if the caller can see it, and if it still has the revision that the caller insists on."""
    hold(session, objects.MODELS[resource], identifier)
    row = objects.get(session, resource, identifier, req.ctx)
    if not req.allows(f"get_{resource}", views.targets(session, resource, [row])[0]):
        raise errors.not_found(resource, identifier)
    wanted = req.header("If-Match")
    if wanted:
        match = _IF_MATCH.match(wanted.strip().strip('"'))
        if match is None:
            raise errors.bad_request("Revision number etag must be in the format of revision_number=<int value>")
        if int(match[1]) != row.revision_number:
            raise Fault(
                f"Constrained to {match[1]}, but current revision is {row.revision_number}", status=412,
                kind="RevisionNumberConstraintFailed",
            )  # fmt: skip
    return row


def authorize_attributes(
    req: Request, verb: str, resource: str, sent: dict[str, Any], target: Target, defaults: Attributes | None = None
) -> None:
    """Check the rules of single attributes (`create_port:fixed_ips:ip_address`) for what was given and isn't the
    default."""
    for name, value in sent.items():
        if value is UNSET or (defaults is not None and name in defaults and _is_default(defaults[name].default, value)):
            continue
        rule = f"{verb}_{resource}:{name}"
        if rule in POLICIES:
            req.authorize(target, rule)
        for key in _keys(value):
            if f"{rule}:{key}" in POLICIES:
                req.authorize(target, f"{rule}:{key}")


def _is_default(default: Any, value: Any) -> bool:
    return bool((default() if callable(default) else default) == value)


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value)
    if isinstance(value, list):
        return {key for item in value if isinstance(item, dict) for key in item}
    return set()
