"""Answers of the metadata service, the same for the agents' guests and for the proxies of port 8775.

Errors look as Nova's: a small page, JSON or text, as the client's Accept asks.
"""

from __future__ import annotations

import html
import os

import msgspec

from onestack.compute.metadata import lookup
from onestack.compute.metadata.facts import Facts
from onestack.compute.metadata.openstack import SEED_BYTES
from onestack.core.dialect import reason
from onestack.core.http import Response

NOT_FOUND = "The resource could not be found."


def answer(facts: Facts, path: str, accept: str) -> Response:
    """What a guest gets for a GET of `path`."""
    document = lookup.lookup(facts, path, os.urandom(SEED_BYTES))
    if document is None:
        return refusal(404, NOT_FOUND, accept)
    return Response(document.content, 200, content_type=document.content_type)


def refusal(status: int, explanation: str, accept: str) -> Response:
    body, content_type = refusal_body(status, explanation, accept)
    return Response(body, status, content_type=content_type)


def refusal_body(status: int, explanation: str, accept: str) -> tuple[bytes, str]:
    title = f"{status} {reason(status)}"
    if "text/html" in accept or "*/*" in accept:
        text = html.escape(explanation)
        page = f"<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n  <h1>{title}</h1>\n  {text}"
        return f"{page}<br /><br />\n\n\n\n </body>\n</html>".encode(), "text/html; charset=UTF-8"
    if "application/json" in accept:
        return msgspec.json.encode({"message": explanation, "code": title, "title": reason(status)}), "application/json"
    return f"{title}\n\n{explanation}\n\n   ".encode(), "text/plain; charset=UTF-8"
