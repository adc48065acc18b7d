"""A server's taps on the integration bridge: made before the domain starts, gone when it is deleted."""

from __future__ import annotations

import time
from collections.abc import Iterable

from onestack.agent import names, taps
from onestack.agent.drivers.base import StepFailed, Unavailable
from onestack.agent.ovs import OpenVSwitch
from onestack.wire import NicSpec, ServerSpec

MODE_SECONDS = 60.0  # how long the answer "packets move in user space" is believed


class Plugging:
    """All methods raise Unavailable while Open vSwitch is away."""

    def __init__(self, ovs: OpenVSwitch, cloud_id: str) -> None:
        self._ovs = ovs
        self._cloud_id = cloud_id
        self._userspace = False
        self._asked = float("-inf")

    def userspace(self) -> bool:
        if time.monotonic() - self._asked > MODE_SECONDS:
            self._userspace = self._ovs.userspace()
            self._asked = time.monotonic()
        return self._userspace

    def owner(self, server_id: str) -> str:
        """The alias of a server's taps."""
        return f"onestack {self._cloud_id} {server_id}"

    def plug(self, server_id: str, nic: NicSpec) -> None:
        device = names.tap(nic.port_id)
        try:
            taps.ensure(device, nic.mtu, self.owner(server_id))
        except OSError as error:
            raise StepFailed(
                f"The host could not make the network device of port {nic.port_id}. The operator must check that "
                "/dev/net/tun can be used.",
                f"{device}: {error}",
            ) from error
        self._ovs.plug(
            device,
            {
                "iface-id": nic.port_id,
                "iface-status": "active",
                "attached-mac": nic.mac,
                "vm-uuid": server_id,
                "onestack-cloud": self._cloud_id,
            },
        )

    def unplug(self, devices: list[str]) -> None:
        """The device goes first: if we die here, the bridge's row still says whose it was."""
        for device in devices:
            try:
                taps.remove(device)
            except OSError as error:
                raise Unavailable(f"The network device {device} cannot be removed yet ({error}).") from error
        self._ovs.unplug(devices)

    def unplug_from_bridge(self, device: str) -> None:
        """Cut a port off while the guest still holds the device."""
        self._ovs.unplug([device])

    def missing(self, spec: ServerSpec) -> frozenset[str]:
        """Ports of the spec that are on no bridge."""
        interfaces = self._ovs.interfaces()
        plugged = {row.external_ids.get("iface-id") for row in interfaces.values()}
        return frozenset(nic.port_id for nic in spec.nics if nic.port_id not in plugged)

    def strays(self, spec: ServerSpec, has: Iterable[str]) -> list[str]:
        """Devices of the server whose port is neither in the spec nor one that the domain `has`."""
        kept = {names.tap(port) for port in {*has, *(nic.port_id for nic in spec.nics)}}
        return [device for device in self.devices(spec.id, fresh=False) if device not in kept]

    def devices(self, server_id: str, *, fresh: bool = True) -> list[str]:
        """Every device of the server that the kernel or the bridge still knows."""
        found = {
            row.name
            for row in self._ovs.interfaces(fresh=fresh).values()
            if row.external_ids.get("vm-uuid") == server_id and row.external_ids.get("onestack-cloud") == self._cloud_id
        }
        return sorted(found.union(taps.owned(self.owner(server_id))))
