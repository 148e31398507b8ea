"""Kernels of the sky: cells of points, discs and regions; membership; areas; moved positions.

A shape is a list of numbers in degrees, as DALI writes it: 2 a point, 3 a circle, 6 or more a polygon. A row
whose arguments are null, or make no shape, has a null result. Must not know: SQL, engines.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skygate.domain.catalog import CELL_ORDER
from skygate.domain.sky import Circle, Polygon, Position
from skygate.errors import BadRegion
from skygate.sky import cells as cells_of
from skygate.sky import cover, exact, many, outline, ranges, relate

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Values: TypeAlias = pa.Array | pa.ChunkedArray

_NARROW_DEG = 3.0
_FEW_SHAPES = 16
"""Rows with polygons of their own that are not worth to be looked at together."""
_MOST_CORNERS = 12
_RING = 24
_REGION_RANGES = 512


def cell(ra: Values, dec: Values, order: Values) -> pa.Array:
    """NESTED cells of positions; null where there is no position or no such order."""
    return healpix_index(order, ra, dec)


def healpix_index(order: Values, ra: Values, dec: Values) -> pa.Array:
    """ivo_healpix_index (UDF catalogue 1.0, section 2.1): NESTED cells of positions at orders 0 to 29."""
    lon, lat, orders = _floats(ra), _floats(dec), _longs(order)
    out = np.full(len(lon), cells_of.NO_CELL, dtype=np.int64)
    for one in _orders(orders):
        rows = orders == one
        out[rows] = cells_of.cell_of(lon[rows], lat[rows], one)
    return pa.array(out, mask=out < 0)


def healpix_center(order: Values, index: Values) -> pa.Array:
    """ivo_healpix_center (UDF catalogue 1.0, section 2.1): centres of NESTED cells, as points."""
    orders, indices = _longs(order), _longs(index)
    lon, lat = np.full(len(orders), np.nan), np.full(len(orders), np.nan)
    for one in _orders(orders):
        rows = orders == one
        lon[rows], lat[rows] = cells_of.center_of(indices[rows], one)
    return _points(lon, lat)


def disc_cells(ra: Values, dec: Values, radius: Values, order: Values) -> pa.Array:
    """The cells of an order that each disc may touch; null where there is no disc."""
    lon, lat, size, orders = _floats(ra), _floats(dec), _floats(radius), _longs(order)
    good = np.isfinite(lon) & (np.abs(lat) <= 90) & (size >= 0) & (orders >= 0) & (orders <= CELL_ORDER)
    found: list[tuple[Longs, Longs]] = []
    for one in _orders(orders[good]):
        rows = np.flatnonzero(good & (orders == one))
        narrow = size[rows] <= min(_NARROW_DEG, cells_of.cell_size_deg(one) / 8.0)
        quick, slow = rows[narrow], rows[~narrow]
        found.append(_ring_cells(quick, lon[quick], lat[quick], size[quick], one))
        for row in slow.tolist():
            cells = cover.disc_cells(float(lon[row]), float(lat[row]), min(float(size[row]), 180.0), one)
            found.append((np.full(len(cells), row, dtype=np.int64), cells))
    return _lists(found, len(lon), good)


def region_cells(region: Values, order: Values) -> pa.Array:
    """The cells of an order that each shape may touch; null where there is no shape."""
    orders = _longs(order)
    good = np.zeros(len(orders), dtype=np.bool_)
    found: list[tuple[Longs, Longs]] = []
    small: dict[int, list[tuple[int, Circle]]] = {}
    for row, (shape, one) in enumerate(zip(_shapes(region), orders.tolist(), strict=True)):
        if shape is None or not 0 <= one <= CELL_ORDER:
            continue
        disc = _disc_around(shape)
        if disc is not None and disc.radius_deg <= min(_NARROW_DEG, cells_of.cell_size_deg(one) / 8.0):
            small.setdefault(one, []).append((row, disc))
            good[row] = True
            continue
        cells = _shape_cells(shape, disc, one)
        if cells is not None:
            good[row] = True
            found.append((np.full(len(cells), row, dtype=np.int64), cells))
    for one, discs in small.items():
        rows = np.array([row for row, _ in discs], dtype=np.int64)
        ra, dec, radius = np.array(
            [(d.center.ra_deg, d.center.dec_deg, d.radius_deg) for _, d in discs], dtype=np.float64
        ).T
        found.append(_ring_cells(rows, ra, dec, radius, one))
    return _lists(found, len(orders), good)


def in_region(ra: Values, dec: Values, region: Values) -> pa.Array:
    """Whether each shape holds the position of its row."""
    lon, lat = _floats(ra), _floats(dec)
    good = np.isfinite(lon) & (np.abs(lat) <= 90)
    constant = _constant(region)
    if constant is not None:  # one region for all rows: made ready once
        return _in_constant(constant, lon, lat, good)
    plain = _plainly_inside(region, lon, lat, good)
    out, known = plain == 1, plain >= 0
    if known.all():
        return pa.array(out)
    left = np.flatnonzero(good & ~known)
    shapes = _shapes(_whole(region).take(pa.array(left)))
    rows_of: dict[relate.Shape, list[int]] = {}
    for row, shape in zip(left.tolist(), shapes, strict=True):
        if shape is not None:
            rows_of.setdefault(shape, []).append(row)
    for shape, members in rows_of.items():
        rows = np.array(members)
        inside = _inside(shape, lon[rows], lat[rows])
        if inside is not None:
            out[rows], known[rows] = inside, True
    return pa.array(out, mask=~known)


def _constant(region: Values) -> tuple[float, ...] | None:
    """The numbers of the region, where every row has the same."""
    whole = _whole(region)
    if len(whole) < 2 or whole.null_count:
        return None
    lists = whole.cast(pa.list_(pa.float64()))
    numbers, size = lists.flatten(), len(lists[0])
    if not size or numbers.null_count or len(numbers) != size * len(lists):
        return None
    lengths = np.diff(lists.offsets.to_numpy())
    table = numbers.to_numpy().reshape(len(lists), size)
    return tuple(table[0].tolist()) if (lengths == size).all() and (table == table[0]).all() else None


def _in_constant(numbers: tuple[float, ...], lon: Floats, lat: Floats, good: NDArray[np.bool_]) -> pa.Array:
    shape = _known_shape(numbers)
    inside = None if shape is None else _inside(shape, lon, lat)
    return pa.nulls(len(lon), pa.bool_()) if inside is None else pa.array(inside, mask=~good)


def _inside(shape: relate.Shape, lon: Floats, lat: Floats) -> NDArray[np.bool_] | None:
    """Which positions a shape holds; None for what is no region."""
    region = Circle(shape, 0.0) if isinstance(shape, Position) else shape
    try:
        return exact.contains(region, lon, lat)
    except BadRegion:
        return None


def _plainly_inside(region: Values, lon: Floats, lat: Floats, good: NDArray[np.bool_]) -> NDArray[np.int8]:
    """What can be told of all rows at once (see `many.inside_each`): those whose polygons are their own."""
    out = np.full(len(lon), -1, dtype=np.int8)
    whole = _whole(region)
    if len(whole) < _FEW_SHAPES:
        return out
    lists = whole.cast(pa.list_(pa.float64()))
    values = lists.values.fill_null(np.nan).to_numpy(zero_copy_only=False)
    there = good & lists.is_valid().to_numpy(zero_copy_only=False)
    offsets = lists.offsets.to_numpy()
    starts, sizes = offsets[:-1], np.diff(offsets)
    for size in np.unique(sizes[there]).tolist():
        rows = np.flatnonzero((sizes == size) & there)
        if size % 2 or not 6 <= size <= 2 * _MOST_CORNERS or len(rows) < _FEW_SHAPES:
            continue
        corners = values[starts[rows, None] + np.arange(size)].reshape(len(rows), -1, 2)
        real = np.isfinite(corners).all(axis=(1, 2)) & (np.abs(corners[..., 1]) <= 90).all(axis=1)
        rows = rows[real]
        out[rows] = many.inside_each(corners[real], lon[rows], lat[rows])
    return out


def contains(outer: Values, inner: Values) -> pa.Array:
    """Whether each outer shape holds all of its inner one."""
    return _pairs(relate.holds, outer, inner)


def intersects(one: Values, other: Values) -> pa.Array:
    """Whether two shapes have a point in common."""
    return _pairs(relate.meets, one, other)


def box(ra: Values, dec: Values, width: Values, height: Values) -> pa.Array:
    """The polygons of ADQL's BOX."""
    return pa.array(
        [
            _try(lambda r=r, d=d, w=w, h=h: _numbers(outline.box_polygon(Position(r, d), w, h)))
            for r, d, w, h in zip(*(_floats(v).tolist() for v in (ra, dec, width, height)), strict=True)
        ],
        type=pa.list_(pa.float64()),
    )


def area(region: Values) -> pa.Array:
    """Areas in square degrees; a point has none."""
    return pa.array(
        [None if s is None else _try(lambda s=s: _area(s)) for s in _shapes(region)], pa.float64()
    )


def centroid(region: Values) -> pa.Array:
    """Centres of area, as points."""
    return pa.array(
        [None if s is None else _try(lambda s=s: _centroid(s)) for s in _shapes(region)],
        pa.list_(pa.float64()),
    )


def apply_pm(ra: Values, dec: Values, pmra: Values, pmdec: Values, years: Values) -> pa.Array:
    """Positions after linear motion in the tangent plane; `pmra` (times cos(dec)), `pmdec` in deg/year."""
    lon, lat, east, north, span = (_floats(v) for v in (ra, dec, pmra, pmdec, years))
    with np.errstate(over="ignore", invalid="ignore"):
        steps = [v * span for v in (east, north)]
    good = np.isfinite(lon) & (np.abs(lat) <= 90) & np.isfinite(steps[0]) & np.isfinite(steps[1])
    a, d = np.radians(np.where(good, lon, 0.0)), np.radians(np.where(good, lat, 0.0))
    x, y = (np.radians(np.where(good, step, 0.0)) for step in steps)
    to_east = np.stack([-np.sin(a), np.cos(a), np.zeros_like(a)])
    to_north = np.stack([-np.sin(d) * np.cos(a), -np.sin(d) * np.sin(a), np.cos(d)])
    moved = np.stack([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)]) + x * to_east + y * to_north
    out_lon = np.mod(np.degrees(np.arctan2(moved[1], moved[0])), 360.0)
    out_lat = np.degrees(np.arctan2(moved[2], np.hypot(moved[0], moved[1])))
    return _points(np.where(good, out_lon, np.nan), np.where(good, out_lat, np.nan))


def shape_of(numbers: tuple[float, ...]) -> relate.Shape | None:
    """The shape that numbers spell, None where they spell none."""
    if len(numbers) == 2:
        return _try(lambda: Position(*numbers))
    if len(numbers) == 3:
        return _try(lambda: Circle(Position(*numbers[:2]), numbers[2]))
    if len(numbers) >= 6 and len(numbers) % 2 == 0:
        pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
        return _try(lambda: Polygon(tuple(Position(*pair) for pair in pairs)))
    return None


def _ring_cells(rows: Longs, ra: Floats, dec: Floats, radius: Floats, order: int) -> tuple[Longs, Longs]:
    """(row, cell) of the cells that discs touch, by centres and rings of points at twice the radius.

    A cell at least 8 radii wide that reaches into the disc covers more than one step of the ring or the
    centre, since its corners are blunter than 30 degrees.
    """
    if len(rows) == 0:
        return rows, rows
    a, d = np.radians(ra), np.radians(dec)
    rho = np.radians(np.maximum(2.0 * radius, radius + 1e-9))[:, None]
    theta = np.arange(_RING) * (2 * np.pi / _RING)
    to_east, to_north = np.sin(rho) * np.sin(theta), np.sin(rho) * np.cos(theta)
    along = np.cos(rho)
    sin_a, cos_a, sin_d, cos_d = (f(v)[:, None] for v in (a, d) for f in (np.sin, np.cos))
    x = along * cos_d * cos_a - to_east * sin_a - to_north * sin_d * cos_a
    y = along * cos_d * sin_a + to_east * cos_a - to_north * sin_d * sin_a
    z = along * sin_d + to_north * cos_d
    ring = cells_of.cell_of(np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(z, np.hypot(x, y))), order)
    all_cells = np.sort(np.concatenate([cells_of.cell_of(ra, dec, order)[:, None], ring], axis=1), axis=1)
    first = np.concatenate([np.ones((len(rows), 1), np.bool_), all_cells[:, 1:] != all_cells[:, :-1]], axis=1)
    return np.broadcast_to(rows[:, None], first.shape)[first], all_cells[first]


def _disc_around(shape: relate.Shape) -> Circle | None:
    """A disc that holds the shape; None for wide polygons."""
    if isinstance(shape, Position):
        return Circle(shape, 0.0)
    if isinstance(shape, Circle):
        return shape
    corners = outline.vectors_of(
        np.array([c.ra_deg for c in shape.corners]), np.array([c.dec_deg for c in shape.corners])
    )
    middle = corners.mean(axis=0)
    length = float(np.linalg.norm(middle))
    if length < 0.5:
        return None
    chord = float(np.linalg.norm(corners - middle / length, axis=1).max())
    radius = float(np.degrees(2 * np.arcsin(min(1.0, chord / 2)))) + 1e-9
    return Circle(outline.position_of(middle), radius) if radius < 60.0 else None


def _shape_cells(shape: relate.Shape, disc: Circle | None, order: int) -> Longs | None:
    few = disc is not None and disc.radius_deg < 4.0 * cells_of.cell_size_deg(order)
    if disc is not None and (few or not isinstance(shape, Polygon)):
        return cover.disc_cells(disc.center.ra_deg, disc.center.dec_deg, disc.radius_deg, order)
    if not isinstance(shape, Polygon):
        return None
    return _try(lambda: ranges.cells_within(cover.cover(shape, max_ranges=_REGION_RANGES), order))


def _pairs(test: Callable[[Any, Any], bool], one: Values, other: Values) -> pa.Array:
    return pa.array(
        [
            None if a is None or b is None else _try(lambda a=a, b=b: test(a, b))
            for a, b in zip(_shapes(one), _shapes(other), strict=True)
        ],
        type=pa.bool_(),
    )


def _shapes(values: Values) -> list[relate.Shape | None]:
    whole, constant = _whole(values), _constant(values)
    if constant is not None:
        return [_known_shape(constant)] * len(whole)
    return [_shape_of_list(row) for row in whole.to_pylist()]


def _shape_of_list(row: list[float | None] | None) -> relate.Shape | None:
    if row is None or any(number is None for number in row):
        return None
    return _known_shape(tuple(row))  # type: ignore[arg-type]


@lru_cache(maxsize=4096)
def _known_shape(numbers: tuple[float, ...]) -> relate.Shape | None:
    return shape_of(numbers)


def _numbers(polygon: Polygon) -> list[float]:
    return [number for corner in polygon.corners for number in (corner.ra_deg, corner.dec_deg)]


def _area(shape: relate.Shape) -> float:
    return 0.0 if isinstance(shape, Position) else exact.area_deg2(shape)


def _centroid(shape: relate.Shape) -> list[float]:
    center = shape if isinstance(shape, Position) else exact.centroid(shape)
    return [center.ra_deg, center.dec_deg]


def _try(make: Callable[[], Any]) -> Any:
    """What is made, or None where it is no region: a bad row is null, not a failed query."""
    try:
        return make()
    except BadRegion:
        return None


def _whole(values: Values) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _floats(values: Values) -> Floats:
    return np.asarray(_whole(values).cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False))


def _longs(values: Values) -> Longs:
    return np.asarray(_whole(values).cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False))


def _orders(orders: Longs) -> list[int]:
    return [int(o) for o in np.unique(orders) if 0 <= o <= CELL_ORDER]


def _points(lon: Floats, lat: Floats) -> pa.Array:
    offsets = np.arange(0, 2 * len(lon) + 2, 2, dtype=np.int32)
    values = pa.array(np.stack([lon, lat], axis=1).ravel() + 0.0)  # no -0.0
    return pa.ListArray.from_arrays(pa.array(offsets), values, mask=pa.array(np.isnan(lon) | np.isnan(lat)))


def _lists(found: list[tuple[Longs, Longs]], rows: int, good: NDArray[np.bool_]) -> pa.Array:
    row = np.concatenate([np.empty(0, np.int64), *(r for r, _ in found)])
    values = np.concatenate([np.empty(0, np.int64), *(c for _, c in found)])
    order = np.argsort(row, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=rows))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values[order]), mask=pa.array(~good))
