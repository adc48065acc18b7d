"""The images of Tempest's tests of formats (tests/tempest/images.py): who may be uploaded and imported, and who not."""

from __future__ import annotations

import struct

import pytest

from onestack.config import DISK_FORMATS
from onestack.image import formats, public
from onestack.image.formats import Unsafe
from tests.conftest import PERSONAS
from tests.image.conftest import images_of, needs_qemu
from tests.image.stores import with_image
from tests.tempest.images import KINDS, SECTOR, Unsupported

BY_NAME = {kind.name: kind for kind in KINDS}
FOOTER = -2 * SECTOR


@pytest.fixture
def data(tmp_path):
    """`data(name)`: the bytes of an image."""

    def make(name):
        file = tmp_path / BY_NAME[name].filename
        try:
            BY_NAME[name].make(file)
        except (Unsupported, FileNotFoundError) as problem:
            pytest.skip(str(problem))
        return file.read_bytes()

    return make


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.format not in ("gpt", "qed")], ids=lambda kind: kind.name
)
def test_usable_images_are_taken_and_others_refused(images, data, kind):
    content = data(kind.name)
    image = images.create(disk_format=kind.format)["id"]
    assert images.upload(image, content).status_code == (204 if kind.usable else 415)
    assert images.show(image).json["status"] == ("active" if kind.usable else "queued")
    other = images.create(disk_format=kind.format)["id"]
    images.upload(other, content, where="stage")
    images.import_(other, "glance-direct")
    assert images.show(other).json["status"] == ("active" if kind.usable else "queued")
    if kind.usable:
        assert images.client.get(f"/v2/images/{other}/file").content == content
        assert images.show(other).json["virtual_size"] in (10 << 20, len(content))


def test_formats_that_glance_does_not_know(images, data):
    for name in ("gpt", "qed"):
        body = {"name": "i", "disk_format": name, "container_format": "bare"}
        assert images.client.post("/v2/images", json=body).status_code == 400
    image = images.create(disk_format="raw")["id"]
    assert images.upload(image, data("gpt-blank")).status_code == 204
    assert images.upload(images.create(disk_format="raw")["id"], data("standard")).status_code == 415


@pytest.fixture
def with_gpt(cloud, client_of):
    with_image(cloud, disk_formats=[*DISK_FORMATS, "gpt"])
    return images_of(cloud, client_of)


def test_a_gpt_disk_where_the_operator_knows_gpt_is_a_raw_disk(with_gpt, cloud, data):
    content = data("gpt-blank")
    image = with_gpt.active(content, disk_format="gpt")
    assert (image["status"], image["disk_format"], image["virtual_size"]) == ("active", "gpt", len(content))
    with cloud.db.read() as session:
        boot = public.boot_image(cloud, session, PERSONAS["member"], image["id"])
    assert (boot.disk_format, boot.boot_format, boot.virtual_size) == ("gpt", "raw", len(content))


ENTRY = 446  # where the first partition stands in a master boot record


@pytest.mark.parametrize(
    ("offset", "value", "words"),
    [
        (510, b"\0", "disk_format gpt does not match stream data raw"), (0, b"QFI\xfb", "qcow2"),
        (0x8001, b"CD001", "disk_format gpt does not match stream data iso"),
        (0x10, b"\2\0\0\0\0\xf8", "disk_format gpt does not match stream data raw"),
        (ENTRY, b"\1", "Image failed safety checks"), (ENTRY + 4, b"\0", "Image failed safety checks"),
        (ENTRY + 1, b"\1", "Image failed safety checks"), (ENTRY + 8, b"\2", "Image failed safety checks"),
        (ENTRY + 16 + 4, b"\x83", "Image failed safety checks"),
    ],
)  # fmt: skip
def test_a_disk_that_is_said_to_be_gpt_is_looked_at(with_gpt, data, offset, value, words):
    content = bytearray(data("gpt-blank"))
    content[offset : offset + len(value)] = value
    answer = with_gpt.upload(with_gpt.create(disk_format="gpt")["id"], bytes(content))
    assert (answer.status_code, words in answer.text) == (415, True), answer.text


@needs_qemu
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_all_kinds_where_images_are_converted(cloud, client_of, data, kind):
    with_image(cloud, disk_formats=[*DISK_FORMATS, "gpt", "qed"], image_import_plugins=["image_conversion"])
    images = images_of(cloud, client_of)
    content = data(kind.name)
    image = images.create(disk_format=kind.format)["id"]
    images.upload(image, content, where="stage")
    images.import_(image, "glance-direct")
    shown = images.show(image).json
    kept = kind.format if kind.format in ("iso", "gpt") or not kind.usable else "raw"
    assert (shown["status"], shown["disk_format"]) == ("active" if kind.usable else "queued", kept)


@pytest.mark.parametrize(
    ("offset", "value", "words"),
    [
        (FOOTER + 12, struct.pack("<Q", 8), "at its beginning and at its end"),
        (FOOTER + 28, struct.pack("<Q", 2), "at its beginning and at its end"),
        (FOOTER + 56, b"\xff" * 8, "no usable header at its end"), (FOOTER, b"COWD", "no usable header at its end"),
        (FOOTER - SECTOR + 12, b"\0", "no usable header at its end"), (-SECTOR, b"\1", "no usable header at its end"),
    ],
)  # fmt: skip
def test_a_footer_says_what_the_header_says(data, tmp_path, offset, value, words):
    content = bytearray(data("vmdk-sparse-with-footer"))
    content[len(content) + offset : len(content) + offset + len(value)] = value
    file = tmp_path / "changed"
    file.write_bytes(content)
    with pytest.raises(Unsafe, match=words):
        formats.inspect(file)
