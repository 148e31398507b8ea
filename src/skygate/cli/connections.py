"""Connections of the server: how many, how long a request may take to arrive and an answer to be taken.

Must not know: paths, doors, queries. Whoever holds a connection and asks nothing makes room for others.
Requests are read by httptools, which is strict; what it lets through beyond HTTP/1.1 is refused here.
"""

from __future__ import annotations

import asyncio
import logging
from enum import Enum
from functools import cache, partial
from http import HTTPStatus
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from skygate.cli.process import raise_file_limit
from skygate.doorway.requests import REFUSED
from skygate.settings import Server, Settings

log = logging.getLogger("skygate.connections")

_FILES_OF_CONNECTIONS = 0.5
"""Connections' share of the files that the process may open; engines and spools have the rest."""
_LINGER_S = 5.0
_MOST_HEAD_BYTES = 64 * 1024
_MOST_AHEAD = 32
"""Requests that may be sent before the first of them is answered."""
_JOINED_BYTES = 64 * 1024
_LATE = b"the request did not arrive in time"
_FULL = b"too many requests are being answered"
_CONTINUE = b"HTTP/1.1 100 "


@cache
def _server() -> Server:
    """The settings that this process inherits."""
    return Settings().server


@cache
def _most() -> int:
    """Connections that this process holds open at once."""
    share = max(8, int(raise_file_limit() * _FILES_OF_CONNECTIONS))
    return min(_server().connections or share, share)


class NoRequest(Exception):
    """What has come is no request that we take."""


class _Part(Enum):
    """What of a request has come last."""

    NOTHING = "nothing, or all of it"
    HEAD = "some of its head"
    BODY = "its head, and not all of its body"


class Connection(HttpToolsProtocol):
    """One connection: a request must arrive, and an answer be taken, at some pace.

    A new connection beyond the limit closes the one that has asked nothing for longest; where all are being
    answered it is told 503.
    """

    idle: ClassVar[dict[Connection, None]] = {}
    """Those of this process that wait for a request, longest first."""

    _arrival: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None
    _part = _Part.NOTHING
    _head_bytes = 0
    """Of the head that is coming: what is understood of it."""
    _head_waiting = 0
    """Of the head that is coming: what came after its first piece."""
    _deaf = False
    """What comes from now on is not looked at."""
    _wrong: str | None = None
    """What to say of the next request once the one before is answered."""
    _answering: RequestResponseCycle | None = None

    # -- the transport calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or refuse it."""
        super().connection_made(transport)
        if len(self.connections) > _most() and not self._make_room():
            log.warning("a connection is refused: all %d are being answered", _most())
            self._end(503, _FULL, retry_after_s=5)
            return
        self.idle[self] = None
        self._expect(_server().head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it, and tell whoever answers."""
        self.pipeline.clear()
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)
        self.idle.pop(self, None)
        self._expect(None)
        self._take_within(None)

    def data_received(self, data: bytes) -> None:
        """Take what has come, and watch for the rest."""
        if self._deaf:
            return
        waited = self._waits and self._arrival is not None
        in_head = self._part is _Part.HEAD
        super().data_received(data)
        if in_head and self._part is _Part.HEAD:
            self._head_waiting += len(data)
            if self._head_waiting > _MOST_HEAD_BYTES:
                self.send_400_response("The head of the request is too large.")
        if self.transport.is_closing():
            self._expect(None)
        elif not self._waits:
            self.idle.pop(self, None)
            coming = self._part is _Part.BODY and not self.flow.read_paused
            self._expect(_server().body_seconds if coming else None)
        elif not waited:  # the first bytes of the next head
            self._expect(_server().head_seconds)

    def pause_writing(self) -> None:
        """The client takes nothing for now."""
        super().pause_writing()
        self._take_within(_server().stalled_seconds)

    def resume_writing(self) -> None:
        """It goes on."""
        super().resume_writing()
        self._take_within(None)

    # -- the parser calls; what is raised here is told as 400

    def on_message_begin(self) -> None:
        """Begin a request."""
        if len(self.pipeline) >= _MOST_AHEAD:
            raise NoRequest
        super().on_message_begin()
        self._part = _Part.HEAD
        self._head_bytes = self._head_waiting = 0

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; what follows the body is nobody's."""
        self._count(len(name) + len(value))
        if self._part is _Part.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Have the request answered."""
        assert self.parser is not None
        _check(self.parser.get_http_version(), self.headers)
        super().on_headers_complete()
        self._part = _Part.BODY
        if not self.pipeline:
            self._answering = self.cycle
        answer = Answer(self.transport)
        self.cycle.transport = answer  # type: ignore[assignment]
        self.cycle.on_response = partial(self._answered, answer)
        if self.parser.should_upgrade():  # there is nothing to upgrade to; the parser takes the rest for that
            self.cycle.keep_alive = False
            self._deaf = True

    def on_message_complete(self) -> None:
        """All of a request has come."""
        self._part = _Part.NOTHING
        super().on_message_complete()

    # -- the server library calls

    def on_response_complete(self) -> None:
        """Wait for the next request; the server library closes what stays silent."""
        self._answering = self.pipeline[-1][0] if self.pipeline else None
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if self._part is _Part.BODY and not self.pipeline:  # answered before all of it has come
            self._expect(_server().body_seconds)
        if not self._waits:
            return
        if self._wrong is not None:
            super().send_400_response(self._wrong)
            return
        self.idle[self] = None
        self._expect(_server().head_seconds if self._part is _Part.HEAD else None)

    def send_400_response(self, msg: str) -> None:
        """Say that what has come is no request, when it is its turn, and close."""
        self._deaf = True
        if self.pipeline or not (self._waits or self._part is _Part.BODY):
            self._wrong = msg  # others are answered before
        elif self._waits:
            super().send_400_response(msg)
        else:
            self._refuse_rest(msg)

    # -- ours

    @property
    def _waits(self) -> bool:
        """Whether no head is whole that has not been answered, and no body on its way."""
        return self._part is not _Part.BODY and (not self.cycle or self.cycle.response_complete)

    def _answered(self, answer: Answer) -> None:
        answer.flush()
        self.on_response_complete()

    def _refuse_rest(self, msg: str) -> None:
        """The rest of the body that is being read is no HTTP: that is the answer, unless one has begun."""
        cycle = self.cycle
        begun = cycle.response_started
        cycle.scope[REFUSED] = True  # type: ignore[typeddict-unknown-key]
        cycle.disconnected = True
        cycle.message_event.set()
        if begun:
            self.transport.abort()
        else:
            super().send_400_response(msg)

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > _MOST_HEAD_BYTES:
            raise NoRequest

    def _make_room(self) -> bool:
        """Close the connection that has asked nothing for longest; False when there is none."""
        for other in self.idle:
            self.idle.pop(other)
            other.transport.abort()
            self.connections.discard(other)
            return True
        return False

    def _expect(self, seconds: float | None) -> None:
        if self._arrival is not None:
            self._arrival.cancel()
        self._arrival = None if seconds is None else self.loop.call_later(seconds, self._came_late)

    def _came_late(self) -> None:
        self._arrival = None
        if self.transport.is_closing() or self.flow.read_paused:
            return
        self.idle.pop(self, None)
        if self._waits:
            self._end(408, _LATE)
        else:  # its body stays away: whoever reads it is told that the client has gone
            self.transport.abort()

    def _take_within(self, seconds: float | None) -> None:
        if self._taking is not None:
            self._taking.cancel()
        self._taking = None if seconds is None else self.loop.call_later(seconds, self._not_taken)

    def _not_taken(self) -> None:
        self._taking = None
        log.warning("a client has taken nothing for %g s and is cut off", _server().stalled_seconds)
        self.transport.abort()

    def _end(self, status: int, told: bytes, *, retry_after_s: int | None = None) -> None:
        """Say why, and close; a client that reads nothing is cut off."""
        self._deaf = True
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Connection: close\r\nContent-Length: {len(told)}\r\n"
        )
        if retry_after_s is not None:
            head += f"Retry-After: {retry_after_s}\r\n"
        self.transport.write(head.encode() + b"\r\n" + told)
        self.transport.close()
        self.loop.call_later(_LINGER_S, self.transport.abort)


class Answer:
    """The transport of one answer: its head leaves with the first piece of its body, in one step."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None
        self._begun = False

    def write(self, data: bytes) -> None:
        """Send, once the head has something to go with."""
        if self._begun or data.startswith(_CONTINUE):
            if self._head is not None and len(data) <= _JOINED_BYTES:
                self._head, data = None, self._head + data
            self.flush()
            self._transport.write(data)
        else:
            self._begun, self._head = True, data

    def flush(self) -> None:
        """Send the head, if it has not been sent."""
        if self._head is not None:
            head, self._head = self._head, None
            self._transport.write(head)

    def close(self) -> None:
        """Close when everything is sent."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        """Everything else is the transport's own."""
        return getattr(self._transport, name)


def _check(version: str, headers: list[tuple[bytes, bytes]]) -> None:
    """Raise `NoRequest` for what RFC 9112 refuses (sections 3.2, 6.1) and the parser does not."""
    hosts = sum(name == b"host" for name, _ in headers)
    codings = [value.lower() for name, value in headers if name == b"transfer-encoding"]
    if version not in ("1.0", "1.1") or hosts > 1 or (version == "1.1" and not hosts):
        raise NoRequest
    if codings and (codings != [b"chunked"] or version == "1.0"):
        raise NoRequest
