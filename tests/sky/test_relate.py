"""Regions against regions: by hand, and against crowds of points."""

import numpy as np
import pytest
from brute import around, degrees_of, points_near, random_circle, random_polygon, unit

from skygate.domain.sky import Circle, Polygon, Position
from skygate.sky.exact import contains
from skygate.sky.relate import holds, meets


def polygon(*pairs):
    return Polygon(tuple(Position(ra, dec) for ra, dec in pairs))


def circle(ra, dec, radius):
    return Circle(Position(ra, dec), radius)


SQUARE = polygon((0, 0), (4, 0), (4, 4), (0, 4))
L = polygon((0, 0), (4, 0), (4, 1), (1, 1), (1, 4), (0, 4))


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        (circle(0, 0, 2), circle(0.5, 0, 1.5), True),
        (circle(0, 0, 2), circle(0.6, 0, 1.5), False),
        (circle(0, 0, 180), circle(70, 20, 170), True),
        (circle(0, 0, 5), SQUARE, False),
        (circle(2, 2, 3), SQUARE, True),
        (circle(180, 0, 170), SQUARE, False),
        (circle(180, 0, 179), polygon((10, 0), (20, 0), (15, 5)), True),
        (circle(2, 2, 178), polygon((181, -1), (183, -1), (183, -3), (181, -3)), False),
        (SQUARE, circle(2, 2, 1.9), True),
        (SQUARE, circle(2, 2, 2.1), False),
        (SQUARE, L, True),
        (SQUARE, SQUARE, True),
        (L, SQUARE, False),
        (L, polygon((0.1, 3.9), (0.2, 0.1), (3.9, 0.1)), False),
        (L, polygon((0.1, 0.1), (0.9, 0.1), (0.9, 0.9)), True),
        (SQUARE, Position(0, 0), True),
        (SQUARE, Position(5, 0), False),
        (Position(1, 1), Position(361, 1), True),
        (Position(1, 1), circle(1, 1, 0), True),
        (Position(1, 1), circle(1, 1, 0.1), False),
        (Position(1, 1), SQUARE, False),
    ],
)
def test_holds(outer, inner, expected):
    assert holds(outer, inner) is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (circle(0, 0, 1), circle(2, 0, 1), True),
        (circle(0, 0, 1), circle(2.001, 0, 1), False),
        (circle(5, 2, 1.01), SQUARE, True),
        (circle(5, 2, 0.99), SQUARE, False),
        (circle(2, 2, 0.1), SQUARE, True),
        (SQUARE, polygon((1, 1), (2, 1), (2, 2)), True),
        (SQUARE, polygon((-1, 1), (5, 1), (5, 2), (-1, 2)), True),
        (SQUARE, polygon((5, 0), (6, 0), (6, 1)), False),
        (SQUARE, polygon((4, 0), (8, 0), (8, 4), (4, 4)), True),
        (SQUARE, polygon((184, 0), (180, 0), (180, -4), (184, -4)), False),
        (L, polygon((2, 2), (3, 2), (3, 3)), False),
        (SQUARE, Position(2, 2), True),
        (Position(2, 2), circle(2, 9, 1), False),
    ],
)
def test_meets(one, other, expected):
    assert meets(one, other) is expected
    assert meets(other, one) is expected


def test_against_crowds():
    rng = np.random.default_rng(11)
    counts = {True: 0, False: 0}
    for _ in range(300):
        one = random_circle(rng, 40) if rng.random() < 0.5 else random_polygon(rng, 40)
        corner = one.center if isinstance(one, Circle) else one.corners[0]
        size = one.radius_deg if isinstance(one, Circle) else 4.0
        ra, dec = degrees_of(
            around(
                unit(corner.ra_deg, corner.dec_deg),
                np.array(size * rng.choice([0.1, 1.0])),
                np.array(rng.uniform(0, 6)),
            )
        )
        other = circle(float(ra), float(dec), float(size * 10 ** rng.uniform(-2.5, 0.3)))
        if rng.random() < 0.5:
            n = int(rng.integers(3, 8))
            v = around(
                unit(float(ra), float(dec)),
                other.radius_deg * rng.uniform(0.4, 1, n),
                np.arange(n) * 2 * np.pi / n,
            )
            other = Polygon(tuple(Position(float(a), float(d)) for a, d in zip(*degrees_of(v), strict=True)))
        crowd = np.concatenate([points_near(one, rng, 800), points_near(other, rng, 800)])
        in_one, in_other = contains(one, *degrees_of(crowd)), contains(other, *degrees_of(crowd))
        counts[holds(one, other)] += 1
        if holds(one, other):
            assert in_one[in_other].all()
            assert meets(one, other)
        if (in_one & in_other).any():
            assert meets(one, other)
            assert meets(other, one)
        if not meets(one, other):
            assert not holds(one, other)
    assert min(counts.values()) > 10
