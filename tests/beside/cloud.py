"""A cloud that is asked: whoever asks by name, whatever is in it by name. The standard library and real sockets only,
so that nothing is tidied on the way."""

from __future__ import annotations

import http.client
import json
import re
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_EXPORT = re.compile(r"\b(OS_\w+)=(\S+)")
_VERSION = re.compile(r"/v\d[^/]*(/.*)?$")


@dataclass(frozen=True)
class Answer:
    """Headers by their names in lower case; of a header that is sent twice, both, joined by a comma."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body decoded, None when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True)
class Sent:
    """A request, the same for every cloud: `$name` in path, headers and body means what the cloud calls it."""

    service: str
    method: str
    path: str
    persona: str = "admin"
    body: Any = None  # bytes go as they are; anything else as JSON
    headers: tuple[tuple[str, str], ...] = ()
    route: str = ""  # the template that it is about
    what: str = ""  # what is odd about it


@dataclass
class Cloud:
    """`ids`: what `$name` means; `tokens`: by persona; `roots`: URLs of services without their version; `people`: paths
    of what has to be deleted at the end."""

    name: str
    environment: dict[str, str]
    ids: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str | None] = field(default_factory=dict)
    roots: dict[str, str] = field(default_factory=dict)
    people: list[str] = field(default_factory=list)
    _connections: dict[str, http.client.HTTPConnection] = field(default_factory=dict)

    @classmethod
    def of(cls, openrc: Path) -> Cloud:
        """The cloud that an openrc file is for, its admin logged in."""
        values = {name: value.strip("'\"") for name, value in _EXPORT.findall(openrc.read_text())}
        cloud = cls(openrc.name, values)
        cloud.roots["identity"] = _VERSION.sub("", values["OS_AUTH_URL"].rstrip("/"))
        project = {"name": values["OS_PROJECT_NAME"], "domain": {"id": "default"}}
        token = cloud.login(values["OS_USERNAME"], values["OS_PASSWORD"], {"project": project}, keep="admin")
        for service in token["catalog"]:
            for endpoint in service["endpoints"]:
                if endpoint["interface"] == "public" and service["type"] != "identity":
                    cloud.roots.setdefault(service["type"], _VERSION.sub("", endpoint["url"].rstrip("/")))
        return cloud

    def login(self, user: str, password: str, scope: Any = None, *, keep: str) -> dict[str, Any]:
        """A user of the default domain; their token is kept for the persona `keep`."""
        who = {"name": user, "password": password, "domain": {"id": "default"}}
        auth: dict[str, Any] = {"identity": {"methods": ["password"], "password": {"user": who}}}
        if scope is not None:
            auth["scope"] = scope
        self.tokens["none"] = None
        answer = self.send(Sent("identity", "POST", "/v3/auth/tokens", "none", {"auth": auth}))
        if answer.status != 201:
            raise SystemExit(f"{self.name}: {user} can't log in: {answer.status} {answer.body!r}")
        self.tokens[keep] = answer.headers["x-subject-token"]
        found: dict[str, Any] = answer.json["token"]
        return found

    def make(self, sent: Sent) -> Any:
        """A request of the set-up, which must succeed: its JSON."""
        answer = self.send(sent)
        if answer.status >= 300:
            raise SystemExit(f"{self.name}: {sent.method} {sent.path}: {answer.status} {answer.body!r}")
        return answer.json

    def send(self, sent: Sent) -> Answer:
        headers = {name: self.filled(value) for name, value in sent.headers}
        token = self.tokens[sent.persona]
        if token is not None:
            headers.setdefault("X-Auth-Token", token)
        body = sent.body
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(self.filled(body)).encode()
            headers.setdefault("Content-Type", "application/json")
        parts = urllib.parse.urlsplit(self.roots[sent.service])
        return self._exchange(parts.netloc, sent.method, parts.path + self.filled(sent.path), headers, body)

    def _exchange(self, netloc: str, method: str, target: str, headers: dict[str, str], body: Any) -> Answer:
        for last in (False, True):
            connection = self._connections.get(netloc) or http.client.HTTPConnection(netloc, timeout=120)
            self._connections[netloc] = connection
            try:
                connection.putrequest(method, target, skip_accept_encoding=True)
                for name, value in headers.items():
                    if value:
                        connection.putheader(name, value)
                if body is not None:
                    connection.putheader("Content-Length", str(len(body)))
                connection.endheaders(body or None)
                response = connection.getresponse()
                found: dict[str, str] = {}
                for name, value in response.getheaders():
                    key = name.lower()
                    found[key] = f"{found[key]}, {value}" if key in found else value
                return Answer(response.status, found, response.read())
            except (http.client.HTTPException, OSError):
                # A kept connection may have been closed; a second failure is an answer too.
                connection.close()
                del self._connections[netloc]
                if last:
                    return Answer(0, {}, b"the connection was closed")
        raise AssertionError

    def filled(self, value: Any) -> Any:
        """`value` with each `$name` replaced."""
        if isinstance(value, str):
            return re.sub(r"\$(\w+)", lambda found: self.ids.get(found[1], found[0]), value)
        if isinstance(value, dict):
            return {self.filled(key): self.filled(item) for key, item in value.items()}
        return [self.filled(item) for item in value] if isinstance(value, list) else value
