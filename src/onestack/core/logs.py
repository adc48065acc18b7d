"""Logging of every process: one line a record, text or JSON, to standard error (which `up` sends to a file)."""

from __future__ import annotations

import logging
import sys
import time

import msgspec

from onestack.config import Settings


class TextFormatter(logging.Formatter):
    """`2026-01-31T12:00:00.000Z INFO logger message`. Each request writes a line, so a second is formatted once."""

    def __init__(self) -> None:
        super().__init__()
        self._second = (-1, "")

    def format(self, record: logging.LogRecord) -> str:
        second, text = self._second
        now = int(record.created)
        if now != second:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
            self._second = (now, text)
        message = record.getMessage()
        if not message.isprintable():  # a path may say anything: nobody begins a line of their own
            message = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in message)
        line = f"{text}.{int(record.msecs):03d}Z {record.levelname} {record.name} {message}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line + "\n" + self.formatStack(record.stack_info) if record.stack_info else line


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
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    # What no line shows need not be found out for each: the caller's frame, thread, process and task.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    # Third parties that would log each request or each transaction.
    for name in ("uvicorn.access", "ovsdbapp", "oslo_policy", "websockets"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # At its debug level are the WebSockets' whole requests, and with them the tokens of consoles.
    server = logging.getLogger("uvicorn.error")
    server.setLevel(max(logging.INFO, server.getEffectiveLevel()))
