"""Wake-ups between server processes: PostgreSQL's LISTEN and NOTIFY, over one connection of each process.

What is committed here wakes who waits in another process. A lost connection is made again; what was missed meanwhile
costs only what a lost wake-up costs. With SQLite there is nothing of the kind: waiters find out when they look again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
from typing import Any

from onestack.core.cloud import Cloud

log = logging.getLogger(__name__)

CHANNEL = "onestack"
FIRST_RETRY, LAST_RETRY = 0.5, 30.0


class Bridge:
    """A worker of the server. `publish` may be called by any thread; one thread of ours speaks and listens."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.connected = threading.Event()
        self._lock = threading.Lock()
        self._topics: dict[str, None] = {}  # what is to be told, in order, each once
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="wakeups", daemon=True)

    def start(self) -> None:
        self.cloud.wakeups.publish = self.publish
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._poke()
        self._thread.join(timeout=5)

    def publish(self, topic: str) -> None:
        with self._lock:
            self._topics[topic] = None
        self._poke()

    def _poke(self) -> None:
        with contextlib.suppress(BlockingIOError):  # a full pipe wakes as well
            os.write(self._writer, b"\0")

    def _loop(self) -> None:
        retry = FIRST_RETRY
        while not self._stop.is_set():
            try:
                with self._connect() as connection:
                    self.connected.set()
                    retry = FIRST_RETRY
                    self._talk(connection)
            except Exception as error:
                # Neither the address nor a password is in it: libpq's messages name host and user only.
                log.warning("wake-ups of other servers are not heard: %s", type(error).__name__)
            self.connected.clear()
            self._stop.wait(retry)
            retry = min(retry * 2, LAST_RETRY)

    def _connect(self) -> Any:
        import psycopg

        engine = self.cloud.db.engine
        positional, named = engine.dialect.create_connect_args(engine.url)
        connection = psycopg.connect(*positional, **{**named, "autocommit": True})
        connection.add_notify_handler(self._heard(connection.info.backend_pid))
        connection.execute(f"LISTEN {CHANNEL}")
        return connection

    def _heard(self, own: int) -> Any:
        def deliver(notification: Any) -> None:
            if notification.pid != own:
                self.cloud.wakeups.deliver(notification.payload)

        return deliver

    def _talk(self, connection: Any) -> None:
        deliver = self._heard(connection.info.backend_pid)
        poller = select.poll()
        poller.register(self._reader, select.POLLIN)
        poller.register(connection.fileno(), select.POLLIN)
        while not self._stop.is_set():
            poller.poll()
            with contextlib.suppress(BlockingIOError):
                os.read(self._reader, 65536)
            with self._lock:
                topics, self._topics = list(self._topics), {}
            if topics:
                query = "SELECT pg_notify(%s, topic) FROM unnest(%s::text[]) AS topic"
                connection.execute(query, (CHANNEL, topics))
            connection.pgconn.consume_input()
            while (found := connection.pgconn.notifies()) is not None:
                deliver(_Notification(found.be_pid, found.extra.decode()))


class _Notification:
    """libpq's, with psycopg's names."""

    def __init__(self, pid: int, payload: str) -> None:
        self.pid = pid
        self.payload = payload
