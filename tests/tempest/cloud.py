"""The cloud under test, as its admin sees it. Standard library only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple
from urllib import error, request


class Cloud:
    """The cloud's APIs as its admin. `find` gives the endpoint of a service type; HTTP errors are answers."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.identity = environment["OS_AUTH_URL"]
        self.root = self.identity.rstrip("/").removesuffix("/v3")
        scope = {"name": environment["OS_PROJECT_NAME"], "domain": {"id": "default"}}
        user = {
            "name": environment["OS_USERNAME"], "domain": {"id": "default"}, "password": environment["OS_PASSWORD"],
        }  # fmt: skip
        body = {"auth": {
            "identity": {"methods": ["password"], "password": {"user": user}}, "scope": {"project": scope},
        }}  # fmt: skip
        self.token = ""
        answer = self.call("POST", f"{self.identity}/auth/tokens", body)
        if answer.status != 201:
            raise SystemExit(f"no token from {self.identity}: {answer.body[:200]!r}")
        self.token = answer.headers["X-Subject-Token"]
        self.catalog = {
            service["type"]: endpoint["url"]
            for service in json.loads(answer.body)["token"]["catalog"]
            for endpoint in service["endpoints"]
            if endpoint["interface"] == "public"
        }

    def call(self, method: str, url: str, body: Any = None, data: bytes | None = None) -> Answer:
        headers = {"Content-Type": "application/octet-stream" if data is not None else "application/json"}
        if self.token:
            headers["X-Auth-Token"] = self.token
        if body is not None:
            data = json.dumps(body).encode()
        asked = request.Request(url, data=data, headers=headers, method=method)
        try:
            with request.urlopen(asked, timeout=60) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except error.HTTPError as answer:
            return Answer(answer.code, answer.headers, answer.read())

    def get(self, service: str, path: str) -> Any:
        return self._read(self.catalog[service] + path)

    def find(self, path: str) -> Any:
        """What identity says at a path below /v3."""
        return self._read(f"{self.identity}/{path}")

    def _read(self, url: str) -> Any:
        answer = self.call("GET", url)
        if answer.status != 200:
            raise SystemExit(f"GET {url}: {answer.status} {answer.body[:200]!r}")
        return json.loads(answer.body)


class Answer(NamedTuple):
    status: int
    headers: Any
    body: bytes


def environment(state: Path) -> dict[str, str]:
    """The `export` lines of the admin's openrc file."""
    try:
        lines = (state / "openrc-admin").read_text().splitlines()
    except OSError as problem:
        raise SystemExit(f"no cloud in {state}: {problem}. Fix: ./onestack --state {state} up") from None
    pairs = (line.removeprefix("export ").partition("=") for line in lines if line.startswith("export "))
    return {name: value.strip("'\"") for name, _, value in pairs}
