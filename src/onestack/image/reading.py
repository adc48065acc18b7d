"""Reading the data of an image from wherever it is: the cache, a local file, another store, in the order of weights."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.errors import NotFound, Unavailable
from onestack.image import objects, store
from onestack.image.drivers.base import Missing, StoreError, blocks, span
from onestack.image.models import Image
from onestack.image.models_stores import CachedImage
from onestack.image.stores import stores

log = logging.getLogger(__name__)


class Source(NamedTuple):
    """Everything that is needed to read, without the database: files to try first, then (store, key)."""

    image_id: str
    size: int
    files: list[Path]
    objects: list[tuple[str, str]]

    def open(self, cloud: Cloud, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        """The bytes from `first` to `last` (inclusive). Blocks. Raises NotFound, Unavailable."""
        for file in self.files:
            try:
                handle = file.open("rb")
            except FileNotFoundError:
                continue
            handle.seek(first)
            return blocks(handle, span(first, last, self.size))
        failure: StoreError | None = None
        for name, key in self.objects:
            one = stores(cloud).find(name)
            if one is None:
                continue
            try:
                return one.get(key, first, last)
            except Missing:
                log.error("image %s is not in store %s", self.image_id, name)
            except StoreError as error:
                log.error("image %s can't be read from store %s: %s", self.image_id, name, error)
                failure = error
        if failure is not None:
            raise Unavailable(f"The data of image {self.image_id} can't be read now: {failure}")
        raise NotFound(f"The data of image {self.image_id} is gone.")


def source(cloud: Cloud, session: Session, image: Image, *, prefer: list[str] | None = None) -> Source:
    """What the image's data can be read from; the stores `prefer` come first."""
    rows = objects.of_image(session, image.id)
    known = stores(cloud)

    def order(name: str) -> tuple[bool, int]:
        one = known.find(name)
        return name not in (prefer or []), -one.settings.weight if one is not None else 0

    rows.sort(key=lambda row: order(row.store))
    cached = session.get(CachedImage, (cloud.node, image.id))
    files = [store.cache_path(cloud, image.id)] if cached is not None and cached.state == "cached" else []
    return Source(image.id, image.size or 0, files, [(row.store, row.object_key) for row in rows])


def boot_source(cloud: Cloud, session: Session, image_id: str) -> Source:
    """The raw or qcow2 data that servers are made from. Raises NotFound when the image has none."""
    query = sa.select(Image).where(Image.id == image_id, Image.status.in_(("active", "deactivated")))
    image = session.scalars(query).one_or_none()
    if image is None or image.boot_format is None:
        raise NotFound(f"No image found with ID {image_id}")
    if image.boot_size is not None:
        rows = objects.converted(session, image_id)
        # The states of older versions have it beside the stores.
        beside = [] if rows else [store.boot_path(cloud, image_id)]
        return Source(image_id, image.boot_size, beside, [(row.store, row.object_key) for row in rows])
    return source(cloud, session, image)
