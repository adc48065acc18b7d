"""Which endpoints a project sees (OS-EP-FILTER): those that are its own, and those of its endpoint groups.

A project that has neither sees all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.config import Settings
from onestack.identity import catalog
from onestack.identity.catalog import EndpointRow
from onestack.identity.models_catalog import EndpointGroup, PolicyAssociation, ProjectEndpoint, ProjectEndpointGroup

FILTERS = ("service_id", "region_id", "interface")


def in_use(session: Session) -> bool:
    """Whether any project has a filter at all: most clouds have none, and their catalogs need no further look."""
    for column in (ProjectEndpoint.project_id, ProjectEndpointGroup.project_id):
        if session.execute(sa.select(column).limit(1)).first() is not None:
            return True
    return False


def matching(endpoints: Iterable[EndpointRow], filters: dict[str, Any]) -> list[EndpointRow]:
    """The endpoints that an endpoint group with these filters stands for."""
    return [row for row in endpoints if all(getattr(row, name) == value for name, value in filters.items())]


def groups_of(session: Session, project_id: str) -> list[EndpointGroup]:
    query = (
        sa.select(EndpointGroup)
        .join(ProjectEndpointGroup, ProjectEndpointGroup.endpoint_group_id == EndpointGroup.id)
        .where(ProjectEndpointGroup.project_id == project_id)
    )
    return list(session.scalars(query.order_by(EndpointGroup.name, EndpointGroup.id)))


def endpoints_of(session: Session, settings: Settings, project_id: str) -> list[EndpointRow]:
    """The endpoints that were given to a project, disabled ones too."""
    query = sa.select(ProjectEndpoint.endpoint_id).where(ProjectEndpoint.project_id == project_id)
    chosen = set(session.scalars(query))
    groups = groups_of(session, project_id)
    if not chosen and not groups:
        return []
    rows = catalog.endpoints(session, settings)
    for group in groups:
        chosen.update(row.id for row in matching(rows, group.filters))
    return [row for row in rows if row.id in chosen]


def forget_endpoints(session: Session, endpoint_ids: Iterable[str]) -> None:
    """What refers to endpoints that are removed goes with them."""
    ids = list(endpoint_ids)
    session.execute(sa.delete(ProjectEndpoint).where(ProjectEndpoint.endpoint_id.in_(ids)))
    session.execute(sa.delete(PolicyAssociation).where(PolicyAssociation.endpoint_id.in_(ids)))
