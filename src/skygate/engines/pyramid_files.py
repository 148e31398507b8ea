"""Pyramids on disk: how many rows lie in each HEALPix cell of each order, and what their values come to.

Must not know: queries. What the files are:

    cache/pyramid/TABLE/about.json     what they were made from, their sizes and times
    cache/pyramid/TABLE/counts.arrow   batch k: the cells of order k that hold rows, ascending, and how many
    cache/pyramid/TABLE/values.arrow   batch k: of columns of numbers in those cells, to a coarser order, how
                                       many are not null (not said where none is), their sum, least, greatest;
                                       the last batch: of the rows without a position

Deletable at any time. They are not used when the manifest that they name is not the release's, or when a
file has another size or time than when it was written: a page that is not there would kill the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from skygate import wire
from skygate.domain.catalog import Column, Release, Table
from skygate.engines import cache_folders
from skygate.engines.cache_folders import cache_folder
from skygate.engines.pyramid_groups import NOWHERE, Groups, Ints, Values

FORMAT = 1
KIND = "pyramid"
COUNTS, VALUES = "counts.arrow", "values.arrow"
KNOWN, TOTAL, LOW, HIGH = "known ", "total ", "low ", "high "
"""What the names of fields begin with; the column's follows."""
_COUNTS = pa.schema([pa.field("cell", pa.int64()), pa.field("rows", pa.int64())])


@dataclass(frozen=True, slots=True)
class About:
    """What a pyramid was made from."""

    format: int
    checksum: str
    rows: int
    placed: int
    files: dict[str, tuple[int, int]]
    """Size in bytes, and time of the last change in ns, of each file."""


class Pyramid:
    """A table's pyramid, mapped. Arrays are read-only views of files."""

    def __init__(self, about: About, folder: Path, table: Table) -> None:
        """Raises ValueError, OSError or pa.ArrowException for files that are not as `about` says."""
        self.about = about
        counts, self._counts = _batches(folder, COUNTS, about)
        schema, values = _batches(folder, VALUES, about)
        self._values, self._nowhere = values[:-1], values[-1:]
        self.columns = frozenset(n.removeprefix(TOTAL) for n in schema.names if n.startswith(TOTAL))
        columns = [c for c in table.columns if c.name in self.columns]
        counted = frozenset(n.removeprefix(KNOWN) for n in schema.names if n.startswith(KNOWN))
        if not schema.equals(schema_of(columns, counted)) or len(columns) != len(self.columns):
            raise ValueError("other columns than the release's")
        last = [batch.num_rows for batch in self._nowhere]
        if not self._counts or not counts.equals(_COUNTS) or last != ([1] if columns else []):
            raise ValueError("not what a pyramid is made of")
        sizes = [batch.num_rows for batch in self._counts]
        placed = int(self._counts[0].column(1).to_numpy().sum())
        if [b.num_rows for b in self._values] != sizes[: len(self._values)] or placed != about.placed:
            raise ValueError("files do not belong together")

    @property
    def finest(self) -> int:
        """The finest order."""
        return len(self._counts) - 1

    @property
    def finest_values(self) -> int:
        """The finest order at which values are known; -1 for none."""
        return len(self._values) - 1

    def level(self, order: int, names: Iterable[str] = ()) -> Groups:
        """The cells of an order that hold rows, with these columns."""
        cells, rows = (column.to_numpy() for column in self._counts[order].columns)
        return Groups(cells, rows, {n: _values(self._values[order], n, rows) for n in names})

    def nowhere(self, names: Iterable[str] = ()) -> Groups:
        """The rows without a position: one group, or none."""
        rows = np.array([self.about.rows - self.about.placed], dtype=np.int64)
        values = {n: _values(self._nowhere[0], n, rows) for n in names}
        return Groups(np.array([NOWHERE], dtype=np.int64), rows, values)[: int(rows[0] > 0)]


def schema_of(columns: Sequence[Column], counted: frozenset[str]) -> pa.Schema:
    """Of `values.arrow` for these columns; `counted` are those that have nulls."""
    fields: list[pa.Field] = []
    for column in columns:
        name, kind = column.name, wire.arrow_type(column)
        if name in counted:
            fields.append(pa.field(KNOWN + name, pa.int64()))
        total = pa.int64() if column.datatype.is_integer else pa.float64()
        fields += [pa.field(TOTAL + name, total), pa.field(LOW + name, kind), pa.field(HIGH + name, kind)]
    return pa.schema(fields)


def write(folder: Path, levels: Sequence[Groups], values: Sequence[Groups], schema: pa.Schema) -> None:
    """Both files: the levels of counts from order 0, and those of values, followed by the rows of nowhere."""
    with pa.OSFile(str(folder / COUNTS), "wb") as sink, pa.ipc.new_file(sink, _COUNTS) as writer:
        for level in levels:
            arrays = [pa.array(level.cells), pa.array(level.rows)]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=_COUNTS))
    with pa.OSFile(str(folder / VALUES), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        for level in values if len(schema) else ():
            writer.write_batch(_batch(level, schema))


def folder_of(release: Release, table: Table) -> Path:
    """Where a table's pyramid is, or would be."""
    return cache_folder(Path(release.path), KIND, table)


def fits(table: Table) -> bool:
    """Whether a table has what a pyramid is made of."""
    return table.has_cells and bool(table.rows)


def read_about(release: Release, table: Table) -> About | None:
    """What the files of exactly this version say of themselves; None when they are not there or not whole."""
    try:
        told = cache_folders.read_about(folder_of(release, table))
        files = {str(name): (int(size), int(time)) for name, (size, time) in told["files"].items()}
        about = About(**{name: told[name] for name in ("format", "checksum", "rows", "placed")}, files=files)
        whole = {COUNTS, VALUES} <= files.keys() and 0 <= about.placed <= about.rows
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    made_of = (about.format, about.checksum, about.rows)
    return about if whole and made_of == (FORMAT, release.checksum, table.rows) else None


def open_pyramid(release: Release, table: Table) -> Pyramid | None:
    """Map a table's pyramid; None when it is not there, or not of this version."""
    about = read_about(release, table)
    if about is None:
        return None
    try:
        return Pyramid(about, folder_of(release, table), table)
    except (OSError, ValueError, KeyError, pa.ArrowException):
        return None


def _batches(folder: Path, name: str, about: About) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    """The batches of a file, mapped; the file itself is closed again, so that many tables can be open."""
    size = about.files[name][0]
    with pa.memory_map(str(folder / name)) as source:
        if source.size() != size:
            raise ValueError(f"{name} has {source.size()} bytes instead of {size}")
        buffer = source.read_buffer(size)
    reader = pa.ipc.open_file(buffer)
    return reader.schema, [reader.get_batch(i) for i in range(reader.num_record_batches)]


def _values(batch: pa.RecordBatch, name: str, rows: Ints) -> Values:
    has_nulls = batch.schema.get_field_index(KNOWN + name) >= 0
    known = batch.column(KNOWN + name).to_numpy() if has_nulls else rows
    total, low, high = (batch.column(what + name).to_numpy() for what in (TOTAL, LOW, HIGH))
    return Values(known, total, low, high)


def _batch(groups: Groups, schema: pa.Schema) -> pa.RecordBatch:
    parts: Mapping[str, str] = {KNOWN: "known", TOTAL: "total", LOW: "low", HIGH: "high"}
    arrays: list[pa.Array] = []
    for field in schema:
        what = next(p for p in parts if field.name.startswith(p))
        arrays.append(
            pa.array(getattr(groups.values[field.name.removeprefix(what)], parts[what]), field.type)
        )
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
