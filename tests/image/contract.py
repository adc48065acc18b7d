"""What every store does, whatever it is made of: the tests of drivers/base.py's contract, run on real servers.

A class of tests for each kind of store gives the fixture `one` (a store), and says how to see what is left in it. Its
parts are small, so that an object of LARGE bytes takes several.
"""

from __future__ import annotations

import abc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from onestack.image.drivers.base import CHUNK, Missing, Store, StoreError

ID = "11111111-2222-4333-8444-555555555555"
PART = 5 << 20  # S3 takes no smaller ones
LARGE = 2 * PART + 12_345
DATA = b"0123456789" * 1000
_PUT = """
import pickle, sys
from pathlib import Path
make, arguments, more, key, source = pickle.load(sys.stdin.buffer)
store = make(*arguments, **more)
store.exists(key)
print("ready", flush=True)
sys.stdin.buffer.read()
store.put(key, Path(source))
"""


class StoreContract(abc.ABC):
    @abc.abstractmethod
    def leftovers(self, one: Store) -> list[str]:
        """Names of all that is in the store, parts as well."""

    def recipe(self, one: Store) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """How another process makes the same store: class, arguments, named arguments."""
        return type(one), (one.name, one.settings), {}

    def elsewhere(self, tmp_path: Path) -> Path:
        """A folder for what is put, from where the store has to copy."""
        return tmp_path

    @pytest.fixture
    def source(self, tmp_path: Path) -> Callable[[bytes], Path]:
        def write(data: bytes) -> Path:
            file = tmp_path / "source"
            file.write_bytes(data)
            return file

        return write

    def test_what_is_put_is_there_and_what_is_deleted_is_gone(self, one: Store, source: Any) -> None:
        one.check()
        key = one.key_for(ID)
        for absent in (one.size, one.get):
            with pytest.raises(Missing):
                absent(key)
        one.put(key, source(DATA))
        assert (one.size(key), one.exists(key)) == (len(DATA), True)
        assert b"".join(one.get(key)) == DATA
        one.delete(key)
        one.delete(key)
        assert not one.exists(key)
        with pytest.raises(Missing):
            one.get(key)
        assert self.leftovers(one) == []

    def test_ranges(self, one: Store, source: Any) -> None:
        key = one.key_for(ID)
        one.put(key, source(DATA))
        for first, last in ((0, 0), (5, 9), (9990, None), (9999, 9999), (0, 9999), (1, 9998)):
            assert b"".join(one.get(key, first, last)) == DATA[first : None if last is None else last + 1]
        one.delete(key)

    def test_an_empty_object(self, one: Store, source: Any) -> None:
        key = one.key_for(ID)
        one.put(key, source(b""))
        assert one.size(key) == 0
        assert b"".join(one.get(key)) == b"".join(one.get(key, 0, -1)) == b""
        one.delete(key)
        assert self.leftovers(one) == []

    @pytest.mark.parametrize("sizes", [(LARGE, 5), (5, LARGE), (LARGE, PART + 1)])
    def test_what_is_put_twice_is_there_once(self, one: Store, source: Any, sizes: tuple[int, int]) -> None:
        key = one.key_for(ID)
        for size in sizes:
            one.put(key, source(os.urandom(size)))
        last = os.urandom(sizes[1])
        one.put(key, source(last))
        assert b"".join(one.get(key)) == last
        one.delete(key)
        assert self.leftovers(one) == []

    def test_a_large_object_goes_in_parts(self, one: Store, source: Any) -> None:
        key, data = one.key_for(ID), os.urandom(LARGE)
        one.put(key, source(data))
        assert one.size(key) == LARGE
        assert b"".join(one.get(key)) == data
        assert b"".join(one.get(key, PART - 3, PART + 3)) == data[PART - 3 : PART + 4]
        assert b"".join(one.get(key, LARGE - 7)) == data[-7:]
        one.delete(key)
        assert self.leftovers(one) == []

    def test_one_goes_and_its_neighbour_stays(self, one: Store, source: Any) -> None:
        """What replaces an object that is on its way out has its key with more behind it."""
        key = one.key_for(ID)
        other = f"{key}-01234567"
        for name in (key, other):
            one.put(name, source(os.urandom(LARGE)))
        one.delete(key)
        assert (one.exists(key), one.size(other), len(b"".join(one.get(other)))) == (False, LARGE, LARGE)
        one.delete(other)
        assert self.leftovers(one) == []

    def test_a_reader_that_stops_in_the_middle_holds_nothing(self, one: Store, source: Any) -> None:
        key = one.key_for(ID)
        one.put(key, source(os.urandom(LARGE)))
        reading: Any = one.get(key)
        assert len(next(reading)) <= CHUNK
        reading.close()
        one.delete(key)
        assert self.leftovers(one) == []

    def test_many_threads(self, one: Store, source: Any) -> None:
        key, found = one.key_for(ID), []
        one.put(key, source(DATA))
        threads = [threading.Thread(target=lambda: found.append(b"".join(one.get(key)))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [DATA] * 8
        one.delete(key)

    def test_urls(self, one: Store) -> None:
        key = one.key_for(ID)
        url = one.url(key)
        assert url.partition("://")[0] in one.schemes
        assert one.key_of(url) == key
        for other in ("", "s3://x", url.replace(ID, ""), "file:///etc/passwd", url.replace("://", "://x", 1)):
            assert one.key_of(other) is None
        secrets = {one.settings.secret_key, one.settings.password} - {""}
        assert not any(secret in text for secret in secrets for text in (url, str(one.properties())))

    @pytest.mark.parametrize("after", [0, PART // 2, PART + PART // 2, LARGE])
    def test_a_put_that_is_killed(self, one: Store, tmp_path: Path, after: int) -> None:
        """There is the whole object or none, and deleting it leaves nothing behind."""
        key, data = one.key_for(ID), os.urandom(LARGE)
        file = self.elsewhere(tmp_path) / f"onestack-test-{os.getpid()}"
        try:
            file.write_bytes(data)
            order = pickle.dumps((*self.recipe(one), key, str(file)))
            with subprocess.Popen(
                [sys.executable, "-c", _PUT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            ) as process:
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(order)
                process.stdin.flush()
                assert process.stdout.readline() == b"ready\n"
                before = _read(process)
                process.stdin.close()
                while process.poll() is None and _read(process) < before + after:
                    time.sleep(0.0005)
                process.send_signal(signal.SIGKILL)
        finally:
            file.unlink(missing_ok=True)
        if one.exists(key):
            assert b"".join(one.get(key)) == data
        _until_deleted(one, key)
        assert not one.exists(key)
        for file in self.swept(one):
            file.unlink()
        assert self.leftovers(one) == []

    def swept(self, one: Store) -> list[Path]:
        """The files that the sweep at the start removes beside objects."""
        return []


def _read(process: subprocess.Popen[bytes]) -> int:
    """Bytes that the process has read so far, from files."""
    try:
        return int(Path(f"/proc/{process.pid}/io").read_text().split()[1])
    except (OSError, IndexError):
        return 1 << 62


def _until_deleted(one: Store, key: str) -> None:
    """As the collector does it: Ceph lets go of a dead client only after half a minute."""
    deadline = time.monotonic() + 90
    while True:
        try:
            one.delete(key)
            return
        except StoreError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)
