"""Rules of the unified limits: what they may refer to, and what the enforcement model allows.

Source: Keystone's administrator guide, "Unified limits". `flat`: every limit stands for itself. `strict_two_level`: a
tree has a domain and its projects only, no project's limit exceeds its domain's, and nobody's is below a child's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import Forbidden, NotFound
from onestack.identity import catalog
from onestack.identity.dialect import expecting
from onestack.identity.models import Project, Region
from onestack.identity.models_limits import NONE, Limit, RegisteredLimit

Key = tuple[str, str, str]  # service, region or NONE, name of the resource


class Model(NamedTuple):
    name: str
    description: str
    max_depth: int | None  # levels of a tree of projects, its domain included; None: this model sets no bound


MODELS = {
    "flat": Model(
        "flat", "Limit enforcement and validation does not take project hierarchy into consideration.", None
    ),
    "strict_two_level": Model(
        "strict_two_level", "This model requires project hierarchy never exceeds a depth of two", 2
    ),
}  # fmt: skip


Row = TypeVar("Row", Limit, RegisteredLimit)


def get(session: Session, model: type[Row], key: str) -> Row:
    """Raises NotFound, in the words that are only used for limits."""
    row = session.get(model, key)
    if row is None:
        noun = "limit" if model is Limit else "registered limit"
        raise NotFound(f"Could not find {noun} for {key}.")
    return row


def base_of(session: Session, row: Limit) -> RegisteredLimit:
    return session.scalars(sa.select(RegisteredLimit).where(RegisteredLimit.id == row.registered_limit_id)).one()


def of_projects(session: Session, project_ids: Iterable[str]) -> dict[str, list[tuple[Limit, RegisteredLimit]]]:
    """The limits of these projects, by project."""
    query = sa.select(Limit, RegisteredLimit).join(RegisteredLimit).where(Limit.project_id.in_(list(project_ids)))
    found: dict[str, list[tuple[Limit, RegisteredLimit]]] = {}
    for limit, base in session.execute(query.order_by(RegisteredLimit.resource_name, Limit.id)):
        found.setdefault(limit.project_id, []).append((limit, base))
    return found


def key_of(value: dict[str, Any]) -> Key:
    return value["service_id"], value.get("region_id") or NONE, value["resource_name"]


def check_references(session: Session, values: Iterable[dict[str, Any]], noun: str) -> None:
    """Services, regions, projects and domains that are named must be there. Raises BadRequest."""
    services = {row.id for row in catalog.services(session)}
    regions = _existing(session, Region.id, values, "region_id")
    for value in values:
        if value.get("service_id") is not None and value["service_id"] not in services:
            raise expecting("service_id", noun)
        if value.get("region_id") is not None and value["region_id"] not in regions:
            raise expecting("region_id", noun)


def check_owners(session: Session, values: list[dict[str, Any]]) -> dict[str, Project]:
    """The projects and domains that limits are for, by id. A domain named as a project is taken for the domain that
    it is. Raises BadRequest."""
    wanted = {value[name] for value in values for name in ("project_id", "domain_id") if value.get(name)}
    rows = {row.id: row for row in session.scalars(sa.select(Project).where(Project.id.in_(wanted)))}
    for value in values:
        project_id = value.get("project_id")
        if project_id is not None:
            if project_id not in rows:
                raise expecting("project_id", "limit")
            if rows[project_id].is_domain:
                value["domain_id"] = value.pop("project_id")
        domain_id = value.get("domain_id")
        if domain_id is not None and (domain_id not in rows or not rows[domain_id].is_domain):
            raise expecting("domain_id", "limit")
    return rows


def registered(session: Session, keys: set[Key]) -> dict[Key, RegisteredLimit]:
    """The registered limits with these keys."""
    query = sa.select(RegisteredLimit).where(
        RegisteredLimit.service_id.in_({key[0] for key in keys}),
        RegisteredLimit.resource_name.in_({key[2] for key in keys}),
    )
    found = {(row.service_id, row.region_id, row.resource_name): row for row in session.scalars(query)}
    return {key: row for key, row in found.items() if key in keys}


def check_unreferenced(session: Session, row: RegisteredLimit) -> None:
    """A default stays as it is while there are limits of projects or domains for it. Raises Forbidden."""
    query = sa.select(Limit.id).where(Limit.registered_limit_id == row.id).limit(1)
    if session.execute(query).first() is not None:
        raise referenced(row)


def referenced(row: RegisteredLimit) -> Forbidden:
    words = "because there are project limits associated with it."
    return Forbidden(f"Unable to update or delete registered limit {row.id} {words}")


def check_unused(session: Session, noun: str, column: Any, ids: Iterable[str]) -> None:
    """A service or region that registered limits are about can't go. Raises Forbidden."""
    query = sa.select(column).where(column.in_(list(ids))).limit(1)
    used = session.execute(query).scalar()
    if used is not None:
        raise Forbidden(f"Unable to delete {noun} {used} because there are registered limits associated with it.")


def check_hierarchy(session: Session, model: str, values: list[dict[str, Any]], owners: dict[str, Project]) -> None:
    """What the enforcement model has to say about new limits. Raises Forbidden."""
    if model == "flat":
        return
    level = _Level(session, values, owners)
    for value in values:
        if value.get("project_id"):
            level.check_project(value)
        else:
            level.check_domain(value)


class _Level:
    """The limits that those of one request are compared with, read at once."""

    def __init__(self, session: Session, values: list[dict[str, Any]], owners: dict[str, Project]) -> None:
        self.owners = owners
        self.asked = {(value["domain_id"], key_of(value)): value for value in values if value.get("domain_id")}
        above = {owners[value["project_id"]].parent_id or NONE for value in values if value.get("project_id")}
        keys = {key_of(value) for value in values}
        self.defaults = {key: row.default_limit for key, row in registered(session, keys).items()}
        self.domains = {
            (limit.domain_id, key): limit.resource_limit
            for limit, key in _stored(session, Limit.domain_id.in_(above))
        }  # fmt: skip
        # Domain and key → the highest limit of a project in it.
        self.children: dict[tuple[str, Key], int] = {}
        inside = sa.select(Project.id, Project.domain_id).where(
            Project.domain_id.in_({domain for domain, _ in self.asked}), Project.is_domain.is_(False)
        )
        home = {row.id: row.domain_id for row in session.execute(inside)}
        for limit, key in _stored(session, Limit.project_id.in_(inside.with_only_columns(Project.id))):
            place = (home[limit.project_id], key)
            self.children[place] = max(limit.resource_limit, self.children.get(place, limit.resource_limit))

    def check_project(self, value: dict[str, Any]) -> None:
        key = key_of(value)
        parent = self.owners[value["project_id"]].parent_id or NONE
        together = self.asked.get((parent, key))
        if together is not None:
            bound = together["resource_limit"]
        else:
            # Zero doesn't bind, as in Keystone.
            bound = self.domains.get((parent, key), self.defaults.get(key)) or None
        if bound is not None and value["resource_limit"] > bound:
            raise _unfit(value)

    def check_domain(self, value: dict[str, Any]) -> None:
        child = self.children.get((value["domain_id"], key_of(value)))
        if child and value["resource_limit"] < child:
            raise _unfit(value)


def _stored(session: Session, condition: sa.ColumnElement[bool]) -> Iterator[tuple[Limit, Key]]:
    query = sa.select(Limit, RegisteredLimit).join(RegisteredLimit).where(condition)
    for limit, base in session.execute(query):
        yield limit, (base.service_id, base.region_id, base.resource_name)


def _unfit(value: dict[str, Any]) -> Forbidden:
    level = "project_id" if value.get("project_id") else "domain_id"
    told = (
        f"{level}: {value[level]}, resource_name: {value['resource_name']}, "
        f"resource_limit: {value['resource_limit']}, service_id: {value['service_id']}, "
        f"region_id: {value.get('region_id')}"
    )
    return Forbidden(f"Invalid resource limit: The resource limit ({told}) doesn't satisfy current hierarchy model..")


def _existing(session: Session, column: Any, values: Iterable[dict[str, Any]], name: str) -> set[str]:
    wanted = {value[name] for value in values if value.get(name) is not None}
    return set(session.scalars(sa.select(column).where(column.in_(wanted)))) if wanted else set()
