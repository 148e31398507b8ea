"""One thread that stops what has run too long or was cancelled, again and again until it has stopped.

Must not know: DuckDB. An interrupt that comes before the work begins is lost, hence the repetition.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_AGAIN_S = 0.05


class Watched:
    """Something that can be interrupted. `due` is on the monotonic clock."""

    def __init__(self, interrupt: Callable[[], None], due: float) -> None:
        self.due = due
        self.interrupt = interrupt


class Watch:
    """Interrupts what is due. Starts its thread with the first thing to watch."""

    def __init__(self) -> None:
        self._things: set[Watched] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def add(self, thing: Watched) -> None:
        """Watch `thing` until `remove`."""
        with self._changed:
            self._things.add(thing)
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="skygate-watch", daemon=True)
                self._thread.start()
            self._changed.notify()

    def remove(self, thing: Watched) -> None:
        """It has stopped."""
        with self._changed:
            self._things.discard(thing)

    def now(self, thing: Watched) -> None:
        """It is due at once."""
        with self._changed:
            thing.due = 0.0
            self._changed.notify()

    def close(self) -> None:
        """Watch no more."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._closed:
                    return
                clock = time.monotonic()
                due = [t for t in self._things if t.due <= clock]
                if not due:
                    first = min((t.due for t in self._things), default=None)
                    self._changed.wait(None if first is None else max(0.0, first - clock))
                    continue
            for thing in due:
                thing.interrupt()
            time.sleep(_AGAIN_S)
