"""Cells against cdshealpix, an independent implementation; what is no position has cell -1."""

from concurrent.futures import ThreadPoolExecutor

import astropy.units as u
import cdshealpix
import numpy as np
import pytest
from astropy.coordinates import Latitude, Longitude

from skygate.sky.cells import cell_count, cell_of, cell_radius_deg, center_of, order_for


def sphere(n, seed=1):
    rng = np.random.default_rng(seed)
    ra = rng.uniform(0, 360, n)
    dec = np.rad2deg(np.arcsin(rng.uniform(-1, 1, n)))
    dec[: n // 10] = 90 - 10 ** rng.uniform(-9, 1, n // 10)
    dec[n // 10 : n // 5] = -90 + 10 ** rng.uniform(-9, 1, n // 10)
    return ra, dec


@pytest.mark.parametrize("order", [0, 3, 12, 20])
def test_equal_to_cdshealpix(order):
    ra, dec = sphere(20_000)
    theirs = cdshealpix.lonlat_to_healpix(Longitude(ra * u.deg), Latitude(dec * u.deg), order)
    assert (cell_of(ra, dec, order) == theirs.astype(np.int64)).mean() > 0.9999


def test_order_29_is_within_rounding_of_cdshealpix():
    ra, dec = sphere(20_000)
    theirs = cdshealpix.lonlat_to_healpix(Longitude(ra * u.deg), Latitude(dec * u.deg), 29).astype(np.int64)
    ours = cell_of(ra, dec)
    assert (ours >> 10 == theirs >> 10).mean() > 0.999
    ra1, dec1 = center_of(ours)
    ra2, dec2 = center_of(theirs)
    assert np.abs(dec1 - dec2).max() < 1e-6
    assert np.abs(((ra1 - ra2 + 180) % 360 - 180) * np.cos(np.radians(dec1))).max() < 1e-6


def test_orders_are_nested():
    ra, dec = sphere(20_000, 2)
    fine = cell_of(ra, dec)
    for order in (0, 1, 7, 18, 28):
        assert (fine >> (2 * (29 - order)) == cell_of(ra, dec, order)).all()


def test_what_is_no_position():
    ra = np.array([np.nan, 1, np.inf, 1, 1, -np.inf, 10])
    dec = np.array([1, np.nan, 0, 90.0001, -91, 0, 20.0])
    cells = cell_of(ra, dec)
    assert (cells[:6] == -1).all()
    assert cells[6] == cell_of(10.0, 20.0)


def test_longitudes_wrap():
    for turn in (-720.0, -360.0, 360.0, 720.0):
        assert cell_of(123.25 + turn, -45.0) == cell_of(123.25, -45.0)
    assert cell_of(-1e-20, 10.0) == cell_of(0.0, 10.0) == cell_of(360.0, 10.0)


def test_poles_and_shapes():
    assert 0 <= cell_of(77.0, 90.0) < cell_count(29)
    assert 0 <= cell_of(77.0, -90.0) < cell_count(29)
    assert cell_of(np.zeros((2, 3)), 5.0).shape == (2, 3)
    assert cell_of(np.empty(0), np.empty(0)).shape == (0,)
    with pytest.raises(ValueError):
        cell_of(0, 0, 30)


def test_centers():
    ra, dec = center_of([0, -1, cell_count(4)], 4)
    assert cell_of(ra[0], dec[0], 4) == 0
    assert np.isnan(ra[1:]).all()
    assert np.isnan(dec[1:]).all()


def test_radius_bounds_every_point_of_a_cell():
    ra, dec = sphere(50_000, 3)
    for order in (0, 2, 6, 10):
        ra0, dec0 = (np.radians(x) for x in center_of(cell_of(ra, dec, order), order))
        r, d = np.radians(ra), np.radians(dec)
        hav = np.sin((d - dec0) / 2) ** 2 + np.cos(d) * np.cos(dec0) * np.sin((r - ra0) / 2) ** 2
        assert np.degrees(2 * np.arcsin(np.sqrt(hav))).max() <= cell_radius_deg(order) + 1e-9


def test_order_for():
    assert order_for(58.0) == 0
    assert order_for(0) == 29
    assert order_for(1.0) == 5


def test_threads_agree():
    ra, dec = sphere(20_000, 4)
    alone = cell_of(ra, dec)
    with ThreadPoolExecutor(8) as pool:
        for cells in pool.map(lambda _: cell_of(ra, dec), range(32)):
            assert (cells == alone).all()
