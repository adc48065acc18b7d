"""Which providers have the traits and the aggregates that a query asks for."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.dialect import Version
from onestack.core.errors import BadRequest
from onestack.placement import dialect
from onestack.placement.api.common import is_uuid, known_traits
from onestack.placement.models import Provider, ProviderAggregate, ProviderTrait


def by_traits(session: Session, values: list[str], version: Version) -> sa.ColumnElement[bool]:
    """`required=A,!B` (1.22) and `required=in:A,B` (1.39), all of which must hold."""
    terms: list[sa.ColumnElement[bool]] = []
    names: set[str] = set()
    for value in values:
        if value.startswith("in:") and version >= (1, 39):
            some = value[3:].split(",")
            names.update(some)
            terms.append(_has_trait(some))
            continue
        for name in value.split(","):
            forbidden = name.startswith("!") and version >= (1, 22)
            plain = name[1:] if forbidden else name
            if not plain:
                raise BadRequest(
                    f"Invalid query string parameters: malformed required: {value}", kind=dialect.BAD_VALUE
                )
            names.add(plain)
            terms.append(sa.not_(_has_trait([plain])) if forbidden else _has_trait([plain]))
    known_traits(session, names)
    return sa.and_(sa.true(), *terms)


def by_aggregates(values: list[str], version: Version) -> sa.ColumnElement[bool]:
    """`member_of=<uuid>`, `in:<uuid>,<uuid>`, and from 1.32 `!…`, all of which must hold."""
    terms: list[sa.ColumnElement[bool]] = []
    for value in values:
        forbidden = value.startswith("!") and version >= (1, 32)
        rest = value[1:] if forbidden else value
        uuids = rest[3:].split(",") if rest.startswith("in:") else [rest]
        if not all(is_uuid(uuid) for uuid in uuids):
            raise BadRequest(
                f"Expected 'member_of' parameter to contain valid UUID(s). Got: {value}", kind=dialect.BAD_VALUE
            )
        inside = Provider.uuid.in_(
            sa.select(ProviderAggregate.provider_uuid).where(ProviderAggregate.aggregate_uuid.in_(uuids))
        )
        terms.append(sa.not_(inside) if forbidden else inside)
    return sa.and_(sa.true(), *terms)


def by_tree(session: Session, uuid: str) -> sa.ColumnElement[bool]:
    if not is_uuid(uuid):
        raise BadRequest(f"Expected 'in_tree' parameter to be a format of uuid. Got: {uuid}", kind=dialect.BAD_VALUE)
    root = session.scalar(sa.select(Provider.root_uuid).where(Provider.uuid == uuid))
    return Provider.root_uuid == root if root is not None else sa.false()


def _has_trait(names: list[str]) -> sa.ColumnElement[bool]:
    return Provider.uuid.in_(sa.select(ProviderTrait.provider_uuid).where(ProviderTrait.trait.in_(names)))
