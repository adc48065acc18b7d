"""The routes of stores, imports, tasks and the cache."""

from __future__ import annotations

from typing import Any

from onestack.core.routes import Route
from onestack.image.api import cache, locations, stores, tasks

I = "/v2/images/{image_id}"  # noqa: E741

ROUTES = [
    Route("GET", "/v2/info/stores", stores.index),
    Route("GET", "/v2/info/stores/detail", stores.detail, "stores_info_detail"),
    Route("DELETE", "/v2/stores/{store_id}/{image_id}", stores.delete, "delete_image_location", status=204,
          target="object"),
    Route("POST", I + "/import", stores.start_import, "modify_image", dict, 202, target="object"),
    Route("GET", I + "/tasks", tasks.of_image, "get_image", target="object"),
    Route("GET", I + "/locations", locations.index, "fetch_image_location", target="object"),
    Route("POST", I + "/locations", locations.add, "add_image_location", dict, 202, target="object"),
    Route("GET", "/v2/tasks", tasks.index, "tasks_api_access"),
    Route("POST", "/v2/tasks", tasks.create, "tasks_api_access", Any, 201),
    Route("GET", "/v2/tasks/{task_id}", tasks.show, "tasks_api_access"),
    Route("DELETE", "/v2/tasks/{task_id}", tasks.delete, "tasks_api_access"),
    Route("GET", "/v2/cache", cache.index, "cache_list"),
    Route("DELETE", "/v2/cache", cache.clear, "cache_delete", status=204),
    Route("POST", "/v2/cache/clean", cache.clean, "cache_clean"),
    Route("POST", "/v2/cache/prune", cache.prune, "cache_prune"),
    Route("GET", "/v2/cache/nodes/{image_id}", cache.nodes, "list_cached_nodes"),
    Route("PUT", "/v2/cache/{image_id}", cache.queue, "cache_image", status=202),
    Route("DELETE", "/v2/cache/{image_id}", cache.delete, "cache_delete", status=204),
]  # fmt: skip
