"""Whether small work is done in a moment now: then the event loop does it itself, else a thread.

The pages that a lookup needs may not be in memory, and the loop would wait for a disk.
Must not know: lookups.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager

_MOMENT_S = 0.005
_SLOW_S = 1.0
"""How long nothing is tried after something took longer than a moment."""


class Pace:
    """Remembers when something was slow."""

    def __init__(self) -> None:
        self._slow_until = 0.0

    @property
    def is_fast(self) -> bool:
        """Whether nothing was slow of late."""
        return time.monotonic() >= self._slow_until

    @contextmanager
    def timed(self) -> Generator[None]:
        """Look how long the block takes."""
        began = time.monotonic()
        try:
            yield
        finally:
            now = time.monotonic()
            if now - began > _MOMENT_S:
                self._slow_until = now + _SLOW_S
