"""From a route table to an ASGI application.

Falcon routes; what happens to a request is here, in one place for every service: request id, microversion, body
limits, JSON, token, policy, schema, handler, rendering, errors in the service's dialect, one log line.

Handlers are plain functions that run in a bounded pool of threads: `def show(req, project_id): ... return {...}`.
What they return: a dict, list or Struct (rendered as JSON with the route's status), None (no body), or a Response.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import falcon
import falcon.asgi
import msgspec
import sqlalchemy.exc

from onestack.core import json_body
from onestack.core.cloud import Cloud
from onestack.core.context import Context
from onestack.core.db import lost_race
from onestack.core.dialect import Dialect, Version
from onestack.core.errors import BadRequest, Fault, Forbidden, Unauthorized, Unavailable
from onestack.core.policy import Policy
from onestack.core.request import Request, Response
from onestack.core.routes import Route, also_there

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode
_SENT_PATH = "onestack.sent_path"  # in the scope: the path before a service rewrote it
_SERVICE_ROLE = "service"  # what a service token must have
_ATTEMPTS = 5  # of a handler that loses races against others in the database
_WITHOUT_TYPE = frozenset((204, 304))  # for these Falcon announces none
METHODS_WITH_BODY = frozenset(("POST", "PUT", "PATCH", "DELETE"))


class Service:
    """One API: a name, its dialect, its routes and rules. `app` is the ASGI application.

    The name is also the type in the catalog, by which access rules speak of it.
    """

    # Whether a user's token may have expired when a service token comes with it.
    accepts_late_tokens = True

    policy_type = Policy  # a service whose rules mean more than their texts has its own

    def __init__(
        self,
        cloud: Cloud,
        name: str,
        dialect: Dialect,
        routes: Iterable[Route],
        policies: dict[str, str],
        *,
        rewrite: Callable[[str], str] | None = None,
    ) -> None:
        self.cloud = cloud
        self.name = name
        self.dialect = dialect
        self.routes = list(routes)
        self.policy = self.policy_type(name, policies, cloud.settings.path("policy"))
        self.rewrite = rewrite  # path → path before routing, e.g. to take a project id out of it
        for route in self.routes:
            if route.policy is not None and route.policy not in policies:
                raise ValueError(f"{name}: {route.method} {route.path} names the unknown rule {route.policy}")

    def authenticate(self, token: str) -> Context | None:
        """Who a token is, None when it doesn't hold."""
        return self.cloud.authenticate(token)

    def challenge(self, request: falcon.asgi.Request, fault: Fault) -> dict[str, str]:
        """The headers of a 401: where tokens are to be had, for who had none."""
        if "no_token" not in fault.extra:
            return {}
        return {"WWW-Authenticate": f'Keystone uri="{self.cloud.settings.url("identity")}"'}

    def app(self, pool: ThreadPoolExecutor) -> Any:
        """The ASGI application; handlers run in `pool`."""
        return _application(self, pool)


def _application(service: Service, pool: ThreadPoolExecutor) -> Any:
    app: Any = falcon.asgi.App()
    app.req_options.strip_url_path_trailing_slash = not service.dialect.slashes_count
    table: dict[str, dict[str, list[Route]]] = {}
    for route in service.routes:
        table.setdefault(route.path, {}).setdefault(route.method, []).append(route)
    for path, methods in table.items():
        resource = _Resource()
        if not service.dialect.knows_methods:
            for method, routes, fixed in also_there(table, path):
                setattr(resource, f"on_{method.lower()}", _responder(service, routes, pool, fixed))
        for method, routes in methods.items():
            setattr(resource, f"on_{method.lower()}", _responder(service, routes, pool))
        if "GET" in methods and "HEAD" not in methods and not service.dialect.only_routes:
            resource.on_head = _responder(service, methods["GET"], pool)
        if service.dialect.options_type:
            resource.on_options = _options(service, methods.keys())
        app.add_route(path, resource)

    async def unknown(request: falcon.asgi.Request, response: falcon.asgi.Response, **_params: Any) -> None:
        await _serve(service, None, pool, request, response, {})

    async def failed(
        request: falcon.asgi.Request, response: falcon.asgi.Response, error: Exception, params: dict[str, Any]
    ) -> None:
        request_id, version = _request_id(service), (0, 0)
        if isinstance(error, falcon.HTTPMethodNotAllowed) and _as_if_nowhere(service, request, params):
            return await unknown(request, response)
        if isinstance(error, falcon.HTTPMethodNotAllowed):
            fault, version = await _not_allowed(service, pool, request, request_id, error)
        elif isinstance(error, falcon.HTTPError):
            fault = service.dialect.malformed()
        else:
            fault = _internal(service, error, request_id)
        _write_fault(service, request, response, fault, request_id, version)

    app.add_sink(unknown, "/")
    app.add_error_handler(Exception, failed)
    app.add_error_handler(falcon.HTTPError, failed)
    if service.rewrite is None:
        return app
    rewrite = service.rewrite

    async def rewritten(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            scope[_SENT_PATH] = scope["path"]
            scope["path"] = rewrite(scope["path"])
        await app(scope, receive, send)

    return rewritten


def _as_if_nowhere(service: Service, request: falcon.asgi.Request, params: dict[str, Any]) -> bool:
    """Whether a method that a path doesn't have is told of as a path that leads nowhere."""
    dialect = service.dialect
    return (
        not dialect.knows_methods or request.uri_template in dialect.silent_methods or _leads_nowhere(service, params)
    )


def _leads_nowhere(service: Service, params: dict[str, Any]) -> bool:
    return service.dialect.slashes_count and "" in params.values()


async def _not_allowed(
    service: Service,
    pool: ThreadPoolExecutor,
    request: falcon.asgi.Request,
    request_id: str,
    error: falcon.HTTPMethodNotAllowed,
) -> tuple[Fault, Version]:
    """What is said of a method that a path doesn't have, and at which version. Who has no token may not even be told
    that."""
    dialect = service.dialect
    req = Request(service, request, request_id, pool)
    try:
        await _early_body(service, req, alone=True)
        if dialect.token_first:
            await req.run(_authenticate, req)
        if dialect.versions_everywhere:
            req.version = dialect.version_at(request.path, request.headers)
        if dialect.reads_unwanted(request.uri_template or "", None):
            dialect.check_unwanted(await json_body.read(service.dialect, request))
    except Fault as refused:
        return refused, req.version
    fault = dialect.not_allowed(request.method)
    allowed = dict(error.headers or {}).get("Allow", "").split(", ")
    fault.headers["Allow"] = ", ".join(one for one in allowed if one != "OPTIONS" or not dialect.only_routes)
    return fault, req.version


class _Resource:
    """What Falcon wants: an object with a responder for each method."""

    on_head: Any
    on_options: Any


def _options(service: Service, methods: Iterable[str]) -> Any:
    """What a path that has these methods answers to OPTIONS."""
    allowed = ", ".join(sorted({*methods, "OPTIONS", *(("HEAD",) if "GET" in methods else ())}))

    async def respond(request: falcon.asgi.Request, response: falcon.asgi.Response, **_params: Any) -> None:
        response.content_type = service.dialect.options_type
        response.set_headers({**service.dialect.headers(_request_id(service), (0, 0)), "Allow": allowed})
        response.data = b""

    return respond


def _responder(
    service: Service, routes: list[Route], pool: ThreadPoolExecutor, fixed: Mapping[str, str] | None = None
) -> Any:
    """`fixed`: parameters that the path has as literals."""

    async def respond(request: falcon.asgi.Request, response: falcon.asgi.Response, **params: Any) -> None:
        found = None if _leads_nowhere(service, params) else routes
        await _serve(service, found, pool, request, response, {**(fixed or {}), **params})

    return respond


async def _serve(
    service: Service,
    routes: list[Route] | None,
    pool: ThreadPoolExecutor,
    request: falcon.asgi.Request,
    response: falcon.asgi.Response,
    params: dict[str, Any],
) -> None:
    started = time.perf_counter()
    req = Request(service, request, _request_id(service), pool)
    try:
        raw = await _early_body(service, req, alone=routes is None)
        route = req.route = await _route(service, routes, req)
        if route.stream:
            await req.run(_enter, req, route)
            _storable(req, params)
            result = await route.handler(req, **params)
            _check_authorized(req, route)
        else:
            if not raw and (_takes_body(req, route) or service.dialect.reads_unwanted(route.path, req.method)):
                raw = await json_body.read(service.dialect, request)
            result = await asyncio.get_running_loop().run_in_executor(pool, _call, req, route, raw, params)
        response.set_headers(service.dialect.headers(req.id, req.version))
        _write(service, response, result, route)
    except Exception as error:
        _write_fault(service, request, response, _to_fault(service, error, req.id), req.id, req.version)
    _log(service, req, response, time.perf_counter() - started)


def _takes_body(req: Request, route: Route) -> bool:
    return route.body is not None and req.method in METHODS_WITH_BODY


def _request_id(service: Service) -> str:
    return "req-" + service.cloud.ids.uuid()


async def _route(service: Service, routes: list[Route] | None, req: Request) -> Route:
    try:
        return _choose(service, routes, req)
    except Fault:
        if service.dialect.token_first and not any(route.public for route in routes or ()):
            await req.run(_authenticate, req)
        raise


def _choose(service: Service, routes: list[Route] | None, req: Request) -> Route:
    dialect, path = service.dialect, req.falcon.path
    if routes is None and dialect.token_first and not dialect.versions_everywhere:
        raise dialect.nowhere(path)
    req.version = dialect.version_at(path, req.falcon.headers)
    if routes is None:
        raise dialect.nowhere(path)
    for route in routes:
        if route.serves(req.version):
            return route
    raise dialect.not_found(path)


async def _early_body(service: Service, req: Request, *, alone: bool) -> bytes:
    """What was sent, where that is looked at first of all; `alone`: nobody else will. Raises a Fault."""
    request = req.falcon
    if not service.dialect.body_first or not (request.content_length or request.get_header("Transfer-Encoding")):
        return b""
    raw = await json_body.read(service.dialect, request)
    if alone:
        await req.run(json_body.parse, service.dialect, dict, raw)
    return raw


def _enter(req: Request, route: Route) -> None:
    """Token and, where the route allows it before the object is known, policy."""
    _authenticate(req, route.public)
    for key, value in req.query:
        if "\x00" in key or "\x00" in value:
            raise BadRequest("The query string must not contain NUL characters.")
    req.service.dialect.check(req)
    if route.policy is not None and route.target == "caller" and not route.public:
        req.authorize()


def _authenticate(req: Request, public: bool = False) -> None:
    token = req.falcon.get_header("X-Auth-Token")
    if token:
        service_token = req.falcon.get_header("X-Service-Token")
        req._ctx = _caller_of_service(req, token, service_token) if service_token else _caller(req, token)
    if req._ctx is None:
        if not public:
            raise Unauthorized(req.service.dialect.unauthenticated, extra={"no_token": True})
    else:
        req._ctx = msgspec.structs.replace(req._ctx, request_id=req.id, remote=req.falcon.remote_addr or "")


def _caller(req: Request, token: str) -> Context | None:
    """Whose token it is; None also when its access rules don't allow this request, as the auth middleware has it."""
    ctx = req.service.authenticate(token)
    if ctx is None or ctx.access_rules is None:
        return ctx
    falcon = req.falcon
    paths = {falcon.path, falcon.scope.get(_SENT_PATH, falcon.path)}
    return ctx if ctx.access_rules.allow(req.service.name, req.method, paths) else None


def _caller_of_service(req: Request, token: str, service_token: str) -> Context | None:
    """Whose token it is that a service hands on to finish what a user began: it may have expired since, and its access
    rules were looked at where the user asked. None when the service's own token isn't one of a service."""
    cloud = req.cloud
    caller = cloud.authenticate(service_token.strip())
    if caller is None or _SERVICE_ROLE not in caller.roles:
        return None
    ctx = cloud.authenticate_late(token) if req.service.accepts_late_tokens else req.service.authenticate(token)
    return ctx if ctx is None else msgspec.structs.replace(ctx, service=caller)


def _call(req: Request, route: Route, raw: bytes, params: dict[str, Any]) -> Response:
    """What a handler's thread does: everything that may block, up to the rendered bytes."""
    for attempt in range(_ATTEMPTS):
        try:
            return _call_once(req, route, raw, params)
        except sqlalchemy.exc.DBAPIError as error:
            # Its transaction was taken back. The next time it sees what the other one did, and says so: 409, 404 …
            if not lost_race(error) or attempt == _ATTEMPTS - 1:
                raise
            req._authorized = False
            time.sleep(random.uniform(0, 0.02) * attempt)
    raise AssertionError


def _call_once(req: Request, route: Route, raw: bytes, params: dict[str, Any]) -> Response:
    dialect = req.service.dialect
    if raw and dialect.body_first:
        req.body = json_body.parse(dialect, dict, raw)
    _enter(req, route)
    _storable(req, params)
    if not _takes_body(req, route):
        if raw:
            dialect.check_unwanted(raw)
    elif req.body is None or route.body is not dict:
        req.body = json_body.parse(dialect, route.body, raw)
    result = route.handler(req, **params)
    _check_authorized(req, route)
    if isinstance(result, Response):
        if result.body is not None and not isinstance(result.body, bytes):
            result.body = _encode(result.body)
        return result
    return Response(None if result is None else _encode(result))


def _storable(req: Request, params: dict[str, Any]) -> None:
    """Nothing has an id that no column can hold."""
    if "\x00" in "".join(str(value) for value in params.values()):
        raise req.service.dialect.not_found(req.falcon.path)


def _check_authorized(req: Request, route: Route) -> None:
    if route.policy is not None and route.target != "caller" and not req._authorized:
        raise Forbidden("No policy rule was checked for this request, so it is denied.")


def _write(service: Service, response: falcon.asgi.Response, result: Any, route: Route) -> None:
    if not isinstance(result, Response):
        result = Response(None if result is None else _encode(result))
    response.status = result.status or route.status
    if result.content_type:
        response.content_type = result.content_type
    response.set_headers(result.headers)
    if result.stream is not None:
        response.stream = result.stream
    elif result.body is not None:
        response.data = result.body if isinstance(result.body, bytes) else _encode(result.body)
    elif not result.content_type:
        empty = service.dialect.type_of_empty(route.path)
        if empty or response.status not in _WITHOUT_TYPE:
            response.content_type = empty  # Falcon would announce JSON


def _write_fault(
    service: Service,
    request: falcon.asgi.Request,
    response: falcon.asgi.Response,
    fault: Fault,
    request_id: str,
    version: Version,
) -> None:
    accept = request.get_header("Accept") or ""
    body, content_type = service.dialect.render_error(fault, request_id, version, accept)
    response.status = fault.status
    response.content_type = content_type
    response.set_headers(service.dialect.fault_headers(fault, request_id, version))
    response.set_headers(fault.headers)
    if fault.status == 401:
        response.set_headers(service.challenge(request, fault))
    response.stream = None
    response.data = body
    if request.method == "HEAD" and service.dialect.head_errors:
        response.content_type, response.data = service.dialect.head_errors, b""


def _to_fault(service: Service, error: Exception, request_id: str) -> Fault:
    if isinstance(error, Fault):
        return error
    if isinstance(error, falcon.HTTPError):
        return service.dialect.malformed()  # e.g. a Content-Length that is no number
    if lost_race(error) or (isinstance(error, sqlalchemy.exc.OperationalError) and "locked" in str(error)):
        return Unavailable("The database is busy. Try again.", headers={"Retry-After": "1"})
    if isinstance(error, sqlalchemy.exc.OperationalError) and "full" in str(error):
        return Unavailable("The disk that holds the database is full. Free some space, then try again.")
    if isinstance(error, sqlalchemy.exc.DBAPIError) and error.connection_invalidated:
        log.error("%s %s: the connection to the database was lost", service.name, request_id)
        return Unavailable("The database cannot be reached. Try again.", headers={"Retry-After": "1"})
    return _internal(service, error, request_id)


def _internal(service: Service, error: Exception, request_id: str) -> Fault:
    log.error("%s %s failed", service.name, request_id, exc_info=error)
    return Fault(service.dialect.internal, status=500)


def _log(service: Service, req: Request, response: falcon.asgi.Response, elapsed: float) -> None:
    level = logging.DEBUG if service.dialect.quiet else logging.INFO
    if log.isEnabledFor(level):
        ctx = req.ctx_or_none
        log.log(
            level,
            "%s %s %s %s %s %.1f ms user=%s project=%s",
            service.name, req.id, req.method, req.falcon.path, response.status, elapsed * 1000,
            ctx.user_id if ctx else "-", (ctx.project_id if ctx else None) or "-",
        )  # fmt: skip
