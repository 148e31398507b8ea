"""An answer between engine and reader: the engine runs at its own pace, the reader at his.

A thread takes batches from the engine as fast as they come, into memory and beyond that into a temporary file
without a name. So a slow client neither holds the engine nor makes memory grow, and one who goes away stops
the query.

Must not know: SQL, HTTP, any engine.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import pyarrow as pa

from skygate import wire
from skygate.domain.catalog import Column
from skygate.domain.query import Outcome
from skygate.errors import Cancelled, HouseError, NoRoom, SkygateError, TooCostly
from skygate.ports import Run
from skygate.room import Room
from skygate.services.hands import Hands

LARGE_BYTES = 1 << 20
"""So much of an answer is more than a short one has: it is handed out without waiting for its end."""

Ended = Callable[[Outcome | None, SkygateError | None], None]
"""Told once, in the spool's thread, when the engine has finished: how it ended or what went wrong."""


class Spool:
    """`Rows` that are pumped out of a run. `outcome` is known as soon as the engine has finished well.

    `start` is called in the thread that `hands` lend, so that nothing blocks whoever makes a spool.
    """

    def __init__(
        self,
        columns: tuple[Column, ...],
        start: Callable[[], Run],
        *,
        memory_bytes: int,
        disk_bytes: int,
        room: Room,
        hands: Hands,
        ended: Ended | None = None,
    ) -> None:
        self.columns = columns
        self._start = start
        self._run: Run | None = None
        self._schema = wire.arrow_schema(columns)
        self._memory_bytes = memory_bytes
        self._disk_bytes = disk_bytes
        self._room = room
        self._tell_ended = ended
        self._changed = threading.Condition()
        self._ready: deque[pa.RecordBatch | tuple[int, int]] = deque()
        self._held = 0
        self._file: int | None = None
        self._written = 0
        self._on_disk = 0
        self._outcome: Outcome | None = None
        self._fault: SkygateError | None = None
        self._first_at: float | None = None
        self._done = False
        self._closed = False
        self._reading = False
        self._waiter: Callable[[], None] | None = None
        hands.do(self._pump)

    @property
    def outcome(self) -> Outcome | None:
        """How the answer ended, as soon as that is known."""
        return self._outcome

    @property
    def held_bytes(self) -> int | None:
        """Bytes of an answer that is whole and in memory; None while it comes, or when it is on disk."""
        return self._held if self._outcome is not None and not self._on_disk else None

    async def settle(self, patience_s: float) -> None:
        """Wait for the first rows, then for the end: `patience_s` longer, or until it is no short answer.

        Raises what went wrong till then.
        """
        loop = asyncio.get_running_loop()
        while True:
            woken: asyncio.Future[None] = loop.create_future()
            with self._changed:
                left = self._left(patience_s)
                if left <= 0:
                    break
                self._waiter = partial(_wake, loop, woken)
            timer = loop.call_later(left, _end, woken)
            try:
                await woken
            finally:
                timer.cancel()
        if self._fault is not None:
            raise self._fault
        if self._closed:
            raise Cancelled("the query was cancelled")

    def _left(self, patience_s: float) -> float:
        """Seconds from now for which the end may be waited for; without rows as if they came now."""
        if self._is_known:
            return 0.0
        return patience_s + (0.0 if self._first_at is None else self._first_at - time.monotonic())

    @property
    def _is_known(self) -> bool:
        """Whether the answer has ended, or is known to be no short one."""
        return self._done or self._closed or self._on_disk > 0 or self._held >= LARGE_BYTES

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches, once; waits for the engine where it must."""
        with self._changed:
            if self._reading:
                raise HouseError("an answer is iterated twice")
            self._reading = True
        while (batch := self._next()) is not None:
            yield batch

    def close(self) -> None:
        """Stop the engine if it still runs, and free what is held."""
        with self._changed:
            self._closed = True
            self._ready.clear()
            self._let_go(self._held)
            if self._done:
                self._free()
            self._tell()
            run = self._run
        if run is not None:
            run.close()

    def ended(self, wait_s: float) -> bool:
        """Wait for the engine to have let go of this answer; False when it has not by then."""
        with self._changed:
            return self._changed.wait_for(lambda: self._done, wait_s)

    def _tell(self) -> None:
        """Wake the reader, and who waits for the answer to settle where it has."""
        self._changed.notify_all()
        if self._waiter is not None and self._is_known:
            self._waiter()
            self._waiter = None

    def _next(self) -> pa.RecordBatch | None:
        with self._changed:
            while not self._ready and not self._done and not self._closed:
                self._changed.wait()
            if self._closed:
                raise Cancelled("the answer was closed")
            if not self._ready:
                self._free()
                if self._fault is not None:
                    raise self._fault
                return None
            item = self._ready.popleft()
            if isinstance(item, tuple):
                return self._read(*item)
            self._let_go(item.nbytes)
            return item

    def _pump(self) -> None:
        fault: SkygateError | None = None
        run: Run | None = None
        try:
            run = self._start()
            with self._changed:
                self._run = run
            for batch in run:
                with self._changed:
                    if self._closed:
                        fault = Cancelled("the answer was closed")
                        break
                    self._put(batch)
                    self._tell()
        except SkygateError as raised:
            fault = raised
        except Exception as raised:  # noqa: BLE001  (told to the reader, who is in another thread)
            fault = HouseError("an answer broke off")
            fault.__cause__ = raised
        outcome = run.outcome if run is not None and fault is None else None
        try:
            if run is not None:
                run.close()
            if self._tell_ended is not None:
                self._tell_ended(outcome, fault)
        finally:
            with self._changed:
                self._outcome, self._fault, self._done = outcome, fault, True
                if self._closed:
                    self._free()
                self._tell()

    def _put(self, batch: pa.RecordBatch) -> None:
        if self._first_at is None:
            self._first_at = time.monotonic()
        fits = not self._on_disk and (not self._held or self._held + batch.nbytes <= self._memory_bytes)
        if fits and self._room.take_memory(batch.nbytes):
            self._ready.append(batch)
            self._held += batch.nbytes
        else:
            self._write(batch)

    def _let_go(self, size: int) -> None:
        self._held -= size
        self._room.give_back(memory=size)

    def _write(self, batch: pa.RecordBatch) -> None:
        """Append to the file. Once its reader has caught up, it begins anew."""
        data = batch.serialize()
        if self._on_disk == 0 and self._file is not None and self._written:
            os.ftruncate(self._file, 0)
            self._room.give_back(disk=self._written)
            self._written = 0
        if self._written + data.size > self._disk_bytes:
            limit_gib = self._disk_bytes / (1 << 30)
            raise TooCostly(
                f"the answer is larger than the {limit_gib:g} GiB that may wait for a reader",
                hint="ask for fewer rows or columns, or read faster",
            )
        if not self._room.take_disk(data.size):
            raise NoRoom(
                "too many large answers wait for their readers", hint="try again later", retry_after_s=60
            )
        view, at = memoryview(data), self._written
        self._written += data.size
        try:
            if self._file is None:
                self._file = _nameless_file()
            while view:
                put = os.pwrite(self._file, view, at)
                view, at = view[put:], at + put
        except OSError as fault:
            fault.filename = tempfile.gettempdir()
            raise NoRoom(
                "the service has no room left to keep this answer", hint="try again later", retry_after_s=60
            ) from fault
        self._ready.append((self._written - data.size, data.size))
        self._on_disk += 1

    def _read(self, offset: int, size: int) -> pa.RecordBatch:
        if self._file is None:
            raise HouseError("the spool is gone")
        parts: list[bytes] = []
        while size > 0 and (part := os.pread(self._file, size, offset)):
            parts.append(part)
            offset, size = offset + len(part), size - len(part)
        self._on_disk -= 1
        return pa.ipc.read_record_batch(pa.py_buffer(b"".join(parts)), self._schema)

    def _free(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._room.give_back(disk=self._written)
        self._written = 0
        self._on_disk = 0


def _wake(loop: asyncio.AbstractEventLoop, woken: asyncio.Future[None]) -> None:
    with suppress(RuntimeError):  # nobody waits in a loop that is closed
        loop.call_soon_threadsafe(_end, woken)


def _end(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)


def _nameless_file() -> int:
    """A temporary file that is gone when it is closed, however the process ends."""
    file, path = tempfile.mkstemp(prefix="skygate-spool-")
    os.unlink(path)
    return file
