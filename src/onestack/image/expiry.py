"""Tasks that ended go when their time is over (Glance's task_time_to_live)."""

from __future__ import annotations

import sqlalchemy as sa

from onestack.core.cloud import Cloud
from onestack.image.models import ImageTask


def expire(cloud: Cloud) -> None:
    over = ImageTask.expires_at <= cloud.clock.now()
    with cloud.db.read() as session:
        if session.execute(sa.select(ImageTask.id).where(over).limit(1)).first() is None:
            return
    with cloud.db.write() as session:
        session.execute(sa.delete(ImageTask).where(over))
