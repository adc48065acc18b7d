"""The shape of `auth` in the body of `POST /v3/auth/tokens`, and Keystone's words for what hasn't it.

Keystone says the schema and the value after them, and what the value of a secret was; here neither is said.
"""

from __future__ import annotations

from typing import Any

from onestack.core.errors import BadRequest

_PLACE = {"id": str, "name": str}
# A dict is an object with these members, in the order in which they are looked at; a list has such elements.
_SHAPE: dict[str, Any] = {
    "identity": {
        "methods": [str],
        "password": {"user": {"id": str, "name": str, "password": str, "domain": _PLACE}},
        "token": {"id": str},
    },
    "scope": {
        "project": {"name": str, "id": str, "domain": _PLACE},
        "domain": _PLACE,
        "OS-TRUST:trust": {"id": str},
        "system": {"all": bool},
    },
}
_REQUIRED = {"": "identity", "identity": "methods", "identity/token": "id"}
_TEXT_TOO = ("scope",)  # what may be a string instead of an object
_NAMED = (
    "identity/password/user", "identity/password/user/domain", "scope/project", "scope/project/domain", "scope/domain",
)  # fmt: skip
_SECRETS = ("identity/password/user/password", "identity/token/id")
_TYPES = {str: "string", bool: "boolean", dict: "object", list: "array"}
_MOST_SHOWN = 100


def check(auth: Any) -> None:
    """Raises BadRequest."""
    _check(auth, _SHAPE, "")
    for path in _NAMED:
        found = auth
        for name in path.split("/"):
            found = found.get(name) if isinstance(found, dict) else None
        if found is not None and "id" not in found and "name" not in found:
            raise BadRequest(f"Invalid input for field {path}: id or name must be present.")


def _check(value: Any, shape: Any, path: str) -> None:
    wanted: Any = shape if isinstance(shape, type) else type(shape)
    if not isinstance(value, wanted):
        if path in _TEXT_TOO and isinstance(value, str):
            return
        types = f"'{_TYPES[wanted]}'" + (", 'string'" if path in _TEXT_TOO else "")
        raise _wrong(path, f"{_shown(path, value)} is not of type {types}")
    if isinstance(shape, dict):
        for name, inner in shape.items():
            if name in value:
                _check(value[name], inner, f"{path}/{name}" if path else name)
        if path in _REQUIRED and _REQUIRED[path] not in value:
            raise _wrong(path, f"'{_REQUIRED[path]}' is a required property")
    elif isinstance(shape, list):
        for position, item in enumerate(value):
            _check(item, shape[0], f"{path}/{position}")


def _wrong(path: str, problem: str) -> BadRequest:
    return BadRequest(f"Invalid input for field '{path}': {problem}" if path else problem)


def _shown(path: str, value: Any) -> str:
    """What stands in the wrong place may be a secret."""
    if path in _SECRETS or (isinstance(value, dict | list) and value):
        return "***"
    text = repr(value)
    return text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "..."
