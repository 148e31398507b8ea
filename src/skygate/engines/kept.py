"""What was made beside versions of releases: opened when it is asked for, looked at again while it is used.

Must not know: what it is. A mapped page that is not there would kill the process: what has changed is let go.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from skygate.domain.catalog import Release, Table

_KEPT = 256
AGAIN_S = 2.0
"""After this time what was not there is looked for again, and the files of what is open are looked at."""


class Opened(Protocol):
    """Something open, and what its files said of themselves."""

    @property
    def about(self) -> object:
        """What the files said."""
        ...


T = TypeVar("T", bound=Opened)


class Kept(Generic[T]):
    """That of every version and table that was asked for lately. Safe to call from any thread."""

    def __init__(
        self,
        opened: Callable[[Release, Table], T | None],
        about: Callable[[Release, Table], object | None],
    ) -> None:
        """`opened` opens what is there and whole; `about` says what its files say of themselves now."""
        self._opened, self._about = opened, about
        self._open: OrderedDict[tuple[str, str], tuple[str, T | None, float]] = OrderedDict()
        self._guard = threading.Lock()

    def of(self, release: Release, table: Table) -> T | None:
        """What lies beside a table; None when it is not there, or not of this version."""
        key = (release.path, table.name)
        checksum, found, looked_at = self._open.get(key, ("", None, 0.0))
        now = time.monotonic()
        if checksum == release.checksum and now - looked_at < AGAIN_S:
            return found
        if found is None or checksum != release.checksum or self._about(release, table) != found.about:
            found = self._opened(
                release, table
            )  # what was open is not what is there, and must not be touched
        with self._guard:
            self._open[key] = (release.checksum, found, now)
            self._open.move_to_end(key)
            gone = [k for k in self._open if k[0] != release.path and not Path(k[0]).is_dir()]
            for left in gone:  # a mapping keeps the removed files on the disk
                del self._open[left]
            while len(self._open) > _KEPT:
                self._open.popitem(last=False)
        return found
