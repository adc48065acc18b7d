"""The listening sockets, which the server processes of a machine share.

A process that starts asks the others for their sockets and gets the very same ones (SCM_RIGHTS, unix(7)); only where
nobody runs does it bind. So there is one queue of connections for all: whoever is free accepts, and while one process
is restarted, or killed, nothing is refused and nothing that waits is lost. Why so: docs/adr/0009.

Each process answers at `run/listen-<number>.sock`: one byte is asked, JSON comes back, with the sockets where those
were asked for. Only processes of the same user are answered, or believed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from onestack import config

AGENT = "agent"  # the application that is served on the unix sockets
STATUS, SOCKETS = b"?", b"+"
_PATIENCE = 2.0
_MOST = 64  # more sockets than there are ports

Sockets = dict[str, socket.socket]  # by their names in config.PORTS, and "agent"


class Listeners:
    """The sockets of this process, offered to the others until it ends."""

    def __init__(self, settings: config.Settings, number: int = 1) -> None:
        """Raises OSError with words for the user."""
        self.number = number
        self.ready = False  # it accepts
        self.leaving = False  # it has stopped accepting
        self._folder = settings.path("run")
        self._folder.mkdir(parents=True, exist_ok=True)
        with _alone(self._folder):
            if ask(settings, number) is not None:
                raise OSError(f"server {number} of this cloud runs already")
            self.sockets = _of_another(settings, number) or bind(settings)
            self._offer = _bind_unix(offered_at(self._folder, number), 0o600)
        threading.Thread(target=self._answer, name="listeners", daemon=True).start()

    def own_agent_socket(self) -> socket.socket:
        """One more socket for agents, which no other process answers."""
        return _bind_unix(own_agent_path(self._folder, self.number), 0o660)

    def close(self) -> None:
        """Nobody is told of our sockets any more. Others go on listening at them."""
        for path in (offered_at(self._folder, self.number), own_agent_path(self._folder, self.number)):
            path.unlink(missing_ok=True)
        self._offer.close()
        for one in self.sockets.values():
            one.close()

    def _answer(self) -> None:
        while True:
            try:
                peer, _ = self._offer.accept()
            except OSError:
                return  # closed
            with peer, contextlib.suppress(OSError):
                peer.settimeout(_PATIENCE)
                if not _ours(peer):
                    continue
                wish = peer.recv(1)
                answer: dict[str, Any] = {"pid": os.getpid(), "ready": self.ready, "leaving": self.leaving}
                if wish == SOCKETS:
                    answer["names"] = list(self.sockets)
                    handed = [one.fileno() for one in self.sockets.values()]
                    socket.send_fds(peer, [json.dumps(answer).encode()], handed)
                else:
                    peer.sendall(json.dumps(answer).encode())


def offered_at(folder: Path, number: int) -> Path:
    return folder / f"listen-{number}.sock"


def own_agent_path(folder: Path, number: int) -> Path:
    return folder / f"agent-{number}.sock"


def ask(settings: config.Settings, number: int) -> dict[str, Any] | None:
    """What server `number` of this machine says of itself: pid, ready, leaving. None when it doesn't run."""
    found = _ask(settings.path("run"), number, STATUS)
    return found[0] if found else None


def others(settings: config.Settings, number: int) -> list[int]:
    """The numbers of the other servers that accept now."""
    found = []
    for other in _numbers(settings.path("run")):
        answer = ask(settings, other) if other != number else None
        if answer is not None and answer["ready"] and not answer["leaving"]:
            found.append(other)
    return found


def bind(settings: config.Settings) -> Sockets:
    """Bind every port, and the agents' socket. Raises OSError that names the port."""
    sockets: Sockets = {}
    for service in config.PORTS:
        port = settings.port(service)
        family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.bind, port))
        except OSError as error:
            for opened in sockets.values():
                opened.close()
            why = "is already in use" if error.errno == errno.EADDRINUSE else f"can't be opened: {error.strerror}"
            raise OSError(f"port {port} ({service}) on {settings.bind} {why}") from error
        listener.listen(1024)
        sockets[service] = listener
    sockets[AGENT] = _bind_unix(settings.path("run", "agent.sock"), 0o660)
    return sockets


def _of_another(settings: config.Settings, number: int) -> Sockets | None:
    """The sockets of a process that runs, if they are those that the settings ask for."""
    for other in _numbers(settings.path("run")):
        found = _ask(settings.path("run"), other, SOCKETS) if other != number else None
        if found is None:
            continue
        sockets = {name: socket.socket(fileno=handle) for name, handle in zip(found[0]["names"], found[1], strict=True)}
        wanted = {service: settings.port(service) for service in config.PORTS}
        if {name: one.getsockname()[1] for name, one in sockets.items() if name != AGENT} == wanted:
            return sockets
        for one in sockets.values():
            one.close()
    return None


def _numbers(folder: Path) -> list[int]:
    names = [path.name.removeprefix("listen-").removesuffix(".sock") for path in folder.glob("listen-*.sock")]
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def _ask(folder: Path, number: int, wish: bytes) -> tuple[dict[str, Any], list[int]] | None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
        channel.settimeout(_PATIENCE)
        try:
            with _short(offered_at(folder, number)) as address:
                channel.connect(address)
            if not _ours(channel):
                return None
            channel.sendall(wish)
            data, handles, _, _ = socket.recv_fds(channel, 4096, _MOST)
            return json.loads(data), handles
        except (OSError, ValueError):
            return None


def _ours(peer: socket.socket) -> bool:
    """Whether the other end is a process of our user, or root's."""
    _, user, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return user in (0, os.geteuid()) or os.geteuid() == 0


def _bind_unix(path: Path, mode: int) -> socket.socket:
    """A listening socket at a path. What lies there is a dead process's: the caller holds the lock, and asked."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path.unlink(missing_ok=True)
    before = os.umask(0o777 & ~mode)
    try:
        with _short(path) as address:
            listener.bind(address)
    finally:
        os.umask(before)
    listener.listen(1024)
    return listener


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """The kernel takes only 107 bytes of a socket's path, so a longer one goes through its folder."""
    if len(os.fsencode(path)) < 100:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time binds, or takes what another one bound."""
    with open(os.open(folder / "listen.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
