"""Densities: rows counted in bins of any two expressions, by a query that gives one row for each bin.

Must not know: HTTP, engines. Expressions are ADQL, and come to the engine as every query does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from anyio import to_thread
from numpy.typing import NDArray

from skygate import wire
from skygate.adql.tokens import place, tokenize
from skygate.domain.account import Principal
from skygate.domain.catalog import Column, Datatype, Table
from skygate.domain.density import (
    FINEST_SKY,
    MOST_BINS,
    MOST_CELLS,
    Axis,
    AxisAsked,
    DensityAsked,
    Seen,
    SkyDensityAsked,
)
from skygate.domain.query import Outcome, Query
from skygate.errors import BadParameter, BadQuery, TooCostly, Where
from skygate.services import questions
from skygate.services.held import Held, whole
from skygate.services.names import delimit, delimited, read_name
from skygate.services.queries import QueriesService
from skygate.services.releases import ReleasesService

X_BIN, Y_BIN, CELL, N, MEAN = "i", "j", "cell", "n", "mean"
_BOTH, _SUM, _VALUES = "b", "s", "m"
_COLUMNS = (
    Column(X_BIN, Datatype.INT, ucd="meta.number", description="Bin of x, from 0"),
    Column(Y_BIN, Datatype.INT, ucd="meta.number", description="Bin of y, from 0"),
    Column(N, Datatype.LONG, ucd="meta.number", description="Rows in the bin"),
)


_SKY_COLUMNS = (
    Column(CELL, Datatype.LONG, ucd="pos.healpix", description="HEALPix cell, NESTED, ICRS"),
    Column(N, Datatype.LONG, ucd="meta.number", description="Rows in the cell"),
)


@dataclass(frozen=True, slots=True)
class Counted:
    """One row for each bin that holds something, in order; what was seen; the axes of a plane."""

    rows: Held
    seen: Seen
    axes: tuple[Axis, Axis] | None = None


class DensitiesService:
    """Counts rows in bins."""

    def __init__(self, releases: ReleasesService, queries: QueriesService) -> None:
        self._releases = releases
        self._queries = queries

    async def density(self, user: Principal, asked: DensityAsked) -> Counted:
        """Rows in each bin, with `mean` if one is asked for (null where no row of the bin has the value).

        Raises `BadParameter` with the name of what is wrong (`x`, `y`, `where`, `mean`, `bins`, `range`),
        `NotFound` for the table, `TooCostly` and `Busy` as queries do.
        """
        _check_bins(asked)
        table = self._releases.table(user, asked.table)
        values = {"x": asked.x.expression, "y": asked.y.expression, "mean": asked.mean}
        await self._check_values(user, table, values, asked.where)
        where = None if asked.where is None else f"({asked.where}\n)"
        x, y, rows = await self._axes(user, table, asked, where)
        # grouping by one whole number is several times faster than by two, and faster still where the engine
        # knows its range: it knows that of a plain column, whose bins are the ones that are multiplied
        turned = _plain(table, y) is not None and _plain(table, x) is None
        first, second = (y, x) if turned else (x, y)
        picked = [f"{_bin(first)} * {second.bins + 1} + {_bin(second)} AS {_BOTH}"]
        sums = ""
        columns = _COLUMNS
        if asked.mean is not None:
            picked.append(f"{_double(asked.mean)} AS {_VALUES}")
            sums = f", SUM(q.{_VALUES}) AS {_SUM}, COUNT(q.{_VALUES}) AS {_VALUES}"
            columns = (*columns, _mean_column(asked.mean))
        conditions = [*([where] if where else []), _inside(table, x), _inside(table, y)]
        inner = f"SELECT {', '.join(picked)} FROM {delimited(table)} WHERE {' AND '.join(conditions)}"
        text = f"SELECT q.{_BOTH} AS {_BOTH}, COUNT(*) AS {N}{sums} FROM ({inner}) AS q GROUP BY q.{_BOTH}"
        most = (x.bins + 1) * (y.bins + 1)
        found = await self._table(user, text, most)
        counts = await to_thread.run_sync(_merged, found, x, y, turned)
        seen = Seen(rows, int(counts.column(N).to_numpy().sum()))
        return Counted(_held(columns, counts), seen, (x, y))

    async def sky(self, user: Principal, asked: SkyDensityAsked) -> Counted:
        """Rows in each HEALPix cell that has any: `cell`, `n` and, if asked for, `mean`; ordered by cell.

        Raises as `density` does, and `NotFound` for a table without positions.
        """
        if not 0 <= asked.order <= FINEST_SKY:
            raise BadParameter(
                f"order {asked.order} is not between 0 and {FINEST_SKY}",
                hint="finer cells are a query of their own: ivo_healpix_index(order, ra, dec)",
                where=Where(name="order"),
            )
        table = self._releases.table(user, asked.table)
        position = questions.placed(table)
        await self._check_values(user, table, {"mean": asked.mean}, asked.where)
        ra, dec = delimit(position.ra), delimit(position.dec)
        columns, mean = _SKY_COLUMNS, ""
        picked = f"ivo_healpix_index({asked.order}, {ra}, {dec}) AS {CELL}"
        where = "" if asked.where is None else f" WHERE ({asked.where}\n)"
        rows_of = f"{delimited(table)}{where}"
        if asked.mean is not None:
            columns = (*columns, _mean_column(asked.mean))
            value = _double(asked.mean)
            if not _is_column(asked.mean, table):
                rows_of, picked = f"(SELECT {picked}, {value} AS {_VALUES} FROM {rows_of}) AS q", f"q.{CELL}"
                value = f"q.{_VALUES}"
            mean = f", AVG({value}) AS {MEAN}"
        # where it is that plain the answer may be known (adql/tallied.py)
        text = f"SELECT {picked}, COUNT(*) AS {N}{mean} FROM {rows_of} GROUP BY 1 ORDER BY 1"
        found = await self._table(user, text, 12 * 4**asked.order + 1)
        rows = int(found.column(N).to_numpy().sum())
        placed = found.filter(found.column(CELL).is_valid())
        inside = int(placed.column(N).to_numpy().sum())
        return Counted(_held(columns, placed), Seen(rows, inside))

    async def _check_values(
        self, user: Principal, table: Table, values: Mapping[str, str | None], where: str | None
    ) -> None:
        """Each expression by itself: a fault is told with its name and its place within it."""
        for name, expression in values.items():
            if expression is None:
                continue
            found = await self._checked(
                user, name, "SELECT (", expression, f"\n) AS v FROM {delimited(table)}"
            )
            of_rows = f"SELECT 1 AS v FROM {delimited(table)} WHERE ("
            await self._checked(user, name, of_rows, expression, "\n) IS NOT NULL")
            if len(found) != 1 or not found[0].datatype.is_number or found[0].is_array:
                raise BadParameter(
                    f"{name} is no number of each row: {expression[:100]!r}",
                    hint="an expression of the table's columns, such as phot_g_mean_mag or bp - rp",
                    where=Where(name=name),
                )
        if where is not None:
            before = f"SELECT 1 AS v FROM {delimited(table)} WHERE ("
            await self._checked(user, "where", before, where, "\n)")

    async def _checked(
        self, user: Principal, name: str, before: str, expression: str, after: str
    ) -> tuple[Column, ...]:
        try:
            _check_closed(expression)
        except BadQuery as fault:
            raise _placed(fault, name, 0) from fault
        try:
            found = await self._queries.check(user, Query(f"{before}{expression}{after}"))
        except BadQuery as fault:
            raise _placed(fault, name, len(before)) from fault
        return found.columns

    async def _axes(
        self, user: Principal, table: Table, asked: DensityAsked, where: str | None
    ) -> tuple[Axis, Axis, int]:
        """Both axes with their ends, and how many rows are looked at."""
        measured = [_measured(table, a) if where is None else None for a in (asked.x, asked.y)]
        ends = [
            (given.low, given.high) if given.low is not None and given.high is not None else found
            for given, found in zip((asked.x, asked.y), measured, strict=True)
        ]
        rows = table.rows or 0
        if where is not None or any(e is None for e in ends):
            values = [_double(a.expression) for a in (asked.x, asked.y)]
            picked = ", ".join(
                f"MIN({v}) AS low{i}, MAX({v}) AS high{i}" for i, v in enumerate(values, start=1)
            )
            condition = f" WHERE {where}" if where else ""
            found = await self._table(
                user, f"SELECT COUNT(*) AS n, {picked} FROM {delimited(table)}{condition}", 1
            )
            told: dict[str, Any] = found.to_pylist()[0]
            rows = int(told["n"])
            ends = [e or (told[f"low{i}"], told[f"high{i}"]) for i, e in enumerate(ends, start=1)]
        x, y = (
            _axis(name, given, found)
            for name, given, found in zip(("x", "y"), (asked.x, asked.y), ends, strict=True)
        )
        return x, y, rows

    async def _table(self, user: Principal, text: str, most: int) -> pa.Table:
        """The whole answer to a text of ours; raises `TooCostly` where the service would cut it."""
        rows = await self._queries.run(user, Query(text, most))
        found = await to_thread.run_sync(whole, rows)
        if rows.outcome is None or rows.outcome.overflow:
            raise TooCostly(
                f"a density of {most} bins is more than this service's largest answer", hint="take fewer bins"
            )
        return found


def _check_bins(asked: DensityAsked) -> None:
    for name, axis in (("x", asked.x), ("y", asked.y)):
        if not 1 <= axis.bins <= MOST_BINS:
            raise BadParameter(
                f"{axis.bins} bins of {name}: 1 to {MOST_BINS} can be counted", where=Where(name="bins")
            )
        for end in (axis.low, axis.high):
            if end is not None and not math.isfinite(end):
                raise BadParameter(f"the range of {name} is not finite", where=Where(name="range"))
        if axis.low is not None and axis.high is not None and not axis.low < axis.high:
            raise BadParameter(
                f"the range of {name} is empty: {axis.low:g} to {axis.high:g}", where=Where(name="range")
            )
    if asked.x.bins * asked.y.bins > MOST_CELLS:
        raise BadParameter(
            f"{asked.x.bins} x {asked.y.bins} bins are more than {MOST_CELLS}",
            hint="2048 x 2048 is the most",
            where=Where(name="bins"),
        )


def _measured(table: Table, axis: AxisAsked) -> tuple[float, float] | None:
    """The least and greatest value of a plain column, as measured at publish."""
    name = read_name(axis.expression)
    column = table.column(name[0]) if len(name) == 1 else None
    stats = column.stats if column is not None and axis.expression.strip() == name[0] else None
    if stats is None or stats.infinities:
        return None
    ends = (stats.minimum, stats.maximum)
    if any(isinstance(e, bool) or not isinstance(e, int | float) for e in ends):
        return None
    exact = np.float32 if column is not None and column.datatype is Datatype.FLOAT else np.float64
    return float(exact(ends[0])), float(exact(ends[1]))  # of a float the shortest decimal is known


def _axis(name: str, asked: AxisAsked, found: tuple[float | None, float | None] | None) -> Axis:
    low = asked.low if asked.low is not None else (found or (None, None))[0]
    high = asked.high if asked.high is not None else (found or (None, None))[1]
    if low is None or high is None:
        raise BadParameter(f"no row has a value of {name}", where=Where(name=name))
    if low == high:  # as numpy.histogram does
        low, high = low - 0.5, high + 0.5
    if not low < high or not math.isfinite(asked.bins / (high - low)):
        raise BadParameter(
            f"the range of {name} is empty: {low:g} to {high:g}",
            hint="give both ends",
            where=Where(name="range"),
        )
    return Axis(asked.expression, asked.bins, float(low), float(high))


def _held(columns: tuple[Column, ...], rows: pa.Table) -> Held:
    batches = rows.cast(wire.arrow_schema(columns)).to_batches()
    return Held(columns, Outcome(rows.num_rows, overflow=False), batches)


def _is_column(expression: str, table: Table) -> bool:
    """Whether an expression is the name of a column."""
    name = [part.lower() for part in read_name(expression)]
    return len(name) == 1 and any(column.name.lower() == name[0] for column in table.columns)


def _mean_column(expression: str) -> Column:
    return Column(MEAN, Datatype.DOUBLE, description=f"Mean of {expression}"[:200])


def _double(expression: str) -> str:
    return f"CAST(({expression}\n) AS DOUBLE PRECISION)"


def _bin(axis: Axis) -> str:
    """The number of the bin; that of `high`, or of what rounding takes there, is one too large."""
    value = f"({_double(axis.expression)} - ({axis.low!r})) * {axis.scale!r}"
    return f"CAST(FLOOR({value}) AS INTEGER)"


def _plain(table: Table, axis: Axis) -> Column | None:
    """The column of real numbers that an axis is, if it is one."""
    name = read_name(axis.expression)
    column = table.column(name[0]) if len(name) == 1 and axis.expression.strip() == name[0] else None
    return column if column is not None and column.datatype.is_real and not column.is_array else None


def _inside(table: Table, axis: Axis) -> str:
    inside = f"{_double(axis.expression)} BETWEEN ({axis.low!r}) AND ({axis.high!r})"
    column = _plain(table, axis)
    if column is None or column.datatype is Datatype.DOUBLE or not all(abs(e) < 1e38 for e, _ in _ends(axis)):
        return inside
    # of the column itself the engine knows the range; a float's must not end before the axis does
    low, high = (np.nextafter(np.float32(end), np.float32(to)) for end, to in _ends(axis))
    return f"{axis.expression} >= ({float(low)!r}) AND {axis.expression} <= ({float(high)!r}) AND {inside}"


def _ends(axis: Axis) -> tuple[tuple[float, float], tuple[float, float]]:
    return (axis.low, -math.inf), (axis.high, math.inf)


def _merged(found: pa.Table, x: Axis, y: Axis, turned: bool) -> pa.Table:
    """One row for each bin, in order; what lies on the upper ends belongs to the last bins."""
    both = found.column(_BOTH).to_numpy().astype(np.int64)
    i, j = np.divmod(both, (x.bins if turned else y.bins) + 1)
    i, j = (j, i) if turned else (i, j)
    i, j = np.minimum(i, x.bins - 1), np.minimum(j, y.bins - 1)
    bins, place = np.unique(i * y.bins + j, return_inverse=True)
    counts = _sums(found.column(N).to_numpy(), place, bins.size)
    arrays = [pa.array(bins // y.bins), pa.array(bins % y.bins), pa.array(counts.astype(np.int64))]
    names = [X_BIN, Y_BIN, N]
    if _SUM in found.column_names:
        known = _sums(found.column(_VALUES).to_numpy(), place, bins.size)
        sums = np.nan_to_num(found.column(_SUM).to_numpy())
        total = _sums(sums, place, bins.size)
        mean = np.divide(total, known, out=np.zeros(bins.size), where=known > 0)
        arrays.append(pa.array(mean, mask=known == 0))
        names.append(MEAN)
    return pa.table(arrays, names)


def _sums(values: NDArray[Any], place: NDArray[np.intp], size: int) -> NDArray[np.float64]:
    sums: NDArray[np.float64] = np.bincount(place.ravel(), values.astype(np.float64), size).astype(np.float64)
    return sums


def _check_closed(expression: str) -> None:
    """Raise `BadQuery` where an expression closes a parenthesis that it has not opened: ours."""
    depth = 0
    for token in tokenize(expression):
        depth += {"(": 1, ")": -1}.get(token.key, 0)
        if depth < 0:
            where = place(expression, token.start, token.end)
            raise BadQuery("this parenthesis closes nothing", where=where)


def _placed(fault: BadQuery, name: str, before: int) -> BadParameter:
    """A fault of a query of ours, told as one of the caller's expression."""
    at = fault.where
    where = Where(name=name)
    if at is not None and at.line is not None and at.column is not None:
        column = at.column - before if at.line == 1 else at.column
        if column > 0:
            where = Where(name=name, line=at.line, column=column, token=at.token)
    return BadParameter(fault.message, hint=fault.hint, where=where)
