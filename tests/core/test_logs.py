"""A record is one line, whatever a client put into it."""

from __future__ import annotations

import logging

from onestack.core.logs import JsonFormatter, TextFormatter


def _record(*words: object) -> logging.LogRecord:
    return logging.LogRecord("onestack.core.http", logging.INFO, "", 0, "%s %s", words, None)


def test_a_path_begins_no_line_of_its_own():
    line = TextFormatter().format(_record("GET", "/v3/a\n2026-01-31T12:00:00.000Z INFO x\r\0\x1b[2J\u2028\u202e"))
    assert line.endswith(r"INFO onestack.core.http GET /v3/a\n2026-01-31T12:00:00.000Z INFO x\r\x00\x1b[2J\u2028\u202e")
    assert len(line.splitlines()) == 1


def test_letters_stay_as_they_are():
    assert TextFormatter().format(_record("GET", "/v3/é🐍")).endswith("GET /v3/é🐍")


def test_an_exception_has_lines_of_its_own():
    try:
        raise ValueError("a")
    except ValueError as error:
        record = _record("GET", "/")
        record.exc_info = (ValueError, error, error.__traceback__)
    assert TextFormatter().format(record).splitlines()[-1] == "ValueError: a"


def test_json_is_one_line():
    assert "\n" not in JsonFormatter().format(_record("GET", "/\n"))
