"""The life of an object in a store, so that a crash at any point leaves the object of an image or nothing.

A row says `writing` before the first byte goes to the store, `active` (or `converted`, for what servers are made from)
in the transaction that makes the object the image's, `pending_delete` in the one that gives it up; the object is then
deleted, and the row goes last. So what isn't wanted any more is always known, and deleting is tried until it worked.
"""

from __future__ import annotations

import contextlib
import datetime
import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core import operations
from onestack.core.cloud import Cloud
from onestack.core.db import on_commit
from onestack.core.errors import Unavailable
from onestack.image import expiry
from onestack.image.drivers.base import Store, StoreError
from onestack.image.models_stores import ACTIVE, CONVERTED, DOOMED, WRITING, ImageLocation
from onestack.image.stores import stores

log = logging.getLogger(__name__)

_TOPIC = "image-objects"
_RETRY_SECONDS = 30.0
_LEASE = datetime.timedelta(minutes=10)  # many rounds of the collector, which renews it


def put(cloud: Cloud, image_id: str, store: Store, source: Path, *, beside: bool = False) -> int:
    """The file becomes an object that isn't yet anybody's; the id of its row. `beside`: the image's own name is left
    to its data. Raises StoreError."""
    with cloud.db.write() as session:
        key = store.key_for(image_id)
        taken = sa.select(ImageLocation.id).where(ImageLocation.store == store.name, ImageLocation.object_key == key)
        if beside or session.execute(taken).first() is not None:
            key = f"{key}-{cloud.ids.uuid()[:8]}"  # the old object may still be on its way out
        row = ImageLocation(
            image_id=image_id, store=store.name, object_key=key, status=WRITING, location_metadata={},
            writer=operations.this_process(), created_at=cloud.clock.now(), lease_until=cloud.clock.now() + _LEASE,
        )  # fmt: skip
        session.add(row)
        session.flush()
        location_id = row.id
    try:
        store.put(key, source)
    except BaseException:
        doom(cloud, [location_id])
        raise
    return location_id


def take(session: Session, image_id: str, location_id: int) -> None:
    """The object is the image's from this transaction on. Raises Unavailable when it was given up meanwhile."""
    last = session.scalar(
        sa.select(sa.func.max(ImageLocation.position)).where(
            ImageLocation.image_id == image_id, ImageLocation.status == ACTIVE
        )
    )
    row = _written(session, location_id)
    row.status, row.writer, row.lease_until = ACTIVE, None, None
    row.position = 0 if last is None else last + 1


def take_converted(session: Session, cloud: Cloud, image_id: str, location_id: int) -> None:
    """The image's servers are made from the object, from this transaction on. Raises as `take`."""
    row = _written(session, location_id)
    give_up(session, cloud, converted(session, image_id))
    row.status, row.writer, row.lease_until = CONVERTED, None, None


def _written(session: Session, location_id: int) -> ImageLocation:
    row = session.get(ImageLocation, location_id, with_for_update=True)
    if row is None or row.status != WRITING:
        raise Unavailable("The server was halted for too long while it stored the data. Send them again.")
    return row


def give_up(session: Session, cloud: Cloud, locations: Sequence[ImageLocation]) -> None:
    """The objects are nobody's from this transaction on, and go soon after."""
    for row in locations:
        row.status, row.writer, row.lease_until = DOOMED, None, None
    ids = [row.id for row in locations]
    on_commit(session, lambda: _remove(cloud, ids))


def doom(cloud: Cloud, ids: Sequence[int]) -> None:
    with cloud.db.write() as session:
        rows = session.scalars(sa.select(ImageLocation).where(ImageLocation.id.in_(ids))).all()
        give_up(session, cloud, rows)


def of_image(session: Session, image_id: str) -> list[ImageLocation]:
    query = sa.select(ImageLocation).where(ImageLocation.image_id == image_id, ImageLocation.status == ACTIVE)
    return list(session.scalars(query.order_by(ImageLocation.position, ImageLocation.id)))


def converted(session: Session, image_id: str) -> list[ImageLocation]:
    """What the image was converted to: none or one."""
    query = sa.select(ImageLocation).where(ImageLocation.image_id == image_id, ImageLocation.status == CONVERTED)
    return list(session.scalars(query))


def all_of(session: Session, image_id: str) -> list[ImageLocation]:
    """Everything that is the image's."""
    return [*of_image(session, image_id), *converted(session, image_id)]


def _remove(cloud: Cloud, ids: Sequence[int]) -> None:
    """What is a file goes at once; the rest is the collector's."""
    with cloud.db.read() as session:
        rows = session.scalars(sa.select(ImageLocation).where(ImageLocation.id.in_(ids))).all()
    for row in rows:
        store = stores(cloud).find(row.store)
        if store is not None and store.local(row.object_key) is not None:
            _remove_one(cloud, row)
    cloud.wakeups.notify(_TOPIC)


def _remove_one(cloud: Cloud, row: ImageLocation) -> None:
    store = stores(cloud).find(row.store)
    if store is None:
        return  # it was taken from the settings; should it come back, the object is still owed
    with contextlib.suppress(ValueError):
        store.delete(row.object_key)
    with cloud.db.write() as session:
        session.execute(sa.delete(ImageLocation).where(ImageLocation.id == row.id, ImageLocation.status == DOOMED))


def collect(cloud: Cloud) -> int:
    """Delete what is owed; how many objects that was."""
    with cloud.db.read() as session:
        rows = session.scalars(sa.select(ImageLocation).where(ImageLocation.status == DOOMED).limit(1000)).all()
    done = 0
    for row in rows:
        try:
            _remove_one(cloud, row)
            done += 1
        except StoreError as error:
            log.warning("object %s of store %s can't be deleted yet: %s", row.object_key, row.store, error)
    return done


def recover(cloud: Cloud) -> None:
    """What this process writes is kept; what dead ones wrote, on this machine or one that is gone, is doomed."""
    query = sa.select(ImageLocation).where(ImageLocation.status == WRITING)
    with cloud.db.read() as session:
        if session.execute(query.limit(1)).first() is None:
            return
    now, this = cloud.clock.now(), operations.this_process()
    with cloud.db.write() as session:
        for row in session.scalars(query.with_for_update()):
            if row.writer == this:
                row.lease_until = now + _LEASE
            elif operations.is_dead(row.writer or "") or (row.lease_until or now) < now:
                row.status, row.writer, row.lease_until = DOOMED, None, None


class Collector:
    """The thread that deletes what is owed, and what is over."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="image-objects", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self.cloud.wakeups.notify(_TOPIC)
        self._thread.join(timeout=10)

    def _loop(self) -> None:
        for one in stores(self.cloud):
            try:
                one.check()
            except StoreError as error:
                log.error("the image store %s can't be used now: %s", one.name, error)
        while not self._stop.is_set():
            seen = self.cloud.wakeups.seen(_TOPIC)
            try:
                recover(self.cloud)
                collect(self.cloud)
                expiry.expire(self.cloud)
            except Exception:
                log.exception("the collector of image objects stumbled; it goes on")
            self.cloud.wakeups.wait(_TOPIC, seen, _RETRY_SECONDS)
