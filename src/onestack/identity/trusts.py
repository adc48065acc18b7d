"""Trusts: when one holds, what it is worth, how it may be handed on, and what ends it.

A trust is checked anew each time it is used: everybody in the chain from the first trustor must still be enabled, and
the first trustor, and its own, must still have every role that it names. Source: Identity API v3, OS-TRUST.
"""

from __future__ import annotations

import datetime
from itertools import pairwise
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.errors import BadRequest, Forbidden
from onestack.identity import assignments
from onestack.identity.assignments import RoleRef
from onestack.identity.backends import BACKEND
from onestack.identity.backends.base import Ids
from onestack.identity.dialect import forbidden
from onestack.identity.models import Project
from onestack.identity.models_trusts import Trust


class Delegation(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says about the trust that it was made with."""

    id: str
    trustor_user_id: str
    trustee_user_id: str
    impersonation: bool

    def render(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "trustor_user": {"id": self.trustor_user_id},
            "trustee_user": {"id": self.trustee_user_id},
            "impersonation": self.impersonation,
        }


def find(session: Session, now: datetime.datetime, trust_id: str, *, used_up: bool = False) -> Trust | None:
    """A trust that can still be used; `used_up`: or whose last use was taken, for the tokens that were made with it."""
    trust = session.get(Trust, trust_id)
    if trust is None or (trust.expires_at is not None and trust.expires_at <= now):
        return None
    if trust.remaining_uses is not None and trust.remaining_uses <= 0 and not used_up:
        return None
    return trust


def chain(session: Session, trust: Trust) -> list[Trust]:
    """`trust`, the one that it was made with, and so on up to the first."""
    found = [trust]
    while found[-1].redelegated_trust_id is not None:
        parent = session.get(Trust, found[-1].redelegated_trust_id)
        if parent is None or parent in found:
            raise forbidden()
        found.append(parent)
    return found


def check_chain(session: Session, trust: Trust, maximum: int) -> list[Trust]:
    """The chain, of which every link holds. Raises Forbidden."""
    found = chain(session, trust)
    for child, parent in pairwise(found):
        check_link(parent, child, maximum)
        agent = BACKEND.user(session, parent.trustee_user_id)
        if agent is None or not agent.enabled:
            raise forbidden()
    return found


def check_link(parent: Trust, child: Trust, maximum: int) -> None:
    """`child` gives away no more than `parent` does. Raises Forbidden, without saying why, as Keystone does."""
    too_late = parent.expires_at is not None and (child.expires_at is None or child.expires_at > parent.expires_at)
    if (
        not 0 < parent.redelegation_count <= maximum
        or child.remaining_uses is not None
        or too_late
        or not set(child.role_ids) <= set(parent.role_ids)
        or (child.impersonation and not parent.impersonation)
        or child.project_id != parent.project_id
    ):
        raise forbidden()


def roles(session: Session, links: list[Trust], project: Project) -> list[RoleRef]:
    """What a token for the trust `links[0]` may do. Raises Forbidden when the first trustor, or who handed it on, lost
    any of it."""
    named = assignments.closure(links[0].role_ids, assignments.implications(session))
    for user_id in {links[0].trustor_user_id, links[-1].trustor_user_id}:
        if not named <= assignments.role_ids_on_project(session, user_id, project):
            raise forbidden()
    return assignments.effective_roles(session, links[0].role_ids)


def depth(wanted: int | None, allowed: bool, remaining_uses: int | None, maximum: int) -> int:
    """How often a trust that is made without another one can be handed on. Raises a Fault."""
    if not allowed or wanted == 0:
        return 0
    if wanted is not None and wanted > maximum:
        raise forbidden()
    if remaining_uses is not None:
        raise BadRequest("remaining_uses must not be set if redelegation is allowed")
    return maximum if wanted is None else wanted


def redelegate(session: Session, trust: Trust, parent: Trust, wanted: int | None, allowed: bool, maximum: int) -> None:
    """Make `trust` one that `parent` was handed on with. Raises Forbidden."""
    remaining = parent.redelegation_count - 1
    if allowed and wanted and wanted != remaining:
        raise forbidden()
    trust.redelegated_trust_id = parent.id
    trust.redelegation_count = remaining if allowed and wanted != 0 else 0
    if trust.expires_at is None:
        trust.expires_at = parent.expires_at
    for link in chain(session, parent):
        check_link(link, trust, maximum)


def consume(session: Session, *, trust_id: str) -> None:
    """Take one of the uses that are left, for a token that is about to be given: two at once never take the same one.
    Raises Forbidden."""
    taken = session.execute(
        sa.update(Trust)
        .where(Trust.id == trust_id, Trust.remaining_uses > 0)
        .values(remaining_uses=Trust.remaining_uses - 1)
        .execution_options(synchronize_session=False)
    )
    if taken.rowcount != 1:  # type: ignore[attr-defined]
        raise Forbidden(f"No remaining uses for trust: {trust_id}.")


def remove(session: Session, trust_ids: list[str]) -> list[str]:
    """Delete trusts and those that they were handed on with; the ids of all of them."""
    gone: list[str] = []
    level = list(trust_ids)
    while level:
        gone += level
        below = sa.select(Trust.id).where(Trust.redelegated_trust_id.in_(level), Trust.id.not_in(gone))
        level = list(session.scalars(below))
    session.execute(sa.delete(Trust).where(Trust.id.in_(gone)).execution_options(synchronize_session=False))
    return gone


def forget_users(session: Session, ids: Ids) -> None:
    """Who is deleted neither gives nor gets any more. The caller ends their tokens."""
    involved = sa.or_(Trust.trustor_user_id.in_(ids), Trust.trustee_user_id.in_(ids))
    remove(session, list(session.scalars(sa.select(Trust.id).where(involved))))


def forget_projects(session: Session, ids: Ids) -> None:
    remove(session, list(session.scalars(sa.select(Trust.id).where(Trust.project_id.in_(ids)))))
