"""Numbers of groups of rows from pyramids: counts, sums and ends in cells, without reading a row.

Must not know: ADQL, HTTP. Answers are those of the SQL engines (tests/contracts), sums but for rounding
(docs/decisions/107), in the order of the cells unless asked otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from skygate import wire
from skygate.domain.catalog import Column, Release
from skygate.domain.query import Limits
from skygate.domain.tally import Cells, Number, Tally, What
from skygate.engines.kept import Kept
from skygate.engines.mapped_runs import MappedRun
from skygate.engines.pyramid_files import open_pyramid, read_about
from skygate.engines.pyramid_groups import NOWHERE, Groups, Ints, Values, together

pc: Any = pyarrow.compute

_BLOCK_GROUPS = 65_536
_MOST_AT_ONCE = 4_000_000
"""Groups that are sorted or put together, for which all must be in memory; more are left to SQL."""


class Pyramids:
    """The pyramids of every version that was asked for lately. Safe to call from any thread."""

    def __init__(self) -> None:
        self._kept = Kept(open_pyramid, read_about)

    def tally(self, release: Release, asked: Tally) -> Tallied | None:
        """The numbers of a table's groups; None where SQL must find them. Rows are counted without a file."""
        rows = asked.table.rows
        if asked.is_count and rows is not None and rows == sum(part.rows for part in asked.table.parts):
            return Tallied(asked, [Groups(_one(NOWHERE), _one(rows))], 0)
        pyramid = self._kept.of(release, asked.table)
        if pyramid is None:
            return None
        names = frozenset(number.column for number in asked.numbers if number.column)
        order = max(asked.order or 0, asked.within.order if asked.within is not None else 0)
        if order > (pyramid.finest_values if names else pyramid.finest) or not names <= pyramid.columns:
            return None
        level = pyramid.level(order, names)
        if asked.within is None:
            found = Tallied(asked, [level, pyramid.nowhere(names)], order)
        else:
            spans = _spans(level.cells, order, asked.within)
            found = Tallied(asked, [level[span] for span in spans] or [level[:0]], order)
        return found if not found.is_whole or found.candidates <= _MOST_AT_ONCE else None


class Tallied:
    """Groups of rows that were found, in pieces; that of rows without a position comes last."""

    def __init__(self, asked: Tally, pieces: Sequence[Groups], order: int) -> None:
        self.candidates = sum(len(piece) for piece in pieces)
        self._asked = asked
        self._pieces = pieces
        self._order = order

    @property
    def is_whole(self) -> bool:
        """Whether all groups must be there before the first goes out."""
        asked = self._asked
        sorting = [(asked.numbers[place].what, falls) for place, falls in asked.sorting[:1]]
        as_found = asked.order == self._order and sorting in ([], [(What.CELL, False)])
        return not as_found or len(self._pieces) > 2

    def run(self, names: Sequence[str], columns: tuple[Column, ...], limits: Limits) -> MappedRun:
        """The numbers, which stand in the question."""
        del names
        return MappedRun(columns, self._batches(wire.arrow_schema(columns)), limits)

    def _batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        numbers = self._asked.numbers
        if not self.is_whole:
            for piece in self._pieces:
                for start in range(0, len(piece), _BLOCK_GROUPS):
                    yield _batch(piece[start : start + _BLOCK_GROUPS], numbers, schema)
            return
        batch = _sorted(_batch(self._together(), numbers, schema), self._asked)
        for start in range(0, batch.num_rows, _BLOCK_GROUPS):
            yield batch.slice(start, _BLOCK_GROUPS)

    def _together(self) -> Groups:
        groups = together(self._pieces)
        if self._asked.order is None:
            return _all_of(groups)
        return groups.coarser(self._order - self._asked.order)


def _all_of(groups: Groups) -> Groups:
    """Everything in one group, which may have no rows."""
    if len(groups):
        return groups.merged(np.zeros_like(groups.cells))
    nothing = {
        name: Values(_one(0), *(np.zeros(1, values.dtype) for values in (v.total, v.low, v.high)))
        for name, v in groups.values.items()
    }
    return Groups(_one(NOWHERE), _one(0), nothing)


def _spans(cells: Ints, order: int, within: Cells) -> list[slice]:
    """Where the cells of an order lie that are inside of others."""
    last = (12 << 2 * within.order) - 1
    ranges = [(low, min(high, last)) for low, high in within.ranges if low <= last]
    ends = np.array(ranges, dtype=np.int64).reshape(-1, 2)
    shift = 2 * (order - within.order)
    first, end = cells.searchsorted(ends[:, 0] << shift), cells.searchsorted((ends[:, 1] + 1) << shift)
    return [slice(a, b) for a, b in zip(first.tolist(), end.tolist(), strict=True) if a < b]


def _batch(groups: Groups, numbers: Sequence[Number], schema: pa.Schema) -> pa.RecordBatch:
    """The numbers of groups, copied: an answer holds no page of a file."""
    arrays = [
        _array(groups, number).cast(f.type, safe=False) for number, f in zip(numbers, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(groups: Groups, number: Number) -> pa.Array:
    if number.what is What.CELL:
        return pa.array(np.array(groups.cells), mask=groups.cells == NOWHERE)
    if number.what is What.ROWS:
        return pa.array(np.array(groups.rows))
    values = groups.values[number.column]
    if number.what is What.KNOWN:
        return pa.array(np.array(values.known))
    unknown = values.known == 0
    if number.what is What.MEAN:
        return pa.array(values.total / np.maximum(values.known, 1), mask=unknown)
    kept = {What.SUM: values.total, What.LEAST: values.low, What.GREATEST: values.high}
    return pa.array(np.array(kept[number.what]), mask=unknown)


def _sorted(batch: pa.RecordBatch, asked: Tally) -> pa.RecordBatch:
    """The first rows of those sorted by columns, nulls last."""
    if not asked.sorting or batch.num_rows < 2:
        return batch
    names = [str(place) for place in range(batch.num_columns)]
    keys = [(names[place], "descending" if falls else "ascending") for place, falls in asked.sorting]
    order = pc.sort_indices(pa.RecordBatch.from_arrays(batch.columns, names), keys)
    return batch.take(order if asked.top is None else order[: asked.top])


def _one(value: int) -> Ints:
    return np.array([value], dtype=np.int64)
