"""Ranges against Python sets; MOC there and back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skygate.sky import moc, ranges

PAIRS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda p: (p[0], p[0] + p[1])), max_size=8
)


def cells(r):
    return {c for first, last in r.tolist() for c in range(first, last + 1)}


def well_formed(r):
    assert (r[:, 0] <= r[:, 1]).all()
    assert (r[1:, 0] > r[:-1, 1] + 1).all()


@given(PAIRS, PAIRS)
def test_algebra(a, b):
    one, other = ranges.of_pairs(a), ranges.of_pairs(b)
    well_formed(one)
    both, either = ranges.intersection(one, other), ranges.union(one, other)
    assert cells(both) == cells(one) & cells(other)
    assert cells(either) == cells(one) | cells(other)
    well_formed(either)
    test = np.arange(-2, 90)
    assert ranges.holds(one, test).tolist() == [c in cells(one) for c in test.tolist()]
    back = ranges.complement(ranges.complement(one))
    assert back.tolist() == one.tolist()


@given(PAIRS, st.integers(1, 5))
def test_simplify_only_grows(a, n):
    r = ranges.of_pairs(a)
    s = ranges.simplify(r, n)
    assert len(s) <= n
    assert cells(s) >= cells(r)
    if len(r):
        assert (s[0, 0], s[-1, 1]) == (r[0, 0], r[-1, 1])


def test_simplify_fills_the_smallest_gaps():
    r = ranges.of_pairs([(0, 1), (3, 4), (100, 101), (104, 105)])
    assert ranges.simplify(r, 2).tolist() == [[0, 4], [100, 105]]
    with pytest.raises(ValueError):
        ranges.simplify(r, 0)


def test_of_cells_and_back():
    r = ranges.of_cells([5, 4, 4, -1, 9], 3)
    size = 4**26
    assert r.tolist() == [[4 * size, 6 * size - 1], [9 * size, 10 * size - 1]]
    assert ranges.cells_within(r, 3).tolist() == [4, 5, 9]
    assert ranges.cells_within(r, 2).tolist() == [1, 2]
    assert len(ranges.of_cells([], 3)) == 0


def test_moc_there_and_back(tmp_path):
    rng = np.random.default_rng(5)
    found = np.sort(rng.integers(0, ranges.LAST_CELL, 500))
    r = moc.coverage(np.concatenate([[-1], found]), 6)
    assert ranges.holds(r, found).all()
    assert (moc.from_ascii(moc.to_ascii(r, 6)) == r).all()
    moc.write_fits(r, tmp_path / "m.fits", 6)
    assert (moc.read_fits(tmp_path / "m.fits") == r).all()
    coarse = moc.ranges_of_moc(moc.moc_of(r, 3))
    assert ranges.holds(coarse, found).all()
    assert moc.sky_fraction(ranges.everything()) == 1.0
    assert moc.sky_fraction(moc.coverage([], 6)) == 0.0
    assert 0 < moc.sky_fraction(r) < 0.011
    assert len(moc.ranges_of_moc(moc.moc_of(ranges.nothing(), 4))) == 0
    assert moc.total([r, ranges.everything()]).tolist() == ranges.everything().tolist()
