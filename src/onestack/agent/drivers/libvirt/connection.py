"""The connection to libvirtd: opened when it is needed, opened again when it broke, with events in a thread."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import libvirt

from onestack.agent.drivers.base import StepFailed, Unavailable

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
# What libvirt says when the domain is not (or no longer) in the state that the call needs: look again.
TRANSIENT = frozenset(
    {
        libvirt.VIR_ERR_NO_DOMAIN,
        libvirt.VIR_ERR_OPERATION_INVALID,
        libvirt.VIR_ERR_OPERATION_TIMEOUT,
        libvirt.VIR_ERR_NO_CONNECT,
        libvirt.VIR_ERR_RPC,
        libvirt.VIR_ERR_DOM_EXIST,
    }
)


class Connection:
    """`get` from any thread. `changed(server_id)` is called for events, `changed("")` after a reconnection."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._changed: Callable[[str], None] = lambda server_id: None
        self._open: libvirt.virConnect | None = None
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def start(self, changed: Callable[[str], None]) -> None:
        self._changed = changed
        libvirt.registerErrorHandler(lambda context, error: None, None)  # else it prints to standard error
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=self._events, name="libvirt-events", daemon=True).start()
        threading.Thread(target=self._watch, name="libvirt-watch", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def get(self) -> libvirt.virConnect:
        """The living connection. Raises Unavailable."""
        with self._lock:
            if self._open is not None and self._open.isAlive():
                return self._open
            self._open = None
            try:
                connection = libvirt.open(self._uri)
                connection.setKeepAlive(5, 5)
                for event in (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED):
                    connection.domainEventRegisterAny(None, event, self._event, None)
            except libvirt.libvirtError as error:
                raise Unavailable(f"libvirt of the host does not answer ({error}).") from error
            self._open = connection
            log.info("connected to libvirt at %s", self._uri)
            return connection

    def _event(self, connection: libvirt.virConnect, domain: libvirt.virDomain, *_details: object) -> None:
        self._changed(domain.UUIDString())

    def _events(self) -> None:
        while not self._stopping.is_set():
            try:
                libvirt.virEventRunDefaultImpl()
            except libvirt.libvirtError as error:
                log.warning("libvirt's event loop: %s", error)
                time.sleep(LOOK_SECONDS)

    def _watch(self) -> None:
        """Reconnect without being asked, so that no event is missed for long."""
        away = True
        while not self._stopping.wait(LOOK_SECONDS):
            broken = self._open is None or not self._open.isAlive()
            if not broken and not away:
                continue
            try:
                self.get()
            except Unavailable as error:
                if not away:
                    log.warning("%s", error)
                away = True
                continue
            if away or broken:
                self._changed("")
            away = False


@contextmanager
def translated(what: str) -> Iterator[None]:
    """libvirt's errors in the words of the contract; `what` the host could not do, as an infinitive."""
    try:
        yield
    except libvirt.libvirtError as error:
        text = error.get_error_message() or str(error)
        code = error.get_error_code()
        if code in TRANSIENT or (code == libvirt.VIR_ERR_INTERNAL_ERROR and "client socket" in text):
            raise Unavailable(f"The host could not {what} yet ({text}).") from error
        if code == libvirt.VIR_ERR_SYSTEM_ERROR and error.get_error_domain() in (
            libvirt.VIR_FROM_RPC,
            libvirt.VIR_FROM_REMOTE,
        ):
            raise Unavailable(f"The host could not {what} yet ({text}).") from error
        raise StepFailed(explained(what, text), text, again=True) from error


def explained(what: str, text: str) -> str:
    """One or two sentences for the user, from what QEMU or libvirt said."""
    lowered = text.lower()
    if "no space left" in lowered:
        return f"The host could not {what}: its disk is full. Delete servers that are not needed, or ask for room."
    if "cannot set up guest memory" in lowered or "cannot allocate memory" in lowered:
        return f"The host could not {what}: it has not enough free memory. Try again later or choose a smaller flavor."
    if "unable to find any firmware" in lowered:
        return f"The host could not {what}: it has no UEFI firmware. The operator can install it (package ovmf)."
    if "permission denied" in lowered or "cannot access" in lowered:
        return (
            f"The host could not {what}: QEMU may not read the server's files. The operator must let QEMU's user pass "
            "through the state directory (chmod o+x)."
        )
    first = text.strip().splitlines()[0] if text.strip() else "no reason given"
    return f"The host could not {what}: {first[:300]}"
