"""Network devices of the host, by the kernel's own calls (tun(4), netdevice(7)): no library needs to stay in memory.

Each tap carries the server's id in its ifalias, so that it can be found when nothing else remembers it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import struct
from pathlib import Path

TUNSETIFF, TUNSETPERSIST = 0x400454CA, 0x400454CB
IFF_TAP, IFF_NO_PI, IFF_UP = 0x0002, 0x1000, 0x1
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFMTU = 0x8913, 0x8914, 0x8922

NET = Path("/sys/class/net")


def ensure(name: str, mtu: int, owner: str) -> None:
    """A persistent tap that is up; `owner` becomes its alias. Raises OSError."""
    if not (NET / name).exists():
        with _attached(name) as device:
            fcntl.ioctl(device, TUNSETPERSIST, 1)
    (NET / name / "ifalias").write_text(owner)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFMTU, struct.pack("16si12x", name.encode(), mtu))
        _set_up(control, name)


def remove(name: str) -> None:
    """Does nothing when there is none. A device that is in use or is no tap stays: that raises OSError."""
    if not (NET / name / "tun_flags").exists():
        return
    with _attached(name) as device:
        fcntl.ioctl(device, TUNSETPERSIST, 0)


def owned(owner: str) -> list[str]:
    """Names of the taps whose alias is `owner`."""
    return [path.parent.name for path in NET.glob("tap*/ifalias") if _read(path) == owner]


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:  # gone meanwhile
        return ""


def _set_up(control: socket.socket, name: str) -> None:
    request = struct.pack("16sh14x", name.encode(), 0)
    flags = struct.unpack("16sh14x", fcntl.ioctl(control, SIOCGIFFLAGS, request))[1]
    fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sH14x", name.encode(), (flags | IFF_UP) & 0xFFFF))


@contextlib.contextmanager
def _attached(name: str):  # type: ignore[no-untyped-def]
    """An open tun device that is the tap `name`, which is made if there is none."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        yield device
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise OSError(errno.EBUSY, f"{name} is used by another program") from error
        raise
    finally:
        os.close(device)
