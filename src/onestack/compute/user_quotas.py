"""Limits of single users inside a project: kept beside the project's, checked after them.

What a user may is bounded by the project's own limit; only what servers use can be limited for one user.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import quotas
from onestack.compute.models import Keypair, Server
from onestack.compute.models_admin import ServerGroup, UserQuota
from onestack.core import quota
from onestack.core.errors import Forbidden


def limits(session: Session, project_id: str, user_id: str | None) -> dict[str, int]:
    """The project's limits with the user's own over them."""
    found = quotas.limits(session, project_id)
    if user_id is not None:
        found.update(_own(session, project_id, user_id))
    return found


def set_limits(session: Session, project_id: str, user_id: str, values: Mapping[str, int]) -> None:
    for resource, value in values.items():
        session.merge(UserQuota(project_id=project_id, user_id=user_id, resource=resource, hard_limit=value))


def reset(session: Session, project_id: str, user_id: str | None = None) -> None:
    """Back to the project's limits: one user, or all of the project's."""
    query = sa.delete(UserQuota).where(UserQuota.project_id == project_id)
    session.execute(query if user_id is None else query.where(UserQuota.user_id == user_id))


def usage(session: Session, project_id: str, user_id: str | None) -> dict[str, int]:
    """What the project uses, or the one user of it: instances, cores, ram (MiB), server_groups, a user's key_pairs."""
    groups = sa.select(sa.func.count()).select_from(ServerGroup).where(ServerGroup.project_id == project_id)
    if user_id is None:
        return {**quotas.usage(session, project_id), "server_groups": session.scalar(groups) or 0}
    keys = sa.select(sa.func.count()).select_from(Keypair).where(Keypair.user_id == user_id)
    return {
        **_used(session, project_id, user_id),
        "server_groups": session.scalar(groups.where(ServerGroup.user_id == user_id)) or 0,
        "key_pairs": session.scalar(keys) or 0,
    }


def fit(session: Session, project_id: str, user_id: str, cores: int, ram: int, minimum: int, maximum: int) -> int:
    """How many servers of that size the user's own limits let them add: from `minimum` to `maximum`. Raises Forbidden.
    Called after `quotas.fit`, whose lock it relies on."""
    own = _own(session, project_id, user_id)
    if not own:
        return maximum
    used, count = _used(session, project_id, user_id), maximum
    for name, each in (("instances", 1), ("cores", cores), ("ram", ram)):
        limit = own.get(name, quota.UNLIMITED)
        if limit == quota.UNLIMITED or each <= 0:
            continue
        count = min(count, max(limit - used[name], 0) // each)
        if count < minimum:
            wanted, have = each * minimum, used[name]
            raise Forbidden(f"Quota exceeded for {name}: Requested {wanted}, but already used {have} of {limit} {name}")
    return count


def _own(session: Session, project_id: str, user_id: str) -> dict[str, int]:
    query = sa.select(UserQuota.resource, UserQuota.hard_limit).where(
        UserQuota.project_id == project_id, UserQuota.user_id == user_id
    )
    return {row.resource: row.hard_limit for row in session.execute(query)}


def _used(session: Session, project_id: str, user_id: str) -> dict[str, int]:
    row = session.execute(
        sa.select(
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(Server.vcpus), 0),
            sa.func.coalesce(sa.func.sum(Server.ram), 0),
        ).where(Server.project_id == project_id, Server.user_id == user_id, Server.deleted_at.is_(None))
    ).one()
    return {"instances": int(row[0]), "cores": int(row[1]), "ram": int(row[2])}
