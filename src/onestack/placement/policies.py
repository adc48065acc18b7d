"""Placement's rules and their defaults."""

from __future__ import annotations

ADMIN_OR_SERVICE = "rule:admin_or_service_api"

_GUARDED = (
    "resource_providers:list", "resource_providers:create", "resource_providers:show", "resource_providers:update",
    "resource_providers:delete", "resource_classes:list", "resource_classes:create", "resource_classes:show",
    "resource_classes:update", "resource_classes:delete", "resource_providers:inventories:list",
    "resource_providers:inventories:create", "resource_providers:inventories:show",
    "resource_providers:inventories:update", "resource_providers:inventories:delete",
    "resource_providers:aggregates:list", "resource_providers:aggregates:update", "resource_providers:usages",
    "traits:list", "traits:show", "traits:update", "traits:delete", "resource_providers:traits:list",
    "resource_providers:traits:update", "resource_providers:traits:delete", "allocations:manage", "allocations:list",
    "allocations:update", "allocations:delete", "resource_providers:allocations:list", "allocation_candidates:list",
)  # fmt: skip

POLICIES: dict[str, str] = {
    "admin_api": "role:admin",
    "service_api": "role:service",
    "admin_or_service_api": "role:admin or role:service",
    "project_reader_api": "role:reader and project_id:%(project_id)s",
    **{f"placement:{name}": ADMIN_OR_SERVICE for name in _GUARDED},
    "placement:reshaper:reshape": "rule:service_api",
    "placement:usages": "rule:project_reader_api or rule:admin_or_service_api",
}
