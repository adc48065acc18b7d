"""Statuses on their way to the server: gathered for some milliseconds, sent together, sent again until they arrive."""

from __future__ import annotations

import logging
import threading

from onestack.agent.client import Client, Closed, Refused
from onestack.wire import ServerStatus, StatusReport

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.005
BATCH = 500


class Outbox:
    """One status for each (server, operation): a newer one replaces an older one that was not sent yet."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: dict[tuple[str, str | None], ServerStatus] = {}
        self._sending = False
        self._stopping = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def put(self, status: ServerStatus) -> None:
        key = (status.id, status.operation_id)
        with self._changed:
            self._waiting.pop(key, None)  # the newest comes last, so the server sees the order in which things happened
            self._waiting[key] = status
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until everything has been sent; False if that took longer."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._sending, seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._sending = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if self._stopping:
                    return
                self._changed.wait_for(lambda: self._stopping or len(self._waiting) >= BATCH, GATHER_SECONDS)
                keys = list(self._waiting)[:BATCH]
                batch = [self._waiting.pop(key) for key in keys]
                self._sending = True
            try:
                self._send(batch)
            except Closed:
                return

    def _send(self, batch: list[ServerStatus]) -> None:
        try:
            self._client.call("POST", "/v1/status", StatusReport(servers=batch))
        except Refused as refusal:
            if len(batch) == 1:
                log.error("server %s: its status was refused: %s", batch[0].id, refusal)
                return
            for status in batch:  # one bad status must not hold back the others
                self._send([status])
