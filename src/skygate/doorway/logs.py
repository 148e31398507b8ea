"""What is said on standard error: one line an event, for machines (JSON) or for people (text)."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
import traceback
import uuid
from collections.abc import Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Literal

LogFormat = Literal["auto", "json", "text"]
Level = Literal["debug", "info", "warning", "error"]

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request being served, in every line that is logged meanwhile."""

_FIELDS = "fields"
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_ESCAPED = re.compile(r"[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What JSON may hold raw, and what some readers take for the end of a line, or a terminal for a command."""
_ENCODED = json.JSONEncoder(ensure_ascii=False, default=str).encode
_QUIET = ("uvicorn.access",)
_SAID_BETTER = (
    "Exception in ASGI application",
    "returned without completing",
    "Unsupported upgrade request",
    "No supported WebSocket library",
)
_CHATTY = ("numexpr", "asyncio", "httpx2", "httpcore2", "multipart", "python_multipart")
"""Libraries whose small talk is of no use to an operator."""


def request_id(asked: str | None = None) -> str:
    """The id under which a request is logged: the one it brings when that is harmless, else a new one."""
    if asked and _ACCEPTED_ID.fullmatch(asked):
        return asked
    return uuid.uuid4().hex


def event(logger: logging.Logger, message: str, *, level: int = logging.INFO, **fields: Any) -> None:
    """Log an event with named values beside its sentence."""
    logger.log(level, message, extra={_FIELDS: {k: v for k, v in fields.items() if v is not None}})


def set_up(form: LogFormat, level: Level) -> None:
    """Send every logger to standard error in one form; the server library's own access lines are dropped."""
    plain = form == "text" or (form == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextLines() if plain else JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for unused in ("logThreads", "logProcesses", "logMultiprocessing", "logAsyncioTasks"):
        setattr(logging, unused, False)  # none of them is in a line
    setattr(logging, "_srcfile", None)  # noqa: B010  (nor where it was logged, which takes longest to find)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.asgi", *_QUIET):
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = name not in _QUIET
    logging.getLogger("uvicorn.error").addFilter(_not_ours)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _not_ours(record: logging.LogRecord) -> bool:
    """Whether the server library says something that we have not said better.

    A response that is cut on purpose is logged where it was cut; a client may ask for another protocol as
    often as it likes; that requests end with the service is no error of it.
    """
    text = record.getMessage()
    if "task(s), timeout graceful shutdown exceeded" in text:
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return not any(said in text for said in _SAID_BETTER)


def _fields_of(record: logging.LogRecord) -> Mapping[str, Any]:
    found = getattr(record, _FIELDS, None)
    return found if isinstance(found, Mapping) else {}


def _time_of(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.msecs):03d}Z"


@lru_cache(maxsize=8)
def _second(since_1970: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since_1970))


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, request_id, the event's own fields, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if REQUEST_ID.get():
            line["request_id"] = REQUEST_ID.get()
        line |= _fields_of(record)
        if record.exc_info:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        return _ESCAPED.sub(_escape, _ENCODED(line))


class TextLines(logging.Formatter):
    """Time, level, sentence, then the event's fields as `name=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, and the traceback below it, indented, when there is one."""
        fields = dict(_fields_of(record))
        if REQUEST_ID.get():
            fields.setdefault("request_id", REQUEST_ID.get())
        tail = " ".join(f"{_one_line(name)}={_shown(value)}" for name, value in fields.items())
        line = f"{_time_of(record)} {record.levelname.lower():7} {_one_line(record.getMessage())}"
        line = f"{line}  {tail}" if tail else line
        if record.exc_info:
            told = "".join(traceback.format_exception(*record.exc_info)).rstrip().split("\n")
            line += "".join(f"\n    {_one_line(part)}" for part in told)
        return line


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _shown(value: object) -> str:
    text = _one_line(str(value))
    return json.dumps(text, ensure_ascii=False) if re.search(r"[\s\"=]", text) or not text else text


def _one_line(text: str) -> str:
    """Text of strangers must not begin a line of its own, nor drive the terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
