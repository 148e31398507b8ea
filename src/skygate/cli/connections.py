"""Connections of the server: how many, how long a request may take to arrive and an answer to be taken.

Must not know: paths, doors, queries. Whoever holds a connection and asks nothing makes room for others.
"""

from __future__ import annotations

import asyncio
import logging
from functools import cache
from typing import ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from skygate.cli.process import raise_file_limit
from skygate.settings import Server, Settings

log = logging.getLogger("skygate.connections")

_FILES_OF_CONNECTIONS = 0.5
"""Connections' share of the files that the process may open; engines and spools have the rest."""
_LINGER_S = 5.0
_LATE = b"the request did not arrive in time"
_FULL = b"too many requests are being answered"


@cache
def _server() -> Server:
    """The settings that this process inherits."""
    return Settings().server


@cache
def _most() -> int:
    """Connections that this process holds open at once."""
    share = max(8, int(raise_file_limit() * _FILES_OF_CONNECTIONS))
    return min(_server().connections or share, share)


class Connection(H11Protocol):
    """One connection: a request must arrive, and an answer be taken, at some pace.

    A new connection beyond the limit closes the one that has asked nothing for longest; where all are being
    answered it is told 503.
    """

    idle: ClassVar[dict[Connection, None]] = {}
    """Those of this process that wait for a request, longest first."""

    _arrival: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None

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
        """Forget it."""
        super().connection_lost(exc)
        self.idle.pop(self, None)
        self._expect(None)
        self._take_within(None)

    def data_received(self, data: bytes) -> None:
        """Take what has come, and watch for the rest."""
        waited = self.conn.their_state is h11.IDLE and self._arrival is not None
        super().data_received(data)
        if self.transport.is_closing():
            self._expect(None)
        elif self.conn.their_state is not h11.IDLE:
            self.idle.pop(self, None)
            sending = self.conn.their_state is h11.SEND_BODY and not self.flow.read_paused
            self._expect(_server().body_seconds if sending else None)
        elif not waited:  # the first bytes of the next head
            self._expect(_server().head_seconds)

    def on_response_complete(self) -> None:
        """Wait for the next request; the server library closes what stays silent."""
        super().on_response_complete()
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.idle[self] = None
            self._expect(_server().head_seconds if self.conn.trailing_data[0] else None)

    def pause_writing(self) -> None:
        """The client takes nothing for now."""
        super().pause_writing()
        self._take_within(_server().stalled_seconds)

    def resume_writing(self) -> None:
        """It goes on."""
        super().resume_writing()
        self._take_within(None)

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
        if self.conn.our_state is h11.IDLE:
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
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        headers.append((b"content-length", str(len(told)).encode()))
        if retry_after_s is not None:
            headers.append((b"retry-after", str(retry_after_s).encode()))
        if self.conn.our_state is h11.IDLE:
            for event in (
                h11.Response(status_code=status, headers=headers),
                h11.Data(data=told),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        self.loop.call_later(_LINGER_S, self.transport.abort)
