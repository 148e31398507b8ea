"""Two tables met by position: pairs of rows from mapped columns, found along the sky by a few threads.

Must not know: SQL, plans. A walk along the smaller table's rows looks up the cells that a disc about each
touches in the other's; cells are a superset, and the test of `sky/match.py` decides.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skygate import wire
from skygate.domain.catalog import CELL_ORDER, Column
from skygate.domain.query import Limits, Paired
from skygate.engines.mapped_files import TOP_STEP, Mapped
from skygate.engines.mapped_runs import BLOCK_ROWS, Batches, MappedRun, in_pieces, scattered
from skygate.sky import match
from skygate.sky.cells import cell_size_deg

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Some = tuple[Ints, Ints, Ints]
T = TypeVar("T")
U = TypeVar("U")

_MARGIN_DEG = 1e-9
"""More than the tolerance of the test and all rounding."""


class JoinedRows:
    """Pairs of rows of two tables, one of each, that lie within a radius of each other."""

    def __init__(self, one: Mapped, other: Mapped, wanted: Paired, threads: int) -> None:
        self._mapped = (one, other)
        self._wanted = wanted
        self._threads = threads
        self._turned = one.about.placed > other.about.placed
        """Whether the walk is along the second table."""
        crowded = one if self._turned else other
        self._order = match.matching_order(wanted.radius_deg, crowding_of(crowded))
        self.candidates = one.about.placed + other.about.placed

    def run(self, names: Sequence[tuple[int, str]], columns: tuple[Column, ...], limits: Limits) -> MappedRun:
        """Columns of the first (0) and second (1) table; a name '' is the separation from that one."""
        return MappedRun(columns, self._batches(names, wire.arrow_schema(columns)), limits)

    def _batches(self, names: Sequence[tuple[int, str]], schema: pa.Schema) -> Batches:
        one, other = self._mapped
        mine, theirs = (other, one) if self._turned else (one, other)
        wanted = self._wanted
        limit = match.half_chord_limit(wanted.radius_deg, rim=wanted.rim)
        if not wanted.rim:
            limit = float(np.nextafter(limit, -1.0))  # less than, where the test is "at most"
        size = mine.about.placed
        blocks = ((start, min(size, start + BLOCK_ROWS)) for start in range(0, size, BLOCK_ROWS))
        near = partial(_near, mine, theirs, wanted.radius_deg, self._order)
        pairs = partial(_pairs, mine, theirs, wanted.radius_deg, limit)
        with ThreadPoolExecutor(self._threads, thread_name_prefix="skygate-join") as pool:
            try:
                spans = _ahead(pool, near, blocks, self._threads + 1)
                pieces = (piece for found in spans for piece in _divided(found))
                for my_rows, their_rows in _ahead(pool, pairs, pieces, self._threads + 1):
                    rows = (their_rows, my_rows) if self._turned else (my_rows, their_rows)
                    if my_rows.size == 0:
                        yield None
                    for at in range(0, my_rows.size, BLOCK_ROWS):
                        piece = slice(at, at + BLOCK_ROWS)
                        yield self._taken((rows[0][piece], rows[1][piece]), names, schema)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def _taken(
        self, rows: tuple[Ints, Ints], names: Sequence[tuple[int, str]], schema: pa.Schema
    ) -> pa.RecordBatch:
        """The columns of pairs of rows."""
        found: dict[tuple[int, str], pa.Array] = {}
        for side in (0, 1):
            own = tuple(dict.fromkeys(name for of, name in names if of == side and name))
            if own:
                arrays = scattered(self._mapped[side], rows[side], own)
                found |= {(side, name): array for name, array in zip(own, arrays, strict=True)}
            if (side, "") in names:
                (here, at), (there, near) = (
                    (self._mapped[of], rows[of]) for of in ((0, 1) if side == 0 else (1, 0))
                )
                apart = match.angles_deg(here.ra[at], here.dec[at], there.ra[near], there.dec[near])
                found[side, ""] = pa.array(apart)
        return pa.RecordBatch.from_arrays([found[name] for name in names], schema=schema)


def crowding_of(mapped: Mapped) -> float:
    """Rows in a square degree as a typical row has them around it, from how far apart `tops` lie."""
    gaps = np.diff(mapped.tops)
    if gaps.size < 4:
        return 0.0
    cell = cell_size_deg(CELL_ORDER) ** 2
    return float(TOP_STEP / max(cell, float(np.median(gaps)) * cell))


def _near(mine: Mapped, theirs: Mapped, radius_deg: float, order: int, block: tuple[int, int]) -> Some:
    """(my row, first, end): the rows of the other table in the cells around those of a block."""
    start, end = block
    rows, cells = match.touched_by(mine.cells[start:end], radius_deg, order)
    shift = 2 * (CELL_ORDER - order)
    sought, place = np.unique(cells, return_inverse=True)
    # a block is a small part of the sky: search only there
    low = int(theirs.cells.searchsorted(int(sought[0]) << shift)) if sought.size else 0
    high = int(theirs.cells.searchsorted((int(sought[-1]) + 1) << shift)) if sought.size else 0
    there = theirs.cells[low:high]
    first, last = there.searchsorted(sought << shift) + low, there.searchsorted((sought + 1) << shift) + low
    held = np.flatnonzero((last > first)[place])
    held = held[np.argsort(rows[held], kind="stable")]
    return rows[held] + start, first[place[held]], last[place[held]]


def _divided(found: Some) -> Iterator[Some]:
    """Spans in pieces of a bounded number of candidates."""
    rows, first, end = found
    for some in in_pieces(rows, end - first):
        yield rows[some], first[some], end[some]


def _pairs(mine: Mapped, theirs: Mapped, radius_deg: float, limit: float, some: Some) -> tuple[Ints, Ints]:
    """(my row, their row) of the candidates that lie close, in the order of both."""
    rows, first, end = some
    of_span, their_rows = match.rows_of_spans(first, end)
    my_rows = rows[of_span]
    # a difference of declinations is no more than the distance: a look that leaves out most
    close = np.abs(mine.dec[my_rows] - theirs.dec[their_rows]) <= radius_deg + _MARGIN_DEG
    my_rows, their_rows = my_rows[close], their_rows[close]
    near = (
        match.half_chords(mine.ra[my_rows], mine.dec[my_rows], theirs.ra[their_rows], theirs.dec[their_rows])
        <= limit
    )
    return my_rows[near], their_rows[near]


def _ahead(pool: ThreadPoolExecutor, act: Callable[[T], U], items: Iterable[T], most: int) -> Iterator[U]:
    """What `act` makes of each item, in order, a few of them ahead in other threads."""
    waiting: deque[Future[U]] = deque()
    for item in items:
        waiting.append(pool.submit(act, item))
        if len(waiting) > most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
