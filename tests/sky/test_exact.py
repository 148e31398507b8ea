"""Distances, membership, areas and centres at 0.1 arcsec, at 180 degrees, and against sampling."""

import numpy as np
import pytest
from brute import angle, around, degrees_of, points_near, random_circle, random_polygon, unit, winding

from skygate.adql.geometry.prefilter import _BELT_DEG
from skygate.domain.sky import Box, Circle, Polygon, Position
from skygate.errors import BadRegion
from skygate.sky.exact import area_deg2, centroid, contains, separation_deg
from skygate.sky.outline import box_polygon, latitudes_deg, outline_of


def polygon(*pairs):
    return Polygon(tuple(Position(ra, dec) for ra, dec in pairs))


SQUARE = polygon((0, 0), (1, 0), (1, 1), (0, 1))


def test_separation():
    assert separation_deg(10, 20, 10, 20) == 0
    assert separation_deg(0, 0, 180, 0) == 180
    assert separation_deg(5, 90, 200, 90) == pytest.approx(0, abs=1e-13)
    assert separation_deg(5, 90, 200, -90) == 180
    assert separation_deg(0, 1, 0, 1 + 1e-9) == pytest.approx(1e-9, rel=1e-6)
    assert separation_deg(0, 0, 180 - 1e-9, 0) == pytest.approx(180 - 1e-9, abs=1e-12)
    assert separation_deg(359.9, 0, 0.1, 0) == pytest.approx(0.2, abs=1e-12)
    assert np.isnan(separation_deg(np.nan, 0, 1, 1))
    rng = np.random.default_rng(1)
    v, w = rng.normal(size=(2, 5000, 3))
    v, w = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (v, w))
    assert np.abs(separation_deg(*degrees_of(v), *degrees_of(w)) - angle(v, w)).max() < 1e-11


def test_boundaries_are_inside():
    for radius in (0.1 / 3600, 0.1, 1.0, 30.0, 90.0, 150.0):
        rng = np.random.default_rng(2)
        at = unit(33.0, -20.0)
        ra, dec = degrees_of(around(at, np.full(500, radius), rng.uniform(0, 7, 500)))
        assert contains(Circle(Position(33, -20), radius), ra, dec).all()
        for beyond, expected in ((1e-9, False), (-1e-9, True)):
            ra, dec = degrees_of(around(at, np.full(500, radius + beyond), rng.uniform(0, 7, 500)))
            assert (contains(Circle(Position(33, -20), radius), ra, dec) == expected).all()
    assert contains(SQUARE, [0, 1, 1, 0, 0.5, 0, 1], [0, 0, 1, 1, 0, 0.5, 0.3]).all()
    assert not contains(SQUARE, [0.5, -1e-9, 1 + 1e-9], [-1e-9, 0.5, 0.5]).any()


def test_what_is_no_position_is_in_nothing():
    for region in (Circle(Position(0, 0), 180), SQUARE, Box(Position(0, 0), 360, 180)):
        assert not contains(region, [np.nan, 0, 0, np.inf], [0, np.nan, 91, 0]).any()


def test_winding_does_not_matter():
    rng = np.random.default_rng(3)
    for _ in range(30):
        one = random_polygon(rng)
        other = Polygon(one.corners[::-1])
        v = rng.normal(size=(500, 3)) * 0.3 + unit(one.corners[0].ra_deg, one.corners[0].dec_deg)
        ra, dec = degrees_of(v / np.linalg.norm(v, axis=1, keepdims=True))
        assert (contains(one, ra, dec) == contains(other, ra, dec)).all()
        assert area_deg2(one) == pytest.approx(area_deg2(other))
        assert area_deg2(one) < 20626.5


def test_polygon_around_a_pole_and_through_zero():
    cap = polygon((0, 80), (90, 80), (180, 80), (270, 80))
    assert contains(cap, [13, 222, 45, 45], [90, 85, 81, 83]).tolist() == [True, True, False, True]
    assert contains(
        polygon((359, -1), (1, -1), (1, 1), (359, 1)), [0, 359.5, 360.5, 2], [0, 0.5, 0.5, 0]
    ).tolist() == [
        True,
        True,
        True,
        False,
    ]


def test_great_circle_edges():
    wide = polygon((0, 60), (90, 60), (90, 50), (0, 50))
    # the edge from (0, 60) to (90, 60) rises to 67.8 degrees half-way
    assert contains(wide, 45, 67.0)
    assert not contains(wide, 45, 51.0)


@pytest.mark.parametrize(
    ("corners", "message"),
    [
        (((0, 0), (1, 1), (1, 0), (0, 1)), "cross"),
        (((0, 0), (2, 0), (1, 0), (1, 1)), "cross"),
        (((0, 0), (1, 0), (2, 0)), "no area"),
        (((0, 0), (0, 0), (1, 1)), "3 different corners"),
        (((0, 0), (120, 0), (240, 0)), "hemisphere"),
        (((0, 60), (120, -60), (240, 60), (300, -60)), "hemisphere"),
        (((0, 0), (4, 0), (4, 4), (2, 0), (0, 4)), "cross"),
    ],
)
def test_refused(corners, message):
    with pytest.raises(BadRegion, match=message):
        contains(polygon(*corners), 0, 0)


def test_repeated_and_straight_corners_are_taken():
    closed = polygon((0, 0), (0.5, 0), (1, 0), (1, 0), (1, 1), (0, 1), (0, 0))
    assert area_deg2(closed) == pytest.approx(area_deg2(SQUARE), rel=1e-12)
    long = polygon((0, 0), (1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (150, 1), (75, 20))
    assert contains(long, 75, 5)


def test_areas():
    assert area_deg2(Circle(Position(0, 0), 180)) == pytest.approx(41252.96125)
    assert area_deg2(Circle(Position(0, 0), 1e-5)) == pytest.approx(np.pi * 1e-10, rel=1e-9)
    assert area_deg2(polygon((0, 0), (90, 0), (0, 90))) == pytest.approx(41252.96125 / 8)
    assert area_deg2(Box(Position(0, 0), 360, 180)) == pytest.approx(41252.96125)
    assert area_deg2(Box(Position(0, 80), 360, 40)) == pytest.approx(
        41252.96125 * (1 - np.sin(np.pi / 3)) / 2
    )
    s = 0.1 / 3600
    tiny = polygon((10, 0), (10 + s, 0), (10 + s, s), (10, s))
    assert area_deg2(tiny) == pytest.approx(s * s, rel=1e-6)
    rng = np.random.default_rng(4)
    v = rng.normal(size=(200_000, 3))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    for _ in range(5):
        some = random_polygon(rng, high=80)
        assert area_deg2(some) == pytest.approx(winding(some, v).mean() * 41252.96, abs=120)


def test_centroids():
    assert centroid(Circle(Position(10, 20), 3)) == Position(10, 20)
    for size in (0.1 / 3600, 0.01, 0.2, 5.0):
        center = centroid(box_polygon(Position(0.0, 45.0), size, size / 2))
        assert separation_deg(center.ra_deg, center.dec_deg, 0, 45) < 1e-9
    octant = centroid(polygon((0, 0), (90, 0), (0, 90)))
    assert (octant.ra_deg, octant.dec_deg) == pytest.approx((45, np.degrees(np.arctan(np.sqrt(0.5)))))
    for size in (0.05, 0.15):
        one = centroid(polygon((10, 10), (10 + size, 10), (10, 10 + size)))
        assert separation_deg(one.ra_deg, one.dec_deg, 10 + size / 3, 10 + size / 3) < 1e-3 * size


def test_box_is_a_polygon_of_great_circles():
    box = box_polygon(Position(30, 60), 10, 4)
    at = unit(30, 60)
    north = (30.0, 62.0), (30.0, 62.0001), (30.0, 58.0), (30.0, 57.9999)
    assert contains(box, *np.array(north).T).tolist() == [True, False, True, False]
    east = unit(120.0, 0.0)
    for angle_deg, expected in ((5.0, True), (5.0001, False), (-5.0, True), (-5.0001, False)):
        a = np.radians(angle_deg)
        ra, dec = degrees_of(np.cos(a) * at + np.sin(a) * east)
        assert contains(box, ra, dec) == expected
    for width, height in ((180, 1), (0, 1), (1, -1)):
        with pytest.raises(BadRegion):
            box_polygon(Position(0, 0), width, height)


def test_random_circle_areas_match_cap_formula():
    rng = np.random.default_rng(5)
    for _ in range(50):
        c = random_circle(rng, 180)
        assert area_deg2(c) == pytest.approx(
            2 * np.pi * (1 - np.cos(np.radians(c.radius_deg))) * np.degrees(1) ** 2, rel=1e-6, abs=1e-8
        )


def test_latitudes_are_those_of_the_points_of_a_polygon():
    rng = np.random.default_rng(11)
    tight = 0
    for _ in range(150):
        shape = random_polygon(rng)
        low, high = latitudes_deg(outline_of(shape))
        vectors = points_near(shape, rng, 4000)
        ra, dec = degrees_of(vectors)
        inside = contains(shape, ra, dec)
        if not inside.any():
            continue
        assert low - 1e-9 <= dec[inside].min()
        assert dec[inside].max() <= high + 1e-9
        tight += high - low < 1.5 * np.ptp(dec[inside])
    assert tight > 75
    for pole in (90, -90):
        around_it = polygon(*((ra, pole * 0.99) for ra in range(0, 360, 60)))
        assert pole in latitudes_deg(outline_of(around_it))
    # an edge along a great circle bulges beyond its ends
    assert latitudes_deg(outline_of(polygon((0, 60), (90, 60), (45, 80))))[0] == pytest.approx(60)
    assert latitudes_deg(outline_of(polygon((0, 60), (90, 60), (45, 0))))[1] > 67


def test_latitudes_at_a_pole_err_by_less_than_the_belt_allows():
    rng = np.random.default_rng(5)
    worst = 0.0
    for _ in range(300):
        away = 10.0 ** rng.uniform(-8, -3)
        shape = polygon(*((ra, 90 - away * rng.uniform(0.3, 1)) for ra in (10, 30, 50)))
        worst = max(worst, max(c.dec_deg for c in shape.corners) - latitudes_deg(outline_of(shape))[1])
    assert 0 < worst < _BELT_DEG / 5
