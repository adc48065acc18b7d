"""The cloud's own secrets: files below <state>/secrets, readable by their owner alone, made up at first use."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from onestack.config import Settings


def ensure(settings: Settings, name: str) -> str:
    """The secret `name`; made if there is none, whole or not at all, and never over one that somebody just made."""
    return written_once(settings.path("secrets", name), lambda: secrets.token_urlsafe(32))


def written_once(file: Path, text: Callable[[], str]) -> str:
    """What the file says; it is made where there is none, for its owner alone."""
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        pass
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
            handle.write(text() + "\n")
            handle.flush()
            os.fsync(handle.fileno())
        os.link(part, file)  # unlike a rename, it leaves what is there
    except FileExistsError:
        pass
    finally:
        part.unlink(missing_ok=True)
    return file.read_text().strip()
