"""A keep-alive client of an OpenStack cloud for benchmarks: the standard library only, one connection per service."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import time
import urllib.parse
from pathlib import Path
from typing import Any


class Cloud:
    """Logs in with the OS_* environment and finds endpoints in the catalog."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        self.environment = dict(environment or os.environ)
        self._connections: dict[str, http.client.HTTPConnection] = {}
        self.token = ""
        self.catalog: dict[str, str] = {}
        self.project_id = ""
        self.login()

    def login(self) -> None:
        env = self.environment
        user = {
            "name": env["OS_USERNAME"],
            "password": env["OS_PASSWORD"],
            "domain": {"name": env.get("OS_USER_DOMAIN_NAME", "Default")},
        }
        project = {
            "name": env["OS_PROJECT_NAME"],
            "domain": {"name": env.get("OS_PROJECT_DOMAIN_NAME", "Default")},
        }
        self.password_body = {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": project},
            }
        }
        self.identity = env["OS_AUTH_URL"].rstrip("/").removesuffix("/v3") + "/v3"
        status, headers, body = self.raw("POST", f"{self.identity}/auth/tokens", self.password_body, token=False)
        if status != 201:
            raise SystemExit(f"login failed: {status} {body!r}")
        self.token = headers["x-subject-token"]
        data = json.loads(body)["token"]
        self.project_id = data["project"]["id"]
        for service in data["catalog"]:
            for endpoint in service["endpoints"]:
                if endpoint["interface"] == "public":
                    self.catalog[service["type"]] = endpoint["url"].rstrip("/")

    def raw(
        self, method: str, url: str, body: Any = None, *, token: bool = True, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        parts = urllib.parse.urlsplit(url)
        connection = self._connections.get(parts.netloc)
        if connection is None:
            connection = self._connections[parts.netloc] = http.client.HTTPConnection(parts.netloc, timeout=600)
        sent = {"Content-Type": "application/json", **(headers or {})}
        if token:
            sent["X-Auth-Token"] = self.token
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, target, data, sent)
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, {key.lower(): value for key, value in answer.getheaders()}, content

    def call(self, method: str, service: str, path: str, body: Any = None, **headers: str) -> Any:
        """A call that must succeed; the decoded answer."""
        base = self.identity if service == "identity" else self.catalog[service]
        if service == "network" and not base.endswith("/v2.0"):
            base += "/v2.0"
        if service == "image" and not base.endswith("/v2"):
            base += "/v2"
        status, _, content = self.raw(method, base + path, body, headers=headers)
        if status >= 400:
            raise RuntimeError(f"{method} {service} {path}: {status} {content[:400]!r}")
        return json.loads(content) if content else None


def median_ms(function: Any, count: int = 300, warm: int = 20) -> dict[str, float]:
    """Median and 99th percentile of `function()` in milliseconds, one after another on a warm connection."""
    for _ in range(warm):
        function()
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        function()
        times.append((time.perf_counter() - begin) * 1000)
    times.sort()
    return {"p50": round(times[len(times) // 2], 2), "p99": round(times[int(len(times) * 0.99)], 2)}


def cpu_ms(pids: list[int]) -> float:
    """CPU time that processes have used so far, their threads together, in milliseconds."""
    total = 0
    for pid in pids:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            # A thread may end while it is looked at; what it used is then missing, which is little.
            with contextlib.suppress(OSError):
                total += int((thread / "schedstat").read_text().split()[0])
    return total / 1e6


def memory(pids: dict[str, int]) -> dict[str, dict[str, float]]:
    """RSS and PSS in MB of processes by name."""
    found = {}
    for name, pid in pids.items():
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        values = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()[1:] if line.split()[1:]}
        found[name] = {"rss": round(values["Rss"] / 1024, 1), "pss": round(values["Pss"] / 1024, 1)}
    return found
