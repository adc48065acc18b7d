"""Never stuck: server and agent are killed at every point of every operation, on the fake hypervisor.

Each time the cloud comes to what was asked without help, and after the delete nothing is left.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator

import pytest

from tests.crashing import Doom, User, until
from tests.fakecloud import doomed_cloud

pytestmark = pytest.mark.slow


class FakeCloud:
    def __init__(self, doom: Doom) -> None:
        self.doom, self.settings, self.user = doom, doom.settings, User(doom.settings)
        self.network = self.user.api.get("network", "/networks?name=demo-net")["networks"][0]["id"]
        self.image = self.user.api.get("image", "/images?name=onestack-mini")["images"][0]["id"]
        flavors = self.user.api.get("compute", "/flavors")["flavors"]
        self.flavor = next(one["id"] for one in flavors if one["name"] == "m1.nano")
        self.unused = self.user.used()

    def create(self) -> str:
        return self.user.create(self.network, self.flavor, self.image)

    def delete(self, server_id: str) -> None:
        self.user.delete(server_id)
        self.nothing_left()

    def guest_interfaces(self, server_id: str) -> set[str]:
        file = self.settings.path("fake-hypervisor", f"{server_id}.json")
        return set(json.loads(file.read_text())["nics"])

    def nothing_left(self) -> None:
        def clean() -> bool:
            guests = [file.name for file in self.settings.path("fake-hypervisor").rglob("*") if file.is_file()]
            staged = self.settings.path("images", "staging")
            guests += [file.name for file in staged.iterdir()] if staged.exists() else []
            return not guests and not self.rows() and self.user.used() == self.unused

        until(clean, 30, "nothing is left")

    def rows(self) -> list[str]:
        queries = {
            "unfinished": "SELECT action FROM operations WHERE finished_at IS NULL",
            "port": "SELECT id FROM ports WHERE device_owner LIKE 'compute:%'",
            "allocation": "SELECT consumer_uuid FROM placement_allocations",
            "consumer": "SELECT uuid FROM placement_consumers",
            "stray": "SELECT server_id FROM strays",
            "image": "SELECT id FROM images WHERE visibility = 'private' OR status != 'active'",
            "property": "SELECT name FROM image_properties WHERE image_id NOT IN (SELECT id FROM images)",
            "object": "SELECT object_key FROM image_locations WHERE image_id NOT IN (SELECT id FROM images)",
        }
        with sqlite3.connect(f"file:{self.settings.path('db', 'onestack.sqlite')}?mode=ro", uri=True) as database:
            return [f"{what} {row[0]}" for what, query in queries.items() for row in database.execute(query)]


@pytest.fixture(scope="module")
def cloud() -> Iterator[FakeCloud]:
    with doomed_cloud() as doom:
        yield FakeCloud(doom)


KINDS = pytest.mark.parametrize("kind", ["server", "agent", "report"])


# The points that there must be, or the test has become one of nothing.
WRITES: dict[str, Callable[[str], tuple[str, ...]]] = {
    "server": lambda action: ("before the commit of ", "committed "),
    "agent": lambda step: (f" {step}",),  # before or after it: how often a step is repeated varies
    "report": lambda step: ("before a report",),  # after the last one the test may be through already
}


@KINDS
def test_create_and_delete(cloud: FakeCloud, kind: str) -> None:
    cloud.doom.at_every_point(
        kind, lambda: cloud.delete(cloud.create()), wanted=[*WRITES[kind]("define"), *WRITES[kind]("delete_disks")]
    )


@KINDS
def test_reboot(cloud: FakeCloud, kind: str) -> None:
    server = cloud.create()
    cloud.doom.at_every_point(kind, lambda: cloud.user.reboot(server), wanted=[*WRITES[kind]("destroy")])
    cloud.delete(server)


@KINDS
def test_attach_and_detach(cloud: FakeCloud, kind: str) -> None:
    server = cloud.create()

    def come_and_go() -> None:
        port = cloud.user.attach(server, cloud.network)
        until(lambda: port in cloud.guest_interfaces(server), 30, "the guest has the interface")
        cloud.user.detach(server, port)
        until(lambda: port not in cloud.guest_interfaces(server), 30, "the guest has let go of it")

    cloud.doom.at_every_point(
        kind, come_and_go, wanted=[*WRITES[kind]("attach_interface"), *WRITES[kind]("detach_interface")]
    )
    cloud.delete(server)


@KINDS
def test_snapshot(cloud: FakeCloud, kind: str) -> None:
    server = cloud.create()
    cloud.doom.at_every_point(
        kind,
        lambda: cloud.user.delete_image(cloud.user.snapshot(server)),
        wanted=[*WRITES[kind]("copy_disk"), *WRITES[kind]("upload_image")],
    )
    cloud.delete(server)
