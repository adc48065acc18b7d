"""Uploads as hostile input: real files by qemu-img, and what an attacker would make of them."""

from __future__ import annotations

import contextlib
import struct
import subprocess
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestack.image import formats, public
from onestack.image.formats import Unsafe
from tests.image.conftest import needs_qemu

SIZE = 8 << 20


def make(path, fmt, *options):
    command = ["qemu-img", "create", "-q", "-f", fmt, *options, str(path), str(SIZE)]
    subprocess.run(command, check=True, capture_output=True)
    return path


def overwrite(path, offset, data):
    with path.open("r+b") as handle:
        handle.seek(offset)
        handle.write(data)
    return path


@needs_qemu
@pytest.mark.parametrize(
    ("fmt", "name", "options"),
    [
        ("qcow2", "qcow2", ()), ("qcow2", "qcow2", ("-o", "compat=0.10")),
        ("qcow2", "qcow2", ("-o", "compression_type=zstd")),
        ("vmdk", "vmdk", ()), ("vmdk", "vmdk", ("-o", "subformat=streamOptimized")), ("vdi", "vdi", ()),
        ("vdi", "vdi", ("-o", "static=on")), ("vpc", "vhd", ("-o", "force_size")),
        ("vpc", "vhd", ("-o", "subformat=fixed,force_size")), ("vhdx", "vhdx", ()),
        ("vhdx", "vhdx", ("-o", "subformat=fixed")), ("raw", "raw", ()),
    ],
)  # fmt: skip
def test_real_images_are_recognised(tmp_path, fmt, name, options):
    found = formats.inspect(make(tmp_path / "disk", fmt, *options))
    assert found == (name, SIZE)


@needs_qemu
@pytest.mark.parametrize(
    ("find", "more", "value", "words"),
    [
        (b"regi", 0, b"x", "no usable metadata"), (b"regi", 8, bytes(4), "no usable metadata"),
        (b"metadata", 0, b"x", "no usable metadata"), (b"metadata", 10, bytes(2), "no usable metadata"),
        (uuid.UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le, 16, b"\xff" * 8, "no usable metadata"),
        (uuid.UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8").bytes_le, 16, b"\xff" * 4, "truncated"),
        (uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le, 0, bytes(16), "no usable metadata"),
    ],
)  # fmt: skip
def test_vhdx_whose_metadata_can_not_be_read(tmp_path, find, more, value, words):
    path = make(tmp_path / "disk", "vhdx")
    overwrite(path, path.read_bytes().index(find) + more, value)
    with pytest.raises(Unsafe, match=words):
        formats.inspect(path)


@needs_qemu
def test_vhdx_with_a_parent(tmp_path):
    path = make(tmp_path / "disk", "vhdx")
    content = path.read_bytes()
    entry = content.index(uuid.UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b").bytes_le)
    parameters = content.index(b"metadata") + struct.unpack_from("<I", content, entry + 16)[0]
    overwrite(path, parameters + 4, struct.pack("<I", 2))
    with pytest.raises(Unsafe, match="a difference to another one"):
        formats.inspect(path)


def test_iso(tmp_path):
    path = tmp_path / "cd"
    path.write_bytes(b"\0" * 0x8000 + b"\x01CD001" + b"\0" * 4000)
    assert formats.inspect(path).format == "iso"
    assert formats.check(path, "iso") == formats.check(path, "raw") == path.stat().st_size


def test_udf_without_iso9660(tmp_path):
    path = tmp_path / "udf"
    for names in (b"BEA01", b"NSR03"), (b"NSR02", b"TEA01"):
        path.write_bytes(bytes(0x8000) + b"".join(b"\0" + name + b"\1" + bytes(2041) for name in names))
        assert formats.check(path, "iso") == formats.check(path, "raw") == path.stat().st_size
    path.write_bytes(bytes(0x8000) + b"\0BEA01\1" + bytes(4096))
    assert formats.inspect(path).format == "raw"


@needs_qemu
def test_qcow2_that_points_elsewhere_is_refused(tmp_path):
    backing = make(tmp_path / "b", "qcow2", "-u", "-b", "/etc/passwd", "-F", "raw")
    with pytest.raises(Unsafe, match="backing file"):
        formats.inspect(backing)
    data = make(tmp_path / "d", "qcow2", "-o", f"data_file={tmp_path}/other")
    with pytest.raises(Unsafe, match="external data file"):
        formats.inspect(data)


@needs_qemu
@pytest.mark.parametrize(
    ("offset", "value", "words"),
    [
        (72, struct.pack(">Q", 1 << 17), "unknown features"), (24, struct.pack(">Q", 1 << 60), "more than is allowed"),
        (4, struct.pack(">I", 9), "version"), (20, struct.pack(">I", 40), "cluster"),
        (72, struct.pack(">Q", 2), "corrupt"),
        (32, struct.pack(">I", 1), "encrypted"), (36, struct.pack(">I", 0xFFFFFFFF), "truncated"),
    ],
)  # fmt: skip
def test_qcow2_that_is_odd_is_refused(tmp_path, offset, value, words):
    with pytest.raises(Unsafe, match=words):
        formats.inspect(overwrite(make(tmp_path / "disk", "qcow2"), offset, value))


@needs_qemu
@pytest.mark.parametrize("subformat", ["monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"])
def test_vmdk_descriptors_are_refused(tmp_path, subformat):
    with pytest.raises(Unsafe):
        formats.check(make(tmp_path / "disk.vmdk", "vmdk", "-o", f"subformat={subformat}"), "vmdk")


@needs_qemu
def test_vmdk_that_names_other_files_is_refused(tmp_path):
    for number, (old, new) in enumerate(
        (
            (b'SPARSE "disk0"', b'SPARSE "/etc/"'),
            (b'"monolithicSparse"', b'"monolithicFlat"\n '),
            (b"parentCID=ffffffff", b"parentCID=00000001"),
            (b"# The Disk Data Base", b'RW 8 FLAT "/etc/sh"\n'),
        )
    ):
        path = make(tmp_path / f"disk{number}", "vmdk")
        raw = path.read_bytes().replace(b"disk%d" % number, b"disk0")
        assert old in raw
        path.write_bytes(raw.replace(old, new))
        with pytest.raises(Unsafe):
            formats.inspect(path)
    with pytest.raises(Unsafe, match="capacity"):
        formats.inspect(overwrite(make(tmp_path / "zero", "vmdk"), 12, b"\0" * 8))


@needs_qemu
def test_differencing_disks_are_refused(tmp_path):
    with pytest.raises(Unsafe):
        formats.inspect(overwrite(make(tmp_path / "a", "vdi"), 0x4C, struct.pack("<I", 4)))
    with pytest.raises(Unsafe):
        formats.inspect(overwrite(make(tmp_path / "b", "vdi"), 0x1B8, b"\1" * 16))
    with pytest.raises(Unsafe):
        formats.inspect(overwrite(make(tmp_path / "c", "vpc"), 60, struct.pack(">I", 4)))


@needs_qemu
@pytest.mark.parametrize(
    ("said", "really"),
    [("raw", "qcow2"), ("qcow2", "raw"), ("vmdk", "qcow2"), ("iso", "raw"), ("raw", "vmdk"), ("vhd", "vdi")],
)
def test_a_lie_about_the_format_is_415_and_leaves_nothing(images, tmp_path, said, really):
    image = images.create(disk_format=said)["id"]
    answer = images.upload(image, make(tmp_path / "disk", really).read_bytes())
    assert answer.status_code == 415
    assert f"Image disk_format {said} does not match stream data {really}" in answer.text
    assert images.show(image).json["status"] == "queued"
    assert images.files() == set()


@needs_qemu
@pytest.mark.parametrize(("fmt", "name"), [("vmdk", "vmdk"), ("vdi", "vdi"), ("vpc", "vhd")])
def test_other_formats_are_converted(images, cloud, tmp_path, fmt, name):
    raw = tmp_path / "raw"
    raw.write_bytes(b"bootable" * (SIZE // 8))
    disk = tmp_path / "disk"
    options = ["-o", "force_size"] if fmt == "vpc" else []
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", fmt, *options, str(raw), str(disk)], check=True)
    image = images.active(disk.read_bytes(), disk_format=name)
    assert (image["disk_format"], image["virtual_size"]) == (name, SIZE)
    assert images.client.get(f"/v2/images/{image['id']}/file").content == disk.read_bytes()
    with cloud.db.read() as session:
        source = public.boot_source(cloud, session, image["id"])
    path = tmp_path / "converted"
    path.write_bytes(b"".join(source.open(cloud)))
    assert path.stat().st_size == source.size
    assert formats.inspect(path) == ("qcow2", SIZE)
    assert images.files() == {image["id"], source.objects[0][1].rpartition("/")[2]}
    assert image["stores"] == "file"  # it is no second location
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(path), str(tmp_path / "again")], check=True)
    assert (tmp_path / "again").read_bytes() == raw.read_bytes()
    assert images.client.delete(f"/v2/images/{image['id']}").status_code == 204
    assert images.files() == set()


@given(
    magic=st.sampled_from([b"QFI\xfb", b"KDMV", b"COWD", b"conectix", b"# Disk DescriptorFile", b""]),
    rest=st.binary(max_size=600),
    tail=st.sampled_from([b"", b"conectix" + b"\0" * 504]),
)
def test_no_bytes_break_the_inspection(tmp_path_factory, magic, rest, tail):
    path = tmp_path_factory.getbasetemp() / "fuzz"
    path.write_bytes(magic + rest + tail)
    with contextlib.suppress(Unsafe):
        assert formats.inspect(path).virtual_size >= 0
