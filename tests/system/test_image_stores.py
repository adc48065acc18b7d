"""The contract of stores on a real Ceph and a real Swift, which signs its users in at our Identity."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import swiftclient

from onestack.config import ImageStore
from onestack.engines import packages
from onestack.image.drivers.base import Denied, StoreError
from onestack.image.drivers.rbd import RbdStore
from onestack.image.drivers.swift import SwiftStore
from tests.fakecloud import fake_cloud
from tests.image.contract import DATA, ID, PART, StoreContract
from tests.system import ceph as cephs
from tests.system import swift as swifts
from tests.system.ceph import Ceph
from tests.system.swift import Swift


@pytest.fixture(scope="module")
def ceph() -> Iterator[Ceph]:
    if why := cephs.missing():
        pytest.skip(why)
    packages.link_ceph_bindings(Path(sysconfig.get_paths()["platlib"]))
    with cephs.ceph() as found:
        yield found


@pytest.fixture(scope="module")
def swift() -> Iterator[Swift]:
    if why := swifts.missing():
        pytest.skip(why)
    with fake_cloud() as cloud, swifts.swift(cloud.up()) as found:
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
