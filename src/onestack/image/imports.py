"""Interoperable image import as durable work: glance-direct, web-download, glance-download, copy-image.

The operation is the lock: an image has at most one that isn't finished. It runs from the start after a crash. What it
did before is looked at first: data that lies staged is not fetched again, a store that has the image is not given it
twice, and an object that was half written is doomed (objects.py). The image's task says what became of it. Staged
data is imported by the node that has it, whichever is asked.

Source of states, properties and words: Glance's API reference, "Interoperable image import".
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from onestack.core import operations
from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.errors import BadRequest, Conflict, Fault, NotFound
from onestack.core.operations import Operation
from onestack.image import data, downloads, limits, objects, protections, quotas, reading, signatures, store
from onestack.image.drivers.file import FileStore
from onestack.image.models import Image, ImageProperty, ImageTask
from onestack.image.plugins import Plugins, digest_of, restore
from onestack.image.properties import set_property
from onestack.image.store import Digest
from onestack.image.stores import Stores, stores

log = logging.getLogger(__name__)

IMPORTING, FAILED, LOCK = "os_glance_importing_to_stores", "os_glance_failed_import", "os_glance_import_task"


_OF_DATA = (
    "size", "checksum", "os_hash_algo", "os_hash_value", "virtual_size", "boot_format", "boot_size", "boot_hash_value",
)  # fmt: skip


class Refused(Fault):
    """The import can't succeed, however often it is tried."""

    status = 400


def new_task(session: Session, cloud: Cloud, ctx: Context, kind: str, image_id: str | None, asked: Any) -> ImageTask:
    now = cloud.clock.now()
    task = ImageTask(
        id=cloud.ids.uuid(), type=kind, image_id=image_id, status="pending", input=asked, owner=ctx.project_id,
        user_id=ctx.user_id, request_id=ctx.request_id, message="", created_at=now, updated_at=now,
    )  # fmt: skip
    session.add(task)
    return task


def begin(
    session: Session,
    cloud: Cloud,
    ctx: Context,
    image: Image,
    body: dict[str, Any],
    stores: list[str],
    sealed: str = "",
    after_failure: str = "queued",
    plugins: Sequence[str] = (),
) -> ImageTask:
    """Owe an import into `stores`. The caller has checked everything, in this transaction. `plugins`: of plugins.py."""
    task = new_task(
        session, cloud, ctx, "api_image_import", image.id,
        {"image_id": image.id, "import_req": body, "backend": stores},
    )  # fmt: skip
    if body["method"]["name"] != "copy-image":
        image.status = "importing"
        objects.give_up(session, cloud, objects.all_of(session, image.id))
    node = image.staged_on if body["method"]["name"] == "glance-direct" else None
    if node is not None:
        # Which one that is, is for the operator alone.
        task.message = "The import is done by the node that has the staged data."
        log.info("image %s is imported by the node %s", image.id, node)
    set_property(session, image.id, LOCK, task.id)
    change_stores(session, image.id, IMPORTING, add=stores)
    change_stores(session, image.id, FAILED, remove=stores)
    image.updated_at = cloud.clock.now()
    operations.enqueue(
        session, cloud, action="import", object_type="image", object_id=image.id, project_id=ctx.project_id,
        user_id=ctx.user_id, request_id=ctx.request_id, node=node,
        args={
            "task_id": task.id, "token": sealed, "after_failure": after_failure, "roles": ctx.roles,
            "plugins": list(plugins),
        },
    )  # fmt: skip
    return task


def change_stores(
    session: Session, image_id: str, name: str, *, add: list[str] | None = None, remove: list[str] | None = None
) -> None:
    row = session.get(ImageProperty, (image_id, name))
    have = {one for one in (row.value if row is not None else "").split(",") if one}
    set_property(session, image_id, name, ",".join(sorted((have | set(add or ())) - set(remove or ()))))


class Import:
    """One run of an import. `asked`: into which stores, and the body of the request."""

    def __init__(self, cloud: Cloud, operation: Operation, task_id: str, asked: dict[str, Any]) -> None:
        self.cloud = cloud
        self.operation_id = operation.id
        self.task_id = task_id
        self.image_id = operation.object_id
        self.stores: list[str] = asked["backend"]
        body = asked["import_req"]
        self.method: dict[str, Any] = body["method"]
        self.copying = self.method["name"] == "copy-image"
        self.all_must = bool(body.get("all_stores_must_succeed", True))
        self.sealed = str(operation.args.get("token") or "")
        # Who asked for it: what comes along sets no property that they may not set.
        roles = list(operation.args.get("roles", ()))
        self.importer = Context(user_id=operation.user_id or "", project_id=operation.project_id, roles=roles)
        self.converted: int | None = None  # an object that isn't the image's yet
        self.plugins = Plugins(cloud, self.image_id, list(operation.args.get("plugins", ())), roles)

    def run(self) -> None:
        if self._everywhere():
            self._finish()
            return
        self._limits()
        file, digest, found = self._data()
        try:
            if found is not None:
                with data.disk_errors():
                    self.converted = data.put_converted(self.cloud, self.image_id, found)
            self._to_stores(file, digest, found)
        finally:
            if self.converted is not None:
                objects.doom(self.cloud, [self.converted])
        self._finish()

    def _to_stores(self, file: Path, digest: Digest, found: data.Inspected | None) -> None:
        done = 0
        for name in self.stores:
            try:
                self._to_store(name, file, digest, found)
                done += 1
            except Fault as fault:
                if self.all_must or isinstance(fault, (NotFound, Refused)):
                    raise
                log.warning("image %s can't be imported into store %s: %s", self.image_id, name, fault.message)
                with self.cloud.db.write() as session:
                    change_stores(session, self.image_id, IMPORTING, remove=[name])
                    change_stores(session, self.image_id, FAILED, add=[name])
        if not done and not self.copying:
            raise Refused("None of the uploads finished!")

    def _everywhere(self) -> bool:
        with self.cloud.db.read() as session:
            return set(self.stores) <= {row.store for row in objects.of_image(session, self.image_id)}

    def _limits(self) -> None:
        """As Glance: what is staged must fit into what is stored; everything else is staged first. Raises TooLarge."""
        with self.cloud.db.read() as session:
            image = session.get(Image, self.image_id)
            if image is None:
                raise NotFound(f"No image found with ID {self.image_id}")
            if self.method["name"] == "glance-direct":
                wanted = {limits.SIZE: (image.size or 0) // limits.MIB}
            else:
                wanted = {limits.STAGED: 0, limits.UPLOADING: 0}  # the image itself is counted already
            limits.enforce(session, self.cloud, image.owner, wanted)

    def _data(self) -> tuple[Path, Digest, data.Inspected | None]:
        """The data in a file here, and what it is (nothing when it is only copied)."""
        file = store.staged_path(self.cloud, self.image_id)
        self.plugins.settle()
        digest = self._staged(file)
        if digest is None:
            digest = self._fetch(file)
        with data.disk_errors():
            digest = self.plugins.run()
        with self.cloud.db.read() as session:
            signatures.require(session, self.image_id)
        found = None
        if not self.copying:
            self._same(digest)
            with data.disk_errors():
                found = data.inspect(self.cloud, self.image_id, file)
        return file, digest, found

    def _same(self, digest: Digest) -> None:
        """What an earlier try put into stores has these bytes as well: what is fetched again may be something else."""
        with self.cloud.db.read() as session:
            image = session.get(Image, self.image_id)
            if image is None or image.os_hash_value in (None, digest.os_hash_value):
                return
        if image.status != "importing":
            raise Refused("The data of the image are not those that were stored before.")
        with self.cloud.db.write() as session:
            objects.give_up(session, self.cloud, objects.all_of(session, self.image_id))

    def _staged(self, file: Path) -> Digest | None:
        with self.cloud.db.read() as session:
            image = session.get(Image, self.image_id)
            if image is None:
                raise NotFound(f"No image found with ID {self.image_id}")
            here = image.staged_on in (None, self.cloud.node)
            known = digest_of(image.staged) if image.staged and here else None
        if known is None or not file.is_file() or file.stat().st_size != known.size:
            return None
        return known

    def _fetch(self, file: Path) -> Digest:
        name = self.method["name"]
        if name == "glance-direct":
            raise Refused("The staged data of the image is gone.")
        self._forget()
        if name == "copy-image":
            with self.cloud.db.read() as session:
                source = reading.source(self.cloud, session, session.get_one(Image, self.image_id))
            receive = downloads.from_store(self.cloud, source)
        elif name == "web-download":
            receive = downloads.from_web(self.cloud, self.method["uri"])
        else:
            remote = downloads.RemoteGlance(self.cloud, self.method, self.sealed)
            self._adopt_metadata(remote)
            receive = remote.receive
        with data.disk_errors():
            digest = downloads.into(self.cloud, self.image_id, file, receive)
        with self.cloud.db.write() as session:
            image = data.locked(session, self.image_id)
            image.staged = {
                "size": digest.size, "checksum": digest.checksum, "os_hash_value": digest.os_hash_value,
            }  # fmt: skip
            image.staged_on = self.cloud.node
            if self.copying and digest.os_hash_value != image.os_hash_value and image.os_hash_value is not None:
                raise Refused("The data of the image are not those that were uploaded.")
        return digest

    def _forget(self) -> None:
        """What an earlier try made of data that aren't here any more counts no longer."""
        with self.cloud.db.write() as session:
            image = data.locked(session, self.image_id)
            restore(image)
            image.staged = image.staged_on = None

    def _adopt_metadata(self, remote: downloads.RemoteGlance) -> None:
        values, properties = remote.metadata()
        with self.cloud.db.write() as session:
            image = data.locked(session, self.image_id)
            image.disk_format, image.container_format = values
            for name, value in properties.items():
                known = session.get(ImageProperty, (self.image_id, name)) is not None
                protections.require(self.cloud, self.importer, "update" if known else "create", name)
                set_property(session, self.image_id, name, value)

    def _to_store(self, name: str, file: Path, digest: Digest, found: data.Inspected | None) -> None:
        with self.cloud.db.read() as session:
            have = {row.store for row in objects.of_image(session, self.image_id)}
            if name in have:
                return
            image = session.get_one(Image, self.image_id)
            quotas.check_room(self.cloud, session, image, digest.size, places=len(have) + 1)
        last = name == self.stores[-1]
        # A store of files takes the file away, and what is staged must outlast a crash.
        handed = downloads.another(file) if isinstance(stores(self.cloud).find(name), FileStore) else file
        try:
            location = data.put(self.cloud, self.image_id, name, handed)
        finally:
            if handed is not file:
                handed.unlink(missing_ok=True)
        taken = adopted = False
        try:
            with self.cloud.db.write() as session:
                image = data.locked(session, self.image_id)
                if found is not None and image.status != "active":
                    self._adopt(session, image, found, digest, last)
                    adopted = True
                places = len(objects.of_image(session, self.image_id)) + 1
                quotas.check_storage(self.cloud, session, image, digest.size, places=places)
                objects.take(session, self.image_id, location)
                change_stores(session, self.image_id, IMPORTING, remove=[name])
            taken = True
        finally:
            if not taken:
                objects.doom(self.cloud, [location])
        if adopted:
            self.converted = None

    def _adopt(self, session: Session, image: Image, found: data.Inspected, digest: Digest, last: bool) -> None:
        staged = image.staged, image.staged_on
        data.adopt(self.cloud, session, image, found, digest, self.converted)
        image.staged, image.staged_on = staged  # until all is done
        if self.all_must and not last:
            image.status = "importing"

    def _finish(self) -> None:
        with self.cloud.db.write() as session:
            image = data.locked(session, self.image_id)
            if not self.copying:
                image.status = "active"
            image.staged = image.staged_on = None
            image.updated_at = self.cloud.clock.now()
            set_property(session, self.image_id, LOCK, None)
            end_task(session, self.cloud, self.task_id, result={"image_id": self.image_id})
            operations.finish(session, self.cloud, session.get_one(Operation, self.operation_id))
        unstage(self.cloud, self.image_id)


def run(cloud: Cloud, operation_id: str) -> None:
    with cloud.db.write() as session:
        operation = session.get_one(Operation, operation_id)
        task = session.get(ImageTask, operation.args["task_id"])
        if task is None or session.get(Image, operation.object_id) is None:
            raise NotFound(f"No image found with ID {operation.object_id}")
        task.status, task.updated_at = "processing", cloud.clock.now()
        session.flush()
        job = Import(cloud, operation, task.id, task.input)
    job.run()


def failed(cloud: Cloud, session: Session, operation: Operation, error: Exception) -> None:
    """As before the import: an image that had no data waits for data again, what was put into stores is given up."""
    message = error.message if isinstance(error, Fault) else "Unexpected error; the server's log has the details."
    task = session.get(ImageTask, operation.args["task_id"])
    end_task(session, cloud, operation.args["task_id"], error=message)
    image = session.get(Image, operation.object_id)
    if image is not None and task is not None:
        asked = task.input["backend"]
        copying = task.input["import_req"]["method"]["name"] == "copy-image"
        put = [row for row in objects.of_image(session, image.id) if row.store in asked]
        before = [row for row in put if copying and row.created_at < operation.created_at]
        objects.give_up(session, cloud, [row for row in put if row not in before])
        if not copying:
            objects.give_up(session, cloud, objects.converted(session, image.id))
            image.status = str(operation.args.get("after_failure") or "queued")
            for name in _OF_DATA:
                setattr(image, name, None)
            restore(image)
        image.staged = image.staged_on = None
        change_stores(session, image.id, IMPORTING, remove=asked)
        change_stores(session, image.id, FAILED, add=asked)
        set_property(session, image.id, LOCK, None)
    unstage(cloud, operation.object_id)
    operation.args = {**operation.args, "token": ""}


def withdraw(session: Session, cloud: Cloud, image_id: str) -> None:
    """The image is gone: the import that another node owes it is over. That node may never come back."""
    owed = operations.unfinished(session, image_id)
    if owed is None or owed.node in (None, cloud.node):
        return
    error = f"No image found with ID {image_id}"
    if operations.withdraw(session, cloud, owed.object_id, error):
        end_task(session, cloud, owed.args["task_id"], error=error)


def unstage(cloud: Cloud, image_id: str) -> None:
    """Nothing waits any more."""
    for file in store.import_paths(cloud, image_id):
        file.unlink(missing_ok=True)


def end_task(session: Session, cloud: Cloud, task_id: str, *, result: Any = None, error: str | None = None) -> None:
    task = session.get(ImageTask, task_id)
    if task is not None:
        now = cloud.clock.now()
        task.status, task.result, task.message = ("success", result, "") if error is None else ("failure", None, error)
        kept = datetime.timedelta(hours=cloud.settings.image.task_time_to_live)
        task.updated_at, task.expires_at = now, now + kept


def choose_stores(cloud_stores: Stores, body: dict[str, Any], header: str | None) -> list[str]:
    """Which stores an import asks for. Raises BadRequest, and Conflict for one that there isn't."""
    if body.get("all_stores"):
        if "stores" in body or header is not None:
            raise BadRequest("All_stores parameter can't be used with x-image-meta-store header or stores parameter")
        return cloud_stores.writable()
    if "stores" in body:
        if header is not None:
            raise BadRequest("Stores parameter and x-image-meta-store header can't be both specified")
        wanted = body["stores"] if body["stores"] != [] else [cloud_stores.default.name]
        if not isinstance(wanted, (list, str)):
            raise BadRequest("'stores' must be a list of the ids of stores")
        wanted = [str(name) for name in wanted]
    else:
        wanted = [header or cloud_stores.default.name]
    for name in wanted:
        if cloud_stores.find(name) is None:
            raise Conflict(f"Store for identifier {name} not found")
    return list(dict.fromkeys(wanted))
