"""Plain polygons are tested by half-spheres, with the answer of rays and distances however near an edge."""

import numpy as np
import pytest
from brute import around, degrees_of, unit, winding

from skygate.domain.sky import Polygon
from skygate.sky import outline as outlines
from skygate.sky.cells import cell_of
from skygate.sky.cover import polygon_ranges
from skygate.sky.outline import inside, least_heights, outline_of, position_of, vectors_of
from skygate.sky.ranges import holds

CENTERS = [
    (0.0, 90.0),
    (77.0, -90.0),
    (0.0, 0.0),
    (359.9999, 12.0),
    (180.0, -45.0),
    (45.0, 41.81),
    (10.0, 89.7),
]


def ring(rng, center, radius, corners):
    """A convex polygon whose corners lie on a circle, either way round."""
    theta = np.sort(rng.uniform(0, 2 * np.pi, corners))
    at = around(unit(*center), np.full(corners, radius), theta)
    at = at if rng.uniform() < 0.5 else at[::-1]
    return Polygon(tuple(map(position_of, at)))


def beside_edges(rng, polygon, count):
    """Points on great circles of the edges, and off them by 1e-7 to 1e-15 radians to both sides."""
    outline = outline_of(polygon)
    following = np.roll(outline.corners, -1, axis=0)
    found = [outline.corners]
    for a, b, normal in zip(outline.corners, following, outline.normals, strict=True):
        along = rng.uniform(-0.2, 1.2, (count, 1))
        on = a * (1 - along) + b * along
        on /= np.linalg.norm(on, axis=1, keepdims=True)
        off = 10.0 ** rng.uniform(-15, -7, (count, 1)) * rng.choice([-1, 0, 1], (count, 1))
        found.append(on + off * normal)
    points = np.concatenate(found)
    return points / np.linalg.norm(points, axis=1, keepdims=True)


@pytest.mark.parametrize("radius", [1e-5, 1e-3, 0.1, 1.0, 20.0, 40.0, 80.0])
def test_half_spheres_say_what_rays_and_distances_say(radius):
    rng = np.random.default_rng(int(radius * 1e6))
    plain = 0
    for center in CENTERS * 3:
        polygon = ring(rng, center, radius, int(rng.integers(3, 9)))
        outline = outline_of(polygon)
        plain += outline.plain
        points = np.concatenate(
            [
                beside_edges(rng, polygon, 60),
                around(unit(*center), rng.uniform(0, min(2 * radius, 180), 300), rng.uniform(0, 7, 300)),
                -outline.corners,
            ]
        )
        for some in (points, vectors_of(*degrees_of(points))):
            np.testing.assert_array_equal(inside(outline, some), outlines._inside(outline, some))
        if outline.plain:
            far = np.abs(least_heights(outline, points)) > 1e-8
            assert (winding(polygon, points[far]) == (least_heights(outline, points[far]) > 0)).all()
    assert (plain > 10) is (1e-3 <= radius <= 60)


@pytest.mark.parametrize(
    "corners",
    [
        [(0, 0), (2, 0), (1, 0.5), (1, 2)],  # a dent
        [(0, 0), (1, 0), (2, 0), (1, 1)],  # a corner on the way from one to the next
        [(0, 0), (1, 0), (1, 1), (1, 1 + 1e-8)],  # a short edge
        [(0, 0), (150, 0), (75, 70)],  # wide
    ],
)
def test_other_polygons_are_not_plain(corners):
    polygon = Polygon(tuple(position_of(unit(float(a), float(d))) for a, d in corners))
    assert not outline_of(polygon).plain


@pytest.mark.parametrize("radius", [1e-4, 0.3, 5.0, 20.0])
def test_quick_ranges_hold_every_point(radius):
    rng = np.random.default_rng(5)
    for center in CENTERS:
        sliver = [(0.0, 1.0), (0.01, 1.0), (np.pi, 1.0), (np.pi + 0.01, 1.0)]
        wide = [(angle, 1.0) for angle in (0.3, 1.7, 3.2, 5.0)]
        for shape in (sliver, wide):
            theta, share = np.array(shape).T
            corners = around(unit(*center), share * radius, theta)
            polygon = Polygon(tuple(map(position_of, corners)))
            found = polygon_ranges(polygon, 30.0)
            assert found is not None
            ranges, share = found
            assert share == 1.0 if shape is sliver else 0.3 < share < 0.7
            weights = rng.dirichlet(np.full(4, 0.3), 2_000)
            points = weights @ corners
            points /= np.linalg.norm(points, axis=1, keepdims=True)
            assert holds(ranges, cell_of(*degrees_of(points))).all()
    assert polygon_ranges(ring(rng, (0, 0), 31.0, 5), 30.0) is None
