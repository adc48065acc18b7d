"""Glance's rules and their defaults."""

from __future__ import annotations

from onestack.image import policies_stores
from onestack.image.policies_metadefs import METADEF_POLICIES

_ADMIN = "rule:context_is_admin"
_MEMBER = "(role:member and project_id:%(project_id)s)"
_READER = "(role:reader and project_id:%(project_id)s)"
_SEES = (
    "project_id:%(project_id)s or project_id:%(member_id)s or 'community':%(visibility)s "
    "or 'public':%(visibility)s or 'shared':%(visibility)s"
)
_OWNER_OR_MEMBER = "(role:reader and (project_id:%(project_id)s or project_id:%(member_id)s))"

POLICIES: dict[str, str] = {
    **policies_stores.POLICIES,
    "context_is_admin": "role:admin",
    "default": "",
    "service_api": "role:service or role:admin",
    "add_image": f"{_ADMIN} or (role:member and project_id:%(project_id)s and project_id:%(owner)s)",
    "delete_image": f"{_ADMIN} or {_MEMBER}",
    "get_image": f"{_ADMIN} or (role:reader and ({_SEES}))",
    "get_images": f"{_ADMIN} or {_READER}",
    "modify_image": f"{_ADMIN} or {_MEMBER}",
    "publicize_image": _ADMIN,
    "communitize_image": f"{_ADMIN} or {_MEMBER}",
    "download_image": f"{_ADMIN} or (role:member and ({_SEES}))",
    "upload_image": f"{_ADMIN} or {_MEMBER}",
    "add_member": f"{_ADMIN} or {_MEMBER}",
    "delete_member": f"{_ADMIN} or {_MEMBER}",
    "get_member": f"{_ADMIN} or {_OWNER_OR_MEMBER}",
    "get_members": f"{_ADMIN} or {_OWNER_OR_MEMBER}",
    "modify_member": f"{_ADMIN} or (role:member and project_id:%(member_id)s)",
    "deactivate": f"{_ADMIN} or {_MEMBER}",
    "reactivate": f"{_ADMIN} or {_MEMBER}",
    "get_task": "rule:default",
    "get_tasks": "rule:default",
    "tasks_api_access": _ADMIN,
    "stores_info_detail": f"{_ADMIN} or rule:service_api",
    "copy_from": "",
    **METADEF_POLICIES,
}
