"""Regions, identifiers and matches on mapped columns: a search and a few pages, no SQL.

Must not know: ADQL, HTTP. Answers are those of the SQL engines (tests/contracts), in the order of the sky.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skygate.domain.catalog import CELL_ORDER, Column, Release, Table
from skygate.domain.condition import Condition
from skygate.domain.query import Identified, Limits, Near, Paired, Wanted, Within
from skygate.domain.sky import Circle, Position
from skygate.engines.kept import Kept
from skygate.engines.mapped_files import TOP_STEP, Mapped, names_of, open_mapped, read_about
from skygate.engines.mapped_joins import JoinedRows
from skygate.engines.mapped_runs import MappedRun, matched_batches, placed_batches, taken_batches
from skygate.engines.mapped_where import fulfilling
from skygate.sky import match
from skygate.sky.cells import cell_size_deg
from skygate.sky.cover import disc_ranges, polygon_ranges

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_WIDEST_DEG = 30.0
_MOST_ROWS = 2_000_000
_MOST_PAIRS = 50_000_000
_WIDEST_MATCH_DEG = 1.0
"""Beyond these a question is a scan, which SQL engines do better, on compressed files and many threads."""
_FEW = 200
"""Rows in the cells around a disc that are looked at one by one rather than by a finer cover."""


class MappedColumns:
    """The mapped columns of every version that was asked for lately. Safe to call from any thread."""

    def __init__(self, threads: int = 2) -> None:
        """`threads` that two tables are met by."""
        self._threads = threads
        self._kept = Kept(open_mapped, read_about)
        self._mapped = self._kept.of

    def find(
        self, release: Release, table: Table, wanted: Wanted, where: Condition | None = None
    ) -> Rows | None:
        """The wanted rows of which `where` is true; None where SQL must look for them."""
        mapped = self._mapped(release, table)
        if mapped is None:
            return None
        if isinstance(wanted, Identified):
            return _identified(mapped, table, wanted.values, where)
        if table.position is None:
            return None
        share = 1.0
        if isinstance(wanted, Within):
            found = polygon_ranges(wanted.polygon, _WIDEST_DEG)
            if found is None:
                return None
            ranges, share = found
            spans = _spans_of_ranges(mapped, ranges)
        elif wanted.circle.radius_deg <= _WIDEST_DEG:
            spans = _spans_near(mapped, wanted)
        else:
            return None
        candidates = sum(end - first for first, end in spans)
        if candidates > _MOST_ROWS:
            return None
        return PlacedRows(mapped, wanted, where, spans, int(candidates * share))

    def match(
        self, release: Release, table: Table, positions: pa.Table, radius_deg: float, *, nearest: bool
    ) -> Matches | None:
        """Which rows lie within `radius_deg` of which positions; None when SQL must do it."""
        if table.position is None or radius_deg > _WIDEST_MATCH_DEG:
            return None
        mapped = self._mapped(release, table)
        if mapped is None:
            return None
        order = match.matching_order(radius_deg, density := density_of(mapped))
        in_cells = positions.num_rows * (1.0 + 1.5 * density * cell_size_deg(order) ** 2)
        # a tight cover of each disc takes longer to find, and pays where cells would hold too much
        covers = 2_000 * positions.num_rows + 8.0 * positions.num_rows * density * radius_deg**2
        tight = covers < in_cells
        expected = min(covers, in_cells)
        if expected > _MOST_PAIRS:
            return None
        return Matches(mapped, positions, radius_deg, nearest, None if tight else order, int(expected))

    def join(
        self, one: tuple[Release, Table], other: tuple[Release, Table], wanted: Paired
    ) -> JoinedRows | None:
        """Pairs of rows of two tables; None when SQL must look for them."""
        if wanted.radius_deg > _WIDEST_MATCH_DEG or one[1].position is None or other[1].position is None:
            return None
        mapped = self._mapped(*one), self._mapped(*other)
        if mapped[0] is None or mapped[1] is None:
            return None
        return JoinedRows(mapped[0], mapped[1], wanted, self._threads)


class PlacedRows:
    """Rows that may lie in a region."""

    def __init__(
        self,
        mapped: Mapped,
        wanted: Near | Within,
        where: Condition | None,
        spans: Sequence[tuple[int, int]],
        candidates: int,
    ) -> None:
        self.candidates = candidates
        self._mapped, self._wanted, self._where, self._spans = mapped, wanted, where, spans

    def run(self, names: Sequence[str], columns: tuple[Column, ...], limits: Limits) -> MappedRun:
        """The rows in the region."""
        schema = self._mapped.schema_of(*_called(names, columns))
        batches = placed_batches(
            self._mapped,
            self._wanted,
            self._where,
            self._spans,
            names=tuple(names),
            schema=schema,
            most=limits.maxrec + 1,
        )
        return MappedRun(columns, batches, limits)


class KnownRows:
    """Rows by number."""

    def __init__(self, mapped: Mapped, rows: Ints) -> None:
        self.candidates = int(rows.size)
        self._mapped, self._rows = mapped, rows

    def run(self, names: Sequence[str], columns: tuple[Column, ...], limits: Limits) -> MappedRun:
        """These rows."""
        schema = self._mapped.schema_of(*_called(names, columns))
        rows = self._rows[: limits.maxrec + 1]
        return MappedRun(columns, taken_batches(self._mapped, rows, tuple(names), schema), limits)


class Matches:
    """Rows that may lie near positions."""

    def __init__(
        self,
        mapped: Mapped,
        positions: pa.Table,
        radius_deg: float,
        nearest: bool,
        order: int | None,
        expected: int,
    ) -> None:
        self.candidates = expected
        self._given = (mapped, positions, radius_deg, nearest, order)

    def run(self, names: Sequence[str], columns: tuple[Column, ...], limits: Limits) -> MappedRun:
        """Positions, separations and rows."""
        mapped, positions, radius_deg, nearest, order = self._given

        def spans(ra: Floats, dec: Floats) -> tuple[Ints, Ints, Ints]:
            if order is None:
                return _spans_of_each(mapped, ra, dec, radius_deg)
            return _spans_in_cells(mapped, ra, dec, radius_deg, order)

        batches = matched_batches(
            mapped,
            positions,
            radius_deg,
            names=tuple(names),
            columns=columns,
            nearest=nearest,
            spans=spans,
        )
        return MappedRun(columns, batches, limits)


Rows = PlacedRows | KnownRows


def spans_of(mapped: Mapped, first_cells: Ints, last_cells: Ints) -> tuple[Ints, Ints]:
    """Half-open spans of rows whose cells lie in inclusive ranges. Quick where the ranges ascend."""
    return _search(mapped, first_cells, "left"), _search(mapped, last_cells, "right")


def density_of(mapped: Mapped) -> float:
    """Rows in a square degree where rows are: from cells of order 5 that hold any."""
    if mapped.tops.size == 0:
        return 0.0
    area = np.unique(mapped.tops >> (2 * (CELL_ORDER - 5))).size * 41253.0 / (12 * 4**5)
    return float(mapped.about.placed / area)


def _called(names: Sequence[str], columns: tuple[Column, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of columns in the table, and those in the answer."""
    asked, called = tuple(names), names_of(columns)
    return (asked, asked) if asked == called else (asked, called)


def _identified(
    mapped: Mapped, table: Table, values: tuple[int, ...], where: Condition | None
) -> KnownRows | None:
    if mapped.about.identifier is None or mapped.about.identifier != table.identifier:
        return None
    known = sorted({v for v in values if -(2**63) <= v < 2**63})
    wanted = np.array(known, dtype=np.int64)
    first, end = mapped.ids.searchsorted(wanted, "left"), mapped.ids.searchsorted(wanted, "right")
    places = [np.arange(a, b) for a, b in zip(first.tolist(), end.tolist(), strict=True) if a < b]
    rows = np.sort(mapped.at[np.concatenate(places)]) if places else np.empty(0, np.int64)
    return KnownRows(mapped, rows if where is None else fulfilling(mapped, rows, where))


def _spans_near(mapped: Mapped, wanted: Near) -> list[tuple[int, int]]:
    """Spans of rows that hold the disc: of the cells around it, or of a finer cover where those hold many."""
    center, radius = wanted.circle.center, wanted.circle.radius_deg
    if radius < 3.0:
        order = max(0, match.disc_order(radius) - 1)
        shift = 2 * (CELL_ORDER - order)
        spans: list[tuple[int, int]] = []
        for cell in match.cells_near(center.ra_deg, center.dec_deg, radius, order):
            first, end = _bisected(mapped, cell << shift), _bisected(mapped, (cell + 1) << shift)
            if first < end:
                spans.append((first, end))
        if sum(end - first for first, end in spans) <= _FEW:
            return spans
    return _spans_of_ranges(mapped, disc_ranges(wanted.circle))


def _spans_of_ranges(mapped: Mapped, ranges: Ints) -> list[tuple[int, int]]:
    first, end = spans_of(mapped, ranges[:, 0], ranges[:, 1])
    return [(a, b) for a, b in zip(first.tolist(), end.tolist(), strict=True) if a < b]


def _bisected(mapped: Mapped, cell: int) -> int:
    """The first row at or after a cell: `tops`, which lie together, say in which page to look."""
    block = bisect_left(mapped.tops_seen, cell)
    return bisect_left(
        mapped.cells_seen, cell, max(0, (block - 1) * TOP_STEP), min(block * TOP_STEP, len(mapped.cells_seen))
    )


def _spans_in_cells(
    mapped: Mapped, ra: Floats, dec: Floats, radius_deg: float, order: int
) -> tuple[Ints, Ints, Ints]:
    """(disc, first, end) of the rows in the cells that discs touch, by disc; looked up along the sky."""
    discs, cells = match.touched_cells(ra, dec, radius_deg, order)
    shift = 2 * (CELL_ORDER - order)
    by_cell = np.argsort(cells, kind="stable")
    first, end = np.empty_like(cells), np.empty_like(cells)
    cells = cells[by_cell]
    first[by_cell], end[by_cell] = spans_of(mapped, cells << shift, ((cells + 1) << shift) - 1)
    by_disc = np.argsort(discs, kind="stable")
    return discs[by_disc], first[by_disc], end[by_disc]


def _spans_of_each(mapped: Mapped, ra: Floats, dec: Floats, radius_deg: float) -> tuple[Ints, Ints, Ints]:
    """(disc, first, end) of the rows in a tight cover of each disc."""
    found: list[tuple[int, int, int]] = []
    for disc, (a, d) in enumerate(zip(ra.tolist(), dec.tolist(), strict=True)):
        if math.isfinite(a) and abs(d) <= 90:
            spans = _spans_near(mapped, Near(Circle(Position(a, d), radius_deg)))
            found += [(disc, first, end) for first, end in spans]
    columns = np.array(found, dtype=np.int64).reshape(-1, 3).T
    return columns[0], columns[1], columns[2]


def _search(mapped: Mapped, cells: Ints, side: str) -> Ints:
    """`searchsorted`, page by page where the cells are few."""
    if cells.size > 64:
        return mapped.cells.searchsorted(cells, side="left" if side == "left" else "right")
    look = bisect_left if side == "left" else bisect_right
    tops, seen = mapped.tops_seen, mapped.cells_seen
    found: list[int] = []
    for cell in cells.tolist():
        block = look(tops, cell)
        found.append(look(seen, cell, max(0, (block - 1) * TOP_STEP), min(block * TOP_STEP, len(seen))))
    return np.array(found, dtype=np.int64)
