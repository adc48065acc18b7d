"""Sets of metadata definitions: those that come with the program, and any that `glance-manage` is given.

A set is a directory of JSON files, one a namespace, in the form that Glance's own tools read and write.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.clock import Clock
from onestack.image import metadefs
from onestack.image.models_metadefs import (
    MetadefAssociation,
    MetadefLoad,
    MetadefNamespace,
    MetadefObject,
    MetadefProperty,
    MetadefResourceType,
    MetadefTag,
)

OURS = Path(__file__).parent / "files" / "metadefs"


class BadSet(Exception):
    """The files can't be read or aren't namespaces."""


class Item(msgspec.Struct):
    name: str
    description: str | None = None
    required: list[str] | None = None
    properties: dict[str, dict[str, Any]] | None = None


class Association(msgspec.Struct):
    name: str
    prefix: str | None = None
    properties_target: str | None = None


class Tag(msgspec.Struct):
    name: str


class Definition(msgspec.Struct):
    """One file."""

    namespace: str
    display_name: str | None = None
    description: str | None = None
    visibility: str | None = None
    protected: bool | None = None
    owner: str | None = "admin"
    resource_type_associations: list[Association] = []
    properties: dict[str, dict[str, Any]] = {}
    objects: list[Item] = []
    tags: list[Tag] = []


def files(path: Path) -> list[Path]:
    """Raises BadSet."""
    found = [path] if path.is_file() else sorted(path.glob("*.json"))
    if not found:
        raise BadSet(f"There are no JSON files in {path}.")
    return found


def read(path: Path) -> list[Definition]:
    """The namespaces of a directory, or of one file. Raises BadSet that names the file."""
    found = []
    for file in files(path):
        try:
            found.append(msgspec.json.decode(file.read_bytes(), type=Definition))
        except (OSError, msgspec.DecodeError) as error:
            raise BadSet(f"{file}: {error}") from error
    return found


def ensure(session: Session, clock: Clock) -> None:
    """The definitions of this version of the program are there. What was loaded once isn't looked at again, so that
    those which an administrator deleted stay away."""
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files(OURS))).hexdigest()
    if session.get(MetadefLoad, digest) is None:
        load(session, clock, read(OURS))
        session.add(MetadefLoad(digest=digest, loaded_at=clock.now()))


def load(
    session: Session,
    clock: Clock,
    definitions: list[Definition],
    *,
    merge: bool = False,
    prefer_new: bool = False,
    overwrite: bool = False,
) -> list[str]:
    """Add namespaces; returns the names of those that were added or changed.

    One that exists is left as it is, unless told to `merge` what it doesn't have yet (with `prefer_new` also to change
    what it has), or to `overwrite` it whole.
    """
    names = [definition.namespace for definition in definitions]
    query = sa.select(MetadefNamespace).where(MetadefNamespace.namespace.in_(names))
    there = {row.namespace: row for row in session.scalars(query)}
    done = []
    for definition in definitions:
        row = there.get(definition.namespace)
        if row is not None and not (merge or overwrite):
            continue
        body = msgspec.to_builtins(definition)
        if row is None or overwrite:
            if row is None:
                row = MetadefNamespace(namespace=definition.namespace, created_at=clock.now())
                session.add(row)
            _describe(row, definition, clock)
            session.flush()
            metadefs.remove_contents(session, row.id)
            metadefs.fill(session, row, body, clock.now())
        else:
            _merge(session, clock, row, definition, prefer_new)
        done.append(definition.namespace)
    return done


def _describe(row: MetadefNamespace, definition: Definition, clock: Clock) -> None:
    row.display_name, row.description = definition.display_name, definition.description
    row.visibility = definition.visibility or "private"
    row.protected = bool(definition.protected)
    row.owner = definition.owner
    row.updated_at = clock.now()


def _merge(session: Session, clock: Clock, row: MetadefNamespace, definition: Definition, prefer_new: bool) -> None:
    """What the namespace has and the file has too goes first where the file's is preferred; then what is missing is
    added."""
    if prefer_new:
        _describe(row, definition, clock)
    body = msgspec.to_builtins(definition)
    kinds: tuple[tuple[Any, str, str], ...] = (
        (MetadefAssociation, "resource_type", "resource_type_associations"), (MetadefObject, "name", "objects"),
        (MetadefTag, "name", "tags"), (MetadefProperty, "name", "properties"),
    )  # fmt: skip
    for kind, column, part in kinds:
        named = {item if part == "properties" else item["name"] for item in body[part]}
        mine = sa.and_(kind.namespace_id == row.id, getattr(kind, column).in_(named))
        if prefer_new:
            session.execute(sa.delete(kind).where(mine))
        have = set(session.scalars(sa.select(getattr(kind, column)).where(mine)))
        if part == "properties":
            body[part] = {name: value for name, value in body[part].items() if name not in have}
        else:
            body[part] = [item for item in body[part] if item["name"] not in have]
    metadefs.fill(session, row, body, clock.now())


def unload(session: Session) -> None:
    """No namespace and no resource type is left. The program's own come back when they are loaded by name."""
    for kind in (*metadefs.CONTENTS, MetadefNamespace, MetadefResourceType):
        session.execute(sa.delete(kind))


def export(session: Session) -> dict[str, Definition]:
    """A file's name and contents for each namespace."""
    found: dict[str, Definition] = {}
    for row in session.scalars(sa.select(MetadefNamespace).order_by(MetadefNamespace.id)):
        name = re.sub(r"[\W_]+", "", row.display_name or row.namespace) or str(row.id)
        file = f"{name}.json" if f"{name}.json" not in found else f"{name}{row.id}.json"
        found[file] = _definition(session, row)
    return found


def _definition(session: Session, row: MetadefNamespace) -> Definition:
    def all_of(kind: Any, order: Any) -> Any:
        return session.scalars(sa.select(kind).where(kind.namespace_id == row.id).order_by(order))

    return Definition(
        namespace=row.namespace, display_name=row.display_name, description=row.description, owner=row.owner,
        visibility=row.visibility, protected=row.protected,
        resource_type_associations=[
            Association(item.resource_type, item.prefix, item.properties_target)
            for item in all_of(MetadefAssociation, MetadefAssociation.resource_type)
        ],
        properties={item.name: item.shape for item in all_of(MetadefProperty, MetadefProperty.id)},
        objects=[
            Item(item.name, item.description, item.required, item.properties)
            for item in all_of(MetadefObject, MetadefObject.id)
        ],
        tags=[Tag(item.name) for item in all_of(MetadefTag, MetadefTag.id)],
    )  # fmt: skip
