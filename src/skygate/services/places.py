"""Places for running queries, a short line before them, and a clear "busy" behind it.

Must not know: queries. Places are taken in any event loop and given back from any thread.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque

import anyio

from skygate.errors import Busy

_LOOK_S = 0.005


class _Ticket:
    __slots__ = ("called",)

    def __init__(self) -> None:
        self.called = False


class Places:
    """`running` places; up to `waiting` wait in line, each for at most `wait_s`; first come, first served."""

    def __init__(self, running: int, *, waiting: int, wait_s: float) -> None:
        self._free = running
        self._running = running
        self._waiting = waiting
        self._wait_s = wait_s
        self._line: deque[_Ticket] = deque()
        self._guard = threading.Lock()

    @property
    def wait_s(self) -> float:
        """How long one may wait in line."""
        return self._wait_s

    @property
    def running(self) -> int:
        """How many places there are."""
        return self._running

    @property
    def free(self) -> int:
        """Places that nobody has."""
        return self._free

    async def take(self) -> None:
        """Take a place, waiting in line for it; raises `Busy` when the line is full or too slow."""
        ticket = self._enter()
        if ticket is None:
            return
        until = time.monotonic() + self._wait_s
        try:
            while not ticket.called and time.monotonic() < until:
                await anyio.sleep(_LOOK_S)
        except BaseException:
            self._leave(ticket)
            raise
        if not ticket.called:
            self._leave(ticket)
            raise self._busy()

    def give_back(self) -> None:
        """Free a place: the first in line gets it."""
        with self._guard:
            if self._line:
                self._line.popleft().called = True
            else:
                self._free += 1

    def _enter(self) -> _Ticket | None:
        with self._guard:
            if self._free > 0:
                self._free -= 1
                return None
            if len(self._line) >= self._waiting:
                raise self._busy()
            ticket = _Ticket()
            self._line.append(ticket)
            return ticket

    def _leave(self, ticket: _Ticket) -> None:
        """Go out of the line; a place that was called in this very moment passes on."""
        with self._guard:
            if not ticket.called:
                self._line.remove(ticket)
                return
        self.give_back()

    def _busy(self) -> Busy:
        return Busy(
            f"all {self._running} places for running queries are taken, and the line before them is full",
            hint="try again in a moment",
            retry_after_s=max(1, math.ceil(self._wait_s)),
        )
