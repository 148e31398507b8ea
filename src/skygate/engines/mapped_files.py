"""Mapped columns on disk: one table's rows in sky order, laid out so that mapping them is reading them.

Must not know: queries. What the files are:

    cache/mapped/TABLE/about.json   what they were made from, their sizes and times, where batches begin
    cache/mapped/TABLE/cells        order-29 cells of the placed rows, ascending; `tops` has each 512th
    cache/mapped/TABLE/ra, dec      positions in degrees, in that order
    cache/mapped/TABLE/ids, at      identifiers, ascending, and the row of each (integers only)
    cache/mapped/TABLE/rows.arrow   every column; rows without a position follow the placed ones

Deletable at any time. They are not used when the manifest that they name is not the release's, or when a
file has another size or time than when it was written: a page that is not there would kill the process.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skygate import wire
from skygate.domain.catalog import Release, Table
from skygate.engines import cache_folders
from skygate.engines.cache_folders import cache_folder

FORMAT = 1
TOP_STEP = 512
"""Cells of one page of memory: a search looks into `tops` first and then into one page."""
ROWS = "rows.arrow"
_KEPT_SCHEMAS = 64
_KEPT_BATCHES = 2048


@dataclass(frozen=True, slots=True)
class About:
    """What a mapped table was made from, and its shape."""

    format: int
    checksum: str
    rows: int
    placed: int
    starts: tuple[int, ...]
    """The first row of each batch, and the number of rows."""
    identifier: str | None
    files: dict[str, tuple[int, int]]
    """Size in bytes, and time of the last change in ns, of each file."""


class Mapped:
    """A table, mapped. Arrays are read-only views of files; nothing is in memory but what was touched."""

    def __init__(self, about: About, folder: Path, schema: pa.Schema) -> None:
        """Raises ValueError or OSError for files that are not as `about` says."""
        self.about = about
        self.schema = schema
        self.names = tuple(schema.names)
        self.cells: NDArray[np.int64] = _mapped(folder, "cells", about, np.int64)
        self.tops: NDArray[np.int64] = _mapped(folder, "tops", about, np.int64)
        self.ra: NDArray[np.float64] = _mapped(folder, "ra", about, np.float64)
        self.dec: NDArray[np.float64] = _mapped(folder, "dec", about, np.float64)
        known = about.identifier is not None
        self.ids: NDArray[np.int64] = _mapped(folder, "ids", about, np.int64) if known else _nothing()
        self.at: NDArray[np.int64] = _mapped(folder, "at", about, np.int64) if known else _nothing()
        self.starts = np.array(about.starts, dtype=np.int64)
        self._reader = pa.ipc.open_file(_buffer(folder, ROWS, about))
        self._batches: dict[int, pa.RecordBatch] = {}
        self._schemas: dict[tuple[tuple[str, ...], tuple[str, ...]], pa.Schema] = {}
        self._guard = threading.Lock()
        sizes = {self.cells.size, self.ra.size, self.dec.size}
        tops = -(-about.placed // TOP_STEP)
        if sizes != {about.placed} or self.tops.size != tops or self.ids.size != self.at.size:
            raise ValueError("files do not belong together")
        if not self._reader.schema.equals(schema) or self._reader.num_record_batches != len(about.starts) - 1:
            raise ValueError("other columns than the release's")
        # views whose single elements are Python's numbers at once: ten times faster than NumPy's
        self.cells_seen: Sequence[int] = _seen(self.cells)
        self.tops_seen: Sequence[int] = _seen(self.tops)
        self.ra_seen: Sequence[float] = _seen(self.ra)
        self.dec_seen: Sequence[float] = _seen(self.dec)

    def batch(self, number: int) -> pa.RecordBatch:
        """One batch of `starts`."""
        found = self._batches.get(number)
        if found is None:
            with self._guard:
                found = self._reader.get_batch(number)
                if len(self._batches) >= _KEPT_BATCHES:
                    self._batches.clear()
                self._batches[number] = found
        return found

    def schema_of(self, names: tuple[str, ...], called: tuple[str, ...]) -> pa.Schema:
        """The schema of an answer with these columns, under other names; kept, as making one takes long."""
        if names is called and names == self.names:
            return self.schema
        found = self._schemas.get((names, called))
        if found is None:
            fields = [self.schema.field(name) for name in names]
            found = pa.schema([f.with_name(other) for f, other in zip(fields, called, strict=True)])
            if len(self._schemas) < _KEPT_SCHEMAS:
                self._schemas[names, called] = found
        return found


def folder_of(release: Release, table: Table) -> Path:
    """Where a table's mapped columns are, or would be."""
    return cache_folder(Path(release.path), "mapped", table)


def fits(table: Table) -> bool:
    """Whether mapped columns make sense for a table: it has positions or an integer as identifier."""
    return bool(table.parts and table.rows) and (
        table.position is not None or integer_identifier(table) is not None
    )


def integer_identifier(table: Table) -> str | None:
    """The name of the identifier, where its values are single integers."""
    column = table.column(table.identifier) if table.identifier is not None else None
    return column.name if column is not None and column.datatype.is_integer and not column.is_array else None


def read_about(release: Release, table: Table) -> About | None:
    """What the files of exactly this version say of themselves; None when they are not there or not whole."""
    folder = folder_of(release, table)
    try:
        told = cache_folders.read_about(folder)
        files = {str(name): (int(size), int(time)) for name, (size, time) in told["files"].items()}
        starts = tuple(int(start) for start in told["starts"])
        rest = {name: told[name] for name in ("format", "checksum", "rows", "placed", "identifier")}
        about = About(**rest, starts=starts, files=files)
        if (about.format, about.checksum, about.rows) != (FORMAT, release.checksum, table.rows):
            return None
        if starts[0] != 0 or starts[-1] != about.rows or not 0 <= about.placed <= about.rows:
            return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, IndexError):
        return None
    return about if list(starts) == sorted(set(starts)) else None


def open_mapped(release: Release, table: Table) -> Mapped | None:
    """Map a table's columns; None when they are not there, or not of this version."""
    about = read_about(release, table)
    if about is None:
        return None
    try:
        return Mapped(about, folder_of(release, table), wire.arrow_schema(table.columns))
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return None


def _buffer(folder: Path, name: str, about: About) -> pa.Buffer:
    """A whole file, mapped; the file itself is closed again, so that many tables can be open."""
    size = about.files[name][0]
    with pa.memory_map(str(folder / name)) as source:
        if source.size() != size:
            raise ValueError(f"{name} has {source.size()} bytes instead of {size}")
        return source.read_buffer(size)


def _mapped(folder: Path, name: str, about: About, dtype: type[np.generic]) -> NDArray[Any]:
    """A file as an array (an empty file cannot be mapped)."""
    if about.files[name][0] == 0:
        return np.empty(0, dtype=dtype)
    return np.frombuffer(_buffer(folder, name, about), dtype=dtype)


def _seen(values: Any) -> Any:
    return memoryview(values)


def _nothing() -> NDArray[np.int64]:
    return np.empty(0, dtype=np.int64)


def names_of(columns: Sequence[Any]) -> tuple[str, ...]:
    """The names of columns."""
    return tuple([column.name for column in columns])  # a list is faster than a generator
