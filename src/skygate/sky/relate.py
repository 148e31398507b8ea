"""Whether one region holds, or meets, another: points, circles and polygons in every combination.

Boundaries belong to regions, within `TOLERANCE_DEG`. Must not know: ADQL, cells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skygate.domain.sky import Circle, Polygon, Position
from skygate.sky import exact
from skygate.sky.outline import (
    TOLERANCE_DEG,
    TOLERANCE_RAD,
    Floats,
    Outline,
    edge_distance,
    inside,
    outline_of,
    vectors_of,
)

Shape = Position | Circle | Polygon


def holds(outer: Shape, inner: Shape) -> bool:
    """Whether all of `inner` is in, or on the boundary of, `outer`; raises `BadRegion`."""
    if isinstance(inner, Position):
        return _holds_point(outer, inner)
    if isinstance(outer, Position):
        return (
            isinstance(inner, Circle)
            and inner.radius_deg <= TOLERANCE_DEG
            and _apart(inner.center, outer) == 0
        )
    if isinstance(outer, Circle):
        if isinstance(inner, Circle):
            wide_enough = (
                _apart(outer.center, inner.center) + inner.radius_deg <= outer.radius_deg + TOLERANCE_DEG
            )
            return wide_enough or outer.radius_deg >= 180.0
        return _circle_holds_polygon(outer, outline_of(inner))
    outline = outline_of(outer)
    if isinstance(inner, Circle):
        center = _vector(inner.center)
        depth = float(np.degrees(edge_distance(outline, center)[0]))
        return bool(inside(outline, center)[0]) and depth >= inner.radius_deg - TOLERANCE_DEG
    return bool(inside(outline, _boundary_samples(outline_of(inner), outline)).all())


def meets(one: Shape, other: Shape) -> bool:
    """Whether two regions have a point in common; raises `BadRegion`."""
    if isinstance(one, Position):
        return _holds_point(other, one)
    if isinstance(other, Position):
        return _holds_point(one, other)
    if isinstance(one, Circle):
        if isinstance(other, Circle):
            reach = one.radius_deg + other.radius_deg + TOLERANCE_DEG
            return _apart(one.center, other.center) <= reach
        return _circle_meets_polygon(one, outline_of(other))
    if isinstance(other, Circle):
        return _circle_meets_polygon(other, outline_of(one))
    return _polygons_meet(outline_of(one), outline_of(other))


def _holds_point(region: Shape, point: Position) -> bool:
    if isinstance(region, Position):
        return _apart(region, point) <= TOLERANCE_DEG
    return bool(exact.contains(region, point.ra_deg, point.dec_deg))


def _circle_holds_polygon(circle: Circle, outline: Outline) -> bool:
    if circle.radius_deg <= 90.0:
        # a cap up to a hemisphere is convex: corners suffice
        chord = np.linalg.norm(outline.corners - _vector(circle.center), axis=1).max()
        return bool(2 * np.arcsin(min(1.0, chord / 2)) <= np.radians(circle.radius_deg) + TOLERANCE_RAD)
    outside = -_vector(circle.center)
    gap = np.radians(180.0 - circle.radius_deg) - TOLERANCE_RAD
    return gap <= 0 or not (inside(outline, outside)[0] or edge_distance(outline, outside)[0] < gap)


def _circle_meets_polygon(circle: Circle, outline: Outline) -> bool:
    center = _vector(circle.center)
    if inside(outline, center)[0]:
        return True
    return bool(edge_distance(outline, center)[0] <= np.radians(circle.radius_deg) + TOLERANCE_RAD)


def _polygons_meet(one: Outline, other: Outline) -> bool:
    if inside(one, other.corners[:1])[0] or inside(other, one.corners[:1])[0]:
        return True
    if inside(one, other.corners).any() or inside(other, one.corners).any():
        return True
    return len(_crossings(one, other)[0]) > 0


def _boundary_samples(outline: Outline, cut_by: Outline) -> Floats:
    """A point of every piece into which the other's edges cut this boundary, and all its corners."""
    following = np.roll(outline.corners, -1, axis=0)
    where, at = _crossings(outline, cut_by)
    on_edge = edge_distance(outline, cut_by.corners) <= TOLERANCE_RAD
    samples = [outline.corners]
    for i, (a, b) in enumerate(zip(outline.corners, following, strict=True)):
        stops = np.concatenate([a[None], b[None], at[where == i], cut_by.corners[on_edge]])
        along = np.sort(np.clip((stops - a) @ (b - a) / ((b - a) @ (b - a)), 0.0, 1.0))
        middles = (along[1:] + along[:-1]) / 2
        pieces = a + middles[np.diff(along) > 1e-9, None] * (b - a)
        samples.append(pieces / np.linalg.norm(pieces, axis=1, keepdims=True))
    return np.concatenate(samples)


def _crossings(one: Outline, other: Outline) -> tuple[NDArray[np.intp], Floats]:
    """(edge of `one`, unit vector) of each point where an edge of `one` properly crosses one of `other`."""
    a, b = one.corners, np.roll(one.corners, -1, axis=0)
    c, d = other.corners, np.roll(other.corners, -1, axis=0)
    # heights of ends over the other's planes, by differences to keep precision
    c_over = np.einsum("ek,efk->ef", one.normals, c[None] - a[:, None])
    d_over = np.einsum("ek,efk->ef", one.normals, d[None] - a[:, None])
    a_over = np.einsum("fk,efk->ef", other.normals, a[:, None] - c[None])
    b_over = np.einsum("fk,efk->ef", other.normals, b[:, None] - c[None])
    crossed = (np.minimum(c_over, d_over) < -TOLERANCE_RAD) & (np.maximum(c_over, d_over) > TOLERANCE_RAD)
    crossed &= (np.minimum(a_over, b_over) < -TOLERANCE_RAD) & (np.maximum(a_over, b_over) > TOLERANCE_RAD)
    i, j = np.nonzero(crossed)
    share = a_over[i, j] / (a_over[i, j] - b_over[i, j])
    points = a[i] + share[:, None] * (b[i] - a[i])
    points = points / np.linalg.norm(points, axis=1, keepdims=True)
    # the planes also cross at the opposite point: keep what lies between c and d
    near = np.sum(points * (c[j] + d[j]), axis=1) > 0
    return i[near], points[near]


def _vector(position: Position) -> Floats:
    return vectors_of(np.array([position.ra_deg]), np.array([position.dec_deg]))


def _apart(one: Position, other: Position) -> float:
    apart = float(exact.separation_deg(one.ra_deg, one.dec_deg, other.ra_deg, other.dec_deg))
    return 0.0 if apart <= TOLERANCE_DEG else apart
