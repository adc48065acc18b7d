"""Image as a service."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.http import Service
from onestack.core.operations import Runner
from onestack.core.policy import Policy, Target
from onestack.image import cache, front, imports, location_import, plugins, protections, task_import
from onestack.image.api.data import GONE
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
    has_front = False

    def app(self, pool: ThreadPoolExecutor) -> Any:
        inner = super().app(pool)

        async def watched(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                scope["headers"] = [tuple(pair) for pair in scope["headers"]]  # may be what can be read only once
                answer = front.answer(scope) if self.has_front else None
                if answer is not None:
                    await answer.send(send)
                    return
                front.versioned(scope)
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


class ApiService(ImageService):
    """With what Glance's pipeline has before the API, which the registry never had."""

    has_front = True


def build(cloud: Cloud) -> dict[str, ImageService]:
    check_modules(cloud.settings)
    plugins.check(cloud.settings)
    cloud.runners[("image", "import")] = Runner(imports.run, imports.failed)
    cloud.runners[("image", "task")] = Runner(task_import.run, task_import.failed)
    cloud.runners[("image", "location")] = Runner(location_import.run, location_import.failed)
    cloud.runners[("image_cache", "cache")] = Runner(cache.run, cache.failed)
    cloud.workers += [Sweeper(cloud), Collector(cloud)]
    registry = [route for route in ROUTES if route.path not in ("/", "/versions")] + REGISTRY_ROUTES
    image = ApiService(cloud, "image", ImageDialect(), ROUTES, POLICIES, rewrite=front.negotiate)
    protections.install(cloud, image.policy)
    return {
        "image": image,
        "image-registry": ImageService(cloud, "image", ImageDialect(), registry, POLICIES, rewrite=front.rewrite),
    }
