"""DuckDB files beside a release, one for each table: the same rows, several times faster to scan.

Must not know: plans, who asks. `cache/native/TABLE/rows.duckdb` holds every column of the parts in their
order, the cells too. Deletable at any time; not used when the parts that it names are not the table's.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from skygate.domain.catalog import Part, Release, Table
from skygate.engines import cache_folders
from skygate.engines.cache_folders import cache_folder
from skygate.engines.duck_database import quoted
from skygate.errors import BrokenRelease, HouseError

FORMAT = 1
ROWS = "rows.duckdb"
KIND = "native"
_MIB = 1 << 20
_BUILD_MIB = 1024
_AGAIN_S = 2.0
"""Files that were not there are looked for again after this time."""
_KEPT = 256


@dataclass(frozen=True, slots=True)
class About:
    """What a file was made from."""

    format: int
    parts: str
    """`digest_of` the parts."""
    rows: int
    files: dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class NativeFile:
    """A table's file, and what it was made from: a version made anew under an old name has another key."""

    path: Path
    parts: str


class NativeFiles:
    """The files of the tables that were asked for lately, below one directory of releases."""

    def __init__(self, data_dir: Path) -> None:
        self._root = os.path.realpath(data_dir)
        self._digests: OrderedDict[int, tuple[tuple[Part, ...], str]] = OrderedDict()
        self._seen: OrderedDict[NativeFile, tuple[bool, float]] = OrderedDict()
        self._guard = threading.Lock()

    def of(self, table: Table) -> NativeFile | None:
        """Where a table's file is, or would be; None for a table that is not of a release."""
        if not table.parts:
            return None
        inside = os.path.relpath(table.parts[0].path, self._root).split(os.sep)
        if len(inside) < 3 or inside[0] == os.pardir:
            return None
        folder = cache_folder(Path(self._root, *inside[:2]), KIND, table)
        return NativeFile(folder / ROWS, self._digest(table.parts))

    def is_there(self, file: NativeFile) -> bool:
        """Whether it is, as of a moment ago."""
        now = time.monotonic()
        found, at = self._seen.get(file, (False, -_AGAIN_S))
        if now - at < _AGAIN_S:
            return found
        found = _is_whole(file)
        with self._guard:
            self._seen[file] = (found, now)
            self._seen.move_to_end(file)
            while len(self._seen) > _KEPT:
                self._seen.popitem(last=False)
        return found

    def all_there(self) -> frozenset[NativeFile]:
        """Those of all that were asked for which are there now."""
        with self._guard:
            asked = list(self._seen)
        return frozenset(file for file in asked if self.is_there(file))

    def _digest(self, parts: tuple[Part, ...]) -> str:
        known = self._digests.get(id(parts))
        if known is not None and known[0] is parts:
            return known[1]
        digest = digest_of(parts)
        with self._guard:
            self._digests[id(parts)] = (parts, digest)
            while len(self._digests) > _KEPT:
                self._digests.popitem(last=False)
        return digest


def digest_of(parts: tuple[Part, ...]) -> str:
    """A checksum of what the parts hold, in their order."""
    told = hashlib.sha256()
    for part in parts:
        told.update(f"{part.sha256} {part.rows}\n".encode())
    return told.hexdigest()


def attach(database: duckdb.DuckDBPyConnection, files: frozenset[NativeFile]) -> dict[NativeFile, str]:
    """Attach files read-only; the relation of each. One that cannot be opened is left out."""
    found: dict[NativeFile, str] = {}
    for number, file in enumerate(sorted(files, key=lambda f: str(f.path))):
        name = f"native_{number}"
        try:
            database.execute(f"ATTACH {quoted(str(file.path))} AS {name} (READ_ONLY)")
        except duckdb.Error:
            continue  # gone since, or of another DuckDB: its Parquet files are read
        found[file] = f'"{name}"."main"."rows"'
    return found


def missing(release: Release, table: Table) -> bool:
    """Whether a table could have a file and has none."""
    return bool(table.parts and table.rows) and not _is_whole(_file_of(release, table))


def build(release: Release, table: Table, wrote: Callable[[int], None]) -> bool:
    """Make the file of a table, telling the rows done; False when another builds, or the version has gone.

    Raises `BrokenRelease` where a part cannot be read or has other rows than the release says, `HouseError`
    where the disk is too small or refuses.
    """
    file = _file_of(release, table)
    return cache_folders.build(
        release,
        table,
        file.path.parent,
        is_there=lambda: _is_whole(file),
        need_bytes=2.0 * sum(part.size_bytes for part in table.parts),
        write=lambda folder: _write(table, file.parts, folder, wrote),
    )


def _file_of(release: Release, table: Table) -> NativeFile:
    return NativeFile(cache_folder(Path(release.path), KIND, table) / ROWS, digest_of(table.parts))


def _is_whole(file: NativeFile) -> bool:
    try:
        told = cache_folders.read_about(file.path.parent)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return False
    return (told.get("format"), told.get("parts")) == (FORMAT, file.parts) and ROWS in told["files"]


def _write(table: Table, parts: str, folder: Path, wrote: Callable[[int], None]) -> About:
    config: Mapping[str, str | int] = {"memory_limit": f"{_BUILD_MIB}MiB", "temp_directory": str(folder)}
    done = 0
    try:
        with duckdb.connect(str(folder / ROWS), config=dict(config)) as database:
            for part in table.parts:
                _check_part(table, part)
                verb = "INSERT INTO rows" if done else "CREATE TABLE rows AS"
                database.execute(f"{verb} FROM read_parquet({quoted(part.path)}, hive_partitioning=false)")
                done += part.rows
                wrote(done)
            count = database.execute("SELECT COUNT(*) FROM rows").fetchall()[0][0]
            database.execute("CHECKPOINT")
    except duckdb.Error as fault:
        raise HouseError(f"the cache of {table.full_name} cannot be written: {fault}") from fault
    if count != table.rows:
        raise BrokenRelease(f"{table.full_name} has {count} rows on disk, its manifest says {table.rows}")
    return About(FORMAT, parts, count, cache_folders.marks(folder))


def _check_part(table: Table, part: Part) -> None:
    """Raise `BrokenRelease` for a part that cannot be read or is not what the manifest says."""
    try:
        if os.stat(part.path).st_size != part.size_bytes:
            raise BrokenRelease(f"a data file of {table.full_name} has another size than its manifest says")
        with pq.ParquetFile(part.path) as file:
            rows = file.metadata.num_rows
    except (OSError, ValueError) as fault:
        raise BrokenRelease(f"a data file of {table.full_name} cannot be read: {fault}") from fault
    if rows != part.rows:
        raise BrokenRelease(f"a data file of {table.full_name} has other rows than its manifest says")
