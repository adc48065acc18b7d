"""What the handlers share: finding providers, checking names, reading queries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, NotFound
from onestack.core.http import Request
from onestack.core.json_schema import mistake
from onestack.placement import dialect, schemas, standard
from onestack.placement.models import Provider, ResourceClass, Trait


def provider(session: Session, uuid: str, before: str = "") -> Provider:
    """Raises NotFound, with what it says `before` that."""
    found = session.get(Provider, uuid)
    if found is None:
        raise NotFound(f"{before}No resource provider with uuid {uuid} found")
    return found


def locked(session: Session, uuid: str) -> Provider:
    """The same, kept from changing until the transaction ends."""
    query = sa.select(Provider).where(Provider.uuid == uuid).with_for_update()
    found = session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    return found if found is not None else provider(session, uuid)


def same_generation(found: Provider, generation: int, words: str = "resource provider generation conflict") -> None:
    if found.generation != generation:
        raise dialect.concurrent(words)


def known_classes(session: Session, names: Iterable[str], refused: str = "") -> None:
    """Raises BadRequest, with what is `refused`, for a resource class that doesn't exist."""
    missing = _unknown_classes(session, names)
    if missing:
        raise BadRequest(f"{refused}No such resource class {missing[0]}.")


def known_class(session: Session, name: str, refused: str = "") -> None:
    """Raises NotFound when it doesn't exist."""
    if _unknown_classes(session, [name]):
        raise NotFound(f"{refused}No such resource class {name}.")


def _unknown_classes(session: Session, names: Iterable[str]) -> list[str]:
    missing = set(names).difference(standard.RESOURCE_CLASSES)
    if missing:
        missing -= set(session.scalars(sa.select(ResourceClass.name).where(ResourceClass.name.in_(missing))))
    return sorted(missing)


def known_traits(session: Session, names: Iterable[str], refused: str = "") -> None:
    """Raises BadRequest, with what is `refused`, for traits that don't exist."""
    missing = unknown_traits(session, names)
    if missing:
        raise BadRequest(f"{refused}No such trait(s): {', '.join(missing)}.")


def unknown_traits(session: Session, names: Iterable[str]) -> list[str]:
    missing = set(names).difference(standard.TRAITS)
    if missing:
        missing -= set(session.scalars(sa.select(Trait.name).where(Trait.name.in_(missing))))
    return sorted(missing)


def checked(body: Any, schema: schemas.Schema) -> Any:
    """The body of a request. Raises BadRequest."""
    wrong = mistake(body, schema, schemas.KIND)
    if wrong is not None:
        raise BadRequest(f"JSON does not validate: {wrong.message}")
    return body


def query(req: Request, schema: schemas.Schema) -> dict[str, str]:
    """The query of a request: of a name given twice the last value counts. Raises BadRequest."""
    values = dict(req.query)
    wrong = mistake(values, schema, schemas.KIND)
    if wrong is not None:
        raise bad_query(wrong.message)
    return values


def bad_query(message: str) -> BadRequest:
    return BadRequest(f"Invalid query string parameters: {message}")


def parse_resources(text: str) -> dict[str, int]:
    """`VCPU:2,MEMORY_MB:512`. Raises BadRequest."""
    form = (
        "Badly formed resources parameter. Expected resources query string parameter in form: "
        "?resources=VCPU:2,MEMORY_MB:1024. Got: "
    )
    if not text.strip():
        raise BadRequest(f"{form}empty string.")
    result: dict[str, int] = {}
    for part in text.split(","):
        if part.count(":") != 1:
            raise BadRequest(f"{form}{part}.")
        name, amount = part.split(":")
        try:
            result[name] = int(amount)
        except ValueError:
            raise BadRequest(f"Requested resource {name} expected positive integer amount. Got: {amount}.") from None
        if result[name] < 1:
            raise BadRequest(f"Requested resource {name} requires amount >= 1. Got: {result[name]}.")
    return result
