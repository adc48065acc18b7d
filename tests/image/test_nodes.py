"""Two nodes with one database and one store: whose the cached copies and the staged files are, who works on them."""

from __future__ import annotations

import hashlib
import socket
import subprocess

import msgspec
import pytest
import sqlalchemy as sa

from onestack.config import ImageStore
from onestack.core import node, operations
from onestack.core.cloud import Cloud
from onestack.core.db import Database
from onestack.core.operations import Operation
from onestack.image import imports, objects, public, service, sweep
from onestack.image.models import Image
from onestack.image.models_stores import CachedImage
from onestack.image.sweep import Sweeper
from tests.conftest import PERSONAS
from tests.image.conftest import Images, needs_qemu
from tests.image.stores import LOCAL, Web, with_image

DATA = b"0123456789" * 1000
DIRECT = {"method": {"name": "glance-direct"}}


@pytest.fixture
def nodes(cloud, client_of, tmp_path):
    """The images as two nodes see them."""
    state = tmp_path / "other-state"
    settings = msgspec.structs.replace(cloud.settings, state=str(state), database=cloud.settings.database_url)
    other = Cloud(settings=settings, db=Database(settings.database_url), clock=cloud.clock)
    other.authenticate = PERSONAS.get
    stores = {"shared": ImageStore(type="file", path=str(tmp_path / "shared"))}
    found = []
    for one in (cloud, other):
        with_image(one, stores=stores, default_store="shared", import_filter=LOCAL)
        client = client_of(service.build(one)["image"])
        found.append(Images(client, one.settings.path("images"), operations.Workers(one, one.runners)))
        found[-1].cloud = one
    cloud.db.create_all()
    yield found
    other.db.close()


def cache(images):
    return images.client.get("/v2/cache", as_="admin").json


def cached(images):
    return [one["image_id"] for one in cache(images)["cached_images"]]


def owed(images):
    with images.cloud.db.read() as session:
        return session.scalars(sa.select(Operation).where(Operation.finished_at.is_(None))).all()


def staged(images):
    image = images.create()["id"]
    assert images.upload(image, DATA, where="stage").status_code == 204
    return image


def test_a_node_is_a_directory_of_images(cloud, tmp_path, monkeypatch):
    name = node.name(cloud.settings)
    assert name.startswith(socket.gethostname()[:40])
    monkeypatch.setattr(socket, "gethostname", lambda: "an other name" * 20)
    assert node.name(cloud.settings) == name
    other = node.name(msgspec.structs.replace(cloud.settings, state=str(tmp_path / "other")))
    assert other.startswith("another")
    assert len(other) == node.LONGEST


def test_each_node_has_its_own_cache(nodes):
    here, there = nodes
    image = here.active(DATA)["id"]
    assert there.client.put(f"/v2/cache/{image}", as_="admin").status_code == 202
    assert cache(there)["queued_images"] == [image]
    assert cache(here) == {"cached_images": [], "queued_images": []}
    here.work()
    assert cache(there)["queued_images"] == [image]  # it isn't ours to do
    there.work()
    assert (cached(here), cached(there)) == ([], [image])
    assert (here.files(), there.files()) == (set(), {f"cache/{image}"})
    assert here.client.put(f"/v2/cache/{image}", as_="admin").status_code == 202
    here.work()
    copy = here.folder / "cache" / image
    copy.unlink()  # it is another name of the store's own file
    copy.write_bytes(b"x" * len(DATA))
    assert here.client.get(f"/v2/images/{image}/file").content == b"x" * len(DATA)
    assert [one["hits"] for one in (*cache(here)["cached_images"], *cache(there)["cached_images"])] == [1, 0]
    assert there.client.delete("/v2/cache", as_="admin").status_code == 204
    assert (cached(here), cached(there)) == ([image], [])
    assert (here.files(), there.files()) == ({f"cache/{image}"}, set())
    assert here.client.delete(f"/v2/cache/{image}", as_="admin").status_code == 204
    assert here.files() == set()


def test_a_full_cache_is_full_on_its_node_alone(nodes):
    here, there = nodes
    images = [here.active(DATA)["id"] for _ in range(2)]
    for one, image in ((here, images[0]), (there, images[1])):
        one.client.put(f"/v2/cache/{image}", as_="admin")
        one.work()
    with_image(here.cloud, image_cache_max_size=len(DATA))
    with_image(there.cloud, image_cache_max_size=len(DATA) - 1)
    assert here.client.post("/v2/cache/prune", as_="admin").json["total_files_pruned"] == 0
    assert there.client.post("/v2/cache/prune", as_="admin").json["total_files_pruned"] == 1
    assert (cached(here), cached(there)) == ([images[0]], [])


def test_a_deleted_image_is_in_no_cache(nodes):
    here, there = nodes
    image, waiting = here.active(DATA)["id"], here.active(DATA)["id"]
    there.client.put(f"/v2/cache/{image}", as_="admin")
    there.work()
    there.client.put(f"/v2/cache/{waiting}", as_="admin")
    for one in (image, waiting):
        assert here.client.delete(f"/v2/images/{one}").status_code == 204
    assert cache(there) == {"cached_images": [], "queued_images": []}
    assert owed(here) == []  # that node may never come back
    assert there.files() == {f"cache/{image}"}
    assert sweep.superfluous(there.cloud) == [image]
    assert there.files() == set()


def test_what_is_staged_on_one_node_is_imported_by_it_when_the_other_is_asked(nodes):
    here, there = nodes
    image = staged(here)
    assert there.client.post(f"/v2/images/{image}/import", json=DIRECT).status_code == 202
    there.work()
    task = there.task(image)
    assert task["status"] == "pending"
    assert task["message"] == "The import is done by the node that has the staged data."
    assert there.client.post(f"/v2/images/{image}/import", json=DIRECT).status_code == 409
    here.work()
    assert (there.task(image)["status"], there.task(image)["message"]) == ("success", "")
    assert there.show(image).json["status"] == "active"
    assert there.client.get(f"/v2/images/{image}/file").content == DATA
    assert here.files() == there.files() == set()
    assert "os_glance_stage_host" not in there.show(image).json


def test_a_refused_import_is_staged_anew_wherever_one_likes(nodes):
    here, there = nodes
    image = here.create(disk_format="qcow2")["id"]
    here.upload(image, DATA, where="stage")
    there.client.post(f"/v2/images/{image}/import", json=DIRECT)
    here.work()
    assert there.task(image)["status"] == "failure"
    there.patch(image, {"op": "replace", "path": "/disk_format", "value": "raw"})
    assert there.upload(image, DATA, where="stage").status_code == 204
    (here.folder / "staging" / f"{image}.staged").write_bytes(b"older")
    assert sweep.superfluous(here.cloud) == [f"{image}.staged"]
    assert sweep.superfluous(there.cloud) == []
    here.client.post(f"/v2/images/{image}/import", json=DIRECT)
    here.work()
    assert here.show(image).json["status"] == "importing"
    there.work()
    assert here.show(image).json["status"] == "active"


def test_what_is_staged_on_one_node_goes_when_the_other_deletes_it(nodes):
    here, there = nodes
    image, kept = staged(here), staged(here)
    assert sweep.superfluous(here.cloud) == []
    assert there.client.delete(f"/v2/images/{image}").status_code == 204
    assert here.files() == {f"staging/{image}.staged", f"staging/{kept}.staged"}
    assert sweep.superfluous(here.cloud) == [f"{image}.staged"]
    assert here.files() == {f"staging/{kept}.staged"}


def test_a_node_that_is_gone_holds_up_nothing(nodes):
    """An import waits for it as long as somebody wants the image; then its id is free again."""
    here, there = nodes
    image = staged(here)
    assert there.client.post(f"/v2/images/{image}/import", json=DIRECT).status_code == 202
    task = there.task(image)["id"]
    assert there.client.delete(f"/v2/images/{image}").status_code == 204
    assert owed(there) == []
    shown = there.client.get(f"/v2/tasks/{task}", as_="admin").json
    assert (shown["status"], shown["message"]) == ("failure", f"No image found with ID {image}")
    there.create(id=image)
    there.upload(image, DATA, where="stage")
    there.client.post(f"/v2/images/{image}/import", json=DIRECT)
    there.work()
    assert there.show(image).json["status"] == "active"
    assert sweep.superfluous(here.cloud) == [f"{image}.staged"]


def test_a_download_that_one_node_began_is_ended_by_another(nodes):
    here, there = nodes
    with Web() as web:
        web.pages["/image"] = DATA
        image = here.create()["id"]
        method = {"name": "web-download", "uri": f"{web.url}/image"}
        assert here.client.post(f"/v2/images/{image}/import", json={"method": method}).status_code == 202
        (operation,) = owed(here)
        job = imports.Import(here.cloud, operation, "", {"backend": ["shared"], "import_req": {"method": method}})
        job._data()  # and here it dies
        assert here.files() == {f"staging/{image}.staged"}
        (there.folder / "staging").mkdir(parents=True)
        (there.folder / "staging" / f"{image}.staged").write_bytes(b"x" * len(DATA))  # of an even older try
        there.work()
    assert there.show(image).json["status"] == "active"
    assert there.client.get(f"/v2/images/{image}/file").content == DATA
    assert there.files() == set()
    assert sweep.superfluous(here.cloud) == [f"{image}.staged"]


@needs_qemu
@pytest.mark.parametrize("how", ["file", "stage"])
def test_what_an_image_was_converted_to_is_read_by_every_node(nodes, tmp_path, how):
    here, there = nodes
    raw, disk = tmp_path / "raw", tmp_path / "disk"
    raw.write_bytes(b"bootable" * (1 << 17))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "vmdk", raw, disk], check=True)
    image = here.create(disk_format="vmdk")["id"]
    assert here.upload(image, disk.read_bytes(), where=how).status_code == 204
    if how == "stage":
        here.client.post(f"/v2/images/{image}/import", json=DIRECT)
        here.work()
    assert here.show(image).json["status"] == "active"
    with there.cloud.db.read() as session:
        source = public.boot_source(there.cloud, session, image)
        promised = session.get(Image, image).boot_hash_value
    data = b"".join(source.open(there.cloud))
    assert hashlib.sha512(data).hexdigest() == promised
    assert data[:4] == b"QFI\xfb"
    assert there.client.delete(f"/v2/images/{image}").status_code == 204
    assert list((tmp_path / "shared").rglob("*-*")) == []
    with here.cloud.db.read() as session:
        assert objects.all_of(session, image) == []


def test_the_sweep_leaves_what_is_being_worked_on(nodes):
    """An import's files aren't locked from end to end, and its row says little before its transaction."""
    here, _ = nodes
    image, copied = staged(here), here.active(DATA)["id"]
    here.client.post(f"/v2/images/{image}/import", json=DIRECT)
    here.client.put(f"/v2/cache/{copied}", as_="admin")
    with here.cloud.db.write() as session:
        session.get(Image, image).staged = None
    folder = here.cloud.settings.path("images")
    for name in (f"staging/{image}.staged.boot", f"staging/{image}.copy", f"cache/{copied}", f"{copied}.boot"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"half")
    before = here.files()
    assert sweep.superfluous(here.cloud) == sweep.everything(here.cloud) == []
    assert here.files() == before
    assert here.client.delete(f"/v2/images/{copied}").status_code == 204
    with here.cloud.db.write() as session:
        session.delete(session.get(Image, image))
    assert len(sweep.superfluous(here.cloud)) == 3
    assert here.files() == set()


def test_a_killed_import_leaves_nothing_when_it_is_done(nodes):
    here, _ = nodes
    image = staged(here)
    here.client.post(f"/v2/images/{image}/import", json=DIRECT)
    folder = here.folder / "staging"
    for name in (f"{image}.copy", f"{image}.staged.boot", f"{image}.0123456789abcdef"):
        (folder / name).write_bytes(b"half")
    assert sweep.everything(here.cloud) == [f"{image}.0123456789abcdef"]
    with here.cloud.db.write() as session:
        (operation,) = session.scalars(sa.select(Operation).where(Operation.finished_at.is_(None)))
        job = imports.Import(here.cloud, operation, "", {"backend": ["shared"], "import_req": DIRECT})
    job._to_store("shared", *job._data())  # and here it dies
    (folder / f"{image}.copy").write_bytes(b"half")
    here.work()
    assert here.show(image).json["status"] == "active"
    assert here.files() == set()


def test_the_sweeper_is_woken_by_a_delete(nodes):
    here, there = nodes
    image = staged(here)
    other = here.create()["id"]
    there.cloud.wakeups = here.cloud.wakeups  # as PostgreSQL carries them
    sweeper = Sweeper(here.cloud)
    sweeper.start()
    try:
        seen = here.cloud.wakeups.seen(sweep.TOPIC)
        there.client.delete(f"/v2/images/{other}")
        assert here.cloud.wakeups.seen(sweep.TOPIC) == seen  # nothing of it is elsewhere
        there.client.delete(f"/v2/images/{image}")
        assert here.cloud.wakeups.seen(sweep.TOPIC) == seen + 1
    finally:
        sweeper.stop()
    assert objects.collect(here.cloud) == 0


def test_rows_from_before_there_were_nodes_are_adopted(nodes):
    here, there = nodes
    image, lost, queued = (here.active(DATA)["id"] for _ in range(3))
    waiting = staged(here)
    now = here.cloud.clock.now()
    row = {"node": "", "size": 1, "hits": 3, "accessed_at": now, "modified_at": now}
    with here.cloud.db.write() as session:
        session.add(CachedImage(image_id=image, state="cached", **row))
        session.add(CachedImage(image_id=lost, state="cached", **row))
        session.add(CachedImage(image_id=queued, state="queued", **row))
        session.get(Image, waiting).staged_on = None
    folder = here.cloud.settings.path("images", "cache")
    folder.mkdir()
    (folder / image).write_bytes(DATA)
    for _ in range(2):
        sweep.adopt(here.cloud)
    sweep.adopt(there.cloud)
    sweep.everything(here.cloud)
    assert cached(here) == [image]
    assert cache(here)["queued_images"] == [queued]
    assert cache(there) == {"cached_images": [], "queued_images": []}
    there.client.post(f"/v2/images/{waiting}/import", json=DIRECT)
    there.work()
    assert there.show(waiting).json["status"] == "importing"
    here.work()
    assert there.show(waiting).json["status"] == "active"
    assert sorted(cached(here)) == sorted([image, queued])
