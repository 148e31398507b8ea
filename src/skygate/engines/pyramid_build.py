"""Making a table's pyramid from its Parquet parts, in bounded memory and all or nothing.

Must not know: queries, who waits for them. The cells are read first, which are one column: they say how many
groups there are at each order, and so how fine values can be kept. Rows come in the order of their cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from skygate import wire
from skygate.domain.catalog import CELL_COLUMN, CELL_ORDER, Column, Datatype, Release, Table
from skygate.engines import cache_folders, pyramid_files
from skygate.engines.part_rows import row_groups
from skygate.engines.pyramid_files import FORMAT, About, folder_of, read_about, schema_of
from skygate.engines.pyramid_groups import NOWHERE, Groups, Ints, Numbers, Values, starts_of, together
from skygate.errors import BrokenRelease

FINEST = 10
"""Cells of 3.4 arcminutes: 12.6 million, which all fit into memory."""
FINEST_VALUES = 8
_ROWS_A_CELL = 4
"""On average at least, at the finest order of a table with many rows."""
_FEW_CELLS = 100_000
_MOST_COLUMNS = 64
_BYTES_A_ROW = 12
_FEW_BYTES, _MOST_BYTES = 4 << 20, 256 << 20
"""Values of the finest order may take so many bytes for each row, and within these bounds."""
_LARGEST_TOTAL = 2.0**62

pc: Any = pyarrow.compute


def build(release: Release, table: Table, wrote: Callable[[int], None]) -> bool:
    """Make the pyramid of a table; False when another process builds, or the version has gone.

    Raises `BrokenRelease` where a part cannot be read or has other rows than the release says, `HouseError`
    where the disk is too small or refuses.
    """
    rows = table.rows or 0
    return cache_folders.build(
        release,
        table,
        folder_of(release, table),
        is_there=lambda: read_about(release, table) is not None,
        need_bytes=2.0 * min(16 * rows, 16 * 12 << 2 * FINEST) + 2.0 * _room_for_values(rows),
        write=lambda folder: _write(release, table, folder, wrote),
    )


def worth(table: Table) -> list[Column]:
    """The columns whose values are kept: numbers but for identifiers and positions, the first of many."""
    position = table.position
    apart = {table.identifier, *((position.ra, position.dec) if position is not None else ())}
    found = [
        column
        for column in table.columns
        if column.datatype.is_number
        and not column.is_array
        and column.name not in apart
        and not (column.ucd or "").startswith("meta.id")
    ]
    best = sorted(found, key=lambda column: (not column.principal, not column.datatype.is_real))
    chosen = {column.name for column in best[:_MOST_COLUMNS]}
    return [column for column in found if column.name in chosen]


def _write(release: Release, table: Table, folder: Path, wrote: Callable[[int], None]) -> About:
    """Every file but about.json."""
    finest, rows = _counted(table)
    if rows != table.rows:
        raise BrokenRelease(f"{table.full_name} has {rows} rows on disk, its manifest says {table.rows}")
    levels = _levels(finest, FINEST)
    while len(levels) > 1 and len(levels[-1]) > max(rows // _ROWS_A_CELL, _FEW_CELLS):
        levels.pop()
    columns = worth(table)
    order = _order_of_values(levels, columns, rows)
    gathered = [_Gathered(column, len(levels[order])) for column in columns]
    _gather(table, levels[order].cells, order, gathered, wrote)
    kept = [one for one in gathered if one.is_sound]
    schema = schema_of([o.column for o in kept], frozenset(o.column.name for o in kept if o.has_nulls))
    placed = int(finest.rows.sum())
    here = replace(levels[order], values={o.column.name: o.values()[:-1] for o in kept})
    nowhere = Groups(_one(NOWHERE), _one(rows - placed), {o.column.name: o.values()[-1:] for o in kept})
    pyramid_files.write(folder, levels, [*_levels(here, order), nowhere], schema)
    return About(FORMAT, release.checksum, rows, placed, cache_folders.marks(folder))


def _counted(table: Table) -> tuple[Groups, int]:
    """The cells of the finest order, and how many rows the table has on disk."""
    found = [Groups(np.empty(0, np.int64), np.empty(0, np.int64))]
    rows, last = 0, -1
    for part, batch in row_groups(table, [CELL_COLUMN]):
        rows += batch.num_rows
        if part.first_cell is None or batch.num_rows == 0:
            continue
        if batch.column(0).null_count:
            raise BrokenRelease(f"{table.full_name} has rows without a cell among those that have one")
        cells = batch.column(0).to_numpy()
        if cells[0] < last or (cells[1:] < cells[:-1]).any():
            raise BrokenRelease(f"{table.full_name} is not sorted by cell")
        last = int(cells[-1])
        fine = cells >> (2 * (CELL_ORDER - FINEST))
        starts = starts_of(fine)
        found.append(Groups(fine[starts], np.diff(starts, append=fine.size)))
    joined = together(found)
    return joined.merged(joined.cells), rows


def _levels(finest: Groups, order: int) -> list[Groups]:
    """Every order from 0, of groups of the finest."""
    levels = [finest]
    for _ in range(order):
        levels.append(levels[-1].coarser(1))
    return levels[::-1]


def _order_of_values(levels: Sequence[Groups], columns: Sequence[Column], rows: int) -> int:
    """The finest order at which values take no more than their room."""
    bytes_a_cell = sum(16 + 2 * wire.arrow_type(column).bit_width // 8 for column in columns)
    room = _room_for_values(rows)
    fitting = [k for k, level in enumerate(levels[: FINEST_VALUES + 1]) if len(level) * bytes_a_cell <= room]
    return max(fitting, default=0)


def _room_for_values(rows: int) -> int:
    return min(max(_BYTES_A_ROW * rows, _FEW_BYTES), _MOST_BYTES)


def _gather(
    table: Table, cells: Ints, order: int, gathered: Sequence[_Gathered], wrote: Callable[[int], None]
) -> None:
    """Add the values of all rows up, cell by cell, and those of rows without a position after the last."""
    names = [one.column.name for one in gathered]
    done = 0
    for part, batch in row_groups(table, [*names, CELL_COLUMN]):
        if batch.num_rows:
            if part.first_cell is None:
                starts, first = np.zeros(1, np.int64), cells.size
            else:
                mine = batch.column(CELL_COLUMN).to_numpy() >> (2 * (CELL_ORDER - order))
                starts = starts_of(mine)
                first = int(cells.searchsorted(mine[0]))
                if not np.array_equal(cells[first : first + starts.size], mine[starts]):
                    raise BrokenRelease(f"{table.full_name} has changed while it was read")
            for one in gathered:
                kind = wire.arrow_type(one.column)
                one.add(first, starts, batch.column(one.column.name).cast(kind))
        done += batch.num_rows
        wrote(done)


class _Gathered:
    """What is known of a column so far, in each cell, and at last of the rows without a position."""

    def __init__(self, column: Column, cells: int) -> None:
        self.column = column
        self.has_nulls = False
        kind = np.dtype(wire.arrow_type(column).to_pandas_dtype())
        self._wide = np.dtype(np.float64 if column.datatype.is_real else np.int64)
        self._ends = _ends(kind)
        self._most = 0.0
        size = cells + 1
        self._known = np.zeros(size, np.int64)
        self._total = np.zeros(size, self._wide)
        self._low, self._high = (np.full(size, end, kind) for end in self._ends)

    def add(self, first: int, starts: Ints, values: pa.Array) -> None:
        """The values of rows that lie in cells from `first` on, each of which begins at one of `starts`."""
        here = slice(first, first + starts.size)
        if values.null_count == 0:
            low = high = numbers = values.to_numpy()
            self._known[here] += np.diff(starts, append=numbers.size)
        else:
            self.has_nulls = True
            valid = values.is_valid().to_numpy(zero_copy_only=False)
            self._known[here] += np.add.reduceat(valid, starts, dtype=np.int64)
            numbers = pc.fill_null(values, 0).to_numpy()
            low, high = (np.where(valid, numbers, end) for end in self._ends)
        wide = numbers.astype(self._wide)
        with np.errstate(all="ignore"):
            self._total[here] += np.add.reduceat(wide, starts)
            if self.column.datatype is Datatype.LONG:
                self._most += float(np.abs(wide.astype(np.float64)).sum())
            np.minimum(self._low[here], np.minimum.reduceat(low, starts), out=self._low[here])
            np.maximum(self._high[here], np.maximum.reduceat(high, starts), out=self._high[here])

    @property
    def is_sound(self) -> bool:
        """Whether all sums are what they should be: no value is infinite or NaN, and no sum too large."""
        with np.errstate(all="ignore"):
            most = np.abs(self._total.astype(np.float64)).sum()  # no sum of several cells is larger
        return bool(np.isfinite(most)) and self._most < _LARGEST_TOTAL

    def values(self) -> Values:
        """All of it."""
        return Values(self._known, self._total, self._low, self._high)


def _ends(kind: np.dtype[Any]) -> tuple[Numbers, Numbers]:
    """What is no less, and what no greater, than any number of a type."""
    if kind.kind == "f":
        return np.array(np.inf, kind), np.array(-np.inf, kind)
    return np.array(np.iinfo(kind).max, kind), np.array(np.iinfo(kind).min, kind)


def _one(value: int) -> Ints:
    return np.array([value], dtype=np.int64)
