"""Compute's quotas: the defaults, what is used, and refusing what would pass a limit.

Usage is counted from the rows, in the transaction that adds to them. Limits: core.quota, service "compute".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute.models import Keypair, Server
from onestack.core import quota
from onestack.core.context import Context
from onestack.core.errors import Forbidden

SERVICE = "compute"

# Nova's own defaults.
DEFAULTS: dict[str, int] = {
    "instances": 10,
    "cores": 20,
    "ram": 50 * 1024,
    "metadata_items": 128,
    "injected_files": 5,
    "injected_file_content_bytes": 10 * 1024,
    "injected_file_path_bytes": 255,
    "key_pairs": 100,
    "server_groups": 10,
    "server_group_members": 10,
}


def limits(session: Session, project_id: str) -> dict[str, int]:
    return quota.limits(session, SERVICE, project_id, DEFAULTS)


def usage(session: Session, project_id: str) -> dict[str, int]:
    """What a project's servers use: instances, cores, ram (MiB). Those in ERROR count, deleted ones don't."""
    row = session.execute(
        sa.select(
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(Server.vcpus), 0),
            sa.func.coalesce(sa.func.sum(Server.ram), 0),
        ).where(Server.project_id == project_id, Server.deleted_at.is_(None))
    ).one()
    return {"instances": int(row[0]), "cores": int(row[1]), "ram": int(row[2])}


def fit(session: Session, project_id: str, cores: int, ram: int, minimum: int, maximum: int) -> int:
    """How many servers of that size may be added: from `minimum` to `maximum`. Raises Forbidden when not even those."""
    quota.lock(session, SERVICE, project_id)
    limit, used = limits(session, project_id), usage(session, project_id)
    count = maximum
    for name, each in (("instances", 1), ("cores", cores), ("ram", ram)):
        if limit[name] != quota.UNLIMITED and each > 0:
            count = min(count, max(limit[name] - used[name], 0) // each)
    if count >= minimum:
        return count
    wanted = {"instances": minimum, "cores": cores * minimum, "ram": ram * minimum}
    raise _refusal(quota.exceeded(limit, used, wanted), limit, used, wanted)


def check_keypairs(session: Session, ctx: Context, user_id: str) -> None:
    """Raises Forbidden when the user has as many key pairs as they may."""
    limit = limits(session, ctx.project_id or "")["key_pairs"]
    used = session.scalar(sa.select(sa.func.count()).where(Keypair.user_id == user_id)) or 0
    if limit != quota.UNLIMITED and used >= limit:
        raise Forbidden("Quota exceeded, too many key pairs.")


def check_metadata(session: Session, project_id: str, items: int) -> None:
    if not items:
        return
    limit = limits(session, project_id)["metadata_items"]
    if limit != quota.UNLIMITED and items > limit:
        raise Forbidden(f"Maximum number of metadata items exceeds {limit}")


def check_image_metadata(session: Session, project_id: str, items: int) -> None:
    """Of the metadata that an image of a server is given."""
    limit = limits(session, project_id)["metadata_items"] if items else quota.UNLIMITED
    if limit != quota.UNLIMITED and items > limit:
        raise Forbidden("Image metadata limit exceeded")


def check_personality(session: Session, project_id: str, files: Iterable[tuple[str, int]]) -> None:
    """`files`: (path, bytes of content)."""
    files = list(files)
    if not files:
        return
    limit = limits(session, project_id)
    for name, value, words in (
        ("injected_files", len(files), "Personality file limit exceeded"),
        ("injected_file_path_bytes", max((len(p) for p, _ in files), default=0), "Personality file path too long"),
        ("injected_file_content_bytes", max((s for _, s in files), default=0), "Personality file content too long"),
    ):
        if limit[name] != quota.UNLIMITED and value > limit[name]:
            raise Forbidden(words)


def _refusal(
    names: list[str], limit: Mapping[str, int], used: Mapping[str, int], wanted: Mapping[str, int]
) -> Forbidden:
    def each(values: Mapping[str, int]) -> str:
        return ", ".join(str(values[name]) for name in names)

    listed = ", ".join(names)
    return Forbidden(
        f"Quota exceeded for {listed}: Requested {each(wanted)}, "
        f"but already used {each(used)} of {each(limit)} {listed}"
    )
