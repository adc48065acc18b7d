"""A small client of the cloud's own APIs, over urllib: what `up`, `boot` and `status` need and no more."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from onestack.cli.problems import Problem
from onestack.config import Settings

PREFIXES = {"identity": "/v3", "image": "/v2", "compute": "/v2.1", "network": "/v2.0", "placement": ""}
BLOCK = 1 << 20


class ApiError(Problem):
    """An API refused; `status` is its code (0: nobody answered) and `detail` its own words."""

    def __init__(self, status: int, what: str, detail: str) -> None:
        super().__init__(f"{what}: {status or 'no answer'}: {detail}")
        self.status, self.detail = status, detail


def base_url(settings: Settings, service: str) -> str:
    """Where this machine reaches a service; the public name need not resolve here."""
    host = settings.bind
    if host in ("0.0.0.0", "::", ""):  # noqa: S104
        host = "127.0.0.1"
    return f"http://[{host}]:{settings.port(service)}" if ":" in host else f"http://{host}:{settings.port(service)}"


class Api:
    """One user in one project. Fetches a token when it first needs one."""

    def __init__(self, settings: Settings, user: str, password: str, project: str) -> None:
        self.settings, self.user, self.password, self.project = settings, user, password, project
        self.token = ""
        # Never through a proxy: these are our own ports.
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def authenticate(self) -> None:
        domain = {"id": "default"}
        identity = {
            "methods": ["password"],
            "password": {"user": {"name": self.user, "domain": domain, "password": self.password}},
        }
        scope = {"project": {"name": self.project, "domain": domain}}
        body = {"auth": {"identity": identity, "scope": scope}}
        _, headers, _ = self.send("identity", "POST", "/auth/tokens", body)
        self.token = headers["X-Subject-Token"]

    def send(self, service: str, method: str, path: str, body: Any = None) -> tuple[int, Any, Any]:
        """(status, headers, decoded body). Raises ApiError on 4xx, 5xx and when nobody answers."""
        url = base_url(self.settings, service) + PREFIXES[service] + path
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self.token:
            headers["X-Auth-Token"] = self.token
        if service == "compute":
            headers["OpenStack-API-Version"] = "compute 2.60"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 - our own http URL
        try:
            with self.opener.open(request, timeout=60) as answer:
                text = answer.read()
                return answer.status, answer.headers, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            raise ApiError(error.code, f"{method} {url}", detail(error.read())) from error
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(0, f"{method} {url}", str(getattr(error, "reason", error))) from error

    def call(self, service: str, method: str, path: str, body: Any = None) -> Any:
        """The decoded body. Raises ApiError."""
        if not self.token:
            self.authenticate()
        return self.send(service, method, path, body)[2]

    def get(self, service: str, path: str) -> Any:
        return self.call(service, "GET", path)

    def post(self, service: str, path: str, body: Any) -> Any:
        return self.call(service, "POST", path, body)

    def upload(self, image_id: str, file: Path, progress: Callable[[float], None]) -> None:
        """Stream an image's data. Raises ApiError."""
        size, sent = file.stat().st_size, 0
        url = base_url(self.settings, "image").removeprefix("http://")
        connection = http.client.HTTPConnection(url, timeout=120)
        what = f"uploading {file.name}"
        try:
            connection.putrequest("PUT", f"/v2/images/{image_id}/file")
            connection.putheader("X-Auth-Token", self.token)
            connection.putheader("Content-Type", "application/octet-stream")
            connection.putheader("Content-Length", str(size))
            connection.endheaders()
            with file.open("rb") as data:
                while block := data.read(BLOCK):
                    connection.send(block)
                    sent += len(block)
                    progress(sent / size)
            answer = connection.getresponse()
            words = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(0, what, str(error)) from error
        finally:
            connection.close()
        if answer.status >= 300:
            raise ApiError(answer.status, what, detail(words))


def detail(body: bytes) -> str:
    """The message in an error body of any of the services."""
    try:
        value = json.loads(body)
    except ValueError:
        return body.decode(errors="replace").strip()[:300]
    for inner in value.values() if isinstance(value, dict) else []:
        if isinstance(inner, dict) and "message" in inner:
            return str(inner["message"])
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            return str(inner[0].get("detail") or inner[0])
    return str(value)[:300]


def answers(settings: Settings, service: str, timeout: float = 2.0) -> str:
    """Empty when a service answers on its port, else why not. 300 is an answer: a list of versions."""
    connection = http.client.HTTPConnection(base_url(settings, service).removeprefix("http://"), timeout=timeout)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        words = detail(answer.read(4096)) if answer.status >= 500 else ""
    except (OSError, http.client.HTTPException) as error:
        return str(getattr(error, "strerror", "") or error)
    finally:
        connection.close()
    return f"answers with {answer.status}: {words}" if answer.status >= 500 else ""
