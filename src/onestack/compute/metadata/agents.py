"""The agents' part: the files of a config drive, and what a guest asks 169.254.169.254.

An agent gets only what its own hosts' servers may see.
"""

from __future__ import annotations

import os

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.compute.agentapi.auth import agent_in, hosts_of
from onestack.compute.metadata import answers, drive
from onestack.compute.metadata.facts import Facts, load
from onestack.compute.metadata.openstack import SEED_BYTES
from onestack.compute.models import Server
from onestack.core.errors import NotFound
from onestack.core.http import Request, Response
from onestack.network import public as network
from onestack.wire import ConfigDrive


def config_drive(req: Request, server_id: str) -> ConfigDrive:
    with req.cloud.db.read() as session:
        found = _on_hosts(session, server_id, hosts_of(session, agent_in(session, req)))
    if found is None:
        raise NotFound(f"No server {server_id} is bound to this host.")
    return ConfigDrive(files=drive.files(found, os.urandom(SEED_BYTES)))


def metadata(req: Request, network_id: str, address: str, path: str = "") -> Response:
    """What the guest with `address` in `network_id` is answered; the path is the rest of the guest's own."""
    accept = req.header("Accept") or ""
    with req.cloud.db.read() as session:
        hosts = hosts_of(session, agent_in(session, req))
        port = network.port_by_address(session, network_id, address)
        found = None if port is None else _on_hosts(session, port[1], hosts)
    if found is None:
        return answers.refusal(404, answers.NOT_FOUND, accept)
    return answers.answer(found, path, accept)


def _on_hosts(session: Session, server_id: str, hosts: list[str]) -> Facts | None:
    bound = sa.select(Server.id).where(Server.id == server_id, Server.host.in_(hosts))
    return load(session, server_id) if session.scalar(bound) is not None else None
