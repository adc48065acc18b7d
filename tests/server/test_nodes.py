"""Two nodes as real processes: a state directory and ports each, one database, the same keys, secrets and store."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
import uuid
from pathlib import Path

import pytest

from onestack import config
from onestack.cli import client, layout
from onestack.cli.client import Api, ApiError
from onestack.core import node
from onestack.server import sockets
from tests import postgresql
from tests.crashing import environment, until
from tests.fakecloud import SOURCE, free_offset

pytestmark = pytest.mark.slow
DATA = os.urandom(300_000)
DIRECT = {"method": {"name": "glance-direct"}}
SWEPT = 10  # seconds: a delete wakes the other node


class Node:
    def __init__(self, state: Path, database: str, store: Path, like: Node | None = None) -> None:
        state.mkdir()
        (state / "onestack.toml").write_text(
            f'host = "{state.name}"\nport_offset = {free_offset()}\nhypervisor = "fake"\ndatabase = "{database}"\n'
            f'[image]\ndefault_store = "shared"\n[image.stores.shared]\ntype = "file"\npath = "{store}"\n'
        )
        self.settings = config.load(str(state))
        for name in ("keys", "secrets") if like else ():
            shutil.copytree(like.settings.path(name), state / name, ignore=shutil.ignore_patterns("agent.token"))
        self.start()
        self.api = Api(self.settings, "admin", layout.read_secret(self.settings, "admin-password"), "admin")

    def start(self) -> None:
        with self.settings.path("log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "onestack.server", "--state", self.settings.state], stdout=log, stderr=log,
                env={**environment(), "PYTHONPATH": SOURCE},
            )  # fmt: skip
        until(self.ready, 60, f"{self.settings.state} is ready")

    def ready(self) -> bool:
        assert self.process.poll() is None, self.settings.path("log").read_text()
        return bool((sockets.ask(self.settings, 1) or {}).get("ready"))

    def end(self, how: int = signal.SIGKILL) -> None:
        self.process.send_signal(how)
        self.process.wait(30)

    def create(self, where: str) -> str:
        image = self.api.post(
            "image", "/images", {"name": "i", "disk_format": "raw", "container_format": "bare", "id": str(uuid.uuid4())}
        )["id"]
        self.bytes("PUT", f"/images/{image}/{where}", DATA)
        return str(image)

    def bytes(self, method: str, path: str, data: bytes | None = None) -> bytes:
        headers = {"X-Auth-Token": self.api.token, "Content-Type": "application/octet-stream"}
        url = f"{client.base_url(self.settings, 'image')}/v2{path}"
        with self.api.opener.open(urllib.request.Request(url, data, headers, method=method), timeout=30) as answer:
            return bytes(answer.read())

    def show(self, image: str) -> dict | None:
        with contextlib.suppress(ApiError):
            return self.api.get("image", f"/images/{image}")
        return None

    def status(self, image: str) -> str:
        return self.api.get("image", f"/images/{image}")["status"]

    def task(self, image: str) -> dict:
        return self.api.get("image", f"/images/{image}/tasks")["tasks"][-1]

    def cached(self) -> list[str]:
        return [one["image_id"] for one in self.api.get("image", "/cache")["cached_images"]]

    def files(self, folder: str) -> list[str]:
        return sorted(file.name for file in self.settings.path("images", folder).glob("*"))


@pytest.fixture(scope="module")
def nodes():
    if not postgresql.installed():
        pytest.skip("PostgreSQL is not installed")
    cluster = None if postgresql.wanted() else postgresql.start()
    database = postgresql.url(postgresql.create(empty=True))
    made: list[Node] = []
    with tempfile.TemporaryDirectory(prefix="osn") as directory:  # short: sockets live in it
        try:
            made.append(Node(Path(directory, "a"), database, Path(directory, "store")))
            made.append(Node(Path(directory, "b"), database, Path(directory, "store"), made[0]))
            yield made
        finally:
            for one in made:
                one.end(signal.SIGINT)
            if cluster:
                cluster.stop()


def test_a_token_of_one_is_good_at_the_other(nodes):
    here, there = nodes
    here.api.authenticate()
    there.api.token = here.api.token
    assert there.api.get("image", "/images")["images"] == []
    assert node.name(here.settings) != node.name(there.settings)


def test_an_import_goes_to_the_node_that_has_the_data(nodes):
    here, there = nodes
    image = here.create("stage")
    there.api.post("image", f"/images/{image}/import", DIRECT)
    until(lambda: there.status(image) == "active", 30, "it is imported")
    assert there.bytes("GET", f"/images/{image}/file") == DATA
    until(lambda: here.files("staging") + there.files("staging") == [], 30, "the staged data is gone")


def test_an_import_waits_for_a_node_that_was_killed(nodes):
    here, there = nodes
    image = here.create("stage")
    here.end()
    there.api.post("image", f"/images/{image}/import", DIRECT)
    task = there.task(image)
    assert task["status"] == "pending"
    assert "the node that has the staged data" in task["message"]
    assert there.status(image) == "importing"
    here.start()
    until(lambda: there.status(image) == "active", 30, "it is imported")
    assert there.bytes("GET", f"/images/{image}/file") == DATA
    until(lambda: here.files("staging") == [], 30, "the staged data is gone")


def test_a_delete_reaches_what_another_node_has(nodes):
    here, there = nodes
    waiting, image = here.create("stage"), here.create("file")
    here.api.call("image", "PUT", f"/cache/{image}")
    until(lambda: here.cached() == [image], 30, "it is cached")
    assert there.cached() == []
    assert (here.files("cache"), there.files("cache")) == ([image], [])
    for one in (waiting, image):
        there.api.call("image", "DELETE", f"/images/{one}")
    assert here.show(image) is None
    assert here.cached() == []
    until(lambda: not here.files("staging") and not here.files("cache"), SWEPT, "its files are gone")


def test_a_delete_reaches_a_node_that_was_away(nodes):
    here, there = nodes
    waiting, image = here.create("stage"), here.create("file")
    here.api.call("image", "PUT", f"/cache/{image}")
    until(lambda: here.cached() == [image], 30, "it is cached")
    here.end()
    there.api.post("image", f"/images/{waiting}/import", DIRECT)
    for one in (waiting, image):
        there.api.call("image", "DELETE", f"/images/{one}")
    here.start()
    assert (here.files("staging"), here.files("cache")) == ([], [])


def test_each_node_fills_its_own_cache_also_after_a_kill(nodes):
    here, there = nodes
    image = here.create("file")
    there.api.call("image", "PUT", f"/cache/{image}")
    there.end()
    assert here.cached() == []
    there.start()
    until(lambda: there.cached() == [image], 30, "it is cached")
    assert (here.files("cache"), there.files("cache")) == ([], [image])
    there.api.call("image", "DELETE", "/cache")
    assert there.files("cache") == []
