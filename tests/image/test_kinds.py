"""The images of Tempest's tests of formats (tests/tempest/images.py): who may be uploaded and imported, and who not."""

from __future__ import annotations

import struct

import pytest

from onestack.image import formats
from onestack.image.formats import Unsafe
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
