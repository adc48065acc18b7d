"""The routes of Image: https://docs.openstack.org/api-ref/image/v2/."""

from __future__ import annotations

from typing import Any

from onestack.core.routes import Route
from onestack.image import routes_stores
from onestack.image.api import data, images, info, members, tags
from onestack.image.routes_metadefs import METADEF_ROUTES
from onestack.image.routes_v1 import V1_ROUTES

I = "/v2/images/{image_id}"  # noqa: E741

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")  # what has no method of its own answers all alike
ROUTES = [
    *routes_stores.ROUTES,
    *(Route(method, "/", info.choices, public=True, status=300) for method in METHODS),
    *(Route(method, "/versions", info.versions, public=True) for method in METHODS),
    *(Route(method, "/v2", info.root, status=302) for method in METHODS),
    Route("GET", "/v2/schemas/{name}", info.show_schema),
    Route("GET", "/v2/info/import", info.import_info),
    Route("GET", "/v2/info/usage", info.usage),
    Route("GET", "/v2/images", images.index, "get_images"),
    Route("POST", "/v2/images", images.create, "add_image", dict, 201, target="object"),
    Route("GET", I, images.show, "get_image", target="object"),
    Route("PATCH", I, images.update, "modify_image", Any, target="object"),
    Route("DELETE", I, images.delete, "delete_image", status=204, target="object"),
    Route("GET", I + "/file", data.download, "download_image", target="object", stream=True),
    Route("PUT", I + "/file", data.upload, "upload_image", status=204, target="object", stream=True),
    Route("PUT", I + "/stage", data.stage, "modify_image", status=204, target="object", stream=True),
    Route("POST", I + "/actions/deactivate", data.deactivate, "deactivate", status=204, target="object"),
    Route("POST", I + "/actions/reactivate", data.reactivate, "reactivate", status=204, target="object"),
    Route("PUT", I + "/tags/{tag}", tags.add, "modify_image", status=204, target="object"),
    Route("DELETE", I + "/tags/{tag}", tags.delete, "modify_image", status=204, target="object"),
    Route("GET", I + "/members", members.index, "get_members", target="object"),
    Route("POST", I + "/members", members.create, "add_member", Any, target="object"),
    Route("GET", I + "/members/{member_id}", members.show, "get_member", target="object"),
    Route("PUT", I + "/members/{member_id}", members.update, "modify_member", Any, target="object"),
    Route("DELETE", I + "/members/{member_id}", members.delete, "delete_member", status=204, target="object"),
    *METADEF_ROUTES,
    *V1_ROUTES,
]
