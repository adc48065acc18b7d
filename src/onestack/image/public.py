"""What other services call. Every function works in the caller's session."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.errors import Conflict
from onestack.image import access, metadef_sets, protections, reading, store
from onestack.image.models import ImageProperty
from onestack.wire import ImageSpec


class BootImage(msgspec.Struct, kw_only=True):
    """An active image that a server can be made from. Sizes in bytes, min_disk in GiB, min_ram in MiB.

    The boot_… fields are of the data that `boot_source` gives: the image itself, or what it was converted to.
    """

    id: str
    name: str | None
    owner: str | None
    status: str
    visibility: str
    protected: bool
    disk_format: str
    container_format: str
    size: int
    virtual_size: int
    min_disk: int
    min_ram: int
    os_hash_algo: str
    os_hash_value: str
    properties: dict[str, str]
    boot_format: str  # raw or qcow2
    boot_size: int
    boot_hash_value: str

    def spec(self) -> ImageSpec:
        """What the agent is told."""
        return ImageSpec(
            id=self.id, disk_format=self.boot_format, size=self.boot_size, virtual_size=self.virtual_size,
            os_hash_algo=self.os_hash_algo, os_hash_value=self.boot_hash_value, properties=self.properties,
        )  # fmt: skip


def boot_image(cloud: Cloud, session: Session, ctx: Context, image_id: str) -> BootImage:
    """With the properties that the caller may read. Raises NotFound when the caller can't see the image, Conflict when
    no server can be made from it."""
    image, _ = access.find(session, ctx, image_id)
    if image.status != "active":
        raise Conflict(f"Image {image.id} is not active.")
    if image.boot_format is None:
        raise Conflict(
            f"Image {image.id} is unacceptable: servers can't be made from disk format {image.disk_format} in "
            f"container format {image.container_format}."
        )
    query = sa.select(ImageProperty.name, ImageProperty.value).where(ImageProperty.image_id == image.id)
    properties = {row.name: row.value for row in session.execute(query)}
    protections.hide(cloud, ctx, [properties])
    size = image.size or 0
    return BootImage(
        id=image.id, name=image.name, owner=image.owner, status=image.status, visibility=image.visibility,
        protected=image.protected, disk_format=image.disk_format or "", container_format=image.container_format or "",
        size=size, virtual_size=image.virtual_size or size, min_disk=image.min_disk, min_ram=image.min_ram,
        os_hash_algo=image.os_hash_algo or store.ALGORITHM, os_hash_value=image.os_hash_value or "",
        properties=properties, boot_format=image.boot_format,
        boot_size=size if image.boot_size is None else image.boot_size,
        boot_hash_value=image.boot_hash_value or image.os_hash_value or "",
    )  # fmt: skip


def boot_source(cloud: Cloud, session: Session, image_id: str) -> reading.Source:
    """The raw or qcow2 data that servers are made from, in whatever store; it is read without the session. Raises
    NotFound when the image has none."""
    return reading.boot_source(cloud, session, image_id)


def bootstrap(session: Session, cloud: Cloud) -> None:
    """The metadata definitions that people expect of an image service."""
    metadef_sets.ensure(session, cloud.clock)
