"""A database and a folder of the first release: its images are read, booted, imported and deleted as before."""

from __future__ import annotations

import datetime
import hashlib

import pytest
import sqlalchemy as sa

from onestack.core import operations
from onestack.image import objects, public, service, sweep
from tests.conftest import PROJECT
from tests.image.conftest import Images
from tests.server.test_schema import migrate

DATA, BOOT = b"old data" * 1000, b"converted" * 100
PLAIN, CONVERTED, QUEUED, STAGED, OFF = (f"{number}1111111-0000-4000-8000-000000000000" for number in range(5))
NOW = datetime.datetime(2026, 1, 1, 12, 0, 0)


@pytest.fixture
def old(cloud, client_of, empty_database):
    """Migrated from the first release's tables, with the files where they lay then."""
    cloud.db.close()
    cloud.db = empty_database
    migrate(cloud.db, "0001")
    tables = sa.MetaData()
    with cloud.db.engine.begin() as connection:
        tables.reflect(connection, only=["images", "image_tasks", "image_properties"])
        rows = [_image(PLAIN), _image(CONVERTED, disk_format="vmdk", boot_size=len(BOOT), boot_format="qcow2")]
        rows += [_image(QUEUED, status="queued", boot_format=None), _image(OFF, status="deactivated")]
        rows += [_image(STAGED, status="uploading", boot_format=None, staged=_digest())]
        for row in rows:
            connection.execute(sa.insert(tables.tables["images"]).values(row))
        for number, (status, image) in enumerate((("success", PLAIN), ("failure", QUEUED))):
            connection.execute(
                sa.insert(tables.tables["image_tasks"]).values(
                    id=f"{number}" * 36, image_id=image, status=status, method="glance-direct", owner=PROJECT,
                    user_id="b0" * 16, request_id="req-1", message="" if status == "success" else "no", created_at=NOW,
                )
            )  # fmt: skip
    folder = cloud.settings.path("images")
    (folder / "staging").mkdir(parents=True)
    for name in (PLAIN, CONVERTED, OFF, f"staging/{STAGED}.staged"):
        (folder / name).write_bytes(DATA)
    (folder / f"{CONVERTED}.boot").write_bytes(BOOT)
    migrate(cloud.db, "head")
    client = client_of(service.build(cloud)["image"])
    assert sweep.everything(cloud) == []
    return Images(client, folder, operations.Workers(cloud, cloud.runners))


def _image(image_id, **values):
    return {
        "id": image_id, "name": "old", "owner": PROJECT, "status": "active", "visibility": "private",
        "disk_format": "raw", "container_format": "bare", "size": len(DATA), "min_disk": 0, "min_ram": 0,
        "checksum": "c" * 32, "os_hash_algo": "sha512", "os_hash_value": hashlib.sha512(DATA).hexdigest(),
        "protected": False, "os_hidden": False, "boot_format": "raw", "created_at": NOW, "updated_at": NOW,
    } | values  # fmt: skip


def _digest():
    return f'{{"size": {len(DATA)}, "checksum": "{"c" * 32}", "os_hash_value": "{hashlib.sha512(DATA).hexdigest()}"}}'


def test_data_is_read_and_servers_are_made_of_it(old, cloud):
    for image in (PLAIN, CONVERTED):
        assert old.client.get(f"/v2/images/{image}/file").content == DATA
        assert old.show(image).json["stores"] == "file"
    assert old.client.get(f"/v2/images/{QUEUED}/file").status_code == 204
    assert old.client.get(f"/v2/images/{OFF}/file", as_="admin").content == DATA
    for image, data in ((PLAIN, DATA), (CONVERTED, BOOT)):
        with cloud.db.read() as session:
            source = public.boot_source(cloud, session, image)
        assert b"".join(source.open(cloud)) == data


def test_deleted_images_leave_no_file(old):
    for image in (PLAIN, CONVERTED, QUEUED, STAGED):
        assert old.client.delete(f"/v2/images/{image}").status_code == 204
    assert old.files() == {OFF}


def test_what_was_staged_is_imported_and_what_waited_gets_data(old, cloud):
    assert old.import_(STAGED, "glance-direct").status_code == 202
    assert old.upload(QUEUED, DATA).status_code == 204
    for image in (STAGED, QUEUED):
        assert old.show(image).json["status"] == "active"
        assert old.client.get(f"/v2/images/{image}/file").content == DATA
    assert objects.collect(cloud) == 0


def test_tasks_stay(old):
    assert (old.task(PLAIN)["status"], old.task(PLAIN)["result"]) == ("success", {"image_id": PLAIN})
    task = old.task(QUEUED)
    assert (task["status"], task["message"], task["expires_at"]) == ("failure", "no", "2026-01-03T12:00:00Z")


def test_copies_and_staged_files_from_before_there_were_nodes_stay(cloud, client_of, empty_database):
    cloud.db.close()
    cloud.db = empty_database
    migrate(cloud.db, "0008")
    tables = sa.MetaData()
    with cloud.db.engine.begin() as connection:
        tables.reflect(connection, only=["images", "image_cache"])
        connection.execute(sa.insert(tables.tables["images"]).values(_image(PLAIN)))
        waiting = _image(STAGED, status="uploading", boot_format=None, staged=_digest())
        connection.execute(sa.insert(tables.tables["images"]).values(waiting))
        copy = {"image_id": PLAIN, "state": "cached", "size": len(DATA), "hits": 3}
        copy |= {"accessed_at": NOW, "modified_at": NOW}
        connection.execute(sa.insert(tables.tables["image_cache"]).values(copy))
    folder = cloud.settings.path("images")
    for name in (f"cache/{PLAIN}", f"staging/{STAGED}.staged"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(DATA)
    migrate(cloud.db, "head")
    images = Images(client_of(service.build(cloud)["image"]), folder, operations.Workers(cloud, cloud.runners))
    sweep.adopt(cloud)
    assert sweep.everything(cloud) == []
    (cached,) = images.client.get("/v2/cache", as_="admin").json["cached_images"]
    assert (cached["image_id"], cached["size"], cached["hits"], cached["last_accessed"]) == (
        PLAIN, len(DATA), 3, NOW.replace(tzinfo=datetime.UTC).timestamp(),
    )  # fmt: skip
    assert images.import_(STAGED, "glance-direct").status_code == 202
    assert images.show(STAGED).json["status"] == "active"
    assert images.client.get(f"/v2/images/{STAGED}/file").content == DATA
