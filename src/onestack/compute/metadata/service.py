"""Port 8775: the metadata API as Neutron's metadata proxies use it.

A proxy says for whom it asks (X-Instance-ID, X-Tenant-ID), and proves that it may by signing the id with the secret
that both hold. Source: Nova's administration guide, "Metadata service", and what Nova answers.
"""

from __future__ import annotations

import hashlib
import hmac

from onestack.compute.metadata import answers, lookup, passwords
from onestack.compute.metadata.facts import Facts, load
from onestack.core import secret
from onestack.core.cloud import Cloud
from onestack.core.dialect import Dialect, Version
from onestack.core.errors import BadRequest, Conflict, Fault, Forbidden, NotFound
from onestack.core.http import Request, Response, Service
from onestack.core.routes import Route


class MetadataDialect(Dialect):
    def headers(self, request_id: str, version: Version) -> dict[str, str]:
        return {}

    def render_error(self, fault: Fault, request_id: str, version: Version, accept: str) -> tuple[bytes, str]:
        return answers.refusal_body(fault.status, fault.message, accept)

    def not_found(self, path: str) -> Fault:
        return NotFound(answers.NOT_FOUND)


def build(cloud: Cloud) -> Service:
    routes = [
        Route("GET", "/", index, public=True),
        Route("GET", "/{path:path}", show, public=True),
        Route("POST", "/{path:path}", post, public=True, stream=True),
    ]
    return Service(cloud, "metadata", MetadataDialect(), routes, {})


def index(_req: Request) -> Response:
    """The list of versions is nobody's secret."""
    document = lookup.root()
    return Response(document.content, content_type=document.content_type)


def show(req: Request, path: str) -> Response:
    return answers.answer(_asked_for(req), path, req.header("Accept") or "")


async def post(req: Request, path: str) -> Response:
    """A guest says its encrypted password, once. Anything else that is posted is read."""
    if not lookup.is_password(path):
        response: Response = await req.run(show, req, path)
        return response
    chunks, size = [], 0
    async for chunk in req.stream:
        size += len(chunk)
        if size > passwords.LARGEST:
            raise BadRequest("Request is too large.")
        chunks.append(chunk)
    stored: Response = await req.run(_store_password, req, b"".join(chunks))
    return stored


def _store_password(req: Request, password: bytes) -> Response:
    try:
        text = password.decode()
    except UnicodeDecodeError:
        raise BadRequest("The password must be text.") from None
    facts = _asked_for(req)
    with req.cloud.db.write() as session:
        if passwords.stored(session, facts.id):
            raise Conflict("There was a conflict when trying to complete your request.")
        if text:
            passwords.store(session, facts.id, text)
    return Response(b"", content_type="text/html; charset=UTF-8")


def _asked_for(req: Request) -> Facts:
    """The server that the proxy's headers name. Raises BadRequest, Forbidden, NotFound."""
    instance, signature = req.header("X-Instance-ID"), req.header("X-Instance-ID-Signature")
    tenant = req.header("X-Tenant-ID")
    if instance is None:
        raise BadRequest("X-Instance-ID header is missing from request.")
    if signature is None:
        raise BadRequest("X-Instance-ID-Signature header is missing from request.")
    if tenant is None:
        raise BadRequest("X-Tenant-ID header is missing from request.")
    expected = hmac.new(shared_secret(req.cloud), instance.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise Forbidden("Invalid proxy request signature.")
    with req.cloud.db.read() as session:
        facts = load(session, instance)
    if facts is None or facts.project_id != tenant:
        raise NotFound(answers.NOT_FOUND)
    return facts


def shared_secret(cloud: Cloud) -> bytes:
    """The secret that is shared with the proxies, in secrets/metadata-secret."""
    return secret.ensure(cloud.settings, "metadata-secret").encode()
