"""From a ServerSpec to libvirt's domain XML (https://libvirt.org/formatdomain.html). Pure."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_lowercase

from onestack.agent import names
from onestack.agent.drivers.libvirt.shape import ALIAS, TAG
from onestack.wire import NicSpec, ServerSpec

# Under TCG: x86-64-v2, which today's distributions ask for, and without the vector units that are slow to emulate.
TCG_CPU = "Nehalem"
DISK_BUSES = frozenset({"virtio", "scsi", "ide", "sata", "usb"})
PREFIXES = {"virtio": "vd", "ide": "hd"}  # the others are sd
NIC_MODELS = frozenset({"virtio", "e1000", "e1000e", "rtl8139", "ne2k_pci", "pcnet", "vmxnet3"})
VIDEO_MODELS = frozenset({"vga", "cirrus", "vmvga", "qxl", "virtio", "bochs", "none"})
HOTPLUG_PORTS = 8  # of q35, whose root bus takes no hot-plug
OFFLOADS = ("csum", "tso4", "tso6", "ecn", "ufo")


@dataclass(frozen=True)
class LocalDisk:
    """A file that is a disk of the guest. `device` is "disk" or "cdrom"."""

    path: Path
    format: str
    bus: str
    device: str = "disk"


@dataclass(frozen=True)
class Host:
    """What of the domain depends on the host."""

    cloud_id: str
    virt_type: str  # kvm or qemu
    serial_socket: Path
    console_log: Path
    userspace_network: bool  # the datapath takes packets with whole checksums only
    cache: str = "none"  # "writeback" where the file system can't do O_DIRECT
    disks: list[LocalDisk] = field(default_factory=list)


def machine(spec: ServerSpec) -> str:
    """`pc` unless the image says otherwise."""
    return _properties(spec).get("hw_machine_type", "pc")


def is_q35(spec: ServerSpec) -> bool:
    return "q35" in machine(spec)


def domain(spec: ServerSpec, host: Host, mark: str) -> str:
    """The whole domain. `mark` is the id of the operation that it is made for."""
    root = ET.Element("domain", type=host.virt_type)
    _text(root, "name", names.domain(spec.id))
    _text(root, "uuid", spec.id)
    _text(root, "title", "".join(character for character in spec.name if character.isprintable()))
    ET.SubElement(ET.SubElement(root, "metadata"), TAG, cloud=host.cloud_id, operation=mark)
    _text(root, "memory", str(spec.memory_mb), unit="MiB")
    _text(root, "vcpu", str(spec.vcpus))
    _firmware(root, spec)
    _processor(root, spec, host)
    for event, action in (("poweroff", "destroy"), ("reboot", "restart"), ("crash", "destroy")):
        _text(root, f"on_{event}", action)
    pm = ET.SubElement(root, "pm")  # a guest that sleeps could not be woken through the API
    ET.SubElement(pm, "suspend-to-mem", enabled="no")
    ET.SubElement(pm, "suspend-to-disk", enabled="no")
    devices = ET.SubElement(root, "devices")
    _controllers(devices, spec, host)
    _disks(devices, host)
    for nic in spec.nics:
        devices.append(_interface(nic, host.userspace_network))
    _consoles(devices, spec, host)
    return ET.tostring(root, encoding="unicode")


def interface(nic: NicSpec, userspace: bool) -> str:
    """One interface alone, to attach it to a domain."""
    return ET.tostring(_interface(nic, userspace), encoding="unicode")


def _properties(spec: ServerSpec) -> dict[str, str]:
    return spec.image.properties if spec.image is not None else {}


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, tag, attributes).text = text


def _firmware(root: ET.Element, spec: ServerSpec) -> None:
    """The DMI names are those of Nova: cloud-init recognises the cloud by them."""
    system = ET.SubElement(ET.SubElement(root, "sysinfo", type="smbios"), "system")
    for name, value in (
        ("manufacturer", "OpenStack Foundation"),
        ("product", "OpenStack Nova"),
        ("version", "33.0.0"),
        ("serial", spec.id),
        ("uuid", spec.id),
        ("family", "Virtual Machine"),
    ):
        _text(system, "entry", value, name=name)
    os_element = ET.SubElement(root, "os")
    if _properties(spec).get("hw_firmware_type") == "uefi":
        os_element.set("firmware", "efi")
    _text(os_element, "type", "hvm", arch="x86_64", machine=machine(spec))
    ET.SubElement(os_element, "boot", dev="hd")
    ET.SubElement(os_element, "smbios", mode="sysinfo")
    features = ET.SubElement(root, "features")
    ET.SubElement(features, "acpi")
    ET.SubElement(features, "apic")


def _processor(root: ET.Element, spec: ServerSpec, host: Host) -> None:
    if host.virt_type == "kvm":
        cpu = ET.SubElement(root, "cpu", mode="host-model", check="partial")
    else:
        cpu = ET.SubElement(root, "cpu", mode="custom", match="exact", check="none")
        _text(cpu, "model", TCG_CPU, fallback="allow")
    ET.SubElement(cpu, "topology", sockets=str(spec.vcpus), cores="1", threads="1")
    windows = _properties(spec).get("os_type") == "windows"
    clock = ET.SubElement(root, "clock", offset="localtime" if windows else "utc")
    ET.SubElement(clock, "timer", name="pit", tickpolicy="delay")
    ET.SubElement(clock, "timer", name="rtc", tickpolicy="catchup")
    ET.SubElement(clock, "timer", name="hpet", present="no")


def _controllers(devices: ET.Element, spec: ServerSpec, host: Host) -> None:
    if is_q35(spec):
        ET.SubElement(devices, "controller", type="pci", index="0", model="pcie-root")
        for number in range(len(spec.nics) + len(host.disks) + HOTPLUG_PORTS):
            ET.SubElement(devices, "controller", type="pci", index=str(number + 1), model="pcie-root-port")
    if any(disk.bus == "scsi" for disk in host.disks):
        ET.SubElement(devices, "controller", type="scsi", index="0", model="virtio-scsi")
    tablet = _properties(spec).get("hw_pointer_model") == "usbtablet"
    if tablet:
        ET.SubElement(devices, "input", type="tablet", bus="usb")
    elif not any(disk.bus == "usb" for disk in host.disks):  # its polling costs an idle guest processor time
        ET.SubElement(devices, "controller", type="usb", model="none")


def _disks(devices: ET.Element, host: Host) -> None:
    counts: dict[str, int] = {}
    for disk in host.disks:
        bus = disk.bus if disk.bus in DISK_BUSES else "virtio"
        prefix = PREFIXES.get(bus, "sd")
        letter = ascii_lowercase[counts.get(prefix, 0)]
        counts[prefix] = counts.get(prefix, 0) + 1
        element = ET.SubElement(devices, "disk", type="file", device=disk.device)
        driver = ET.SubElement(element, "driver", name="qemu", type=disk.format, cache=host.cache)
        ET.SubElement(element, "source", file=str(disk.path))
        ET.SubElement(element, "target", dev=prefix + letter, bus=bus)
        if disk.device == "cdrom":
            ET.SubElement(element, "readonly")
        else:
            driver.set("discard", "unmap")


def _interface(nic: NicSpec, userspace: bool) -> ET.Element:
    model = nic.model if nic.model in NIC_MODELS else "virtio"
    element = ET.Element("interface", type="ethernet")
    ET.SubElement(element, "mac", address=nic.mac)
    ET.SubElement(element, "target", dev=names.tap(nic.port_id), managed="no")
    ET.SubElement(element, "model", type=model)
    if model == "virtio":
        ET.SubElement(element, "mtu", size=str(nic.mtu))
        if userspace:
            driver = ET.SubElement(element, "driver", name="qemu")
            ET.SubElement(driver, "host", {**dict.fromkeys(OFFLOADS, "off"), "gso": "off"})
            ET.SubElement(driver, "guest", dict.fromkeys(OFFLOADS, "off"))
    ET.SubElement(element, "alias", name=ALIAS + names.checked(nic.port_id))
    ET.SubElement(element, "rom", enabled="no")  # no PXE: it would only make each boot slower
    return element


def _consoles(devices: ET.Element, spec: ServerSpec, host: Host) -> None:
    serial = ET.SubElement(devices, "serial", type="unix")
    ET.SubElement(serial, "source", mode="bind", path=str(host.serial_socket))
    ET.SubElement(serial, "log", file=str(host.console_log), append="off")
    ET.SubElement(serial, "target", type="isa-serial", port="0")
    video = _properties(spec).get("hw_video_model", "virtio")
    if video != "none":
        ET.SubElement(ET.SubElement(devices, "graphics", type="vnc"), "listen", type="socket")
    ET.SubElement(ET.SubElement(devices, "video"), "model", type=video if video in VIDEO_MODELS else "virtio")
    ET.SubElement(ET.SubElement(devices, "memballoon", model="virtio"), "stats", period="10")
    rng = ET.SubElement(devices, "rng", model="virtio")
    _text(rng, "backend", "/dev/urandom", model="random")
