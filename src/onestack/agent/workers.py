"""Threads that work on keys, never two on one key; a key that is kicked meanwhile is worked on once more."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)


class Workers:
    """Threads are made when there is work for them, up to `most`; an idle agent has none."""

    def __init__(self, work: Callable[[str], None], most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._work = work
        self._most = most
        self._clock = clock
        self._ready: deque[str] = deque()
        self._queued: set[str] = set()
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._timers: list[tuple[float, str]] = []
        self._threads = 0
        self._idle = 0
        self._stopping = False
        self._changed = threading.Condition()

    def kick(self, key: str, delay: float = 0.0) -> None:
        """Work on `key` now, or after `delay` seconds."""
        with self._changed:
            if self._stopping:
                return
            if delay > 0:
                heapq.heappush(self._timers, (self._clock() + delay, key))
            elif not self._enqueue(key):
                return
            if self._idle:
                self._changed.notify()
            elif self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._run, name=f"worker-{self._threads}", daemon=True).start()

    def stop(self) -> None:
        """No further work begins; what runs is left to end (or to be killed: every step may be run again)."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def _enqueue(self, key: str) -> bool:
        if key in self._busy:
            self._again.add(key)
            return False
        if key in self._queued:
            return False
        self._queued.add(key)
        self._ready.append(key)
        return True

    def _next(self) -> str | None:
        """The next key, waiting for it; None when the workers stop."""
        while not self._stopping:
            now = self._clock()
            while self._timers and self._timers[0][0] <= now:
                self._enqueue(heapq.heappop(self._timers)[1])
            if self._ready:
                if len(self._ready) > 1 and self._idle:
                    self._changed.notify()
                key = self._ready.popleft()
                self._queued.discard(key)
                self._busy.add(key)
                return key
            self._idle += 1
            self._changed.wait(max(self._timers[0][0] - now, 0.001) if self._timers else None)
            self._idle -= 1
        return None

    def _run(self) -> None:
        while True:
            with self._changed:
                key = self._next()
            if key is None:
                return
            try:
                self._work(key)
            except Exception:
                log.exception("%s: a worker met an unexpected error", key)
            with self._changed:
                self._busy.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self._enqueue(key)
