"""A polygon made ready for arithmetic: unit vectors, edges, and the plane in which its edges are straight.

A gnomonic projection turns great circles into straight lines, so a polygon that fits into a hemisphere is
a plane polygon there. Must not know: cells, tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from skygate.domain.sky import Polygon, Position
from skygate.errors import BadRegion

Floats = NDArray[np.float64]

TOLERANCE_DEG = 1e-12
"""A point this close to a boundary is on it: rounding of coordinates in degrees is about 6e-14."""
TOLERANCE_RAD = float(np.radians(TOLERANCE_DEG))
_WIDEST_RAD = float(np.radians(89.9))
_PRECISE_PLANE_RAD = 1e-3
_MARGIN = 1e-9
"""Sines of angles: nearer to an edge's great circle than this is not plain; far more than all rounding."""
_PLAIN_RAD, _PLAIN_EDGE = float(np.radians(60.0)), 1e-6
"""Wider polygons, and those with shorter edges, are not plain."""


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """Corners (n, 3) with no repeats, unit normals of the edges from each to the next, and the frame of
    the projection: `axis`, `east`, `north`; `plane` (n, 2) are the projected corners, anticlockwise.
    """

    corners: Floats
    normals: Floats
    axis: Floats
    east: Floats
    north: Floats
    plane: Floats
    radius_rad: float
    """All of the polygon is within this angle of `axis`."""
    plain: bool
    """Whether it is what the edges' half-spheres have in common, with room to spare at each corner."""


def vectors_of(ra_deg: Floats | float, dec_deg: Floats | float) -> Floats:
    """Unit vectors (…, 3) of positions in degrees."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    cos = np.cos(dec)
    return np.stack(np.broadcast_arrays(cos * np.cos(ra), cos * np.sin(ra), np.sin(dec)), axis=-1)


def position_of(vector: Floats) -> Position:
    """The position of a vector of any length but 0."""
    x, y, z = (float(c) for c in vector)
    return Position(
        float(np.degrees(np.arctan2(y, x))) % 360.0, float(np.degrees(np.arctan2(z, np.hypot(x, y))))
    )


@lru_cache(maxsize=512)
def outline_of(polygon: Polygon) -> Outline:
    """The outline of a polygon; raises `BadRegion` where it crosses itself, has no area, or is too wide."""
    corners = _distinct(vectors_of(*_coordinates(polygon)))
    if len(corners) < 3:
        raise BadRegion(
            "a polygon needs at least 3 different corners", hint="two corners make a line, not an area"
        )
    axis, radius = _cap(corners)
    if radius > _WIDEST_RAD:
        raise BadRegion(
            "the polygon does not fit into a hemisphere",
            hint="divide it into polygons narrower than 180 degrees",
        )
    east, north = _frame(axis)
    plane = _project(corners, axis, east, north)
    normals = _normals(corners)
    turn = _turn(corners, normals) if radius <= _PLAIN_RAD else 0
    plain = turn != 0
    if not plain:
        _refuse_odd(plane)
        turn = 1 if _plane_area(plane) >= 0 else -1
    if turn < 0:
        corners, plane = np.ascontiguousarray(corners[::-1]), np.ascontiguousarray(plane[::-1])
        normals = _normals(corners)
    return Outline(corners, normals, axis, east, north, plane, radius_rad=radius, plain=plain)


def box_polygon(center: Position, width_deg: float, height_deg: float) -> Polygon:
    """The polygon of ADQL's BOX: great-circle sides at right angles to the arms of a cross (ADQL 2.1, 4.2.9).

    Its sides are straight in the plane that touches the sphere at the centre, at tan(size / 2) from it.
    Raises `BadRegion` where a size is not between 0 and 180 degrees.
    """
    for name, value in (("width", width_deg), ("height", height_deg)):
        if not 0 < value < 180:
            raise BadRegion(
                f"box {name} {value:g} is not between 0 and 180 degrees",
                hint="for ranges of coordinates compare ra and dec with BETWEEN",
            )
    axis = vectors_of(center.ra_deg, center.dec_deg)
    ra = np.radians(center.ra_deg)
    east = np.array([-np.sin(ra), np.cos(ra), 0.0])
    north = np.cross(axis, east)
    x, y = np.tan(np.radians(width_deg) / 2), np.tan(np.radians(height_deg) / 2)
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return Polygon(tuple(position_of(axis + i * x * east + j * y * north) for i, j in signs))


def inside(outline: Outline, points: Floats) -> NDArray[np.bool_]:
    """Which unit vectors (n, 3) are in the polygon or within `TOLERANCE_DEG` of its edges."""
    if not outline.plain:
        return _inside(outline, points)
    heights = least_heights(outline, points)
    out = heights > _MARGIN
    unsure = np.flatnonzero(np.abs(heights) <= _MARGIN)
    if len(unsure):
        out[unsure] = _inside(outline, points[unsure])
    return out


def least_heights(outline: Outline, points: Floats) -> Floats:
    """The sine of the angle by which each unit vector (n, 3) is above all edges of a plain polygon.

    Positive inside. A disc is inside where the sine of its radius is less, and does not touch the polygon
    where that is less than the negative height.
    """
    return np.asarray((outline.normals @ points.T).min(axis=0))


def _inside(outline: Outline, points: Floats) -> NDArray[np.bool_]:
    depth = points @ outline.axis
    near = np.flatnonzero(depth >= np.cos(min(outline.radius_rad + 1e-9, np.pi / 2)) - 1e-15)
    out = np.zeros(len(points), dtype=np.bool_)
    if len(near) == 0:
        return out
    some = points[near]
    odd = _within(outline, some, depth[near])
    rest = np.flatnonzero(~odd)
    if len(rest):
        odd[rest] = edge_distance(outline, some[rest]) <= TOLERANCE_RAD
    out[near] = odd
    return out


def surely(outline: Outline, points: Floats) -> NDArray[np.bool_]:
    """Which unit vectors (n, 3) are in the polygon; those on its edges may be or not."""
    depth = points @ outline.axis
    near = depth >= np.cos(min(outline.radius_rad + 1e-9, np.pi / 2)) - 1e-15
    out = np.zeros(len(points), dtype=np.bool_)
    out[near] = _within(outline, points[near], depth[near])
    return out


def _within(outline: Outline, some: Floats, depth: Floats) -> NDArray[np.bool_]:
    """By the crossings of a ray in the plane (Shimrat 1962)."""
    x, y = (some @ outline.east) / depth, (some @ outline.north) / depth
    odd = np.zeros(len(some), dtype=np.bool_)
    following = _following(outline.plane)
    for (x1, y1), (x2, y2) in zip(outline.plane.tolist(), following.tolist(), strict=True):
        if y1 == y2:
            continue
        odd ^= ((y1 > y) != (y2 > y)) & (x < x1 + (y - y1) * ((x2 - x1) / (y2 - y1)))
    return odd


def edge_distance(outline: Outline, points: Floats) -> Floats:
    """The angle in radians from each unit vector (n, 3) to the nearest edge."""
    least = np.full(len(points), np.inf)
    following = _following(outline.corners)
    edges = zip(outline.corners, following, outline.normals, *_sides(outline), strict=True)
    for a, b, normal, start, end in edges:
        from_a, from_b = points - a, points - b
        # differences keep the precision of edges much shorter than a radian
        height = np.abs(from_a @ normal)
        beside = (points @ start >= 0) & (points @ end >= 0)
        squares = np.minimum(np.einsum("ij,ij->i", from_a, from_a), np.einsum("ij,ij->i", from_b, from_b))
        sine_or_half_chord = np.where(beside, height, np.sqrt(squares) / 2)
        angle = np.arcsin(np.minimum(sine_or_half_chord, 1.0)) * np.where(beside, 1.0, 2.0)
        np.minimum(least, angle, out=least)
    return least


def _sides(outline: Outline) -> tuple[Floats, Floats]:
    """Per edge, normals of the planes through its ends: a point between both is beside the edge."""
    return _cross(outline.normals, outline.corners), _cross(_following(outline.corners), outline.normals)


def latitudes_deg(outline: Outline) -> tuple[float, float]:
    """Between which latitudes the polygon lies: of its corners, of edges that bulge past them, or a pole."""
    low, high = (float(f(outline.corners[:, 2])) for f in (np.min, np.max))
    poles = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    north, south = surely(outline, poles).tolist()
    for normal, start, end in zip(outline.normals, *_sides(outline), strict=True):
        across = float(np.hypot(normal[0], normal[1]))
        if across < 1e-12:
            continue
        # the point of the edge's great circle that is farthest north, and its opposite
        top = np.array([-normal[0] * normal[2], -normal[1] * normal[2], across**2]) / across
        for apex in (top, -top):
            if apex @ start >= 0 and apex @ end >= 0:
                low, high = min(low, float(apex[2])), max(high, float(apex[2]))
    low, high = -1.0 if south else low, 1.0 if north else high
    ends = np.degrees(np.arcsin(np.clip([low, high], -1.0, 1.0)))
    return float(ends[0]), float(ends[1])


def area_share(outline: Outline) -> float:
    """About how much of the disc around it a polygon is: as much as in the plane of its projection."""
    return _plane_area(outline.plane) / (np.pi * np.tan(outline.radius_rad) ** 2)


def area_sr(outline: Outline) -> float:
    """The area in steradians, by triangles from the axis (Eriksson 1990), good for tiny polygons too."""
    a, b, c = outline.corners, np.roll(outline.corners, -1, axis=0), outline.axis
    triple = np.cross(a - c, b - c) @ c
    below = 1.0 + np.sum(a * b, axis=1) + b @ c + a @ c
    return float(np.sum(2.0 * np.arctan2(triple, below)))


def centroid(outline: Outline) -> Position:
    """The centre of area: the direction of the integral of the unit vectors over the polygon."""
    if outline.radius_rad < _PRECISE_PLANE_RAD:
        x, y = outline.plane.T
        x2, y2 = _following(outline.plane).T
        cross = x * y2 - x2 * y
        cx, cy = (np.sum((u + u2) * cross) / (3 * np.sum(cross)) for u, u2 in ((x, x2), (y, y2)))
        return position_of(outline.axis + cx * outline.east + cy * outline.north)
    chords = np.linalg.norm(np.roll(outline.corners, -1, axis=0) - outline.corners, axis=1)
    lengths = 2 * np.arcsin(np.minimum(chords / 2, 1.0))
    return position_of(np.sum(lengths[:, None] * outline.normals, axis=0))


def _coordinates(polygon: Polygon) -> tuple[Floats, Floats]:
    pairs = np.array([(c.ra_deg, c.dec_deg) for c in polygon.corners], dtype=np.float64)
    return pairs[:, 0], pairs[:, 1]


def _distinct(corners: Floats) -> Floats:
    """Without corners that repeat the one before them (the first may be repeated at the end)."""
    before = np.concatenate([corners[-1:], corners[:-1]])
    return corners[np.linalg.norm(corners - before, axis=1) > TOLERANCE_RAD]


def _cap(corners: Floats) -> tuple[Floats, float]:
    """(axis, radius) of a cap that holds all corners: the mean, or the least one where that is too wide."""
    center = corners.mean(axis=0)
    best = center / np.linalg.norm(center) if np.linalg.norm(center) > 1e-9 else corners[0]
    radius = _farthest(best, corners)
    if radius > 1.0:
        # the smallest ball around points (Badoiu and Clarkson 2003)
        center = corners[0].copy()
        for step in range(1, 2000):
            center = center + (corners[np.argmin(corners @ center)] - center) / (step + 1)
        length = np.linalg.norm(center)
        if length > 1e-9 and _farthest(center / length, corners) < radius:
            best = center / length
            radius = _farthest(best, corners)
    return best, radius


def _normals(corners: Floats) -> Floats:
    """Unit normals of the edges from each corner to the next."""
    normals = _cross(corners, _following(corners) - corners)
    return normals / np.sqrt(np.einsum("ij,ij->i", normals, normals))[:, None]


def _turn(corners: Floats, normals: Floats) -> int:
    """1 or -1 where all edges, none of them short, have the other corners clearly left, or right; else 0."""
    count = len(corners)
    edges = _following(corners) - corners
    if np.einsum("ij,ij->i", edges, edges).min() <= _PLAIN_EDGE**2:
        return 0
    heights = normals @ corners.T - np.einsum("ij,ij->i", normals, corners)[:, None]
    first, own = float(heights[0, 2]), np.arange(count)
    heights[own, own] = heights[own, (own + 1) % count] = first
    if first > 0:
        return int(heights.min() > _MARGIN)
    return -int(heights.max() < -_MARGIN)


def _refuse_odd(plane: Floats) -> None:
    if np.linalg.svd(plane - plane.mean(axis=0), compute_uv=False)[-1] <= TOLERANCE_RAD:
        raise BadRegion("the polygon has no area", hint="its corners lie on one great circle")
    if _crosses_itself(plane):
        raise BadRegion(
            "the polygon's edges cross each other", hint="give the corners in order around the outline"
        )


def _following(corners: Floats) -> Floats:
    """The corner after each."""
    return np.concatenate([corners[1:], corners[:1]])


def _cross(a: Floats, b: Floats) -> Floats:
    """`np.cross` of vectors (n, 3), several times faster for few."""
    (ax, ay, az), (bx, by, bz) = a.T, b.T
    out = np.empty_like(a)
    out[:, 0], out[:, 1], out[:, 2] = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    return out


def _farthest(axis: Floats, corners: Floats) -> float:
    return float(2 * np.arcsin(min(1.0, np.linalg.norm(corners - axis, axis=1).max() / 2)))


def _frame(axis: Floats) -> tuple[Floats, Floats]:
    helper = np.zeros((1, 3))
    helper[0, int(np.argmin(np.abs(axis)))] = 1.0
    east = _cross(helper, axis[None])
    east = east / np.linalg.norm(east)
    return east[0], _cross(axis[None], east)[0]


def _project(points: Floats, axis: Floats, east: Floats, north: Floats) -> Floats:
    return (points @ np.array((east, north)).T) / (points @ axis)[:, None]


def _plane_area(plane: Floats) -> float:
    (x, y), (x2, y2) = plane.T, _following(plane).T
    return float(np.sum(x * y2 - x2 * y) / 2)


def _crosses_itself(plane: Floats) -> bool:
    """Whether two edges that are not neighbours meet, or neighbours fold back on each other."""
    following = _following(plane)
    n = len(plane)
    for i in range(n - 1):
        others = np.arange(i + 1, n)
        a, b, c, d = plane[i], following[i], plane[others], following[others]
        o1, o2 = _side(a, b, c), _side(a, b, d)
        o3, o4 = _side(c, d, a), _side(c, d, b)
        meets = (o1 * o2 < 0) & (o3 * o4 < 0)
        if meets.any():
            return True
        apart = (others != i + 1) & ((others + 1) % n != i)
        for side, low, high, point in ((o1, a, b, c), (o2, a, b, d), (o3, c, d, a), (o4, c, d, b)):
            if (apart & (side == 0) & _between(low, high, point)).any():
                return True
    return _folds(plane)


def _side(a: Floats, b: Floats, p: Floats) -> Floats:
    """-1, 0, 1: on which side of the line from a to b a point is; 0 within rounding."""
    ab, ap = b - a, p - a
    cross = ab[..., 0] * ap[..., 1] - ab[..., 1] * ap[..., 0]
    length = np.hypot(ab[..., 0], ab[..., 1])
    scale = 1.0 + np.abs(a).max() ** 2
    return np.where(np.abs(cross) <= TOLERANCE_RAD * scale * length, 0.0, np.sign(cross))


def _between(a: Floats, b: Floats, p: Floats) -> NDArray[np.bool_]:
    along = np.sum((p - a) * (b - a), axis=-1)
    return np.asarray((along >= 0) & (along <= np.sum((b - a) ** 2, axis=-1)))


def _folds(plane: Floats) -> bool:
    before, after = plane - np.roll(plane, 1, axis=0), np.roll(plane, -1, axis=0) - plane
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    dot = np.sum(before * after, axis=1)
    return bool(((dot < 0) & (np.abs(cross) <= 1e-12 * np.abs(dot))).any())
