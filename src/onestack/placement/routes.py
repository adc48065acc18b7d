"""The routes of Placement: https://docs.openstack.org/api-ref/placement/."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from email.utils import format_datetime
from functools import wraps
from typing import Any

import msgspec

from onestack.core.http import Request, Response
from onestack.core.routes import Route
from onestack.placement.api import allocations, candidates, inventories, names, providers, reshaper, root, usages

P = "/resource_providers/{uuid}"
RP = "placement:resource_providers:"
RC = "placement:resource_classes:"
TR = "placement:traits:"
AL = "placement:allocations:"

_ROUTES = [
    Route("GET", "/", root.home, public=True),
    Route("GET", "/resource_providers", providers.index, RP + "list"),
    Route("POST", "/resource_providers", providers.create, RP + "create", Any, 201),
    Route("GET", P, providers.show, RP + "show"),
    Route("PUT", P, providers.update, RP + "update", Any),
    Route("DELETE", P, providers.delete, RP + "delete", status=204),
    Route("GET", P + "/inventories", inventories.index, RP + "inventories:list"),
    Route("POST", P + "/inventories", inventories.create, RP + "inventories:create", Any, 201),
    Route("PUT", P + "/inventories", inventories.replace_all, RP + "inventories:update", Any),
    Route("DELETE", P + "/inventories", inventories.delete_all, RP + "inventories:delete", status=204, since=(1, 5)),
    Route("DELETE", P + "/inventories", inventories.not_yet, RP + "inventories:delete", until=(1, 4)),
    Route("GET", P + "/inventories/{resource_class}", inventories.show, RP + "inventories:show"),
    Route("PUT", P + "/inventories/{resource_class}", inventories.replace, RP + "inventories:update", Any),
    Route("DELETE", P + "/inventories/{resource_class}", inventories.delete, RP + "inventories:delete", status=204),
    Route("GET", P + "/usages", usages.show, RP + "usages"),
    Route("GET", P + "/allocations", allocations.of_provider, RP + "allocations:list"),
    Route("GET", P + "/aggregates", names.aggregates, RP + "aggregates:list", since=(1, 1)),
    Route("PUT", P + "/aggregates", names.set_aggregates, RP + "aggregates:update", Any, since=(1, 1)),
    Route("GET", P + "/traits", names.provider_traits, RP + "traits:list", since=(1, 6)),
    Route("PUT", P + "/traits", names.set_provider_traits, RP + "traits:update", Any, since=(1, 6)),
    Route("DELETE", P + "/traits", names.delete_provider_traits, RP + "traits:delete", status=204, since=(1, 6)),
    Route("GET", "/resource_classes", names.classes, RC + "list", since=(1, 2)),
    Route("POST", "/resource_classes", names.create_class, RC + "create", Any, 201, since=(1, 2)),
    Route("GET", "/resource_classes/{name}", names.show_class, RC + "show", since=(1, 2)),
    Route("PUT", "/resource_classes/{name}", names.rename_class, RC + "update", Any, since=(1, 2),
          until=(1, 6)),
    Route("PUT", "/resource_classes/{name}", names.ensure_class, RC + "update", since=(1, 7)),
    Route("DELETE", "/resource_classes/{name}", names.delete_class, RC + "delete", status=204, since=(1, 2)),
    Route("GET", "/traits", names.traits, TR + "list", since=(1, 6)),
    Route("GET", "/traits/{name}", names.show_trait, TR + "show", status=204, since=(1, 6)),
    Route("PUT", "/traits/{name}", names.ensure_trait, TR + "update", since=(1, 6)),
    Route("DELETE", "/traits/{name}", names.delete_trait, TR + "delete", status=204, since=(1, 6)),
    Route("GET", "/usages", usages.total, "placement:usages", since=(1, 9), target="object"),
    Route("GET", "/allocations/{consumer_uuid}", allocations.show, AL + "list"),
    Route("PUT", "/allocations/{consumer_uuid}", allocations.replace, AL + "update", Any, 204),
    Route("DELETE", "/allocations/{consumer_uuid}", allocations.delete, AL + "delete", status=204),
    Route("POST", "/allocations", allocations.replace_many, AL + "manage", Any, 204, since=(1, 13)),
    Route("GET", "/allocation_candidates", candidates.index, "placement:allocation_candidates:list", since=(1, 10)),
    Route("POST", "/reshaper", reshaper.reshape, "placement:reshaper:reshape", Any, 204, since=(1, 30)),
]  # fmt: skip

# Besides what is read: changes that are answered with what has become of it.
_ANSWERED = (
    providers.create, providers.update, inventories.create, inventories.replace, inventories.replace_all,
    names.set_aggregates, names.set_provider_traits, names.ensure_trait,
)  # fmt: skip


def _dated(handler: Callable[..., Any]) -> Callable[..., Any]:
    """From 1.15 an answer says that it is of now, and not to be kept."""

    @wraps(handler)
    def answer(req: Request, **params: Any) -> Any:
        result = handler(req, **params)
        if req.version < (1, 15):
            return result
        response = result if isinstance(result, Response) else Response(result)
        now = format_datetime(req.cloud.clock.now().replace(tzinfo=datetime.UTC), usegmt=True)
        response.headers |= {"Last-Modified": now, "Cache-Control": "no-cache"}
        return response

    return answer


ROUTES = [
    msgspec.structs.replace(route, handler=_dated(route.handler))
    if route.method == "GET" or route.handler in _ANSWERED
    else route
    for route in _ROUTES
]
