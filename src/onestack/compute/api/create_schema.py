"""The body of POST /servers in each microversion."""

from __future__ import annotations

from typing import Any

from onestack.compute import schema
from onestack.compute.microversions import LEGACY
from onestack.core.dialect import Version
from onestack.core.http import Request

_LEGACY_MAPPING: dict[str, schema.Check] = {
    "virtual_name": schema.string(255),
    "volume_id": schema.uuid_string,
    "snapshot_id": schema.uuid_string,
    "volume_size": schema.integer(1),
    "device_name": schema.string(255, 1, r"^[a-zA-Z0-9._/-]*$"),
    "delete_on_termination": schema.boolean,
    "no_device": schema.anything,
    "connection_info": schema.string(16777215),
}


def parse(req: Request) -> tuple[dict[str, Any], dict[str, Any]]:
    """The checked `server`, and the scheduler hints."""
    version = req.version
    required = ("name", "flavorRef", "networks") if version >= (2, 37) else ("name", "flavorRef")
    top: dict[str, schema.Check] = {
        "server": schema.obj(fields(version), required, version),
        "os:scheduler_hints": hints,
        "OS-SCH-HNT:scheduler_hints": hints,
    }
    checked = schema.obj(top, ("server",), version)("", req.body)
    return checked["server"], checked.get("os:scheduler_hints") or checked.get("OS-SCH-HNT:scheduler_hints") or {}


def fields(version: Version) -> dict[str, schema.Check]:
    name = schema.name_of(version)
    found: dict[str, schema.Check] = {
        "name": name,
        "imageRef": _image_ref,
        "flavorRef": _flavor_ref,
        "adminPass": schema.string(None),
        "metadata": schema.metadata,
        "networks": networks(version),
        "OS-DCF:diskConfig": schema.disk_config,
        "accessIPv4": schema.address(4),
        "accessIPv6": schema.address(6),
        "availability_zone": name,
        "block_device_mapping": schema.array(schema.obj(_LEGACY_MAPPING, (), version)),
        "block_device_mapping_v2": schema.array(schema.obj(_mapping(version), (), version)),
        "config_drive": schema.boolean,
        "key_name": name,
        "min_count": schema.count(1),
        "max_count": schema.count(1),
        "return_reservation_id": schema.boolean,
        "security_groups": schema.array(schema.obj({"name": name}, (), version)),
        "user_data": schema.base64_string(null=version == LEGACY),
    }
    if version < (2, 57):
        found["personality"] = personality(version)
    for since, key, check in _SINCE:
        if version >= since:
            found[key] = check
    return found


_SINCE: tuple[tuple[Version, str, schema.Check], ...] = (
    ((2, 19), "description", schema.description),
    ((2, 52), "tags", schema.array(schema.tag, 50)),
    ((2, 63), "trusted_image_certificates", schema.trusted_certs),
    ((2, 74), "host", schema.fqdn),
    ((2, 74), "hypervisor_hostname", schema.fqdn),
    ((2, 90), "hostname", schema.hostname),
    ((2, 94), "hostname", schema.fqdn),
)  # fmt: skip


def personality(version: Version) -> schema.Check:
    entry = {"path": schema.string(), "contents": schema.base64_string(1 << 22)}
    return schema.array(schema.obj(entry, ("path", "contents"), version))


def networks(version: Version) -> schema.Check:
    entry: dict[str, schema.Check] = {
        "fixed_ip": schema.address(),
        "port": schema.uuid_or_null,
        "uuid": schema.uuid_string if version >= (2, 37) else schema.string(None),
    }
    if (2, 32) <= version < (2, 37) or version >= (2, 42):
        entry["tag"] = schema.tag
    found = schema.array(schema.obj(entry, (), version))
    return schema.either(found, schema.one_of("none", "auto")) if version >= (2, 37) else found


def _mapping(version: Version) -> dict[str, schema.Check]:
    found = {
        **_LEGACY_MAPPING,
        "source_type": schema.one_of("volume", "image", "snapshot", "blank"),
        "uuid": schema.string(255, 1, r"^[a-zA-Z0-9._-]*$"),
        "image_id": schema.uuid_string,
        "destination_type": schema.one_of("local", "volume"),
        "guest_format": schema.string(255),
        "device_type": schema.string(255),
        "disk_bus": schema.string(255),
        "boot_index": schema.integer(-schema.INT32, null=True),
    }
    if version == (2, 32) or version >= (2, 42):
        found["tag"] = schema.tag
    if version >= (2, 67):
        found["volume_type"] = schema.string(255, null=True)
    return found


def hints(name: str, value: Any) -> dict[str, Any]:
    ids = schema.array(schema.uuid_string)
    known: dict[str, schema.Check] = {
        "group": schema.either(ids, schema.uuid_string), "different_host": schema.either(schema.uuid_string, ids),
        "same_host": schema.string_or("array", ids), "query": schema.string_or("object", schema.anything),
        "target_cell": schema.name, "different_cell": schema.string_or("array", schema.array(schema.string(None))),
        "build_near_host_ip": schema.address(), "cidr": schema.string(None, 0, r"^/[0-9a-f.:]+$"),
    }  # fmt: skip
    checked: dict[str, Any] = schema.open_object(known)(name, value)
    return checked


_image_ref = schema.either(schema.uuid_string, schema.empty)


def _flavor_ref(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise schema.invalid(name, value, f"{value!r} is not of type 'string', 'integer'")
    if value == "":
        raise schema.invalid(name, value, "'' should be non-empty")
    return str(value)
