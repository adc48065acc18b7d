"""Secrets are made once, whole, and for their owner alone."""

from __future__ import annotations

import threading

from onestack.core import secret


def test_made_once_and_nobody_elses(settings):
    first = secret.ensure(settings, "a")
    path = settings.path("secrets", "a")
    assert len(first) >= 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret.ensure(settings, "a") == first
    path.write_text("chosen\n")
    assert secret.ensure(settings, "a") == "chosen"
    assert [file.name for file in path.parent.iterdir()] == ["a"]


def test_many_at_once_agree(settings):
    found = []
    threads = [threading.Thread(target=lambda: found.append(secret.ensure(settings, "b"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
