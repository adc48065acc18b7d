"""Server groups and the other hints about which servers are to be together: joining, and what they mean for hosts.

`allowed_hosts` is what a scheduler asks; the rest works in the caller's transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import quotas
from onestack.compute.models import Server
from onestack.compute.models_admin import ServerGroup, ServerGroupMember
from onestack.core import quota
from onestack.core.context import Context
from onestack.core.db import fetch
from onestack.core.errors import BadRequest, Forbidden

HARD = ("anti-affinity", "affinity")
POLICIES = (*HARD, "soft-anti-affinity", "soft-affinity")


@dataclass(frozen=True)
class Rules:
    """What a server's hints say about hosts, with the servers that stand there now. Pure."""

    policy: str | None = None
    max_per_host: int = 1
    members: Mapping[str, int] = field(default_factory=dict)  # hostname → members of the group there
    same: frozenset[str] | None = None  # only these hosts
    different: frozenset[str] = frozenset()  # none of these hosts

    def why_not(self, hostname: str) -> str:
        """Why the server may not go to `hostname`; empty when it may."""
        if self.same is not None and hostname not in self.same:
            return "not the host of the servers in same_host"
        if hostname in self.different:
            return "the host of a server in different_host"
        if self.policy == "affinity" and self.members and hostname not in self.members:
            return "the other servers of its affinity group are elsewhere"
        if self.policy == "anti-affinity" and self.members.get(hostname, 0) >= self.max_per_host:
            return f"its anti-affinity group has {self.members[hostname]} there already"
        return ""

    def weight(self, hostname: str) -> int:
        """How well `hostname` fits the soft policies: more is better."""
        if self.policy == "soft-affinity":
            return self.members.get(hostname, 0)
        if self.policy == "soft-anti-affinity":
            return -self.members.get(hostname, 0)
        return 0


def rules_of(session: Session, server: Server) -> Rules:
    """The rules for placing `server`. No query for a server without hints."""
    hints: dict[str, Any] = server.scheduler_hints or {}
    if not hints:
        return Rules()
    same, different = _hint(hints, "same_host"), _hint(hints, "different_host")
    names = _hosts(session, {*same, *different})
    same_hosts = frozenset(names[one] for one in same if one in names) if same else None
    apart = frozenset(names[one] for one in different if one in names)
    group = session.scalars(
        sa.select(ServerGroup)
        .join(ServerGroupMember, ServerGroupMember.group_id == ServerGroup.id)
        .where(ServerGroupMember.server_id == server.id)
        .with_for_update()  # members are placed one after the other
    ).first()
    if group is None:
        return Rules(same=same_hosts, different=apart)
    return Rules(group.policy, group.max_per_host or 1, _occupancy(session, group.id, server.id), same_hosts, apart)


def allowed_hosts(session: Session, group_id: str, hostnames: Iterable[str], server_id: str = "") -> list[str]:
    """Those of `hostnames` where the group's policy lets one more server (`server_id`, not counted) go, best first."""
    group = session.get(ServerGroup, group_id)
    if group is None:
        return list(hostnames)
    rules = Rules(group.policy, group.max_per_host or 1, _occupancy(session, group_id, server_id))
    fitting = [name for name in hostnames if not rules.why_not(name)]
    return sorted(fitting, key=rules.weight, reverse=True)


def join(session: Session, ctx: Context, hints: Mapping[str, Any], server_ids: Sequence[str]) -> None:
    """Put new servers into the group of their `group` hint. Raises BadRequest (no such group), Forbidden (quota)."""
    group_id = hints.get("group")
    if isinstance(group_id, list):
        group_id = group_id[0] if group_id else None
    if not group_id:
        return
    group = find(session, ctx, group_id)
    if group is None:
        raise BadRequest(f"Instance group {group_id} could not be found.")
    limit = quotas.limits(session, group.project_id)["server_group_members"]
    have = len(members(session, [group.id]).get(group.id, []))
    if limit != quota.UNLIMITED and have + len(server_ids) > limit:
        raise Forbidden("Quota exceeded, too many servers in group")
    session.add_all(ServerGroupMember(server_id=server_id, group_id=group.id) for server_id in server_ids)


def find(session: Session, ctx: Context, group_id: str) -> ServerGroup | None:
    """The group, if it is the caller's project's or the caller is an admin."""
    group = session.get(ServerGroup, group_id)
    if group is None or not (ctx.is_admin or group.project_id == ctx.project_id):
        return None
    return group


def members(session: Session, group_ids: Iterable[str]) -> dict[str, list[str]]:
    """Group id → the servers in it that are not deleted, oldest first."""
    found: dict[str, list[str]] = {}
    query = (
        sa.select(ServerGroupMember.group_id, ServerGroupMember.server_id)
        .join(Server, Server.id == ServerGroupMember.server_id)
        .where(ServerGroupMember.group_id.in_(list(group_ids)), Server.deleted_at.is_(None))
        .order_by(Server.created_at, Server.id)
    )
    for group_id, server_id in session.execute(query):
        found.setdefault(group_id, []).append(server_id)
    return found


_OF_SERVER = sa.select(ServerGroupMember.group_id).where(ServerGroupMember.server_id == sa.bindparam("server"))


def of_server(session: Session, server_id: str) -> list[str]:
    """The groups that a server is in, as 2.71 shows them: a list of one at most."""
    return list(fetch(session, _OF_SERVER, server=server_id).scalars())


def count(session: Session, project_id: str) -> int:
    query = sa.select(sa.func.count()).select_from(ServerGroup).where(ServerGroup.project_id == project_id)
    return session.scalar(query) or 0


def _hint(hints: Mapping[str, Any], name: str) -> list[str]:
    value = hints.get(name) or []
    return [value] if isinstance(value, str) else list(value)


def _hosts(session: Session, server_ids: Iterable[str]) -> dict[str, str]:
    wanted = list(server_ids)
    if not wanted:
        return {}
    query = sa.select(Server.id, Server.host).where(
        Server.id.in_(wanted), Server.host.is_not(None), Server.deleted_at.is_(None)
    )
    return {row.id: str(row.host) for row in session.execute(query)}


def _occupancy(session: Session, group_id: str, but: str) -> Counter[str]:
    query = (
        sa.select(Server.host)
        .join(ServerGroupMember, ServerGroupMember.server_id == Server.id)
        .where(
            ServerGroupMember.group_id == group_id, Server.id != but, Server.host.is_not(None),
            Server.deleted_at.is_(None),
        )
    )  # fmt: skip
    return Counter(str(host) for host in session.scalars(query))
