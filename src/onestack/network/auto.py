"""The network that a project gets by asking for `auto`: a network, a subnet and a router to the default external
network, made when first needed."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.network import attributes, errors, networks, objects, routers, subnets
from onestack.network.models import AutoTopology, Network, Router

CIDR = "10.0.0.0/24"  # tenants' networks may overlap, so everybody gets the same


def existing(session: Session, project_id: str) -> AutoTopology | None:
    return session.get(AutoTopology, project_id)


def check(session: Session) -> Network:
    """The default external network; 409 where there is none."""
    found = session.scalars(sa.select(Network).where(Network.external, Network.is_default)).first()
    if found is None:
        raise errors.conflict("AutoAllocationFailure", "Deployment error: No default router:external network.")
    return found


def ensure(session: Session, cloud: Cloud, ctx: Context, project_id: str) -> str:
    """The id of the project's auto-allocated network."""
    found = existing(session, project_id)
    if found is not None:
        return found.network_id
    external = check(session)
    network = networks.create(
        session, cloud, project_id, _values(networks.ATTRIBUTES, {"name": "auto_allocated_network"})
    )
    subnet = subnets.create(
        session, cloud, network, project_id,
        _values(
            subnets.ATTRIBUTES,
            {"name": "auto_allocated_subnet_v4", "network_id": network.id, "cidr": CIDR, "ip_version": 4},
        ),
    )  # fmt: skip
    router = routers.create(
        session, cloud, ctx, project_id,
        _values(
            routers.ATTRIBUTES,
            {"name": "auto_allocated_router", "external_gateway_info": {"network_id": external.id}},
        ),
    )  # fmt: skip
    routers.add_interface(session, cloud, ctx, router, {"subnet_id": subnet.id})
    session.add(AutoTopology(project_id=project_id, network_id=network.id, router_id=router.id))
    session.flush()
    return network.id


def _values(known: attributes.Attributes, sent: dict[str, Any]) -> dict[str, Any]:
    return attributes.read(known, sent, creating=True)


def remove(session: Session, cloud: Cloud, ctx: Context, project_id: str) -> None:
    """Take it away again; 409 while something else uses it."""
    found = existing(session, project_id)
    if found is None:
        return
    network_id, router_id = found.network_id, found.router_id
    session.delete(found)
    session.flush()
    router = session.get(Router, router_id) if router_id else None
    if router is not None:
        for subnet in objects.subnets_of(session, network_id):
            routers.remove_interface(session, cloud, ctx, router, {"subnet_id": subnet.id})
        routers.delete(session, cloud, router)
    network = session.get(Network, network_id)
    if network is not None:
        networks.delete(session, cloud, network)
