"""The truth on disk: one table's rows as sky-sorted, HATS-compatible Parquet.

    tables/TABLE/hats.properties …        what makes the folder a HATS catalogue
    tables/TABLE/dataset/Norder=…         rows with a position, sorted by cell; a file is a HEALPix pixel
    tables/TABLE/unplaced/part-….parquet  rows without a position, outside of what HATS readers see
    tables/TABLE/part-….parquet           all rows of a table without positions, in the source's order
    moc/TABLE.fits                        coverage

Must not know: releases, versions, where rows come from.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from skygate.domain.catalog import CELL_COLUMN, Part, Table
from skygate.release import hats
from skygate.release.built import TableOnDisk
from skygate.release.coverage import Coverage
from skygate.release.durable import sha256_of, sync_tree
from skygate.release.parts import (
    FILE_ROWS,
    PartWriter,
    PlainWriter,
    Written,
    even_groups,
    group_rows,
)
from skygate.release.sort import BUFFER_BYTES, Cells, Sorted, Sorter
from skygate.release.stored import FileEntry, stored_schema, table_folder


class TableWriter:
    """Takes shaped batches of one table, in the source's order; `finish` sorts and writes them.

    `root` is the version's directory, `scratch` one for temporary files (removed at the end).
    """

    def __init__(
        self,
        table: Table,
        root: Path,
        *,
        scratch: Path,
        properties: Mapping[str, str] | None = None,
        file_rows: int = FILE_ROWS,
        buffer_bytes: int = BUFFER_BYTES,
        threads: int = 2,
    ) -> None:
        self._table = table
        self._root = root
        self._folder = root / table_folder(table.name)
        self._scratch = scratch
        self._properties = dict(properties or {})
        self._file_rows = file_rows
        self._threads = threads
        self._schema = stored_schema(table)
        self._folder.mkdir(parents=True, exist_ok=True)
        scratch.mkdir(parents=True, exist_ok=True)
        self._sorter: Sorter | None = None
        self._plain: PlainWriter | None = None
        self._parts: PartWriter | None = None
        if table.position is not None:
            self._sorter = Sorter(self._schema, scratch, key=CELL_COLUMN, buffer_bytes=buffer_bytes)

    def add(self, batch: pa.RecordBatch) -> None:
        """Take rows; where the table has positions, cell -1 (or null) marks a row without one."""
        if self._sorter is None:
            self._unsorted().add(batch.cast(self._schema) if batch.schema != self._schema else batch)
            return
        if batch.schema != self._schema:
            batch = batch.cast(self._schema)
        placed = batch.column(CELL_COLUMN).fill_null(-1).to_numpy() >= 0
        if not placed.all():
            lost = batch.filter(pa.array(~placed))
            at = self._schema.get_field_index(CELL_COLUMN)
            nothing = pa.nulls(lost.num_rows, pa.int64())
            self._unsorted().add(lost.set_column(at, self._schema.field(at), nothing))
            batch = batch.filter(pa.array(placed))
        self._sorter.add(batch)

    def finish(self, *, wrote: Callable[[int], None] = lambda rows: None) -> TableOnDisk:
        """Write everything and flush it to the disk; `wrote` hears how many sorted rows are written."""
        plain = self._plain.finish() if self._plain is not None else []
        parts = [self._part(file) for file in plain]
        table, others = self._table, []
        if self._sorter is not None:
            placed, table, others = self._write_sorted(self._sorter.finish(), wrote)
            parts = placed + parts
        shutil.rmtree(self._scratch, ignore_errors=True)
        rows = sum(part.rows for part in parts)
        entries = [FileEntry(part.path, part.size_bytes, part.sha256) for part in parts]
        entries += [FileEntry(self._name(path), path.stat().st_size, sha256_of(path)) for path in others]
        sync_tree(self._folder)
        return TableOnDisk(replace(table, rows=rows, parts=tuple(parts)), tuple(entries))

    def close(self) -> None:
        """Give up: stop the threads and remove temporary files."""
        for craft in (self._sorter, self._plain, self._parts):
            if craft is not None:
                craft.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _unsorted(self) -> PlainWriter:
        if self._plain is None:
            folder = self._folder if self._table.position is None else self._folder / "unplaced"
            self._plain = PlainWriter(self._schema, folder, threads=self._threads)
        return self._plain

    def _write_sorted(
        self, rows: Sorted, wrote: Callable[[int], None]
    ) -> tuple[list[Part], Table, list[Path]]:
        """The parts, the table with its coverage, and the files beside the parts."""
        pixels = hats.divide(rows.count, self._file_rows)
        coverage = Coverage(rows.rows)
        self._parts = PartWriter(self._schema, sorted_by=CELL_COLUMN, threads=self._threads)
        try:
            bounds = self._write_pixels(self._parts, pixels, _Stream(rows, coverage), wrote)
            written = self._parts.finish()
        finally:
            rows.close()
        parts = [self._part(file, first, last) for file, (first, last) in zip(written, bounds, strict=True)]
        moc = self._root / "moc" / f"{self._table.name}.fits"
        coverage.write(moc)
        others = hats.write_catalogue(
            self._folder,
            self._table,
            pixels,
            schema=self._schema,
            counts=coverage.counts,
            sky_fraction=coverage.sky_fraction,
            size_bytes=sum(part.size_bytes for part in parts),
            extra=self._properties,
        )
        return parts, replace(self._table, coverage=coverage.ascii()), [*others, moc]

    def _write_pixels(
        self, writer: PartWriter, pixels: list[hats.Pixel], stream: _Stream, wrote: Callable[[int], None]
    ) -> list[tuple[int, int]]:
        """Cut the sorted stream into files and row groups; returns each file's first and last cell."""
        bounds: list[tuple[int, int]] = []
        done = 0
        for pixel in pixels:
            writer.begin(self._folder / "dataset" / pixel.path)
            cells = [pixel.last_cell, pixel.first_cell]
            for size in even_groups(pixel.rows, group_rows(stream.width())):
                found, group = stream.take(size)
                cells = [min(cells[0], int(found[0])), max(cells[1], int(found[-1]))]
                writer.write(group)
                done += size
                wrote(done)
            writer.end()
            bounds.append((cells[0], cells[1]))
        return bounds

    def _part(self, file: Written, first: int | None = None, last: int | None = None) -> Part:
        return Part(
            path=self._name(file.path),
            rows=file.rows,
            size_bytes=file.size_bytes,
            sha256=file.sha256,
            first_cell=first,
            last_cell=last,
            row_groups=file.row_groups,
        )

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


class _Stream:
    """Sorted stretches of any length, taken in pieces of a given number of rows."""

    def __init__(self, rows: Sorted, coverage: Coverage) -> None:
        self._stretches = rows.tables()
        self._coverage = coverage
        self._cells: list[Cells] = []
        self._tables: list[pa.Table] = []
        self._rows = 0
        self._width = 0.0

    def width(self) -> float:
        """Bytes of a row in memory, judged by the rows at hand."""
        if not self._rows:
            self._more()
        return self._width

    def take(self, rows: int) -> tuple[Cells, pa.Table]:
        """Exactly the next `rows` rows."""
        while self._rows < rows:
            self._more()
        cells = np.concatenate(self._cells)
        table = pa.concat_tables(self._tables)
        self._cells, self._tables = [cells[rows:]], [table.slice(rows)]
        self._rows -= rows
        return cells[:rows], table.slice(0, rows).combine_chunks()

    def _more(self) -> None:
        cells, table = next(self._stretches)
        self._coverage.add(cells)
        self._cells.append(cells)
        self._tables.append(table)
        self._rows += cells.size
        self._width = max(self._width, table.nbytes / max(1, cells.size))
