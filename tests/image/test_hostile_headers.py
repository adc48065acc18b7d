"""Random and changed headers of every format: the inspection always ends with a verdict, and what it lets through leads
QEMU to no other file."""

from __future__ import annotations

import contextlib
import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onestack import sandbox
from onestack.image import formats
from onestack.image.formats import Unsafe
from tests.image import hostile

QEMU = shutil.which("qemu-img")
FORMATS = {"qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc"}
NAMES = ["/etc/passwd", "json:{}", "nbd://127.0.0.1/", "../x"]
# What an attacker would write, and where: a name, a number, a line.
PIECES = st.one_of(
    st.binary(max_size=40),
    st.integers(0, (1 << 64) - 1).map(lambda number: number.to_bytes(8, "big")),
    st.integers(0, (1 << 64) - 1).map(lambda number: number.to_bytes(8, "little")),
    st.sampled_from([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\1", b"\1\0\0\0", b"QFI\xfb", b"KDMV", b"conectix"]),
    st.sampled_from(NAMES).map(lambda name: b'parentFileNameHint="' + name.encode() + b'"\n'),
    st.sampled_from(NAMES).map(lambda name: b'RW 16 FLAT "' + name.encode() + b'" 0\n'),
)
CHANGES = st.lists(st.tuples(st.integers(0, 2048), PIECES), max_size=6)
BEGINNINGS = st.sampled_from(
    [*hostile.EVERY.values(), *(data for _, data, _ in hostile.ATTACKS.values()), hostile.qcow2(version=2)]
)


def changed(data: bytes, changes) -> bytes:
    whole = bytearray(data)
    for where, what in changes:
        whole[where : where + len(what)] = what
    return bytes(whole)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile") / "image"


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=BEGINNINGS, changes=CHANGES, length=st.one_of(st.none(), st.integers(0, 4096)))
def test_every_file_gets_a_verdict(file, data, changes, length):
    file.write_bytes(changed(data, changes)[:length])
    with contextlib.suppress(Unsafe):
        found = formats.inspect(file)
        assert 0 <= found.virtual_size <= formats.MAXIMUM_DISK


@pytest.mark.skipif(QEMU is None, reason="qemu-img is not installed")
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(data=BEGINNINGS, changes=CHANGES)
def test_what_is_let_through_leads_qemu_nowhere_else(file, data, changes):
    file.write_bytes(changed(data, changes))
    try:
        name = formats.inspect(file).format
    except Unsafe:
        return
    if name in FORMATS:
        info = _info(file, FORMATS[name])
        assert "backing-filename" not in info
        assert not info.get("format-specific", {}).get("data", {}).get("data-file")
        assert not info.get("encrypted")


def _info(file, driver) -> dict:
    """What QEMU sees; nothing where it can't open the file."""
    limits = sandbox.Limits(1 << 30, 20, 1 << 20, 60)
    with file.open("rb") as handle:
        named = f"driver={driver},file.driver=file,file.filename={sandbox.seen_as(handle)}"
        ended = sandbox.run([QEMU, "info", "-U", "--output=json", "--image-opts", named], limits, read=[handle])
    return json.loads(ended.output) if ended.status == 0 else {}


@pytest.mark.skipif(QEMU is None, reason="qemu-img is not installed")
def test_qemu_would_have_followed(file):
    """So that the test above can fail: what is refused is what QEMU would have opened."""
    for data, driver in (
        (hostile.qcow2(backing=hostile.SECRET), "qcow2"),
        (hostile.vmdk(where=25, also=(512, hostile.DESCRIPTOR + b'parentFileNameHint="/etc/passwd"\n')), "vmdk"),
        (hostile.vmdk(hostile.DESCRIPTOR + b'x=parentFileNameHint="/etc/passwd"\n'), "vmdk"),
    ):
        file.write_bytes(data)
        assert _info(file, driver)["backing-filename"] == "/etc/passwd"
        with pytest.raises(Unsafe):
            formats.inspect(file)


@pytest.mark.parametrize("filler", [b"\n", b" ", b"#", b"# \n", b"RW ", b'"', b"=", b"RW 1 SPARSE "])
def test_long_descriptors_are_read_in_linear_time(file, filler):
    """A mebibyte of what makes a careless pattern try again from each place."""
    length = formats._DESCRIPTOR_LIMIT
    text = (filler * (length // len(filler) + 1))[: length - 512]
    file.write_bytes(hostile.vmdk(length=length // 512)[:512] + text + b"\0" * 1024)
    with pytest.raises(Unsafe):
        formats.inspect(file)
    file.write_bytes(text)
    with contextlib.suppress(Unsafe):
        formats.inspect(file)
