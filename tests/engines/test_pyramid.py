"""Pyramids: made whole or not at all, of the very rows, and used only when they are what they say."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from releases_made import make_release
from skygate import wire
from skygate.domain.catalog import CELL_COLUMN, Column, Datatype, Part, Release, SkyPosition, Table
from skygate.domain.query import Limits
from skygate.domain.tally import Cells, Number, Tally, What
from skygate.engines import pyramid_build
from skygate.engines.caches import Caches
from skygate.engines.pyramid import Pyramids
from skygate.engines.pyramid_build import worth
from skygate.engines.pyramid_files import COUNTS, VALUES, fits, folder_of, open_pyramid, read_about
from skygate.errors import BrokenRelease, Cancelled, HouseError
from skygate.release.audit import audit
from skygate.stores.releases import FolderReleases

PLENTY = Limits(1_000_000, 60, 1 << 30)
CELL, ROWS = Number(What.CELL), Number(What.ROWS)
ANSWER = (Column("c", Datatype.LONG), Column("n", Datatype.LONG))


def nobody(rows: int) -> None:
    """Nobody watches."""


def stars_of(release: Release) -> Table:
    return next(t for t in release.tables if t.name == "stars")


def counts(table: Table, order: int = 4, **more) -> Tally:
    return Tally(table, (CELL, ROWS), order, **more)


def read(found, columns=ANSWER) -> pa.Table:
    run = found.run((), columns, PLENTY)
    return pa.Table.from_batches(list(run), wire.arrow_schema(columns))


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return make_release(tmp_path, rows=3_000)


@pytest.fixture
def built(release: Release) -> Release:
    assert pyramid_build.build(release, stars_of(release), nobody)
    return release


# -- what is in them

MADE = (
    Column("ra", Datatype.DOUBLE),
    Column("dec", Datatype.DOUBLE),
    Column("mag", Datatype.FLOAT),
    Column("count", Datatype.SHORT),
)


def made_table(root: Path, cells: np.ndarray, *, group_rows: int, parts: int, lost: int = 0) -> Release:
    """A release made by hand: sorted cells in parts and row groups of any size, and runs across them."""
    rng = np.random.default_rng(0)
    (root / "by_hand" / "1").mkdir(parents=True)
    pieces = [*np.array_split(np.sort(cells), parts), *([np.full(lost, -1)] if lost else [])]
    made: list[Part] = []
    for number, piece in enumerate(pieces):
        size = piece.size
        placed = size > 0 and piece[0] >= 0
        rows = {
            "ra": pa.array(np.zeros(size)) if placed else pa.nulls(size, pa.float64()),
            "dec": pa.array(np.zeros(size)) if placed else pa.nulls(size, pa.float64()),
            "mag": pa.array(rng.normal(0, 1, size).astype("f4"), mask=rng.uniform(0, 1, size) < 0.2),
            "count": pa.array(rng.integers(-99, 99, size).astype("i2")),
            CELL_COLUMN: pa.array(piece, mask=piece < 0),
        }
        path = root / "by_hand" / "1" / f"{number}.parquet"
        pq.write_table(pa.table(rows), path, row_group_size=group_rows)
        ends = (int(piece[0]), int(piece[-1])) if placed else (None, None)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        made.append(Part(str(path), size, path.stat().st_size, digest, *ends))
    table = Table(
        "by_hand",
        "made",
        MADE,
        rows=cells.size + lost,
        position=SkyPosition("ra", "dec"),
        parts=tuple(made),
    )
    where = str(root / "by_hand" / "1")
    return Release("by_hand", "1", "By hand", tables=(table,), path=where, checksum="ab" * 32)


def by_force(table: Table, order: int) -> dict[int | None, tuple[int, int, float | None, int, int]]:
    """Rows, known and sum of `mag`, least and sum of `count` of each cell, row by row."""
    found: dict[int | None, list[dict[str, object]]] = {}
    for part in table.parts:
        for row in pq.read_table(part.path).to_pylist():
            cell = row[CELL_COLUMN]
            found.setdefault(None if cell is None else cell >> 2 * (29 - order), []).append(row)
    told = {}
    for cell, rows in found.items():
        mags = [row["mag"] for row in rows if row["mag"] is not None]
        numbers = [row["count"] for row in rows]
        told[cell] = (len(rows), len(mags), sum(mags) if mags else None, min(numbers), sum(numbers))
    return told


@pytest.mark.parametrize("group_rows", [1, 7, 400])
@pytest.mark.parametrize("parts", [1, 5])
@pytest.mark.parametrize("lost", [0, 9])
def test_cells_run_across_row_groups_and_files(tmp_path, group_rows, parts, lost):
    rng = np.random.default_rng(parts)
    cells = rng.choice(rng.integers(0, 12 << 58, 40), 300) + rng.integers(0, 1 << 30, 300)
    release = made_table(tmp_path, cells, group_rows=group_rows, parts=parts, lost=lost)
    table = release.tables[0]
    told: list[int] = []
    assert pyramid_build.build(release, table, told.append)
    assert told == sorted(told)
    assert told[-1] == 300 + lost
    numbers = (
        *(CELL, ROWS, Number(What.KNOWN, "mag"), Number(What.SUM, "mag")),
        *(Number(What.LEAST, "count"), Number(What.SUM, "count")),
    )
    columns = tuple(Column(f"a{i}", Datatype.LONG if i != 3 else Datatype.DOUBLE) for i in range(6))
    for order in (0, 3, 8):
        found = read(Pyramids().tally(release, Tally(table, numbers, order)), columns).to_pylist()
        wanted = by_force(table, order)
        assert [row["a0"] for row in found] == sorted(wanted, key=lambda cell: (cell is None, cell))
        for row in found:
            cell, *rest = row.values()
            assert [rest[0], rest[1], *rest[3:]] == [v for i, v in enumerate(wanted[cell]) if i != 2]
            assert rest[2] == (None if wanted[cell][2] is None else pytest.approx(wanted[cell][2], abs=1e-12))


def test_a_table_whose_rows_all_have_no_position(tmp_path):
    release = made_table(tmp_path, np.empty(0, np.int64), group_rows=5, parts=1, lost=12)
    table = replace(release.tables[0], parts=release.tables[0].parts[1:])
    release = replace(release, tables=(table,))
    assert pyramid_build.build(release, table, nobody)
    assert read(Pyramids().tally(release, counts(table))).to_pylist() == [{"c": None, "n": 12}]
    within = Cells(0, ((0, 11),))
    assert read(Pyramids().tally(release, counts(table, within=within))).num_rows == 0


def test_orders_are_as_fine_as_rows_and_room_allow(release, monkeypatch):
    table = stars_of(release)

    def made() -> tuple[int, int]:
        shutil.rmtree(folder_of(release, table), ignore_errors=True)
        assert pyramid_build.build(release, table, nobody)
        pyramid = open_pyramid(release, table)
        return pyramid.finest, pyramid.finest_values

    assert made() == (10, 8)
    monkeypatch.setattr(pyramid_build, "_FEW_CELLS", 100)
    finest, _ = made()  # a cell holds four rows on average, at least
    sizes = [len(open_pyramid(release, table).level(k)) for k in range(finest + 1)]
    assert 0 < finest < 10
    assert sizes == sorted(sizes)
    assert sizes[-1] <= 3_000 // 4
    monkeypatch.setattr(pyramid_build, "_FEW_BYTES", 1_000)
    monkeypatch.setattr(pyramid_build, "_BYTES_A_ROW", 1)
    coarser, values = made()
    assert (coarser, values < finest) == (finest, True)
    monkeypatch.setattr(pyramid_build, "_MOST_BYTES", 10)
    assert made() == (finest, 0)


def test_which_columns_are_worth_it(release, monkeypatch):
    stars = stars_of(release)
    assert [c.name for c in worth(stars)] == ["mag_g", "mag_r", "flags", "n_obs", "quality"]
    monkeypatch.setattr(pyramid_build, "_MOST_COLUMNS", 3)
    assert [c.name for c in worth(stars)] == ["mag_g", "mag_r", "flags"]
    aside = tuple(replace(c, principal=c.name != "mag_g") for c in stars.columns)
    assert [c.name for c in worth(replace(stars, columns=aside))] == ["mag_r", "flags", "n_obs"]
    other_id = tuple(replace(c, ucd="meta.id") if c.name == "flags" else c for c in stars.columns)
    assert "flags" not in [c.name for c in worth(replace(stars, columns=other_id))]


def test_a_table_without_such_columns_is_counted(release):
    table = replace(stars_of(release), columns=stars_of(release).columns[:3])
    assert pyramid_build.build(release, table, nobody)
    pyramid = open_pyramid(release, table)
    assert pyramid.columns == frozenset()
    assert read(Pyramids().tally(release, counts(table)))["n"].to_numpy().sum() == 3_000


def test_columns_with_nan_are_left_out(built):
    assert open_pyramid(built, stars_of(built)).columns == {"mag_g", "flags", "n_obs", "quality"}


def test_columns_whose_sums_are_too_large_are_left_out(tmp_path):
    """Each cell's sum is a number; that of all is none."""
    release = made_table(tmp_path, np.arange(12) << 58, group_rows=100, parts=1)
    (part,) = release.tables[0].parts
    rows = pq.read_table(part.path)
    sizes = {"half": 2.0**1022, "huge": 2.0**1023, "whole": 2**50, "vast": 2**60}
    for name, size in sizes.items():
        rows = rows.append_column(
            name, pa.array([size] * 2 + [0] * 10, pa.float64() if size > 2**62 else pa.int64())
        )
    pq.write_table(rows, part.path)
    wide = Datatype.DOUBLE, Datatype.LONG
    columns = (*MADE, *(Column(name, wide[size < 2**62]) for name, size in sizes.items()))
    whole = replace(part, size_bytes=Path(part.path).stat().st_size)
    table = replace(release.tables[0], columns=columns, parts=(whole,))
    assert pyramid_build.build(release, table, nobody)
    assert open_pyramid(release, table).columns == {"mag", "count", "half", "whole", "vast"}


def test_which_tables_fit(release):
    stars, notes = release.tables
    assert fits(stars)
    assert not fits(notes)
    assert not fits(replace(stars, rows=0, parts=()))


# -- when they are used


def test_what_is_made_is_beside_the_release_and_no_part_of_it(built):
    folder = folder_of(built, stars_of(built))
    assert {p.name for p in folder.iterdir()} == {"about.json", COUNTS, VALUES}
    assert audit(Path(built.path)) == []
    before = (folder / "about.json").stat().st_mtime_ns
    assert pyramid_build.build(built, stars_of(built), nobody)
    assert (folder / "about.json").stat().st_mtime_ns == before


def test_caches_have_them_unless_told_otherwise(release):
    for caches, wanted in ((Caches(native=False, pyramids=False), False), (Caches(native=False), True)):
        for table in caches.missing(release):
            assert caches.build(release, table, nobody)
        assert caches.missing(release) == []
        assert (read_about(release, stars_of(release)) is not None) is wanted


def spoil(folder: Path, how: str) -> None:
    about = folder / "about.json"
    told = json.loads(about.read_text())
    if how == "truncated counts":
        os.truncate(folder / COUNTS, (folder / COUNTS).stat().st_size // 2)
    elif how == "truncated values":
        os.truncate(folder / VALUES, 4096)
    elif how == "longer":
        with (folder / COUNTS).open("ab") as file:
            file.write(b"\0" * 8)
    elif how == "overwritten":
        with (folder / VALUES).open("r+b") as file:
            file.write(b"\xff" * 64)
    elif how == "missing":
        (folder / VALUES).unlink()
    elif how == "no about":
        about.unlink()
    elif how == "garbage":
        about.write_bytes(b"{\xff")
    elif how == "a list":
        about.write_text("[]")
    elif how == "no files":
        about.write_text(json.dumps({**told, "files": {}}))
    elif how == "other checksum":
        about.write_text(json.dumps({**told, "checksum": "00"}))
    elif how == "other format":
        about.write_text(json.dumps({**told, "format": told["format"] + 1}))
    elif how == "other placed":
        about.write_text(json.dumps({**told, "placed": told["placed"] - 1}))
    else:
        shutil.rmtree(folder)


CHANGED = ("truncated counts", "truncated values", "longer", "overwritten", "missing", "gone")
TOLD = ("no about", "garbage", "a list", "no files", "other checksum", "other format", "other placed")


@pytest.mark.parametrize("how", [*CHANGED, *TOLD])
def test_what_is_not_whole_is_not_used_and_made_anew(built, how):
    table = stars_of(built)
    spoil(folder_of(built, table), how)
    assert Pyramids().tally(built, counts(table)) is None
    if how != "other placed":
        assert table in Caches(native=False).missing(built)
    shutil.rmtree(folder_of(built, table), ignore_errors=True)
    assert pyramid_build.build(built, table, nobody)
    assert Pyramids().tally(built, counts(table)) is not None


@pytest.mark.parametrize("name", [COUNTS, VALUES])
def test_files_of_something_else_are_not_used(built, name):
    """Their sizes and times are those in about.json."""
    table, folder = stars_of(built), folder_of(built, stars_of(built))
    with (
        pa.OSFile(str(folder / name), "wb") as sink,
        pa.ipc.new_file(sink, wire.arrow_schema(ANSWER)) as writer,
    ):
        writer.write_table(pa.table({"c": [1], "n": [2]}, schema=wire.arrow_schema(ANSWER)))
    told = json.loads((folder / "about.json").read_text())
    stat = (folder / name).stat()
    told["files"][name] = [stat.st_size, stat.st_mtime_ns]
    (folder / "about.json").write_text(json.dumps(told))
    assert read_about(built, table) is not None
    assert Pyramids().tally(built, counts(table)) is None


@pytest.mark.parametrize("how", CHANGED)
def test_files_that_change_while_they_are_mapped_are_used_no_more(built, how, monkeypatch):
    table, pyramids = stars_of(built), Pyramids()
    monkeypatch.setattr("skygate.engines.kept.AGAIN_S", 0.0)
    assert pyramids._kept.of(built, table) is pyramids._kept.of(built, table)
    spoil(folder_of(built, table), how)
    assert pyramids.tally(built, counts(table)) is None


def test_another_version_is_not_answered_from_this_ones_files(built):
    table = stars_of(built)
    assert Pyramids().tally(replace(built, checksum="00"), counts(table)) is None
    assert Pyramids().tally(built, counts(replace(table, rows=2_999))) is None
    fewer = replace(table, columns=tuple(c for c in table.columns if c.name != "flags"))
    assert Pyramids().tally(built, counts(fewer)) is None
    flags = tuple(replace(c, datatype=Datatype.INT) if c.name == "flags" else c for c in table.columns)
    assert Pyramids().tally(built, counts(replace(table, columns=flags))) is None


def test_a_version_that_is_replaced_is_answered_to_its_end(tmp_path, built, monkeypatch):
    monkeypatch.setattr("skygate.engines.pyramid._BLOCK_GROUPS", 10)
    table, pyramids = stars_of(built), Pyramids()
    wanted = read(Pyramids().tally(built, counts(table)))
    begun = iter(pyramids.tally(built, counts(table)).run((), ANSWER, PLENTY))
    first = next(begun)
    other = make_release(tmp_path, rows=500)
    pyramid_build.build(other, stars_of(other), nobody)
    assert read(pyramids.tally(other, counts(stars_of(other))))["n"].to_numpy().sum() == 500
    rest = list(begun)
    assert pa.Table.from_batches([first, *rest]).equals(wanted)
    FolderReleases(tmp_path).prune("mini", keep=1)
    assert not Path(built.path).exists()
    pyramids.tally(other, counts(stars_of(other)))


def test_open_pyramids_outlive_their_files_and_removed_versions_are_let_go(tmp_path, built):
    table, pyramids = stars_of(built), Pyramids()
    found = pyramids.tally(built, counts(table))
    FolderReleases(tmp_path).unpublish("mini")
    assert read(found)["n"].to_numpy().sum() == 3_000
    other = make_release(tmp_path, "other", rows=500)
    pyramids.tally(other, counts(stars_of(other)))
    assert [key[0] for key in pyramids._kept._open] == [other.path]


def test_pyramids_built_later_are_taken_up(release, monkeypatch):
    table, pyramids = stars_of(release), Pyramids()
    assert pyramids.tally(release, counts(table)) is None
    assert pyramid_build.build(release, table, nobody)
    assert pyramids.tally(release, counts(table)) is None  # it looked a moment ago
    monkeypatch.setattr("skygate.engines.kept.AGAIN_S", 0.0)
    assert pyramids.tally(release, counts(table)) is not None


def test_many_ask_while_it_is_built_and_deleted(release, monkeypatch):
    """Whoever asks gets all of it or nothing, whatever becomes of the files."""
    monkeypatch.setattr("skygate.engines.kept.AGAIN_S", 0.0)
    table, pyramids = stars_of(release), Pyramids()
    seen: set[int | None] = set()
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            found = pyramids.tally(release, counts(table, 7))
            seen.add(None if found is None else int(read(found)["n"].to_numpy().sum()))

    threads = [threading.Thread(target=work) for _ in range(3)]
    [t.start() for t in threads]
    for _ in range(8):
        assert pyramid_build.build(release, table, nobody)
        shutil.rmtree(folder_of(release, table))
    stop.set()
    [t.join() for t in threads]
    assert seen <= {None, 3_000}
    assert pyramid_build.build(release, table, nobody)
    assert pyramids.tally(release, counts(table, 7)) is not None


def test_one_builder_at_a_time(release):
    table = stars_of(release)
    with (Path(release.path).parent.parent / ".warming").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert pyramid_build.build(release, table, nobody) is False
    assert pyramid_build.build(release, table, nobody) is True


def test_a_version_that_goes_away_meanwhile_is_no_fault_and_comes_not_back(tmp_path, release):
    table = stars_of(release)

    def remove(rows: int) -> None:
        FolderReleases(tmp_path).unpublish("mini") if Path(release.path).exists() else None

    assert pyramid_build.build(release, table, remove) is False
    assert not Path(release.path).exists()


# -- what is wrong with the release


def test_a_full_disk_and_broken_parts_are_told_and_leave_nothing(release, monkeypatch):
    table = stars_of(release)
    full = shutil.disk_usage(release.path)._replace(free=1000)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: full)
        with pytest.raises(HouseError, match="GB"):
            pyramid_build.build(release, table, nobody)
    part = Path(table.parts[1].path)
    whole = part.read_bytes()
    for content in (whole[:-100], whole[: len(whole) // 2] + b"\0" * (len(whole) - len(whole) // 2)):
        part.write_bytes(content)
        with pytest.raises(BrokenRelease):
            pyramid_build.build(release, table, nobody)
        assert list(folder_of(release, table).parent.iterdir()) == []
    part.write_bytes(whole)
    with pytest.raises(BrokenRelease, match="3001"):
        pyramid_build.build(release, replace(table, rows=3_001), nobody)


@pytest.mark.parametrize(
    ("cells", "told"),
    [([5, 9, 7], "not sorted"), ([5, None, 9], "without a cell")],
)
def test_cells_that_are_not_as_they_should_be(tmp_path, cells, told):
    release = made_table(tmp_path, np.array([5, 7, 9]) << 40, group_rows=2, parts=1)
    (part,) = release.tables[0].parts
    rows = pq.read_table(part.path)
    column = pa.array([None if c is None else c << 40 for c in cells])
    pq.write_table(rows.set_column(4, CELL_COLUMN, column), part.path)
    table = replace(release.tables[0], parts=(replace(part, size_bytes=Path(part.path).stat().st_size),))
    with pytest.raises(BrokenRelease, match=told):
        pyramid_build.build(release, table, nobody)


# -- answers


def test_an_answer_holds_no_page_of_a_file(built):
    table, pyramids = stars_of(built), Pyramids()
    numbers = (
        CELL,
        ROWS,
        Number(What.KNOWN, "flags"),
        Number(What.SUM, "flags"),
        Number(What.GREATEST, "flags"),
    )
    columns = tuple(Column(f"a{i}", Datatype.LONG) for i in range(5))
    run = pyramids.tally(built, Tally(table, numbers, 4)).run((), columns, PLENTY)
    level = pyramids._kept.of(built, table).level(4, ["flags"])
    values = level.values["flags"]
    mapped = [level.cells, level.rows, values.known, values.total, values.high]
    for batch in run:
        for column, pages in zip(batch.columns, mapped, strict=True):
            assert not np.shares_memory(np.frombuffer(column.buffers()[1], np.uint8), pages)


def test_a_run_can_be_stopped(built, monkeypatch):
    monkeypatch.setattr("skygate.engines.pyramid._BLOCK_GROUPS", 10)
    run = Pyramids().tally(built, counts(stars_of(built))).run((), ANSWER, PLENTY)
    step = iter(run)
    next(step)
    run.cancel()
    with pytest.raises(Cancelled):
        list(step)
    assert run.outcome is None


def test_rows_are_counted_without_a_file_unless_parts_say_otherwise(release):
    table = stars_of(release)
    asked = Tally(table, (ROWS,))
    assert read(Pyramids().tally(release, asked), ANSWER[1:]).to_pylist() == [{"n": 3_000}]
    assert Pyramids().tally(release, replace(asked, table=replace(table, rows=2_999))) is None
    assert Pyramids().tally(release, replace(asked, table=replace(table, rows=None))) is None
    assert Pyramids().tally(release, replace(asked, within=Cells(0, ((0, 11),)))) is None
