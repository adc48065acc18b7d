"""The routes of the metadata definitions: https://docs.openstack.org/api-ref/image/v2/metadefs-index.html."""

from __future__ import annotations

from onestack.core.routes import Route
from onestack.image.api import metadef_contents as contents
from onestack.image.api import metadef_namespaces as namespaces
from onestack.image.api import metadef_resource_types as resource_types

_ALL = "/v2/metadefs/namespaces"
_ONE = _ALL + "/{namespace}"
_OBJECT, _PROPERTY, _TAG = (
    _ONE + "/objects/{object_name}",
    _ONE + "/properties/{property_name}",
    _ONE + "/tags/{tag_name}",
)
_TYPE = _ONE + "/resource_types"

METADEF_ROUTES = [
    Route("GET", "/v2/schemas/metadefs/{name}", namespaces.show_schema),
    Route("GET", "/v2/metadefs/resource_types", resource_types.index, "list_metadef_resource_types"),
    Route("GET", _ALL, namespaces.index, "get_metadef_namespaces"),
    Route("POST", _ALL, namespaces.create, "add_metadef_namespace", dict, 201, target="object"),
    Route("GET", _ONE, namespaces.show, "get_metadef_namespace", target="object"),
    Route("PUT", _ONE, namespaces.update, "modify_metadef_namespace", dict, target="object"),
    Route("DELETE", _ONE, namespaces.delete, "delete_metadef_namespace", status=204, target="object"),
    Route("GET", _TYPE, resource_types.of_namespace, "list_metadef_resource_types", target="object"),
    Route("POST", _TYPE, resource_types.create, "add_metadef_resource_type_association", dict, 201, target="object"),
    Route(
        "DELETE", _TYPE + "/{resource_type}", resource_types.delete, "remove_metadef_resource_type_association",
        status=204, target="object",
    ),
    Route("GET", _ONE + "/objects", contents.objects, "get_metadef_objects", target="object"),
    Route("POST", _ONE + "/objects", contents.create_object, "add_metadef_object", dict, 201, target="object"),
    Route(
        "DELETE", _ONE + "/objects", namespaces.delete_objects, "delete_metadef_namespace", status=204,
        target="object",
    ),
    Route("GET", _OBJECT, contents.show_object, "get_metadef_object", target="object"),
    Route("PUT", _OBJECT, contents.update_object, "modify_metadef_object", dict, target="object"),
    Route("DELETE", _OBJECT, contents.delete_object, "delete_metadef_object", status=204, target="object"),
    Route("GET", _ONE + "/properties", contents.properties, "get_metadef_properties", target="object"),
    Route("POST", _ONE + "/properties", contents.create_property, "add_metadef_property", dict, 201, target="object"),
    Route(
        "DELETE", _ONE + "/properties", namespaces.delete_properties, "delete_metadef_namespace", status=204,
        target="object",
    ),
    Route("GET", _PROPERTY, contents.show_property, "get_metadef_property", target="object"),
    Route("PUT", _PROPERTY, contents.update_property, "modify_metadef_property", dict, target="object"),
    Route("DELETE", _PROPERTY, contents.delete_property, "remove_metadef_property", status=204, target="object"),
    Route("GET", _ONE + "/tags", contents.tags, "get_metadef_tags", target="object"),
    Route("POST", _ONE + "/tags", contents.create_tags, "add_metadef_tags", dict, 201, target="object"),
    Route("DELETE", _ONE + "/tags", namespaces.delete_tags, "delete_metadef_tags", status=204, target="object"),
    Route("GET", _TAG, contents.show_tag, "get_metadef_tag", target="object"),
    Route("POST", _TAG, contents.create_tag, "add_metadef_tag", status=201, target="object"),
    Route("PUT", _TAG, contents.update_tag, "modify_metadef_tag", dict, target="object"),
    Route("DELETE", _TAG, contents.delete_tag, "delete_metadef_tag", status=204, target="object"),
]  # fmt: skip
