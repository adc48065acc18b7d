"""Stores that are elsewhere: their contract on a real Ceph and a real Swift, which signs its users in at our Identity,
and real servers that are made from what is in them."""

from __future__ import annotations

import json
import sysconfig
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import swiftclient

from onestack.cli import demo
from onestack.cli.client import base_url
from onestack.config import ImageStore
from onestack.engines import packages
from onestack.image.drivers.base import Denied, StoreError
from onestack.image.drivers.rbd import RbdStore
from onestack.image.drivers.swift import SwiftStore
from tests.crashing import until
from tests.fakecloud import FakeCloud, fake_cloud
from tests.image.contract import DATA, ID, PART, StoreContract
from tests.image.stores import s3_server
from tests.system import ceph as cephs
from tests.system import swift as swifts
from tests.system.ceph import Ceph
from tests.system.cloud import SystemCloud
from tests.system.swift import Swift
from tests.system.tenants import IMAGE, Tenant


@pytest.fixture(scope="module")
def ceph() -> Iterator[Ceph]:
    if why := cephs.missing():
        pytest.skip(why)
    packages.link_binding(Path(sysconfig.get_paths()["platlib"]), "rados", "rbd")
    with cephs.ceph() as found:
        yield found


@pytest.fixture(scope="module")
def identity() -> Iterator[FakeCloud]:
    with fake_cloud() as cloud:
        cloud.up()
        yield cloud


@pytest.fixture(scope="module")
def swift(identity: FakeCloud) -> Iterator[Swift]:
    if why := swifts.missing():
        pytest.skip(why)
    with swifts.swift(identity.settings()) as found:
        yield found


class TestRbd(StoreContract):
    @pytest.fixture
    def one(self, ceph: Ceph) -> RbdStore:
        self.ceph = ceph
        return RbdStore("ceph", ceph.store)

    def leftovers(self, one: Any) -> list[str]:
        objects = self.ceph.rados("ls").split()
        return [name for name in objects if name not in ("rbd_directory", "rbd_info", "rbd_children", "rbd_trash")]

    def test_others_see_an_image_with_a_protected_snapshot(self, one: RbdStore, source: Any) -> None:
        """So Nova and Cinder of another cloud may clone it, as with Glance's own."""
        one.put(ID, source(DATA))
        shown = self.ceph.rbd("info", f"images/{ID}@snap")
        assert ("protected: True" in shown, "layering" in shown) == (True, True)
        assert one.url(ID) == f"rbd://{self.ceph.fsid}/images/{ID}/snap"
        one.delete(ID)

    def test_a_user_and_a_pool_that_are_not_there(self, ceph: Ceph) -> None:
        settings = {"type": "rbd", "ceph_conf": str(ceph.conf)}
        for more in ({"user": "none", "pool": "images"}, {"user": "images", "pool": "none"}):
            with pytest.raises(StoreError, match="Ceph"):
                RbdStore("ceph", ImageStore(**settings, **more)).check()
        away = ImageStore(type="rbd", ceph_conf="/nowhere/ceph.conf", user="images", pool="images")
        with pytest.raises(StoreError, match="/nowhere/ceph"):
            RbdStore("ceph", away).check()


class SwiftContract(StoreContract):
    def recipe(self, one: Any) -> Any:
        return SwiftStore, (one.name, one.settings), {"segment": PART}

    def leftovers(self, one: Any) -> list[str]:
        connection: swiftclient.Connection = one._connection()
        containers = (one.settings.container, f"{one.settings.container}_segments")
        found = [connection.get_container(name, full_listing=True)[1] for name in containers]
        return [entry["name"] for listing in found for entry in listing]


class TestSwift(SwiftContract):
    @pytest.fixture
    def one(self, swift: Swift) -> SwiftStore:
        store = SwiftStore("swift", swift.store, segment=PART)
        store.check()
        return store

    def test_a_wrong_password(self, swift: Swift) -> None:
        values = {name: getattr(swift.store, name) for name in swift.store.__struct_fields__}
        one = SwiftStore("swift", ImageStore(**{**values, "password": "wrong"}))
        with pytest.raises(Denied, match="refuses our user"):
            one.check()

    def test_a_server_that_is_away(self) -> None:
        away = ImageStore(type="swift", auth_url="http://127.0.0.1:9/v3", user="u", password="p", project="p")
        with pytest.raises(StoreError):
            SwiftStore("swift", away).check()


class TestSwiftWithTheOldSignIn(SwiftContract):
    @pytest.fixture
    def one(self, swift: Swift) -> SwiftStore:
        store = SwiftStore("swift", swift.old_store, segment=PART)
        store.check()
        return store


def table(name: str, one: ImageStore) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in msgspec.structs.asdict(one).items() if value]
    return "\n".join([f"[image.stores.{name}]", *lines, ""])


def test_an_image_goes_through_both_in_a_cloud(identity: FakeCloud, ceph: Ceph, swift: Swift, tmp_path: Path) -> None:
    """The same program as everybody's, which `up` gave Ceph's bindings."""
    identity.run("down")
    with (identity.state / "onestack.toml").open("a") as file:
        stores = {"file": ImageStore(type="file"), "ceph": ceph.store, "swift": swift.store}
        file.write('[image]\ndefault_store = "ceph"\n' + "".join(table(*item) for item in stores.items()))
    api = demo.admin(identity.up())
    image = api.post("image", "/images", {"name": "far", "disk_format": "raw", "container_format": "bare"})["id"]
    (tmp_path / "data").write_bytes(DATA)
    api.upload(image, tmp_path / "data", lambda _: None)
    assert api.get("image", f"/images/{image}")["stores"] == "ceph"
    api.post("image", f"/images/{image}/import", {"method": {"name": "copy-image"}, "stores": ["swift"]})
    until(lambda: api.get("image", f"/images/{image}")["stores"] == "ceph,swift", 60, "the image is in both")
    until(lambda: "os_glance_import_task" not in api.get("image", f"/images/{image}"), 60, "the import is over")
    assert b"".join(RbdStore("ceph", ceph.store).get(image)) == DATA
    assert b"".join(SwiftStore("swift", swift.store).get(image)) == DATA
    api.call("image", "DELETE", f"/stores/ceph/{image}")
    until(lambda: not RbdStore("ceph", ceph.store).exists(image), 60, "it has left Ceph")
    request = urllib.request.Request(
        f"{base_url(api.settings, 'image')}/v2/images/{image}/file", headers={"X-Auth-Token": api.token}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.read() == DATA
    api.call("image", "DELETE", f"/images/{image}")
    until(lambda: not SwiftStore("swift", swift.store).exists(image), 60, "it has left Swift")


@pytest.fixture
def far(cloud: SystemCloud, ceph: Ceph) -> Iterator[list[str]]:
    """The names of stores that the real cloud has meanwhile besides its files: an S3 server's and Ceph's."""
    file = cloud.state / "onestack.toml"
    before = file.read_text() if file.exists() else ""
    with s3_server() as s3:
        stores = {"s3": s3, "ceph": ceph.store}
        file.write_text(before + "".join(table(*item) for item in {"file": ImageStore(type="file"), **stores}.items()))
        cloud.onestack("restart")  # installs what these stores need
        try:
            yield list(stores)
        finally:
            file.write_text(before)
            cloud.onestack("restart")


def test_real_servers_are_made_from_images_that_are_elsewhere(
    cloud: SystemCloud, shared: Tenant, far: list[str], tmp_path: Path
) -> None:
    """Nothing of them is on the server's disk but what the agent fetches; the guest is logged in to."""
    conn = cloud.connect("onestack")
    original = conn.image.find_image(IMAGE, ignore_missing=False)
    data = tmp_path / "image"
    conn.image.download_image(original, output=str(data))
    for store in far:
        image = conn.image.create_image(
            name=f"far-{store}", disk_format=original.disk_format, container_format="bare", visibility="public"
        )
        headers = {"X-Image-Meta-Store": store, "Content-Type": "application/octet-stream"}
        answer = conn.image.put(f"/images/{image.id}/file", data=data.read_bytes(), headers=headers)
        assert answer.status_code == 204, answer.text
        guest = None
        try:
            assert conn.image.get(f"/images/{image.id}").json()["stores"] == store
            guest = shared.boot(f"far-{store}", networks=["net"], image=image.id).reach()
            assert guest.ssh("cat /etc/hostname") == f"far-{store}"
        finally:
            if guest is not None:
                guest.delete()
            conn.image.delete_image(image)
