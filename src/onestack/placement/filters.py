"""Which providers have the traits and the aggregates that a query asks for."""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from onestack.core.dialect import Version
from onestack.core.errors import BadRequest
from onestack.placement.api.common import bad_query, known_traits
from onestack.placement.forms import is_uuid
from onestack.placement.models import Provider, ProviderAggregate, ProviderTrait


class Traits(NamedTuple):
    """What `required` asks for: one of each set, none of those that are forbidden."""

    any_of: list[set[str]]
    forbidden: set[str]

    @property
    def names(self) -> set[str]:
        return self.forbidden.union(*self.any_of)

    def held_by(self, has: Set[str]) -> bool:
        return all(some & has for some in self.any_of) and not self.forbidden & has


def parse_traits(values: list[str], version: Version) -> Traits:
    """`required=A,!B` (1.22) and `required=in:A,B` (1.39), all of which must hold; before 1.39 the last value counts.
    Raises BadRequest."""
    traits = Traits([], set())
    for value in values if version >= (1, 39) else values[-1:]:
        if value.startswith("in:"):
            traits.any_of.append(_any_of(value, version))
            continue
        words = [word.strip() for word in value.split(",")]
        forbidden = {word.lstrip("!") for word in words if word.startswith("!")}
        allowed = version >= (1, 22)
        form = f"Expected 'required' parameter value of the form: HW_CPU_X86_VMX,{'!' if allowed else ''}CUSTOM_MAGIC."
        if not all(words) or not all(forbidden):
            raise bad_query(f"{form} Got an empty trait in: {value}")
        if forbidden and not allowed:
            raise bad_query(f"{form} Got: {value}")
        traits.any_of.extend({word} for word in words if not word.startswith("!"))
        traits.forbidden.update(forbidden)
    return traits


def _any_of(value: str, version: Version) -> set[str]:
    form = "The format 'in:HW_CPU_X86_VMX,CUSTOM_MAGIC'"
    if version < (1, 39):
        raise bad_query(f"{form} only supported since microversion 1.39. Got: {value}")
    words = {word.strip() for word in value[3:].split(",")}
    if not all(words):
        raise bad_query(
            "Expected 'required' parameter value of the form: in:HW_CPU_X86_VMX,CUSTOM_MAGIC. "
            f"Got an empty trait in: {value}"
        )
    if any(word.startswith("!") for word in words):
        raise bad_query(f"{form} does not support forbidden traits. Got: {value}")
    return words


def by_traits(session: Session, values: list[str], version: Version, refused: str = "") -> sa.ColumnElement[bool]:
    traits = parse_traits(values, version)
    known_traits(session, traits.names, refused)
    terms = [_has_trait(some) for some in traits.any_of]
    return sa.and_(sa.not_(_has_trait(traits.forbidden)), *terms)


def by_aggregates(
    values: list[str], version: Version, suffix: str = "", *, of_tree: bool = False
) -> sa.ColumnElement[bool]:
    """`member_of=<uuid>`, `in:<uuid>,<uuid>`, and from 1.32 `!…`, all of which must hold. Raises BadRequest.
    `of_tree`: a root brings all below it into its aggregates."""
    if len(values) > 1 and version < (1, 24):
        raise BadRequest(f"Multiple member_of{suffix} parameters are not supported")
    terms: list[sa.ColumnElement[bool]] = []
    for value in values:
        forbidden = value.startswith("!")
        rest = value.removeprefix("!")
        if "," in rest and not rest.startswith("in:"):
            raise BadRequest(
                "Multiple values for 'member_of' must be prefixed with the 'in:' or '!in:' keyword using the valid "
                f"microversion. Got: {value}"
            )
        uuids = rest.removeprefix("in:").split(",")
        for uuid in uuids:
            if not is_uuid(uuid):
                raise bad_query(f"Expected 'member_of' parameter to contain valid UUID(s). Got: {uuid}")
        if forbidden and version < (1, 32):
            raise BadRequest(f"Forbidden member_of{suffix} parameters are not supported in the specified microversion")
        members = sa.select(ProviderAggregate.provider_uuid).where(ProviderAggregate.aggregate_uuid.in_(uuids))
        inside: sa.ColumnElement[bool] = Provider.uuid.in_(members)
        if of_tree:
            inside = sa.or_(inside, Provider.root_uuid.in_(members))
        terms.append(sa.not_(inside) if forbidden else inside)
    return sa.and_(sa.true(), *terms)


def tree_of(value: str) -> str:
    """The provider that `in_tree` names. Raises BadRequest."""
    uuid = value.strip()
    if not is_uuid(uuid):
        raise bad_query(f"Expected 'in_tree' parameter to be a format of uuid. Got: {value}")
    return uuid


def by_tree(uuid: str) -> sa.ColumnElement[bool]:
    other = aliased(Provider)
    return Provider.root_uuid == sa.select(other.root_uuid).where(other.uuid == uuid).scalar_subquery()


def _has_trait(names: set[str]) -> sa.ColumnElement[bool]:
    return Provider.uuid.in_(sa.select(ProviderTrait.provider_uuid).where(ProviderTrait.trait.in_(names)))
