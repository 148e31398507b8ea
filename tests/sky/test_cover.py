"""A cover never loses a point of its region, is short, tight and quick."""

import time

import numpy as np
import pytest
from brute import (
    angle,
    degrees_of,
    edge_margin,
    points_near,
    random_circle,
    random_polygon,
    random_position,
    random_size,
    unit,
    winding,
)

from skygate.domain.sky import Box, Circle, Polygon, Position
from skygate.errors import BadRegion
from skygate.sky import moc, ranges
from skygate.sky.cells import cell_of
from skygate.sky.cover import cover, disc_cells
from skygate.sky.exact import area_deg2, contains

CROWD = 600


def check_cover(region, v, truth, max_ranges):
    found = cover(region, max_ranges=max_ranges)
    assert 1 <= len(found) <= max_ranges
    ra, dec = degrees_of(v)
    held = ranges.holds(found, cell_of(ra, dec))
    assert held[truth].all(), (region, max_ranges, int((~held[truth]).sum()))
    return found


@pytest.mark.parametrize("max_ranges", [1, 6, 64])
@pytest.mark.parametrize("high", [0.01, 60.0, 180.0])
def test_circles_keep_every_point(max_ranges, high):
    rng = np.random.default_rng(max_ranges)
    for _ in range(120):
        circle = random_circle(rng, high)
        v = points_near(circle, rng, CROWD)
        apart = angle(v, unit(circle.center.ra_deg, circle.center.dec_deg))
        truth = apart <= circle.radius_deg
        check_cover(circle, v, truth, max_ranges)
        ra, dec = degrees_of(v)
        sure = np.abs(apart - circle.radius_deg) > 1e-11
        assert (contains(circle, ra, dec) == truth)[sure].all(), circle


@pytest.mark.parametrize("max_ranges", [1, 8, 64])
def test_polygons_keep_every_point(max_ranges):
    rng = np.random.default_rng(max_ranges + 100)
    for _ in range(100):
        polygon = random_polygon(rng, high=80.0)
        v = points_near(polygon, rng, CROWD)
        truth = winding(polygon, v)
        check_cover(polygon, v, truth, max_ranges)
        sure = edge_margin(polygon, v) > 1e-10
        assert (contains(polygon, *degrees_of(v)) == truth)[sure].all(), polygon


def test_boxes_of_coordinates_keep_every_point():
    rng = np.random.default_rng(7)
    for _ in range(150):
        at = random_position(rng)
        box = Box(at, min(360.0, random_size(rng, high=400)), min(180.0, random_size(rng, high=200)))
        ra = at.ra_deg + box.width_deg * rng.uniform(-0.7, 0.7, CROWD)
        dec = np.clip(at.dec_deg + box.height_deg * rng.uniform(-0.7, 0.7, CROWD), -90, 90)
        turn = np.abs((ra - at.ra_deg + 180) % 360 - 180)
        truth = (turn <= box.width_deg / 2) & (np.abs(dec - at.dec_deg) <= box.height_deg / 2)
        found = cover(box)
        assert ranges.holds(found, cell_of(ra, dec))[truth].all(), box
        sure = (np.abs(turn - box.width_deg / 2) > 1e-10) & (
            np.abs(np.abs(dec - at.dec_deg) - box.height_deg / 2) > 1e-10
        )
        assert (contains(box, ra, dec) == truth)[sure].all()


@pytest.mark.parametrize("radius", [0.0, 1e-12, 1e-9, 1e-7, 89.9999, 90.0, 139.0, 179.9999, 180.0])
def test_extreme_radii(radius):
    rng = np.random.default_rng(8)
    for _ in range(20):
        circle = Circle(random_position(rng), radius)
        v = points_near(circle, rng, 300)
        truth = angle(v, unit(circle.center.ra_deg, circle.center.dec_deg)) <= radius
        check_cover(
            circle,
            np.concatenate([v, unit(circle.center.ra_deg, circle.center.dec_deg)[None]]),
            np.append(truth, True),
            32,
        )
        assert contains(circle, circle.center.ra_deg, circle.center.dec_deg)
    assert len(cover(Circle(Position(1, 2), 180.0))) == 1


@pytest.mark.parametrize(
    "region",
    [
        Circle(Position(10, 20), 1.0),
        Circle(Position(10, 20), 1 / 60),
        Circle(Position(10, 89.9), 1.0),
        Circle(Position(10, 20), 1 / 3600),
        Polygon((Position(10, 20), Position(11, 20), Position(11, 21), Position(10, 21))),
        Polygon((Position(359, -1), Position(1, -1), Position(1, 1), Position(0, 0), Position(359, 1))),
        Polygon((Position(0, 80), Position(120, 80), Position(240, 80))),
        Box(Position(10, 20), 1.0, 1.0),
        Circle(Position(10, 20), 120.0),
    ],
)
def test_tight(region):
    found = cover(region)
    square_degrees = moc.sky_fraction(found) * 41252.96
    assert square_degrees < 2.2 * area_deg2(region), (len(found), square_degrees)


def test_quick():
    def least(region, n=30):
        times = []
        for i in range(n):
            moved = Circle(
                Position(region.center.ra_deg + i * 1e-3, region.center.dec_deg), region.radius_deg
            )
            began = time.perf_counter()
            cover(moved)
            times.append(time.perf_counter() - began)
        return min(times)

    assert least(Circle(Position(10, 20), 1 / 60)) < 0.3e-3
    assert least(Circle(Position(10, 20), 1.0)) < 0.3e-3


def test_disc_cells():
    rng = np.random.default_rng(9)
    for _ in range(60):
        circle = random_circle(rng, 170)
        order = int(rng.integers(0, 8))
        v = points_near(circle, rng, CROWD)
        truth = angle(v, unit(circle.center.ra_deg, circle.center.dec_deg)) <= circle.radius_deg
        found = disc_cells(circle.center.ra_deg, circle.center.dec_deg, circle.radius_deg, order)
        ra, dec = degrees_of(v[truth])
        assert np.isin(cell_of(ra, dec, order), found).all()
        assert (np.diff(found) > 0).all()


def test_bad_polygons_are_refused_when_covered():
    bow = Polygon((Position(0, 0), Position(1, 1), Position(1, 0), Position(0, 1)))
    with pytest.raises(BadRegion, match="cross"):
        cover(bow)
