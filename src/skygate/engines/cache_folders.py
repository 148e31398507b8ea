"""Folders of caches beside a release: made all or nothing, by one process at a time, deletable at any time.

Must not know: what is in them. An `about.json` says what a cache was made from and is written last.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skygate.domain.catalog import Release, Table
from skygate.errors import BrokenRelease, HouseError
from skygate.release.durable import sync_file, sync_folder

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ABOUT = "about.json"
_SPARE = 0.05
"""Share of the disk that is left free."""


def cache_folder(version: Path, kind: str, table: Table) -> Path:
    """Where a table's cache of a kind is, or would be, in the directory of a version."""
    return version / "cache" / kind / table.name


def build(
    release: Release,
    table: Table,
    folder: Path,
    *,
    is_there: Callable[[], bool],
    need_bytes: float,
    write: Callable[[Path], DataclassInstance],
) -> bool:
    """Make a cache; False when another process builds, or the version has gone.

    `write` fills a new folder and returns what `about.json` is to say. Raises `BrokenRelease` as it does, and
    `HouseError` where the disk is too small or refuses.
    """
    with _alone(release) as alone:
        if not alone:
            return False
        if is_there():
            return True
        try:
            for made in (folder.parent.parent, folder.parent):
                made.mkdir(exist_ok=True)  # not the version's own directory, which may be gone
            _require_room(table, folder.parent, need_bytes)
            _replace(folder, write)
        except (OSError, BrokenRelease) as fault:
            if not Path(release.path).is_dir():
                return False
            if isinstance(fault, BrokenRelease):
                raise
            raise HouseError(f"the cache of {table.full_name} cannot be written: {fault}") from fault
    return True


def busy(release: Release) -> bool:
    """Whether another process builds in this directory of releases."""
    with _alone(release) as alone:
        return not alone


def read_about(folder: Path) -> dict[str, Any]:
    """What a cache says of itself; raises what reading nonsense raises where it is not there or not whole.

    `files` has the size and the time of the last change (ns) of each file.
    """
    told: dict[str, Any] = json.loads((folder / ABOUT).read_bytes())
    for name, expected in told["files"].items():
        if list(mark(folder / name)) != expected:
            raise ValueError(f"{name} is not as it was written")
    return told


def marks(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file in a folder."""
    return {entry.name: mark(entry) for entry in folder.iterdir()}


def mark(path: Path) -> tuple[int, int]:
    """Size, and time of the last change in ns, of a file."""
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns


def _replace(folder: Path, write: Callable[[Path], DataclassInstance]) -> None:
    fresh, old = (folder.with_name(f".{folder.name}.{what}") for what in ("new", "old"))
    for left in (fresh, old):
        shutil.rmtree(left, ignore_errors=True)
    fresh.mkdir()
    try:
        about = write(fresh)
        (fresh / ABOUT).write_text(json.dumps(asdict(about)))
        for entry in fresh.iterdir():
            sync_file(entry)
        sync_folder(fresh)
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
        sync_folder(folder.parent)
    finally:
        for left in (fresh, old):
            shutil.rmtree(left, ignore_errors=True)


def _require_room(table: Table, folder: Path, need: float) -> None:
    """Raise `HouseError` where a cache would fill the disk."""
    disk = shutil.disk_usage(folder)
    if disk.free - need < _SPARE * disk.total:
        raise HouseError(
            f"the cache of {table.full_name} needs about {need / 1e9:.1f} GB, {disk.free / 1e9:.1f} are free"
        )


@contextmanager
def _alone(release: Release) -> Generator[bool]:
    """Whether no other process builds beside these releases; the lock ends with the process that holds it."""
    path = Path(release.path).parent.parent / ".warming"
    try:
        file = path.open("a")
    except OSError as fault:
        raise HouseError(f"caches cannot be built here: {fault}") from fault
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
