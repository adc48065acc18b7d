"""Base images, disks, console logs: files in temporary directories, made by the real qemu-img where it is there."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("libvirt")  # of the package, not of these modules

from onestack.agent import names
from onestack.agent.client import Client
from onestack.agent.drivers.base import NoConsole, StepFailed, Superseded, Unavailable
from onestack.agent.drivers.libvirt.consoles import MOST_BYTES, console_output
from onestack.agent.drivers.libvirt.disks import Disks
from onestack.agent.drivers.libvirt.images import ImageCache, host_error
from onestack.wire import DiskSpec, DriveFile
from tests.agent.stub_server import StubServer, image_spec, server_spec

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("qemu-img"), reason="needs root (files change owners) and qemu-img"
)
DATA = os.urandom(3_000_000)


@pytest.fixture
def cache(server: StubServer, state: Path) -> ImageCache:
    for name in ("cache", "instances"):
        (state / name).mkdir()
    return ImageCache(state / "cache", state / "instances", Client(state))


def never() -> bool:
    return False


def test_an_image_is_fetched_once_and_verified(server: StubServer, cache: ImageCache) -> None:
    spec = image_spec(DATA)
    server.images[spec.id] = DATA
    assert cache.ensure(spec, never) == 0
    assert cache.path(spec).read_bytes() == DATA
    del server.images[spec.id]
    assert cache.ensure(spec, never) == 0


def test_a_broken_off_download_goes_on(server: StubServer, cache: ImageCache) -> None:
    spec = image_spec(DATA)
    server.images[spec.id] = DATA[:1_000_000]
    with pytest.raises(Unavailable):
        cache.ensure(spec, never)
    server.images[spec.id] = b"?" * 1_000_000 + DATA[1_000_000:]  # only the rest is asked for
    assert cache.ensure(spec, never) == 0
    assert cache.path(spec).read_bytes() == DATA


def test_a_newer_spec_ends_a_download(server: StubServer, cache: ImageCache) -> None:
    spec = image_spec(DATA)
    server.images[spec.id] = DATA
    with pytest.raises(Superseded):
        cache.ensure(spec, lambda: True)


def test_wrong_data_are_thrown_away(server: StubServer, cache: ImageCache) -> None:
    spec = image_spec(DATA)
    server.images[spec.id] = b"!" + DATA[1:]
    with pytest.raises(StepFailed, match="not those that were uploaded"):
        cache.ensure(spec, never)
    assert list(cache.root.iterdir()) == []


def test_an_image_larger_than_the_host_is_refused_before_it_is_fetched(server: StubServer, cache: ImageCache) -> None:
    with pytest.raises(StepFailed, match="no room"):
        cache.ensure(image_spec(DATA, size=2**60), never)


def test_unused_images_go_after_a_day(server: StubServer, cache: ImageCache, state: Path) -> None:
    used, unused = image_spec(DATA), image_spec(DATA)
    for spec in (used, unused):
        server.images[spec.id] = DATA
        cache.ensure(spec, never)
    (state / "instances" / "x").mkdir()
    (state / "instances" / "x" / "image").write_text(cache.path(used).name)
    now = cache.path(used).stat().st_mtime
    cache.tidy(now + 3600)
    assert len(list(cache.root.iterdir())) == 2
    cache.tidy(now + 25 * 3600)
    assert list(cache.root.iterdir()) == [cache.path(used)]


def test_disks_are_made_once_and_removed(server: StubServer, cache: ImageCache, state: Path) -> None:
    image = image_spec(DATA)
    server.images[image.id] = DATA
    cache.ensure(image, never)
    disks = Disks(state / "instances")
    spec = server_spec(
        image=image,
        config_drive=True,
        disks=[
            DiskSpec(kind="root", index=0, size_gb=1),
            DiskSpec(kind="ephemeral", index=0, size_gb=1),
            DiskSpec(kind="swap", index=0, size_mb=8),
        ],
    )
    files = [DriveFile(path="openstack/latest/meta_data.json", content=b"{}")]
    assert not disks.complete(spec)
    disks.ensure(spec, cache.path(image), lambda: files)
    assert disks.complete(spec)
    directory = disks.directory(spec.id)
    info = json.loads(subprocess.check_output(["qemu-img", "info", "--output=json", directory / "disk"]))
    assert (info["virtual-size"], info["backing-filename"]) == (2**30, str(cache.path(image)))
    assert info["backing-filename-format"] == "raw"
    labels = [subprocess.run(["blkid", "-o", "value", "-s", "LABEL", directory / f"disk.{name}"], capture_output=True,
                             text=True, check=False).stdout.strip() for name in ("eph0", "swap", "config")]  # fmt: skip
    assert labels == ["ephemeral0", "swap", "config-2"]
    before = (directory / "disk").stat().st_mtime_ns
    (directory / "disk.swap").unlink()
    disks.ensure(spec, cache.path(image), lambda: files)
    assert (directory / "disk").stat().st_mtime_ns == before
    disks.remove(spec.id)
    disks.remove(spec.id)
    assert not directory.exists()


@pytest.mark.parametrize("path", ["../../etc/cron.d/x", "a/../../x", "", "/"])
def test_files_of_a_config_drive_stay_inside(state: Path, server: StubServer, cache: ImageCache, path: str) -> None:
    disks = Disks(state / "instances")
    spec = server_spec(config_drive=True)
    with pytest.raises(StepFailed, match="not allowed"):
        disks.ensure(spec, None, lambda: [DriveFile(path=path, content=b"x")])


def test_a_full_disk_says_what_to_do() -> None:
    fault = host_error(OSError(errno.ENOSPC, "No space left on device"), Path("/x"))
    assert isinstance(fault, StepFailed)
    assert "Delete servers" in fault.message


def test_console_output_takes_any_bytes(tmp_path: Path) -> None:
    with pytest.raises(NoConsole):
        console_output([], 0)
    older, newest = tmp_path / "console.log.0", tmp_path / "console.log"
    older.write_bytes(b"one\n\xff\xfe two\n")
    newest.write_bytes(b"three\r\nlogin: ")
    assert console_output([older, newest], 0) == "one\n\ufffd\ufffd two\nthree\r\nlogin: "
    assert console_output([older, newest], 2) == "three\r\nlogin: "
    newest.write_bytes(b"x" * (3 * MOST_BYTES))
    assert len(console_output([older, newest], 0)) == MOST_BYTES


def test_names_come_from_ids_only(state: Path) -> None:
    for bad in ("../x", "", "5F4A1C5E-8a4e-4b0e-9b6b-2a1f0a6f3c11", "5f4a1c5e-8a4e-4b0e-9b6b-2a1f0a6f3c11\n"):
        with pytest.raises(names.BadName):
            names.checked(bad)
    first = names.cloud_id(state)
    assert names.cloud_id(state) == first
