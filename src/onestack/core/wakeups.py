"""Wake-ups: who waits for a topic is told at once when something was committed about it.

They only save latency. The truth is in the database: every waiter looks there, waits with a bound, and looks again,
so a wake-up lost with a process costs at most that bound. Between processes core/notify.py carries them, where the
database can.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict
from collections.abc import Callable


class Wakeups:
    """Topics are short strings: "operations", "host:<id>", "network"."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._counts: dict[str, int] = defaultdict(int)
        self._futures: dict[str, list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]]] = defaultdict(list)
        self.closed = False  # the process is ending: nobody waits any more
        self.publish: Callable[[str], None] | None = None  # tells the other server processes

    def notify(self, topic: str) -> None:
        """Wake everybody who waits for `topic`, in every server process. Any thread may call it."""
        self.deliver(topic)
        if self.publish is not None:
            self.publish(topic)

    def deliver(self, topic: str) -> None:
        """Wake who waits in this process."""
        with self._lock:
            self._counts[topic] += 1
            waiting = self._futures.pop(topic, [])
            self._lock.notify_all()
        for loop, future in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_set, future)

    def close(self) -> None:
        """Wake everybody, and let nobody wait again: whoever loops looks at `closed`."""
        with self._lock:
            self.closed = True
            topics = list(self._futures)
        for topic in topics:
            self.deliver(topic)
        with self._lock:
            self._lock.notify_all()

    def seen(self, topic: str) -> int:
        """How often `topic` was notified. Take it *before* looking at the database, then wait for a change of it."""
        with self._lock:
            return self._counts[topic]

    def wait(self, topic: str, seen: int, timeout: float) -> bool:
        """Block until `topic` was notified after `seen`, or for `timeout` seconds. True when it was."""
        with self._lock:
            return self._lock.wait_for(lambda: self.closed or self._counts[topic] != seen, timeout)

    async def wait_async(self, topic: str, seen: int, timeout: float) -> bool:
        """The same for coroutines, without a thread."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        entry = (loop, future)
        with self._lock:
            if self.closed or self._counts[topic] != seen:
                return True
            self._futures[topic].append(entry)
        try:
            await asyncio.wait_for(future, timeout)
        except TimeoutError:
            return False
        finally:
            with self._lock:
                entries = self._futures.get(topic)
                if entries and entry in entries:
                    entries.remove(entry)
        return True


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
