"""An image goes: its rows in the caller's transaction, its bytes after it, those on other nodes soon after that."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.db import on_commit
from onestack.image import cache, imports, objects, store, sweep
from onestack.image.models import Image, ImageMember, ImageProperty, ImageTag


def forget(session: Session, cloud: Cloud, image: Image) -> None:
    """What is being imported into the image notices that it is gone. Tasks stay, until they expire."""
    nodes = cache.forget(session, cloud, image.id) | {image.staged_on}
    for table in (ImageProperty, ImageTag, ImageMember):
        session.execute(sa.delete(table).where(table.image_id == image.id))
    objects.give_up(session, cloud, objects.all_of(session, image.id))
    session.delete(image)
    imports.withdraw(session, cloud, image.id)
    # A crash before the files are gone leaves them to the sweep at the next start.
    on_commit(session, lambda: store.remove(cloud, image.id))
    if nodes - {None, cloud.node} or image.boot_size is not None:
        on_commit(session, lambda: cloud.wakeups.notify(sweep.TOPIC))
