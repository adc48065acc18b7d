"""Reading from a URL that a user gave, without becoming their hand inside the operator's network.

Every hop (the URL and each redirect) passes the lists of `[image.import_filter]`; its name is resolved once, every
address that came back must be public (or in an allowed network), and the connection goes to just that address, so that
a name can't change its mind. No proxy, no cookies, no credentials, no other scheme than HTTP and HTTPS.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from onestack.config import ImportFilter

_REDIRECTS = (301, 302, 303, 307, 308)
_MAXIMUM_REDIRECTS = 5
_TIMEOUT = 30.0  # seconds for a connection, and for each read
_CHUNK = 1 << 20
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class WebError(Exception):
    """The URL can't be read. The message is for the user."""


class Refused(WebError):
    """The filter doesn't let us go there."""


class Broken(WebError):
    """The connection broke; asking again may help."""


def normalized(host: str | None) -> str | None:
    """A host's name as lists are compared with it: lower case, ASCII, addresses in their usual form."""
    if not host:
        return None
    host = host.rstrip(".")
    try:
        return str(_unwrapped(ipaddress.ip_address(host.partition("%")[0])))
    except ValueError:
        pass
    try:  # 127.1, 0x7f000001, 017700000001 and 2130706433 are addresses as well
        return socket.inet_ntoa(socket.inet_aton(host)) if not any(c.isspace() for c in host) else None
    except (OSError, UnicodeError):
        pass
    try:
        return host.encode("idna").decode("ascii").lower() or None
    except UnicodeError:
        return None


def allowed(lists: ImportFilter, url: str | None) -> bool:
    """Whether scheme, host and port pass the lists, before any name is resolved."""
    if not url or any(ord(character) <= 32 or ord(character) == 127 for character in url) or "\\" in url:
        return False
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    host = normalized(parts.hostname)
    if parts.scheme not in ("http", "https") or host is None or parts.username is not None:
        return False
    return (
        _passes(parts.scheme, lists.allowed_schemes, lists.disallowed_schemes)
        and _passes(host, _hosts(lists.allowed_hosts), _hosts(lists.disallowed_hosts))
        and (port is None or _passes(port, lists.allowed_ports, lists.disallowed_ports))
    )


def worth_trying(lists: ImportFilter, url: str | None) -> bool:
    """The same, and the host isn't by its name alone one that we will not connect to: then it is refused at once."""
    return allowed(lists, url) and not _local(lists, normalized(urllib.parse.urlsplit(url or "").hostname) or "")


def _local(lists: ImportFilter, host: str) -> bool:
    """Whether a host is by its name alone nobody that we may connect to: an address, or this machine (RFC 6761)."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        loopback = host == "localhost" or host.endswith(".localhost")
        return loopback and not public(lists, "127.0.0.1")
    return not public(lists, host)


def _hosts(names: list[str]) -> list[str | None]:
    return [normalized(name) for name in names]


def _passes(value: Any, wanted: Sequence[Any], unwanted: Sequence[Any]) -> bool:
    return value in wanted if wanted else value not in unwanted


def _unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one: mapped, 6to4, NAT64, Teredo."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.sixtofour is not None:
            return address.sixtofour
        if address.teredo is not None:
            return address.teredo[1]
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def public(lists: ImportFilter, text: str) -> bool:
    """Whether we may connect to an address."""
    address = ipaddress.ip_address(text.partition("%")[0])
    inner = _unwrapped(address)
    networks = [ipaddress.ip_network(network) for network in lists.allowed_networks]
    if any(one in network for network in networks for one in (address, inner)):
        return True
    return inner.is_global and not inner.is_multicast and not inner.is_reserved


class Answer(NamedTuple):
    """`length` is None when the server doesn't say; `first` is where the data begins in the whole."""

    status: int
    headers: http.client.HTTPMessage
    length: int | None
    data: Iterator[bytes]


def get(
    lists: ImportFilter, url: str, *, headers: Mapping[str, str] | None = None, method: str = "GET",
    redirects: int = _MAXIMUM_REDIRECTS,
) -> Answer:  # fmt: skip
    """Follows redirects, each of which is checked like the first. Raises WebError."""
    for _ in range(redirects + 1):
        if not allowed(lists, url):
            raise Refused(f"URI for web-download does not pass filtering: {url}")
        connection = _connection(lists, url)
        try:
            answer = _ask(connection, url, method, headers or {})
            target = answer.headers.get("Location")
            if answer.status not in _REDIRECTS or target is None:
                if answer.status not in (200, 206):
                    raise WebError(f"HTTP Error {answer.status}: {answer.reason}")
                return Answer(answer.status, answer.headers, answer.length, _chunks(connection, answer))
            url = urllib.parse.urljoin(url, target)
        except BaseException:
            connection.close()
            raise
        connection.close()
    raise WebError("There are too many redirects.")


def _ask(
    connection: http.client.HTTPConnection, url: str, method: str, headers: Mapping[str, str]
) -> http.client.HTTPResponse:
    parts = urllib.parse.urlsplit(url)
    target = urllib.parse.quote(
        urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, "")), "/%?=&+;:@,!$'()*~"
    )
    try:
        connection.request(method, target, headers={"User-Agent": "onestack", "Accept-Encoding": "identity", **headers})
        return connection.getresponse()
    except (OSError, http.client.HTTPException) as error:
        raise Broken(f"The server of the URI can't be read: {_words(error)}") from error


def _connection(lists: ImportFilter, url: str) -> http.client.HTTPConnection:
    parts = urllib.parse.urlsplit(url)
    host = normalized(parts.hostname) or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as error:
        raise Broken(f"The host of the URI is not known: {host}") from error
    if not found or not all(public(lists, address) for address in found):
        raise Refused(f"URI for web-download does not pass filtering: {url}")
    if parts.scheme == "https":
        return _Secure(host, port, found, ssl.create_default_context())
    return _Plain(host, port, found)


class _Plain(http.client.HTTPConnection):
    """Connects to addresses that were checked, whatever its name means by now."""

    def __init__(self, host: str, port: int, addresses: list[str]) -> None:
        super().__init__(host, port, timeout=_TIMEOUT)
        self._addresses = addresses

    def connect(self) -> None:
        for number, address in enumerate(self._addresses, 1):
            try:
                self.sock = socket.create_connection((address, self.port), self.timeout)
                return
            except OSError:
                if number == len(self._addresses):
                    raise


class _Secure(_Plain):
    default_port = 443

    def __init__(self, host: str, port: int, addresses: list[str], context: ssl.SSLContext) -> None:
        super().__init__(host, port, addresses)
        self._context = context

    def connect(self) -> None:
        super().connect()
        self.sock = self._context.wrap_socket(self.sock, server_hostname=self.host)


def _chunks(connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while chunk := answer.read1(_CHUNK):
            yield chunk
        if answer.length:
            raise Broken("The connection broke off.")
    except (OSError, http.client.HTTPException) as error:
        raise Broken(f"The connection broke off: {_words(error)}") from error
    finally:
        connection.close()


def _words(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__


class Deadline:
    """Work that must be over by a time."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def check(self) -> None:
        if time.monotonic() > self._until:
            raise WebError("The download took longer than is allowed.")
