"""Flavors: finding them, who may see them, and those that a new cloud starts with."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute.models import Flavor, FlavorAccess
from onestack.core.cloud import Cloud
from onestack.core.context import Context

# id, name, vCPUs, MiB of memory, GiB of root disk: the sizes that DevStack and Tempest know.
DEFAULTS = (
    ("42", "m1.nano", 1, 128, 1),
    ("84", "m1.micro", 1, 192, 1),
    ("1", "m1.tiny", 1, 512, 1),
    ("2", "m1.small", 1, 2048, 20),
    ("3", "m1.medium", 2, 4096, 40),
    ("4", "m1.large", 4, 8192, 80),
    ("5", "m1.xlarge", 8, 16384, 160),
)


def ensure_defaults(session: Session, cloud: Cloud) -> None:
    """The default flavors, in a cloud that has none yet: what an operator deleted stays deleted."""
    if session.execute(sa.select(Flavor.id).limit(1)).first() is not None:
        return
    now = cloud.clock.now()
    for identifier, name, vcpus, ram, disk in DEFAULTS:
        session.add(
            Flavor(
                id=identifier,
                name=name,
                vcpus=vcpus,
                ram=ram,
                disk=disk,
                extra_specs={"hw_rng:allowed": "True"},
                created_at=now,
            )
        )


def visible(ctx: Context) -> sa.ColumnElement[bool]:
    """The flavors that the caller may use: public ones, and those that their project was given."""
    if ctx.is_admin:
        return sa.true()
    given = sa.select(FlavorAccess.flavor_id).where(FlavorAccess.project_id == (ctx.project_id or ""))
    return sa.or_(Flavor.is_public.is_(True), Flavor.id.in_(given))


_FLAVOR = sa.select(Flavor).where(Flavor.id == sa.bindparam("id"))


def find(session: Session, ctx: Context, flavor_id: str) -> Flavor | None:
    if ctx.is_admin:
        return session.scalars(_FLAVOR, {"id": flavor_id}).first()
    return session.scalars(_FLAVOR.where(visible(ctx)), {"id": flavor_id}).first()
