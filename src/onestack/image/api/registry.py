"""The registry: what API v1 knows of images, as JSON on a port of its own (9191).

Glance's API asked it once; some tools of operators still do. There is one database here, so it is a view of it, under
the same rules as API v1.
"""

from __future__ import annotations

from typing import Any

from onestack.core.errors import NotFound
from onestack.core.http import Request
from onestack.image import v1_meta
from onestack.image.api import images, v1_images


def show(req: Request, image_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        image = v1_images.find(req, session, image_id)
        return {"image": v1_meta.render(image, v1_images.properties_of(session, image.id))}


def delete(req: Request, image_id: str) -> dict[str, Any]:
    try:
        shown = show(req, image_id)
    except NotFound:
        raise NotFound("The resource could not be found.") from None
    images.delete(req, image_id)
    shown["image"] |= {"deleted": True, "status": "deleted"}
    return shown
