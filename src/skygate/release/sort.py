"""An external sort: batches in any order come back sorted by cell, in bounded memory.

Batches gather in a buffer; a full buffer becomes a sorted run, an Arrow IPC file in the scratch
directory; the runs are merged a stretch of cells at a time. The order is stable: rows of one cell keep
the order in which they came. What fits into one buffer never touches the disk.

Must not know: Parquet, HATS, what the cells mean.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc as ipc
from numpy.typing import NDArray

BUFFER_BYTES = 256 * 2**20
"""Size of one run. At most three buffers exist at once: one filling, one being sorted and its copy."""
STRETCH_BYTES = 4 * 2**20
"""Size of the record batches of a run; a merge holds one batch of each run."""
FAN_IN = 64
"""Most runs merged at once; more are first merged into longer ones."""

Cells = NDArray[np.int64]


class Run(Protocol):
    """Rows sorted by cell, to be read once from the beginning."""

    cells: Cells

    def tables(self) -> Iterator[tuple[Cells, pa.Table]]:
        """Stretches of rows in order, each with its cells."""
        ...

    def close(self) -> None:
        """Free memory and disk."""
        ...


@dataclass(slots=True)
class _MemoryRun:
    """A run that fitted into the buffer."""

    cells: Cells
    table: pa.Table | None

    def tables(self) -> Iterator[tuple[Cells, pa.Table]]:
        """The whole run at once."""
        if self.table is not None:
            yield self.cells, self.table

    def close(self) -> None:
        """Let the rows go."""
        self.table = None


@dataclass(slots=True)
class _DiskRun:
    """A run in two files: rows as Arrow IPC, and their cells by themselves (mapped, to count from)."""

    cells: Cells
    path: Path

    def tables(self) -> Iterator[tuple[Cells, pa.Table]]:
        """One record batch at a time. Read, not mapped: a mapping would count as resident memory."""
        with pa.OSFile(os.fspath(self.path), "rb") as source, ipc.open_file(source) as reader:
            start = 0
            for number in range(reader.num_record_batches):
                batch = reader.get_batch(number)
                cells = np.asarray(self.cells[start : start + batch.num_rows])
                start += batch.num_rows
                yield cells, pa.Table.from_batches([batch])

    def close(self) -> None:
        """Remove the files."""
        self.path.unlink(missing_ok=True)
        self.path.with_suffix(".npy").unlink(missing_ok=True)


class _RunFile:
    """A run being written."""

    def __init__(self, path: Path, schema: pa.Schema, rows: int) -> None:
        self._path = path
        self._rows = rows
        self._sink = pa.OSFile(os.fspath(path), "wb")
        self._writer = ipc.new_file(self._sink, schema)
        self._cells = np.lib.format.open_memmap(
            path.with_suffix(".npy"), mode="w+", dtype=np.int64, shape=(rows,)
        )
        self._done = 0

    def write(self, cells: Cells, table: pa.Table) -> None:
        """Append rows."""
        width = max(1, table.nbytes // max(1, table.num_rows))
        self._writer.write_table(table, max_chunksize=max(1024, STRETCH_BYTES // width))
        self._cells[self._done : self._done + cells.size] = cells
        self._done += cells.size

    def close(self) -> _DiskRun:
        """End the files and open them as a run."""
        self._writer.close()
        self._sink.close()
        self._cells.flush()
        cells = np.asarray(np.load(self._path.with_suffix(".npy"), mmap_mode="r"))
        return _DiskRun(cells, self._path)


class Sorted:
    """Rows in order: counted as often as one likes, read once."""

    def __init__(self, runs: Sequence[Run], rows: int) -> None:
        self._runs = tuple(runs)
        self.rows = rows

    def count(self, first: int, last: int) -> int:
        """Rows with a cell from `first` to `last`, both inclusive."""
        total = 0
        for run in self._runs:
            low = np.searchsorted(run.cells, first, side="left")
            total += int(np.searchsorted(run.cells, last, side="right") - low)
        return total

    def tables(self) -> Iterator[tuple[Cells, pa.Table]]:
        """Stretches of rows in order, each with its cells."""
        return _merge(self._runs)

    def close(self) -> None:
        """Free memory and disk."""
        for run in self._runs:
            run.close()


class Sorter:
    """Takes batches with cells; `finish` gives them back sorted. Runs are sorted and written by a thread."""

    def __init__(
        self,
        schema: pa.Schema,
        scratch: Path,
        *,
        key: str,
        buffer_bytes: int = BUFFER_BYTES,
        fan_in: int = FAN_IN,
    ) -> None:
        self._schema = schema
        self._key = key
        self._scratch = scratch
        self._limit = buffer_bytes
        self._fan_in = fan_in
        self._buffer: list[pa.RecordBatch] = []
        self._bytes = 0
        self._rows = 0
        self._runs: list[Run] = []
        self._numbers = itertools.count()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sort")
        self._pending: Future[Run] | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows; may wait for the previous run to reach the disk."""
        if not batch.num_rows:
            return
        self._buffer.append(batch)
        self._bytes += batch.nbytes
        self._rows += batch.num_rows
        if self._bytes >= self._limit:
            self._collect()
            batches, self._buffer, self._bytes = self._buffer, [], 0
            self._pending = self._thread.submit(self._spill, batches)

    def finish(self) -> Sorted:
        """Sort what is left, merge runs until at most the fan-in remain."""
        self._collect()
        if self._buffer:
            cells, table = _sort(self._buffer, self._schema, self._key)
            self._runs.append(_MemoryRun(cells, table))
            self._buffer = []
        while len(self._runs) > self._fan_in:
            self._runs = [self._longer(group) for group in _groups(self._runs, self._fan_in)]
        self._thread.shutdown()
        return Sorted(self._runs, self._rows)

    def close(self) -> None:
        """Give up: stop the thread and remove what is on disk."""
        self._buffer = []
        if self._pending is not None and self._pending.exception() is None:
            self._runs.append(self._pending.result())
        self._pending = None
        self._thread.shutdown()
        for run in self._runs:
            run.close()

    def _collect(self) -> None:
        if self._pending is not None:
            self._runs.append(self._pending.result())
            self._pending = None

    def _path(self) -> Path:
        return self._scratch / f"run-{next(self._numbers):05d}.arrow"

    def _spill(self, batches: list[pa.RecordBatch]) -> Run:
        cells, table = _sort(batches, self._schema, self._key)
        batches.clear()
        file = _RunFile(self._path(), self._schema, cells.size)
        file.write(cells, table)
        return file.close()

    def _longer(self, runs: Sequence[Run]) -> Run:
        if len(runs) == 1:
            return runs[0]
        file = _RunFile(self._path(), self._schema, sum(run.cells.size for run in runs))
        for cells, table in _merge(runs):
            file.write(cells, table)
        for run in runs:
            run.close()
        return file.close()


def _groups(runs: Sequence[Run], size: int) -> Iterator[Sequence[Run]]:
    for start in range(0, len(runs), size):
        yield runs[start : start + size]


def _sort(batches: Sequence[pa.RecordBatch], schema: pa.Schema, key: str) -> tuple[Cells, pa.Table]:
    """Rows of some batches in order of their cells, and the cells."""
    table = pa.Table.from_batches(batches, schema=schema)
    return _reorder(table, table.column(key).to_numpy())


def _reorder(table: pa.Table, cells: Cells) -> tuple[Cells, pa.Table]:
    """Sort stably; a column at a time, so that only one column is there twice."""
    if cells.size < 2 or bool((cells[1:] >= cells[:-1]).all()):
        return cells, table
    order = np.argsort(cells, kind="stable")
    indices = pa.array(order)
    columns: list[pa.Array] = []
    for column in table.columns:
        whole = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
        columns.append(pc.take(whole, indices, boundscheck=False))
    return cells[order], pa.Table.from_arrays(columns, schema=table.schema)


class _Cursor:
    """The stretch of a run that the merge has reached."""

    __slots__ = ("_at", "_stretches", "cells", "table")

    def __init__(self, run: Run) -> None:
        self._stretches = run.tables()
        self.cells: Cells = np.empty(0, np.int64)
        self.table: pa.Table | None = None
        self._at = 0

    def ready(self) -> bool:
        """Whether rows are left; brings in the next stretch where the last is used up."""
        while self._at >= self.cells.size:
            following = next(self._stretches, None)
            if following is None:
                self.cells, self.table = np.empty(0, np.int64), None
                return False
            self.cells, self.table = following
            self._at = 0
        return True

    @property
    def last(self) -> int:
        """The highest cell at hand."""
        return int(self.cells[-1])

    def take(self, until: int, *, inclusive: bool) -> tuple[Cells, pa.Table] | None:
        """Rows below cell `until`, or up to and with it; None where there are none."""
        start = self._at
        stop = int(np.searchsorted(self.cells, until, side="right" if inclusive else "left"))
        if stop <= start or self.table is None:
            return None
        self._at = stop
        return self.cells[start:stop], self.table.slice(start, stop - start)


def _merge(runs: Sequence[Run]) -> Iterator[tuple[Cells, pa.Table]]:
    """Merge sorted runs, as far at a time as the shortest stretch at hand reaches.

    Ties: a row of an earlier run comes first. So where run `r` bounds the step at cell `c`, later runs
    give only rows below `c`: run `r` may have more rows of cell `c` in its next stretch.
    """
    cursors = [_Cursor(run) for run in runs]
    while cursors := [cursor for cursor in cursors if cursor.ready()]:
        until = min(cursor.last for cursor in cursors)
        bounding = next(i for i, cursor in enumerate(cursors) if cursor.last == until)
        taken = [cursor.take(until, inclusive=i <= bounding) for i, cursor in enumerate(cursors)]
        pieces = [piece for piece in taken if piece is not None]
        if len(pieces) == 1:
            yield pieces[0]
            continue
        cells = np.concatenate([cells for cells, _ in pieces])
        yield _reorder(pa.concat_tables([table for _, table in pieces]), cells)
