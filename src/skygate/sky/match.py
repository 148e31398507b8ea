"""Pairing positions with rows that are sorted by cell: which cells a disc may touch, and the exact test.

Must not know: tables, files. Cells are a superset; the test decides, in the very steps of the SQL of
`adql/geometry/predicates.py`, so that both ways find the same rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import hpgeom
import numpy as np
from numpy.typing import NDArray

from skygate.domain.catalog import CELL_ORDER
from skygate.sky.cells import cell_of, cell_size_deg, order_for
from skygate.sky.outline import TOLERANCE_DEG

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ROOMY = 8.0
"""Cells in which discs are looked up are at least this many radii wide: most discs touch only one."""
_NARROWEST = 0.6
"""Opposite sides of a HEALPix cell are nowhere nearer than 0.677 of the root of its area."""
_SLACK_DEG = 1e-9
_SMALLEST_DEG = 1e-6
_HALF_DEGREE = math.pi / 360.0
_DEGREE = math.pi / 180.0


def disc_order(radius_deg: float, least_deg: float = _SMALLEST_DEG) -> int:
    """The finest order whose cells are `ROOMY` for a radius, and at least `least_deg` wide."""
    return min(order_for(max(ROOMY * radius_deg, least_deg, _SMALLEST_DEG)), CELL_ORDER - 1)


def matching_order(radius_deg: float, density_per_deg2: float) -> int:
    """The order at which many discs are looked up: roomy cells that hold about one row each."""
    if density_per_deg2 <= 0:
        return disc_order(radius_deg)
    return disc_order(radius_deg, min(density_per_deg2**-0.5, 64.0 * radius_deg))


def cells_near(ra_deg: float, dec_deg: float, radius_deg: float, order: int) -> list[int]:
    """The cells of `order` that one disc may touch (see `touched_cells`), in microseconds."""
    turned = ra_deg % 360.0  # which rounds to 360 itself just below 0
    fine = int(hpgeom.angle_to_pixel(2**CELL_ORDER, turned if turned < 360.0 else 0.0, dec_deg))
    bits = CELL_ORDER - order
    cell = fine >> 2 * bits
    inner = fine & ((1 << 2 * bits) - 1)
    x, y = _even_bits(inner), _even_bits(inner >> 1)
    margin, last = _margin(radius_deg, order), (1 << bits) - 1
    west, east, south, north = x <= margin, last - x <= margin, y <= margin, last - y <= margin
    if not (west or east or south or north):
        return [cell]
    sides = (west, west and north, north, east and north, east, east and south, south, west and south)
    around = hpgeom.neighbors(2**order, cell).tolist()  # SW, W, NW, N, NE, E, SE, S
    return sorted({cell, *(c for c, touched in zip(around, sides, strict=True) if touched and c >= 0)})


def touched_cells(ra_deg: Floats, dec_deg: Floats, radius_deg: float, order: int) -> tuple[Ints, Ints]:
    """`touched_by` for positions in degrees."""
    return touched_by(cell_of(ra_deg, dec_deg), radius_deg, order)


def touched_by(fine: Ints, radius_deg: float, order: int) -> tuple[Ints, Ints]:
    """(disc, cell): every cell of `order` that discs around cells of order 29 may touch, each pair once.

    `radius_deg` must be less than half a cell. A disc that stays clear of its cell's sides has one cell;
    others have the neighbours too. Impossible positions (-1) have none.
    """
    margin = _margin(radius_deg, order)
    shift = 2 * (CELL_ORDER - order)
    discs = np.flatnonzero(fine >= 0)
    cells = fine[discs] >> shift
    inner = fine[discs] & ((1 << shift) - 1)
    last = (1 << (CELL_ORDER - order)) - 1
    x, y = _every_other_bit(inner), _every_other_bit(inner >> 1)
    west, east = x <= margin, last - x <= margin  # towards smaller and larger x (south-west and north-east)
    south, north = y <= margin, last - y <= margin
    near = np.flatnonzero(west | east | south | north)
    if near.size == 0:
        return discs, cells
    around = np.asarray(hpgeom.neighbors(2**order, cells[near]), dtype=np.int64)
    w, e, s, n = west[near], east[near], south[near], north[near]
    # hpgeom's order of directions: SW, W, NW, N, NE, E, SE, S
    sides = np.stack([w, w & n, n, e & n, e, e & s, s, w & s], axis=1) & (around >= 0)
    owners, others = np.repeat(discs[near], 8)[sides.ravel()], around[sides]
    # where three base cells meet a neighbour can be named twice
    by_owner = np.lexsort((others, owners))
    owners, others = owners[by_owner], others[by_owner]
    again = np.zeros(owners.size, np.bool_)
    again[1:] = (owners[1:] == owners[:-1]) & (others[1:] == others[:-1])
    return np.concatenate([discs, owners[~again]]), np.concatenate([cells, others[~again]])


def half_chord_limit(radius_deg: float, *, rim: bool = True) -> float:
    """The squared sine of half a radius (less than 90 degrees), within tolerance where the rim belongs."""
    return math.sin((radius_deg + TOLERANCE_DEG if rim else radius_deg) * _HALF_DEGREE) ** 2


def half_chords(ra1: Floats | float, dec1: Floats | float, ra2: Floats, dec2: Floats) -> Floats:
    """Squared sines of half the angles between positions in degrees."""
    up = np.sin((dec1 - dec2) * _HALF_DEGREE)
    sideways = np.sin((ra1 - ra2) * _HALF_DEGREE)
    cosines = np.cos(np.multiply(dec1, _DEGREE)) * np.cos(dec2 * _DEGREE)
    return np.asarray(up * up + cosines * (sideways * sideways))


def rows_inside(
    ra_deg: float, dec_deg: float, limit: float, ra: Sequence[float], dec: Sequence[float], rows: range
) -> list[int]:
    """Those of a few rows whose half chord is at most `limit`; faster than arrays for a dozen."""
    cosine = math.cos(dec_deg * _DEGREE)
    found: list[int] = []
    for row in rows:
        lat = dec[row]
        up = math.sin((dec_deg - lat) * _HALF_DEGREE)
        sideways = math.sin((ra_deg - ra[row]) * _HALF_DEGREE)
        if up * up + cosine * math.cos(lat * _DEGREE) * (sideways * sideways) <= limit:
            found.append(row)
    return found


def angles_deg(ra1: Floats, dec1: Floats, ra2: Floats, dec2: Floats) -> Floats:
    """Degrees between positions (Vincenty 1975, on a sphere), as ADQL's DISTANCE calculates them."""
    turn = (ra2 - ra1) * _DEGREE
    lat1, lat2 = dec1 * _DEGREE, dec2 * _DEGREE
    sin1, cos1, sin2, cos2 = np.sin(lat1), np.cos(lat1), np.sin(lat2), np.cos(lat2)
    a, b = cos2 * np.sin(turn), cos1 * sin2 - sin1 * cos2 * np.cos(turn)
    across = np.sqrt(a * a + b * b)
    return np.asarray(np.degrees(np.arctan2(across, sin1 * sin2 + cos1 * cos2 * np.cos(turn))))


def rows_of_spans(first: Ints, end: Ints) -> tuple[Ints, Ints]:
    """(span, row) for each row of half-open spans."""
    counts = np.maximum(end - first, 0)
    spans = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    return spans, np.arange(counts.sum()) - np.repeat(starts - first, counts)


def _margin(radius_deg: float, order: int) -> int:
    """Cells of order 29 between a side and a disc's centre within which the disc may reach over."""
    if radius_deg + _SLACK_DEG > cell_size_deg(order) * _NARROWEST / 2:
        raise ValueError(f"discs of {radius_deg} degrees are too wide for cells of order {order}")
    return math.ceil((radius_deg + _SLACK_DEG) / (cell_size_deg(CELL_ORDER) * _NARROWEST)) + 1


def _even_bits(value: int) -> int:
    v = value & 0x5555555555555555
    v = (v | (v >> 1)) & 0x3333333333333333
    v = (v | (v >> 2)) & 0x0F0F0F0F0F0F0F0F
    v = (v | (v >> 4)) & 0x00FF00FF00FF00FF
    v = (v | (v >> 8)) & 0x0000FFFF0000FFFF
    return (v | (v >> 16)) & 0x00000000FFFFFFFF


def _every_other_bit(value: Ints) -> Ints:
    """Bits 0, 2, 4 … of numbers below 2^60, moved together (the inverse of Morton's interleaving)."""
    v = value & 0x5555555555555555
    v = (v | (v >> 1)) & 0x3333333333333333
    v = (v | (v >> 2)) & 0x0F0F0F0F0F0F0F0F
    v = (v | (v >> 4)) & 0x00FF00FF00FF00FF
    v = (v | (v >> 8)) & 0x0000FFFF0000FFFF
    return (v | (v >> 16)) & 0x00000000FFFFFFFF
