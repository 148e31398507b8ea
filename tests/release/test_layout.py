"""The layout on disk: HATS by its own readers, encodings, bounds, rows without a position."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from releases_made import NOTES, STARS, notes, stars
from skygate.domain.catalog import CELL_COLUMN, Column, Datatype, SkyPosition, Table
from skygate.errors import BadRelease
from skygate.release import hats as craft
from skygate.release.built import TableOnDisk
from skygate.release.layout import TableWriter
from skygate.release.parts import even_groups, group_rows
from skygate.sky import moc, ranges
from skygate.wire import arrow_schema

STAR_TABLE = Table(
    "mini", "stars", STARS, "Stars", position=SkyPosition("ra", "dec", 2016.0), identifier="id"
)


def write(
    root: Path, table: Table, batch: pa.RecordBatch, *, step: int = 1_000, **options: int
) -> TableOnDisk:
    writer = TableWriter(
        table, root, scratch=root / "scratch", properties={"obs_title": "Stars Ω"}, **options
    )
    for start in range(0, batch.num_rows, step):
        writer.add(batch.slice(start, step))
    done = writer.finish()
    assert not (root / "scratch").exists()
    return done


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TableOnDisk, pa.RecordBatch]:
    root = tmp_path_factory.mktemp("layout")
    batch = stars(20_000)
    return root, write(root, STAR_TABLE, batch, file_rows=2_000, buffer_bytes=200_000), batch


def read(root: Path, done: TableOnDisk) -> pa.Table:
    return pa.concat_tables(pq.ParquetFile(root / part.path).read() for part in done.table.parts)


def test_every_row_is_there_once_in_order_of_cells(
    catalogue: tuple[Path, TableOnDisk, pa.RecordBatch],
) -> None:
    root, done, batch = catalogue
    rows = read(root, done)
    cells = batch.column(CELL_COLUMN).to_numpy()
    order = np.argsort(np.where(cells < 0, np.int64(2**62), cells), kind="stable")
    expected = pa.Table.from_batches([batch]).take(pa.array(order))
    for name in arrow_schema(STARS).names:
        ours, theirs = rows.column(name).combine_chunks(), expected.column(name).combine_chunks()
        # NaN is not equal to itself: compare bits
        if pa.types.is_floating(ours.type):
            assert ours.is_null().equals(theirs.is_null())
            np.testing.assert_array_equal(ours.to_numpy(False), theirs.to_numpy(False))
        else:
            assert ours.equals(theirs), name
    assert done.table.rows == 20_000


def test_rows_without_a_position_come_last_in_their_own_file(
    catalogue: tuple[Path, TableOnDisk, pa.RecordBatch],
) -> None:
    root, done, _ = catalogue
    *placed, unplaced = done.table.parts
    assert unplaced.path == "tables/stars/unplaced/part-00000.parquet"
    assert (unplaced.rows, unplaced.first_cell, unplaced.last_cell) == (6, None, None)
    assert pq.ParquetFile(root / unplaced.path).read().column(CELL_COLUMN).null_count == 6
    assert all(part.first_cell is not None for part in placed)


def test_each_file_is_one_pixel_within_bounds(catalogue: tuple[Path, TableOnDisk, pa.RecordBatch]) -> None:
    root, done, _ = catalogue
    last = -1
    for part in done.table.parts[:-1]:
        assert 0 < part.rows <= 2_000
        assert part.first_cell is not None
        assert part.last_cell is not None
        pieces = dict(p.split("=") for p in Path(part.path).with_suffix("").parts if "=" in p)
        pixel = craft.Pixel(int(pieces["Norder"]), int(pieces["Npix"]))
        assert int(pieces["Dir"]) == pixel.number // 10_000 * 10_000
        assert last < pixel.first_cell <= part.first_cell <= part.last_cell <= pixel.last_cell
        last = part.last_cell
        cells = pq.ParquetFile(root / part.path).read([CELL_COLUMN]).column(0).to_numpy()
        assert (cells[0], cells[-1]) == (part.first_cell, part.last_cell)
        assert (np.diff(cells) >= 0).all()


def test_hats_and_lsdb_open_it(catalogue: tuple[Path, TableOnDisk, pa.RecordBatch]) -> None:
    hats = pytest.importorskip("hats")
    lsdb = pytest.importorskip("lsdb")
    from hats.io.validation import is_valid_catalog

    root, _, batch = catalogue
    folder = root / "tables" / "stars"
    assert is_valid_catalog(folder, strict=True)
    catalog = hats.read_hats(folder)
    assert catalog.catalog_info.total_rows == 19_994
    assert catalog.catalog_info.model_extra["obs_title"] == "Stars Ω"
    assert catalog.moc is not None
    logging.getLogger("distributed").setLevel(logging.ERROR)
    opened = lsdb.open_catalog(folder)
    assert len(opened.compute()) == 19_994
    near = opened.cone_search(210.8, 54.35, 30).compute()
    ra, dec = batch.column("ra").fill_null(0).to_numpy(), batch.column("dec").fill_null(0).to_numpy()
    apart = np.hypot((ra - 210.8) * np.cos(np.radians(54.35)), dec - 54.35)
    assert len(near) == int((apart <= 30 / 3600).sum()) > 50


def test_encodings_statistics_and_metadata(catalogue: tuple[Path, TableOnDisk, pa.RecordBatch]) -> None:
    root, done, _ = catalogue
    file = pq.ParquetFile(root / done.table.parts[0].path)
    group = file.metadata.row_group(0)
    seen = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    for name in ("ra", "mag_g", "flux.list.element", "epochs.list.element"):
        assert "BYTE_STREAM_SPLIT" in seen[name].encodings, name
        assert not seen[name].has_dictionary_page
    for name in ("id", "flags", "n_obs", "quality", "seen", CELL_COLUMN):
        assert "DELTA_BINARY_PACKED" in seen[name].encodings, name
        assert not seen[name].has_dictionary_page
    assert seen["Class Name"].has_dictionary_page
    assert all(column.compression == "ZSTD" and column.is_stats_set for column in seen.values())
    assert file.schema_arrow.field("ra").metadata[b"unit"] == b"deg"
    assert file.schema_arrow.field("mag_g").metadata[b"ucd"] == b"phot.mag;em.opt.G"
    assert group.sorting_columns[0].column_index == group.num_columns - 1


def test_coverage_holds_every_position(catalogue: tuple[Path, TableOnDisk, pa.RecordBatch]) -> None:
    root, done, batch = catalogue
    cells = batch.column(CELL_COLUMN).to_numpy()
    cells = cells[cells >= 0]
    assert done.table.coverage is not None
    assert len(done.table.coverage) <= 32 * 1024
    for covered in (moc.from_ascii(done.table.coverage), moc.read_fits(root / "moc" / "stars.fits")):
        assert ranges.holds(covered, cells).all()
    assert moc.sky_fraction(moc.read_fits(root / "moc" / "stars.fits")) < 0.02


def test_a_table_without_positions_keeps_the_order_of_its_source(tmp_path: Path) -> None:
    batch = notes(50_000)
    done = write(tmp_path, Table("mini", "notes", NOTES), batch)
    assert [part.path for part in done.table.parts] == ["tables/notes/part-00000.parquet"]
    assert read(tmp_path, done).equals(pa.Table.from_batches([batch]))
    assert done.table.coverage is None


def test_plain_files_are_cut_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skygate.release.parts.FILE_ROWS", 1_000)
    monkeypatch.setattr("skygate.release.parts.GROUP_ROWS", 300)
    batch = notes(25_000)
    done = write(tmp_path, Table("mini", "notes", NOTES), batch, step=170)
    assert [part.rows for part in done.table.parts] == [1_000, 1_000, 500]
    assert [part.row_groups for part in done.table.parts] == [4, 4, 2]
    assert read(tmp_path, done).equals(pa.Table.from_batches([batch]))


@pytest.mark.parametrize("rows", [0, 6])
def test_nothing_placed_is_still_a_catalogue(tmp_path: Path, rows: int) -> None:
    hats = pytest.importorskip("hats")
    done = write(tmp_path, STAR_TABLE, stars(6).slice(0, rows))
    assert done.table.rows == rows
    assert len(done.table.parts) == (1 if rows else 0)
    catalog = hats.read_hats(tmp_path / "tables" / "stars")
    assert catalog.catalog_info.total_rows == 0
    assert catalog.schema.names == [*arrow_schema(STARS).names, CELL_COLUMN]


def test_more_equal_positions_than_a_file_holds_stay_together(tmp_path: Path) -> None:
    hats = pytest.importorskip("hats")
    batch = stars(3_000)
    at = batch.schema.get_field_index(CELL_COLUMN)
    cells = batch.column(at).to_numpy().copy()
    cells[:2_500] = 123_456_789_012_345
    batch = batch.set_column(at, batch.schema.field(at), pa.array(cells))
    done = write(tmp_path, STAR_TABLE, batch, file_rows=1_000)
    largest = max(done.table.parts, key=lambda part: part.rows)
    assert largest.rows == 2_500
    assert "Norder=29/" in largest.path
    assert largest.first_cell == largest.last_cell == 123_456_789_012_345
    assert hats.read_hats(tmp_path / "tables" / "stars").catalog_info.total_rows == 2_994


def test_pixels_are_as_large_as_the_limit_allows() -> None:
    cells = np.sort(np.random.default_rng(5).integers(0, 12 * 4**29, 10_000))

    def count(first: int, last: int) -> int:
        return int(np.searchsorted(cells, last, "right") - np.searchsorted(cells, first, "left"))

    pixels = craft.divide(count, 300)
    assert sum(pixel.rows for pixel in pixels) == 10_000
    for pixel in pixels:
        assert pixel.rows == count(pixel.first_cell, pixel.last_cell) <= 300
        if pixel.order:
            parent = craft.Pixel(pixel.order - 1, pixel.number // 4)
            assert count(parent.first_cell, parent.last_cell) > 300, "a larger pixel would have done"
    assert [p.first_cell for p in pixels] == sorted(p.first_cell for p in pixels)


def test_row_groups_are_even_and_small_enough() -> None:
    groups = list(even_groups(1_000_000, 120_000))
    assert sum(groups) == 1_000_000
    assert len(groups) == 9
    assert max(groups) - min(groups) <= 1
    assert group_rows(200) == 120_000
    assert group_rows(1_000_000) == 268
    assert list(even_groups(0, 10)) == []


def test_a_source_cannot_bring_the_cell_column(tmp_path: Path) -> None:
    table = replace(STAR_TABLE, columns=(*STARS, Column(CELL_COLUMN, Datatype.LONG)))
    with pytest.raises(BadRelease, match="made at publish"):
        TableWriter(table, tmp_path, scratch=tmp_path / "s")


def test_odd_table_names_make_no_directories(tmp_path: Path) -> None:
    for name in ("../x", "a/b", "", ".hidden"):
        with pytest.raises(BadRelease):
            TableWriter(replace(STAR_TABLE, name=name), tmp_path, scratch=tmp_path / "s")
    assert not (tmp_path.parent / "x").exists()


def test_a_full_disk_is_a_fault_not_a_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("skygate.release.parts.sync_file", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path, STAR_TABLE, stars(5_000), file_rows=500)


def test_the_same_rows_make_the_same_bytes(tmp_path: Path) -> None:
    batch = stars(5_000)
    one = write(tmp_path / "one", STAR_TABLE, batch, file_rows=1_000)
    two = write(tmp_path / "two", STAR_TABLE, batch, file_rows=1_000, buffer_bytes=100_000, step=333)
    assert one.table.parts == two.table.parts
