"""The domain's XML: what of the spec must be found in it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from onestack.agent.drivers.libvirt import shape, xml
from onestack.wire import ImageSpec, NicSpec, ServerSpec

ID = "5f4a1c5e-8a4e-4b0e-9b6b-2a1f0a6f3c11"
PORT = "0b1c2d3e-4f50-4162-8394-a5b6c7d8e9f0"
CLOUD = "11111111-2222-4333-8444-555555555555"


def server(properties: dict[str, str] | None = None, **changes) -> ServerSpec:
    image = ImageSpec(
        id=ID, disk_format="raw", size=1, virtual_size=1, os_hash_algo="", os_hash_value="", properties=properties or {}
    )
    nic = NicSpec(port_id=PORT, mac="fa:16:3e:00:00:01", network_id=ID, mtu=1442)
    values = {"name": "vm", "vcpus": 2, "memory_mb": 512, "image": image, "nics": [nic], **changes}
    return ServerSpec(id=ID, revision=1, desired="running", **values)


def make(spec: ServerSpec, **changes) -> ET.Element:
    host = xml.Host(
        **{
            "cloud_id": CLOUD,
            "virt_type": "qemu",
            "serial_socket": Path("/run/onestack/x.serial"),
            "console_log": Path("/state/instances/x/console.log"),
            "userspace_network": False,
            "disks": [xml.LocalDisk(Path("/state/instances/x/disk"), "qcow2", "virtio")],
            **changes,
        }
    )
    return ET.fromstring(xml.domain(spec, host, mark="op"))


def attribute(root: ET.Element, path: str, name: str) -> str | None:
    element = root.find(path)
    assert element is not None, path
    return element.get(name)


def test_what_is_written_is_read_again() -> None:
    found = shape.read(ET.tostring(make(server()), encoding="unicode"))
    assert (found.cloud, found.mark, found.nics) == (CLOUD, "op", {PORT: "tap0b1c2d3e-4f"})
    assert found.serial_socket == "/run/onestack/x.serial"
    assert shape.interface(ET.tostring(make(server()), encoding="unicode"), PORT)
    assert not shape.interface(ET.tostring(make(server()), encoding="unicode"), ID)


def test_flavor_and_identity() -> None:
    root = make(server())
    assert root.get("type") == "qemu"
    assert root.findtext("name") == f"instance-{ID}"
    assert root.findtext("uuid") == ID
    assert (root.findtext("vcpu"), root.findtext("memory")) == ("2", "512")
    assert root.findtext("sysinfo/system/entry[@name='product']") == "OpenStack Nova"


def test_kvm_shows_the_host_processor_and_tcg_does_not() -> None:
    assert attribute(make(server(), virt_type="kvm"), "cpu", "mode") == "host-model"
    assert attribute(make(server()), "cpu", "mode") == "custom"


def test_no_offload_where_packets_move_in_user_space() -> None:
    assert make(server()).find("devices/interface/driver") is None
    host = make(server(), userspace_network=True).find("devices/interface/driver/host")
    assert host is not None
    assert host.get("csum") == "off"


def test_the_tap_is_ours() -> None:
    target = make(server()).find("devices/interface/target")
    assert target is not None
    assert target.attrib == {"dev": "tap0b1c2d3e-4f", "managed": "no"}


@pytest.mark.parametrize(
    ("properties", "bus"),
    [({}, "ide"), ({"hw_machine_type": "q35"}, "virtio"), ({"hw_machine_type": "pc-q35-7.2"}, "virtio")],
)
def test_config_drive_is_on_a_bus_that_works(tmp_path: Path, properties: dict[str, str], bus: str) -> None:
    from onestack.agent.drivers.libvirt.disks import Disks

    drive = Disks(tmp_path).layout(server(properties, config_drive=True))[-1]
    assert (drive.bus, drive.path.name) == (bus, "disk.config")


def test_targets_are_counted_for_each_bus() -> None:
    files = [
        xml.LocalDisk(Path(f"/d{n}"), "raw", bus) for n, bus in enumerate(["virtio", "ide", "virtio", "scsi", "sata"])
    ]
    root = make(server(), disks=files)
    assert [element.get("dev") for element in root.iterfind("devices/disk/target")] == [
        "vda",
        "hda",
        "vdb",
        "sda",
        "sdb",
    ]


def test_hostile_names_are_only_text() -> None:
    root = make(server(name='</title><devices><disk type="block"/>\x00\x1b]0;'))
    assert root.findtext("title") == '</title><devices><disk type="block"/>]0;'
    assert len(root.findall("devices")) == 1


def test_unknown_models_fall_back() -> None:
    root = make(server({"hw_video_model": "../../x", "hw_pointer_model": "usbtablet"}))
    assert attribute(root, "devices/video/model", "type") == "virtio"
    assert root.find("devices/input[@type='tablet']") is not None
