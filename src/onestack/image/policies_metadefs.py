"""Glance's rules of the metadata definitions and their defaults."""

from __future__ import annotations

_ADMIN = "rule:metadef_admin"
_SEES = (
    "rule:context_is_admin or (role:reader and (project_id:%(project_id)s or 'public':%(visibility)s))"
)  # fmt: skip

METADEF_POLICIES: dict[str, str] = {
    "metadef_default": "",
    "metadef_admin": "rule:context_is_admin",
    "get_metadef_namespace": _SEES,
    "get_metadef_namespaces": "rule:context_is_admin or (role:reader and project_id:%(project_id)s)",
    "modify_metadef_namespace": _ADMIN,
    "add_metadef_namespace": _ADMIN,
    "delete_metadef_namespace": _ADMIN,
    "get_metadef_object": _SEES,
    "get_metadef_objects": _SEES,
    "modify_metadef_object": _ADMIN,
    "add_metadef_object": _ADMIN,
    "delete_metadef_object": _ADMIN,
    "list_metadef_resource_types": _SEES,
    "get_metadef_resource_type": _SEES,
    "add_metadef_resource_type_association": _ADMIN,
    "remove_metadef_resource_type_association": _ADMIN,
    "get_metadef_property": _SEES,
    "get_metadef_properties": _SEES,
    "modify_metadef_property": _ADMIN,
    "add_metadef_property": _ADMIN,
    "remove_metadef_property": _ADMIN,
    "get_metadef_tag": _SEES,
    "get_metadef_tags": _SEES,
    "modify_metadef_tag": _ADMIN,
    "add_metadef_tag": _ADMIN,
    "add_metadef_tags": _ADMIN,
    "delete_metadef_tag": _ADMIN,
    "delete_metadef_tags": _ADMIN,
}
