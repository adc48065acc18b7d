"""Import plug-ins: what the operator wants to become of images on their way to the stores."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import subprocess
import warnings
import zipfile
from pathlib import Path

import pytest
import sqlalchemy as sa

from onestack import config
from onestack.config import Image, ImageConversion, InjectMetadata
from onestack.identity import catalog
from onestack.identity.models_limits import RegisteredLimit
from onestack.image import data as image_data
from onestack.image import formats, imports, objects, plugins, public, service, store
from onestack.image.models_stores import ImageLocation
from tests.conftest import PERSONAS
from tests.image import hostile
from tests.image.conftest import images_of, needs_qemu
from tests.image.deaths import Killed, again, begin_anew, dying
from tests.image.stores import LOCAL, Web, two_files, with_image

DATA = b"0123456789abcdef" * 4096
MIB = 1 << 20
UNZIP, CONVERT, INJECT = config.IMPORT_PLUGINS


@pytest.fixture
def build(cloud, client_of):
    def build(*names, **values):
        with_image(
            cloud, image_import_plugins=list(names), import_filter=LOCAL, **{"stores": two_files(cloud)} | values
        )
        return images_of(cloud, client_of)

    return build


def imported(images, data, as_="member", **body):
    """The image after its import, with the message of its task."""
    image = images.create(as_, **body)["id"]
    assert images.upload(image, data, as_, where="stage").status_code == 204
    assert images.import_(image, "glance-direct", as_).status_code == 202
    return images.show(image, as_).json, images.task(image, as_)["message"]


def zipped(*members, **more):
    file = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content, **more)
    return file.getvalue()


def disk(tmp_path, kind, *options, content=DATA, size=MIB):
    """A disk of that format with this content, as QEMU makes it."""
    raw, made = tmp_path / "raw", tmp_path / f"disk.{kind}"
    raw.write_bytes(content.ljust(size, b"\0"))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", kind, *options, raw, made], check=True)
    return made.read_bytes()


def is_data(images, image, data):
    """The image has these bytes, says so, and nothing else is kept."""
    assert images.client.get(f"/v2/images/{image['id']}/file").content == data
    assert (image["size"], image["checksum"]) == (len(data), hashlib.md5(data).hexdigest())
    assert image["os_hash_value"] == hashlib.sha512(data).hexdigest()
    with images.workers.cloud.db.read() as session:
        converted = {row.object_key.rpartition("/")[2] for row in objects.converted(session, image["id"])}
    assert images.files() == {image["id"]} | converted
    return True


def is_refused(images, image):
    """It waits for data again, as it was made, and nothing is left of what came."""
    shown = {name: image[name] for name in ("status", "disk_format", "size", "checksum", "os_hash_value")}
    assert (shown["status"], shown["size"], shown["checksum"], shown["os_hash_value"]) == ("queued", None, None, None)
    assert image["os_glance_failed_import"] == "file"
    assert "os_glance_import_task" not in image
    assert images.files() == set()
    return True


# Decompression


@pytest.mark.parametrize(
    "archive", [gzip.compress(DATA), gzip.compress(DATA[:100]) + gzip.compress(DATA[100:]), zipped(("disk.raw", DATA))]
)
@pytest.mark.parametrize("method", ["glance-direct", "web-download"])
def test_an_archive_is_unpacked(build, archive, method):
    images = build(UNZIP)
    if method == "glance-direct":
        image, message = imported(images, archive)
    else:
        with Web() as web:
            web.pages["/disk"] = archive
            image = images.create()["id"]
            images.import_(image, method, method={"uri": f"{web.url}/disk"})
        image, message = images.show(image).json, images.task(image)["message"]
    assert (image["status"], image["disk_format"], image["container_format"]) == ("active", "raw", "bare"), message
    assert is_data(images, image, DATA)


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (DATA, {}), (gzip.compress(DATA), {"container_format": "compressed"}), (b"PK\x03", {}), (b"", {}),
        (b"\0" + gzip.compress(DATA), {}),
    ],
)  # fmt: skip
def test_what_is_no_archive_or_is_to_stay_one(build, data, body):
    images = build(UNZIP)
    image, _ = imported(images, data, **body)
    assert image["status"] == "active"
    assert is_data(images, image, data)


def test_nothing_is_unpacked_unless_the_operator_wants_it(build):
    images = build()
    image, _ = imported(images, gzip.compress(DATA, mtime=1))
    assert is_data(images, image, gzip.compress(DATA, mtime=1))
    assert images.client.get("/v2/info/import").json["import-methods"]["value"] == list(config.IMPORT_METHODS)


def test_one_layer_is_taken_off(build):
    images = build(UNZIP)
    inner = gzip.compress(DATA)
    image, _ = imported(images, gzip.compress(inner))
    assert is_data(images, image, inner)


def encrypted(archive):
    """Both headers say that a password is needed."""
    changed = bytearray(archive)
    changed[6] |= 1
    changed[archive.rindex(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (gzip.compress(DATA)[:-10], "Bad gzip file: Compressed file ended before"),
        (gzip.compress(DATA)[:-8] + bytes(8), "Bad gzip file: CRC check failed"),
        (gzip.compress(DATA) + b"more", "Bad gzip file: Not a gzipped file"),
        (b"\x1f\x8b\x08" + bytes(20), "Bad gzip file"),
        (zipped(("a", DATA), ("b", DATA)), "Archive contains more than one file."),
        (zipped(("a", b""), ("a", DATA)), "Archive contains more than one file."),
        (zipped(("folder/", b"")), "Archive contains a directory"),
        (zipped(("a", DATA))[:-30], "Bad zip file: File is not a zip file"),
        (zipped(("a", DATA)).replace(b"PK\x01\x02", b"PK\x01\x03"), "Bad zip file"),
        (encrypted(zipped(("a", DATA))), "encrypted, password required"),
        (b"\x10\x20-lh5-" + bytes(50), "No lhafile available."),
    ],
)  # fmt: skip
def test_archives_that_are_refused(build, archive, words):
    images = build(UNZIP)
    image, message = imported(images, archive)
    assert words in message
    assert is_refused(images, image)


@pytest.mark.parametrize("name", ["/etc/passwd", "../../../../tmp/outside-of-the-state", "a" * 300, "C:\\x", "\x1b[0m"])
def test_names_in_archives_mean_nothing(build, tmp_path, name):
    images = build(UNZIP)
    image, _ = imported(images, zipped((name, DATA)))
    assert is_data(images, image, DATA)


def test_a_link_in_an_archive_is_its_text(build):
    member = zipfile.ZipInfo("link")
    member.create_system, member.external_attr = 3, 0o120777 << 16
    images = build(UNZIP)
    image, _ = imported(images, zipped((member, b"/etc/passwd")))
    assert is_data(images, image, b"/etc/passwd")


def test_what_comes_out_is_inspected(build):
    images = build(UNZIP)
    image, message = imported(images, gzip.compress(hostile.qcow2(backing=b"/etc/passwd")), disk_format="qcow2")
    assert "has a backing file" in message
    assert is_refused(images, image)
    image, message = imported(images, gzip.compress(hostile.qcow2()))
    assert "disk_format raw does not match stream data qcow2" in message
    assert is_refused(images, image)


@pytest.fixture
def stopped(monkeypatch):
    """What was stopped before its end is never hashed."""

    def digest_of(*_args):
        raise AssertionError("all of it came out")

    monkeypatch.setattr(store, "digest_of", digest_of)


BOMB = gzip.compress(bytes(64 * MIB))


@pytest.mark.parametrize("archive", [BOMB, zipped(("a", bytes(64 * MIB)))])
@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"image_size_cap": 32 * MIB}, "The incoming image is too large"),
        ({"user_storage_quota": "32MB"}, "Image exceeds the storage quota"),
    ],
)
def test_a_bomb_is_stopped_at_what_an_image_may_have(build, stopped, archive, values, words):
    images = build(UNZIP, **values)
    image, message = imported(images, archive)
    assert words in message
    assert is_refused(images, image)


@pytest.mark.parametrize("resource", ["image_size_total", "image_stage_total"])
def test_a_bomb_is_stopped_at_a_limit_of_the_project(build, cloud, monkeypatch, stopped, resource):
    images = build(UNZIP)
    owner = next(one.id for one in catalog.own_services() if one.type == "image")
    with cloud.db.write() as session:
        session.add(RegisteredLimit(id="l", service_id=owner, resource_name=resource, default_limit=32))
    image, message = imported(images, BOMB)
    assert f"Resource {resource} is over limit of 32" in message
    assert is_refused(images, image)
    monkeypatch.undo()
    image, _ = imported(images, gzip.compress(bytes(32 * MIB)))
    assert image["size"] == 32 * MIB


def test_a_bomb_leaves_a_part_of_the_disk_to_others(build, cloud, monkeypatch):
    images = build(UNZIP)
    free = iter([100, 50, 9])
    usage = shutil.disk_usage(cloud.settings.root)
    monkeypatch.setattr(plugins.shutil, "disk_usage", lambda _path: usage._replace(free=next(free, 9)))
    image, message = imported(images, gzip.compress(bytes(MIB)) * 3000)
    assert message.startswith("Image storage media is full")
    assert is_refused(images, image)


def test_nobody_works_for_an_image_that_is_gone(build, cloud):
    images = build(UNZIP)
    image = images.create()["id"]
    now = iter([0.0, 1.0, 3.0, 3.0, 6.0, 6.0, 6.0])
    watch = plugins.Watch(cloud, image, cloud.settings.root, lambda: next(now))
    assert not watch()  # not looked yet
    assert not watch()
    images.client.delete(f"/v2/images/{image}")
    assert watch()
    for step in (watch.require, lambda: store.digest_of(Path(__file__), watch.check)):
        with pytest.raises(image_data.NotFound):
            step()


# Conversion


@needs_qemu
@pytest.mark.parametrize("output", ["raw", "qcow2", "vmdk"])
@pytest.mark.parametrize(
    ("said", "kind", "options"),
    [
        ("raw", "raw", ()), ("qcow2", "qcow2", ()), ("vmdk", "vmdk", ()), ("vdi", "vdi", ()),
        ("vmdk", "vmdk", ("-o", "subformat=streamOptimized")), ("vhd", "vpc", ("-o", "force_size")),
        ("vhdx", "vhdx", ()),
    ],
)  # fmt: skip
def test_images_are_converted(build, cloud, tmp_path, output, said, kind, options):
    images = build(CONVERT, image_conversion=ImageConversion(output_format=output))
    sent = disk(tmp_path, kind, *options)
    image, message = imported(images, sent, disk_format=said)
    assert (image["status"], image["disk_format"], image["container_format"]) == ("active", output, "bare"), message
    kept = images.client.get(f"/v2/images/{image['id']}/file").content
    assert is_data(images, image, sent if output == said else kept)
    (tmp_path / "kept").write_bytes(kept)
    found = formats.inspect(tmp_path / "kept")
    assert found.format == output
    assert image["virtual_size"] == found.virtual_size >= MIB
    subprocess.run(["qemu-img", "convert", "-f", output, "-O", "raw", tmp_path / "kept", tmp_path / "back"], check=True)
    assert (tmp_path / "back").read_bytes()[:MIB] == DATA.ljust(MIB, b"\0")
    with cloud.db.read() as session:
        boot = public.boot_image(cloud, session, PERSONAS["member"], image["id"])
    assert boot.boot_format == ("raw" if output == "raw" else "qcow2")


@needs_qemu
def test_the_container_is_bare_when_something_was_converted(build, tmp_path):
    images = build(CONVERT)
    image, _ = imported(images, disk(tmp_path, "qcow2"), disk_format="qcow2", container_format="ovf")
    assert (image["disk_format"], image["container_format"]) == ("raw", "bare")
    image, _ = imported(images, DATA, container_format="docker")
    assert (image["disk_format"], image["container_format"]) == ("raw", "docker")


ISO = bytes(0x8000) + b"\x01CD001" + bytes(4000)


@needs_qemu
def test_an_iso_stays_one(build):
    images = build(CONVERT, image_conversion=ImageConversion(output_format="qcow2"))
    image, _ = imported(images, ISO, disk_format="iso")
    assert (image["status"], image["disk_format"]) == ("active", "iso")
    assert is_data(images, image, ISO)
    images.client.delete(f"/v2/images/{image['id']}")
    image, message = imported(images, ISO)
    assert message == "Image has disallowed configuration: it is an ISO, and said to be raw"
    assert is_refused(images, image)


@pytest.mark.parametrize(
    ("data", "said", "words"),
    [
        (DATA, "qcow2", "Image format mismatch: it is said to be qcow2, and is raw"),
        (hostile.qcow2(), "raw", "Image format mismatch: it is said to be raw, and is qcow2"),
        (hostile.qcow2(), "vmdk", "Image format mismatch"), (DATA, "ami", "Image format mismatch"),
        (hostile.qcow2(backing=b"/etc/passwd"), "qcow2", "Image has disallowed configuration"),
        (hostile.qcow2(data_file=b"/etc/passwd"), "qcow2", "Image has disallowed configuration"),
        (hostile.vmdk(hostile.DESCRIPTOR.replace(b'"disk"', b'"/etc/passwd"')), "vmdk", "extents other than its own"),
        (hostile.qcow2()[:200], "qcow2", "Image has disallowed configuration"),
        (b"QED\0" + bytes(600), "raw", "Image has disallowed configuration"),
        (b"WithoutFreeSpace" + bytes(600), "ploop", "can't be converted to raw"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("container", ["bare", "ovf"])
@needs_qemu
def test_images_that_are_not_converted(build, data, said, words, container):
    images = build(CONVERT)
    body = {"disk_format": said, "container_format": said if said == "ami" else container}
    image, message = imported(images, data, **body)
    assert words in message
    assert (image["disk_format"], image["container_format"]) == tuple(body.values())
    assert is_refused(images, image)


@needs_qemu
def test_a_disk_in_a_disk_does_not_come_out(build, tmp_path):
    """A guest wrote a header of its own into its disk: as raw data it would be believed."""
    images = build(CONVERT)
    inner = hostile.qcow2(backing=b"/etc/passwd")
    image, message = imported(images, disk(tmp_path, "qcow2", content=inner), disk_format="qcow2")
    assert "has a backing file" in message
    assert is_refused(images, image)
    image, message = imported(images, disk(tmp_path, "qcow2", content=hostile.qcow2()), disk_format="qcow2")
    assert message == "Converted image in unexpected format: qcow2 instead of raw"
    assert (image["disk_format"], image["container_format"]) == ("qcow2", "bare")
    assert is_refused(images, image)


@needs_qemu
@pytest.mark.parametrize("output", ["raw", "vmdk"])
def test_what_a_conversion_makes_is_bounded(build, tmp_path, output):
    images = build(CONVERT, image_size_cap=4 * MIB, image_conversion=ImageConversion(output_format=output))
    packed = disk(tmp_path, "qcow2", "-c", content=b"\1" * (8 * MIB))
    assert len(packed) < MIB
    image, message = imported(images, packed, disk_format="qcow2")
    assert message.startswith("The incoming image is too large")
    assert is_refused(images, image)


@needs_qemu
def test_an_archive_is_unpacked_and_converted_in_that_order(build, tmp_path):
    images = build(UNZIP, CONVERT)
    image, message = imported(images, gzip.compress(disk(tmp_path, "vmdk")), disk_format="vmdk")
    assert image["disk_format"] == "raw", message
    assert is_data(images, image, DATA.ljust(MIB, b"\0"))


@needs_qemu
def test_when_no_store_takes_it_the_image_is_as_it_was(build, tmp_path, monkeypatch):
    images = build(CONVERT)

    def full(*_args):
        raise image_data.TooLarge("Image storage media is full: no room")

    monkeypatch.setattr(image_data, "put", full)
    image, _ = imported(images, disk(tmp_path, "vdi"), disk_format="vdi", container_format="ovf")
    assert (image["disk_format"], image["container_format"]) == ("vdi", "ovf")
    assert is_refused(images, image)
    monkeypatch.undo()
    assert images.upload(image["id"], disk(tmp_path, "vdi"), where="stage").status_code == 204
    images.import_(image["id"], "glance-direct")
    assert images.show(image["id"]).json["disk_format"] == "raw"


@needs_qemu
def test_uploads_copies_tasks_and_api_v1_are_left_alone(build, tmp_path):
    images = build(*config.IMPORT_PLUGINS, inject_metadata_properties=InjectMetadata(inject={"from": "import"}))
    sent = disk(tmp_path, "qcow2")
    image = images.active(sent, disk_format="qcow2")
    images.import_(image["id"], "copy-image", "admin", stores=["second"])
    shown = images.show(image["id"]).json
    assert (shown["disk_format"], shown["stores"], "from" in shown) == ("qcow2", "file,second", False)
    with Web() as web:
        web.pages["/disk"] = sent
        asked = {"import_from": f"{web.url}/disk", "import_from_format": "qcow2",
                 "image_properties": {"disk_format": "qcow2", "container_format": "bare"}}  # fmt: skip
        task = images.client.post("/v2/tasks", as_="admin", json={"type": "import", "input": asked}).json["id"]
        images.work()
        made = images.client.get(f"/v2/tasks/{task}", as_="admin").json["result"]["image_id"]
        headers = {
            "x-image-meta-name": "n", "x-image-meta-disk_format": "qcow2", "x-image-meta-container_format": "bare",
            "x-glance-api-copy-from": f"{web.url}/disk",
        }  # fmt: skip
        old = images.client.post("/v1/images", headers=headers).json["image"]["id"]
        images.work()
    for one in (made, old):
        shown = images.show(one, "admin").json
        assert (shown["status"], shown["disk_format"], "from" in shown) == ("active", "qcow2", False)


# Injected properties

INJECTED = InjectMetadata(inject={"trait:X": "required", "os_distro": "ours"}, ignore_user_roles=["admin", "nova"])


def test_properties_are_injected_over_what_is_there(build):
    images = build(INJECT, inject_metadata_properties=INJECTED)
    image, _ = imported(images, DATA, os_distro="theirs", other="kept")
    assert (image["status"], image["trait:X"], image["os_distro"], image["other"]) == (
        "active", "required", "ours", "kept",
    )  # fmt: skip


def test_who_has_an_ignored_role_gets_none(build):
    images = build(INJECT, inject_metadata_properties=INJECTED)
    image, _ = imported(images, DATA, as_="admin")
    assert (image["status"], "trait:X" in image) == ("active", False)


def test_injected_properties_count(build):
    images = build(INJECT, inject_metadata_properties=INJECTED, image_property_quota=2)
    image, message = imported(images, DATA, a="b")
    assert "number of allowed image properties. Attempted: 3, Maximum: 2" in message
    assert is_refused(images, image)
    assert "trait:X" not in image


def test_protections_are_for_users(build, cloud):
    """The administration guide has such properties protected, so that their owners can't take them away."""
    (cloud.settings.root / "rules").write_text("".join(
        f"[{name}]\ncreate = {who}\nread = @\nupdate = {who}\ndelete = {who}\n"
        for name, who in (("^trait", "admin"), (".*", "@"))
    ))  # fmt: skip
    images = build(INJECT, inject_metadata_properties=INJECTED, property_protection_file="rules")
    image, _ = imported(images, DATA)
    assert (image["status"], image["trait:X"]) == ("active", "required")
    assert images.patch(image["id"], {"op": "remove", "path": "/trait:X"}).status_code == 403


def test_they_are_run_in_the_operators_order(build):
    """What was injected before another plug-in failed stays, as in Glance."""
    for names, there in (((INJECT, UNZIP), True), ((UNZIP, INJECT), False)):
        image, _ = imported(build(*names, inject_metadata_properties=INJECTED), gzip.compress(DATA)[:-9])
        assert (image["status"], "trait:X" in image) == ("queued", there)


# Crashes


PLACES = {
    "unpacked": (store, "digest_of", 1), "converted": (store, "digest_of", 2), "unpacked, moved": (store, "move", 1),
    "converted, moved": (store, "move", 2), "settled": (plugins.Plugins, "settle", 1),
    "inspected": (image_data, "inspect", 1), "one store": (objects, "take", 2), "all": (imports, "end_task", 1),
}  # fmt: skip


@needs_qemu
@pytest.mark.parametrize("method", ["glance-direct", "web-download"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("place", PLACES)
def test_a_killed_import_converges(build, cloud, tmp_path, monkeypatch, place, when, method):
    images = build(*config.IMPORT_PLUGINS, inject_metadata_properties=INJECTED)
    archive = gzip.compress(disk(tmp_path, "vmdk"))
    owner, name, times = PLACES[place]
    if method == "web-download" and name == "move":
        times += 1  # the first one is what was fetched
    with Web() as web:
        web.pages["/disk"] = archive
        image = images.create(disk_format="vmdk")["id"]
        if method == "glance-direct":
            images.upload(image, archive, where="stage")
        how = {"name": method, "uri": f"{web.url}/disk"} if method == "web-download" else {"name": method}
        body = {"method": how, "all_stores": True}
        assert images.client.post(f"/v2/images/{image}/import", json=body).status_code == 202
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, dying(getattr(owner, name), times, when))
            patch.setattr(objects, "doom", lambda *_: None)  # who is dead tidies nothing
            with pytest.raises(Killed):
                images.work()
        begin_anew(cloud, monkeypatch)
        images.work()
    shown = images.show(image).json
    assert (shown["status"], shown["disk_format"], shown["stores"]) == ("active", "raw", "file,second")
    assert shown["trait:X"] == "required"
    assert images.task(image)["status"] == "success"
    assert is_data(images, shown, DATA.ljust(MIB, b"\0"))
    with cloud.db.read() as session:
        assert len(session.scalars(sa.select(ImageLocation)).all()) == 2


def test_no_second_layer_is_taken_off_after_a_kill(build, cloud, monkeypatch):
    images, inner = build(UNZIP), gzip.compress(DATA)
    image = images.create()["id"]
    images.upload(image, gzip.compress(inner), where="stage")
    images.client.post(f"/v2/images/{image}/import", json={"method": {"name": "glance-direct"}})
    with monkeypatch.context() as patch:
        patch.setattr(image_data, "inspect", dying(image_data.inspect, 1))
        with pytest.raises(Killed):
            images.work()
    again(cloud)
    images.work()
    assert is_data(images, images.show(image).json, inner)


@needs_qemu
def test_data_that_must_be_fetched_again_begins_from_the_start(build, cloud, tmp_path, monkeypatch):
    """What was fetched and converted lay on a node that is gone, and what is behind the URL is another disk by now."""
    images = build(UNZIP, CONVERT)
    with Web() as web:
        web.pages["/disk"] = gzip.compress(disk(tmp_path, "vmdk"))
        image = images.create(disk_format="vmdk")["id"]
        body = {"method": {"name": "web-download", "uri": f"{web.url}/disk"}, "all_stores": True}
        images.client.post(f"/v2/images/{image}/import", json=body)
        with monkeypatch.context() as patch:
            patch.setattr(objects, "put", dying(objects.put, 2))
            with pytest.raises(Killed):
                images.work()
        assert images.show(image).json["disk_format"] == "raw"
        store.staged_path(cloud, image).unlink()
        other = DATA[::-1]
        web.pages["/disk"] = gzip.compress(disk(tmp_path, "vmdk", content=other))
        again(cloud)
        images.work()
    shown = images.show(image).json
    assert (shown["status"], shown["disk_format"], shown["stores"]) == ("active", "raw", "file,second")
    assert is_data(images, shown, other.ljust(MIB, b"\0"))
    for one in ("file", "second"):
        answer = images.client.get(f"/v2/images/{image}/file?prefer={one}")
        assert answer.content == other.ljust(MIB, b"\0")


# Settings


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("image_import_plugins = ['no_op']", "image.image_import_plugins: 'no_op' is none of image_decompression, "),
        ("image_import_plugins = ['image_conversion', 'image_conversion']", "named twice"),
        ("[image.image_conversion]\noutput_format = 'vdi'", "Invalid enum value 'vdi'"),
        ("[image.inject_metadata_properties]\ninject = {a = 1}", "Expected `str`"),
        ("[image.inject_metadata_properties.inject]\n'' = 'x'", "1 to 255 characters"),
        ("disk_formats = []", "image.disk_formats is empty"),
        ("container_formats = ['a b']", "image.container_formats: 'a b' is no format"),
    ],
)
def test_wrong_settings_are_refused_at_the_start(tmp_path, table, words):
    (tmp_path / "onestack.toml").write_text(f"[image]\n{table}\n")
    with pytest.raises(config.ConfigError, match=words):
        config.load(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("os_glance_x", "y", "'os_glance_x': Attribute 'os_glance_x' is reserved."), ("id", "y", "is read-only"),
        ("name", "y", "is an attribute of every image"), ("kernel_id", "y", "does not match"),
        ("locations", "y", "is invisible|are invisible"), ("x", "y" * 70000, "is too long"),
    ],
)  # fmt: skip
def test_properties_that_cannot_be_injected(cloud, name, value, words):
    with_image(cloud, inject_metadata_properties=InjectMetadata(inject={name: value}))
    with pytest.raises(config.ConfigError, match=f"inject_metadata_properties.inject.*({words})"):
        service.build(cloud)


def test_without_qemu_img_no_server_starts_that_is_to_convert(cloud, monkeypatch):
    with_image(cloud, image_import_plugins=["image_conversion"])
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(config.ConfigError, match="needs qemu-img"):
        service.build(cloud)


def test_formats_are_settings(build, cloud):
    images = build(disk_formats=["raw", "gpt", "qcow2"], container_formats=["bare"])
    shown = images.client.get("/v2/schemas/image").json["properties"]
    assert shown["disk_format"]["enum"] == [None, "raw", "gpt", "qcow2"]
    assert shown["container_format"]["enum"] == [None, "bare"]
    of_lists = images.client.get("/v2/schemas/images").json["properties"]["images"]["items"]["properties"]
    assert of_lists == shown
    image = images.create(disk_format="gpt")["id"]
    for name, value in (("disk_format", "vmdk"), ("container_format", "ovf")):
        body = {"disk_format": "raw", "container_format": "bare"} | {name: value}
        assert images.client.post("/v2/images", json=body).status_code == 400
        assert images.patch(image, {"op": "replace", "path": f"/{name}", "value": value}).status_code == 400
        headers = {f"x-image-meta-{key}": one for key, one in body.items()}
        assert images.client.post("/v1/images", headers=headers).status_code == 400
    assert cloud.settings.image.disk_formats != Image().disk_formats
    assert "gpt" not in Image().disk_formats
