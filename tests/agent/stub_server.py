"""A small server that speaks wire.py over a unix socket, for tests of the agent: state in memory, nothing checked."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import itertools
import os
import socket
import socketserver
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from onestack import wire

TOKEN = "secret-token"


class StubServer:
    """Specs are set with `want`, `operate`; statuses end up in `statuses`, newest last."""

    def __init__(self, state: Path) -> None:
        self.state = state
        (state / "run").mkdir(parents=True, exist_ok=True)
        (state / "secrets").mkdir(exist_ok=True)
        (state / "secrets" / "agent.token").write_text(TOKEN + "\n")
        self.path = state / "run" / "agent.sock"
        self.changed = threading.Condition()
        self.revision = 1
        self.specs: dict[str, wire.ServerSpec] = {}
        self.networks: dict[str, wire.NetworkSpec] = {}
        self.questions: list[wire.Question] = []
        self.answers: dict[str, wire.Answer] = {}
        self.hosts: dict[str, wire.HostReport] = {}
        self.statuses: list[wire.ServerStatus] = []
        self.latest: dict[str, wire.ServerStatus] = {}
        self.images: dict[str, bytes] = {}
        self.snapshots: dict[str, bytes] = {}  # operation id → the image that was sent for it
        self.offers: list[tuple[str, wire.ImageOffer]] = []
        self.unwanted: set[str] = set()
        self.posts = 0
        self.waiting = 0  # polls that found nothing yet
        self.hellos = 0
        self.broken: Callable[[str], int | None] = lambda path: None
        self.metadata: list[tuple[str, str, str]] = []
        self._server: _Server | None = None
        self._epoch = 0

    def start(self) -> None:
        if self.path.exists():
            self.path.unlink()
        self._server = _Server(str(self.path), _Handler)
        self._server.stub = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Like a server that dies: open polls end, the socket file stays."""
        assert self._server is not None
        with self.changed:
            self._epoch += 1
            self.changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._server.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server = None

    def want(self, spec: wire.ServerSpec) -> wire.ServerSpec:
        with self.changed:
            self.revision += 1
            spec = msgspec.structs.replace(spec, revision=self.revision)
            self.specs[spec.id] = spec
            self.changed.notify_all()
        return spec

    def operate(self, spec: wire.ServerSpec, action: str, desired: str, **args: Any) -> wire.ServerSpec:
        operation = wire.OperationSpec(id=str(uuid.uuid4()), action=action, args=args)
        return self.want(msgspec.structs.replace(spec, operation=operation, desired=desired))  # type: ignore[arg-type]

    def network(self, spec: wire.NetworkSpec) -> None:
        with self.changed:
            self.revision += 1
            self.networks[spec.id] = msgspec.structs.replace(spec, revision=self.revision)
            self.changed.notify_all()

    def ask(self, question: wire.Question, seconds: float = 10.0) -> wire.Answer:
        with self.changed:
            self.questions.append(question)
            self.changed.notify_all()
            assert self.changed.wait_for(lambda: question.id in self.answers, seconds), "no answer"
            return self.answers[question.id]

    def wait(self, condition: Callable[[], Any], seconds: float = 20.0) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, seconds), f"not in {seconds} s; latest: {self.latest}"

    def ended(self, spec: wire.ServerSpec, seconds: float = 20.0) -> wire.ServerStatus:
        """The status that ends the operation of `spec`."""
        assert spec.operation is not None
        key = spec.operation.id

        def found() -> list[wire.ServerStatus]:
            return [s for s in self.statuses if s.operation_id == key and s.operation_state in ("done", "failed")]

        self.wait(found, seconds)
        return found()[-1]

    def settle(self, spec: wire.ServerSpec, seconds: float = 20.0) -> wire.ServerStatus:
        """Wait for the end of the operation, then clear it as the server does."""
        status = self.ended(spec, seconds)
        self.want(msgspec.structs.replace(spec, operation=None))
        return status

    def work(self, after: int, wait: float) -> wire.Work:
        deadline = time.monotonic() + wait
        with self.changed:
            epoch = self._epoch
            self.waiting += 1
            self.changed.notify_all()
            self.changed.wait_for(
                lambda: self.revision > after or self.questions or self._epoch != epoch,
                max(deadline - time.monotonic(), 0),
            )
            self.waiting -= 1
            questions, self.questions = self.questions, []
            return wire.Work(
                revision=self.revision,
                full=after == 0,
                servers=[s for s in self.specs.values() if s.revision > after],
                networks=list(self.networks.values()),
                questions=questions,
            )

    def report(self, report: wire.StatusReport) -> None:
        with self.changed:
            self.posts += 1
            for status in report.servers:
                self.statuses.append(status)
                self.latest[status.id] = status
            self.changed.notify_all()


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    stub: StubServer

    def __init__(self, *args: Any) -> None:
        self.connections: set[Any] = set()
        super().__init__(*args)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is what these tests are about."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *args: Any) -> None:
        """Quiet."""

    def answer(self, status: int, content: Any = b"", headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else msgspec.json.encode(content)
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def route(self) -> None:
        stub = self.server.stub
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self.answer(401)
            return
        url = urllib.parse.urlsplit(self.path)
        parts = url.path.strip("/").split("/")
        trouble = stub.broken(url.path)
        if trouble:
            self.answer(trouble, b"broken on purpose")
        elif parts[1] == "hello":
            report = msgspec.json.decode(body, type=wire.HostReport)
            with stub.changed:
                stub.hosts[report.hostname] = report
                stub.hellos += 1
                stub.changed.notify_all()
            self.answer(200, wire.Welcome(host_id=report.hostname, heartbeat_seconds=60))
        elif parts[1] == "work":
            query = dict(urllib.parse.parse_qsl(url.query))
            self.answer(200, stub.work(int(query["after"]), float(query["wait"])))
        elif parts[1] == "status":
            stub.report(msgspec.json.decode(body, type=wire.StatusReport))
            self.answer(200, {})
        elif parts[1] == "answers":
            with stub.changed:
                stub.answers[parts[2]] = msgspec.json.decode(body, type=wire.Answer)
                stub.changed.notify_all()
            self.answer(200, {})
        elif parts[1] == "operations" and self.command == "POST":
            with stub.changed:
                stub.offers.append((parts[2], msgspec.json.decode(body, type=wire.ImageOffer)))
                wanted = parts[2] not in stub.snapshots and parts[2] not in stub.unwanted
            self.answer(200, wire.ImageAnswer(wanted=wanted))
        elif parts[1] == "operations":
            with stub.changed:
                stub.snapshots[parts[2]] = body
                stub.changed.notify_all()
            self.answer(200, {})
        elif parts[1] == "images":
            self.image(stub.images.get(parts[2]))
        elif parts[1] == "servers" and parts[3] == "config-drive":
            content = base64.b64encode(b'{"uuid": "%s"}' % parts[2].encode()).decode()
            self.answer(200, {"files": [{"path": "openstack/latest/meta_data.json", "content": content}]})
        elif parts[1] == "metadata":
            stub.metadata.append((parts[2], parts[3], "/".join(parts[4:])))
            self.answer(200, {"network": parts[2], "address": parts[3], "path": "/".join(parts[4:])})
        else:
            self.answer(404)

    def image(self, data: bytes | None) -> None:
        if data is None:
            self.answer(404)
            return
        start = 0
        if self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").split("-")[0])
        self.answer(206 if start else 200, data[start:])

    do_GET = do_POST = do_PUT = route


COUNT = itertools.count(1)


def server_spec(**changes: Any) -> wire.ServerSpec:
    """A small server, with one interface."""
    number = next(COUNT)
    values: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "revision": 1,
        "name": f"vm{number}",
        "desired": "running",
        "memory_mb": 128,
        "disks": [wire.DiskSpec(kind="root", index=0, size_gb=1)],
        "nics": [nic_spec()],
    }
    return wire.ServerSpec(**{**values, **changes})


def nic_spec() -> wire.NicSpec:
    unique = os.urandom(3)
    mac = "fa:16:3e:{:02x}:{:02x}:{:02x}".format(*unique)
    return wire.NicSpec(port_id=str(uuid.uuid4()), mac=mac, network_id=str(uuid.uuid4()), mtu=1442)


def image_spec(data: bytes, **changes: Any) -> wire.ImageSpec:
    values: dict[str, Any] = {
        "id": str(uuid.uuid4()),
        "disk_format": "raw",
        "size": len(data),
        "virtual_size": len(data),
        "os_hash_algo": "sha512",
        "os_hash_value": hashlib.sha512(data).hexdigest(),
    }
    return wire.ImageSpec(**{**values, **changes})
