"""The resource types that metadata definitions are for, and which namespace is for which."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from onestack.core.clock import seconds
from onestack.core.errors import NotFound
from onestack.core.http import Request, Response
from onestack.image import metadef_schemas, metadefs
from onestack.image.models_metadefs import MetadefAssociation, MetadefResourceType


def index(req: Request) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        rows = session.scalars(sa.select(MetadefResourceType).order_by(MetadefResourceType.name))
        return {
            "resource_types": [
                {"name": row.name, "created_at": seconds(row.created_at), "updated_at": seconds(row.updated_at)}
                for row in rows
            ]
        }


def of_namespace(req: Request, namespace: str) -> dict[str, Any]:
    with req.cloud.db.read() as session:
        parent = metadefs.find(req, session, namespace, ("list_metadef_resource_types",))
        query = sa.select(MetadefAssociation).where(MetadefAssociation.namespace_id == parent.id)
        rows = session.scalars(query.order_by(MetadefAssociation.resource_type)).all()
        if not req.allows("get_metadef_resource_type", {"project_id": parent.owner, "visibility": parent.visibility}):
            rows = []
        return {"resource_type_associations": [metadefs.render_association(row) for row in rows]}


def create(req: Request, namespace: str) -> Response:
    metadef_schemas.validate(req.body, metadef_schemas.RESOURCE_TYPE)
    with req.cloud.db.write() as session:
        parent = metadefs.find(req, session, namespace, ("add_metadef_resource_type_association",))
        row = metadefs.add_association(session, parent, req.body, req.cloud.clock.now())
        return Response(metadefs.render_association(row), 201)


def delete(req: Request, namespace: str, resource_type: str) -> None:
    with req.cloud.db.write() as session:
        parent = metadefs.find(req, session, namespace, ("remove_metadef_resource_type_association",))
        row = session.get(MetadefAssociation, (parent.id, resource_type))
        if row is None:
            raise NotFound(f"Failed to find resource type {resource_type} to delete")
        metadefs.unprotected(parent, f"resource-type-association {resource_type}")
        session.delete(row)
