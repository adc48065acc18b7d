"""Roles as trusts, application credentials and OAuth requests name them: `[{"id": …}, {"name": …}]`."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, NotFound
from onestack.identity import checks
from onestack.identity.models import Role

_fields = checks.members({"id": checks.ID, "name": checks.NAME}, least=1)
_closed = checks.members({"id": checks.ID, "name": checks.NAME}, closed=True)


def _one(value: Any) -> str | checks.Problem | None:
    problem = _fields(value)
    if problem is not None:
        return problem
    return "has too many properties" if len(value) > 1 else _closed(value)


check = checks.array(_one)


def ids(session: Session, wanted: list[dict[str, str]]) -> list[str]:
    """Each once. Names are looked for among the roles of every domain, so they may be ambiguous."""
    found = (item["id"] if "id" in item else _of_name(session, item["name"]) for item in wanted)
    return list(dict.fromkeys(found))


def _of_name(session: Session, name: str) -> str:
    found = list(session.scalars(sa.select(Role.id).where(Role.name == name).limit(2)))
    if not found:
        raise NotFound(f"Role {name} is not defined")
    if len(found) > 1:
        words = "Please use ID instead of names to resolve the ambiguity."
        raise BadRequest(f"There are multiple role entities named '{name}'. {words}")
    return found[0]
