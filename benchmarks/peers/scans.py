"""Questions to all rows: a map of two columns, counts in cells of the sky."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from benchmarks.peers.bench import OBJECTS, Bench
from benchmarks.peers.measure import Line, Side, in_turn
from benchmarks.peers.pgrows import copy_out

BINS = 512
X = ("mag_auto_g", "mag_auto_r", -1.0, 3.0)
"""A colour, and its range."""
Y = ("mag_auto_r", 14.0, 26.0)


def density_of(gate: Any) -> np.ndarray[Any, Any]:
    """Colour against magnitude in 512 × 512 bins."""
    first, second, x0, x1 = X
    name, y0, y1 = Y
    colour = f"CAST({first} AS DOUBLE PRECISION) - CAST({second} AS DOUBLE PRECISION)"
    found = gate.density(OBJECTS, colour, name, bins=BINS, range=((x0, x1), (y0, y1)))
    return found.counts.T


def _grid(bins: Any, n: Any) -> np.ndarray[Any, Any]:
    grid = np.zeros(BINS * BINS, dtype=np.int64)
    grid[bins.astype(np.int64)] = n
    return grid.reshape(BINS, BINS)


def _density_sql(table: str) -> str:
    """One whole number for a bin: several times faster than grouping by two numbers."""
    first, second, x0, x1 = X
    name, y0, y1 = Y
    colour, magnitude = f"({first}::float8 - {second}::float8)", f"{name}::float8"
    return (
        f"SELECT floor(({magnitude} - {y0}) * {BINS / (y1 - y0)!r}::float8)::integer * {BINS} "
        f"+ floor(({colour} - ({x0})) * {BINS / (x1 - x0)!r}::float8)::integer AS bin, count(*) AS n "
        f"FROM {table} "
        f"WHERE {colour} >= {x0} AND {colour} < {x1} AND {name} >= {y0} AND {name} < {y1} GROUP BY 1"
    )


@contextlib.contextmanager
def _duckdb(bench: Bench) -> Iterator[duckdb.DuckDBPyConnection]:
    """DuckDB alone, on the file that Skygate built for itself: all rows in the order of the sky."""
    (kept,) = bench.root.glob("releases/bench/*/cache/native/objects/rows.duckdb")
    file = bench.folder / "alone.duckdb"
    file.unlink(missing_ok=True)
    os.link(kept, file)  # one file cannot be open twice under one name in a process
    try:
        with duckdb.connect(
            str(file), read_only=True, config={"threads": len(os.sched_getaffinity(0))}
        ) as found:
            yield found
    finally:
        Path(file).unlink()


def histogram(bench: Bench) -> list[Line]:
    """A 2-D histogram of all rows, delivered as an array of 512 × 512 counts."""
    with _duckdb(bench) as alone:
        return _histogram(bench, alone)


def _histogram(bench: Bench, alone: duckdb.DuckDBPyConnection) -> list[Line]:
    calls = bench.calls(5)
    asked = _density_sql("rows")

    def plain(_: int) -> Any:
        found = alone.execute(asked).fetchnumpy()
        return _grid(np.asarray(found["bin"]), np.asarray(found["n"]))

    sides = [
        Side("Skygate", lambda _: density_of(bench.gate), _filled),
        Side("DuckDB's SQL", plain, _filled),
    ]
    if (postgres := bench.postgres) is not None and (connection := bench.connection) is not None:

        def theirs(_: int) -> Any:
            # its planner expects a handful of bins and would sort; hashing is faster
            connection.execute("SET enable_sort = off")
            found = copy_out(connection, _density_sql("objects"), {"bin": "i4", "n": "i8"})
            connection.execute("RESET enable_sort")
            return _grid(found["bin"], found["n"])

        sides.append(Side("PostgreSQL", theirs, _filled, postgres.cpu_s))
    return in_turn("histogram-2d", f"{BINS} × {BINS} bins of all rows", sides, calls)


def _filled(grid: np.ndarray[Any, Any]) -> Any:
    """Bins with rows, and how many rows."""
    y, x = np.nonzero(grid)
    return np.column_stack([y, x, grid[y, x]])


def cells(bench: Bench, order: int) -> list[Line]:
    """Rows in each HEALPix cell; PostgreSQL has the cell of order 29 stored."""
    calls = bench.calls(5)

    def ours(_: int) -> Any:
        text = (
            f"SELECT ivo_healpix_index({order}, ra, dec) AS cell, COUNT(*) AS n FROM {OBJECTS} GROUP BY cell"
        )
        rows = bench.gate.query(text).to_arrow()
        return np.column_stack([rows.column(n).to_numpy() for n in ("cell", "n")])

    sides = [Side("Skygate", ours, np.asarray)]
    if (postgres := bench.postgres) is not None and (connection := bench.connection) is not None:
        text = f"SELECT hpx29 >> {2 * (29 - order)}, count(*) FROM objects GROUP BY 1"

        def theirs(_: int) -> Any:
            found = copy_out(connection, text, {"cell": "i8", "n": "i8"})
            return np.column_stack([found["cell"], found["n"]])

        sides.append(Side("PostgreSQL", theirs, np.asarray, postgres.cpu_s))
    return in_turn(f"cells-{order}", f"counts in HEALPix cells of order {order}", sides, calls)


def cells_5(bench: Bench) -> list[Line]:
    """Cells of 1.8 degrees."""
    return cells(bench, 5)


def cells_9(bench: Bench) -> list[Line]:
    """Cells of 7 arcminutes."""
    return cells(bench, 9)
