"""What an import does with the data before it goes to stores, where the operator wants it: Glance's import plug-ins.

Each one's effect is one transaction, that of the image's row: what came of the data is written beside the staged file
first, and takes its place afterwards (`settle` does that again after a crash). So a plug-in that was done isn't done
again, which would take a second layer off an archive. What the image was before is remembered until the import is over.

Both programs run in the sandbox, with bounds: `image_size_cap`, what the project may still store by any quota or limit,
and a tenth of the disk's free bytes that stays for others.

Source of the names, of what each does and when: Glance's administration guide, "Interoperable Image Import", and its
plug-ins.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import msgspec
from sqlalchemy.orm import Session

from onestack import sandbox
from onestack.config import ConfigError, Settings
from onestack.core.cloud import Cloud
from onestack.core.errors import BadRequest, Forbidden, NotFound, TooLarge, Unavailable, UnsupportedMedia
from onestack.image import changes, convert, data, inspection, limits, properties, quotas, schema, store, unpacking
from onestack.image.drivers.file import sync
from onestack.image.formats import Unsafe
from onestack.image.models import Image
from onestack.image.store import Digest
from onestack.sandbox import Limits

DECOMPRESS, CONVERT, INJECT = "image_decompression", "image_conversion", "inject_image_metadata"
_DIGEST = ("size", "checksum", "os_hash_value")
_LOOK_SECONDS = 2.0  # how long an image can be gone before nobody works for it any more
_ARCHIVE_MEMORY = 512 << 20
# A mebibyte of an archive is a gibibyte at most, of the kinds that we know.
_CPU, _CPU_PER_MIB = 60, 4
_SECONDS, _SECONDS_PER_MIB = 300, 16


class _Unpacked(msgspec.Struct):
    size: int = -1
    refused: str = ""
    too_large: bool = False
    errno: int = 0


def check(settings: Settings) -> None:
    """Raises ConfigError for settings with which a plug-in that is wanted could only fail."""
    image = settings.image
    if CONVERT in image.image_import_plugins and not convert.available():
        raise ConfigError("image.image_import_plugins: image_conversion needs qemu-img (apt install qemu-utils)")
    for name, value in image.inject_metadata_properties.inject.items():
        where = f"image.inject_metadata_properties.inject: {name!r}"
        try:
            changes.protect(name)
            if name == "locations":
                raise Forbidden("It's not allowed to update locations if locations are invisible.")
            schema.validate({name: value}, image)
            schema.storable({name: value})
        except (BadRequest, Forbidden) as error:
            raise ConfigError(f"{where}: {error.message.partition(chr(10))[0]}") from error
        if name in schema.BASE:
            raise ConfigError(f"{where} is an attribute of every image; only custom properties can be injected")


def digest_of(staged: dict[str, Any]) -> Digest:
    """What is known of staged data; `staged` is the column of the image."""
    return Digest(**{name: staged[name] for name in _DIGEST})


def restore(image: Image) -> None:
    """The formats are again what they were before the plug-ins."""
    if image.staged and "before" in image.staged:
        image.disk_format, image.container_format = image.staged["before"]


class Plugins:
    """The plug-ins of one import. `roles` are those of who asked for it."""

    def __init__(self, cloud: Cloud, image_id: str, names: Sequence[str], roles: Sequence[str]) -> None:
        self.cloud, self.image_id, self.names, self.roles = cloud, image_id, names, roles
        self.file = store.staged_path(cloud, image_id)

    def settle(self) -> None:
        """What the last plug-in made is in the place of the staged file."""
        with self.cloud.db.read() as session:
            image = session.get(Image, self.image_id)
            name = image.staged.get("made") if image is not None and image.staged else None
        if name is not None and (made := store.made_path(self.cloud, self.image_id, name)).exists():
            store.move(made, self.file)

    def run(self) -> Digest:
        """Those that aren't done yet, in the operator's order; what is staged then. Raises a Fault, OSError."""
        steps = {DECOMPRESS: self._decompress, CONVERT: self._convert, INJECT: self._inject}
        for name in self.names:
            if name not in self._image().staged.get("done", ()):
                steps[name]()
        return digest_of(self._image().staged)

    def _image(self) -> Image:
        with self.cloud.db.read() as session:
            image = session.get(Image, self.image_id)
        if image is None or image.staged is None:
            raise NotFound(f"No image found with ID {self.image_id}")
        return image

    def _done(
        self, name: str, made: Path | None = None, formats: tuple[str, str] | None = None,
        also: Callable[[Session], None] = lambda _session: None,
    ) -> None:  # fmt: skip
        """One transaction: the plug-in has run. `made` is whole, and in the place of the data afterwards."""
        digest = None
        if made is not None:
            digest = store.digest_of(made, Watch(self.cloud, self.image_id, made.parent).check)
            sync(made.parent)  # its name must be there when the row says so
        with self.cloud.db.write() as session:
            image = data.locked(session, self.image_id)
            staged = {**image.staged, "done": [*image.staged.get("done", ()), name]}
            if digest is not None:
                self._require_room(session, image, digest.size)
                staged |= {**msgspec.structs.asdict(digest), "made": name}
                image.size = digest.size
            if formats is not None:
                staged.setdefault("before", [image.disk_format, image.container_format])
                image.disk_format, image.container_format = formats
            image.staged = staged
            also(session)
        if made is not None:
            store.move(made, self.file)

    def _decompress(self) -> None:
        kind = unpacking.kind_of(self.file)
        if kind is None or self._image().container_format == "compressed":
            self._done(DECOMPRESS)  # who calls it compressed wants it so
            return
        if kind == unpacking.LHA:
            raise BadRequest("No lhafile available. Compress the data with gzip or zip, or don't compress it.")
        made = store.made_path(self.cloud, self.image_id, DECOMPRESS)
        self._unpack(kind, made)
        self._done(DECOMPRESS, made)

    def _unpack(self, kind: str, made: Path) -> None:
        most, watch = self._most(), Watch(self.cloud, self.image_id, self.file.parent)
        mebibytes = self.file.stat().st_size >> 20
        bounds = Limits(
            memory=_ARCHIVE_MEMORY, cpu=_CPU + mebibytes * _CPU_PER_MIB, file_size=most + 1,
            seconds=_SECONDS + mebibytes * _SECONDS_PER_MIB,
        )  # fmt: skip
        with self.file.open("rb") as reading, made.open("w+b") as writing:
            words = [kind, str(sandbox.seen_as(reading)), str(sandbox.seen_as(writing)), str(most)]
            ended = sandbox.call(unpacking, words, bounds, read=[reading], write=[writing], cancelled=watch)
            os.fsync(writing.fileno())
        watch.require()
        try:
            verdict = msgspec.json.decode(ended.output, type=_Unpacked)
        except msgspec.DecodeError:
            raise BadRequest(f"The archive can't be unpacked: {ended.problem or 'its reader failed'}") from None
        if verdict.refused:
            raise BadRequest(verdict.refused)
        if verdict.too_large:
            self._refuse_beyond(most)
        if verdict.errno:
            raise OSError(verdict.errno, os.strerror(verdict.errno))
        if verdict.size < 0:
            raise BadRequest("The archive can't be unpacked: its reader failed")

    def _convert(self) -> None:
        output, image = self.cloud.settings.image.image_conversion.output_format, self._image()
        said = image.disk_format or ""
        source = "raw" if said == "gpt" else said  # a disk with a partition table
        try:
            found = inspection.detect(self.file)
        except Unsafe as error:
            raise UnsupportedMedia(f"Image has disallowed configuration: {error}") from None
        if found.format == "iso" and said != "iso":
            raise UnsupportedMedia(f"Image has disallowed configuration: it is an ISO, and said to be {said}")
        if found.format != source:
            raise UnsupportedMedia(f"Image format mismatch: it is said to be {said}, and is {found.format}")
        if source in ("iso", output):  # what boots as a CD must stay one
            self._done(CONVERT)
            return
        if source not in convert.DRIVERS:
            raise UnsupportedMedia(f"Images of the disk format {said} can't be converted to {output}")
        made = store.made_path(self.cloud, self.image_id, CONVERT)
        self._to(output, source, made)
        self._done(CONVERT, made, (output, "bare"))

    def _to(self, output: str, source: str, made: Path) -> None:
        most, watch = self._most(), Watch(self.cloud, self.image_id, self.file.parent)
        try:
            convert.convert(self.file, source, made, output, most, watch)
            found = inspection.detect(made)
        except Unsafe as error:
            raise UnsupportedMedia(str(error)) from None
        except convert.ConversionUnavailable as error:
            raise Unavailable(str(error)) from None
        except convert.Stopped:
            watch.require()
            raise
        except OSError as error:
            if error.errno == errno.EFBIG:
                self._refuse_beyond(most)
            raise
        if found.format != output:
            # What a guest hid in its disk would otherwise be believed by whoever opens it next.
            raise UnsupportedMedia(f"Converted image in unexpected format: {found.format} instead of {output}")

    def _inject(self) -> None:
        wanted = self.cloud.settings.image.inject_metadata_properties
        if not set(self.roles).isdisjoint(wanted.ignore_user_roles):
            self._done(INJECT)
            return

        def inject(session: Session) -> None:
            """Protections are for users; this is the operator's will."""
            for name, value in wanted.inject.items():
                properties.set_property(session, self.image_id, name, value)
            quotas.check(self.cloud, "property", properties.count(session, self.image_id))

        self._done(INJECT, also=inject)

    def _most(self) -> int:
        """Bytes that the data may have."""
        with self.cloud.db.read() as session:
            image = session.get_one(Image, self.image_id)
            quota = quotas.remaining(self.cloud, session, image.owner, image.id)
            bounds = [self.cloud.settings.image.image_size_cap, quota, limits.left(session, self.cloud, image)]
        return max(0, min(one for one in bounds if one is not None))

    def _refuse_beyond(self, most: int) -> NoReturn:
        with self.cloud.db.read() as session:
            self._require_room(session, session.get_one(Image, self.image_id), most + 1)
        raise TooLarge(f"The incoming image is too large: at most {most} bytes are allowed.")

    def _require_room(self, session: Session, image: Image, size: int) -> None:
        """Raises TooLarge when that many bytes are more than the image may have."""
        quotas.check_size(self.cloud, size)
        quotas.check_room(self.cloud, session, image, size)
        more = -(-size // limits.MIB), -(-(size - (image.size or 0)) // limits.MIB)
        limits.enforce(session, self.cloud, image.owner, dict(zip((limits.SIZE, limits.STAGED), more, strict=True)))


class Watch:
    """Asked now and then whether a program should stop: the disk is nearly full, or nobody wants the image any more."""

    def __init__(self, cloud: Cloud, image_id: str, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._cloud, self._image_id, self._folder, self._clock = cloud, image_id, folder, clock
        self._kept = shutil.disk_usage(folder).free // 10
        self._looked = clock()
        self._full = self._gone = False

    def __call__(self) -> bool:
        self._full = shutil.disk_usage(self._folder).free < self._kept
        if self._clock() - self._looked > _LOOK_SECONDS:
            self._looked = self._clock()
            with self._cloud.db.read() as session:
                self._gone = session.get(Image, self._image_id) is None
        return self._full or self._gone

    def check(self) -> None:
        if self():
            self.require()

    def require(self) -> None:
        """Raises what stopped it, if it was stopped."""
        if self._gone:
            raise NotFound(f"No image found with ID {self._image_id}")
        if self._full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
