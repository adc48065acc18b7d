"""A small real Ceph of Debian's packages: one monitor, one OSD that keeps everything in memory, one pool.

It lives in a folder and on 127.0.0.1 and has cephx. The user `images` has the capabilities that Glance's documentation
gives its user.
"""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from onestack.config import ImageStore
from tests.system.programs import Programs, free_ports

PACKAGES = ("ceph-common", "ceph-mon", "ceph-osd", "python3-rados", "python3-rbd")
_DEBIAN = Path("/usr/lib/python3/dist-packages")
_ADMIN = ("--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *")


def missing() -> str:
    """Why there can't be one here; empty when there can."""
    absent = [name for name in ("ceph-mon", "ceph-osd", "ceph", "monmaptool") if shutil.which(name) is None]
    if absent:
        return f"{', '.join(absent)} not installed (apt install {' '.join(PACKAGES)})"
    if any(importlib.util.find_spec(name) is None and not _debians(name) for name in ("rados", "rbd")):
        return "python3-rados and python3-rbd are not installed for this Python"
    return ""


def _debians(name: str) -> bool:
    tag = f"cpython-{sys.version_info.major}{sys.version_info.minor}-*"
    return any(_DEBIAN.glob(f"{name}.{tag}.so"))


class Ceph:
    def __init__(self, folder: Path) -> None:
        self.folder, self.programs = folder, Programs(folder)
        self.conf, self.fsid = folder / "ceph.conf", str(uuid.uuid4())
        self.store = ImageStore(type="rbd", user="images", pool="images", ceph_conf=str(self.conf))

    def start(self) -> None:
        monitor, *_ = free_ports(2)
        for name in ("mon", "osd"):
            (self.folder / name).mkdir()
        self.conf.write_text(f"""
[global]
fsid = {self.fsid}
mon_host = [v2:127.0.0.1:{monitor},v1:127.0.0.1:{monitor + 1}]
public_network = 127.0.0.0/8
keyring = {self.folder}/$name.keyring
run_dir = {self.folder}
admin_socket =
log_file = {self.folder}/$name.log
mon_cluster_log_file = {self.folder}/cluster.log
mon_data = {self.folder}/mon
osd_data = {self.folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 1073741824
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_allow_pool_delete = true
mon_data_avail_crit = 1
""")
        self._keys()
        monmap = self.folder / "monmap"
        addresses = f"[v2:127.0.0.1:{monitor},v1:127.0.0.1:{monitor + 1}]"
        self._run("monmaptool", "--create", "--fsid", self.fsid, "--addv", "a", addresses, monmap)
        own = ("-c", self.conf)
        self._run("ceph-mon", *own, "-i", "a", "--mkfs", "--monmap", monmap, "--keyring", self.folder / "mon.keyring")
        self.programs.start("mon.a", ["ceph-mon", *own, "-i", "a", "-f"])
        identity = str(uuid.uuid4())
        number = self.ceph("osd", "new", identity).strip()
        osd = ("osd", "allow *", "mon", "allow profile osd")
        self.ceph("auth", "get-or-create", f"osd.{number}", *osd, "-o", str(self.folder / f"osd.{number}.keyring"))
        self._run("ceph-osd", *own, "-i", number, "--mkfs", "--osd-uuid", identity)
        self.programs.start(f"osd.{number}", ["ceph-osd", *own, "-i", number, "-f"])
        self.programs.until(lambda: "1 up" in self.ceph("osd", "stat"), "the OSD is up")
        self.ceph("osd", "pool", "create", "images", "8")
        self.ceph("osd", "pool", "application", "enable", "images", "rbd")
        user = ("mon", "profile rbd", "osd", "profile rbd pool=images")
        keyring = self.folder / "client.images.keyring"
        self.ceph("auth", "get-or-create", "client.images", *user, "-o", str(keyring))
        # For the user that a real cloud's server runs as.
        self.folder.chmod(0o711)
        keyring.chmod(0o644)

    def stop(self) -> None:
        self.programs.stop()

    def ceph(self, *words: str) -> str:
        return self._run("ceph", "-c", self.conf, "--connect-timeout", "30", *words)

    def rbd(self, *words: str) -> str:
        return self._run("rbd", "-c", self.conf, "--id", "images", *words)

    def rados(self, *words: str) -> str:
        return self._run("rados", "-c", self.conf, "--id", "images", "-p", "images", *words)

    def _keys(self) -> None:
        admin, monitor = self.folder / "client.admin.keyring", self.folder / "mon.keyring"
        tool = ("ceph-authtool", "--create-keyring")
        self._run(*tool, monitor, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        self._run(*tool, admin, "--gen-key", "-n", "client.admin", *_ADMIN)
        self._run("ceph-authtool", monitor, "--import-keyring", admin)

    def _run(self, *words: str | Path) -> str:
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"{words[0]} failed: {done.stderr[-1000:]}")
        return done.stdout


@contextlib.contextmanager
def ceph() -> Iterator[Ceph]:
    with tempfile.TemporaryDirectory(prefix="ceph") as directory:
        made = Ceph(Path(directory))
        try:
            made.start()
            yield made
        finally:
            made.stop()
