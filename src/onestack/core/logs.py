"""Logging of every process: one line a record, text or JSON, to standard error (which `up` sends to a file)."""

from __future__ import annotations

import logging
import sys
import time

import msgspec

from onestack.config import Settings


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "time": record.created,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(fields).decode()


def configure(settings: Settings) -> None:
    handler = logging.StreamHandler(sys.stderr)
    if settings.log_format == "json":
        handler.setFormatter(JsonFormatter())
    else:
        form = "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s"
        formatter = logging.Formatter(form, "%Y-%m-%dT%H:%M:%S")
        formatter.converter = time.gmtime
        handler.setFormatter(formatter)
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    # Third parties that would log each request or each transaction.
    for name in ("uvicorn.access", "ovsdbapp", "oslo_policy", "websockets"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # At its debug level are the WebSockets' whole requests, and with them the tokens of consoles.
    server = logging.getLogger("uvicorn.error")
    server.setLevel(max(logging.INFO, server.getEffectiveLevel()))
