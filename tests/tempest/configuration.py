"""tempest.conf: what the cloud says of itself, and nothing else."""

from __future__ import annotations

import configparser
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.tempest.cloud import Cloud

SERVICES = {
    "nova": "compute", "neutron": "network", "glance": "image", "cinder": "block-storage", "swift": "object-store",
}  # fmt: skip
# Tempest's feature → the server action that it stands on, in a form that is refused for nothing but its server.
ACTIONS: dict[str, dict[str, Any]] = {
    "resize": {"resize": {"flavorRef": "1"}},
    "shelve": {"shelve": None},
    "snapshot": {"createImage": {"name": "x"}},
    "pause": {"pause": None},
    "suspend": {"suspend": None},
    "rescue": {"rescue": None},
    "console_output": {"os-getConsoleOutput": {}},
    "cold_migration": {"migrate": None},
}


SECOND = "image-remote"  # the service type of another node's image service

# What Tempest must know when the rules for passwords are to be tested.
COMPLIANCE = ("lockout_failure_attempts", "lockout_duration", "unique_last_password_count", "minimum_password_age")


def image_features(image: dict[str, Any]) -> dict[str, str]:
    stores = image.get("stores", {}).values()
    found = {
        "manage_locations": image.get("show_multiple_locations", False),
        "do_secure_hash": image.get("do_secure_hash", True),
        "http_store_enabled": any(store["type"] == "http" for store in stores),
        "store_weight_enabled": any(store.get("weight") for store in stores),
        "image_conversion": "image_conversion" in image.get("image_import_plugins", ()),
    }
    return {name: str(value).lower() for name, value in found.items()}


def image_formats(image: dict[str, Any]) -> dict[str, str]:
    """Where the cloud has formats of its own, Tempest must know them."""
    return {name: ",".join(image[name]) for name in ("disk_formats", "container_formats") if name in image}


def two_images(cloud: Cloud) -> tuple[str, str]:
    """The ids of two small public images; the second is made from the first when there is only one."""
    found = cloud.get("image", "/v2/images?visibility=public&status=active&sort=size:asc")["images"]
    if not found:
        raise SystemExit("the cloud has no public image")
    if len(found) == 1:
        url = cloud.catalog["image"]
        first = found[0]
        body = {"name": "tempest-alt", "visibility": "public"}
        body |= {key: first[key] for key in ("disk_format", "container_format", "min_disk", "min_ram")}
        made = json.loads(cloud.call("POST", f"{url}/v2/images", body).body)
        content = cloud.call("GET", f"{url}{first['file']}").body
        cloud.call("PUT", f"{url}/v2/images/{made['id']}/file", data=content)
        found.append(made)
    return found[0]["id"], found[1]["id"]


def two_flavors(cloud: Cloud) -> tuple[str, str]:
    """The ids of the two smallest flavors."""
    flavors = sorted(cloud.get("compute", "/flavors/detail")["flavors"], key=lambda one: (one["ram"], one["disk"]))
    if len(flavors) < 2:
        raise SystemExit("the cloud has fewer than two flavors")
    return flavors[0]["id"], flavors[1]["id"]


def actions(cloud: Cloud) -> Iterator[tuple[str, str]]:
    """Which actions compute knows: of a server that doesn't exist it then says 404, else 400."""
    for feature, body in ACTIONS.items():
        answer = cloud.call("POST", f"{cloud.catalog['compute']}/servers/{uuid.uuid4()}/action", body)
        yield feature, str(answer.status == 404).lower()


def second_images(cloud: Cloud, url: str) -> str:
    """The service type under which the catalog has the image service of another node, at `url`; "" without one."""
    if not url:
        return ""
    found = cloud.find(f"services?type={SECOND}")["services"]
    if not found:
        body = {"service": {"type": SECOND, "name": "glance-remote"}}
        found = [json.loads(cloud.call("POST", f"{cloud.identity}/services", body).body)["service"]]
    service = found[0]["id"]
    endpoints = cloud.find(f"endpoints?service_id={service}&interface=public")["endpoints"]
    body = {"endpoint": {"url": url, "service_id": service, "interface": "public", "region_id": region(cloud)}}
    if not endpoints:
        answer = cloud.call("POST", f"{cloud.identity}/endpoints", body)
    else:
        answer = cloud.call("PATCH", f"{cloud.identity}/endpoints/{endpoints[0]['id']}", body)
    if answer.status not in (200, 201):
        raise SystemExit(f"{url} can't be put into the catalog: {answer.status} {answer.body[:200]!r}")
    return SECOND


def region(cloud: Cloud) -> str:
    return cloud.environment.get("OS_REGION_NAME", "RegionOne")


def configuration(
    cloud: Cloud, settings: dict[str, Any], place: Path, images: dict[str, str], *, legacy: bool
) -> configparser.RawConfigParser:
    """`settings` is the cloud's onestack.toml; `images` what else is to be said of the image service. `legacy`: for the
    Tempest that still knows Identity v2.0 and Image v1."""
    image, alternative = two_images(cloud)
    flavor, second = two_flavors(cloud)
    hosts = cloud.get("compute", "/os-hypervisors/detail")["hypervisors"]
    screens = any(host["hypervisor_type"] != "fake" for host in hosts)
    extensions = sorted(one["alias"] for one in cloud.get("network", "/v2.0/extensions")["extensions"])
    public = cloud.get("network", "/v2.0/networks?router:external=true")["networks"][0]
    features = {"change_password": "false", "live_migration": "false", "config_drive": "true", **dict(actions(cloud))}
    features |= {"vnc_console": str(screens).lower(), "personality": "true", "scheduler_enabled_filters": "all"}
    present = {name: str(kind in cloud.catalog).lower() for name, kind in SERVICES.items()}
    snapshots = features["snapshot"]
    written = configparser.RawConfigParser()
    cached = cloud.call("GET", f"{cloud.catalog['image']}/v2/cache").status == 200
    rules = settings.get("security_compliance", {})
    written.read_dict({
        "DEFAULT": {"log_file": "tempest.log", "log_dir": str(place)},
        "oslo_concurrency": {"lock_path": str(place / "lock")},
        "auth": {
            "use_dynamic_credentials": "true", "create_isolated_networks": "true",
            "admin_username": cloud.environment["OS_USERNAME"], "admin_password": cloud.environment["OS_PASSWORD"],
            "admin_project_name": cloud.environment["OS_PROJECT_NAME"], "admin_domain_name": "Default",
            "admin_system": "all",
        },
        "identity": {
            "uri_v3": cloud.identity, "auth_version": "v3", "v3_endpoint_type": "public",
            "region": region(cloud), "uri": f"{cloud.root}/v2.0",
            **{f"user_{name}": str(rules[name]) for name in COMPLIANCE if name in rules},
        },
        "identity-feature-enabled": {
            "api_v2": str(legacy).lower(), "api_v2_admin": str(legacy).lower(), "application_credentials": "true",
            "access_rules": "true", "project_tags": "true",
            "security_compliance": str(set(COMPLIANCE) <= set(rules)).lower(),
        },
        "service_available": {**present, "horizon": "false"},
        "compute": {
            "image_ref": image, "image_ref_alt": alternative, "flavor_ref": flavor, "flavor_ref_alt": second,
            "min_compute_nodes": str(len(hosts)), "min_microversion": "2.1", "max_microversion": "latest",
            "build_interval": "1", "build_timeout": "120", "compute_volume_common_az": "nova",
        },
        "compute-feature-enabled": features,
        "volume-feature-enabled": {"enable_volume_image_dep_tests": snapshots},
        "validation": {"run_validation": "false"},
        "image": {
            "image_caching_enabled": str(cached).lower(), **image_formats(settings.get("image", {})), **images,
        },
        "image-feature-enabled": {
            "api_v1": str(legacy).lower(), "import_image": "true", "os_glance_reserved": "true",
            **image_features(settings.get("image", {})),
        },
        "network": {"public_network_id": public["id"], "floating_network_name": public["name"]},
        "network-feature-enabled": {
            "api_extensions": ",".join(extensions), "ipv6_subnet_attributes": "true",
            "port_security": str("port-security" in extensions).lower(),
        },
        "enforce_scope": {"keystone": "true", "nova": "true", "neutron": "true", "glance": "true"},
    })  # fmt: skip
    return written
