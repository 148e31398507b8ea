"""Bytes made ahead of whoever takes them: a thread writes on while the last piece is sent or stored.

Must not know: formats, what the bytes are.
"""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import closing

START_BYTES = 1 << 20
"""So much is made without a thread: most answers end before."""
AHEAD_BYTES = 4 << 20
"""Where so much waits to be taken, the thread ends; when half of it has been taken, another begins."""


def ahead(chunks: Generator[bytes], *, stop: Callable[[], object]) -> Iterator[bytes]:
    """The same chunks, and in the end the same fault. Each is handed out as soon as it is made.

    When the reader goes away, `stop` is called first: it must make a chunk end soon that is in the making.
    """
    with closing(chunks):
        made = 0
        while made < START_BYTES:
            chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk
            made += len(chunk)
        making = _Making(chunks)
        try:
            while (chunk := making.take()) is not None:
                yield chunk
        finally:
            making.end()
            stop()
            making.join()


class _Making:
    """Chunks made in a thread that lives while there is room for more."""

    def __init__(self, chunks: Generator[bytes]) -> None:
        self._chunks = chunks
        self._changed = threading.Condition()
        self._ready: deque[bytes] = deque()
        self._waiting = 0
        """Bytes that are ready."""
        self._ended = False
        self._fault: BaseException | None = None
        self._thread: threading.Thread | None = None

    def take(self) -> bytes | None:
        """The next chunk, None after the last; raises what was raised in its stead."""
        with self._changed:
            if not self._ended and self._thread is None and self._waiting <= AHEAD_BYTES // 2:
                self._begin()
            while not self._ready and not self._ended:
                self._changed.wait()
            if self._ready:
                chunk = self._ready.popleft()
                self._waiting -= len(chunk)
                return chunk
            if self._fault is not None:
                raise self._fault
            return None

    def end(self) -> None:
        """Let no further chunk be begun."""
        with self._changed:
            self._ended = True
            self._ready.clear()

    def join(self) -> None:
        """Wait for the chunk that is in the making."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():  # which may collect garbage
            thread.join()

    def _begin(self) -> None:
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._make,), name="skygate-ahead", daemon=True)
        self._thread.start()

    def _make(self) -> None:
        while True:
            chunk: bytes | None = None
            fault: BaseException | None = None
            try:
                chunk = next(self._chunks, None)
            except BaseException as raised:  # noqa: BLE001  (raised again for whoever takes the chunks)
                fault = raised
            with self._changed:
                if chunk is not None and not self._ended:
                    self._ready.append(chunk)
                    self._waiting += len(chunk)
                elif not self._ended:
                    self._ended, self._fault = True, fault
                over = self._ended or self._waiting >= AHEAD_BYTES
                if over:
                    self._thread = None
                self._changed.notify()
                if over:
                    return
