"""What GET /allocation_candidates is asked: groups of resources, and what holds for all of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from onestack.core.errors import BadRequest
from onestack.core.http import Request
from onestack.placement import dialect, filters, forms, schemas
from onestack.placement.api import common

_KINDS = "^(resources|required|member_of|in_tree)"
_BEFORE_NAMES = re.compile(f"{_KINDS}({forms.NUMBERED_GROUP})?$")
_KEY = re.compile(f"{_KINDS}({forms.GROUP})?$")


@dataclass
class Group:
    """`resources`, `required`, `member_of` and `in_tree` of one suffix."""

    resources: dict[str, int] = field(default_factory=dict)
    traits: filters.Traits = field(default_factory=lambda: filters.Traits([], set()))
    member_of: list[str] = field(default_factory=list)
    in_tree: str | None = None


@dataclass
class Query:
    groups: dict[str, Group]
    root: filters.Traits
    together: list[set[str]]  # suffixes whose providers must be in one subtree
    isolate: bool
    limit: int | None


def parse(req: Request) -> Query:
    """Raises BadRequest."""
    asked = common.query(req, schemas.candidate_query(req.version))
    root = _root(req)
    together = [{suffix.strip() for suffix in value.split(",")} for value in req.get_all("same_subtree")]
    if any("" in suffixes for suffixes in together):
        raise BadRequest(
            "Empty string (unsuffixed group) can not be specified in `same_subtree` ", kind=dialect.BAD_VALUE
        )
    groups = _groups(req)
    if req.version >= (1, 36):
        _whole(groups, set().union(*together))
    else:
        _no_orphans(groups)
    if req.version >= (1, 22):
        _no_conflicts(groups)
    policies = req.get_all("group_policy")
    if not policies and len([suffix for suffix in groups if suffix]) > 1:
        raise BadRequest(
            'The "group_policy" parameter is required when specifying more than one "resources{N}" parameter.'
        )
    return Query(groups, root, together, policies[:1] == ["isolate"], int(asked["limit"]) if "limit" in asked else None)


def _root(req: Request) -> filters.Traits:
    values = req.get_all("root_required")
    if len(values) > 1:
        raise BadRequest("Query parameter 'root_required' may be specified only once.", kind=dialect.DUPLICATE_KEY)
    traits = filters.parse_traits(values, (1, 38))  # `in:` is unknown here in every version
    conflicts = sorted(traits.forbidden.intersection(set().union(*traits.any_of)))
    if conflicts:
        raise BadRequest(
            f"Conflicting required and forbidden traits found in root_required: {', '.join(conflicts)}",
            kind=dialect.BAD_VALUE,
        )
    return traits


def _groups(req: Request) -> dict[str, Group]:
    groups: dict[str, Group] = {}
    pattern = _KEY if req.version >= (1, 33) else _BEFORE_NAMES
    for key, value in req.query:
        match = pattern.match(key)
        if match is None:
            continue
        kind, suffix = match[1], match[2] or ""
        group = groups.setdefault(suffix, Group())
        if kind == "resources":
            group.resources = common.parse_resources(value)
        elif kind == "required":
            group.traits = filters.parse_traits(req.get_all(key), req.version)
        elif kind == "member_of":
            group.member_of = req.get_all(key)
            filters.by_aggregates(group.member_of, req.version, suffix)
        else:
            group.in_tree = filters.tree_of(value)
    return groups


def _whole(groups: dict[str, Group], together: set[str]) -> None:
    """A group without resources must be tied to others; what is tied must be a group."""
    bare = [suffix for suffix, group in groups.items() if not group.resources]
    if len(bare) == len(groups):
        raise BadRequest("There must be at least one resources or resources[$S] parameter.", kind=dialect.MISSING_VALUE)
    loose = [suffix for suffix in bare if suffix not in together]
    if loose:
        raise BadRequest(
            "Resourceless suffixed group request should be specified in `same_subtree` query param: bad group(s) - "
            f"{loose}.",
            kind=dialect.BAD_VALUE,
        )
    unknown = [suffix for suffix in together if suffix not in groups]
    if unknown:
        raise BadRequest(
            f"Real suffixes should be specified in `same_subtree`: {unknown} not found in {list(groups)}.",
            kind=dialect.BAD_VALUE,
        )


def _no_orphans(groups: dict[str, Group]) -> None:
    bare = {suffix: group for suffix, group in groups.items() if not group.resources}
    orphans = [f"required{suffix}" for suffix, group in bare.items() if group.traits.any_of]
    if orphans:
        raise BadRequest(
            "All traits parameters must be associated with resources.  Found the following orphaned traits keys: "
            f"{', '.join(orphans)}"
        )
    orphans = [f"member_of{suffix}" for suffix, group in bare.items() if group.member_of]
    if orphans:
        raise BadRequest(
            "All member_of parameters must be associated with resources. Found the following orphaned member_of "
            f"keys: {', '.join(orphans)}"
        )
    if bare:
        raise BadRequest("All request groups must specify resources.")
    if not groups:
        raise BadRequest("At least one request group (`resources` or `resources{$S}`) is required.")


def _no_conflicts(groups: dict[str, Group]) -> None:
    found = sorted(
        f"required{suffix}: ({', '.join(sorted(some))})"
        for suffix, group in groups.items()
        for some in group.traits.any_of
        if some <= group.traits.forbidden
    )
    if found:
        raise BadRequest(
            f"Conflicting required and forbidden traits found in the following traits keys: {', '.join(found)}"
        )
