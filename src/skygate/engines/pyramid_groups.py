"""Groups of rows by HEALPix cell, in arrays: how many rows, and of some columns counts, sums and ends.

Must not know: files, who asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Numbers = NDArray[Any]

NOWHERE = -1
"""The cell of rows without a position."""


@dataclass(frozen=True, slots=True)
class Values:
    """Of a column in each group: values that are not null, their sum, the least, the greatest.

    Sums are 64-bit integers or doubles; ends are of the column's type, and mean nothing without values.
    """

    known: Ints
    total: Numbers
    low: Numbers
    high: Numbers

    def merged(self, starts: Ints) -> Values:
        """Neighbouring groups put together, from each of `starts` to the next."""
        return Values(
            np.add.reduceat(self.known, starts),
            np.add.reduceat(self.total, starts),
            np.minimum.reduceat(self.low, starts),
            np.maximum.reduceat(self.high, starts),
        )

    def __getitem__(self, some: slice) -> Values:
        """Some of the groups."""
        return Values(self.known[some], self.total[some], self.low[some], self.high[some])


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups in ascending order of their cells."""

    cells: Ints
    rows: Ints
    values: Mapping[str, Values] = field(default_factory=dict[str, Values])

    def __len__(self) -> int:
        """How many groups."""
        return int(self.cells.size)

    def __getitem__(self, some: slice) -> Groups:
        """Some of the groups."""
        return Groups(self.cells[some], self.rows[some], {n: v[some] for n, v in self.values.items()})

    def coarser(self, orders: int) -> Groups:
        """The groups of cells so many orders coarser; NOWHERE stays alone."""
        return self.merged(self.cells >> (2 * orders))

    def merged(self, cells: Ints) -> Groups:
        """Neighbours that have the same of these cells put together."""
        starts = starts_of(cells)
        if starts.size == 0:
            return self
        values = {name: values.merged(starts) for name, values in self.values.items()}
        return Groups(cells[starts], np.add.reduceat(self.rows, starts), values)


def starts_of(cells: Ints) -> Ints:
    """Where runs of equal cells begin."""
    changed = np.empty(cells.size, np.bool_)
    changed[:1] = True
    np.not_equal(cells[1:], cells[:-1], out=changed[1:])
    return np.flatnonzero(changed)


def together(groups: Sequence[Groups]) -> Groups:
    """Groups one after the other; there is at least one to say which values there are."""
    cells, rows = (np.concatenate([getattr(g, name) for g in groups]) for name in ("cells", "rows"))
    values = {name: _joined([g.values[name] for g in groups]) for name in groups[0].values}
    return Groups(cells, rows, values)


def _joined(values: Sequence[Values]) -> Values:
    known, total, low, high = (
        np.concatenate([getattr(v, name) for v in values]) for name in ("known", "total", "low", "high")
    )
    return Values(known, total, low, high)
