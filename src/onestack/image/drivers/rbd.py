"""Images as RBD images of a Ceph cluster, as Glance lays them out: `rbd://<fsid>/<pool>/<id>/snap`.

The bindings belong to the Ceph of the machine (python3-rados, python3-rbd) and are imported when a store is made. An
image that isn't whole has no snapshot `snap`, and what has none is not there for `size` and `get`.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from onestack.config import ImageStore
from onestack.image.drivers.base import CHUNK, Denied, Full, Missing, Store, StoreError, span

_SNAPSHOT = "snap"
_BLOCK = 8 << 20  # bytes that are written at once, an object of the image


class NoBinding(StoreError):
    """Ceph's Python bindings are not installed, or not for this Python."""


class RbdStore(Store):
    type = "rbd"
    schemes = ("rbd",)
    external = True

    def __init__(self, name: str, settings: ImageStore) -> None:
        super().__init__(name, settings)
        self._lock = threading.Lock()
        self._cluster: Any = None

    @contextmanager
    def _pool(self) -> Iterator[tuple[Any, Any]]:
        """The module rbd and an open pool."""
        try:
            rados, rbd = importlib.import_module("rados"), importlib.import_module("rbd")
        except ImportError as error:
            raise NoBinding("python3-rados and python3-rbd are not installed") from error
        try:
            with self._lock:
                if self._cluster is None:
                    # librados only says that an object wasn't found.
                    Path(self.settings.ceph_conf).read_bytes()
                    cluster = rados.Rados(conffile=self.settings.ceph_conf, rados_id=self.settings.user)
                    cluster.connect(timeout=10)
                    self._cluster = cluster
            pool = self._cluster.open_ioctx(self.settings.pool)
        except (rados.Error, OSError) as error:
            raise StoreError(f"the Ceph cluster can't be used: {error}") from error
        try:
            yield rbd, pool
        except rbd.ImageNotFound as error:
            raise Missing("there is no such RBD image") from error
        except (rbd.NoSpace, rbd.DiskQuotaExceeded) as error:
            raise Full("the Ceph cluster has no room") from error
        except rbd.PermissionError as error:
            raise Denied("the Ceph cluster refuses our user") from error
        except (rbd.Error, rados.Error) as error:
            raise StoreError(f"the Ceph cluster can't do it: {type(error).__name__}") from error
        finally:
            pool.close()

    def check(self) -> None:
        with self._pool() as (rbd, pool):
            rbd.RBD().list(pool)

    def put(self, key: str, source: Path) -> None:
        self.delete(key)
        size = source.stat().st_size
        with self._pool() as (rbd, pool), source.open("rb") as handle:
            rbd.RBD().create(pool, key, size, order=23, old_format=False, features=rbd.RBD_FEATURE_LAYERING)
            with rbd.Image(pool, key) as image:
                offset = 0
                while block := handle.read(_BLOCK):
                    image.write(block, offset)
                    offset += len(block)
                image.flush()
                image.create_snap(_SNAPSHOT)
                image.protect_snap(_SNAPSHOT)

    def get(self, key: str, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        size = self.size(key)
        return self._chunks(key, first, span(first, last, size))

    def _chunks(self, key: str, offset: int, left: int) -> Iterator[bytes]:
        with self._pool() as (rbd, pool), rbd.Image(pool, key, snapshot=_SNAPSHOT, read_only=True) as image:
            while left > 0:
                chunk = image.read(offset, min(CHUNK, left))
                offset += len(chunk)
                left -= len(chunk)
                yield chunk

    def size(self, key: str) -> int:
        with self._pool() as (rbd, pool), rbd.Image(pool, key, snapshot=_SNAPSHOT, read_only=True) as image:
            return int(image.size())

    def delete(self, key: str) -> None:
        with contextlib.suppress(Missing), self._pool() as (rbd, pool):
            with rbd.Image(pool, key) as image:
                for snapshot in image.list_snaps():
                    if image.is_protected_snap(snapshot["name"]):
                        image.unprotect_snap(snapshot["name"])
                    image.remove_snap(snapshot["name"])
            rbd.RBD().remove(pool, key)

    def _prefix(self) -> str:
        with self._pool():
            return f"rbd://{self._cluster.get_fsid()}/{self.settings.pool}/"

    def url(self, key: str) -> str:
        return f"{self._prefix()}{key}/{_SNAPSHOT}"

    def key_of(self, url: str) -> str | None:
        prefix = self._prefix()
        if not url.startswith(prefix) or not url.endswith(f"/{_SNAPSHOT}"):
            return None
        key = url.removeprefix(prefix).removesuffix(f"/{_SNAPSHOT}")
        return key if key and "/" not in key else None

    def properties(self) -> dict[str, Any]:
        fsid = self._prefix().split("/")[2]
        return {"chunk_size": _BLOCK, "pool": self.settings.pool, "thin_provisioning": False, "fsid": fsid}
