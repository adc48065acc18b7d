"""Image data: upload, download, ranges, staging, import, and everything that can go wrong on the way."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import hashlib
import os
import threading

import msgspec
import pytest

from onestack.core.errors import Conflict, NotFound
from onestack.image import public, store, sweep
from onestack.image.models import Image
from tests.conftest import PERSONAS
from tests.image.conftest import BYTES

DATA = bytes(range(256)) * 40000  # more than four blocks of the upload
BLOCK = store.BLOCK


def test_upload_and_download(images):
    image = images.active(DATA)
    assert (image["status"], image["size"], image["virtual_size"]) == ("active", len(DATA), len(DATA))
    assert image["checksum"] == hashlib.md5(DATA).hexdigest()
    assert (image["os_hash_algo"], image["os_hash_value"]) == ("sha512", hashlib.sha512(DATA).hexdigest())
    answer = images.client.get(f"/v2/images/{image['id']}/file")
    assert answer.content == DATA
    assert answer.headers["content-md5"] == image["checksum"]
    assert answer.headers["content-length"] == str(len(DATA))
    assert images.files() == {image["id"]}


@pytest.mark.parametrize(
    ("text", "status", "expected"),
    [
        ("bytes=0-3", 206, DATA[:4]), ("bytes=5-", 206, DATA[5:]), ("bytes=-3", 206, DATA[-3:]),
        (f"bytes=9-{10**9}", 206, DATA[9:]), (f"bytes={len(DATA)}-", 416, None), ("bytes=3-1", 416, None),
        ("bytes=-0", 416, None), ("lines=1-2", 416, None), ("bytes=1-2,4-5", 400, None), ("bytes=-", 416, None),
        (f"bytes={'9' * 5000}-", 416, None), ("", 416, None),
    ],
)  # fmt: skip
def test_ranges(images, text, status, expected):
    image = images.active(DATA)
    answer = images.client.get(f"/v2/images/{image['id']}/file", headers={"Range": text})
    assert answer.status_code == status
    if expected is not None:
        assert answer.content == expected
        assert answer.headers["content-range"].endswith(f"/{len(DATA)}")


@pytest.mark.parametrize(
    ("text", "status", "expected"),
    [
        ("bytes 0-3/*", 206, DATA[:4]), ("bytes 5-7/10", 206, DATA[5:8]), (f"bytes 5-{len(DATA)}/*", 416, None),
        (f"bytes {len(DATA)}-{len(DATA)}/*", 416, None), ("bytes 3-1/*", 416, None), ("bytes 1-2", 416, None),
        ("bytes */5", 416, None),
    ],
)  # fmt: skip
def test_ranges_as_older_clients_ask_for_them(images, text, status, expected):
    image = images.active(DATA)
    answer = images.client.get(f"/v2/images/{image['id']}/file", headers={"Content-Range": text})
    assert answer.status_code == status
    if expected is not None:
        assert answer.content == expected
        assert answer.headers["content-range"].endswith(f"/{len(DATA)}")


@pytest.mark.parametrize("where", ["file", "stage"])
def test_the_size_that_was_announced(images, where):
    image = images.create()["id"]
    path = f"/v2/images/{image}/{where}"
    for size, words in (("5", "Size mismatch"), ("x", "Invalid or missing image size in request headers."),
                        ("-4", "Invalid or missing"), ("9" * 5000, "Invalid or missing")):  # fmt: skip
        answer = images.client.put(path, headers=BYTES | {"X-OpenStack-Image-Size": size}, body=b"data")
        assert (answer.status_code, words in answer.text) == (400, True), answer.text
        assert (images.show(image).json["status"], images.files()) == ("queued", set())
    assert images.client.put(path, headers=BYTES | {"x-openstack-image-size": "4"}, body=b"data").status_code == 204


def test_staging_where_nothing_is_imported_from_there(images, cloud):
    settings = msgspec.structs.replace(cloud.settings.image, enabled_import_methods=["web-download"])
    cloud.settings = msgspec.structs.replace(cloud.settings, image=settings)
    answer = images.upload(images.create()["id"], b"data", where="stage")
    assert (answer.status_code, "'glance-direct' method is not available" in answer.text) == (404, True)


def test_stores_that_are_preferred(images):
    image = images.active(DATA)["id"]
    assert images.client.get(f"/v2/images/{image}/file?prefer=file,%20file,").content == DATA
    answer = images.client.get(f"/v2/images/{image}/file?prefer=file,%20far")
    assert (answer.status_code, "Store 'far' is not configured." in answer.text) == (400, True)


def test_where_deactivated_data_is_is_for_administrators(images, cloud):
    settings = msgspec.structs.replace(
        cloud.settings.image, show_multiple_locations=True, show_image_direct_url=True
    )  # fmt: skip
    cloud.settings = msgspec.structs.replace(cloud.settings, image=settings)
    image = images.active()["id"]
    images.client.post(f"/v2/images/{image}/actions/deactivate")
    shown = images.show(image).json
    assert (shown["locations"], "direct_url" in shown, "stores" in shown) == ([], False, False)
    shown = images.show(image, "admin").json
    assert (len(shown["locations"]), "direct_url" in shown, shown["stores"]) == (1, True, "file")


def test_an_image_without_data_downloads_nothing(images):
    assert images.client.get(f"/v2/images/{images.create()['id']}/file").status_code == 204


def test_data_is_given_once(images):
    image = images.active()
    assert images.upload(image["id"], b"other").status_code == 409
    assert images.client.get(f"/v2/images/{image['id']}/file").content == b"data"
    change = {"op": "replace", "path": "/disk_format", "value": "qcow2"}
    assert images.patch(image["id"], change).status_code == 403


def test_upload_needs_formats_its_media_type_and_rights(images):
    bare = images.client.post("/v2/images", json={}).json["id"]
    assert images.upload(bare, b"x").status_code == 400
    image = images.create()["id"]
    assert images.client.put(f"/v2/images/{image}/file", body=b"x").status_code == 415
    assert images.upload(image, b"x", "other").status_code == 404
    assert images.upload(image, b"x", "reader").status_code == 403
    assert images.client.put(f"/v2/images/{image}/file", as_=None, body=b"x", headers=BYTES).status_code == 401
    assert images.files() == set()


def test_a_truncated_upload_leaves_nothing(images, monkeypatch):
    image = images.create()["id"]
    with monkeypatch.context() as patched:
        patched.setattr("falcon.asgi.Request.content_length", property(lambda self: 1000))
        assert images.upload(image, b"x" * 999).status_code == 400
    assert images.show(image).json["status"] == "queued"
    assert images.files() == set()


@pytest.mark.parametrize("size", [10, 9 * BLOCK + 10])
def test_a_client_that_goes_away_leaves_nothing(images, size):
    """A chunked body: only the disconnect tells."""
    image = images.create()["id"]
    sent = []

    async def run():
        events = iter([{"type": "http.request", "body": b"x" * size, "more_body": True}, {"type": "http.disconnect"}])

        async def receive():
            return next(events, {"type": "http.disconnect"})

        async def send(event):
            sent.append(event)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "PUT", "scheme": "http",
            "path": f"/v2/images/{image}/file", "query_string": b"", "server": ("x", 80), "client": ("y", 1),
            "headers": [(b"host", b"x"), (b"x-auth-token", b"member"), (b"content-type", b"application/octet-stream"),
                        (b"transfer-encoding", b"chunked")],
        }  # fmt: skip
        await images.client._client.app(scope, receive, send)

    asyncio.run(run())
    assert images.show(image).json["status"] == "queued"
    assert (images.files(), threads()) == (set(), [])


def test_a_full_disk_is_413_and_leaves_nothing(images, monkeypatch):
    image = images.create()["id"]

    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store.Staging, "write", full)
        answer = images.upload(image, DATA)
    assert answer.status_code == 413
    assert "not enough disk space" in answer.text
    assert images.show(image).json["status"] == "queued"
    assert images.files() == set()
    assert images.upload(image, b"now").status_code == 204


@pytest.mark.parametrize("size", [1, 65536, 65537, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK, 11 * BLOCK + 3])
def test_every_byte_of_every_block_counts(images, size):
    data = hashlib.shake_128(b"seed").digest(size)
    image = images.active(data)
    assert image["os_hash_value"] == hashlib.sha512(data).hexdigest()
    assert image["checksum"] == hashlib.md5(data).hexdigest()
    assert images.client.get(f"/v2/images/{image['id']}/file").content == data


class Disk:
    """A file that takes so many bytes, at most so many at once; past the page cache whole sectors, or nothing."""

    def __init__(self, file, room, piece=1 << 40, *, direct=True):
        self._file, self._room, self._piece, self._direct = file, room, piece, direct

    def write(self, data):
        data = data[: self._piece]
        if len(data) > self._room:
            raise OSError(errno.ENOSPC, "No space left on device")
        if fcntl.fcntl(self._file, fcntl.F_GETFL) & os.O_DIRECT and (not self._direct or len(data) % 512):
            raise OSError(errno.EINVAL, "Invalid argument")
        self._room -= len(data)
        return self._file.write(data)

    def __getattr__(self, name):
        return getattr(self._file, name)


def on_disk(monkeypatch, *args, **more):
    """What is received from now on goes to such a disk."""
    begin = store.Staging.__init__

    def other(self, cloud, image_id):
        begin(self, cloud, image_id)
        self._file = Disk(self._file, *args, **more)

    monkeypatch.setattr(store.Staging, "__init__", other)


def threads():
    return [one.name for one in threading.enumerate() if one.name.startswith(("image-data", "image-flush"))]


@pytest.mark.parametrize("room", [0, 3 * BLOCK, 20 * BLOCK])
def test_a_disk_that_is_full_in_the_middle(images, monkeypatch, room):
    """Whichever block doesn't fit, the client is told, and neither file nor thread is left."""
    image = images.create()["id"]
    with monkeypatch.context() as patch:
        on_disk(patch, room)
        assert images.upload(image, b"x" * (21 * BLOCK + 5)).status_code == 413
    assert images.show(image).json["status"] == "queued"
    assert (images.files(), threads()) == (set(), [])
    assert images.upload(image, b"now").status_code == 204


@pytest.mark.parametrize(("piece", "direct"), [(1 << 40, False), (70_000, True), (65_536, True), (70_000, False)])
def test_a_disk_that_takes_only_pieces_or_nothing_past_the_page_cache(images, monkeypatch, piece, direct):
    data = hashlib.shake_128(b"seed").digest(7 * BLOCK + 5)
    on_disk(monkeypatch, 1 << 40, piece, direct=direct)
    image = images.active(data)
    assert images.client.get(f"/v2/images/{image['id']}/file").content == data


def test_a_file_system_without_a_way_past_the_page_cache(images, monkeypatch):
    def refuses(file, command, *flags):
        if flags and flags[0] & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return control(file, command, *flags)

    control = fcntl.fcntl
    monkeypatch.setattr(store.fcntl, "fcntl", refuses)
    data = hashlib.shake_128(b"seed").digest(3 * BLOCK)
    image = images.active(data)
    assert images.client.get(f"/v2/images/{image['id']}/file").content == data


def test_the_file_is_closed_when_nobody_writes_it_any_more(images, cloud):
    alive = []

    class Closing(Disk):
        def close(self):
            alive.extend(threads())
            self._file.close()

    staging = store.Staging(cloud, images.create()["id"])
    staging._file = Closing(staging._file, 1 << 40)
    for _ in range(store.AHEAD):
        staging.write(b"x" * BLOCK)
    assert threads()
    staging.discard()
    assert (alive, images.files()) == ([], set())


def test_a_disk_that_fails_while_it_writes_back(images, cloud, monkeypatch):
    """What was met between two flushes is met again at the end: the kernel tells it once."""

    def fails(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    on_disk(monkeypatch, 1 << 40, direct=False)
    monkeypatch.setattr(store, "_FLUSHED", BLOCK)
    monkeypatch.setattr(store.os, "fdatasync", fails)
    image = images.create()["id"]
    assert images.upload(image, b"x" * (2 * BLOCK)).status_code == 413
    assert images.files() == set()


def test_too_large_is_413(images, cloud):
    small = msgspec.structs.replace(cloud.settings.image, image_size_cap=5)
    cloud.settings = msgspec.structs.replace(cloud.settings, image=small)
    image = images.create()["id"]
    assert images.upload(image, b"123456").status_code == 413
    assert images.upload(image, b"12345").status_code == 204


def test_an_image_deleted_during_its_upload_is_gone(images, cloud, monkeypatch):
    image = images.create()["id"]
    finish = store.Staging.finish

    def meanwhile(self):
        with cloud.db.write() as session:
            session.delete(session.get(Image, image))
        return finish(self)

    monkeypatch.setattr(store.Staging, "finish", meanwhile)
    assert images.upload(image, b"x").status_code == 410
    assert images.files() == set()


def test_two_uploads_at_once(images, cloud):
    image = images.create()["id"]
    first = store.Staging(cloud, image)
    assert images.upload(image, b"x").status_code == 409
    first.discard()
    assert images.upload(image, b"x").status_code == 204


def test_delete_removes_the_file(images):
    image = images.active()
    assert images.client.delete(f"/v2/images/{image['id']}").status_code == 204
    assert images.files() == set()


def test_what_a_crash_leaves_behind_is_swept(images, cloud):
    image, waiting = images.active(), images.create()
    images.upload(waiting["id"], b"staged", where="stage")
    folder = cloud.settings.path("images")
    orphan = images.create()["id"]
    (folder / orphan).write_bytes(b"renamed, never committed")
    (folder / "staging" / f"{orphan}.0123").write_bytes(b"half")
    (folder / "notes.txt").write_text("not ours")
    being_written = store.Staging(cloud, orphan)
    assert len(sweep.everything(cloud)) == 2
    assert images.files() == {
        image["id"], "notes.txt", f"staging/{waiting['id']}.staged", f"staging/{being_written.path.name}"
    }  # fmt: skip
    being_written.discard()


def test_deactivate_and_reactivate(images):
    image = images.active()
    path = f"/v2/images/{image['id']}"
    assert images.client.post(path + "/actions/deactivate").status_code == 204
    assert images.client.post(path + "/actions/deactivate").status_code == 204
    assert images.show(image["id"]).json["status"] == "deactivated"
    assert images.client.get(path + "/file").status_code == 403
    assert images.client.get(path + "/file", as_="admin").status_code == 200
    assert images.client.post(path + "/actions/reactivate").status_code == 204
    assert images.client.get(path + "/file").status_code == 200
    queued = images.create()["id"]
    assert images.client.post(f"/v2/images/{queued}/actions/deactivate").status_code == 403


def test_stage_and_import(images):
    image = images.create()["id"]
    path = f"/v2/images/{image}/import"
    body = {"method": {"name": "glance-direct"}}
    assert images.client.post(path, json=body).status_code == 409
    assert images.upload(image, DATA, where="stage").status_code == 204
    assert images.show(image).json["status"] == "uploading"
    assert images.upload(image, DATA).status_code == 409
    assert images.client.post(path, json={"method": {"name": "web-download"}}).status_code == 409
    assert images.client.post(path, json={"method": "x"}).status_code == 400
    assert images.client.post(path, json=body).status_code == 202
    assert images.show(image).json["status"] == "importing"
    images.work()
    shown = images.show(image).json
    task = images.client.get(f"/v2/images/{image}/tasks").json["tasks"][0]
    assert (task["status"], task["type"]) == ("success", "api_image_import")
    assert (shown["status"], shown["checksum"]) == ("active", hashlib.md5(DATA).hexdigest())
    assert images.client.post(path, json=body).status_code == 409
    assert images.files() == {image}


def test_refused_imports_start_anew(images):
    image = images.create(disk_format="qcow2")["id"]
    images.upload(image, b"not a qcow2", where="stage")
    answer = images.client.post(f"/v2/images/{image}/import", json={"method": {"name": "glance-direct"}})
    assert answer.status_code == 202
    images.work()
    task = images.client.get(f"/v2/images/{image}/tasks").json["tasks"][0]
    assert task["status"] == "failure"
    assert "does not match" in task["message"]
    assert images.client.get(f"/v2/tasks/{task['id']}", as_="admin").json["input"]["image_id"] == image
    assert images.show(image).json["status"] == "queued"
    assert images.files() == set()


def test_boot_image_is_what_compute_needs(images, cloud):
    image = images.active(b"raw data", hw_disk_bus="virtio")
    queued = images.create()["id"]
    with cloud.db.read() as session:
        boot = public.boot_image(cloud, session, PERSONAS["member"], image["id"])
        assert boot.properties == {"hw_disk_bus": "virtio"}
        spec = boot.spec()
        assert (spec.disk_format, spec.size, spec.os_hash_value) == ("raw", 8, image["os_hash_value"])
        assert b"".join(public.boot_source(cloud, session, image["id"]).open(cloud)) == b"raw data"
        with pytest.raises(NotFound):
            public.boot_image(cloud, session, PERSONAS["other"], image["id"])
        with pytest.raises(Conflict):
            public.boot_image(cloud, session, PERSONAS["member"], queued)
        with pytest.raises(NotFound):
            public.boot_source(cloud, session, queued)


def test_ids_name_no_other_file(cloud):
    for bad in ("../../etc/passwd", "x", "0" * 36, "00000000-0000-4000-8000-0000000000ff/.."):
        with pytest.raises(ValueError, match="id of an image"):
            store.path(cloud, bad)


def test_rows_survive_only_whole(images, cloud):
    image = images.active()
    with cloud.db.read() as session:
        row = session.get(Image, image["id"])
        assert (row.boot_format, row.boot_size) == ("raw", None)
