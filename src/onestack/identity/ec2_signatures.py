"""Signatures of requests by EC2 keys: AWS's versions 0, 1, 2 and 4, and those that S3 services hand on.

A service that got a signed request sends what was signed, and asks whose it is. Sources: AWS General Reference,
"Signing AWS API requests"; Identity API v3, OS-EC2 and s3tokens. Wherever something needed is missing or odd there is
no signature that would match, and `None` says so.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import urllib.parse
from typing import Any

import msgspec

_WORDS_4 = ("Credential", "SignedHeaders")  # of an Authorization header; as parameters, after "X-Amz-"
_S3_SERVICES = ("s3", "iam", "sts")
_OLD_BOTO = re.compile(r"Boto/2\.[0-9]\.[0-2]")  # signs the host without its port


class Signed(msgspec.Struct):
    """What a service says about a request that it got."""

    verb: str = ""
    host: str = ""
    path: str = ""
    body_hash: str = ""
    params: dict[str, Any] = {}
    headers: dict[str, str] = {}

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers.items() if key.strip().lower() == name.lower()), None)

    def timestamp(self) -> str | None:
        """When it was signed, in the signer's words; None when that wasn't said."""
        found = self.params.get("Timestamp") or self.header("X-Amz-Date") or self.params.get("X-Amz-Date")
        return None if not found else str(found)


def request_matches(secret: str, signed: Signed, signature: str) -> bool:
    """Whether `signature` is that of `signed`; also if the signer left out the port of the host."""
    if _equal(signature, _of_request(secret, signed)):
        return True
    if ":" not in signed.host:
        return False
    try:
        host = urllib.parse.urlsplit("//" + signed.host).hostname or ""
    except ValueError:
        return False
    return _equal(signature, _of_request(secret, msgspec.structs.replace(signed, host=host)))


def text_matches(secret: str, encoded: str, signature: str) -> bool:
    """Whether `signature` is that of the string to sign that an S3 service made of a request, given in base64."""
    try:
        text = base64.urlsafe_b64decode(encoded)
    except (binascii.Error, ValueError):
        return False
    if not text.startswith(b"AWS4"):
        return _equal(signature, _base64(hmac.new(secret.encode(), text, hashlib.sha1).digest()))
    lines = text.split(b"\n")
    scope = lines[2].split(b"/") if len(lines) == 4 and lines[0] == b"AWS4-HMAC-SHA256" else []
    if len(scope) != 4 or scope[3] != b"aws4_request" or scope[2].decode(errors="replace") not in _S3_SERVICES:
        return False
    return _equal(signature, hmac.new(_key4(secret, *scope[:3]), text, hashlib.sha256).hexdigest())


def _equal(given: str, wanted: str | None) -> bool:
    return wanted is not None and hmac.compare_digest(given.encode(), wanted.encode())


def _of_request(secret: str, signed: Signed) -> str | None:
    version = signed.params.get("SignatureVersion")
    if version == "0":
        return _version_0(secret, signed.params)
    if version == "1":
        return _version_1(secret, signed.params)
    if version == "2":
        return _version_2(secret, signed)
    authorization = signed.header("Authorization")
    if authorization is not None and authorization.startswith("AWS4-HMAC-SHA256"):
        return _version_4(secret, signed, *(_word(authorization, name) for name in _WORDS_4))
    if authorization is None and signed.params.get("X-Amz-Algorithm") == "AWS4-HMAC-SHA256":
        return _version_4(secret, signed, *(str(signed.params.get(f"X-Amz-{name}", "")) for name in _WORDS_4))
    return None


def _version_0(secret: str, params: dict[str, Any]) -> str | None:
    if "Action" not in params or "Timestamp" not in params:
        return None
    text = f"{params['Action']}{params['Timestamp']}"
    return _base64(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest())


def _version_1(secret: str, params: dict[str, Any]) -> str:
    text = "".join(f"{name}{params[name]}" for name in sorted(params, key=str.lower))
    return _base64(hmac.new(secret.encode(), text.encode(), hashlib.sha1).digest())


def _version_2(secret: str, signed: Signed) -> str:
    query = _query(signed.params | {"SignatureMethod": "HmacSHA256"})
    text = f"{signed.verb}\n{signed.host}\n{signed.path}\n{query}"
    return _base64(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())


def _version_4(secret: str, signed: Signed, credential: str, names: str) -> str | None:
    _access, *scope = credential.split("/")
    when = signed.header("X-Amz-Date") or str(signed.params.get("X-Amz-Date") or "")
    if len(scope) < 3 or not when.startswith(scope[0]):
        return None
    query = _query(signed.params) if signed.verb.upper() != "POST" else ""
    headers = _signed_headers(signed, names)
    request = "\n".join((signed.verb.upper(), signed.path, query, headers, names, signed.body_hash))
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join(("AWS4-HMAC-SHA256", when, "/".join(scope), digest))
    key = _key4(secret, *(part.encode() for part in scope[:3]))
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _signed_headers(signed: Signed, names: str) -> str:
    values = {name.strip().lower(): value.strip() for name, value in signed.headers.items()}
    if _OLD_BOTO.match(values.get("user-agent", "")) and "host" in values:
        values["host"] = values["host"].split(":")[0]
    return "".join(f"{name}:{values[name]}\n" for name in names.split(";") if name in values) or "\n"


def _key4(secret: str, date: bytes, region: bytes, service: bytes) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in (date, region, service, b"aws4_request"):
        key = hmac.new(key, part, hashlib.sha256).digest()
    return key


def _word(authorization: str, name: str) -> str:
    """`x` of `AWS4-HMAC-SHA256 Name=x, …`"""
    return authorization.partition(f"{name}=")[2].split(",")[0]


def _query(params: dict[str, Any]) -> str:
    return "&".join(
        f"{urllib.parse.quote(name, safe='')}={urllib.parse.quote(str(params[name]), safe='-_~')}"
        for name in sorted(params)
    )


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()
