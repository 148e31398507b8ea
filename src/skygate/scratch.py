"""A private directory for what does not fit in memory or must lie in a file for a while.

Must not know: what is put there. A lock on the directory says that its process lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path


class Scratch:
    """A private directory in the one for temporary files (`TMPDIR`); those of dead processes are swept.

    Its name begins with `skygate-` and `purpose`.
    """

    def __init__(self, purpose: str) -> None:
        prefix = f"skygate-{purpose}-"
        for old in Path(tempfile.gettempdir()).glob(prefix + "*"):
            with contextlib.suppress(OSError):
                _sweep(old)
        self._lock: int | None
        self.path, self._lock = _make(prefix)

    def close(self) -> None:
        """Remove it, once."""
        lock, self._lock = self._lock, None
        if lock is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(lock)


def _make(prefix: str) -> tuple[str, int]:
    """A new directory and the lock on it; again, if another process swept it in between."""
    while True:
        path = tempfile.mkdtemp(prefix=prefix)
        with contextlib.suppress(FileNotFoundError):
            lock = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(lock, fcntl.LOCK_SH)
            if os.path.isdir(path):
                return path, lock
            os.close(lock)


def _sweep(directory: Path) -> None:
    """Remove a directory of ours that no living process holds; raises OSError otherwise."""
    if directory.is_symlink() or directory.stat().st_uid != os.getuid():
        return
    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(directory, ignore_errors=True)
    finally:
        os.close(held)
