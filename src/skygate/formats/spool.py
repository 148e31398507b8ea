"""An answer kept until it is complete, and measured on the way: for formats whose heads need it."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pyarrow as pa
from pyarrow import compute

from skygate import wire
from skygate.domain.query import Outcome
from skygate.errors import HouseError
from skygate.formats.spelling import is_printable, slices
from skygate.room import Room

if TYPE_CHECKING:
    from skygate.domain.catalog import Column
    from skygate.ports import Rows

pc: Any = compute

MEMORY_BYTES = 128 << 20
"""Of one answer; what is beyond lies on disk."""
ROOM = Room(memory_bytes=256 << 20, disk_bytes=0)
"""For all answers of this process that are kept here."""


@dataclass(slots=True)
class Measure:
    """What a head must know of one column."""

    nulls: int = 0
    """Of its values; for arrays of their elements, and of whole arrays of fixed size."""
    longest: int = 0
    """Bytes of the longest text (in UTF-8), or elements of the longest array."""
    total: int = 0
    """Bytes of all texts, or elements of all arrays."""
    least: int | None = None
    greatest: int | None = None
    """Of integers, those inside arrays too."""
    printable: bool = True
    """Whether every text is printable ASCII (formats that know nothing else spell the rest out, longer)."""

    def add(self, values: pa.Array) -> None:
        """Take in another batch."""
        kind = values.type
        if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
            self._lengths(pc.list_value_length(values))
            if pa.types.is_fixed_size_list(kind):  # a null among arrays of one size still takes its room
                self.nulls += values.null_count
            values = pc.list_flatten(values)
        elif pa.types.is_string(kind):
            self._lengths(pc.binary_length(values))
            self.printable = self.printable and is_printable(values)
        self.nulls += values.null_count
        if pa.types.is_integer(values.type):
            ends = pc.min_max(values).as_py()
            if ends["min"] is not None:
                self.least = ends["min"] if self.least is None else min(self.least, ends["min"])
                self.greatest = ends["max"] if self.greatest is None else max(self.greatest, ends["max"])

    def _lengths(self, lengths: pa.Array) -> None:
        self.longest = max(self.longest, pc.max(lengths).as_py() or 0)
        self.total += pc.sum(lengths).as_py() or 0


class Spool:
    """All rows of an answer: the first in memory, the others in a temporary file without a name.

    Raises what the answer raises; memory and disk are freed by `close`, or by the end of the process.
    """

    def __init__(self, rows: Rows) -> None:
        self.columns: tuple[Column, ...] = rows.columns
        self.schema = wire.arrow_schema(rows.columns)
        self.measures = [Measure() for _ in self.columns]
        self._held: deque[pa.RecordBatch] = deque()
        self._held_bytes = 0
        self._file: BinaryIO | None = None
        self._places: list[tuple[int, int]] = []
        """Where each batch lies in the file, and its size in bytes."""
        self._written = 0
        try:
            for batch in rows:
                for measure, values in zip(self.measures, batch.columns, strict=True):
                    measure.add(values)
                for piece in slices(batch):
                    self._put(piece)
        except BaseException:
            self.close()
            raise
        self.outcome = rows.outcome or Outcome(0, overflow=False)

    def _put(self, batch: pa.RecordBatch) -> None:
        size = batch.nbytes
        if self._file is None and self._held_bytes + size <= MEMORY_BYTES and ROOM.take_memory(size):
            self._held.append(batch)
            self._held_bytes += size
            return
        if self._file is None:
            file = tempfile.TemporaryFile(prefix="skygate-answer-", buffering=0)  # noqa: SIM115
            self._file = cast("BinaryIO", file)
        data = memoryview(batch.serialize())
        self._places.append((self._written, len(data)))
        self._written += len(data)
        while data:
            data = data[self._file.write(data) :]

    def _stored(self) -> Iterator[pa.RecordBatch]:
        for offset, size in self._places:
            if self._file is None:
                raise HouseError("an answer is read that was given up")
            yield pa.ipc.read_record_batch(pa.py_buffer(_read(self._file, offset, size)), self.schema)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches, as often as wanted; none of them is large."""
        yield from self._held
        yield from self._stored()

    def last(self) -> Iterator[pa.RecordBatch]:
        """The batches for the last time: memory is freed as they go."""
        while self._held:
            batch = self._held.popleft()
            yield batch
            self._let_go(batch.nbytes)
        yield from self._stored()

    def _let_go(self, size: int) -> None:
        self._held_bytes -= size
        ROOM.give_back(memory=size)

    def close(self) -> None:
        """Free memory and disk."""
        self._held.clear()
        self._let_go(self._held_bytes)
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    """That piece of a file, to which a system call alone may not come."""
    data = os.pread(file.fileno(), size, offset)
    while len(data) < size and (more := os.pread(file.fileno(), size - len(data), offset + len(data))):
        data += more
    return data
