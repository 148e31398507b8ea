"""Coverage maps (IVOA MOC 2.0) of cells, to and from ranges, ASCII and FITS.

Must not know: tables, releases. mocpy is loaded on first use.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from skygate.domain.catalog import CELL_ORDER
from skygate.sky import ranges as ranges_of
from skygate.sky.ranges import Ranges

if TYPE_CHECKING:
    from mocpy import MOC

COVERAGE_ORDER = 10
"""Cells of 3.4 arcmin: fine enough for footprints, small enough for pages."""


def coverage(cells: ArrayLike, order: int = COVERAGE_ORDER) -> Ranges:
    """Ranges of the cells of `order` that hold any of the order-29 cells (negative ones are left out)."""
    index = np.asarray(cells, dtype=np.int64)
    return ranges_of.of_cells(index[index >= 0] >> (2 * (CELL_ORDER - order)), order)


def total(parts: Iterable[Ranges]) -> Ranges:
    """Everything that any part covers."""
    return ranges_of.union(*parts)


def moc_of(ranges: Ranges, order: int = COVERAGE_ORDER) -> MOC:
    """A mocpy MOC of the ranges, at most as deep as `order`, covering at least all of them."""
    from mocpy import MOC

    shift = 2 * (CELL_ORDER - order)
    # mocpy counts [first, end)
    half_open = np.stack([(ranges[:, 0] >> shift) << shift, ((ranges[:, 1] >> shift) + 1) << shift], axis=1)
    return MOC.from_depth29_ranges(order, half_open.astype(np.uint64))


def ranges_of_moc(moc: Any) -> Ranges:
    """The ranges of a mocpy MOC."""
    half_open = np.asarray(moc.to_depth29_ranges, dtype=np.int64).reshape(-1, 2)
    return ranges_of.normalized(half_open - np.array([0, 1], dtype=np.int64))


def sky_fraction(ranges: Ranges) -> float:
    """The part of the sphere that is covered, 0 to 1."""
    lengths = (ranges[:, 1] - ranges[:, 0] + 1).astype(np.float64)
    return float(lengths.sum() / (ranges_of.LAST_CELL + 1))


def to_ascii(ranges: Ranges, order: int = COVERAGE_ORDER) -> str:
    """MOC 2.0 ASCII (section 4.3.2), one line."""
    return str(moc_of(ranges, order).to_string("ascii")).strip()


def from_ascii(text: str) -> Ranges:
    """The ranges of a MOC in ASCII; raises ValueError."""
    from mocpy import MOC

    return ranges_of_moc(MOC.from_string(text, "ascii"))


def write_fits(ranges: Ranges, path: Path, order: int = COVERAGE_ORDER) -> None:
    """Write a MOC FITS file, replacing what is there."""
    moc_of(ranges, order).save(str(path), format="fits", overwrite=True)


def read_fits(path: Path) -> Ranges:
    """The ranges of a MOC FITS file; raises ValueError or OSError."""
    from mocpy import MOC

    return ranges_of_moc(MOC.load(str(path), format="fits"))
