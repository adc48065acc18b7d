"""Kills at every point of an operation, one after the other, until it passes without a kill."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from onestack import config
from onestack.cli import client, demo
from onestack.cli.client import Api, ApiError

T = TypeVar("T")
PROGRAM = Path(__file__).with_name("doomed.py")
MOST_POINTS = 80
ENOUGH_PASSES = 2  # an operation has now more points, now fewer: reports are gathered, steps repeated


def until(condition: Callable[[], T], seconds: float, what: str, interval: float = 0.02) -> T:
    """The first true answer. An API that is away is no answer."""
    deadline = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < deadline:
        try:
            found = condition()
            if found:
                return found
            last = found
        except ApiError as error:
            if error.status:
                raise
            last = error
        time.sleep(interval)
    raise AssertionError(f"not within {seconds:.0f} s: {what}; the last answer: {last!r}")


class Doom:
    """Server and agent of one cloud, as processes that die on demand and are started again."""

    def __init__(self, settings: config.Settings, directory: Path, python: list[str], users: dict[str, str]) -> None:
        self.settings, self.directory, self.python, self.users = settings, directory, python, users
        self.processes: list[subprocess.Popen[bytes]] = []
        self.orders = itertools.count(1)
        self.kind = ""  # who dies in these lives
        directory.mkdir(exist_ok=True)
        if "server" in users:
            shutil.chown(directory, users["server"])
        # The server's user may not be able to read the checkout.
        self.program = directory / "doomed.py"
        shutil.copyfile(PROGRAM, self.program)

    def start(self, environment: dict[str, str]) -> None:
        state, hypervisor = self.settings.state, self.settings.hypervisor
        words = {
            "server": ["--state", state, "--port-offset", str(self.settings.port_offset), "--hypervisor", hypervisor],
            "agent": ["--state", state, "--hypervisor", hypervisor],
        }
        for kind, arguments in words.items():
            user = self.users.get(kind, "")
            other: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if user else {}
            with (self.directory / f"{kind}.log").open("ab") as log:
                self.processes.append(
                    subprocess.Popen(
                        [*self.python, str(self.program), kind, str(self.directory), *arguments],
                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=environment,
                        umask=0o027, start_new_session=True, **other,
                    )
                )  # fmt: skip
        until(self.answers, 60, "the server and the agent are there")

    def answers(self) -> bool:
        for process in self.processes:
            assert process.poll() is None, f"{process.args} ended by itself; see the logs in {self.directory}"
        if client.answers(self.settings, "compute"):
            return False
        services = demo.admin(self.settings).get("compute", "/os-services?binary=nova-compute")["services"]
        return any(service["state"] == "up" for service in services)

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGKILL)  # their children die with them
            process.wait(10)

    def arm(self, kind: str, number: int, word: str = "") -> None:
        self.kind = kind
        (self.directory / f"{kind}.died").unlink(missing_ok=True)
        new = self.directory / f"{kind}.new-order"
        new.write_text(f"{number} {next(self.orders)} {word}")
        new.replace(self.directory / f"{kind}.armed")

    def disarm(self, kind: str) -> str:
        """The point where it died; empty when the operation had fewer points."""
        (self.directory / f"{kind}.armed").unlink(missing_ok=True)
        died = self.directory / f"{kind}.died"
        return died.read_text() if died.exists() else ""

    def at_every_point(
        self, kind: str, operation: Callable[[], None], step: int = 1, most: int = MOST_POINTS,
        wanted: Sequence[str] = (),
    ) -> list[str]:  # fmt: skip
        """Run the operation, dying at its first point, its second …, until it passes; the points where it died.

        With `most`, only so many points: for an operation that has more of them the later it is killed. What else the
        process does moves the numbers of points, so one can be missed: points that contain a word of `wanted` are
        asked for by name then.
        """
        deaths = self._at_numbers(kind, operation, step, most)
        for word in wanted:
            if not any(word in death for death in deaths):
                deaths.append(self._life(kind, operation, 1, word))
                assert deaths[-1], f"there is no point {word}: {deaths}"
        return deaths

    def _at_numbers(self, kind: str, operation: Callable[[], None], step: int, most: int) -> list[str]:
        deaths: list[str] = []
        passes = 0
        for number in range(1, most, step):
            died = self._life(kind, operation, number)
            passes = 0 if died else passes + 1
            if passes == ENOUGH_PASSES:
                return deaths
            deaths += [died] if died else []
        if most < MOST_POINTS:
            return deaths
        raise AssertionError(f"still dying after {MOST_POINTS} points: {deaths[-4:]}")

    def _life(self, kind: str, operation: Callable[[], None], number: int, word: str = "") -> str:
        """The operation once, with one death; where that was."""
        began = time.monotonic()
        self.arm(kind, number, word)
        try:
            operation()
        except Exception as error:
            where = self.disarm(kind) or "nowhere"
            raise AssertionError(f"{kind} killed at point {number}, {where}: {error}") from error
        died = self.disarm(kind)
        print(f"{time.monotonic() - began:6.2f} s  {died or 'no death'}")
        return died


class User:
    """A client that does what a careful one does when a connection breaks: look, and ask again."""

    def __init__(self, settings: config.Settings, guest_dies: Callable[[], bool] = lambda: False) -> None:
        # A guest that dies as what was done to it ends is off, and may never have been seen running.
        self.guest_dies = guest_dies
        self.api: Api = demo.demo(settings)
        self.operator: Api = demo.admin(settings)

    def ask(self, send: Callable[[], Any], took: Callable[[], bool]) -> None:
        """`send` until it is answered, or until `took` says that an unanswered one was taken."""
        try:
            send()
            return
        except ApiError as error:
            if error.status:
                raise
        if until(lambda: "taken" if took() else "not taken", 30, "the API is back") == "not taken":
            self.ask(send, took)

    def get(self, path: str, service: str = "compute") -> Any:
        """What there is; asked again when the server dies meanwhile."""
        return until(lambda: self.api.get(service, path), 30, path)

    def servers(self, name: str) -> list[dict[str, Any]]:
        return [one for one in self.get("/servers/detail")["servers"] if one["name"] == name]

    def create(self, network: str, flavor: str, image: str) -> str:
        """A server that is ACTIVE, though anything died meanwhile; its id. Exactly one is made."""
        name = f"doomed-{secrets.token_hex(4)}"
        body = {"server": {"name": name, "imageRef": image, "flavorRef": flavor, "networks": [{"uuid": network}]}}
        self.ask(lambda: self.api.post("compute", "/servers", body), lambda: bool(self.servers(name)))
        (server,) = until(lambda: self.servers(name), 30, f"the server {name}")
        self.wait_active(server["id"])
        assert len(self.servers(name)) == 1
        return str(server["id"])

    def show(self, server_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/servers/{server_id}")["server"]
        return found

    def wait(self, server_id: str, *statuses: str, seconds: float = 100) -> None:
        """Until one of them is reached with nothing under way; ERROR must have a reason, and is not what was asked."""

        def there() -> bool:
            server = self.show(server_id)
            assert server["status"] != "ERROR" or "ERROR" in statuses, server.get("fault")
            return server["status"] in statuses and server["OS-EXT-STS:task_state"] is None

        until(there, seconds, f"server {server_id} is {' or '.join(statuses)}")

    def wait_active(self, server_id: str) -> None:
        self.wait(server_id, "ACTIVE", *(["SHUTOFF"] if self.guest_dies() else []))

    def actions(self, server_id: str, action: str) -> list[dict[str, Any]]:
        found = self.get(f"/servers/{server_id}/os-instance-actions")["instanceActions"]
        return [one for one in found if one["action"] == action]

    def reboot(self, server_id: str, kind: str = "HARD") -> None:
        before = len(self.actions(server_id, "reboot"))
        self.ask(
            lambda: self.api.post("compute", f"/servers/{server_id}/action", {"reboot": {"type": kind}}),
            lambda: len(self.actions(server_id, "reboot")) > before,
        )
        self.wait_active(server_id)
        done = until(lambda: self.actions(server_id, "reboot"), 30, "the action")
        assert len(done) == before + 1
        assert done[0]["message"] is None, done[0]

    def snapshot(self, server_id: str) -> str:
        """An image of the server that is active, though anything died meanwhile; its id. Exactly one is made."""
        name, before = f"doomed-{secrets.token_hex(4)}", len(self.actions(server_id, "createImage"))
        self.ask(
            lambda: self.api.post("compute", f"/servers/{server_id}/action", {"createImage": {"name": name}}),
            lambda: len(self.actions(server_id, "createImage")) > before,
        )

        def images() -> Any:
            return self.get(f"/images?name={name}", "image")["images"]

        until(lambda: [one for one in images() if one["status"] == "active"], 100, f"the image {name} is active")
        until(lambda: self.show(server_id)["OS-EXT-STS:task_state"] is None, 30, "nothing is under way")
        assert self.actions(server_id, "createImage")[0]["message"] is None
        (image,) = images()
        return str(image["id"])

    def delete_image(self, image_id: str) -> None:
        def gone() -> bool:
            try:
                self.get(f"/images/{image_id}", "image")
            except ApiError as error:
                if error.status == 404:
                    return True
                raise
            return False

        self.ask(lambda: self.api.call("image", "DELETE", f"/images/{image_id}"), gone)
        until(gone, 30, f"image {image_id} is gone")

    def interfaces(self, server_id: str) -> set[str]:
        found = self.get(f"/servers/{server_id}/os-interface")["interfaceAttachments"]
        return {one["port_id"] for one in found}

    def attach(self, server_id: str, network: str) -> str:
        """One more interface; the id of its port."""
        before = self.interfaces(server_id)
        body = {"interfaceAttachment": {"net_id": network}}
        self.ask(
            lambda: self.api.post("compute", f"/servers/{server_id}/os-interface", body),
            lambda: self.interfaces(server_id) != before,
        )
        self.wait_active(server_id)
        (port,) = until(lambda: self.interfaces(server_id) - before, 30, "one more interface")
        return str(port)

    def detach(self, server_id: str, port: str) -> None:
        self.ask(
            lambda: self.api.call("compute", "DELETE", f"/servers/{server_id}/os-interface/{port}"),
            lambda: port not in self.interfaces(server_id),
        )
        until(lambda: port not in self.interfaces(server_id), 100, f"port {port} is detached")
        self.wait_active(server_id)

    def delete(self, server_id: str) -> None:
        self.ask(
            lambda: self.api.call("compute", "DELETE", f"/servers/{server_id}"),
            lambda: self.gone(server_id) or bool(self.show(server_id)["OS-EXT-STS:task_state"]),
        )
        until(lambda: self.gone(server_id), 100, f"server {server_id} is gone")

    def gone(self, server_id: str) -> bool:
        try:
            self.show(server_id)
        except ApiError as error:
            if error.status == 404:
                return True
            raise
        return False

    def used(self) -> dict[str, int]:
        """What the quotas say is used."""
        limits = self.get("/limits")["limits"]["absolute"]
        project = self.api.get("network", "/networks?name=demo-net")["networks"][0]["project_id"]
        ports = self.operator.get("network", f"/quotas/{project}/details")["quota"]["port"]["used"]
        names = ("totalInstancesUsed", "totalCoresUsed", "totalRAMUsed")
        return {**{name: limits[name] for name in names}, "ports": ports}


def environment() -> dict[str, str]:
    """Nothing of the user's OpenStack settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("OS_", "ONESTACK_"))}
