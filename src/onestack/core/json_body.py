"""Bodies of requests: JSON, as each service reads it."""

from __future__ import annotations

import codecs
from typing import Any

import falcon
import falcon.asgi
import msgspec

from onestack.core.dialect import Dialect
from onestack.core.errors import TooLarge

_decode = msgspec.json.Decoder().decode
INT64 = 1 << 63


async def read(dialect: Dialect, request: falcon.asgi.Request) -> bytes:
    """All of a body of at most as many bytes as the service reads, of a media type that it reads. Raises a Fault."""
    limit = dialect.max_body
    length = request.content_length
    if length is not None and length > limit:
        raise TooLarge("Request is too large.")
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream:
        size += len(chunk)
        if size > limit:
            raise TooLarge("Request is too large.")
        chunks.append(chunk)
    if size:
        dialect.check_media((request.content_type or "").split(";")[0].strip().lower())
    return b"".join(chunks) or dialect.no_body


def parse(dialect: Dialect, schema: Any, raw: bytes) -> Any:
    """`raw` decoded: `schema` is dict (an object), Any, or a msgspec type. Raises a Fault in the service's words."""
    if dialect.skips_mark:
        raw = raw.removeprefix(codecs.BOM_UTF8)
    if not raw and schema is dict:
        raise dialect.without_body()
    if not raw and schema is Any and dialect.empty_is_null:
        return None
    try:
        value = _decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise dialect.malformed() from None
    _sane(dialect, value, "")
    if schema is dict:
        if not isinstance(value, dict):
            raise dialect.not_object(value)
        return value
    if schema is Any:
        if dialect.no_scalars and not isinstance(value, (dict, list)):
            raise dialect.not_object(value)
        return value
    try:
        return msgspec.convert(value, schema, strict=False)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$.")
        raise dialect.invalid(where.rstrip("`"), message + ".") from None


def _sane(dialect: Dialect, value: Any, path: str) -> None:
    """Refuse what no column can hold: integers beyond 64 bits, NUL and lone surrogates in strings."""
    if isinstance(value, str):
        if "\x00" in value or (not value.isprintable() and any("\ud800" <= c <= "\udfff" for c in value)):
            raise dialect.invalid(path, "The string contains characters that cannot be stored.")
    elif isinstance(value, dict):
        for key, item in value.items():
            _sane(dialect, key, path)
            _sane(dialect, item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for item in value:
            _sane(dialect, item, path)
    elif isinstance(value, int):
        if not dialect.big_numbers and not -INT64 <= value < INT64:
            raise dialect.invalid(path, "The number is too large.", value)
    elif isinstance(value, float) and not -1e300 < value < 1e300:
        raise dialect.invalid(path, "The number is too large.", value)
