"""noVNC's files, from Debian's package: the page that shows a graphical console in a browser."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import NamedTuple

# The package as installed, or its files as `onestack up` unpacks them.
FOLDERS = (Path("/usr/share/novnc"), Path("/opt/onestack/novnc/usr/share/novnc"))
PAGE = "vnc_lite.html"
ALIASES = {"": PAGE, "vnc_auto.html": PAGE}  # vnc_auto.html: the page's name in Nova's own default

_KINDS = {".js": "text/javascript", ".html": "text/html; charset=utf-8", ".svg": "image/svg+xml"}


class Page(NamedTuple):
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def page(method: str, path: str, folders: tuple[Path, ...] = FOLDERS) -> Page:
    """The answer to a request for one of the files."""
    if method not in ("GET", "HEAD"):
        return _page(405, b"Only GET is possible here.\n", "text/plain")
    root = next((folder.resolve() for folder in folders if folder.is_dir()), None)
    if root is None:
        return _page(503, b"noVNC is not installed on this machine. Run: onestack up\n", "text/plain")
    name = path.lstrip("/")
    file = _inside(root, ALIASES.get(name, name))
    if file is None:
        return _page(404, b"There is no such file.\n", "text/plain")
    kind = _KINDS.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return _page(200, file.read_bytes(), kind)


def _inside(root: Path, name: str) -> Path | None:
    """The file below `root`; None when there is none, or the name leads out of it."""
    if "\0" in name:
        return None
    try:
        file = (root / name).resolve()
        return file if file.is_relative_to(root) and file.is_file() else None
    except (OSError, RuntimeError):  # too long a name, a loop of links
        return None


def _page(status: int, body: bytes, kind: str) -> Page:
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),  # the page's address holds the token
    ]
    return Page(status, headers, body)
