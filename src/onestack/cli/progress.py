"""Steps on the terminal: a bar for each that takes longer than a moment. rich is imported only when one does."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

PATIENCE = 0.5  # seconds before a bar appears


class Step:
    """One step; a context manager. `update(share, words)` may be called from any thread."""

    def __init__(self, title: str) -> None:
        self.title, self.words, self.share = title, "", 0.0
        self.begun = time.monotonic()
        self.lock = threading.Lock()
        self.bar: Any = None
        self.task: Any = None
        self.timer: threading.Timer | None = None
        self.over = False

    def __enter__(self) -> Step:
        if sys.stderr.isatty():
            self.timer = threading.Timer(PATIENCE, self.show)
            self.timer.daemon = True
            self.timer.start()
        return self

    def show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        with self.lock:
            if self.over:
                return
            columns = (
                TextColumn("{task.description:<36}"),
                BarColumn(bar_width=30),
                TimeElapsedColumn(),
                TextColumn("{task.fields[words]}", style="dim"),
            )
            self.bar = Progress(*columns, console=Console(stderr=True), transient=True)
            total = 1.0 if self.share else None
            self.task = self.bar.add_task(self.title, total=total, completed=self.share, words=self.words)
            self.bar.start()

    def update(self, share: float | None = None, words: str = "") -> None:
        with self.lock:
            self.share = self.share if share is None else share
            self.words = words[:60]
            if self.bar:
                self.bar.update(self.task, total=1.0 if self.share else None, completed=self.share, words=self.words)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self.timer:
            self.timer.cancel()
        with self.lock:
            self.over = True
            if self.bar:
                self.bar.stop()
        seconds = time.monotonic() - self.begun
        if kind is None and seconds >= PATIENCE:
            print(f"  {self.title} ({seconds:.1f} s)", file=sys.stderr, flush=True)


def note(words: str) -> None:
    """A line that the user should see: a choice that was made for them, a danger."""
    print(f"  {words}", file=sys.stderr, flush=True)
