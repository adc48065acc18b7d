"""Tags, one at a time."""

from __future__ import annotations

import sqlalchemy as sa

from onestack.core.errors import NotFound, TooLarge
from onestack.core.http import Request
from onestack.image import access, quotas, schema
from onestack.image.models import ImageTag


def add(req: Request, image_id: str, tag: str) -> None:
    schema.validate({"tags": [tag]}, req.cloud.settings.image)
    with req.cloud.db.write() as session:
        image = access.load_named(req, session, image_id)
        tags = set(session.scalars(sa.select(ImageTag.tag).where(ImageTag.image_id == image.id)))
        if tag in tags:
            return
        words = quotas.exceeded(req.cloud, "tag", len(tags) + 1)
        if words is not None:
            raise TooLarge(f"Image tag limit exceeded for image {image.id}: {words}:")
        session.add(ImageTag(image_id=image.id, tag=tag))
        image.updated_at = req.cloud.clock.now()


def delete(req: Request, image_id: str, tag: str) -> None:
    with req.cloud.db.write() as session:
        image = access.load_named(req, session, image_id)
        row = session.get(ImageTag, (image.id, tag))
        if row is None:
            raise NotFound("The resource could not be found.")
        session.delete(row)
        image.updated_at = req.cloud.clock.now()
