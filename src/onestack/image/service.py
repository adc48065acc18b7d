"""Image as a service."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.http import Service
from onestack.core.operations import Runner
from onestack.core.policy import Policy, Target
from onestack.image import cache, imports, location_import, plugins, protections, task_import
from onestack.image.api.data import GONE
from onestack.image.api.info import MINORS
from onestack.image.dialect import ImageDialect
from onestack.image.objects import Collector
from onestack.image.policies import POLICIES
from onestack.image.routes import ROUTES
from onestack.image.routes_v1 import REGISTRY_ROUTES
from onestack.image.stores import check_modules
from onestack.image.sweep import Sweeper


class ProjectPolicy(Policy):
    """Glance's rules are for tokens of a project: one of the system or of a domain is refused, whatever its roles."""

    def allows(self, rule: str, context: Context, target: Target) -> bool:
        return context.scope not in ("system", "domain") and super().allows(rule, context, target)


class ImageService(Service):
    """Remembers when a client goes away in the middle of its upload: a chunked body has no length that would tell."""

    policy_type = ProjectPolicy

    def app(self, pool: ThreadPoolExecutor) -> Any:
        inner = super().app(pool)

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                _versioned(scope)
            if scope["type"] != "http" or scope["method"] not in ("PUT", "POST"):
                await inner(scope, receive, send)
                return

            async def noticing() -> Any:
                event = await receive()
                if event["type"] == "http.disconnect":
                    scope[GONE] = True
                return event

            await inner(scope, noticing, send)

        return watched


_MEDIA = b"application/vnd.openstack.images-"


def _versioned(scope: Any) -> None:
    """A client may name the version in its Accept header; then the path has none."""
    scope["headers"] = [tuple(pair) for pair in scope["headers"]]  # ASGI lets them be what can be read only once
    for name, value in scope["headers"]:
        if name == b"accept" and value.startswith(_MEDIA) and scope["path"] != "/versions":
            scope["path"] = f"/{value[len(_MEDIA) :].decode('latin-1')}{scope['path']}"
            return


_MINOR = re.compile(rf"^/v(1\.[01]|2\.(?:{'|'.join(map(str, MINORS))}))(?=/|$)")


def _rewrite(path: str) -> str:
    """A minor version in the path is as good as none. `/v2/images/` is the image with the empty id, not the list."""
    path = _MINOR.sub(lambda match: f"/v{match[1][0]}", path)
    return path + "/" if path in ("/v1/images/", "/v2/images/") else path


def _negotiate(path: str) -> str:
    """A path that begins with no version that we have leads to the choice of versions."""
    path = _rewrite(path)
    first = path.split("/", 2)[1:2]
    if first == ["versions"]:
        return "/versions"
    return path if first in (["v1"], ["v2"]) else "/"


def build(cloud: Cloud) -> dict[str, ImageService]:
    check_modules(cloud.settings)
    plugins.check(cloud.settings)
    cloud.runners[("image", "import")] = Runner(imports.run, imports.failed)
    cloud.runners[("image", "task")] = Runner(task_import.run, task_import.failed)
    cloud.runners[("image", "location")] = Runner(location_import.run, location_import.failed)
    cloud.runners[("image_cache", "cache")] = Runner(cache.run, cache.failed)
    cloud.workers += [Sweeper(cloud), Collector(cloud)]
    registry = [route for route in ROUTES if route.path not in ("/", "/versions")] + REGISTRY_ROUTES
    image = ImageService(cloud, "image", ImageDialect(), ROUTES, POLICIES, rewrite=_negotiate)
    protections.install(cloud, image.policy)
    return {
        "image": image,
        "image-registry": ImageService(cloud, "image", ImageDialect(), registry, POLICIES, rewrite=_rewrite),
    }
