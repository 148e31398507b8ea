"""Which points a region holds, how far points are apart, areas and centres: exact to rounding.

Boundaries belong to regions (ADQL 2.1, section 4.2.12), within `TOLERANCE_DEG`. Must not know: cells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skygate.domain.sky import Box, Circle, Polygon, Position, Region
from skygate.sky import outline as outlines
from skygate.sky.outline import TOLERANCE_DEG, Floats, outline_of, vectors_of

SQUARE_DEGREES = float(np.degrees(1.0) ** 2)
"""In one steradian."""


def separation_deg(ra1: ArrayLike, dec1: ArrayLike, ra2: ArrayLike, dec2: ArrayLike) -> Floats:
    """Great-circle distances in degrees, exact from 0 to 180 (Vincenty 1975, on a sphere); NaN stays."""
    a1, d1, a2, d2 = (np.radians(np.asarray(v, dtype=np.float64)) for v in (ra1, dec1, ra2, dec2))
    turn = a2 - a1
    across = np.hypot(
        np.cos(d2) * np.sin(turn), np.cos(d1) * np.sin(d2) - np.sin(d1) * np.cos(d2) * np.cos(turn)
    )
    along = np.sin(d1) * np.sin(d2) + np.cos(d1) * np.cos(d2) * np.cos(turn)
    return np.asarray(np.degrees(np.arctan2(across, along)))


def contains(region: Region, ra_deg: ArrayLike, dec_deg: ArrayLike) -> NDArray[np.bool_]:
    """Which positions are in, or on the boundary of, a region; False where there is no position.

    Raises `BadRegion` where a polygon crosses itself or does not fit into a hemisphere.
    """
    ra, dec = np.broadcast_arrays(np.asarray(ra_deg, dtype=np.float64), np.asarray(dec_deg, dtype=np.float64))
    good = np.isfinite(ra) & (np.abs(dec) <= 90.0)
    out = np.zeros(ra.shape, dtype=np.bool_)
    out[good] = _contains(region, ra[good], dec[good])
    return out


def area_deg2(region: Region) -> float:
    """The area in square degrees."""
    if isinstance(region, Circle):
        return float(4 * np.pi * np.sin(np.radians(region.radius_deg) / 2) ** 2 * SQUARE_DEGREES)
    if isinstance(region, Polygon):
        return outlines.area_sr(outline_of(region)) * SQUARE_DEGREES
    south, north = _latitudes(region)
    height = 2 * np.cos(np.radians(north + south) / 2) * np.sin(np.radians(north - south) / 2)
    return float(np.radians(region.width_deg) * height * SQUARE_DEGREES)


def centroid(region: Region) -> Position:
    """The centre of area."""
    return outlines.centroid(outline_of(region)) if isinstance(region, Polygon) else region.center


def _contains(region: Region, ra: Floats, dec: Floats) -> NDArray[np.bool_]:
    if isinstance(region, Circle):
        return _in_circle(region, ra, dec)
    if isinstance(region, Polygon):
        return outlines.inside(outline_of(region), vectors_of(ra, dec))
    south, north = _latitudes(region)
    turn = np.abs((ra - region.center.ra_deg + 180.0) % 360.0 - 180.0)
    return (
        (turn <= region.width_deg / 2 + TOLERANCE_DEG)
        & (dec >= south - TOLERANCE_DEG)
        & (dec <= north + TOLERANCE_DEG)
    )


def _in_circle(circle: Circle, ra: Floats, dec: Floats) -> NDArray[np.bool_]:
    """By haversines: from the centre, or for wide circles from the opposite point: little rounding."""
    wide = circle.radius_deg > 90.0
    ra0 = circle.center.ra_deg + (180.0 if wide else 0.0)
    dec0 = -circle.center.dec_deg if wide else circle.center.dec_deg
    limit = 180.0 - circle.radius_deg - TOLERANCE_DEG if wide else circle.radius_deg + TOLERANCE_DEG
    half = (
        np.sin(np.radians(dec - dec0) / 2) ** 2
        + np.cos(np.radians(dec)) * np.cos(np.radians(dec0)) * np.sin(np.radians(ra - ra0) / 2) ** 2
    )
    if wide:
        return np.asarray((half >= np.sin(np.radians(limit) / 2) ** 2) | (limit <= 0))
    return np.asarray(half <= np.sin(np.radians(limit) / 2) ** 2)


def _latitudes(box: Box) -> tuple[float, float]:
    half = box.height_deg / 2
    return max(-90.0, box.center.dec_deg - half), min(90.0, box.center.dec_deg + half)
