"""Limits of a project's images: identity's unified limits, by the names that Glance gives its resources.

A resource without a registered limit isn't bounded. Usage is counted from the rows themselves. Sizes are MiB.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

import onestack.identity.public
from onestack.core.cloud import Cloud
from onestack.core.errors import TooLarge
from onestack.image.models import Image, ImageProperty
from onestack.image.models_stores import ACTIVE, ImageLocation

SIZE, STAGED, COUNT, UPLOADING = "image_size_total", "image_stage_total", "image_count_total", "image_count_uploading"
MIB = 1 << 20


def of(session: Session, cloud: Cloud, project_id: str | None) -> dict[str, int]:
    """The limits that hold for a project."""
    if project_id is None:
        return {}
    found = onestack.identity.public.unified_limits(session, "image", project_id, cloud.settings.region)
    return {name: found[name] for name in (SIZE, STAGED, COUNT, UPLOADING) if name in found}


def usage(session: Session, project_id: str) -> dict[str, int]:
    """What a project has, in one query. Data counts once for each place where it is; an image that is copied to a store
    is staged meanwhile."""
    places = (
        sa.select(sa.func.count())
        .where(ImageLocation.image_id == Image.id, ImageLocation.status == ACTIVE)
        .correlate(Image)
        .scalar_subquery()
    )
    copying = sa.exists().where(
        ImageProperty.image_id == Image.id, ImageProperty.name == "os_glance_importing_to_stores",
        ImageProperty.value != "",
    )  # fmt: skip
    rows = (
        sa.select(
            Image.size, places.label("places"),
            sa.or_(Image.status.in_(("saving", "uploading", "importing")), copying).label("busy"),
        ).where(Image.owner == project_id, Image.status != "killed").subquery()
    )  # fmt: skip
    query = sa.select(
        sa.func.coalesce(sa.func.sum(rows.c.size * rows.c.places), 0),
        sa.func.coalesce(sa.func.sum(rows.c.size).filter(rows.c.busy), 0),
        sa.func.count(), sa.func.count().filter(rows.c.busy),
    )  # fmt: skip
    size, stage, count, busy = session.execute(query).one()
    return {SIZE: int(size) // MIB, STAGED: int(stage) // MIB, COUNT: count, UPLOADING: busy}


def left(session: Session, cloud: Cloud, image: Image) -> int | None:
    """Bytes that the data of an image may have which is being imported; None where nothing bounds it."""
    found = of(session, cloud, image.owner)
    limits = {name: found[name] for name in (SIZE, STAGED) if found.get(name, -1) >= 0}
    if not limits or image.owner is None:
        return None
    used = usage(session, image.owner)
    own = {SIZE: 0, STAGED: image.size or 0}  # it is staged already
    return min((limit - used[name]) * MIB + own[name] for name, limit in limits.items())


def enforce(session: Session, cloud: Cloud, project_id: str | None, deltas: dict[str, int]) -> None:
    """Raises TooLarge when what is wanted (`deltas`, by resource) goes beyond a limit."""
    limits = {name: limit for name, limit in of(session, cloud, project_id).items() if name in deltas}
    if not limits or project_id is None:
        return
    used = usage(session, project_id)
    over = [
        f"Resource {name} is over limit of {limit} due to current usage {used[name]} and delta {deltas[name]}"
        for name, limit in limits.items()
        if limit >= 0 and used[name] + deltas[name] > limit
    ]
    if over:
        raise TooLarge(
            "The request returned a 413 Request Entity Too Large. This generally means that rate limiting or a quota "
            "threshold was breached.\n\nThe response body:\n"
            f"Project {project_id} is over a limit for [{', '.join(over)}]"
        )
