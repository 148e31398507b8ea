"""What a release was made from: every source file by its content, so that the same input is recognised.

A file's checksum is taken once; later its size, inode and times vouch for it, as long as it was not touched
so shortly before that a change could hide within the clock's grain (the rule of git's index). A file whose
times changed is read again: only its content counts.

Must not know: readers, tables on disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skygate import __version__
from skygate.errors import BadRelease, Where
from skygate.release.durable import sha256_of
from skygate.release.recipe import Recipe, TableRecipe
from skygate.release.stored import DISK_FORMAT
from skygate.release.unfinished import refuse_unfinished
from skygate.wire import from_json, to_json

INPUTS = "inputs.json"
"""File of a version that keeps its `Inputs`."""
_CLOCK_GRAIN_NS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A source file: its name (relative to the recipe's directory), content and identity."""

    name: str
    size_bytes: int
    sha256: str
    mtime_ns: int
    ctime_ns: int
    inode: int
    checked_ns: int
    """When the content was read (Unix time)."""

    @property
    def identity(self) -> tuple[str, int, int, int, int]:
        """What changes when the content does."""
        return self.name, self.size_bytes, self.mtime_ns, self.ctime_ns, self.inode

    @property
    def settled(self) -> bool:
        """Whether the identity can vouch for the content."""
        return max(self.mtime_ns, self.ctime_ns) + _CLOCK_GRAIN_NS < self.checked_ns


@dataclass(frozen=True, slots=True)
class TableInputs:
    """What one table was made from. `digest` names the content of the files and what the recipe says."""

    table: str
    digest: str
    files: tuple[SourceFile, ...]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a release was made from; equal fingerprints mean equal releases."""

    fingerprint: str
    tables: tuple[TableInputs, ...] = ()

    def digest(self, table: str) -> str | None:
        """The digest of a table's inputs."""
        return next((found.digest for found in self.tables if found.table == table), None)


def survey(recipe: Recipe, files: Mapping[str, Sequence[Path]], *, known: Iterable[Inputs] = ()) -> Inputs:
    """Take the checksums of all source files; `known` inputs of before save reading what has not changed."""
    before = {
        source.identity: source
        for inputs in known
        for table in inputs.tables
        for source in table.files
        if source.settled
    }
    base = Path(recipe.base).absolute()
    tables: list[TableInputs] = []
    for table in recipe.tables:
        sources = tuple(_source(path, base, before) for path in files[table.name])
        tables.append(TableInputs(table.name, _table_digest(table, sources), sources))
    said = to_json(replace(recipe, base=".", tables=()))
    return Inputs(_digest([said, recipe.text, [table.digest for table in tables]]), tuple(tables))


def unchanged(path: Path, source: SourceFile) -> bool:
    """Whether the file is still the one whose checksum was taken."""
    try:
        stat = path.stat()
    except OSError:
        return False
    return (stat.st_size, stat.st_mtime_ns, stat.st_ino) == (source.size_bytes, source.mtime_ns, source.inode)


def read_inputs(folder: Path) -> Inputs | None:
    """The inputs of a version; None where they cannot be read (it is then published anew)."""
    try:
        return from_json(Inputs, json.loads((folder / INPUTS).read_bytes()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _source(path: Path, base: Path, before: Mapping[Any, SourceFile]) -> SourceFile:
    try:
        stat = path.stat()
        fresh = SourceFile(
            name=os.path.relpath(path, base) if path.is_relative_to(base) else path.name,
            size_bytes=stat.st_size,
            sha256="",
            mtime_ns=stat.st_mtime_ns,
            ctime_ns=stat.st_ctime_ns,
            inode=stat.st_ino,
            checked_ns=time.time_ns(),
        )
        refuse_unfinished(path)
        same = before.get(fresh.identity)
        return same if same is not None else replace(fresh, sha256=sha256_of(path))
    except OSError as fault:
        raise BadRelease(f"cannot be read: {fault.strerror}", where=Where(name=str(path))) from fault


def _table_digest(table: TableRecipe, sources: Sequence[SourceFile]) -> str:
    contents = [[source.name, source.size_bytes, source.sha256] for source in sources]
    return _digest([DISK_FORMAT, __version__, to_json(replace(table, files=())), contents])


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
