"""Kernels: discs and regions keep every cell, bad rows are null, constants and columns agree."""

import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sky"))

from brute import around, degrees_of, points_near, random_circle, random_polygon, random_position, unit

from skygate.adql import kernels_sky as k
from skygate.adql.kernels import KERNELS
from skygate.domain.sky import Circle
from skygate.sky.cells import cell_of, cell_size_deg
from skygate.sky.exact import contains


def reals(*values):
    return pa.array(values, pa.float64())


def longs(*values):
    return pa.array(values, pa.int64())


def test_names_types_and_nulls():
    assert len({kernel.name for kernel in KERNELS}) == len(KERNELS)
    for kernel in KERNELS:
        out = kernel.function(*(pa.array([None, None], kind) for kind in kernel.arguments))
        assert out.type == kernel.returns, kernel.name
        assert out.null_count == 2, kernel.name
        none = kernel.function(*(pa.chunked_array([], kind) for kind in kernel.arguments))
        assert len(none) == 0
        assert none.type == kernel.returns, kernel.name


def test_disc_cells_hold_every_point_of_the_disc():
    rng = np.random.default_rng(1)
    circles = [random_circle(rng, 20) for _ in range(600)]
    orders = [
        int(np.clip(np.floor(np.log2(58.6 / max(c.radius_deg, 1e-6) / rng.choice([1, 8, 9, 15]))), 0, 29))
        for c in circles
    ]
    columns = [
        pa.array([c.center.ra_deg for c in circles]),
        pa.array([c.center.dec_deg for c in circles]),
        pa.array([c.radius_deg for c in circles]),
        longs(*orders),
    ]
    rows = k.disc_cells(*columns).to_pylist()
    for circle, order, cells in zip(circles, orders, rows, strict=True):
        v = points_near(circle, rng, 2000)
        ra, dec = degrees_of(v)
        inside = contains(circle, ra, dec)
        assert np.isin(cell_of(ra[inside], dec[inside], order), cells).all(), (circle, order)
        assert len(set(cells)) == len(cells)


def test_ring_of_points_misses_no_cell():
    """The claim behind the quick way, where cells are most skewed, with discs at the very limit of size."""
    rng = np.random.default_rng(2)
    n = 3000
    for order in (2, 5, 9):
        radius = cell_size_deg(order) / 8.0
        if radius > 3:
            continue
        dec = np.concatenate(
            [rng.uniform(-90, 90, n), 41.81 + rng.normal(size=n) * radius, 90 - radius * rng.random(n) * 3]
        )
        dec = np.clip(dec, -90, 90)
        ra = np.where(
            rng.random(3 * n) < 0.4,
            45.0 * rng.integers(0, 8, 3 * n) + rng.normal(size=3 * n) * radius,
            rng.uniform(0, 360, 3 * n),
        )
        cells = k.disc_cells(
            pa.array(ra), pa.array(dec), pa.array(np.full(3 * n, radius)), pa.array(np.full(3 * n, order))
        )
        flat, owner = (
            cells.flatten().to_numpy(),
            np.repeat(np.arange(3 * n), np.diff(cells.offsets.to_numpy())),
        )
        known = set(zip(owner.tolist(), flat.tolist(), strict=True))
        for _ in range(30):
            theta, rho = rng.uniform(0, 2 * np.pi, 3 * n), radius * rng.choice([1.0, 1.0, 0.9, 0.5], 3 * n)
            a = np.radians(ra)
            e = np.stack([-np.sin(a), np.cos(a), 0 * a], 1)
            c = unit(ra, dec)
            north = np.cross(c, e)
            r = np.radians(rho)[:, None]
            v = np.cos(r) * c + np.sin(r) * (np.cos(theta)[:, None] * e + np.sin(theta)[:, None] * north)
            touched = cell_of(*degrees_of(v), order)
            assert all(pair in known for pair in zip(range(3 * n), touched.tolist(), strict=True))
        assert len(flat) < 4.5 * 3 * n


def test_disc_cells_are_quick():
    rng = np.random.default_rng(3)
    n = 50_000
    ra, dec = rng.uniform(0, 360, n), rng.uniform(-80, 80, n)
    began = time.perf_counter()
    k.disc_cells(pa.array(ra), pa.array(dec), pa.array(np.full(n, 1 / 3600)), pa.array(np.full(n, 14)))
    assert time.perf_counter() - began < 2.0


def test_bad_discs_are_null():
    out = k.disc_cells(
        reals(None, 1, 1, 1, 1, np.nan),
        reals(1, 91, 1, 1, 1, 1),
        reals(1, 1, -1, 1, None, 1),
        longs(5, 5, 5, 30, 5, 5),
    )
    assert out.null_count == 6


def test_region_cells():
    rng = np.random.default_rng(4)
    for _ in range(40):
        polygon = random_polygon(rng, 30)
        flat = [x for c in polygon.corners for x in (c.ra_deg, c.dec_deg)]
        order = int(rng.integers(0, 7))
        cells = k.region_cells(pa.array([flat]), longs(order)).to_pylist()[0]
        ra, dec = degrees_of(points_near(polygon, rng, 500))
        inside = contains(polygon, ra, dec)
        assert np.isin(cell_of(ra[inside], dec[inside], order), cells).all()
    bad = [[1.0, 2, 3, 4], [1.0], [], None, [1.0, None], [1.0, 95.0]]
    assert k.region_cells(pa.array(bad, pa.list_(pa.float64())), longs(*[3] * 6)).null_count == 6


def test_in_region_constant_and_columns_agree():
    rng = np.random.default_rng(5)
    polygon = random_polygon(rng, 20)
    ra, dec = degrees_of(points_near(polygon, rng, 300))
    flat = [x for c in polygon.corners for x in (c.ra_deg, c.dec_deg)]
    truth = contains(polygon, ra, dec)
    constant = k.in_region(pa.array(ra), pa.array(dec), pa.array([flat] * len(ra)))
    assert constant.to_pylist() == truth.tolist()
    mixed = k.in_region(
        pa.array(ra), pa.array(dec), pa.array([flat, None] * (len(ra) // 2) + [flat] * (len(ra) % 2))
    )
    assert mixed.to_pylist()[::2] == truth.tolist()[::2]
    assert set(mixed.to_pylist()[1 : len(ra) // 2 * 2 : 2]) == {None}
    shapes = pa.array([[10.0, 10.0], [10.0, 10.0, 1.0], [1.0, 2.0, 3.0, 4.0]])
    assert k.in_region(reals(10, 10.5, 1), reals(10, 10, 1), shapes).to_pylist() == [True, True, None]


def test_shapes():
    circles = pa.array([[10.0, 0, 1], [10, 0, 1], None])
    square = pa.array([[9.8, -0.2, 10.2, -0.2, 10.2, 0.2, 9.8, 0.2], [20.0, 0, 21, 0, 21, 1], [1.0, 1]])
    assert k.contains(circles, square).to_pylist() == [True, False, None]
    assert k.intersects(square, circles).to_pylist() == [True, False, None]
    assert k.area(pa.array([[1.0, 2], [0.0, 0, 180], [0.0, 0, 1, 1]])).to_pylist() == [
        0,
        pytest.approx(41252.96),
        None,
    ]
    assert k.centroid(pa.array([[361.0, 2], [5.0, 6, 2]])).to_pylist() == [[1, 2], [5, 6]]
    assert k.box(reals(0, 0, None), reals(0, 95, 0), reals(2, 1, 1), reals(2, 1, 1)).to_pylist()[1:] == [
        None,
        None,
    ]
    assert k.box(reals(0), reals(0), reals(2), reals(4)).to_pylist()[0][:2] == pytest.approx(
        [359, -2], abs=1e-2
    )


def test_healpix_kernels():
    index = k.healpix_index(
        longs(0, 17, 17, 30, None), reals(1, 1, 359, 1, 1), reals(1, 1, -1, 1, 1)
    ).to_pylist()
    assert index[:3] == [4, 81609757711, 73009064944]
    assert index[3:] == [None, None]
    center = k.healpix_center(longs(0, 0, 17), longs(6, 12, index[1])).to_pylist()
    assert center[0] == pytest.approx([180, 0])
    assert center[1] is None
    assert center[2] == pytest.approx([1, 1], abs=1e-3)
    assert k.cell(reals(1, np.nan), reals(1, 1), longs(29, 29)).to_pylist() == [int(cell_of(1, 1)), None]


def test_apply_pm_is_motion_in_the_tangent_plane():
    out = k.apply_pm(
        reals(30, 30, 30), reals(15, 60, None), reals(0, 0.1, 0), reals(0.1, 0, 0), reals(20, 20, 20)
    ).to_pylist()
    assert out[0] == pytest.approx([30, 16.9991882802])
    assert out[1] == pytest.approx([33.993520433, 59.93965025567])
    assert out[2] is None


def test_circles_at_random_positions_make_shapes():
    rng = np.random.default_rng(6)
    for _ in range(50):
        at = random_position(rng)
        assert k.shape_of((at.ra_deg, at.dec_deg, 1.0)) == Circle(at, 1.0)
    assert around(unit(0.0, 0.0), np.array(1.0), np.array(0.0)).shape == (3,)
