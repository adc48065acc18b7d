"""What the handlers share: finding providers, checking names, reading queries."""

from __future__ import annotations

import re
import uuid as uuids
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, NotFound
from onestack.core.http import Request
from onestack.placement import dialect, standard
from onestack.placement.models import Provider, ResourceClass, Trait

CLASS_NAME = re.compile(r"^[A-Z0-9_]{1,255}$")
CUSTOM_NAME = re.compile(r"^CUSTOM_[A-Z0-9_]{1,248}$")
MAX_INT = 0x7FFFFFFF


def provider(session: Session, uuid: str) -> Provider:
    """Raises NotFound."""
    found = session.get(Provider, uuid)
    if found is None:
        raise NotFound(f"No resource provider with uuid {uuid} found : No results are possible.")
    return found


def locked(session: Session, uuid: str) -> Provider:
    """The same, kept from changing until the transaction ends."""
    query = sa.select(Provider).where(Provider.uuid == uuid).with_for_update()
    found = session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    return found if found is not None else provider(session, uuid)


def same_generation(found: Provider, generation: int | None) -> None:
    if found.generation != generation:
        raise dialect.concurrent("resource provider generation conflict")


def is_uuid(text: str) -> bool:
    try:
        uuids.UUID(text)
    except ValueError:
        return False
    return True


def known_classes(session: Session, names: Iterable[str]) -> None:
    """Raises BadRequest for a resource class that doesn't exist."""
    missing = set(names).difference(standard.RESOURCE_CLASSES)
    if missing:
        missing -= set(session.scalars(sa.select(ResourceClass.name).where(ResourceClass.name.in_(missing))))
    if missing:
        raise BadRequest(f"No such resource class {sorted(missing)[0]}.")


def known_traits(session: Session, names: Iterable[str]) -> None:
    """Raises BadRequest for traits that don't exist."""
    missing = set(names).difference(standard.TRAITS)
    if missing:
        missing -= set(session.scalars(sa.select(Trait.name).where(Trait.name.in_(missing))))
    if missing:
        raise BadRequest(f"No such trait(s): {', '.join(sorted(missing))}.")


def only(req: Request, allowed: Iterable[str], repeated: Iterable[str] = ()) -> None:
    """Refuse query parameters that this list doesn't know, and those given twice."""
    names = [key for key, _ in req.query]
    for name in names:
        if name not in allowed:
            raise BadRequest(
                "Invalid query string parameters: Additional properties are not allowed "
                f"('{name}' was unexpected)"
            )  # fmt: skip
        if names.count(name) > 1 and name not in repeated:
            raise BadRequest(f"Query parameter '{name}' is given more than once.", kind=dialect.DUPLICATE_KEY)


def parse_resources(text: str) -> dict[str, int]:
    """`VCPU:2,MEMORY_MB:512`. Raises BadRequest."""
    result: dict[str, int] = {}
    for part in text.split(","):
        name, _, amount = part.partition(":")
        if (
            not CLASS_NAME.match(name)
            or not amount.isascii()
            or not amount.isdigit()
            or not 1 <= int(amount) <= MAX_INT
        ):
            raise BadRequest(
                f"Badly formed resources parameter. Expected resources query string parameter in form: "
                f"?resources=VCPU:2,MEMORY_MB:1024. Got: {text}.",
                kind=dialect.BAD_VALUE,
            )
        result[name] = int(amount)
    return result
