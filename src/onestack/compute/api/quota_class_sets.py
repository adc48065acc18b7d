"""The defaults of all quotas: /os-quota-class-sets/default. Source: the compute API reference, "Quota class sets".

Only the class `default` has an effect; the other names that clients may use are kept for them.
"""

from __future__ import annotations

from typing import Any

from onestack.compute import quotas, schema
from onestack.compute.api import quota_sets
from onestack.core import quota
from onestack.core.dialect import Version
from onestack.core.errors import BadRequest
from onestack.core.http import Request

_LONGEST = 57  # of a name, so that it fits beside the projects' ids


def show(req: Request, class_id: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        limits = quotas.limits(session, _owner(class_id))
    return {"quota_class_set": {"id": class_id, **_render(req.version, limits)}}


def update(req: Request, class_id: str) -> dict[str, Any]:
    fields: dict[str, schema.Check] = {name: schema.integer(-1) for name in _settable(req.version)}
    values = schema.body(req.body, "quota_class_set", fields, req.version)
    req.authorize()
    owner = _owner(class_id)
    with req.cloud.db.write() as session:
        quota.set_limits(session, quotas.SERVICE, owner, values)
        session.flush()
        limits = quotas.limits(session, owner)
    return {"quota_class_set": _render(req.version, limits)}


def _owner(class_id: str) -> str:
    if class_id == "default":
        return quota.DEFAULT_PROJECT
    if len(class_id) > _LONGEST:
        raise BadRequest(f"The name of a quota class has at most {_LONGEST} characters.")
    return f"class:{class_id}"


def _resources(version: Version) -> list[str]:
    """As in a quota set, but server groups came, and the network's resources went, with 2.50."""
    names = [name for name in quota_sets.resources(version) if name not in quota_sets.NETWORK]
    if version >= (2, 50):
        return names
    return [name for name in names if not name.startswith("server_group")] + list(quota_sets.NETWORK)


def _settable(version: Version) -> list[str]:
    """Server groups could always be changed; before 2.50 they were not shown."""
    return [*_resources(version), *(name for name in quotas.DEFAULTS if name.startswith("server_group"))]


def _render(version: Version, limits: dict[str, int]) -> dict[str, int]:
    return {name: limits.get(name, quota.UNLIMITED) for name in _resources(version)}
