"""What an agent is told of its servers: wire.ServerSpec, made from rows. A constant number of queries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute import nics
from onestack.compute.models import Server, Stray
from onestack.core.operations import Operation
from onestack.wire import Desired, DiskSpec, ImageSpec, NicSpec, OperationSpec, ServerSpec


def specs(session: Session, hostnames: Sequence[str], after: dict[str, int] | None) -> list[ServerSpec]:
    """The servers bound to `hostnames`; those that changed after the hosts' revisions, or all (`after` None)."""
    query = sa.select(Server).where(Server.deleted_at.is_(None))
    strays = sa.select(Stray)
    if after is None:
        query = query.where(Server.host.in_(hostnames))
        strays = strays.where(Stray.hostname.in_(hostnames))
    else:
        newer = [sa.and_(Server.host == name, Server.revision > number) for name, number in after.items()]
        query = query.where(sa.or_(sa.false(), *newer))
        newer = [sa.and_(Stray.hostname == name, Stray.revision > number) for name, number in after.items()]
        strays = strays.where(sa.or_(sa.false(), *newer))
    rows = list(session.scalars(query))
    ids = [row.id for row in rows]
    found = nics.of(session, ids)
    owed = unfinished(session, ids)
    result = [spec(row, owed.get(row.id), found.get(row.id, [])) for row in rows]
    result += [
        ServerSpec(id=row.server_id, revision=row.revision, name="", desired="absent", host=row.hostname)
        for row in session.scalars(strays)
    ]
    return result


def unfinished(session: Session, server_ids: Iterable[str]) -> dict[str, Operation]:
    """Server id → its unfinished operation."""
    query = sa.select(Operation).where(Operation.object_id.in_(list(server_ids)), Operation.finished_at.is_(None))
    return {row.object_id: row for row in session.scalars(query)}


def spec(server: Server, operation: Operation | None, ports: list[nics.Nic]) -> ServerSpec:
    properties: dict[str, Any] = (server.image or {}).get("properties", {})
    return ServerSpec(
        id=server.id,
        revision=server.revision,
        name=server.name,
        desired=cast(Desired, server.desired),
        project_id=server.project_id,
        user_id=server.user_id,
        host=server.host or "",
        hostname=server.hostname,
        operation=None if operation is None else OperationSpec(
            id=operation.id, action=operation.action, args=operation.args, request_id=operation.request_id
        ),
        vcpus=server.vcpus,
        memory_mb=server.ram,
        image=None if server.image is None else msgspec.convert(server.image, ImageSpec),
        disks=disks(server, properties.get("hw_disk_bus", "virtio")),
        nics=[
            NicSpec(port_id=nic.port_id, mac=nic.mac, network_id=nic.network_id, mtu=nic.mtu,
                    model=properties.get("hw_vif_model", "virtio"))
            for nic in ports
        ],
        config_drive=server.config_drive,
        flavor_name=server.flavor_name,
        extra_specs=server.extra_specs,
        metadata=server.meta,
    )  # fmt: skip


def disks(server: Server, bus: str) -> list[DiskSpec]:
    found = [DiskSpec(kind="root", index=0, size_gb=server.disk, bus=bus)]
    if server.ephemeral:
        found.append(DiskSpec(kind="ephemeral", index=len(found), size_gb=server.ephemeral, bus=bus))
    if server.swap:
        found.append(DiskSpec(kind="swap", index=len(found), size_mb=server.swap, bus=bus))
    return found
