"""Access rules of application credentials: reading them, and making those that a new credential asks for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core import access_rules
from onestack.core.cloud import Cloud
from onestack.core.errors import BadRequest
from onestack.identity import checks
from onestack.identity.dialect import invalid_credential
from onestack.identity.models_access import AccessRule, UsedAccessRule

METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
_FIELDS: dict[str, checks.Check] = {
    "id": checks.ID,
    "path": checks.text(0, 225, pattern=r"^/\.*"),
    "service": checks.ID,
    "method": checks.choice(*METHODS),
}


def render(row: AccessRule) -> dict[str, Any]:
    return {"id": row.id, "path": row.path, "method": row.method, "service": row.service}


def of_credentials(session: Session, credential_ids: Iterable[str]) -> dict[str, list[AccessRule]]:
    """Credential id → its rules; a credential without rules isn't there."""
    query = (
        sa.select(UsedAccessRule.application_credential_id, AccessRule)
        .join(AccessRule, AccessRule.id == UsedAccessRule.access_rule_id)
        .where(UsedAccessRule.application_credential_id.in_(list(credential_ids)))
        .order_by(AccessRule.service, AccessRule.path, AccessRule.method)
    )
    found: dict[str, list[AccessRule]] = defaultdict(list)
    for credential_id, row in session.execute(query):
        found[credential_id].append(row)
    return found


def compiled(rows: list[AccessRule]) -> access_rules.AccessRules:
    return access_rules.AccessRules((row.service, row.method, row.path) for row in rows)


check = checks.array(checks.members(_FIELDS))  # the list of a request's body


def chosen(session: Session, cloud: Cloud, user_id: str, wanted: list[dict[str, Any]]) -> list[AccessRule]:
    """The rules that a request names by id or describes; those that the user doesn't have yet are made."""
    own = session.scalars(sa.select(AccessRule).where(AccessRule.user_id == user_id))
    by_id = {row.id: row for row in own}
    by_content = {(row.service, row.path, row.method): row for row in by_id.values()}
    found: list[AccessRule] = []
    for item in wanted:
        row = by_id.get(item.get("id", ""))
        if row is None:
            content = _content(item)
            row = by_content.get(content)
            if row is None:
                row = AccessRule(
                    id=cloud.ids.hex(), user_id=user_id, service=content[0], path=content[1], method=content[2]
                )
                session.add(row)
                by_content[content] = row
        if row not in found:
            found.append(row)
    return found


def _content(item: dict[str, Any]) -> tuple[str, str, str]:
    for name in item:
        if name not in _FIELDS:
            raise BadRequest(f"{name[:100]!r} is an invalid keyword argument for AccessRuleModel")
    missing = [name for name in ("service", "path", "method") if name not in item]
    if missing and "id" in item:
        raise invalid_credential(f"Could not find Access Rule: {item['id']}.")
    if missing:
        raise BadRequest(f"Invalid input for field 'access_rules': '{missing[0]}' is a required property")
    return item["service"], item["path"], item["method"]
