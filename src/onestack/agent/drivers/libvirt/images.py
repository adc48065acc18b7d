"""The cache of base images: `<state>/cache/<image id>.<format>`, complete and verified, or not there at all.

The data come from the server and are not trusted: the hash must be the one in the spec, and QEMU must not be led to
any other file (a backing file, an external data file).
"""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from onestack import sandbox
from onestack.agent import names
from onestack.agent.client import Away, Client
from onestack.agent.drivers.base import StepFailed, Superseded, Unavailable
from onestack.agent.programs import ProgramFailed, found
from onestack.wire import ImageSpec

log = logging.getLogger(__name__)

FORMATS = frozenset({"raw", "qcow2"})
CHUNK = 1024 * 1024
UNUSED_SECONDS = 24 * 3600.0  # Nova's remove_unused_original_minimum_age_seconds
SPARE_BYTES = 64 * 1024 * 1024
# qemu-img reads the headers of what a stranger wrote.
_LIMITS = sandbox.Limits(memory=1 << 30, cpu=30, file_size=0, seconds=60)


class ImageCache:
    def __init__(self, root: Path, instances: Path, client: Client) -> None:
        self.root = root
        self._instances = instances
        self._client = client
        self._busy: set[str] = set()
        self._lock = threading.Lock()

    def path(self, image: ImageSpec) -> Path:
        """Where the image is once `ensure` returned 0. Raises StepFailed for a format that no disk can stand on."""
        if image.disk_format not in FORMATS:
            raise StepFailed(f"Image {image.id} has the format {image.disk_format}, which cannot be a server's disk.")
        return self.root / f"{names.checked(image.id)}.{image.disk_format}"

    def ensure(self, image: ImageSpec, cancelled: Callable[[], bool]) -> float:
        """0 when the image is in the cache; else seconds to wait for another worker, who is fetching it."""
        path = self.path(image)
        if path.exists():
            os.utime(path)
            return 0.0
        with self._lock:
            if image.id in self._busy:
                return 0.2
            self._busy.add(image.id)
        try:
            if not path.exists():
                self._fetch(image, path, cancelled)
        finally:
            with self._lock:
                self._busy.discard(image.id)
        return 0.0

    def _fetch(self, image: ImageSpec, path: Path, cancelled: Callable[[], bool]) -> None:
        part = path.with_name(path.name + ".part")
        here = part.stat().st_size if part.exists() else 0
        free = shutil.disk_usage(self.root).free
        if free < image.size - here + SPARE_BYTES:
            raise StepFailed(
                f"The host has no room for image {image.id}: it needs {image.size // 2**20} MiB and "
                f"{free // 2**20} MiB are free. Delete servers that are not needed, or ask the operator for room.",
                f"file system of {self.root}",
            )
        began = time.monotonic()
        try:
            if self._download(image, part, cancelled) != image.os_hash_value:
                raise StepFailed(
                    f"The data of image {image.id} are not those that were uploaded ({image.os_hash_algo} differs). "
                    "Upload the image again and create the server from the new one."
                )
            self._inspect(image, part)
        except StepFailed:
            part.unlink(missing_ok=True)  # what came before an interruption is kept, what is wrong is not
            raise
        part.chmod(0o640)
        os.chown(part, 0, self.root.stat().st_gid)
        part.replace(path)
        log.info("image %s: %d bytes in %.1f s", image.id, image.size, time.monotonic() - began)

    def _download(self, image: ImageSpec, part: Path, cancelled: Callable[[], bool]) -> str:
        """The rest of the image, after what an earlier try left: the hash of all of it."""
        try:
            digest = hashlib.new(image.os_hash_algo)
        except ValueError as error:
            raise StepFailed(f"Image {image.id} has a hash that this host cannot compute: {error}") from error
        try:
            with part.open("a+b") as file:
                file.seek(0)
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
                here = file.tell()
                if here >= image.size:
                    return digest.hexdigest()
                headers = {"Range": f"bytes={here}-"} if here else {}
                with self._client.response("GET", f"/v1/images/{image.id}", headers=headers) as response:
                    if response.status == 200 and here:  # the whole image in spite of the range
                        file.truncate(0)
                        digest = hashlib.new(image.os_hash_algo)
                    elif response.status not in (200, 206):
                        self._refused(image, response.status)
                    while chunk := response.read(CHUNK):
                        if cancelled():
                            raise Superseded
                        digest.update(chunk)
                        file.write(chunk)
                if file.tell() < image.size:
                    raise Away("the image broke off")
        except Away as error:
            raise Unavailable(f"Image {image.id} cannot be read from the server now: {error}.") from error
        except http.client.HTTPException as error:
            raise Unavailable(f"Image {image.id} broke off on its way from the server: {error!r}.") from error
        except OSError as error:
            raise host_error(error, part) from error
        return digest.hexdigest()

    def _refused(self, image: ImageSpec, status: int) -> None:
        if status in (404, 410):
            raise StepFailed(f"Image {image.id} no longer has data. Create the server from another image.")
        raise Unavailable(f"Image {image.id} cannot be read from the server now (it answers {status}).")

    def _inspect(self, image: ImageSpec, part: Path) -> None:
        """What QEMU would open when it is told the format. Raises StepFailed for anything but this one file."""
        if image.disk_format == "raw":
            return
        try:
            info = json.loads(_info(part, image.disk_format))
        except (ProgramFailed, ValueError) as error:
            raise StepFailed(f"Image {image.id} is not a sound {image.disk_format} file.", str(error)) from error
        data = info.get("format-specific", {}).get("data", {})
        if "backing-filename" in info or data.get("data-file") or info.get("encrypted"):
            raise StepFailed(f"Image {image.id} refers to another file or is encrypted; such images are refused.")

    def tidy(self, now: float) -> None:
        """Remove images that no disk stands on and that nobody asked for during a day; `now` in epoch seconds."""
        used = {_read(file) for file in self._instances.glob("*/image")}
        for path in self.root.iterdir():
            if path.name in used or path.name.split(".")[0] in self._busy:
                continue
            if now - path.stat().st_mtime > UNUSED_SECONDS:
                log.info("removing the unused image %s", path.name)
                path.unlink()


def _info(file: Path, disk_format: str) -> bytes:
    """What qemu-img says of a file, in a sandbox. Raises ProgramFailed."""
    with file.open("rb") as handle:
        options = f"driver={disk_format},file.driver=file,file.filename={sandbox.seen_as(handle)}"
        argv = [found("qemu-img"), "info", "--output=json", "--image-opts", options]
        ended = sandbox.run(argv, _LIMITS, read=[handle])
    if ended.status:
        raise ProgramFailed(argv, ended.words)
    return ended.output


def host_error(error: OSError, path: Path) -> StepFailed | Unavailable:
    """What an error of the file system or the network means for a step."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StepFailed(
            "The host has no space left for the server's disks. Delete servers that are not needed, or ask the "
            "operator for room.",
            f"{path}: {error}",
        )
    return Unavailable(f"{path}: {error}.")


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
