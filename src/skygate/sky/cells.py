"""HEALPix cells of positions: the NESTED index that sorts every table with a sky position.

Must not know: tables, files, ADQL. Pure functions over arrays; safe to call from any thread.
"""

from __future__ import annotations

import math

import hpgeom
import numpy as np
from numpy.typing import ArrayLike, NDArray

from skygate.domain.catalog import CELL_ORDER

NO_CELL = -1
"""The cell of what is not a position."""


def cell_of(ra_deg: ArrayLike, dec_deg: ArrayLike, order: int = CELL_ORDER) -> NDArray[np.int64]:
    """HEALPix NESTED cells of positions in ICRS degrees; any longitude wraps.

    -1 where a coordinate is not finite or the latitude is beyond a pole. Shapes broadcast.
    """
    _check_order(order)
    ra, dec = np.broadcast_arrays(np.asarray(ra_deg, dtype=np.float64), np.asarray(dec_deg, dtype=np.float64))
    good = np.isfinite(ra) & (np.abs(dec) <= 90.0)
    if good.all():
        return _cells(ra, dec, order)
    out = np.full(ra.shape, NO_CELL, dtype=np.int64)
    out[good] = _cells(ra[good], dec[good], order)
    return out


def center_of(cells: ArrayLike, order: int = CELL_ORDER) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(ra, dec) in ICRS degrees of the centres of NESTED cells; NaN where there is no such cell."""
    _check_order(order)
    index = np.asarray(cells, dtype=np.int64)
    good = (index >= 0) & (index < cell_count(order))
    ra = np.full(index.shape, np.nan)
    dec = np.full(index.shape, np.nan)
    if good.any():
        ra[good], dec[good] = hpgeom.pixel_to_angle(2**order, index[good])
    return ra, dec


def cell_count(order: int) -> int:
    """How many cells the sphere has at an order."""
    return 12 << (2 * order)


def cell_radius_deg(order: int) -> float:
    """No point of a cell is further from its centre than this, in degrees."""
    return float(hpgeom.max_pixel_radius(2**order))


def cell_size_deg(order: int) -> float:
    """The side of a square with a cell's area, in degrees."""
    return 58.63230142835039 / 2.0**order


def order_for(size_deg: float) -> int:
    """The finest order whose cells are at least `size_deg` wide (by area), 0 to 29."""
    if size_deg <= 0:
        return CELL_ORDER
    return min(max(math.floor(math.log2(58.63230142835039 / size_deg)), 0), CELL_ORDER)


def _cells(ra: NDArray[np.float64], dec: NDArray[np.float64], order: int) -> NDArray[np.int64]:
    wrapped = np.mod(ra, 360.0)
    # -1e-20 modulo 360 rounds to 360 itself
    wrapped = np.where(wrapped >= 360.0, 0.0, wrapped)
    return np.asarray(hpgeom.angle_to_pixel(2**order, wrapped, dec), dtype=np.int64)


def _check_order(order: int) -> None:
    if not 0 <= order <= CELL_ORDER:
        raise ValueError(f"HEALPix order {order} is not between 0 and {CELL_ORDER}")
