"""How Glance speaks: errors are WebOb's, HTML unless the client asks for JSON."""

from __future__ import annotations

import html
from typing import Any

import msgspec

from onestack.core.dialect import Dialect, Version, reason
from onestack.core.errors import BadRequest, Fault

_PAGE = (
    "<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n  <h1>{title}</h1>\n  {body}\n\n </body>\n</html>"
)


class ImageDialect(Dialect):
    def render_error(self, fault: Fault, request_id: str, version: Version, accept: str) -> tuple[bytes, str]:
        """`*/*` and no Accept mean HTML, as the real service has it; only a plain wish for JSON is JSON."""
        if fault.extra.get("no_token"):
            return super().render_error(fault, request_id, version, accept)
        message = fault.message
        if fault.kind == "PolicyNotAuthorized":
            message = f"You are not authorized to complete {fault.extra['rule']} action."
        if fault.extra.get("plain"):
            return message.encode(), "text/plain; charset=UTF-8"
        title = f"{fault.status} {reason(fault.status)}"
        body = html.escape(message, quote=False) + "<br /><br />\n\n"
        if "application/json" in accept and "text/html" not in accept:
            answer = {"message": body, "code": title, "title": reason(fault.status)}
            return msgspec.json.encode(answer), "application/json"
        return _PAGE.format(title=title, body=body).encode(), "text/html; charset=UTF-8"

    def invalid(self, path: str, message: str, value: Any = None) -> Fault:
        return BadRequest(f"Provided object does not match schema 'image': {path + ': ' if path else ''}{message}")

    def malformed(self) -> Fault:
        return BadRequest("Malformed JSON in request body.")
