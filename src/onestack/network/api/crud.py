"""What the handlers of all nouns share: bodies, policy on objects and their attributes, rendering."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.orm import Session

from onestack.core.db import hold
from onestack.core.errors import Fault, NotFound
from onestack.core.http import Request
from onestack.core.words import whole
from onestack.network import attributes, errors, listing, objects, views
from onestack.network.attributes import UNSET, Attr, Attributes
from onestack.network.policies import POLICIES

Target = dict[str, Any]
Make = Callable[[Session, str, dict[str, Any], dict[str, Any]], Any]


def index(req: Request, resource: str) -> dict[str, Any]:
    return listing.index(req, resource)


def show(req: Request, resource: str, identifier: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        return {resource: listing.one(req, session, resource, identifier)}


def create(req: Request, resource: str, known: Attributes, make: Make, *, bulk: bool = True) -> dict[str, Any]:
    """POST of one object or of several (`{"ports": [...]}`), all or nothing.

    `bulk`: whether several are taken. `make(session, project_id, values, given)` authorizes and creates one, and
    returns its row; `given` are those of the values that the caller has given.
    """
    collection = listing.COLLECTIONS[resource]
    bodies, several = _bodies(req.body, resource, collection, bulk)
    parsed = []
    for body in bodies:
        sent = attributes.with_owner(req.ctx, body)
        values = attributes.read(known, sent, creating=True)
        parsed.append((values, {name: values[name] for name in sent if name in values}))
    with req.cloud.db.write() as session:
        rows = [
            make(session, given.get("project_id", req.ctx.project_id or ""), values, given) for values, given in parsed
        ]
        session.flush()
        rendered = rendered_rows(req, session, resource, rows)
    return {collection: rendered} if several else {resource: rendered[0]}


def rendered_rows(req: Request, session: Session, resource: str, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """What the caller sees of what they just made or changed."""
    rendered = listing.show_allowed(req, session, resource, rows)
    return rendered if len(rendered) == len(rows) else views.RENDER[resource](session, req.cloud, rows)


def _bodies(body: Any, resource: str, collection: str, bulk: bool) -> tuple[list[dict[str, Any]], bool]:
    if collection not in body:
        return [body_of(body, resource)], False
    if not bulk:
        raise errors.bad_request("Bulk operation not supported")
    items = body[collection]
    if not items:
        raise errors.bad_request("Resources required")
    if not isinstance(items, list) or not all(isinstance(item, dict | list | str) for item in items):
        raise errors.bad_request("Body contains invalid data")
    # Each may be wrapped once more, as in {"networks": [{"network": {...}}]}.
    return [body_of(item if resource in item else {resource: item}, resource) for item in items], True


# Neutron has another front for these than for what plugins bring.
_CORE = ("network", "subnet", "port")


def body_of(body: Any, resource: str) -> dict[str, Any]:
    if not body and resource not in _CORE:
        raise errors.bad_request("Resource body required")
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
    sent = attributes.with_owner(req.ctx, body_of(req.body, resource))
    values = attributes.read(known, sent, creating=False)
    with req.cloud.db.write() as session:
        row = loaded(req, session, resource, identifier)
        # The rules look at what the object is going to be.
        target = views.targets(session, resource, [row])[0]
        target |= {name: values[name] for name in values if name in target}
        authorize(req, "update", resource, known, values, target)
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
        if whole(match[1]) != row.revision_number:
            raise Fault(
                f"Constrained to {match[1]}, but current revision is {row.revision_number}", status=412,
                kind="RevisionNumberConstraintFailed",
            )  # fmt: skip
    return row


def authorize(req: Request, verb: str, resource: str, known: Attributes, given: dict[str, Any], target: Target) -> None:
    """Refuse (403) unless the rule of the request and those of what was given and isn't the default all allow it.

    Neutron joins them to one rule, which the refusal shows: `(rule:create_port and rule:create_port:mac_address)`. What
    the caller would not even see then, it hides.
    """
    base = f"{verb}_{resource}"
    rules, words = [base], f"rule:{base}"
    for name, attribute in known.items():
        if not attribute.ruled or name not in given:
            continue
        value = given[name]
        if value is UNSET or (verb == "create" and _is_default(attribute.default, value)):
            continue
        own = [f"{base}:{name}", *(f"{base}:{name}:{key}" for key in _keys(attribute, value))]
        rules += own
        shown = f"rule:{own[0]}"
        if own[1:]:
            shown = f"({shown} and ({' and '.join(f'rule:{rule}' for rule in own[1:])}))"
        words = f"({words} and {shown})"
    if not all(req.allows(rule, target) for rule in rules if rule in POLICIES):
        if verb != "create" and not req.allows(f"get_{resource}", target):
            raise NotFound("The resource could not be found.", kind="HTTPNotFound")
        raise errors.denied(words)
    req.authorize(target)


def _is_default(default: Any, value: Any) -> bool:
    return bool((default() if callable(default) else default) == value)


def _keys(attribute: Attr, value: Any) -> list[str]:
    """The parts of a value that have rules of their own."""
    if isinstance(value, dict):
        return [part for part in attribute.parts if part in value]
    if isinstance(value, list):
        return [key for item in value if isinstance(item, dict) for key in item]
    return []
