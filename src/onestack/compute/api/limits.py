"""What a project may use and uses: /limits. Source: the compute API reference, "Limits"."""

from __future__ import annotations

from typing import Any

from onestack.compute import quotas, user_quotas
from onestack.core import quota
from onestack.core.http import Request

# Name in `absolute`, the quota it shows, and the microversion from which it is gone.
_MAXIMA = (
    ("maxImageMeta", "metadata_items", (2, 39)),
    ("maxPersonality", "injected_files", (2, 57)),
    ("maxPersonalitySize", "injected_file_content_bytes", (2, 57)),
    ("maxSecurityGroupRules", "security_group_rules", (2, 36)),
    ("maxSecurityGroups", "security_groups", (2, 36)),
    ("maxServerMeta", "metadata_items", None),
    ("maxTotalCores", "cores", None),
    ("maxTotalFloatingIps", "floating_ips", (2, 36)),
    ("maxTotalInstances", "instances", None),
    ("maxTotalKeypairs", "key_pairs", None),
    ("maxTotalRAMSize", "ram", None),
    ("maxServerGroups", "server_groups", None),
    ("maxServerGroupMembers", "server_group_members", None),
)
_USED = (
    ("totalCoresUsed", "cores", None),
    ("totalInstancesUsed", "instances", None),
    ("totalRAMUsed", "ram", None),
    ("totalSecurityGroupsUsed", "security_groups", (2, 36)),
    ("totalFloatingIpsUsed", "floating_ips", (2, 36)),
    ("totalServerGroupsUsed", "server_groups", None),
)


def index(req: Request) -> dict[str, Any]:
    project_id = req.ctx.project_id or ""
    asked = req.get("tenant_id")
    if asked is not None:
        req.authorize({"project_id": asked}, "os_compute_api:limits:other_project")
        project_id = asked
    with req.cloud.db.read() as session:
        limit = quotas.limits(session, project_id)
        # Usage is counted from the rows, so what is on its way is in it: nothing is only reserved.
        used = user_quotas.usage(session, project_id, None)
    absolute: dict[str, int] = {}
    for values, missing, table in ((limit, quota.UNLIMITED, _MAXIMA), (used, 0, _USED)):
        for name, resource, until in table:
            if until is None or req.version < until:
                absolute[name] = values.get(resource, missing)
    return {"limits": {"rate": [], "absolute": absolute}}
