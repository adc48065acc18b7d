"""OS-SIMPLE-CERT: the certificates of PKI tokens, which Keystone has long ceased to make. It says so itself."""

from __future__ import annotations

from onestack.core.errors import Gone
from onestack.core.http import Request


def gone(_req: Request) -> None:
    raise Gone("This API is no longer available due to the removal of support for PKI tokens.")
