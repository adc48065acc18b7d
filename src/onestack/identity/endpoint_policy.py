"""Which policy is that of an endpoint (OS-ENDPOINT-POLICY).

The endpoint's own goes first, then that of its service in its region or the nearest region above, then that of its
service. Source: Keystone's API reference, OS-ENDPOINT-POLICY.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.identity.catalog import EndpointRow
from onestack.identity.models import Region
from onestack.identity.models_catalog import NONE, PolicyAssociation

Place = tuple[str, str, str]  # endpoint, service, region; NONE where the association doesn't say


def effective(session: Session, endpoint: EndpointRow) -> str | None:
    """The id of the policy of an endpoint."""
    query = sa.select(PolicyAssociation).where(
        sa.or_(PolicyAssociation.endpoint_id == endpoint.id, PolicyAssociation.service_id == endpoint.service_id)
    )
    found: dict[Place, str] = {
        (row.endpoint_id, row.service_id, row.region_id): row.policy_id for row in session.scalars(query)
    }
    places: list[Place] = [(endpoint.id, NONE, NONE)]
    places += [(NONE, endpoint.service_id, region) for region in _upwards(_parents(session), endpoint.region_id)]
    places.append((NONE, endpoint.service_id, NONE))
    return next((found[place] for place in places if place in found), None)


def endpoints_of(session: Session, policy_id: str, endpoints: Iterable[EndpointRow]) -> list[EndpointRow]:
    """The endpoints that a policy's associations name, each once."""
    query = sa.select(PolicyAssociation).where(PolicyAssociation.policy_id == policy_id)
    places = {(row.endpoint_id, row.service_id, row.region_id) for row in session.scalars(query)}
    parents = _parents(session)

    def named(row: EndpointRow) -> bool:
        if (row.id, NONE, NONE) in places or (NONE, row.service_id, NONE) in places:
            return True
        return any((NONE, row.service_id, region) in places for region in _upwards(parents, row.region_id))

    return [row for row in endpoints if named(row)]


def forget_services(session: Session, service_ids: Iterable[str]) -> None:
    session.execute(sa.delete(PolicyAssociation).where(PolicyAssociation.service_id.in_(list(service_ids))))


def forget_regions(session: Session, region_ids: Iterable[str]) -> None:
    session.execute(sa.delete(PolicyAssociation).where(PolicyAssociation.region_id.in_(list(region_ids))))


def _parents(session: Session) -> dict[str, str | None]:
    return {row.id: row.parent_region_id for row in session.execute(sa.select(Region.id, Region.parent_region_id))}


def _upwards(parents: dict[str, str | None], region_id: str | None) -> list[str]:
    """A region and those above it."""
    found: list[str] = []
    while region_id is not None and region_id not in found:
        found.append(region_id)
        region_id = parents.get(region_id)
    return found
