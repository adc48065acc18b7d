"""How the C library keeps memory that was freed (mallopt(3); glibc only, elsewhere nothing happens).

Large blocks go back to the system at once: 19 MiB for each thread that ever compared a password would stay otherwise.
Smaller ones are kept up to a limit: to give the 256 KiB that a socket is read in back and fetch them anew costs more
than to receive what is in them.
"""

from __future__ import annotations

import contextlib
import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE = 4 << 20  # bytes
_KEPT = 16 << 20  # bytes at the end of each arena


def tune() -> None:
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT)
