"""Files that survive a crash: written whole, flushed to the disk, named at the end.

Must not know: what the bytes mean.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def write_file(path: Path, content: bytes) -> None:
    """Write a new file and flush it to the disk (its directory entry is not yet flushed)."""
    with path.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file atomically: at any moment readers see the old content or the new, never a mixture.

    Two writers at once must be kept apart by the caller.
    """
    fresh = path.with_name(f".{path.name}.new")
    write_file(fresh, content)
    fresh.replace(path)
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Flush a file that another library wrote."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """Flush a directory's entries, so that files made, renamed or removed in it stay so."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(path: Path) -> None:
    """Flush the entries of a directory and of all those below it."""
    for folder, _, _ in os.walk(path, topdown=False):
        sync_folder(Path(folder))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
