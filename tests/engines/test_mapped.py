"""Files of mapped columns: made whole or not at all, used only when they are what they say."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from releases_made import make_release
from skygate.domain.catalog import Column, Datatype, Release, Table
from skygate.domain.query import Identified, Limits, Near
from skygate.domain.sky import Circle, Position
from skygate.engines import mapped_build
from skygate.engines.caches import Caches
from skygate.engines.mapped import MappedColumns
from skygate.engines.mapped_files import fits, folder_of, open_mapped
from skygate.errors import BrokenRelease, Cancelled, HouseError, TooCostly
from skygate.release.audit import audit
from skygate.sky import match
from skygate.sky.cells import cell_of
from skygate.sky.exact import separation_deg
from skygate.stores.releases import FolderReleases

PLENTY = Limits(1_000_000, 60, 1 << 30)
EVERYWHERE = Near(Circle(Position(0, 90), 29))


def nobody(rows: int) -> None:
    """Nobody watches."""


def stars_of(release: Release) -> Table:
    return next(t for t in release.tables if t.name == "stars")


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return make_release(tmp_path, rows=3_000)


@pytest.fixture
def built(release: Release) -> Release:
    assert Caches(native=False).build(release, stars_of(release), nobody)
    return release


def rows_of(found, table: Table, limits: Limits = PLENTY) -> pa.Table:
    run = found.run([c.name for c in table.columns], table.columns, limits)
    return pa.Table.from_batches(list(run))


def test_what_is_made_is_beside_the_release_and_no_part_of_it(built):
    folder = folder_of(built, stars_of(built))
    names = {"about.json", "rows.arrow", "cells", "tops", "ra", "dec", "ids", "at"}
    assert {p.name for p in folder.iterdir()} == names
    assert [p.name for p in folder.parent.iterdir()] == ["stars"]
    assert audit(Path(built.path)) == []
    mapped = open_mapped(built, stars_of(built))
    assert mapped.about.placed == 2_994
    assert (np.diff(mapped.cells) >= 0).all()
    np.testing.assert_array_equal(mapped.cells, cell_of(mapped.ra, mapped.dec))
    assert mapped.ids.tolist() == list(range(1, 3_001))


def test_a_second_build_has_nothing_to_do(built):
    folder = folder_of(built, stars_of(built))
    before = (folder / "about.json").stat().st_mtime_ns
    told: list[int] = []
    assert Caches(native=False).build(built, stars_of(built), told.append)
    assert (folder / "about.json").stat().st_mtime_ns == before
    assert told == []


def spoil(folder: Path, how: str) -> None:
    about = folder / "about.json"
    if how == "truncated rows":
        os.truncate(folder / "rows.arrow", (folder / "rows.arrow").stat().st_size // 2)
    elif how == "truncated cells":
        os.truncate(folder / "cells", 4096)
    elif how == "longer":
        with (folder / "ra").open("ab") as file:
            file.write(b"\0" * 8)
    elif how == "overwritten":
        with (folder / "dec").open("r+b") as file:
            file.write(b"\xff" * 64)
    elif how == "missing":
        (folder / "at").unlink()
    elif how == "no about":
        about.unlink()
    elif how == "garbage":
        about.write_bytes(b"{\xff")
    elif how == "a list":
        about.write_text("[]")
    elif how == "other checksum":
        about.write_text(about.read_text().replace('"checksum": "', '"checksum": "0'))
    elif how == "other starts":
        told = json.loads(about.read_text())
        told["starts"] = [0, told["rows"]]
        about.write_text(json.dumps(told))
    elif how == "backwards":
        told = json.loads(about.read_text())
        told["starts"][1:-1] = told["starts"][-2:0:-1]
        about.write_text(json.dumps(told))
    elif how == "more placed":
        told = json.loads(about.read_text())
        told["placed"] += 1
        about.write_text(json.dumps(told))
    else:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    "how",
    [
        "truncated rows",
        "truncated cells",
        "longer",
        "overwritten",
        "missing",
        "no about",
        "garbage",
        "a list",
        "other checksum",
        "other starts",
        "backwards",
        "more placed",
        "gone",
    ],
)
def test_what_is_not_whole_is_not_used_and_made_anew(built, how):
    table = stars_of(built)
    spoil(folder_of(built, table), how)
    mapped = MappedColumns()
    assert mapped.find(built, table, EVERYWHERE) is None
    assert mapped.find(built, table, Identified((3,))) is None
    if how not in ("other starts", "backwards", "more placed"):
        assert Caches(native=False).missing(built) == [table]
    shutil.rmtree(folder_of(built, table), ignore_errors=True)
    assert Caches(native=False).build(built, table, nobody)
    assert MappedColumns().find(built, table, EVERYWHERE) is not None


@pytest.mark.parametrize(
    "how", ["truncated rows", "truncated cells", "longer", "overwritten", "missing", "gone"]
)
def test_files_that_change_while_they_are_mapped_are_used_no_more(built, how, monkeypatch):
    table, mapped = stars_of(built), MappedColumns()
    monkeypatch.setattr("skygate.engines.kept.AGAIN_S", 0.0)
    first = mapped._mapped(built, table)
    assert first is not None
    assert mapped._mapped(built, table) is first
    spoil(folder_of(built, table), how)
    assert mapped.find(built, table, EVERYWHERE) is None


def test_another_version_is_not_answered_from_this_ones_files(built):
    table = stars_of(built)
    assert MappedColumns().find(replace(built, checksum="00"), table, EVERYWHERE) is None
    assert MappedColumns().find(built, replace(table, rows=2_999), EVERYWHERE) is None
    fewer = replace(table, columns=table.columns[:-1])
    assert MappedColumns().find(built, fewer, EVERYWHERE) is None


def test_open_columns_outlive_their_files_and_removed_versions_are_let_go(tmp_path, built):
    table, mapped = stars_of(built), MappedColumns()
    found = mapped.find(built, table, EVERYWHERE)
    FolderReleases(tmp_path).unpublish("mini")
    assert rows_of(found, table).num_rows > 500
    other = make_release(tmp_path, "other", rows=500)
    mapped.find(other, stars_of(other), EVERYWHERE)
    assert [key[0] for key in mapped._kept._open] == [other.path]


def test_columns_built_later_are_taken_up(release, monkeypatch):
    table, mapped = stars_of(release), MappedColumns()
    assert mapped.find(release, table, EVERYWHERE) is None
    Caches(native=False).build(release, table, nobody)
    monkeypatch.setattr("skygate.engines.kept.AGAIN_S", 0.0)
    assert mapped.find(release, table, EVERYWHERE) is not None


def test_one_builder_at_a_time(release):
    table = stars_of(release)
    assert not Caches(native=False).busy(release)
    with (Path(release.path).parent.parent / ".warming").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert Caches(native=False).busy(release)
        assert Caches(native=False).build(release, table, nobody) is False
    assert Caches(native=False).build(release, table, nobody) is True


def test_a_version_that_goes_away_meanwhile_is_no_fault_and_comes_not_back(tmp_path, release):
    table = stars_of(release)

    def remove(rows: int) -> None:
        FolderReleases(tmp_path).unpublish("mini") if Path(release.path).exists() else None

    assert Caches(native=False).build(release, table, remove) is False
    assert not Path(release.path).exists()
    assert Caches(native=False).build(release, table, nobody) is False
    assert not Path(release.path).exists()


def test_a_full_disk_and_broken_parts_are_told_and_leave_nothing(release, monkeypatch):
    table = stars_of(release)
    folder = folder_of(release, table)
    full = shutil.disk_usage(release.path)._replace(free=1000)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: full)
        with pytest.raises(HouseError, match="GB"):
            Caches(native=False).build(release, table, nobody)
    part = Path(table.parts[1].path)
    whole = part.read_bytes()
    for content in (whole[:-100], whole[: len(whole) // 2] + b"\0" * (len(whole) - len(whole) // 2)):
        part.write_bytes(content)
        with pytest.raises(BrokenRelease):
            Caches(native=False).build(release, table, nobody)
        assert list(folder.parent.iterdir()) == []


@pytest.mark.parametrize("at_once", [10, 700, 2_999])
def test_identifiers_are_sorted_in_bounded_pieces(release, monkeypatch, at_once):
    table = stars_of(release)
    monkeypatch.setattr(mapped_build, "_SCANNED", 501)
    monkeypatch.setattr(mapped_build, "_SAMPLES", 3_000)
    assert mapped_build.build(release, table, nobody, sorted_at_once=at_once)
    mapped = open_mapped(release, table)
    assert mapped.ids.tolist() == list(range(1, 3_001))
    for value in (1, 17, 2_995, 3_000):
        (row,) = rows_of(MappedColumns().find(release, table, Identified((value,))), table).to_pylist()
        assert row["id"] == value


def test_one_value_that_fills_everything_is_no_identifier(tmp_path):
    folder = tmp_path
    np.full(5_000, 7).tofile(folder / "loose-ids")
    np.arange(5_000).tofile(folder / "loose-at")
    assert mapped_build._sort_identifiers(folder, 1_000) is False
    assert not (folder / "ids").exists()


def test_which_tables_fit(release):
    stars, notes = release.tables
    assert fits(stars)
    assert not fits(notes)  # no identifier is said
    assert fits(replace(notes, identifier="star_id"))
    assert not fits(replace(notes, identifier="note"))
    assert not fits(replace(stars, rows=0, parts=()))
    lists = Column("id", Datatype.LONG, arraysize="3")
    assert not fits(replace(stars, position=None, columns=(lists,)))


def test_a_table_without_positions_is_looked_up_by_identifier(release):
    notes = replace(release.tables[1], identifier="star_id")
    mapped = MappedColumns()
    assert Caches(native=False).build(release, notes, nobody)
    assert rows_of(mapped.find(release, notes, Identified((11,))), notes).to_pylist() == [
        {"star_id": 11, "note": "note on 11"}
    ]
    assert mapped.find(release, notes, EVERYWHERE) is None
    assert (
        mapped.match(release, notes, pa.table({"row": [0], "ra": [0.0], "dec": [0.0]}), 1, nearest=True)
        is None
    )


def test_wide_and_many_are_left_to_sql(built, monkeypatch):
    table, mapped = stars_of(built), MappedColumns()
    assert mapped.find(built, table, Near(Circle(Position(0, 0), 31))) is None
    positions = pa.table({"row": [0], "ra": [0.0], "dec": [0.0]})
    assert mapped.match(built, table, positions, 1.1, nearest=False) is None
    monkeypatch.setattr("skygate.engines.mapped._MOST_ROWS", 100)
    monkeypatch.setattr("skygate.engines.mapped._MOST_PAIRS", 0)
    assert mapped.find(built, table, EVERYWHERE) is None
    assert mapped.match(built, table, positions, 0.1, nearest=False) is None


def test_pieces_are_bounded_and_a_run_can_be_stopped(built, monkeypatch):
    monkeypatch.setattr("skygate.engines.mapped_runs.BLOCK_ROWS", 50)
    table, mapped = stars_of(built), MappedColumns()
    names = [c.name for c in table.columns]
    run = mapped.find(built, table, EVERYWHERE).run(names, table.columns, PLENTY)
    batches = list(run)
    assert max(b.num_rows for b in batches) <= 50
    assert run.outcome.rows == sum(b.num_rows for b in batches) > 500
    run = mapped.find(built, table, EVERYWHERE).run(names, table.columns, PLENTY)
    step = iter(run)
    next(step)
    run.cancel()
    with pytest.raises(Cancelled):
        list(step)
    assert run.outcome is None
    run = mapped.find(built, table, EVERYWHERE).run(names, table.columns, replace(PLENTY, seconds=-1))
    with pytest.raises(TooCostly, match="limit"):
        list(run)


def test_an_answer_holds_no_page_of_a_file(built):
    table = stars_of(built)
    few = rows_of(MappedColumns().find(built, table, Identified((5,))), table)
    many = rows_of(MappedColumns().find(built, table, EVERYWHERE), table)
    for rows in (few, many):
        assert rows.get_total_buffer_size() < 10 * rows.nbytes + 10_000


# -- cells that discs touch


def test_discs_touch_the_cells_of_all_their_points():
    rng = np.random.default_rng(2)
    count = 4_000
    ra, dec = rng.uniform(0, 360, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    dec[:200], dec[200:400] = 90 - rng.exponential(1e-3, 200), -90 + rng.exponential(1e-3, 200)
    ra[400:1200] = np.round(ra[400:1200] / 45) * 45 + rng.normal(0, 1e-3, 800)
    dec[400:1200] = np.degrees(np.arcsin(2 / 3)) * rng.choice([-1, 0, 1], 800) + rng.normal(0, 1e-3, 800)
    for radius in (1e-7, 1 / 3600, 0.01, 0.4, 2.9):
        order = match.disc_order(radius)
        for finer in (order, max(0, order - 1)):
            discs, cells = match.touched_cells(ra, dec, radius, finer)
            touched = set(zip(discs.tolist(), cells.tolist(), strict=True))
            assert len(touched) == discs.size
            for angle in np.arange(0, 360, 15):
                a, d = moved(ra, dec, radius, angle)
                rim = cell_of(a, d, finer)
                assert touched.issuperset(zip(range(count), rim.tolist(), strict=True))
            for i in range(0, count, 41):
                one = match.cells_near(float(ra[i]), float(dec[i]), radius, finer)
                assert one == sorted(c for disc, c in touched if disc == i)


def moved(ra, dec, by, angle):
    """Positions `by` degrees away in the direction `angle`."""
    d, r, t = np.radians(dec), np.radians(by), np.radians(angle)
    lat = np.arcsin(np.clip(np.sin(d) * np.cos(r) + np.cos(d) * np.sin(r) * np.cos(t), -1, 1))
    turn = np.arctan2(np.sin(t) * np.sin(r) * np.cos(d), np.cos(r) - np.sin(d) * np.sin(lat))
    return ra + np.degrees(turn), np.degrees(lat)


def test_impossible_positions_touch_nothing_and_wide_discs_are_refused():
    discs, cells = match.touched_cells(np.array([np.nan, 1.0]), np.array([1.0, 91.0]), 0.1, 5)
    assert discs.size == cells.size == 0
    with pytest.raises(ValueError, match="too wide"):
        match.touched_cells(np.array([1.0]), np.array([1.0]), 1.0, 6)


def test_angles_are_exact_from_tiny_to_wide():
    rng = np.random.default_rng(4)
    ra, dec = rng.uniform(0, 360, 1000), rng.uniform(-90, 90, 1000)
    a, d = moved(ra, dec, 10.0 ** rng.uniform(-9, 2, 1000), rng.uniform(0, 360, 1000))
    np.testing.assert_allclose(match.angles_deg(ra, dec, a, d), separation_deg(ra, dec, a, d), atol=3e-13)
    halves = np.degrees(2 * np.arcsin(np.sqrt(match.half_chords(ra, dec, a, d))))
    np.testing.assert_allclose(halves, separation_deg(ra, dec, a, d), atol=1e-7, rtol=1e-9)
