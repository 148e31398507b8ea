"""Threads that stay: what blocks is handed to one that has nothing to do.

To start a thread costs more than many a question, and so does every way back into an event loop.
Must not know: what is done.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

from anyio import CancelScope

P = ParamSpec("P")
T = TypeVar("T")


class Hands:
    """At most `most` threads; beyond that, work waits in line. Safe to call from any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._guard = threading.Lock()
        self._work: SimpleQueue[tuple[Context, Callable[[], object]] | None] = SimpleQueue()
        self._free = 0
        """Threads that wait, less the work that waits."""
        self._threads = 0
        self._closed = False

    def do(self, act: Callable[[], object]) -> None:
        """Have `act`, which must not raise, called in a thread and in the context of the caller."""
        with self._guard:
            new = self._closed or (self._free <= 0 and self._threads < self._most)
            if new:
                self._threads += 1
            else:
                self._free -= 1
            self._work.put((copy_context(), act))
            if self._closed:
                self._work.put(None)
        if new:
            threading.Thread(target=self._run, name="skygate-hand", daemon=True).start()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns or raises. A cancelled call ends when the function has ended."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def act() -> None:
            try:
                end = partial(_give, future, function(*args, **kwargs))
            except BaseException as fault:  # noqa: BLE001  (raised again where it is awaited)
                end = partial(_fail, future, fault)
            with suppress(RuntimeError):  # nobody waits in a loop that is closed
                loop.call_soon_threadsafe(end)

        self.do(act)
        with CancelScope(shield=True):
            return await future
        raise AssertionError("nothing is cancelled in a shield")

    def close(self) -> None:
        """Let the threads end when they have done what they were given."""
        with self._guard:
            if not self._closed:
                self._closed = True
                for _ in range(self._threads):
                    self._work.put(None)

    def _run(self) -> None:
        while (given := self._work.get()) is not None:
            context, act = given
            context.run(act)
            del given, context, act  # nothing is held while nothing is done
            with self._guard:
                self._free += 1


def _give(future: asyncio.Future[T], result: T) -> None:
    if not future.cancelled():
        future.set_result(result)


def _fail(future: asyncio.Future[T], fault: BaseException) -> None:
    if not future.cancelled():
        future.set_exception(fault)
