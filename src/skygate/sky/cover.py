"""Cells that a region may touch: few ranges, found fast, that never lose a point of the region.

Must not know: tables, ADQL. What is exact about membership is `skygate.sky.exact`.
"""

from __future__ import annotations

from collections.abc import Callable

import hpgeom
import numpy as np
from numpy.typing import NDArray

from skygate.domain.catalog import CELL_ORDER
from skygate.domain.sky import Box, Circle, Polygon, Region
from skygate.sky import cells as cells_of
from skygate.sky import ranges as ranges_of
from skygate.sky.exact import separation_deg
from skygate.sky.outline import (
    Floats,
    area_share,
    edge_distance,
    least_heights,
    outline_of,
    position_of,
    surely,
    vectors_of,
)
from skygate.sky.ranges import Ranges

Judge = Callable[[Floats, Floats, float], tuple[NDArray[np.bool_], NDArray[np.bool_]]]
"""(ra, dec, radius in degrees of discs around cell centres) → (may touch the region, is surely within)."""

_PAD_RAD = 1e-8
"""2 milliarcseconds: more than hpgeom's cosines lose for discs of at least `_SMALLEST_RAD`."""
_SMALLEST_RAD = 1e-6
_FINEST_ORDER = 27
"""hpgeom looks two orders deeper than it answers."""
_FILLED = 0.3
"""Of the disc around a polygon: a square has 0.64 of it."""
_WIDEST_QUERY_DEG = 85.0
"""Beyond this hpgeom's discs lose cells at low orders (seen from 139 degrees on)."""


def cover(region: Region, *, max_ranges: int = 64) -> Ranges:
    """At most `max_ranges` ranges of order-29 cells that hold every point of the region.

    Raises `BadRegion` where a polygon is none.
    """
    if isinstance(region, Circle):
        found = _cover_circle(region, max_ranges)
    elif isinstance(region, Polygon):
        found = _cover_polygon(region, max_ranges)
    else:
        found = _cover_box(region, max_ranges)
    return ranges_of.simplify(found, max_ranges)


def disc_cells(ra_deg: float, dec_deg: float, radius_deg: float, order: int) -> NDArray[np.int64]:
    """The cells of one order that a disc may touch, ascending."""
    if radius_deg > _WIDEST_QUERY_DEG:
        radius = min(radius_deg, 180.0)
        return ranges_of.cells_within(_refine(*_WHOLE, _near(ra_deg, dec_deg, radius), order, 1 << 24), order)
    pairs = _query(ra_deg, dec_deg, radius_deg, min(order, _FINEST_ORDER))
    return ranges_of.cells_within(pairs, order)


def disc_ranges(circle: Circle) -> Ranges:
    """Ranges of cells, as many as it takes, that hold a circle of at most 85 degrees and little around it."""
    center, radius = circle.center, circle.radius_deg
    size = max(radius, float(np.degrees(_SMALLEST_RAD)))
    return _query(center.ra_deg, center.dec_deg, radius, min(_FINEST_ORDER, cells_of.order_for(size) + 3))


def polygon_ranges(polygon: Polygon, widest_deg: float) -> tuple[Ranges, float] | None:
    """Ranges of cells, as many as it takes, that hold a polygon and what is around it: quickly found.

    With the share of them that is about the polygon's. None where the disc around it has a radius of more
    than `widest_deg` (at most 85). A polygon that fills much of that disc is covered with it, and others by
    `cover`.
    """
    outline = outline_of(polygon)
    radius = outline.radius_rad
    if radius > np.radians(widest_deg):
        return None
    share = area_share(outline)
    if share < _FILLED:
        return cover(polygon, max_ranges=64), 1.0
    return disc_ranges(Circle(position_of(outline.axis), float(np.degrees(radius)))), min(1.0, share)


def _cover_circle(circle: Circle, max_ranges: int) -> Ranges:
    center, radius = circle.center, circle.radius_deg
    if radius > _WIDEST_QUERY_DEG:
        return _refine(*_WHOLE, _near(center.ra_deg, center.dec_deg, radius), 6, 4 * max_ranges)
    size = max(radius, float(np.degrees(_SMALLEST_RAD))) / (3.0 if max_ranges >= 16 else 1.5)
    return _query(center.ra_deg, center.dec_deg, radius, min(_FINEST_ORDER, cells_of.order_for(size) + 1))


def _query(ra_deg: float, dec_deg: float, radius_deg: float, order: int) -> Ranges:
    """Order-29 ranges of the cells of `order` (at most 27) that a disc of at most 85 degrees touches."""
    wider = float(np.degrees(max(np.radians(radius_deg) + _PAD_RAD, _SMALLEST_RAD)))
    fact = 4 if order <= _FINEST_ORDER else 1
    half_open = hpgeom.query_circle(
        2**order, ra_deg % 360.0, dec_deg, wider, inclusive=True, fact=fact, return_pixel_ranges=True
    )
    shift = 2 * (CELL_ORDER - order)
    return np.asarray(half_open, dtype=np.int64).reshape(-1, 2) * (1 << shift) - np.array(
        [0, 1], dtype=np.int64
    )


_WHOLE = (np.arange(12, dtype=np.int64), 0)


def _cover_polygon(polygon: Polygon, max_ranges: int) -> Ranges:
    outline = outline_of(polygon)

    def judge(ra: Floats, dec: Floats, radius_deg: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        points = vectors_of(ra, dec)
        if outline.plain:
            heights, sine = least_heights(outline, points), np.sin(np.radians(radius_deg))
            return heights >= -sine, heights > sine
        holds = surely(outline, points)
        near = edge_distance(outline, points) <= np.radians(radius_deg)
        return holds | near, holds & ~near

    radius = float(np.degrees(outline.radius_rad))
    if radius > 30.0:
        return _refine(*_WHOLE, judge, 8, 4 * max_ranges)
    order = min(_FINEST_ORDER, cells_of.order_for(max(radius, 3e-5)))
    x, y, z = outline.axis.tolist()
    ra, dec = np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y)))
    start = ranges_of.cells_within(_query(float(ra), float(dec), radius, order), order)
    return _refine(start, order, judge, min(_FINEST_ORDER, order + 6), 4 * max_ranges)


def _cover_box(box: Box, max_ranges: int) -> Ranges:
    south, north = box.center.dec_deg - box.height_deg / 2, box.center.dec_deg + box.height_deg / 2
    half = box.width_deg / 2

    def judge(ra: Floats, dec: Floats, radius_deg: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        to_pole = 90.0 - np.abs(dec)
        # the widest difference of right ascension within a disc (Meeus; pi when it holds a pole)
        polar = to_pole <= radius_deg
        ratio = np.sin(np.radians(radius_deg)) / np.maximum(np.sin(np.radians(to_pole)), 1e-300)
        reach = np.where(polar, 180.0, np.degrees(np.arcsin(np.minimum(ratio, 1.0))))
        turn = np.abs((ra - box.center.ra_deg + 180.0) % 360.0 - 180.0)
        touches = (dec + radius_deg >= south) & (dec - radius_deg <= north) & (turn <= half + reach + 1e-9)
        within = (dec - radius_deg > south) & (dec + radius_deg < north)
        return touches, within & ((turn + reach < half) | (half >= 180.0))

    size = max(min(box.width_deg * np.cos(np.radians(box.center.dec_deg)), box.height_deg), 1e-4)
    finest = min(_FINEST_ORDER, cells_of.order_for(float(size)) + 4)
    return _refine(*_WHOLE, judge, finest, 8 * max_ranges)


def _near(ra0: float, dec0: float, limit_deg: float) -> Judge:
    def judge(ra: Floats, dec: Floats, radius_deg: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        apart = separation_deg(ra0, dec0, ra, dec)
        return apart <= limit_deg + radius_deg, apart + radius_deg < limit_deg

    return judge


def _refine(start: NDArray[np.int64], order: int, judge: Judge, finest: int, budget: int) -> Ranges:
    """Divide the cells that the boundary may cross until they are fine, or more than `budget`."""
    found: list[Ranges] = []
    cells = start
    while True:
        ra, dec = cells_of.center_of(cells, order)
        touches, within = judge(ra, dec, cells_of.cell_radius_deg(order) + 1e-9)
        edge = cells[touches & ~within]
        found.append(ranges_of.of_cells(cells[within], order))
        if order >= finest or 2 * len(edge) > budget:
            found.append(ranges_of.of_cells(edge, order))
            return ranges_of.union(*found)
        cells = (edge[:, None] * 4 + np.arange(4)).ravel()
        order += 1
        if len(cells) == 0:
            return ranges_of.union(*found)
