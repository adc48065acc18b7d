"""`locations` and `direct_url` of an image, where the operator shows them, and PATCH of the list.

A URL that a user gives must be of a store whose objects users may name (never file://), and there must be data behind
it. Stores are asked before the transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.db import fetch, many
from onestack.core.errors import BadRequest, Conflict, Forbidden
from onestack.core.http import Request
from onestack.core.words import whole
from onestack.image import access, objects, quotas, store
from onestack.image.drivers.base import StoreError
from onestack.image.faults import detailed
from onestack.image.models import Image
from onestack.image.models_stores import ACTIVE, ImageLocation
from onestack.image.stores import stores

_HASHES = ("checksum", "os_hash_algo", "os_hash_value")
_ROWS = (
    sa.select(ImageLocation.image_id, ImageLocation.store, ImageLocation.object_key, ImageLocation.location_metadata)
    .where(ImageLocation.image_id.in_(many("ids")), ImageLocation.status == ACTIVE)
    .order_by(ImageLocation.position, ImageLocation.id)
)
Found = dict[str, tuple[str, str, int]]  # URL → store, key, size


def show(req: Request, session: Session, bodies: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """Add what the settings and the rule `get_image_location` let the caller see, with one query."""
    settings = req.cloud.settings.image
    if not (settings.show_multiple_locations or settings.show_image_direct_url) or not bodies:
        return bodies
    found = of_images(req.cloud, session, [body["id"] for body in bodies])
    for body in bodies:
        told = req.ctx.is_admin or body["status"] != "deactivated"
        here = found[body["id"]] if told and req.allows("get_image_location", {"project_id": body["owner"]}) else []
        if settings.show_multiple_locations:
            body["locations"] = here
        if settings.show_image_direct_url and here:
            body["direct_url"] = max(here, key=lambda one: settings.stores[one["metadata"]["store"]].weight)["url"]
    return bodies


def of_images(cloud: Cloud, session: Session, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Where the data of each image is, with one query."""
    found: dict[str, list[dict[str, Any]]] = {image_id: [] for image_id in ids}
    for image_id, name, key, metadata in fetch(session, _ROWS, ids=ids):
        one = stores(cloud).find(name)
        if one is not None:
            found[image_id].append({"url": one.url(key), "metadata": {**metadata, "store": name}})
    return found


def look(req: Request, changes: Sequence[Any]) -> Found:
    """What is behind the URLs of a PATCH, asked before its transaction."""
    found: Found = {}
    for change in changes:
        if change.name != "locations" or not req.cloud.settings.image.show_multiple_locations:
            continue
        for given in _given(change):
            known = stores(req.cloud).of_url(given["url"])
            size = 0
            if known is not None and given["url"] not in found:
                try:
                    size = known[0].size(known[1])
                except StoreError:
                    size = 0
                found[given["url"]] = (known[0].name, known[1], size)
    return found


def _given(change: Any) -> list[dict[str, Any]]:
    """The locations of a change."""
    if change.op == "remove":
        return []
    return [change.value] if change.op == "add" else list(change.value)


def apply(req: Request, session: Session, image: Image, change: Any, found: Found) -> None:
    """One change of `locations`. Raises Forbidden, Conflict, BadRequest."""
    if change.op == "replace" and not change.value:
        raise detailed(403, "Cannot set locations to empty list.")
    rule = "delete_image_location" if change.op == "remove" else "set_image_location"
    access.load(req, session, image.id, rule)
    if not req.cloud.settings.image.show_multiple_locations:
        verb = {"add": "add", "remove": "remove", "replace": "update"}[change.op]
        raise Forbidden(f"It's not allowed to {verb} locations if locations are invisible.")
    rows = objects.of_image(session, image.id)
    if change.op == "remove":
        _remove(req, session, image, change, rows)
        return
    if image.status not in ("active", "queued"):
        raise Conflict(f"It's not allowed to {change.op} locations if image status is {image.status}.")
    if image.status == "queued" and rows:  # what was added in vain (location_import.py)
        objects.give_up(session, req.cloud, rows)
        rows = []
    given = _given(change)
    hashes = _validation(image, given)
    if change.op == "replace":
        _replace(req, rows, given)
        if rows:
            return
        where = 0
    else:
        where = _position(change.position, len(rows), past=True)
    added = [_row(req, session, image, one, found, rows) for one in given]
    quotas.check(req.cloud, "location", len(rows) + len(added))
    size = image.size or found[given[0]["url"]][2]
    quotas.check_storage(req.cloud, session, image, size, places=len(rows) + len(added))
    rows[where:where] = added
    for number, row in enumerate(rows):
        row.position = number
    session.add_all(added)
    if image.status == "queued":
        for name, value in hashes.items():
            setattr(image, name, value)
        image.status = "active"
        image.size = found[given[0]["url"]][2]


def _row(
    req: Request, session: Session, image: Image, one: dict[str, Any], found: Found, rows: Sequence[ImageLocation]
) -> ImageLocation:
    name, key, size = found.get(one["url"], ("", "", 0))
    if size <= 0 or taken(req.cloud, session, name, key):
        raise BadRequest("Invalid location")
    if any((row.store, row.object_key) == (name, key) for row in rows):
        raise BadRequest(f"The location {one['url']} already exists")
    metadata = {key: value for key, value in one["metadata"].items() if key != "store"}
    return ImageLocation(
        image_id=image.id, store=name, object_key=key, location_metadata=metadata, status=ACTIVE,
        created_at=req.cloud.clock.now(),
    )  # fmt: skip


def taken(cloud: Cloud, session: Session, name: str, key: str) -> bool:
    """Whether an object that can be deleted is some image's already: whoever named it as well would read what isn't
    theirs, and take it along when their own image goes."""
    one = stores(cloud).find(name)
    query = sa.select(ImageLocation.id).where(ImageLocation.store == name, ImageLocation.object_key == key)
    return one is not None and not one.read_only and session.execute(query.limit(1)).first() is not None


def _replace(req: Request, rows: Sequence[ImageLocation], given: Sequence[dict[str, Any]]) -> None:
    """Only metadata and order may change where there are locations: data is neither lost nor exchanged."""
    if not rows:
        return
    urls: dict[str, ImageLocation] = {}
    for row in rows:
        held = stores(req.cloud).find(row.store)
        if held is not None:
            urls[held.url(row.object_key)] = row
    if {one["url"] for one in given} != set(urls) or len(given) != len(rows):
        raise BadRequest("Invalid locations")
    for number, one in enumerate(given):
        row = urls[one["url"]]
        row.position = number
        row.location_metadata = {key: value for key, value in one["metadata"].items() if key != "store"}


def _remove(req: Request, session: Session, image: Image, change: Any, rows: list[ImageLocation]) -> None:
    if image.status != "active":
        raise Conflict(f"It's not allowed to remove locations if image status is {image.status}.")
    if len(rows) == 1:
        raise Forbidden("Cannot remove last location in the image.")
    objects.give_up(session, req.cloud, [rows[_position(change.position, len(rows), past=False)]])


def _position(text: str, count: int, *, past: bool) -> int:
    if text == "-":
        return count if past else count - 1
    if not text.isdecimal() or (not past and whole(text) >= count):
        raise BadRequest(f"Invalid position for {'adding' if past else 'removing'} a location.")
    return min(whole(text), count)


def _validation(image: Image, given: Sequence[dict[str, Any]]) -> dict[str, str]:
    """The hashes that come with locations. Raises Conflict when they contradict each other or the image."""
    told: dict[str, str] = {}
    for one in given:
        for name, value in one.get("validation_data", {}).items():
            if name not in _HASHES or not isinstance(value, str):
                raise BadRequest("Provided object does not match schema 'image': validation_data")
            if told.setdefault(name, value) != value:
                raise Conflict(f"Conflicting values for {name}")
    new = {}
    for name, value in told.items():
        current = getattr(image, name)
        if current and current != value:
            raise Conflict(f"{name} is already set with a different value")
        if not current:
            new[name] = value
    if not new:
        return {}
    if image.status != "queued":
        raise Conflict(f"New value(s) for {', '.join(new)} may only be provided when image status is 'queued'")
    if new.get("os_hash_algo") != store.ALGORITHM:
        raise Conflict(f"os_hash_algo must be {store.ALGORITHM}, not {new.get('os_hash_algo')}")
    for name, size, kind in (("checksum", 16, "md5"), ("os_hash_value", 64, store.ALGORITHM)):
        try:
            length = len(bytes.fromhex(new.get(name, "00" * size)))
        except ValueError:
            raise Conflict(f"{name} ({new[name]}) is not a valid hexadecimal value") from None
        if length != size:
            raise Conflict(f"{name} ({new[name]}) is not the correct size for {kind} (should be {size} bytes)")
    return new
