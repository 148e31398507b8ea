"""Answers that are all there, and making such of one that comes piece by piece.

Must not know: where rows come from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from skygate import wire
from skygate.domain.catalog import Column
from skygate.domain.query import Outcome
from skygate.ports import Rows


class Held:
    """`Rows` that are all there; may be iterated more than once."""

    def __init__(
        self, columns: tuple[Column, ...], outcome: Outcome, batches: Sequence[pa.RecordBatch] = ()
    ) -> None:
        self.columns = columns
        self.outcome: Outcome | None = outcome
        self._batches = batches

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The batches."""
        return iter(self._batches)

    @property
    def held_bytes(self) -> int | None:
        """Bytes of the rows."""
        return sum(batch.nbytes for batch in self._batches)

    def close(self) -> None:
        """Let go of the rows."""
        self._batches = ()


def whole(rows: Rows) -> pa.Table:
    """The whole answer as one table; raises what breaks it off. Blocking."""
    try:
        return pa.Table.from_batches(list(rows), wire.arrow_schema(rows.columns))
    finally:
        rows.close()
