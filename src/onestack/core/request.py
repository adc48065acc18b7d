"""A request as handlers see it, and an answer that needs more than a body."""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import falcon
import falcon.asgi

from onestack.core import json_body
from onestack.core.context import Context
from onestack.core.dialect import Version
from onestack.core.errors import Forbidden, Unauthorized
from onestack.core.policy import Target
from onestack.core.routes import Route
from onestack.core.words import truth

if TYPE_CHECKING:
    from onestack.core.http import Service


class Response:
    """An answer that needs more than a body: another status, headers, raw bytes or a stream."""

    __slots__ = ("body", "content_type", "headers", "status", "stream")

    def __init__(
        self,
        body: Any = None,
        status: int | None = None,
        headers: dict[str, str] | None = None,
        *,
        content_type: str | None = None,
        stream: AsyncIterator[bytes] | None = None,
    ) -> None:
        self.body = body  # JSON-able, or bytes that go as they are
        self.status = status  # None: the route's
        self.headers = headers or {}
        self.content_type = content_type
        self.stream = stream


class Request:
    """One request, as handlers see it."""

    __slots__ = (
        "_authorized", "_ctx", "_pool", "body", "cloud", "falcon", "id", "policy", "query", "route", "service",
        "version",
    )  # fmt: skip

    def __init__(
        self, service: Service, request: falcon.asgi.Request, request_id: str, pool: ThreadPoolExecutor
    ) -> None:
        self.service = service
        self.cloud = service.cloud
        self.policy = service.policy
        self.falcon = request
        self.id = request_id
        self.query: list[tuple[str, str]] = urllib.parse.parse_qsl(request.query_string, keep_blank_values=True)
        self.body: Any = None
        self.version: Version = (0, 0)
        self.route: Route
        self._ctx: Context | None = None
        self._authorized = False
        self._pool = pool

    @property
    def ctx(self) -> Context:
        """Who asks. Only public routes have nobody."""
        if self._ctx is None:
            raise Unauthorized(self.service.dialect.unauthenticated)
        return self._ctx

    @property
    def ctx_or_none(self) -> Context | None:
        return self._ctx

    @property
    def stream(self) -> Any:
        """The body of a stream route: `await req.stream.read(n)`, or iterate over its chunks."""
        return self.falcon.stream

    @property
    def method(self) -> str:
        return str(self.falcon.method)

    def header(self, name: str, default: str | None = None) -> str | None:
        value = self.falcon.get_header(name)
        return default if value is None else value

    @property
    def base_url(self) -> str:
        """Scheme, host and port as the client spelled them, no trailing slash. Links are made from it."""
        return f"{self.falcon.scheme}://{self.falcon.netloc}"

    def get(self, name: str, default: str | None = None) -> str | None:
        """The value of a query parameter that counts."""
        value = default
        for key, text in self.query:
            if key == name:
                value = text
                if self.service.dialect.first_counts:
                    break
        return value

    def get_all(self, name: str) -> list[str]:
        return [text for key, text in self.query if key == name]

    def get_int(self, name: str, default: int | None = None, *, minimum: int = 0) -> int | None:
        """A whole number from the query. Raises BadRequest."""
        text = self.get(name)
        if text is None:
            return default
        try:
            value = int(text)
        except ValueError:
            raise self.service.dialect.invalid(name, f"'{text}' is not an integer.", text) from None
        if not minimum <= value < json_body.INT64:
            raise self.service.dialect.invalid(name, f"{text} must be at least {minimum}.", text)
        return value

    def get_bool(self, name: str, default: bool | None = None) -> bool | None:
        """A truth value from the query, as OpenStack's services spell it. Raises BadRequest."""
        text = self.get(name)
        if text is None:
            return default
        value = truth(text)
        if value is None:
            raise self.service.dialect.invalid(name, f"'{text}' is not a boolean.", text)
        return value

    def allows(self, rule: str, target: Target | None = None) -> bool:
        """Whether the caller may do `rule`; by default to something of their own."""
        return self.policy.allows(rule, self.ctx, target if target is not None else self._own())

    def authorize(self, target: Target | None = None, rule: str | None = None) -> None:
        """Refuse (403) unless the route's rule, or the one named, allows the caller to touch `target`."""
        name = rule or self.route.policy
        if name is None:
            raise Forbidden("No policy rule allows this.")
        self.policy.authorize(name, self.ctx, target if target is not None else self._own())
        self._authorized = True

    async def json(self, schema: Any) -> Any:
        """The body of a stream route, read and decoded under the same rules as any other route's."""
        return json_body.parse(self.service.dialect, schema, await json_body.read(self.service.dialect, self.falcon))

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call blocking code from a stream handler, in the handlers' pool."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)

    def _own(self) -> Target:
        ctx = self.ctx
        return {
            "project_id": ctx.project_id,
            "tenant_id": ctx.project_id,
            "user_id": ctx.user_id,
            "domain_id": ctx.domain_id,
        }
