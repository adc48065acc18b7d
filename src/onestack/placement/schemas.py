"""What Placement's request bodies and queries must look like, by microversion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from onestack.core.dialect import Version
from onestack.core.json_schema import kind
from onestack.placement import forms

Schema = dict[str, Any]

_UUID: Schema = {"type": "string", "format": "uuid"}
_DASHED: Schema = {**_UUID, "dashed": True}
_STRING: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer"}
_OWNER: Schema = {"type": "string", "minLength": 1, "maxLength": 255}


def _is_uuid(value: str, schema: Mapping[str, Any]) -> bool:
    return forms.is_uuid(value) and ("dashed" not in schema or len(value) == 36)


KIND = kind({"uuid": _is_uuid})


def _object(properties: Schema, required: tuple[str, ...] = ()) -> Schema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _keyed(pattern: str, shape: Schema, least: int = 0) -> Schema:
    """An object whose keys are of one form."""
    return {"type": "object", "minProperties": least, "patternProperties": {pattern: shape},
            "additionalProperties": False}  # fmt: skip


def provider(version: Version, *, new: bool) -> Schema:
    fields: Schema = {"name": {"type": "string", "maxLength": 200}}
    if new:
        fields["uuid"] = _UUID
    if version >= (1, 14):
        fields["parent_provider_uuid"] = {"type": ["string", "null"], "format": "uuid"}
    return _object(fields, ("name",))


def provider_query(version: Version) -> Schema:
    fields = {"name": _STRING, "uuid": _DASHED}
    for name, since in (("member_of", (1, 3)), ("resources", (1, 4)), ("in_tree", (1, 14)), ("required", (1, 18))):
        if version >= since:
            fields[name] = _DASHED if name == "in_tree" else _STRING
    return _object(fields)


def _amount(least: int) -> Schema:
    return {"type": "integer", "maximum": forms.MAX_INT, "minimum": least}


_INVENTORY: Schema = {
    "resource_provider_generation": _INTEGER,
    "total": _amount(1), "reserved": _amount(0), "min_unit": _amount(1), "max_unit": _amount(1),
    "step_size": _amount(1), "allocation_ratio": {"type": "number", "maximum": forms.MAX_FLOAT},
}  # fmt: skip
NEW_INVENTORY = _object(
    {**_INVENTORY, "resource_class": {"type": "string", "pattern": forms.RESOURCE_CLASS}}, ("total", "resource_class")
)
INVENTORY = _object(_INVENTORY, ("total", "resource_provider_generation"))
INVENTORIES = _object(
    {
        "resource_provider_generation": _INTEGER,
        "inventories": _keyed(forms.RESOURCE_CLASS, _object(_INVENTORY, ("total",))),
    },
    ("resource_provider_generation", "inventories"),
)

RESOURCE_CLASS = _object({"name": {"type": "string", "pattern": forms.CUSTOM, "maxLength": 255}}, ("name",))
TRAITS = _object(
    {
        "traits": {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 255}},
        "resource_provider_generation": _INTEGER,
    },
    ("traits", "resource_provider_generation"),
)
TRAIT_QUERY = _object({"name": _STRING, "associated": _STRING})

_AGGREGATES: Schema = {"type": "array", "items": _UUID, "uniqueItems": True}


def aggregates(version: Version) -> Schema:
    """A bare list before 1.19, then an object with the generation."""
    if version < (1, 19):
        return _AGGREGATES
    fields = {"aggregates": _AGGREGATES, "resource_provider_generation": _INTEGER}
    return _object(fields, ("aggregates", "resource_provider_generation"))


_RESOURCES = _keyed(forms.RESOURCE_CLASS, {"type": "integer", "minimum": 1}, 1)


def _old_allocations(version: Version) -> Schema:
    """Before 1.12: a list; before 1.8 without an owner."""
    item = _object({"resource_provider": _object({"uuid": _UUID}, ("uuid",)), "resources": _RESOURCES},
                   ("resource_provider", "resources"))  # fmt: skip
    fields: Schema = {"allocations": {"type": "array", "minItems": 1, "items": item}}
    if version >= (1, 8):
        fields |= {"project_id": _OWNER, "user_id": _OWNER}
    return _object(fields, tuple(fields))


def allocations(version: Version, *, many: bool = False) -> Schema:
    """Of one consumer; in a list of many they may be empty before 1.28 too."""
    if version < (1, 12):
        return _old_allocations(version)
    of_provider = _object({"generation": _INTEGER, "resources": _RESOURCES}, ("resources",))
    least = 0 if many or version >= (1, 28) else 1
    fields: Schema = {"allocations": _keyed(forms.PROVIDER, of_provider, least), "project_id": _OWNER,
                      "user_id": _OWNER}  # fmt: skip
    required = list(fields)
    if version >= (1, 28):
        fields["consumer_generation"] = {"type": ["integer", "null"]}
        required.append("consumer_generation")
    if version >= (1, 34):
        group: Schema = {"type": "array", "minItems": 1, "items": _UUID}
        fields["mappings"] = {"type": "object", "minProperties": 1, "patternProperties": {forms.GROUP: group}}
    if version >= (1, 38):
        fields["consumer_type"] = {**_OWNER, "pattern": forms.CONSUMER_TYPE}
        required.append("consumer_type")
    return _object(fields, tuple(required))


def all_allocations(version: Version, least: int = 1) -> Schema:
    return _keyed(forms.PROVIDER, allocations(version, many=True), least)


def reshaper(version: Version) -> Schema:
    fields = {"inventories": _keyed(forms.PROVIDER, INVENTORIES, 1), "allocations": all_allocations(version, 0)}
    return _object(fields, ("inventories", "allocations"))


def usage_query(version: Version) -> Schema:
    fields = {"project_id": _OWNER, "user_id": _OWNER}
    if version >= (1, 38):
        fields["consumer_type"] = {**_OWNER, "pattern": f"{forms.CONSUMER_TYPE}|^all|^unknown$"}
    return _object(fields, ("project_id",))


def candidate_query(version: Version) -> Schema:
    """Without numbered groups before 1.25; from 1.33 they may have names."""
    fields: Schema = {}
    if version >= (1, 16):
        fields["limit"] = {"type": "string", "pattern": "^[1-9][0-9]*$", "minLength": 1}
    for name, since in (("root_required", (1, 35)), ("same_subtree", (1, 36))):
        if version >= since:
            fields[name] = _STRING
    of_group = (("resources", (1, 10)), ("required", (1, 17)), ("member_of", (1, 21)), ("in_tree", (1, 31)))
    known = [name for name, since in of_group if version >= since]
    if version < (1, 25):
        return _object({**dict.fromkeys(known, _STRING), **fields}, ("resources",))
    fields["group_policy"] = {"type": "string", "enum": ["none", "isolate"]}
    group = forms.GROUP if version >= (1, 33) else forms.NUMBERED_GROUP
    return {**_object(fields), "patternProperties": {f"^{name}({group})?$": _STRING for name in known}}
