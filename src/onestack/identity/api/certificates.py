"""OS-SIMPLE-CERT: the certificates of PKI tokens, which Keystone has long ceased to make. It says so itself."""

from __future__ import annotations

from onestack.core.errors import Fault
from onestack.core.http import Request


def gone(_req: Request) -> None:
    raise Fault("This API is no longer available due to the removal of support for PKI tokens.", status=410)
