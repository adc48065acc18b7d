"""169.254.169.254 for the guests of this host: one namespace, a device for each network, no process of its own.

Each network's OVN localport is a veth whose inner end lives in the namespace `onestack-md-<cloud>`. A thread enters
that namespace and listens on each inner end with SO_BINDTODEVICE, so two tenants with the same addresses are told
apart: the device says which network, the peer's address says which port. What is asked is passed on to the server.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable
from pathlib import Path

from onestack.agent.client import Client
from onestack.agent.drivers.base import Unavailable
from onestack.agent.metadata_http import Listeners
from onestack.agent.names import checked
from onestack.agent.ovs import OpenVSwitch
from onestack.agent.programs import ProgramFailed, run
from onestack.agent.taps import NET
from onestack.wire import NetworkSpec

log = logging.getLogger(__name__)

ADDRESS = "169.254.169.254"


class Metadata:
    """`ensure` may be called from any thread, as often as wanted. Raises Unavailable."""

    def __init__(self, ovs: OpenVSwitch, cloud_id: str, client: Client) -> None:
        self._ovs = ovs
        self._cloud_id = cloud_id
        self.namespace = f"onestack-md-{cloud_id[:8]}"
        self._listeners = Listeners(self.namespace, client)
        self._plugged: dict[str, NetworkSpec] = {}
        self._lock = threading.Lock()

    def stop(self) -> None:
        self._listeners.stop()

    def ensure(self, specs: Iterable[NetworkSpec]) -> None:
        """These networks and no others have a device."""
        wanted = {spec.id: spec for spec in specs}
        with self._lock:
            try:
                found = self._found()
                for network_id, device in found.items():
                    if network_id not in wanted:
                        self._remove(network_id, device)
                if not wanted:
                    self._remove_namespace()
                elif not self._plugged:
                    self._make_namespace()
                for spec in wanted.values():
                    if self._plugged.get(spec.id) != spec or spec.id not in found or not _exists(spec):
                        self._plug(spec)
            except ProgramFailed as error:
                raise Unavailable(f"The host's metadata devices cannot be set up ({error}).") from error

    def _found(self) -> dict[str, str]:
        """Network id → outer device, of what is on the bridge already."""
        return {
            row.external_ids["onestack-metadata"]: row.name
            for row in self._ovs.interfaces(fresh=True).values()
            if row.external_ids.get("onestack-cloud") == self._cloud_id and "onestack-metadata" in row.external_ids
        }

    def _make_namespace(self) -> None:
        """Ours alone: devices of an earlier agent in it are used again."""
        names = [entry.get("name") for entry in json.loads(run(["ip", "-json", "netns", "list"]) or "[]")]
        if self.namespace not in names:
            run(["ip", "netns", "add", self.namespace])
        run(["ip", "-n", self.namespace, "link", "set", "lo", "up"])
        self._listeners.start()

    def _remove_namespace(self) -> None:
        if Path("/run/netns", self.namespace).exists():
            self._listeners.stop()
            run(["ip", "netns", "delete", self.namespace])

    def _plug(self, spec: NetworkSpec) -> None:
        outer, inner = devices(spec)
        if not (NET / outer).exists():
            peer = ["peer", "name", inner, "netns", self.namespace]
            run(["ip", "link", "add", outer, "mtu", str(spec.mtu), "type", "veth", *peer])
        run(["ip", "link", "set", outer, "mtu", str(spec.mtu), "up"])
        inside = ["ip", "-n", self.namespace]
        run([*inside, "link", "set", inner, "address", spec.mac, "mtu", str(spec.mtu), "up"])
        run([*inside, "addr", "flush", "dev", inner])
        for address in (ADDRESS, *(address.split("/")[0] for address in spec.addresses)):
            run([*inside, "addr", "replace", f"{address}/32", "dev", inner])
        # Only sockets that are bound to the device use this route; each needs a metric of its own.
        metric = str(int(spec.metadata_port_id[:7], 16) + 1)
        run([*inside, "route", "replace", "default", "dev", inner, "metric", metric])
        ids = {"iface-id": spec.metadata_port_id, "onestack-metadata": spec.id, "onestack-cloud": self._cloud_id}
        self._ovs.plug(outer, ids)
        self._listeners.add(inner, checked(spec.id))
        self._plugged[spec.id] = spec

    def _remove(self, network_id: str, outer: str) -> None:
        self._listeners.remove(network_id)
        if (NET / outer).exists():
            run(["ip", "link", "delete", outer])
        self._ovs.unplug([outer])
        self._plugged.pop(network_id, None)


def devices(spec: NetworkSpec) -> tuple[str, str]:
    """(on the bridge, in the namespace)."""
    port = checked(spec.metadata_port_id)[:11]
    return f"mdo{port}", f"mdi{port}"


def _exists(spec: NetworkSpec) -> bool:
    return (NET / devices(spec)[0]).exists()
