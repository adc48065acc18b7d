"""How Glance speaks: its errors are WebOb's, in HTML, JSON or plain text, whichever the client likes best."""

from __future__ import annotations

import html
import re
import urllib.parse
from typing import Any

import msgspec

from onestack.core.dialect import Dialect, Version, reason
from onestack.core.errors import BadRequest, Fault, MethodNotAllowed
from onestack.core.routes import Route
from onestack.image import changes

_PAGE = "<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n  <h1>{title}</h1>\n  {body}\n </body>\n</html>"
HTML, JSON, PLAIN = "text/html", "application/json", "text/plain"
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETER = rf'{_WORD}(?:=(?:{_WORD}|"(?:[^"\\]|\\.)*"))?'
_RANGE = re.compile(
    rf"(?P<type>{_WORD})/(?P<subtype>{_WORD})(?P<parameters>(?:[ \t]*;[ \t]*(?![qQ]=){_PARAMETER})*)"
    rf"(?:[ \t]*;[ \t]*[qQ]=(?P<quality>0(?:\.\d{{0,3}})?|1(?:\.0{{0,3}})?)(?:[ \t]*;[ \t]*{_PARAMETER})*)?"
)
_COMMA = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')
_NAMESPACE = "/v2/metadefs/namespaces"
# What takes no body and wants JSON of one; what doesn't even look at it; everything else that takes none minds it.
_LENIENT = frozenset((
    ("GET", "/v2/images/{image_id}/locations"), ("GET", "/v2/info/usage"), ("GET", "/v2/tasks/{task_id}"),
    ("DELETE", "/v2/tasks/{task_id}"), ("DELETE", _NAMESPACE + "/{namespace}/properties"),
    ("DELETE", _NAMESPACE + "/{namespace}/objects"), ("DELETE", _NAMESPACE + "/{namespace}/tags"),
    ("DELETE", _NAMESPACE + "/{namespace}/properties/{property_name}"),
))  # fmt: skip
_INDIFFERENT = frozenset((
    ("GET", "/v2/images"), ("GET", "/v2/tasks"), ("GET", _NAMESPACE), ("GET", _NAMESPACE + "/{namespace}/objects"),
    ("GET", _NAMESPACE + "/{namespace}/properties/{property_name}"), ("GET", _NAMESPACE + "/{namespace}/tags"),
))  # fmt: skip
# What looks at its query (and, but for two, doesn't look at a body).
_WITH_QUERY = _INDIFFERENT | {("GET", "/v2/images/{image_id}/file"), ("GET", _NAMESPACE + "/{namespace}")}
_BREAK, _TAG = re.compile("<br.*?>", re.I), re.compile("<.*?>")


def preferred(accept: str, offers: tuple[str, ...] = (HTML, JSON)) -> str:
    """Which of the media types an Accept header likes best (RFC 9110, 12.5.1), plain text when it likes none. What
    can't be read is no wish at all."""
    quality: dict[str, tuple[int, float]] = {}
    for part in _COMMA.split(accept):
        if not part.strip():
            continue
        match = _RANGE.fullmatch(part.strip(" \t"))
        if match is None:
            return offers[0]
        wanted = f"{match['type']}/{match['subtype']}".lower()
        for offer in offers if not match["parameters"] else ():
            ranges = (offer, f"{offer.partition('/')[0]}/*", "*/*")
            if wanted in ranges and -ranges.index(wanted) > quality.get(offer, (-3, 0.0))[0]:
                quality[offer] = (-ranges.index(wanted), float(match["quality"] or 1))
    best = max(offers, key=lambda offer: quality.get(offer, (0, 0.0))[1])
    return best if quality.get(best, (0, 0.0))[1] else PLAIN


class ImageDialect(Dialect):
    token_first = True
    only_routes = True
    empty_is_null = no_scalars = True
    slashes_count = True
    silent_methods = frozenset(("/v2/images/{image_id}/tasks", "/v2/info/usage"))
    head_errors = "text/html; charset=UTF-8"
    unauthenticated = (
        "This server could not verify that you are authorized to access the document you requested. Either you "
        "supplied the wrong credentials (e.g., bad password), or your browser does not understand how to supply the "
        "credentials required."
    )
    internal = "The server has either erred or is incapable of performing the requested operation."

    def render_error(self, fault: Fault, request_id: str, version: Version, accept: str) -> tuple[bytes, str]:
        if fault.extra.get("plain"):
            return fault.message.encode(), "text/plain; charset=UTF-8"
        title = f"{fault.status} {reason(fault.status)}"
        kind = preferred(accept)
        if kind == JSON:
            answer = {"message": _body(fault, str), "code": title, "title": reason(fault.status)}
            return msgspec.json.encode(answer), JSON
        if kind == HTML:
            page = _PAGE.format(title=title, body=_body(fault, html.escape))
            return page.encode("ascii", "xmlcharrefreplace"), "text/html; charset=UTF-8"
        text = _BREAK.sub("\n", _body(fault, str).replace("\n", " ").replace("\r", ""))
        return f"{title}\n\n{_TAG.sub('', text)}".encode(), "text/plain; charset=UTF-8"

    def type_of_empty(self, path: str) -> str:
        """A member that is deleted is the only one without."""
        return "text/html; charset=UTF-8" if path.startswith("/v2/") and not path.endswith("/{member_id}") else ""

    def check(self, req: Any) -> None:
        """The kind of a body comes before what is in it, some requests may have none, and what is no text is none."""
        if "%" in req.falcon.query_string and _reads_query(req.route):
            _decode(req.falcon.query_string)
        if req.method == "PATCH" and req.route.body is not None:
            changes.draft_of(req.header("Content-Type"))
        elif _refuses_body(req.route) and _has_body(req):
            raise BadRequest("A body is not expected with this request.")

    def fault_headers(self, fault: Fault, request_id: str, version: Version) -> dict[str, str]:
        """Who has no valid token is sent away before there is a request."""
        return {} if fault.extra.get("no_token") else self.headers(request_id, version)

    def invalid(self, path: str, message: str, value: Any = None) -> Fault:
        return BadRequest(f"Provided object does not match schema 'image': {path + ': ' if path else ''}{message}")

    def malformed(self) -> Fault:
        return BadRequest("Malformed JSON in request body.")

    def without_body(self) -> Fault:
        return BadRequest("Body expected in request.")

    def reads_unwanted(self, template: str, method: str | None) -> bool:
        return template.startswith("/v2/") if method is None else (method, template) in _LENIENT

    def check_unwanted(self, raw: bytes) -> None:
        """Glance reads it before it looks who should get it."""
        try:
            value = msgspec.json.decode(raw) if raw else {}
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise self.malformed() from None
        if not isinstance(value, (dict, list)):
            raise self.not_object(value)

    def not_object(self, value: Any) -> Fault:
        return BadRequest("Unexpected body type. Expected list/dict.")

    def not_allowed(self, method: str) -> Fault:
        return MethodNotAllowed(f"The method {method} is not allowed for this resource. ")


def _reads_query(route: Route) -> bool:
    return not route.path.startswith("/v2") or (route.method, route.path) in _WITH_QUERY


def _decode(query: str) -> None:
    try:
        urllib.parse.unquote_to_bytes(query).decode()
    except UnicodeDecodeError:
        raise BadRequest(
            "Error decoding your request. Either the URL or the request body contained characters that could not be "
            "decoded by Glance"
        ) from None


def _refuses_body(route: Route) -> bool:
    takes = route.body is not None or (route.stream and route.method != "GET")
    known = (route.method, route.path)
    return not takes and route.path.startswith("/v2/") and known not in _INDIFFERENT and known not in _LENIENT


def _has_body(req: Any) -> bool:
    """A body whose length isn't told counts, where the method can have one."""
    chunked = req.header("Transfer-Encoding") is not None and req.method in ("POST", "PUT", "PATCH")
    return chunked or (req.falcon.content_length or 0) > 0


def _body(fault: Fault, escape: Any) -> str:
    message = fault.message
    if fault.kind == "PolicyNotAuthorized":
        message = f"You are not authorized to complete {fault.extra['rule']} action."
    if "bare" in fault.extra:
        return str(escape(message))
    end = "" if fault.status in (405, 415) else "\n\n"
    return f"{escape(message)}<br /><br />\n{escape(fault.extra.get('detail', ''))}{end}"
