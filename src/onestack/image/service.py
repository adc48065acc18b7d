"""Image as a service."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from onestack.core.cloud import Cloud
from onestack.core.http import Service
from onestack.core.operations import Runner
from onestack.image import cache, imports, location_import
from onestack.image.api.data import GONE
from onestack.image.dialect import ImageDialect
from onestack.image.objects import Collector
from onestack.image.policies import POLICIES
from onestack.image.routes import ROUTES
from onestack.image.store import Sweeper


class ImageService(Service):
    """Remembers when a client goes away in the middle of its upload: a chunked body has no length that would tell."""

    def app(self, pool: ThreadPoolExecutor) -> Any:
        inner = super().app(pool)

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http" or scope["method"] != "PUT":
                await inner(scope, receive, send)
                return

            async def noticing() -> Any:
                event = await receive()
                if event["type"] == "http.disconnect":
                    scope[GONE] = True
                return event

            await inner(scope, noticing, send)

        return watched


def _rewrite(path: str) -> str:
    """`/v2/images/` is the image with the empty id, not the list."""
    return "/v2/images//" if path == "/v2/images/" else path


def build(cloud: Cloud) -> dict[str, ImageService]:
    cloud.runners[("image", "import")] = Runner(imports.run, imports.failed)
    cloud.runners[("image", "location")] = Runner(location_import.run, location_import.failed)
    cloud.runners[("image_cache", "cache")] = Runner(cache.run, cache.failed)
    cloud.workers += [Sweeper(cloud), Collector(cloud)]
    return {"image": ImageService(cloud, "image", ImageDialect(), ROUTES, POLICIES, rewrite=_rewrite)}
