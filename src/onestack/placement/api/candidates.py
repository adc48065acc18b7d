"""GET /allocation_candidates: where a request would fit. Each group of resources is taken from one provider."""

from __future__ import annotations

import itertools
import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.dialect import Version
from onestack.core.errors import BadRequest
from onestack.core.http import Request
from onestack.placement import dialect, filters
from onestack.placement.api import common
from onestack.placement.capacity import Stock, fits
from onestack.placement.models import Provider, ProviderTrait
from onestack.placement.public import stock_of

MAXIMUM = 1000  # candidates of one answer, whatever was asked
_KEY = re.compile(r"^(resources|required|member_of|in_tree)([a-zA-Z0-9_-]{0,64})$")
_SINCE = {"resources": (1, 10), "required": (1, 17), "member_of": (1, 21), "in_tree": (1, 31), "limit": (1, 16),
          "group_policy": (1, 25), "root_required": (1, 35), "same_subtree": (1, 36)}  # fmt: skip
Stocks = dict[str, tuple[str, dict[str, Stock]]]
Combination = dict[str, str]  # suffix of the group → provider uuid


def index(req: Request) -> dict[str, Any]:
    groups = _groups(req)
    limit = min(req.get_int("limit", MAXIMUM, minimum=1) or MAXIMUM, MAXIMUM)
    with req.cloud.db.read() as session:
        wanted = {suffix: common.parse_resources(keys["resources"][-1]) for suffix, keys in groups.items()}
        try:
            common.known_classes(session, {name for resources in wanted.values() for name in resources})
        except BadRequest as error:
            raise BadRequest(f"Invalid resource class in resources parameter: {error.message}") from None
        root = [("required", value) for value in req.get_all("root_required")]
        stocks = stock_of(session, None)
        possible = {
            suffix: _providers(session, stocks, wanted[suffix], {**keys, "root": root}, req.version)
            for suffix, keys in groups.items()
        }
        chosen = list(itertools.islice(_combine(req, possible, wanted, stocks), limit))
        return _render(session, chosen, wanted, stocks, req.version)


def _groups(req: Request) -> dict[str, dict[str, list[str]]]:
    """{suffix: {"resources": […], "required": […] …}}. Raises BadRequest."""
    groups: dict[str, dict[str, list[str]]] = {}
    for key, value in req.query:
        match = _KEY.match(key)
        name, suffix = (match[1], match[2]) if match else (key, "")
        suffixes = (1, 25) if suffix.isdigit() else (1, 33)
        if name not in _SINCE or req.version < _SINCE[name] or (suffix and req.version < suffixes):
            raise BadRequest(
                f"Invalid query string parameters: Additional properties are not allowed ('{key}' was unexpected)"
            )
        if match:
            groups.setdefault(suffix, {}).setdefault(name, []).append(value)
    for suffix, keys in groups.items():
        if "resources" not in keys:
            raise BadRequest(
                f"All traits, member_of and in_tree parameters must be associated with resources: suffix '{suffix}'",
                kind=dialect.MISSING_VALUE,
            )
    if not groups:
        raise BadRequest("Invalid query string parameters: 'resources' is a required property")
    policy = req.get("group_policy")
    if policy not in (None, "none", "isolate"):
        raise BadRequest(f"Invalid query string parameters: '{policy}' is not one of ['none', 'isolate']")
    if policy is None and len([suffix for suffix in groups if suffix]) > 1:
        raise BadRequest(
            'The "group_policy" parameter is required when specifying more than one "resources{N}" parameter.'
        )
    return groups


def _providers(
    session: Session, stocks: Stocks, resources: dict[str, int], keys: dict[str, Any], version: Version
) -> list[str]:
    """Providers that one group could come from, by name."""
    query = sa.select(Provider.uuid).order_by(Provider.name)
    required = [*keys.get("required", ()), *(value for _, value in keys["root"])]
    if required:
        query = query.where(filters.by_traits(session, required, version))
    if keys.get("member_of"):
        query = query.where(filters.by_aggregates(keys["member_of"], version))
    for value in keys.get("in_tree", ()):
        query = query.where(filters.by_tree(session, value))
    return [
        uuid
        for uuid in session.scalars(query)
        if all(fits(stocks[uuid][1].get(name), amount) for name, amount in resources.items())
    ]


def _combine(req: Request, possible: dict[str, list[str]], wanted: dict[str, dict[str, int]], stocks: Stocks) -> Any:
    """Every way to take each group from one of its providers, such that all of them fit together."""
    isolate = req.get("group_policy") == "isolate"
    together = [set(value.split(",")) for value in req.get_all("same_subtree")]
    suffixes = list(possible)
    for choice in itertools.product(*possible.values()):
        combination = dict(zip(suffixes, choice, strict=True))
        granular = [uuid for suffix, uuid in combination.items() if suffix]
        if isolate and len(set(granular)) != len(granular):
            continue
        if any(len({uuid for suffix, uuid in combination.items() if suffix in group}) > 1 for group in together):
            continue
        totals = _totals(combination, wanted)
        if all(
            fits(stocks[uuid][1].get(name), amount)
            for uuid, resources in totals.items()
            for name, amount in resources.items()
        ):
            yield combination


def _totals(combination: Combination, wanted: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    totals: dict[str, dict[str, int]] = {}
    for suffix, uuid in combination.items():
        for name, amount in wanted[suffix].items():
            entry = totals.setdefault(uuid, {})
            entry[name] = entry.get(name, 0) + amount
    return totals


def _render(
    session: Session, chosen: list[Combination], wanted: dict[str, dict[str, int]], stocks: Stocks, version: Version
) -> dict[str, Any]:
    requests: list[dict[str, Any]] = []
    for combination in chosen:
        totals = _totals(combination, wanted)
        allocations: Any = {uuid: {"resources": resources} for uuid, resources in totals.items()}
        if version < (1, 12):
            allocations = [
                {"resource_provider": {"uuid": uuid}, "resources": resources} for uuid, resources in totals.items()
            ]
        request: dict[str, Any] = {"allocations": allocations}
        if version >= (1, 34):
            request["mappings"] = {suffix: [uuid] for suffix, uuid in combination.items()}
        requests.append(request)
    uuids = {uuid for combination in chosen for uuid in combination.values()}
    return {"allocation_requests": requests, "provider_summaries": _summaries(session, uuids, wanted, stocks, version)}


def _summaries(
    session: Session, uuids: set[str], wanted: dict[str, dict[str, int]], stocks: Stocks, version: Version
) -> dict[str, Any]:
    asked = {name for resources in wanted.values() for name in resources}
    traits: dict[str, list[str]] = {}
    query = sa.select(ProviderTrait.provider_uuid, ProviderTrait.trait).where(ProviderTrait.provider_uuid.in_(uuids))
    for uuid, trait in session.execute(query.order_by(ProviderTrait.trait)):
        traits.setdefault(uuid, []).append(trait)
    result: dict[str, Any] = {}
    parents = sa.select(Provider.uuid, Provider.parent_uuid, Provider.root_uuid).where(Provider.uuid.in_(uuids))
    for uuid, parent, root in session.execute(parents):
        resources = {
            name: {"capacity": stock.capacity, "used": stock.used}
            for name, stock in stocks[uuid][1].items()
            if version >= (1, 27) or name in asked
        }
        result[uuid] = {"resources": resources}
        if version >= (1, 17):
            result[uuid]["traits"] = traits.get(uuid, [])
        if version >= (1, 29):
            result[uuid]["parent_provider_uuid"] = parent
            result[uuid]["root_provider_uuid"] = root
    return result
