"""Stores: several at once, imports into them, and what a crash leaves."""

from __future__ import annotations

import datetime
import hashlib

import pytest
import sqlalchemy as sa

from onestack import config
from onestack.core import operations
from onestack.image import data, expiry, imports, objects, public
from onestack.image.models_stores import ImageLocation
from onestack.image.stores import make
from tests.image.conftest import images_of
from tests.image.deaths import Killed, begin_anew, dying
from tests.image.stores import s3_server, two_files, with_image

DATA = b"0123456789" * 1000


@pytest.fixture(scope="module")
def s3():
    with s3_server() as found:
        yield found


def build(cloud, client_of, **values):
    with_image(cloud, **values)
    return images_of(cloud, client_of)


@pytest.fixture
def several(cloud, client_of):
    return build(cloud, client_of, stores=two_files(cloud))


def test_an_image_in_s3_is_stored_read_booted_and_removed(cloud, client_of, s3):
    images = build(cloud, client_of, stores={"far": s3}, default_store="far")
    image = images.active(DATA)
    assert image["stores"] == "far"
    assert images.files() == set()
    part = images.client.get(f"/v2/images/{image['id']}/file", headers={"Range": "bytes=3-12"})
    assert (part.status_code, part.content) == (206, DATA[3:13])
    with cloud.db.read() as session:
        source = public.boot_source(cloud, session, image["id"])
    assert b"".join(source.open(cloud)) == DATA
    images.work()  # the download made it worth caching
    assert images.files() == {f"cache/{image['id']}"}
    assert b"".join(source.open(cloud, 1, 2)) == DATA[1:3]
    assert images.client.delete(f"/v2/images/{image['id']}").status_code == 204
    assert objects.collect(cloud) == 1
    assert not make(cloud.settings, "far", s3).exists(image["id"])
    assert images.files() == set()


def test_nobody_names_the_object_of_another_image(cloud, client_of, s3):
    """It would be read, and be deleted with the image of who named it."""
    images = build(cloud, client_of, stores={"far": s3}, default_store="far", show_multiple_locations=True)
    image = images.active(DATA)
    mine = images.create("other")["id"]
    value = {"url": image["locations"][0]["url"], "metadata": {}}
    answer = images.patch(mine, {"op": "add", "path": "/locations/-", "value": value}, as_="other")
    assert (answer.status_code, "Invalid location" in answer.text) == (400, True)
    images.client.post(f"/v2/images/{mine}/locations", as_="service", json={"url": value["url"]})
    images.work()
    assert images.show(mine, "other").json["status"] == "queued"
    assert images.client.get(f"/v2/images/{image['id']}/file").content == DATA


def test_discovery_and_the_store_of_an_upload(several):
    assert several.client.get("/v2/info/stores").json["stores"] == [
        {"id": "file", "default": "true"}, {"id": "second", "description": "another disk"}
    ]  # fmt: skip
    assert several.client.get("/v2/info/stores/detail").status_code == 403
    detail = several.client.get("/v2/info/stores/detail", as_="admin").json["stores"][1]
    assert (detail["type"], detail["weight"]) == ("file", 0)
    answer = several.client.post("/v2/images", json={"disk_format": "raw", "container_format": "bare"})
    assert answer.headers["OpenStack-image-store-ids"] == "file,second"
    path = f"/v2/images/{answer.json['id']}/file"
    headers = {"Content-Type": "application/octet-stream", "X-Image-Meta-Store": "third"}
    assert several.client.put(path, body=DATA, headers=headers).status_code == 400
    assert several.client.put(path, body=DATA, headers=headers | {"X-Image-Meta-Store": "second"}).status_code == 204
    assert several.show(answer.json["id"]).json["stores"] == "second"
    assert several.client.get(path + "?prefer=file").content == DATA
    assert several.client.get(path + "?prefer=none").status_code == 400


def test_import_into_all_stores_then_delete_from_one(several):
    image = several.create()["id"]
    several.upload(image, DATA, where="stage")
    assert several.import_(image, "glance-direct", all_stores=True, stores=["file"]).status_code == 400
    assert several.import_(image, "glance-direct", stores=["none"]).status_code == 409
    assert several.import_(image, "glance-direct", all_stores="yes").status_code == 400
    assert several.import_(image, "glance-direct", all_stores=True).status_code == 202
    shown = several.show(image).json
    assert (shown["status"], shown["stores"]) == ("active", "file,second")
    assert (shown["os_glance_importing_to_stores"], shown["os_glance_failed_import"]) == ("", "")
    assert "os_glance_import_task" not in shown
    assert several.task(image)["result"] == {"image_id": image}
    assert several.client.delete(f"/v2/stores/second/{image}").status_code == 403
    assert several.client.delete(f"/v2/stores/none/{image}", as_="admin").status_code == 409
    assert several.client.delete(f"/v2/stores/second/{image}", as_="admin").status_code == 204
    assert several.show(image).json["stores"] == "file"
    assert several.client.delete(f"/v2/stores/file/{image}", as_="admin").status_code == 403
    assert several.client.get(f"/v2/images/{image}/file").content == DATA


def test_copy_image(several, cloud):
    image = several.active(DATA)["id"]
    assert several.import_(image, "copy-image", all_stores=True).status_code == 403
    assert several.import_(image, "copy-image", as_="admin", stores=["file"]).status_code == 400
    assert several.import_(image, "copy-image", as_="admin", all_stores=True).status_code == 202
    assert several.show(image).json["stores"] == "file,second"
    assert several.task(image)["status"] == "success"
    assert several.import_(several.create()["id"], "copy-image", as_="admin").status_code == 409
    assert not list(cloud.settings.path("images", "staging").glob("*"))


@pytest.mark.parametrize("must", [True, False])
def test_a_store_that_is_full(several, cloud, monkeypatch, must):
    image = several.create()["id"]
    several.upload(image, DATA, where="stage")
    put = data.put

    def full(cloud, image_id, name, file):
        if name == "second":
            raise data.TooLarge("Image storage media is full: no room")
        return put(cloud, image_id, name, file)

    monkeypatch.setattr(data, "put", full)
    several.import_(image, "glance-direct", all_stores=True, all_stores_must_succeed=must)
    shown = several.show(image).json
    assert "second" in shown["os_glance_failed_import"]
    assert shown["os_glance_importing_to_stores"] == ""
    if must:
        assert (shown["status"], shown["size"], several.task(image)["status"]) == ("queued", None, "failure")
        assert several.files() == set()
    else:
        assert (shown["status"], shown["stores"], several.task(image)["status"]) == ("active", "file", "success")


@pytest.mark.parametrize("where", ["inspect", "put", "take", "end"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_killed_import_converges(several, cloud, monkeypatch, where, times):
    image = several.create()["id"]
    several.upload(image, DATA, where="stage")
    body = {"method": {"name": "glance-direct"}, "all_stores": True}
    assert several.client.post(f"/v2/images/{image}/import", json=body).status_code == 202
    module, name = {
        "inspect": (data, "inspect"), "put": (objects, "put"), "take": (objects, "take"), "end": (imports, "end_task"),
    }[where]  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr(module, name, dying(getattr(module, name), times))
        patch.setattr(objects, "doom", lambda *_: None)  # who is dead tidies nothing
        if where in ("put", "take") or times == 1:
            with pytest.raises(Killed):
                several.work()
        else:
            several.work()
    begin_anew(cloud, monkeypatch)
    several.work()
    shown = several.show(image).json
    assert (shown["status"], shown["stores"]) == ("active", "file,second")
    assert shown["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    assert several.client.get(f"/v2/images/{image}/file").content == DATA
    with cloud.db.read() as session:
        assert len(session.scalars(sa.select(ImageLocation)).all()) == 2
    assert several.task(image)["status"] == "success"


def test_objects_of_writers_that_are_not_heard_of_are_given_up(several, cloud):
    """A machine that lost its power comes back as another boot, or never."""
    now = cloud.clock.now()
    rows = {"long ago": ("x:1:1:1", -1), "alive": ("x:1:1:2", 1), "ours": (operations.this_process(), -1)}
    image = several.create()["id"]
    with cloud.db.write() as session:
        session.add_all(
            ImageLocation(
                image_id=image, store="file", object_key=key, status="writing", writer=writer,
                location_metadata={}, created_at=now, lease_until=now + datetime.timedelta(seconds=left),
            )
            for key, (writer, left) in rows.items()
        )  # fmt: skip

    def left() -> dict[str, str]:
        objects.recover(cloud)
        with cloud.db.read() as session:
            return {row.object_key: row.status for row in session.scalars(sa.select(ImageLocation))}

    assert left() == {"long ago": "pending_delete", "alive": "writing", "ours": "writing"}
    cloud.clock.advance(2)
    assert left() == {"long ago": "pending_delete", "alive": "pending_delete", "ours": "writing"}


def test_an_upload_whose_object_was_given_up_meanwhile(several, cloud, monkeypatch):
    image = several.create()["id"]
    put = objects.put

    def halted(*args, **more):
        found = put(*args, **more)
        objects.doom(cloud, [found])
        return found

    monkeypatch.setattr(objects, "put", halted)
    answer = several.upload(image, DATA)
    assert (answer.status_code, "Send them again" in answer.text) == (503, True)
    monkeypatch.undo()
    assert several.show(image).json["status"] == "queued"
    assert several.files() == set()
    assert several.upload(image, DATA).status_code == 204


def test_an_image_deleted_during_its_import(several, cloud):
    image = several.create()["id"]
    several.upload(image, DATA, where="stage")
    several.client.post(f"/v2/images/{image}/import", json={"method": {"name": "glance-direct"}})
    assert several.client.delete(f"/v2/images/{image}").status_code == 204
    several.work()
    assert several.files() == set()


def test_tasks_go_when_their_time_is_over(several, cloud):
    image = several.create()["id"]
    several.upload(image, DATA, where="stage")
    several.import_(image, "glance-direct")
    task = several.task(image)["id"]
    cloud.clock.advance(47 * 3600)
    expiry.expire(cloud)
    assert several.client.get(f"/v2/tasks/{task}", as_="admin").status_code == 200
    cloud.clock.advance(3600)
    expiry.expire(cloud)
    assert several.client.get(f"/v2/tasks/{task}", as_="admin").status_code == 404
    assert several.client.get(f"/v2/images/{image}/tasks").json == {"tasks": []}


def test_the_cache_of_an_administrator(images):
    image = images.active(DATA)["id"]
    assert images.client.get("/v2/cache").status_code == 403
    assert images.client.put("/v2/cache/none", as_="admin").status_code == 404
    assert images.client.put(f"/v2/cache/{images.create()['id']}", as_="admin").status_code == 400
    assert images.client.put(f"/v2/cache/{image}", as_="admin").status_code == 202
    assert images.client.get("/v2/cache", as_="admin").json["queued_images"] == [image]
    images.work()
    images.client.get(f"/v2/images/{image}/file")
    cached = images.client.get("/v2/cache", as_="admin").json["cached_images"]
    assert [(one["image_id"], one["size"], one["hits"]) for one in cached] == [(image, len(DATA), 1)]
    assert images.files() >= {f"cache/{image}"}
    bad = {"X-Image-Cache-Clear-Target": "invalid"}
    assert images.client.delete("/v2/cache", as_="admin", headers=bad).status_code == 400
    assert images.client.delete("/v2/cache", as_="admin").status_code == 204
    assert images.files() == {image} | {name for name in images.files() if "cache" not in name}
    assert images.client.get("/v2/cache", as_="admin").json == {"cached_images": [], "queued_images": []}
    pruned = images.client.post("/v2/cache/prune", as_="admin")
    assert pruned.json == {"total_files_pruned": 0, "total_bytes_pruned": 0}
    assert images.client.get(f"/v2/cache/nodes/{image}", as_="admin").status_code == 409


def test_what_is_beyond_the_caches_size_goes(cloud, client_of):
    images = build(cloud, client_of, image_cache_max_size=15000)
    ids = [images.active(DATA)["id"] for _ in range(2)]
    for image in ids:
        images.client.put(f"/v2/cache/{image}", as_="admin")
        cloud.clock.advance(1)
        images.work()
    cached = images.client.get("/v2/cache", as_="admin").json["cached_images"]
    assert [one["image_id"] for one in cached] == [ids[1]]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("default_store = 'x'", "image.default_store"),
        ("[image.stores.s]\ntype = 's3'", "must be set for a store of type s3"),
        ("[image.stores.file]\ntype = 'cinder'", "Invalid enum value"),
        ("[image.stores.'a b']\ntype = 'file'", "no name for a store"),
        ("enabled_import_methods = ['x']", "enabled_import_methods"),
        ("[image.import_filter]\nallowed_networks = ['x']", "allowed_networks"),
    ],
)
def test_wrong_settings_are_refused_at_the_start(tmp_path, table, words):
    keep = "" if "stores.file" in table or "stores" not in table else "\n[image.stores.file]\ntype = 'file'"
    (tmp_path / "onestack.toml").write_text(f"[image]\n{table}{keep}\n")
    with pytest.raises(config.ConfigError, match=words):
        config.load(str(tmp_path))
