"""Images of servers: what they say of themselves, and how their data arrives. Source: the compute API reference,
"Create Image" and "Create Server Back Up".

The image is there from the request on, and belongs to the operation until that has ended: `args` of it are

    image_id    the image
    delivered   its data is complete (set in the transaction that makes the image active)
    rotation    of a backup: how many of its type are kept

Every function works in the caller's transaction.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from onestack.compute import state
from onestack.compute.models import Server
from onestack.core import operations
from onestack.core.cloud import Cloud
from onestack.core.errors import Conflict
from onestack.core.operations import Operation
from onestack.image import public_snapshots as image
from onestack.image.public import BootImage
from onestack.wire import SNAPSHOTS, ImageOffer

# Those of the base image that mean nothing in another one, by Nova's lists (non_inheritable_image_properties is its
# option for the first two).
_NOT_INHERITED = frozenset(
    ("cache_in_nova", "bittorrent", "cinder_encryption_key_id", "cinder_encryption_key_deletion_policy",
     "img_signature", "img_signature_hash_method", "img_signature_key_type", "img_signature_certificate_uuid",
     "mappings", "block_device_mapping", "img_mappings", "img_block_device_mapping")
)  # fmt: skip
_INTERNAL = "os_glance"
_OF_IMAGE = ("min_ram", "min_disk", "disk_format", "container_format")  # in system_metadata, and no properties


def remembered(boot: BootImage, base: str) -> dict[str, Any]:
    """What a server keeps of the image that it is made from, in its system_metadata."""
    return {"base_image_ref": base, **{name: getattr(boot, name) for name in _OF_IMAGE}}


def described(
    server: Server, action: str, name: str, own: dict[str, Any], *, project_id: str | None
) -> image.NewSnapshot:  # fmt: skip
    """The image of a server that a caller of `project_id` makes; `own` are properties that stand over the inherited.

    A backup has its base's formats until its data is there, a snapshot none: Nova's two ways.
    """
    base: dict[str, str] = (server.image or {}).get("properties", {})
    known = {"base_image_ref": server.image_id or "", **server.system_metadata}
    properties = {
        key: value
        for key, value in {**base, **known, "instance_uuid": server.id}.items()
        if key not in _NOT_INHERITED and not key.startswith(_INTERNAL) and key not in _OF_IMAGE
    }
    return image.NewSnapshot(
        name=name, properties={**properties, **own},
        min_disk=max(server.system_metadata.get("min_disk", 0), server.disk),
        min_ram=server.system_metadata.get("min_ram", 0),
        disk_format=known.get("disk_format") if action == "createBackup" else None,
        container_format=known.get("container_format") if action == "createBackup" else None,
        shared_with=server.project_id if server.project_id != project_id else None,
    )  # fmt: skip


def taken(operation: Operation) -> None:
    """The host has begun."""
    if operation.stage == state.STAGES["createImage"][0]:
        operation.stage = "image_snapshot"


def offered(session: Session, cloud: Cloud, operation: Operation, server: Server, offer: ImageOffer) -> bool:
    """Whether the host shall copy the disk or (when it names a size) send the copy. Raises Conflict, TooLarge."""
    image_id = operation.args["image_id"]
    if operation.args.get("delivered"):
        return False
    if offer.size is None:
        wanted = image.exists(session, image_id)
        operation.stage = "image_pending_upload"
    else:
        wanted = image.announce(
            session, cloud, image_id, disk_format=offer.disk_format, size=offer.size, properties=_at_upload(server)
        )
        operation.stage = "image_uploading"
    operation.updated_at = cloud.clock.now()
    if not wanted:
        operations.record(
            session, cloud, operation.id, "image_deleted", finished_at=cloud.clock.now(), result="Success",
            host=operation.host, message="The image was deleted while it was being made, which ended the snapshot.",
        )  # fmt: skip
    return wanted


def _at_upload(server: Server) -> dict[str, str]:
    """What Nova adds when the data is there."""
    return {"image_location": "snapshot", "image_state": "available", "owner_id": server.project_id}


def delivered(session: Session, operation_id: str) -> None:
    """The image becomes active in this transaction. Raises Conflict when nobody waits for it any more."""
    operation = session.get(Operation, operation_id, with_for_update=True)
    if operation is None or operation.finished_at is not None or operation.args.get("delivered"):
        raise Conflict("The snapshot has ended meanwhile.")
    operation.args = {**operation.args, "delivered": True}


def ended(session: Session, cloud: Cloud, operation: Operation) -> None:
    """An operation is finished, however: an image that got no data goes, backups are rotated."""
    if operation.action not in SNAPSHOTS:
        return
    args = operation.args
    if not args.get("delivered"):
        image.abandon(session, cloud, args["image_id"])
    elif operation.action == "createBackup" and operation.state == operations.DONE:
        kept = {
            "image_type": "backup", "backup_type": args["backup_type"], "instance_uuid": operation.object_id,
        }  # fmt: skip
        image.rotate(session, cloud, operation.project_id or "", kept, args["rotation"])
