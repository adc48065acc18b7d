"""The listening side of the metadata service: a small HTTP server for guests, who may send anything.

A request is one GET of at most 8 KiB that arrives within ten seconds; each network has at most eight under way, so no
tenant can take the service away from the others.
"""

from __future__ import annotations

import ctypes
import fcntl
import http.client
import logging
import os
import queue
import selectors
import socket
import struct
import threading
from urllib.parse import quote, unquote

from onestack.agent.client import NETWORK_ERRORS, Away, Client

log = logging.getLogger(__name__)

ADDRESS, PORT = "169.254.169.254", 80
MOST_HEAD = 8 * 1024
SECONDS = 10.0
MOST_AT_ONCE = 8
CLONE_NEWNET = 0x40000000
SIOCETHTOOL, ETHTOOL_STXCSUM = 0x8946, 0x17


class BadRequest(Exception):
    """What the guest sent is not a request that we answer; holds the status."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


def parse(head: bytes) -> tuple[str, str]:
    """(method, path without its leading slash) of a request's head. Raises BadRequest."""
    line = head.split(b"\r\n", 1)[0].split(b"\n", 1)[0]
    words = line.decode("latin-1").split()
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequest(400)
    method, target, _version = words
    if method not in ("GET", "HEAD"):
        raise BadRequest(405)
    if target.startswith("http://"):
        target = "/" + target.removeprefix("http://").partition("/")[2]
    path = unquote(target.partition("?")[0])
    if not path.startswith("/"):
        raise BadRequest(400)
    if any(part in (".", "..") for part in path.split("/")):
        raise BadRequest(404)
    return method, quote(path[1:], safe="/:")


class Listeners:
    """One thread, in the namespace for as long as it lives, accepts; each request gets a thread of its own."""

    def __init__(self, namespace: str, client: Client) -> None:
        self._namespace = namespace
        self._client = client
        self._commands: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()
        self._wake_read, self._wake_write = os.pipe()
        self._thread: threading.Thread | None = None
        self._sockets: dict[str, tuple[str, socket.socket]] = {}  # network id → (device, socket)
        self._slots: dict[str, threading.BoundedSemaphore] = {}
        self._selector = selectors.DefaultSelector()

    def start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="metadata", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Close every socket and leave the namespace; `start` may be called again."""
        if self._thread is not None:
            self._tell(None)
            self._thread.join(5.0)
            self._thread = None

    def add(self, device: str, network_id: str) -> None:
        """Listen for this network on this device; again, if the device was made anew."""
        self._tell((network_id, device))

    def remove(self, network_id: str) -> None:
        self._tell((network_id, ""))

    def _tell(self, command: tuple[str, str] | None) -> None:
        self._commands.put(command)
        os.write(self._wake_write, b".")

    def _run(self) -> None:
        try:
            enter(self._namespace)
        except OSError as error:
            log.error("metadata: cannot enter %s: %s", self._namespace, error)
            return
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        while True:
            for key, _events in self._selector.select():
                if key.fd == self._wake_read:
                    if not self._obey():
                        self._selector.unregister(self._wake_read)
                        return
                else:
                    self._accept(key.fileobj, key.data)  # type: ignore[arg-type]

    def _obey(self) -> bool:
        """Carry out what was asked for; False at the end."""
        os.read(self._wake_read, 4096)
        while True:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return True
            network_id, device = command or ("", "")
            for gone in [network_id] if command else list(self._sockets):
                if gone in self._sockets:
                    listener = self._sockets.pop(gone)[1]
                    self._selector.unregister(listener)
                    listener.close()
            if command is None:
                return False
            if device:
                self._listen(network_id, device)

    def _listen(self, network_id: str, device: str) -> None:
        try:
            without_checksum_offload(device)
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            listener.bind((ADDRESS, PORT))
            listener.listen(32)
            listener.setblocking(False)
        except OSError as error:
            log.error("metadata of network %s: cannot listen on %s: %s", network_id, device, error)
            return
        self._sockets[network_id] = (device, listener)
        self._slots.setdefault(network_id, threading.BoundedSemaphore(MOST_AT_ONCE))
        self._selector.register(listener, selectors.EVENT_READ, network_id)

    def _accept(self, listener: socket.socket, network_id: str) -> None:
        try:
            guest, peer = listener.accept()
        except OSError:
            return
        slots = self._slots[network_id]
        if not slots.acquire(blocking=False):
            guest.close()
            return
        serve = threading.Thread(target=self._serve, args=(guest, peer[0], network_id, slots), daemon=True)
        try:
            serve.start()
        except RuntimeError:  # the process has no room for a thread
            slots.release()
            guest.close()

    def _serve(self, guest: socket.socket, address: str, network_id: str, slots: threading.BoundedSemaphore) -> None:
        try:
            with guest:
                guest.settimeout(SECONDS)
                try:
                    method, path = parse(_head(guest))
                    status, kind, content = self._ask(network_id, address, path)
                except BadRequest as error:
                    method, status, kind, content = "GET", error.status, "text/plain", b""
                guest.sendall(_answer(status, kind, content, head_only=method == "HEAD"))
        except OSError:
            return  # the guest went away
        finally:
            slots.release()

    def _ask(self, network_id: str, address: str, path: str) -> tuple[int, str, bytes]:
        try:
            with self._client.response("GET", f"/v1/metadata/{network_id}/{address}/{path}", timeout=20.0) as response:
                return response.status, response.headers.get("Content-Type", "text/plain"), response.read()
        except (Away, *NETWORK_ERRORS) as error:
            log.warning("metadata for %s in network %s: %s", address, network_id, error)
            return 503, "text/plain", b"the metadata service is away, try again\n"


def _head(guest: socket.socket) -> bytes:
    """The request's head. Raises BadRequest."""
    head = b""
    while b"\r\n\r\n" not in head and b"\n\n" not in head:
        more = guest.recv(4096)
        if not more:
            raise BadRequest(400)
        head += more
        if len(head) > MOST_HEAD:
            raise BadRequest(431)
    return head


def _answer(status: int, kind: str, content: bytes, *, head_only: bool) -> bytes:
    reason = http.client.responses.get(status, "Unknown")
    kind = kind.replace("\r", "").replace("\n", "")
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode("latin-1", "replace") + (b"" if head_only else content)


def enter(namespace: str) -> None:
    """Move the calling thread, and only it, into a network namespace (setns(2)). Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(f"/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(handle, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(handle)
    for name in ("all", "default"):  # answers leave by their own device, whatever the routes say
        with open(f"/proc/sys/net/ipv4/conf/{name}/rp_filter", "w") as file:
            file.write("0")


def without_checksum_offload(device: str) -> None:
    """A userspace datapath passes on what it gets: a packet with half a checksum would be dropped by the guest."""
    value = ctypes.create_string_buffer(struct.pack("II", ETHTOOL_STXCSUM, 0))
    request = struct.pack("16sP16x", device.encode(), ctypes.addressof(value))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCETHTOOL, request)
