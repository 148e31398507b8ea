"""Questions to all rows: a map of two columns, counts in cells of the sky."""

from __future__ import annotations

from typing import Any

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


def _density_sql() -> str:
    """One whole number for a bin: several times faster than grouping by two numbers."""
    first, second, x0, x1 = X
    name, y0, y1 = Y
    colour, magnitude = f"({first}::float8 - {second}::float8)", f"{name}::float8"
    return (
        f"SELECT floor(({magnitude} - {y0}) * {BINS / (y1 - y0)!r}::float8)::integer * {BINS} "
        f"+ floor(({colour} - ({x0})) * {BINS / (x1 - x0)!r}::float8)::integer, count(*) FROM objects "
        f"WHERE {colour} >= {x0} AND {colour} < {x1} AND {name} >= {y0} AND {name} < {y1} GROUP BY 1"
    )


def histogram(bench: Bench) -> list[Line]:
    """A 2-D histogram of all rows, delivered as an array of 512 × 512 counts."""
    calls = bench.calls(5)
    sides = [Side("Skygate", lambda _: density_of(bench.gate), _filled)]
    if (postgres := bench.postgres) is not None and (connection := bench.connection) is not None:

        def theirs(_: int) -> Any:
            # its planner expects a handful of bins and would sort; hashing is faster
            connection.execute("SET enable_sort = off")
            found = copy_out(connection, _density_sql(), {"bin": "i4", "n": "i8"})
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
