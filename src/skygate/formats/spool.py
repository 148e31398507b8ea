"""An answer kept on disk until it is complete, and measured on the way: for formats whose heads need it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import PROT_READ, mmap
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pyarrow as pa
from pyarrow import compute

from skygate import wire
from skygate.domain.query import Outcome
from skygate.formats.spelling import is_printable, slices

if TYPE_CHECKING:
    from skygate.domain.catalog import Column
    from skygate.ports import Rows

pc: Any = compute


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
    """All rows of an answer in a temporary file without a name, as an Arrow IPC file.

    Raises what the answer raises; the disk is freed by `close`, or by the end of the process.
    """

    def __init__(self, rows: Rows) -> None:
        self.columns: tuple[Column, ...] = rows.columns
        self.schema = wire.arrow_schema(rows.columns)
        self.measures = [Measure() for _ in self.columns]
        self._file = cast("BinaryIO", tempfile.TemporaryFile(prefix="skygate-answer-"))  # noqa: SIM115
        try:
            with pa.ipc.new_stream(self._file, self.schema) as writer:
                for batch in rows:
                    self._measure(batch)
                    for piece in slices(batch):
                        writer.write_batch(piece)
            self._file.flush()
        except BaseException:
            self.close()
            raise
        self.outcome = rows.outcome or Outcome(0, overflow=False)

    def _measure(self, batch: pa.RecordBatch) -> None:
        for measure, values in zip(self.measures, batch.columns, strict=True):
            measure.add(values)

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches again, as often as wanted; none of them is large."""
        mapped = pa.py_buffer(mmap(self._file.fileno(), 0, prot=PROT_READ))
        with pa.ipc.open_stream(mapped) as reader:
            yield from reader

    def close(self) -> None:
        """Free the disk."""
        self._file.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
