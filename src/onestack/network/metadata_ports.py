"""A network's metadata port: through it guests reach 169.254.169.254.

A network has one as long as DHCP is on in one of its IPv4 subnets, with an address in each of those. It belongs to
no host: every hypervisor that has a guest on the network has its own end of it.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Session

from onestack.core.cloud import Cloud
from onestack.core.errors import Conflict
from onestack.network import addresses, dirty, objects, ports
from onestack.network.models import Network, Port

OWNER = "network:distributed"


def ensure(session: Session, cloud: Cloud, network: Network) -> None:
    """Make the metadata port what the network's subnets ask for: there, with these addresses, or not there."""
    wanted = [s for s in objects.subnets_of(session, network.id, lock=True) if s.enable_dhcp and s.ip_version == 4]
    port = session.scalars(sa.select(Port).where(Port.network_id == network.id, Port.device_owner == OWNER)).first()
    if not wanted:
        if port is not None:
            ports.remove(session, cloud, [port.id])
            _tell(session, cloud, network.id)
        return
    mac = port.mac_address if port is not None else ports.new_mac(session, network.id)
    held = addresses.of_port(session, port.id) if port is not None else []
    given: list[addresses.Given] = []
    for subnet in wanted:
        try:
            given += addresses.assign(session, network.id, [{"subnet_id": subnet.id}], mac, OWNER, held)
        except Conflict:
            # A full subnet goes without: its guests still have the config drive.
            continue
    if not given:
        return
    if port is None:
        ports.insert(
            session, cloud, network, project_id=network.project_id, mac=mac, given=given, device_owner=OWNER,
            device_id=f"ovnmeta-{network.id}", port_security_enabled=False,
        )  # fmt: skip
    elif given != held:
        addresses.replace(session, port.id, network.id, given)
        objects.touch(cloud, port)
    else:
        return
    _tell(session, cloud, network.id)


def _tell(session: Session, cloud: Cloud, network_id: str) -> None:
    """The network's description holds the port, and the agents of its guests' hosts plug it."""
    dirty.note(session, cloud, "network", [network_id])
    hosts = session.scalars(sa.select(Port.host).where(Port.network_id == network_id, Port.host != "").distinct())
    dirty.note_hosts(session, cloud, hosts)
