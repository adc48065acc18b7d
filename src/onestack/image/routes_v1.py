"""The routes of Image API v1, and of the registry: https://docs.openstack.org/api-ref/image/v1/."""

from __future__ import annotations

from onestack.core.routes import Route
from onestack.image.api import registry
from onestack.image.api import v1_images as images
from onestack.image.api import v1_members as members

_ONE, _MEMBERS = "/images/{image_id}", "/images/{image_id}/members"


def _members(prefix: str) -> list[Route]:
    one = prefix + _MEMBERS + "/{member_id}"
    return [
        Route("GET", prefix + _MEMBERS, members.index, "get_image", target="object"),
        Route("PUT", prefix + _MEMBERS, members.replace, "add_member", dict, 204, target="object"),
        Route("PUT", one, members.put, "add_member", status=204, target="object", stream=True),
        Route("DELETE", one, members.delete, "delete_member", status=204, target="object"),
        Route("GET", prefix + "/shared-images/{member_id}", members.shared_images, "get_images"),
    ]  # fmt: skip


V1_ROUTES = [
    Route("GET", "/v1", images.index, "get_images"),
    Route("GET", "/v1/images", images.index, "get_images"),
    Route("POST", "/v1/images", images.create, "add_image", status=201, target="object", stream=True),
    Route("GET", "/v1/images/detail", images.detail, "get_images"),
    Route("HEAD", "/v1/images/detail", images.head_detail, "get_images"),
    Route("HEAD", "/v1" + _ONE, images.meta, "get_image", target="object"),
    Route("GET", "/v1" + _ONE, images.show, "download_image", target="object", stream=True),
    Route("PUT", "/v1" + _ONE, images.update, "modify_image", target="object", stream=True),
    Route("DELETE", "/v1" + _ONE, images.delete, "delete_image", target="object"),
    *_members("/v1"),
]

REGISTRY_ROUTES = [
    Route("GET", "/", images.index, "get_images"),
    Route("GET", "/images", images.index, "get_images"),
    Route("GET", "/images/detail", registry.detail, "get_images"),
    Route("POST", "/images", registry.create, "add_image", dict, target="object"),
    Route("GET", _ONE, registry.show, "get_image", target="object"),
    Route("PUT", _ONE, registry.update, "modify_image", dict, target="object"),
    Route("DELETE", _ONE, registry.delete, "delete_image", target="object"),
    *_members(""),
]
