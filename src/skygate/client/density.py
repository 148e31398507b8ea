"""Counts of rows as images: dense arrays, and where their bins lie."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skygate.errors import HouseError

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Density:
    """Rows counted in a plane: `counts[i, j]` are those in bin `i` of x and `j` of y (as in numpy)."""

    counts: Counts
    x_edges: Reals
    y_edges: Reals
    mean: Reals | None
    """Of the expression that was to be averaged; NaN where no row of a bin has a value."""
    rows: int
    """Rows that were looked at. Those that are in no bin have no value, or one outside."""

    @property
    def inside(self) -> int:
        """Rows that are in a bin."""
        return int(self.counts.sum())

    def __repr__(self) -> str:
        """Its shape, its ends and how many rows it holds."""
        (x_low, x_high), (y_low, y_high) = ((e[0], e[-1]) for e in (self.x_edges, self.y_edges))
        size = " x ".join(map(str, self.counts.shape))
        ends = f"x {x_low:g} to {x_high:g}, y {y_low:g} to {y_high:g}"
        return f"{size} bins, {ends}: {self.inside} of {self.rows} rows"


@dataclass(frozen=True, slots=True)
class SkyDensity:
    """Rows counted on the sky. `counts[c]` belongs to cell `c` of NESTED HEALPix numbering, ICRS."""

    order: int
    counts: Counts
    mean: Reals | None
    """Of the expression that was to be averaged; NaN where no row of a cell has a value."""
    rows: int
    """Rows that were looked at. Those that are in no cell have no position."""

    @property
    def nside(self) -> int:
        """2^order."""
        return 2**self.order

    @property
    def inside(self) -> int:
        """Rows that are in a cell."""
        return int(self.counts.sum())

    def __repr__(self) -> str:
        """Its order and how many rows it holds."""
        cells = np.count_nonzero(self.counts)
        return f"HEALPix order {self.order}: {self.inside} of {self.rows} rows in {cells} cells"


def to_density(rows: pa.Table) -> Density:
    """The image that an answer describes; raises `HouseError` where it does not say how its bins lie."""
    told = _infos(rows)
    edges = [_edges(told, name) for name in "xy"]
    shape = (edges[0].size - 1, edges[1].size - 1)
    place = (rows.column("i").to_numpy(), rows.column("j").to_numpy())
    counts = np.zeros(shape, dtype=np.int64)
    counts[place] = rows.column("n").to_numpy()
    mean = None
    if "mean" in rows.column_names:
        mean = np.full(shape, np.nan)
        mean[place] = rows.column("mean").to_numpy()
    return Density(counts, edges[0], edges[1], mean, int(told["density_rows"]))


def to_sky_density(rows: pa.Table, order: int) -> SkyDensity:
    """The map that an answer describes."""
    told = _infos(rows)
    cells = rows.column("cell").to_numpy()
    counts = np.zeros(12 * 4**order, dtype=np.int64)
    counts[cells] = rows.column("n").to_numpy()
    mean = None
    if "mean" in rows.column_names:
        mean = np.full(counts.size, np.nan)
        mean[cells] = rows.column("mean").to_numpy()
    return SkyDensity(order, counts, mean, int(told["density_rows"]))


def _infos(rows: pa.Table) -> Mapping[str, str]:
    """The remarks that go with an answer, by name."""
    text = (rows.schema.metadata or {}).get(b"skygate.infos")
    told: dict[str, str] = json.loads(text) if text else {}
    if "density_rows" not in told:
        raise HouseError("the service answered rows that are no density")
    return told


def _edges(told: Mapping[str, str], name: str) -> Reals:
    low, high = float(told[f"density_{name}_low"]), float(told[f"density_{name}_high"])
    return np.linspace(low, high, int(told[f"density_{name}_bins"]) + 1)
