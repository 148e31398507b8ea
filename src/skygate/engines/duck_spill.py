"""A private directory for intermediate results that do not fit in memory.

Must not know: DuckDB. A lock on the directory says that its process lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_SPILL_PREFIX = "skygate-spill-"


class Spill:
    """A private directory for what does not fit in memory; those of dead processes are swept."""

    def __init__(self) -> None:
        base = Path(tempfile.gettempdir())
        for old in base.glob(_SPILL_PREFIX + "*"):
            with contextlib.suppress(OSError):
                _sweep(old)
        self.path, self._lock = _make()

    def close(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def _make() -> tuple[str, int]:
    """A new directory and the lock on it; again, if another process swept it in between."""
    while True:
        path = tempfile.mkdtemp(prefix=_SPILL_PREFIX)
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(lock, fcntl.LOCK_SH)
            if os.path.isdir(path):
                return path, lock
            os.close(lock)


def _sweep(directory: Path) -> None:
    """Remove a spill directory of ours that no living process holds; raises OSError otherwise."""
    if directory.is_symlink() or directory.stat().st_uid != os.getuid():
        return
    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(directory, ignore_errors=True)
    finally:
        os.close(held)
