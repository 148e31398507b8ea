"""Parquet files of a table: how they are encoded, and two threads that write them.

Encodings were chosen by measurement: BYTE_STREAM_SPLIT for floats and DELTA_BINARY_PACKED for integers
with zstd take 40 % less room than pyarrow's defaults, whose dictionary on floats is the main waste.

Must not know: HEALPix, releases.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from skygate.release.durable import sha256_of, sync_file

FILE_ROWS = 1_000_000
"""Most rows of one file."""
GROUP_ROWS = 120_000
"""Most rows of one row group: readers pay per group when they plan, per row when they read."""
GROUP_BYTES = 256 * 2**20
"""Most bytes (in memory) of one row group: a table of a thousand columns gets fewer rows a group."""
IN_FLIGHT_BYTES = 512 * 2**20
"""Rows that may wait for the writers."""


@dataclass(frozen=True, slots=True)
class Written:
    """A finished file."""

    path: Path
    rows: int
    size_bytes: int
    sha256: str
    row_groups: int


def group_rows(width_bytes: float) -> int:
    """Rows of a row group for rows of this size in memory."""
    return max(1, min(GROUP_ROWS, int(GROUP_BYTES // max(1.0, width_bytes))))


def even_groups(rows: int, most: int) -> Iterator[int]:
    """Cut rows into as few groups of at most `most` as possible, all of about the same size."""
    groups = -(-rows // most)
    for number in range(groups):
        yield rows * (number + 1) // groups - rows * number // groups


def encoding(schema: pa.Schema, *, sorted_by: str | None = None) -> dict[str, Any]:
    """Arguments of `pyarrow.parquet.ParquetWriter` for a schema."""
    encodings: dict[str, str] = {}
    dictionary: list[str] = []
    for field in schema:
        kind, path = field.type, field.name
        if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind):
            kind, path = kind.value_type, f"{field.name}.list.element"
        if pa.types.is_floating(kind):
            encodings[path] = "BYTE_STREAM_SPLIT"
        elif pa.types.is_integer(kind) or pa.types.is_temporal(kind):
            encodings[path] = "DELTA_BINARY_PACKED"
        elif not pa.types.is_boolean(kind):
            dictionary.append(path)
    options: dict[str, Any] = {
        "compression": "zstd",
        "compression_level": 3,
        "use_dictionary": dictionary,
        "column_encoding": encodings,
        "write_statistics": True,
    }
    if sorted_by is not None:
        options["sorting_columns"] = [pq.SortingColumn(schema.get_field_index(sorted_by))]
    return options


class _Budget:
    """Bytes in flight: `take` waits until there is room (one piece of any size always fits)."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._used = 0
        self._changed = threading.Condition()

    def take(self, size: int) -> None:
        with self._changed:
            while self._used and self._used + size > self._most:
                self._changed.wait()
            self._used += size

    def give(self, size: int) -> None:
        with self._changed:
            self._used -= size
            self._changed.notify_all()


class _File:
    """One file being written: row groups wait in its queue, None ends it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.queue: SimpleQueue[pa.Table | None] = SimpleQueue()
        self.future: Future[Written] | None = None


class PartWriter:
    """Writes one file after another; row groups are encoded by threads, in order within a file.

    A fault of a thread (a full disk) is raised by the next call.
    """

    def __init__(self, schema: pa.Schema, *, sorted_by: str | None = None, threads: int = 2) -> None:
        self._schema = schema
        self._options = encoding(schema, sorted_by=sorted_by)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="parquet")
        self._budget = _Budget(IN_FLIGHT_BYTES)
        self._files: list[_File] = []
        self._open: _File | None = None
        self._failed = threading.Event()

    def begin(self, path: Path) -> None:
        """Start the next file; its directory is made."""
        self.end()
        path.parent.mkdir(parents=True, exist_ok=True)
        file = _File(path)
        file.future = self._pool.submit(self._write, file)
        self._files.append(file)
        self._open = file

    def write(self, group: pa.Table) -> None:
        """Append a row group; may wait for the writers."""
        if self._failed.is_set():
            self.finish()
        if self._open is None:
            raise ValueError("no file was begun")
        self._budget.take(group.nbytes)
        self._open.queue.put(group)

    def end(self) -> None:
        """No more rows for the open file."""
        if self._open is not None:
            self._open.queue.put(None)
            self._open = None

    def finish(self) -> list[Written]:
        """Wait for all files: what was written, in order of `begin`. All are flushed to the disk."""
        self.end()
        self._pool.shutdown()
        return [file.future.result() for file in self._files if file.future is not None]

    def close(self) -> None:
        """Give up; files may stay behind unfinished."""
        self._failed.set()
        self.end()
        self._pool.shutdown()

    def _write(self, file: _File) -> Written:
        try:
            return self._encode(file)
        except BaseException:
            self._failed.set()
            raise

    def _encode(self, file: _File) -> Written:
        rows = groups = 0
        try:
            with pq.ParquetWriter(file.path, self._schema, **self._options) as writer:
                while (group := file.queue.get()) is not None:
                    size = group.nbytes
                    try:
                        if not self._failed.is_set():
                            writer.write_table(group, row_group_size=max(1, group.num_rows))
                    finally:
                        self._budget.give(size)
                    rows += group.num_rows
                    groups += 1
        except BaseException:
            self._failed.set()
            while (group := file.queue.get()) is not None:
                self._budget.give(group.nbytes)
            raise
        sync_file(file.path)
        return Written(file.path, rows, file.path.stat().st_size, sha256_of(file.path), groups)


class PlainWriter:
    """Rows in the order in which they come, as `part-00000.parquet` and on."""

    def __init__(self, schema: pa.Schema, folder: Path, *, threads: int = 2) -> None:
        self._schema = schema
        self._folder = folder
        self._writer = PartWriter(schema, threads=threads)
        self._buffer: list[pa.RecordBatch] = []
        self._waiting = 0
        self._group = 0
        self._in_file = 0
        self._files = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows."""
        if not batch.num_rows:
            return
        if not self._group:
            self._group = group_rows(batch.nbytes / batch.num_rows)
        self._buffer.append(batch)
        self._waiting += batch.num_rows
        while self._waiting >= self._group:
            self._flush(self._group)

    def finish(self) -> list[Written]:
        """Write what is left."""
        if self._waiting:
            self._flush(self._waiting)
        return self._writer.finish()

    def close(self) -> None:
        """Give up."""
        self._buffer = []
        self._writer.close()

    def _flush(self, rows: int) -> None:
        rows = min(rows, FILE_ROWS - self._in_file)
        table = pa.Table.from_batches(self._buffer, schema=self._schema)
        group, rest = table.slice(0, rows), table.slice(rows)
        self._buffer = rest.to_batches() if rest.num_rows else []
        self._waiting -= rows
        if not self._in_file:
            self._writer.begin(self._folder / f"part-{self._files:05d}.parquet")
            self._files += 1
        self._writer.write(group.combine_chunks())
        self._in_file = (self._in_file + rows) % FILE_ROWS
