"""From received bytes to an active image: inspect, convert where needed, rename, one transaction."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.errors import BadRequest, Conflict, Gone, NotFound, TooLarge, Unavailable, UnsupportedMedia
from onestack.image import convert, formats, inspection, objects, quotas, store
from onestack.image.drivers.base import Denied, Full, ReadOnly, StoreError
from onestack.image.models import Image
from onestack.image.store import Digest
from onestack.image.stores import stores

log = logging.getLogger(__name__)


class Inspected(NamedTuple):
    """What was found out about a file, and the file that servers are made from where that is another one."""

    disk_format: str
    container_format: str
    virtual_size: int | None
    boot_format: str | None
    boot_file: Path | None = None
    boot_size: int | None = None
    boot_hash_value: str | None = None


def require_formats(image: Image) -> None:
    """Raises BadRequest when data can't be accepted yet."""
    absent = [name for name in ("disk_format", "container_format") if not getattr(image, name)]
    if absent:
        noun = "Property" if len(absent) == 1 else "Properties"
        raise BadRequest(f"{noun} {', '.join(absent)} must be set prior to saving data.")


def require_status(image: Image, status: str, wanted: str) -> None:
    if image.status != status:
        raise Conflict(f"Image status transition from {image.status} to {wanted} is not allowed")


@contextmanager
def disk_errors() -> Iterator[None]:
    """A full disk in Glance's words."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise TooLarge(
                "Image storage media is full: There is not enough disk space on the image storage media."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            log.error("image data can't be written: %s", error)
            raise Unavailable(
                "Insufficient permissions on image storage media: Permission to write image storage media denied."
            ) from error
        raise


def inspect(cloud: Cloud, image_id: str, file: Path) -> Inspected:
    """Raises UnsupportedMedia for data that is refused, NotFound when the image is gone. May take long: it converts."""
    with cloud.db.read() as session:
        query = sa.select(Image.disk_format, Image.container_format).where(Image.id == image_id)
        row = session.execute(query).one_or_none()
    if row is None:
        raise NotFound(f"No image found with ID {image_id}")
    disk_format, container_format = row.disk_format or "", row.container_format or ""
    if container_format != "bare":
        return Inspected(disk_format, container_format, None, None)
    try:
        virtual_size = inspection.check(file, disk_format)
        if disk_format not in formats.CONVERTED:
            return Inspected(disk_format, container_format, virtual_size, formats.DIRECT.get(disk_format))
        target = file.with_name(file.name + ".boot")
        virtual_size = convert.to_qcow2(file, disk_format, virtual_size, target)
    except formats.Unsafe as error:
        raise UnsupportedMedia(str(error)) from None
    except convert.ConversionUnavailable as error:
        raise Unavailable(str(error)) from None
    return Inspected(
        disk_format, container_format, virtual_size, "qcow2", target, target.stat().st_size, store.hash_of(target)
    )


def activate(
    cloud: Cloud, image_id: str, file: Path, digest: Digest, from_status: str, store_name: str,
    first: Callable[[Session], None] | None = None,
) -> None:  # fmt: skip
    """`file` becomes the image's data, in one store. Raises a Fault, and leaves the image as it was, when it can't.

    `first` is called at the beginning of the transaction that makes it so.
    """
    found: Inspected | None = None
    objects_put: list[int] = []
    try:
        with disk_errors():
            found = inspect(cloud, image_id, file)
            objects_put.append(put(cloud, image_id, store_name, file))
            converted = put_converted(cloud, image_id, found)
            objects_put += [] if converted is None else [converted]
            with cloud.db.write() as session:
                if first is not None:
                    first(session)
                image = locked(session, image_id)
                require_status(image, from_status, "active")
                objects.give_up(session, cloud, objects.all_of(session, image.id))
                quotas.check_storage(cloud, session, image, digest.size)
                adopt(cloud, session, image, found, digest, converted)
                objects.take(session, image_id, objects_put[0])
            objects_put = []
    except NotFound:
        raise Gone(
            f"Image {image_id} could not be found after upload. The image may have been deleted during the upload, "
            "cleaning up the chunks uploaded."
        ) from None
    finally:
        if objects_put:
            objects.doom(cloud, objects_put)
        if found is not None and found.boot_file is not None:
            found.boot_file.unlink(missing_ok=True)


def put(cloud: Cloud, image_id: str, store_name: str, file: Path, *, beside: bool = False) -> int:
    """The file as an object of a store, not yet the image's; `beside` its data. Raises a Fault in Glance's words."""
    one = stores(cloud).find(store_name)
    if one is None:
        raise BadRequest(f"Store for identifier {store_name} not found")
    try:
        return objects.put(cloud, image_id, one, file, beside=beside)
    except Full as error:
        raise TooLarge(f"Image storage media is full: {error}") from error
    except Denied as error:
        log.error("store %s: %s", store_name, error)
        raise Unavailable(f"Insufficient permissions on image storage media: {error}") from error
    except ReadOnly as error:
        raise Gone(str(error)) from error
    except StoreError as error:
        log.error("store %s: %s", store_name, error)
        raise Unavailable(f"The store {store_name} can't take the image now: {error}") from error


def put_converted(cloud: Cloud, image_id: str, found: Inspected) -> int | None:
    """What the image was converted to as an object of the default store, whichever store has the image: every node
    reads it there. None when it wasn't converted. Raises as `put`."""
    if found.boot_file is None:
        return None
    return put(cloud, image_id, stores(cloud).default.name, found.boot_file, beside=True)


def adopt(
    cloud: Cloud, session: Session, image: Image, found: Inspected, digest: Digest, converted: int | None
) -> None:
    """The image is active with this data; `converted`: of `put_converted`, where that isn't the image's already.
    Raises Conflict when its formats are others than those inspected."""
    if (image.disk_format, image.container_format) != (found.disk_format, found.container_format):
        raise Conflict("The formats of the image were changed while its data was received.")
    _become_active(cloud, image, found, digest)
    if converted is not None:
        objects.take_converted(session, cloud, image.id, converted)


def locked(session: Session, image_id: str) -> Image:
    image = session.scalars(sa.select(Image).where(Image.id == image_id).with_for_update()).one_or_none()
    if image is None:
        raise NotFound(f"No image found with ID {image_id}")
    return image


def _become_active(cloud: Cloud, image: Image, found: Inspected, digest: Digest) -> None:
    image.status = "active"
    image.size = digest.size
    image.checksum = digest.checksum
    image.os_hash_algo = store.ALGORITHM
    image.os_hash_value = digest.os_hash_value
    image.virtual_size = found.virtual_size
    image.boot_format = found.boot_format
    image.boot_size = found.boot_size
    image.boot_hash_value = found.boot_hash_value
    image.staged = image.staged_on = None
    image.updated_at = cloud.clock.now()


def stage(cloud: Cloud, image_id: str, file: Path, digest: Digest, _store_name: str) -> None:
    """`file` waits for the import of the image."""
    with disk_errors(), cloud.db.write() as session:
        image = locked(session, image_id)
        require_status(image, "queued", "uploading")
        quotas.check_storage(cloud, session, image, digest.size)
        image.status = "uploading"
        image.size = digest.size
        image.staged = {"size": digest.size, "checksum": digest.checksum, "os_hash_value": digest.os_hash_value}
        image.staged_on = cloud.node
        image.updated_at = cloud.clock.now()
        store.move(file, store.staged_path(cloud, image_id))


Finish = Callable[[Cloud, str, Path, Digest, str], None]


def upload(cloud: Cloud, image_id: str, file: Path, digest: Digest, store_name: str) -> None:
    activate(cloud, image_id, file, digest, "queued", store_name)
