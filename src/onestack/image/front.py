"""What is answered or changed of a request before there is an API: Glance's pipeline (glance-api-paste.ini).

The health check is that of oslo.middleware; its answers say nothing of the cloud. The version of the API is named by
the path, or by the Accept header in its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from onestack.image.api.info import MINORS
from onestack.image.dialect import HTML, JSON, PLAIN, preferred

_MEDIA = b"application/vnd.openstack.images-"
_MINOR = re.compile(rf"^/v(1\.[01]|2\.(?:{'|'.join(map(str, MINORS))}))(?=/|$)")
_VERSION = re.compile(r"v[0-9.]+")
_SLASHES = re.compile("//+")
_HEALTHY: dict[str, tuple[str, bytes]] = {
    PLAIN: ("text/plain; charset=UTF-8", b"OK"),
    HTML: (
        "text/html; charset=UTF-8",
        b"<HTML>\n<HEAD><TITLE>Healthcheck Status</TITLE></HEAD>\n<BODY>\n\n<H2>Result of 1 checks:</H2>\n"
        b'<TABLE bgcolor="#ffffff" border="1">\n<TBODY>\n<TR>\n\n<TH>\nReason\n</TH>\n</TR>\n<TR>\n\n    <TD>OK</TD>\n'
        b"\n</TR>\n</TBODY>\n</TABLE>\n<HR></HR>\n\n</BODY>\n</HTML>",
    ),
    JSON: ("application/json", b'{\n    "detailed": false,\n    "reasons": [\n        "OK"\n    ]\n}'),
}


@dataclass(frozen=True)
class Answer:
    """An answer that needs neither a token nor a route."""

    status: int
    content_type: str = ""
    body: bytes = b""

    async def send(self, send: Any) -> None:
        headers = [(b"content-type", self.content_type.encode())] if self.content_type else []
        if self.status != 204:
            headers.append((b"content-length", str(len(self.body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


def answer(scope: Any) -> Answer | None:
    """The health check, whatever the method; and OPTIONS, which every path allows that Glance knows or doesn't."""
    path = _SLASHES.sub("/", scope["path"])
    if _begins(path, "healthcheck"):
        return _health(scope)
    if scope["method"] == "OPTIONS":
        if not _begins(path, "versions"):
            return Answer(200)
        scope["method"] = "GET"  # the list of versions is the answer to anything
    return None


def _begins(path: str, first: str) -> bool:
    return path.split("/", 2)[1:2] == [first]


def _health(scope: Any) -> Answer:
    if scope["method"] == "HEAD":
        return Answer(204)
    accept = next((value for name, value in scope["headers"] if name == b"accept"), b"").decode("latin-1")
    return Answer(200, *_HEALTHY[preferred(accept, (PLAIN, HTML, JSON))])


def versioned(scope: Any) -> None:
    """A client may name the version in its Accept header; then the path has none."""
    path = _SLASHES.sub("/", scope["path"])
    for name, value in scope["headers"]:
        if name == b"accept" and value.startswith(_MEDIA) and not _begins(path, "versions"):
            version = value[len(_MEDIA) :].decode("latin-1")
            scope["path"] = f"/{version if _VERSION.fullmatch(version) else '-'}{scope['path']}"
            return


def rewrite(path: str) -> str:
    """A minor version in the path is as good as none. In v1 a slash at the end is, too, but for that of no image."""
    path = _MINOR.sub(lambda match: f"/v{match[1][0]}", path)
    if path.startswith("/v2") or path in ("/", "/v1/images/") or not path.endswith("/"):
        return path
    return path[:-1]


def negotiate(path: str) -> str:
    """Slashes side by side are one. A path that begins with no version that we have leads to the choice of versions."""
    path = rewrite(_SLASHES.sub("/", path))
    first = path.split("/", 2)[1:2]
    if first == ["versions"]:
        return "/versions"
    return path if first in (["v1"], ["v2"]) else "/"
