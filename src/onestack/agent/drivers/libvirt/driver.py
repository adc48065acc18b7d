"""Runs the steps of a plan with libvirt, qemu-img and Open vSwitch."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import libvirt
import msgspec

from onestack.agent import host, names, taps
from onestack.agent.client import Away, Client
from onestack.agent.drivers.base import Context, Observed, Step, StepFailed, Unavailable
from onestack.agent.drivers.libvirt import copies, figures, shape, xml
from onestack.agent.drivers.libvirt.connection import Connection, translated
from onestack.agent.drivers.libvirt.consoles import console_output, console_socket
from onestack.agent.drivers.libvirt.disks import Disks
from onestack.agent.drivers.libvirt.images import ImageCache
from onestack.agent.drivers.libvirt.plugging import Plugging
from onestack.agent.metadata import Metadata
from onestack.agent.ovs import OpenVSwitch
from onestack.agent.snapshots import Delivery
from onestack.wire import ConfigDrive, DriveFile, HostReport, NetworkSpec, Power, ServerSpec

log = logging.getLogger(__name__)

POWER: dict[int, Power] = {
    libvirt.VIR_DOMAIN_RUNNING: "running",
    libvirt.VIR_DOMAIN_BLOCKED: "running",
    libvirt.VIR_DOMAIN_PAUSED: "paused",
    libvirt.VIR_DOMAIN_SHUTDOWN: "running",  # shutting down, but not off yet
    libvirt.VIR_DOMAIN_SHUTOFF: "shutdown",
    libvirt.VIR_DOMAIN_CRASHED: "crashed",
    libvirt.VIR_DOMAIN_PMSUSPENDED: "paused",
}
BOTH = libvirt.VIR_DOMAIN_AFFECT_LIVE | libvirt.VIR_DOMAIN_AFFECT_CONFIG
DETACH_SECONDS, DETACH_AGAIN_SECONDS = 60.0, 5.0  # a guest that still boots does not hear the first request
RUN = Path("/run/onestack")


class LibvirtDriver:
    def __init__(
        self,
        *,
        root: Path,
        hostname: str,
        virt_type: str,
        client: Client,
        cloud_id: str,
        ovsdb: str,
        bridge: str,
        uri: str,
    ) -> None:
        self.cloud_id = cloud_id
        self._hostname = hostname
        self._virt_type = virt_type
        self._client = client
        self._connection = Connection(uri)
        self._instances = root / "instances"
        self._cache = root / "cache"
        self._sockets = RUN / cloud_id[:8]  # short: a unix socket's path has at most 107 bytes
        self.disks = Disks(self._instances)
        self.images = ImageCache(self._cache, self._instances, client)
        self._delivery = Delivery(client)
        ovs = OpenVSwitch(ovsdb, bridge)
        self.plugging = Plugging(ovs, cloud_id)
        self.metadata = Metadata(ovs, cloud_id, client)
        self._asked: dict[str, float] = {}  # server or port id → when the guest was first asked
        self._lock = threading.Lock()

    def start(self, changed: Callable[[str], None]) -> None:
        for directory in (self._instances, self._cache, self._sockets):
            directory.mkdir(mode=0o710, parents=True, exist_ok=True)
        self._connection.start(changed)

    def stop(self) -> None:
        self._connection.stop()
        self.metadata.stop()
        with contextlib.suppress(OSError):  # a guest's socket is in it
            self._sockets.rmdir()

    # -- looking ------------------------------------------------------------------------------------------

    def hosts(self) -> list[HostReport]:
        connection = self._connection.get()
        self._let_qemu_in(connection)
        with translated("describe itself"):
            found = self._ours(connection)
            running = sum(domain.isActive() for domain in found)
            version, cpu_info = connection.getVersion(), figures.cpu_info(connection.getCapabilities())
        memory, memory_used = host.memory_mb()
        disk, disk_used, disk_free = host.disk_gb(self._instances)
        return [
            HostReport(
                hostname=self._hostname,
                hypervisor_type="QEMU",
                virt_type="kvm" if self._virt_type == "kvm" else "qemu",
                hypervisor_version=version,
                vcpus=host.vcpus(),
                memory_mb=memory,
                disk_gb=disk,
                memory_used_mb=memory_used,
                disk_used_gb=disk_used,
                disk_free_gb=disk_free,
                cpu_info=cpu_info,
                host_ip=host.address(),
                boot_id=host.boot_id(),
                running_vms=running,
                servers=[domain.UUIDString() for domain in found],
            )
        ]

    def _let_qemu_in(self, connection: libvirt.virConnect) -> None:
        """QEMU's group may pass through the directories of disks; nobody else."""
        with translated("find out which user QEMU runs as"):
            group = figures.qemu_group(connection.getCapabilities())
        for directory in (self._instances, self._cache):
            if directory.stat().st_gid != group:
                os.chown(directory, 0, group)

    def _ours(self, connection: libvirt.virConnect) -> list[libvirt.virDomain]:
        return [domain for domain in connection.listAllDomains(0) if self._is_ours(domain)]

    def _is_ours(self, domain: libvirt.virDomain) -> bool:
        if not domain.name().startswith("instance-"):
            return False
        try:
            element = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, shape.NAMESPACE)
        except libvirt.libvirtError:  # it has none, or it is gone
            return False
        return f'cloud="{self.cloud_id}"' in element.replace("'", '"')

    def found(self) -> list[str]:
        connection = self._connection.get()
        with translated("list its servers"):
            return [domain.UUIDString() for domain in self._ours(connection)]

    def _domain(self, server_id: str) -> libvirt.virDomain | None:
        """The server's domain, or None. Raises StepFailed if it is somebody else's."""
        connection = self._connection.get()
        try:
            domain = connection.lookupByUUIDString(names.checked(server_id))
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return None
            with translated("look for the server"):
                raise
        with translated("look at the server"):
            if not self._is_ours(domain):
                raise StepFailed(f"The host has a virtual machine {server_id} that does not belong to this cloud.")
        return domain

    def _must(self, server_id: str) -> libvirt.virDomain:
        domain = self._domain(server_id)
        if domain is None:
            raise Unavailable(f"The virtual machine of server {server_id} vanished from the host.")
        return domain

    def observe(self, spec: ServerSpec) -> Observed:
        domain = self._domain(spec.id)
        disks = self.disks.complete(spec)
        if domain is None:
            return Observed(disks=disks, leftovers=self._leftovers(spec), **self._copies(spec))
        with translated("look at the server"):
            state, reason = domain.state(0)
            power = POWER.get(state, "running")
            if state == libvirt.VIR_DOMAIN_PAUSED and reason == libvirt.VIR_DOMAIN_PAUSED_STARTING_UP:
                raise Unavailable("The virtual machine is just being started.")
            if power == "shutdown" and domain.hasManagedSaveImage(0):
                power = "suspended"
            found = shape.read(domain.XMLDesc(0))
        if power != "running":
            self._forget(spec.id)
        return Observed(
            **self._copies(spec),
            power=power,
            disks=disks,
            leftovers=True,
            nics=frozenset(found.nics),
            unplugged=self.plugging.missing(spec) if spec.nics and spec.desired != "absent" else frozenset(),
            strays=spec.desired != "absent" and bool(self.plugging.strays(spec, found.nics)),
            mark=found.mark,
            asked=self._asked.get(spec.id),
        )

    def _copies(self, spec: ServerSpec) -> dict[str, Any]:
        """What Observed says of copies of the root disk."""
        directory, operation = self.disks.directory(spec.id), spec.operation
        found = copies.of(directory)
        return {
            "copies": bool(found),
            "copied": operation is not None and copies.path(directory, operation.id) in found,
            "delivered": operation is not None and self._delivery.over(operation.id),
        }

    def _leftovers(self, spec: ServerSpec) -> bool:
        if self.disks.directory(spec.id).exists() or taps.owned(self.plugging.owner(spec.id)):
            return True
        return spec.desired == "absent" and bool(self.plugging.devices(spec.id))

    # -- doing --------------------------------------------------------------------------------------------

    def run(self, step: Step, context: Context) -> float:
        action = cast(Callable[[Step, Context], float | None], getattr(self, f"_step_{step.name}"))
        return action(step, context) or 0.0

    def _step_fetch_image(self, step: Step, context: Context) -> float:
        assert context.spec.image is not None
        return self.images.ensure(context.spec.image, context.cancelled)

    def _step_create_disks(self, step: Step, context: Context) -> None:
        spec = context.spec
        base = self.images.path(spec.image) if spec.image is not None else None
        self.disks.ensure(spec, base, functools.partial(self._drive, spec.id))

    def _drive(self, server_id: str) -> list[DriveFile]:
        try:
            status, content = self._client.once("GET", f"/v1/servers/{server_id}/config-drive")
        except Away as error:
            raise Unavailable(f"The config drive cannot be read from the server now ({error}).") from error
        if status >= 500:
            raise Unavailable(f"The config drive cannot be read from the server now (it answers {status}).")
        if status != 200:
            raise StepFailed("The server has no config drive any more.", f"status {status}")
        return msgspec.json.decode(content, type=ConfigDrive).files

    def _step_plug_interfaces(self, step: Step, context: Context) -> None:
        for nic in context.spec.nics:
            self.plugging.plug(context.spec.id, nic)

    def _step_define(self, step: Step, context: Context) -> None:
        spec = context.spec
        self._sockets.mkdir(mode=0o710, parents=True, exist_ok=True)
        text = xml.domain(
            spec,
            xml.Host(
                cloud_id=self.cloud_id,
                virt_type=self._virt_type,
                serial_socket=self._serial_socket(spec.id),
                console_log=self.disks.directory(spec.id) / "console.log",
                userspace_network=bool(spec.nics) and self.plugging.userspace(),
                cache="none" if _direct_io(self._instances) else "writeback",
                disks=self.disks.layout(spec),
            ),
            mark=spec.operation.id if spec.operation else "",
        )
        connection = self._connection.get()
        with translated("define the virtual machine"):
            connection.defineXMLFlags(text, libvirt.VIR_DOMAIN_DEFINE_VALIDATE)

    def _serial_socket(self, server_id: str) -> Path:
        return self._sockets / f"{names.checked(server_id)}.serial"

    def _step_start(self, step: Step, context: Context) -> None:
        self._sockets.mkdir(mode=0o710, parents=True, exist_ok=True)  # /run is empty after a boot
        self._forget(context.spec.id)
        domain = self._must(context.spec.id)
        with translated("start the virtual machine"):
            if not domain.isActive():
                domain.create()

    def _step_pause(self, step: Step, context: Context) -> None:
        with translated("pause the virtual machine"):
            self._must(context.spec.id).suspend()

    def _step_unpause(self, step: Step, context: Context) -> None:
        with translated("resume the virtual machine"):
            self._must(context.spec.id).resume()

    def _step_suspend(self, step: Step, context: Context) -> None:
        with translated("save the virtual machine's memory"):
            self._must(context.spec.id).managedSave(0)

    def _step_discard_saved_state(self, step: Step, context: Context) -> None:
        domain = self._must(context.spec.id)
        with translated("discard the saved memory"):
            if domain.hasManagedSaveImage(0):
                domain.managedSaveRemove(0)

    def _step_shutdown(self, step: Step, context: Context) -> None:
        """Press the power button; whether the guest obeys is seen later."""
        with self._lock:
            self._asked.setdefault(context.spec.id, time.monotonic())
        domain = self._must(context.spec.id)
        with translated("ask the guest to shut down"):
            domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)

    def _step_destroy(self, step: Step, context: Context) -> None:
        self._forget(context.spec.id)
        domain = self._domain(context.spec.id)
        if domain is None:
            return
        with translated("stop the virtual machine"):
            if domain.isActive():
                domain.destroy()

    def _step_undefine(self, step: Step, context: Context) -> None:
        domain = self._domain(context.spec.id)
        if domain is not None:
            with translated("remove the virtual machine"):
                domain.undefineFlags(
                    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
                    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
                    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
                    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
                )
        self._serial_socket(context.spec.id).unlink(missing_ok=True)
        Path(f"/var/log/libvirt/qemu/{names.domain(context.spec.id)}.log").unlink(missing_ok=True)

    def _step_unplug_interfaces(self, step: Step, context: Context) -> None:
        self.plugging.unplug(self.plugging.devices(context.spec.id))

    def _step_unplug_strays(self, step: Step, context: Context) -> None:
        """Looks again: what the domain has by now stays."""
        domain = self._must(context.spec.id)
        with translated("look at its interfaces"):
            has = shape.read(domain.XMLDesc(0)).nics
        self.plugging.unplug(self.plugging.strays(context.spec, has))

    def _step_delete_disks(self, step: Step, context: Context) -> None:
        self.disks.remove(context.spec.id)

    def _step_copy_disk(self, step: Step, context: Context) -> float:
        spec = context.spec
        assert spec.operation is not None
        target = copies.path(self.disks.directory(spec.id), spec.operation.id)
        disk = next(disk.path for disk in self.disks.layout(spec))
        domain = self._domain(spec.id)
        if domain is not None:
            self._check_quiet(spec, domain)
        if not copies.begun(target) and not self._delivery.wanted(spec.operation.id):
            return 0.0
        base = copies.Base(self.images.path(spec.image), spec.image.disk_format) if spec.image is not None else None
        return copies.make(domain, disk, base, target, context.cancelled)

    def _check_quiet(self, spec: ServerSpec, domain: libvirt.virDomain) -> None:
        """Raises StepFailed when the guest runs, and its image asks for file systems that are at rest in a copy."""
        asked = spec.image.properties.get("os_require_quiesce", "") if spec.image is not None else ""
        with translated(copies.WHAT):
            if asked.lower() in ("yes", "true", "on", "1") and domain.isActive():
                raise StepFailed("QEMU guest agent is not enabled, and the image of the server requires it to be.")

    def _step_upload_image(self, step: Step, context: Context) -> None:
        spec = context.spec
        assert spec.operation is not None
        target = copies.path(self.disks.directory(spec.id), spec.operation.id)
        self._delivery.send(spec.operation.id, target, context.cancelled)

    def _step_discard_copy(self, step: Step, context: Context) -> None:
        copies.discard(self._domain(context.spec.id), self.disks.directory(context.spec.id))

    def _step_attach_interface(self, step: Step, context: Context) -> None:
        nic = next(nic for nic in context.spec.nics if nic.port_id == step.port_id)
        self.plugging.plug(context.spec.id, nic)
        domain = self._must(context.spec.id)
        with translated(f"attach port {nic.port_id}"):
            flags = BOTH if domain.isActive() else libvirt.VIR_DOMAIN_AFFECT_CONFIG
            domain.attachDeviceFlags(xml.interface(nic, self.plugging.userspace()), flags)

    def _step_detach_interface(self, step: Step, context: Context) -> float:
        """Off the network at once, then out of the guest: 0 when the guest has let go of it."""
        port = step.port_id
        self.plugging.unplug_from_bridge(names.tap(port))
        domain = self._must(context.spec.id)
        with translated(f"detach port {port}"):
            for flag, inactive in (
                (libvirt.VIR_DOMAIN_AFFECT_CONFIG, libvirt.VIR_DOMAIN_XML_INACTIVE),
                (libvirt.VIR_DOMAIN_AFFECT_LIVE, 0),
            ):
                if flag == libvirt.VIR_DOMAIN_AFFECT_LIVE and not domain.isActive():
                    continue
                element = shape.interface(domain.XMLDesc(inactive), port)
                if element:
                    self._detach(domain, element, flag)
            gone = not domain.isActive() or not shape.interface(domain.XMLDesc(0), port)
        if gone:
            self._forget(port)
            self.plugging.unplug([names.tap(port)])
            return 0.0
        with self._lock:
            began = self._asked.setdefault(port, time.monotonic())
        if time.monotonic() - began > DETACH_SECONDS:
            self._forget(port)
            raise StepFailed(
                f"The guest did not let go of port {port}. It has lost its network already; reboot the server (hard) "
                "to remove the interface itself."
            )
        return DETACH_AGAIN_SECONDS

    def _detach(self, domain: libvirt.virDomain, element: str, flag: int) -> None:
        """A request that is still under way is no error."""
        try:
            domain.detachDeviceFlags(element, flag)
        except libvirt.libvirtError as error:
            if "already in the process of unplug" not in str(error):
                raise

    def _forget(self, key: str) -> None:
        with self._lock:
            self._asked.pop(key, None)

    # -- the rest of the contract -------------------------------------------------------------------------

    def networks(self, specs: Iterable[NetworkSpec]) -> None:
        self.metadata.ensure(list(specs))

    def tidy(self) -> None:
        self.images.tidy(time.time())

    def console_output(self, server_id: str, length: int) -> str:
        return console_output(list(self.disks.console_logs(server_id)), length)

    def console_socket(self, server_id: str, kind: str) -> str:
        with translated("open the console"):
            return console_socket(self._domain(server_id), kind)

    def diagnostics(self, server_id: str) -> dict[str, Any]:
        with translated("read its figures"):
            return figures.diagnostics(
                self._connection.get(),
                self._domain(server_id),
                config_drive=(self.disks.directory(server_id) / "disk.config").exists(),
            )


@functools.cache
def _direct_io(directory: Path) -> bool:
    """Whether the file system can do O_DIRECT, which `cache=none` needs."""
    probe = directory / f".direct-io-{os.getpid()}"
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_WRONLY | os.O_DIRECT, 0o600))
        return True
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)
