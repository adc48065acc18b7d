"""Glance's rules about stores, locations, copies and the cache."""

from __future__ import annotations

_ADMIN = "rule:context_is_admin"
_MEMBER = "(role:member and project_id:%(project_id)s)"
_DOWNLOAD = (
    "role:member and (project_id:%(project_id)s or project_id:%(member_id)s or 'community':%(visibility)s "
    "or 'public':%(visibility)s or 'shared':%(visibility)s)"
)

POLICIES: dict[str, str] = {
    "download_from_store": f"{_ADMIN} or ({_DOWNLOAD})",
    "delete_image_location": _ADMIN,
    "get_image_location": f"{_ADMIN} or (role:reader and project_id:%(project_id)s)",
    "set_image_location": f"{_ADMIN} or {_MEMBER}",
    "add_image_location": "rule:service_api or (role:member and project_id:%(project_id)s and project_id:%(owner)s)",
    "fetch_image_location": "rule:service_api",
    "copy_image": _ADMIN,
    "manage_image_cache": _ADMIN,
    "cache_image": _ADMIN,
    "cache_list": _ADMIN,
    "cache_delete": _ADMIN,
    "cache_clean": _ADMIN,
    "cache_prune": _ADMIN,
    "list_cached_nodes": _ADMIN,
    "add_task": "rule:default",
    "modify_task": "rule:default",
}
