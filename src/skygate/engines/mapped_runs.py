"""Answers from mapped columns as record batches, a bounded piece at a time.

Must not know: how spans of rows are found, files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skygate import wire
from skygate.domain.catalog import Column
from skygate.domain.condition import Condition
from skygate.domain.query import Limits, Near, Outcome, Within
from skygate.engines.mapped_files import Mapped
from skygate.engines.mapped_where import by_batch, fulfilling
from skygate.errors import Cancelled, HouseError, TooCostly
from skygate.sky import exact, match

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Batches = Iterator[pa.RecordBatch | None]
"""None where nothing was found for a while: a moment to stop."""

BLOCK_ROWS = 65_536
_MARGIN_DEG = 1e-9
"""More than the tolerance of the test and all rounding."""
_BLOCK_PAIRS = 1_000_000
_SLICES = 8
_ONE_BY_ONE = 24
"""Rows that are tested in plain Python rather than with arrays."""


class MappedRun:
    """An answer being read: iterate once; `cancel` and `close` come from any thread."""

    def __init__(self, columns: tuple[Column, ...], batches: Batches, limits: Limits) -> None:
        self.columns = columns
        self.outcome: Outcome | None = None
        self._batches = batches
        self._limits = limits
        self._stopped = False
        self._started = False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """The rows; ends with `outcome` set, or raises `Cancelled`, `TooCostly`."""
        if self._started:
            raise HouseError("an answer is iterated twice")
        self._started = True
        due = time.monotonic() + self._limits.seconds - self._limits.spent_s
        left, overflow, rows = self._limits.maxrec, False, 0
        for batch in self._batches:
            if self._stopped:
                raise Cancelled("the query was cancelled")
            if time.monotonic() > due:
                raise TooCostly(
                    f"the query ran longer than the limit of {self._limits.seconds:g} s",
                    hint="ask for less: fewer rows, a smaller part of the sky, a condition on the position",
                )
            if batch is None:
                continue
            overflow = batch.num_rows > left
            kept = batch.slice(0, left) if overflow else batch
            left -= kept.num_rows
            rows += kept.num_rows
            if kept.num_rows:
                yield kept
            if overflow:
                break
        if self._stopped:
            raise Cancelled("the query was cancelled")
        self.outcome = Outcome(rows, overflow)

    def cancel(self) -> None:
        """Stop at the next piece."""
        self._stopped = True

    def close(self) -> None:
        """Stop, and hold nothing."""
        self._stopped = True


def placed_batches(
    mapped: Mapped,
    wanted: Near | Within,
    where: Condition | None,
    spans: Sequence[tuple[int, int]],
    *,
    names: tuple[str, ...],
    schema: pa.Schema,
    most: int,
) -> Batches:
    """The rows of spans that lie in a region and of which `where` is true, `most` of them or a few more."""
    if isinstance(wanted, Near) and sum(end - first for first, end in spans) <= _ONE_BY_ONE:
        few = _one_by_one(mapped, wanted, spans)
        if where is not None:
            few = fulfilling(mapped, few, where)
        yield from taken_batches(mapped, few[:most], names, schema)
        return
    inside = _in_disc(wanted) if isinstance(wanted, Near) else partial(exact.contains, wanted.polygon)
    found = 0
    for block in _blocks(spans):
        rows = np.concatenate([np.arange(first, end) for first, end in block])
        if where is None:
            ra = np.concatenate([mapped.ra[first:end] for first, end in block])
            dec = np.concatenate([mapped.dec[first:end] for first, end in block])
        else:  # values are compared faster than positions are looked at
            rows = fulfilling(mapped, rows, where)
            ra, dec = mapped.ra[rows], mapped.dec[rows]
        rows = rows[inside(ra, dec)][: most - found]
        yield from taken_batches(mapped, rows, names, schema) if rows.size else (None,)
        found += rows.size
        if found >= most:
            return


def _limit_of(wanted: Near) -> float:
    limit = match.half_chord_limit(wanted.circle.radius_deg, rim=wanted.rim)
    # less than, where the test is "at most"
    return limit if wanted.rim else float(np.nextafter(limit, -1.0))


def _in_disc(wanted: Near) -> Callable[[Floats, Floats], NDArray[np.bool_]]:
    center, limit = wanted.circle.center, _limit_of(wanted)

    def inside(ra: Floats, dec: Floats) -> NDArray[np.bool_]:
        return np.asarray(match.half_chords(center.ra_deg, center.dec_deg, ra, dec) <= limit)

    return inside


def _one_by_one(mapped: Mapped, wanted: Near, spans: Sequence[tuple[int, int]]) -> Ints:
    center, limit = wanted.circle.center, _limit_of(wanted)
    few: list[int] = []
    for first, end in spans:
        few += match.rows_inside(
            center.ra_deg, center.dec_deg, limit, mapped.ra_seen, mapped.dec_seen, range(first, end)
        )
    return np.array(few, dtype=np.int64)


def taken_batches(mapped: Mapped, rows: Ints, names: tuple[str, ...], schema: pa.Schema) -> Batches:
    """Rows by ascending number, batch by batch."""
    for number, part in by_batch(mapped, rows):
        yield _taken(mapped.batch(number), part - mapped.starts[number], names, schema)


def matched_batches(
    mapped: Mapped,
    positions: pa.Table,
    radius_deg: float,
    *,
    names: tuple[str, ...],
    columns: tuple[Column, ...],
    nearest: bool,
    spans: Callable[[Floats, Floats], tuple[Ints, Ints, Ints]],
) -> Batches:
    """The positions' own columns, the separation and the columns `names`, by position and separation.

    `spans` gives (disc, first, end) of rows that may lie in discs around positions, ordered by disc.
    """
    schema = wire.arrow_schema(columns)
    positions = positions.combine_chunks()
    ra, dec = (positions.column(name).to_numpy() for name in ("ra", "dec"))
    limit = match.half_chord_limit(radius_deg)
    for start in range(0, len(ra), BLOCK_ROWS):
        here, there = ra[start : start + BLOCK_ROWS], dec[start : start + BLOCK_ROWS]
        discs, first, end = spans(here, there)
        for some in in_pieces(discs, end - first):
            of_span, rows = match.rows_of_spans(first[some], end[some])
            mine = discs[some][of_span]
            # a difference of declinations is no more than the distance: a look that leaves out most
            close = np.abs(there[mine] - mapped.dec[rows]) <= radius_deg + _MARGIN_DEG
            mine, rows = mine[close], rows[close]
            near = match.half_chords(here[mine], there[mine], mapped.ra[rows], mapped.dec[rows]) <= limit
            mine, rows = mine[near], rows[near]
            apart = match.angles_deg(here[mine], there[mine], mapped.ra[rows], mapped.dec[rows])
            sorting = np.lexsort((rows, apart, mine))
            mine, rows, apart = mine[sorting], rows[sorting], apart[sorting]
            if nearest and mine.size:
                best = np.concatenate([[True], mine[1:] != mine[:-1]])
                mine, rows, apart = mine[best], rows[best], apart[best]
            if mine.size == 0:
                yield None
            for at in range(0, mine.size, BLOCK_ROWS):
                piece = slice(at, at + BLOCK_ROWS)
                sent = positions.take(pa.array(mine[piece] + start)).combine_chunks().columns
                arrays = [c.chunk(0) for c in sent] + [pa.array(apart[piece])]
                arrays += scattered(mapped, rows[piece], names)
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def in_pieces(discs: Ints, counts: Ints) -> Iterator[slice]:
    """Slices with a bounded number of candidates each; no disc is divided."""
    total = np.cumsum(counts)
    begin = 0
    while begin < discs.size:
        before = int(total[begin - 1]) if begin else 0
        end = int(np.searchsorted(total, before + _BLOCK_PAIRS, side="right"))
        if end < discs.size:
            whole = int(np.searchsorted(discs, discs[end], side="left"))
            end = whole if whole > begin else int(np.searchsorted(discs, discs[begin], side="right"))
        yield slice(begin, end)
        begin = end


def _blocks(spans: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Spans in pieces of a bounded number of rows."""
    block: list[tuple[int, int]] = []
    room = BLOCK_ROWS
    for first, end in spans:
        at = first
        while at < end:
            until = min(end, at + room)
            block.append((at, until))
            room -= until - at
            at = until
            if room == 0:
                yield block
                block, room = [], BLOCK_ROWS
    if block:
        yield block


def _taken(batch: pa.RecordBatch, rows: Ints, names: tuple[str, ...], schema: pa.Schema) -> pa.RecordBatch:
    """Ascending rows of one batch, copied: an answer holds no page of a file."""
    if len(names) != batch.num_columns or not schema.equals(batch.schema):
        batch = batch.select(list(names))
    if rows.size <= _SLICES:
        # putting slices together takes a fifth of the time of a `take`
        found = pa.concat_batches([batch.slice(row, 1) for row in rows.tolist()])
    else:
        found = batch.take(pa.array(rows))
    if found.schema.equals(schema):
        return found
    return pa.RecordBatch.from_arrays(found.columns, schema=schema)


def scattered(mapped: Mapped, rows: Ints, names: tuple[str, ...]) -> list[pa.Array]:
    """Columns of rows in any order."""
    sorting = np.argsort(rows, kind="stable")
    schema = mapped.schema_of(names, names)
    batches = [b for b in taken_batches(mapped, rows[sorting], names, schema) if b is not None]
    back = np.empty_like(sorting)
    back[sorting] = np.arange(sorting.size)
    index = pa.array(back)
    return [pa.concat_arrays([batch.column(i) for batch in batches]).take(index) for i in range(len(names))]
