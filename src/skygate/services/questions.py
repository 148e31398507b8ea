"""ADQL for questions that come as values: a cone, a match of positions, a sample.

Must not know: engines. Names are delimited and numbers written out: nothing of a caller's is taken for ADQL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from skygate import wire
from skygate.adql.names import did_you_mean, nearest
from skygate.domain.catalog import Column, Datatype, Schema, SkyPosition, Table
from skygate.domain.sky import Circle
from skygate.errors import BadParameter, NotFound, Where
from skygate.services.names import delimit, delimited

UPLOADS = "TAP_UPLOAD"
POSITIONS = "positions"
ROW = "row"
SEPARATION = "separation_deg"
_TOLD = (b"unit", b"ucd", b"utype", b"description")
_SPREAD_BYTES = 256 << 20
_SPREAD_VALUE = 4096
"""A dictionary smaller than this is spread out whatever the rows: its values are short."""


def chosen(table: Table, columns: Sequence[str] | None) -> tuple[Column, ...]:
    """The columns that were asked for, in that order, or all; raises `NotFound` with the nearest names."""
    if columns is None:
        return table.columns
    found: list[Column] = []
    for name in columns:
        column = table.column(name) or next(
            (c for c in table.columns if c.name.lower() == name.lower()), None
        )
        if column is None:
            near = nearest(name, [c.name for c in table.columns])
            raise NotFound(f"no column {name[:100]!r} in {table.full_name}" + did_you_mean(near))
        found.append(column)
    if not found:
        raise BadParameter("no column is asked for", where=Where(name="columns"))
    return tuple(found)


def placed(table: Table) -> SkyPosition:
    """Where the table's rows are; raises `NotFound` when it has no positions."""
    if table.position is None:
        raise NotFound(f"{table.full_name} has no sky positions", hint="ask it by ADQL")
    return table.position


def cone(table: Table, circle: Circle, columns: Sequence[Column]) -> str:
    """Rows of `table` inside `circle`, its rim included."""
    position = placed(table)
    names = ", ".join(f"t.{delimit(c.name)}" for c in columns)
    center = f"{_number(circle.center.ra_deg)}, {_number(circle.center.dec_deg)}"
    return (
        f"SELECT {names} FROM {delimited(table)} AS t WHERE 1 = CONTAINS({_point('t', position)}, "
        f"CIRCLE({center}, {_number(circle.radius_deg)}))"
    )


def sample(table: Table, rows: int) -> str:
    """The first rows that come."""
    names = ", ".join(f"t.{delimit(c.name)}" for c in table.columns)
    return f"SELECT TOP {int(rows)} {names} FROM {delimited(table)} AS t"


def crossmatch(
    mine: Table, table: Table, radius_deg: float, columns: Sequence[Column], *, nearest_only: bool
) -> str:
    """Pairs of an uploaded position and a row within `radius_deg`; the nearest row alone, if wanted.

    Columns: `row`, those of the upload, `separation_deg`, those of the table. Where the upload has a name
    that the table has too, its own gets `_in` appended. Ordered by row and separation.
    """
    theirs = placed(table)
    sent, found = _pair_names(mine, table, columns)
    taken = {ROW, SEPARATION, *(name.lower() for name in (*sent, *found))}
    here, there = _point("p", SkyPosition("ra", "dec")), _point("t", theirs)
    others = [c.name for c in mine.columns if c.name != ROW]
    picked = [
        f"p.{delimit(ROW)} AS {delimit(ROW)}",
        *(f"p.{delimit(name)} AS {delimit(new)}" for name, new in zip(others, sent, strict=True)),
        f"DISTANCE({here}, {there}) AS {delimit(SEPARATION)}",
        *(f"t.{delimit(c.name)} AS {delimit(new)}" for c, new in zip(columns, found, strict=True)),
    ]
    disc = f"CIRCLE(p.{delimit('ra')}, p.{delimit('dec')}, {_number(radius_deg)})"
    pairs = (
        f"FROM {delimit(UPLOADS)}.{delimit(POSITIONS)} AS p JOIN {delimited(table)} AS t "
        f"ON 1 = CONTAINS({there}, {disc})"
    )
    order = f"ORDER BY {delimit(ROW)}, {delimit(SEPARATION)}"
    if not nearest_only:
        return f"SELECT {', '.join(picked)} {pairs} {order}"
    names = [piece.rpartition(" AS ")[2] for piece in picked]
    rank = delimit(_free("nearness", taken, "_"))
    ranked = f"ROW_NUMBER() OVER (PARTITION BY p.{delimit(ROW)} ORDER BY DISTANCE({here}, {there})) AS {rank}"
    inner = f"SELECT {', '.join(picked)}, {ranked} {pairs}"
    return f"SELECT {', '.join('q.' + n for n in names)} FROM ({inner}) AS q WHERE q.{rank} = 1 {order}"


def pair_columns(mine: Table, table: Table, columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns of a crossmatch's answer, as its ADQL has them."""
    sent, found = _pair_names(mine, table, columns)
    own, *others = mine.columns
    apart = Column(SEPARATION, Datatype.DOUBLE, unit="deg")
    return (
        own,
        *(replace(c, name=name) for c, name in zip(others, sent, strict=True)),
        apart,
        *(replace(c, name=name) for c, name in zip(columns, found, strict=True)),
    )


def _pair_names(mine: Table, table: Table, columns: Sequence[Column]) -> tuple[list[str], list[str]]:
    """Names of the upload's columns (but `row`) and of the table's in a crossmatch's answer."""
    taken = {ROW, SEPARATION}
    found = [_free(column.name, taken, f"_{table.name}") for column in columns]
    return [_free(c.name, taken, "_in") for c in mine.columns if c.name != ROW], found


def upload(positions: pa.Table, *, max_rows: int) -> tuple[Schema, pa.Table]:
    """Positions as a table that a query can name, and its rows with their number (from 0) before them.

    `ra` and `dec` are ICRS degrees in columns of these names (letter case does not matter). Raises
    `BadParameter` for what is no table of positions.
    """
    if positions.num_rows > max_rows:
        raise BadParameter(
            f"{positions.num_rows} positions are too many: at most {max_rows} can be matched at once",
            hint="send them in pieces",
            where=Where(name="positions"),
        )
    arrays: dict[str, pa.ChunkedArray | pa.Array] = {ROW: pa.array(np.arange(positions.num_rows))}
    columns: list[Column] = [Column(ROW, Datatype.LONG, description="Number of the position, from 0")]
    folded = [name.lower() for name in positions.column_names]
    for name in ("ra", "dec"):
        if folded.count(name) != 1:
            raise BadParameter(
                f"the positions need one column {name}, in degrees", where=Where(name="positions")
            )
    for i, field in enumerate(positions.schema):
        lower = field.name.lower()
        if not field.name or lower == ROW or folded.count(lower) > 1:
            raise BadParameter(
                f"a column of the positions cannot be called {field.name[:60]!r}",
                hint="rename it",
                where=Where(name="positions"),
            )
        name = lower if lower in ("ra", "dec") else field.name
        column, values = _received(positions.column(i), field, name)
        columns.append(column)
        arrays[name] = values
    _check_positions(arrays["ra"], arrays["dec"])
    table = Table(UPLOADS, POSITIONS, tuple(columns), position=SkyPosition("ra", "dec"))
    rows = pa.table(arrays, schema=wire.arrow_schema(table.columns))
    return Schema(UPLOADS, (table,)), rows


def _received(values: pa.ChunkedArray, field: pa.Field, name: str) -> tuple[Column, pa.ChunkedArray]:
    try:
        if name in ("ra", "dec"):
            column = Column(name, Datatype.DOUBLE, unit="deg", description="As sent")
        else:
            # of its type a column's own type is believed, not what metadata say
            told = {k: v for k, v in (field.metadata or {}).items() if k in _TOLD}
            column = wire.column_of(pa.field(field.name, field.type, metadata=told))
        kind = wire.arrow_type(column)
        if pa.types.is_dictionary(field.type):
            _check_spread(values, name)
        return column, values.cast(kind)
    except (TypeError, ValueError, OverflowError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise BadParameter(
            f"column {field.name[:60]!r} of the positions is of type {field.type}, which cannot be used",
            where=Where(name="positions"),
        ) from None


def _check_spread(values: pa.ChunkedArray, name: str) -> None:
    """Raise `BadParameter` for a dictionary whose values, written out in each row, might fill the memory."""
    entries = [chunk.dictionary for chunk in values.chunks]
    longest = max((e.nbytes for e in entries), default=0)
    if longest * max(1, len(values)) > _SPREAD_BYTES and longest > _SPREAD_VALUE:
        raise BadParameter(
            f"the values of column {name[:60]!r} of the positions are too long to be repeated in each row",
            hint="leave the column out and join it afterwards, by `row`",
            where=Where(name="positions"),
        )


def _check_positions(ra: pa.ChunkedArray | pa.Array, dec: pa.ChunkedArray | pa.Array) -> None:
    """Rows without a position match nothing; an impossible one is a mistake and raises `BadParameter`.

    Right ascension wraps, as it does in ADQL: 380 degrees are 20.
    """
    for name, values, most, said in (
        ("ra", ra, np.finfo(np.float64).max, "which is no angle"),
        ("dec", dec, 90.0, "beyond -90 to 90 degrees"),
    ):
        numbers = values.to_numpy()
        bad = np.flatnonzero(~np.isnan(numbers) & ~(np.abs(numbers) <= most))
        if bad.size:
            raise BadParameter(
                f"{name} of position {bad[0]} is {numbers[bad[0]]:g}, {said}", where=Where(name="positions")
            )


def _free(name: str, taken: set[str], ending: str) -> str:
    """`name`, with `ending` as often as it takes to be new; from now on it is taken."""
    while name.lower() in taken:
        name += ending
    taken.add(name.lower())
    return name


def _point(alias: str, position: SkyPosition) -> str:
    return f"POINT({alias}.{delimit(position.ra)}, {alias}.{delimit(position.dec)})"


def _number(value: float) -> str:
    """A number with all its digits, as ADQL reads it."""
    return repr(float(value))
