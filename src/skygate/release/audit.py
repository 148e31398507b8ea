"""The audit of a version on disk: does every byte say what the manifest and the description say?

Must not know: pointers, other versions.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skygate.domain.catalog import CELL_COLUMN, CELL_ORDER, Part, Table
from skygate.errors import BrokenRelease
from skygate.release.durable import sha256_of
from skygate.release.manifest import CACHE, MANIFEST, Manifest, read_manifest, read_release
from skygate.release.stored import stored_schema


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a file of a version."""

    path: str
    problem: str


def audit(root: Path) -> list[Finding]:
    """Everything that is wrong with a version; an empty list when nothing is."""
    try:
        manifest, _ = read_manifest(root)
    except BrokenRelease as fault:
        return [Finding(MANIFEST, fault.message)]
    findings = list(_files(root, manifest))
    try:
        release = read_release(root)
    except BrokenRelease as fault:
        return [*findings, Finding(fault.where.name or "" if fault.where else "", fault.message)]
    broken = {finding.path for finding in findings}
    for table in release.tables:
        findings.extend(_table(root.resolve(), table, broken, manifest))
    return findings


def _files(root: Path, manifest: Manifest) -> Iterator[Finding]:
    listed = {entry.path for entry in manifest.files}
    for entry in manifest.files:
        path = root / entry.path
        if not path.is_file():
            yield Finding(entry.path, "is missing")
        elif path.stat().st_size != entry.size_bytes:
            yield Finding(entry.path, f"has {path.stat().st_size} bytes instead of {entry.size_bytes}")
        elif sha256_of(path) != entry.sha256:
            yield Finding(entry.path, "has another checksum than at publish")
    for folder, folders, names in os.walk(root):
        base = Path(folder).relative_to(root)
        if base == Path():
            folders[:] = [name for name in folders if name != CACHE]
        for name in names:
            path = (base / name).as_posix()
            if path not in listed and path != MANIFEST:
                yield Finding(path, "is not in the manifest")


def _table(root: Path, table: Table, broken: set[str], manifest: Manifest) -> Iterator[Finding]:
    rows = sum(part.rows for part in table.parts)
    if table.rows != rows:
        yield Finding(
            f"tables/{table.name}", f"has {rows} rows in its files, {table.rows} in its description"
        )
    schema = stored_schema(table)
    last = -1
    for part in table.parts:
        name = Path(part.path).relative_to(root).as_posix()
        entry = manifest.entry(name)
        if entry is None or entry.sha256 != part.sha256:
            yield Finding(name, "has different checksums in the description and in the manifest")
        if name in broken:
            continue
        try:
            for problem in _part(part, schema, last):
                yield Finding(name, problem)
        except (OSError, pa.ArrowException) as fault:
            yield Finding(name, f"cannot be read as Parquet: {fault}")
        if part.last_cell is not None:
            last = part.last_cell


def _part(part: Part, schema: pa.Schema, after: int) -> Iterator[str]:
    with pq.ParquetFile(part.path) as file:
        footer = file.metadata
        if footer.num_rows != part.rows:
            yield f"has {footer.num_rows} rows instead of {part.rows}"
        if footer.num_row_groups != part.row_groups:
            yield f"has {footer.num_row_groups} row groups instead of {part.row_groups}"
        if not file.schema_arrow.equals(schema):
            yield "has other columns than the description"
            return
        if CELL_COLUMN in schema.names:
            yield from _cells(file, part, after)


def _cells(file: pq.ParquetFile, part: Part, after: int) -> Iterator[str]:
    if part.first_cell is None or part.last_cell is None:
        if any(batch.column(0).null_count < batch.num_rows for batch in _cell_batches(file)):
            yield "holds rows with a position among those without"
        return
    if part.first_cell <= after:
        yield "overlaps the cells of the file before it"
    low, high = _pixel(part.path)
    if not low <= part.first_cell <= part.last_cell <= high:
        yield "holds cells outside of the pixel that names it"
    previous = part.first_cell
    seen: list[int] = []
    for batch in _cell_batches(file):
        if batch.column(0).null_count:
            yield "holds rows without a position among those with one"
            return
        cells: NDArray[np.int64] = batch.column(0).to_numpy()
        if cells.size and (int(cells[0]) < previous or bool((cells[1:] < cells[:-1]).any())):
            yield "is not sorted by cell"
            return
        if cells.size:
            previous = int(cells[-1])
            seen = [seen[0] if seen else int(cells[0]), previous]
    if seen != [part.first_cell, part.last_cell]:
        yield "has other first and last cells than its description"
    yield from _statistics(file)


def _statistics(file: pq.ParquetFile) -> Iterator[str]:
    """Every row group must say the range of its cells: engines leave groups out by it."""
    names = [file.metadata.schema.column(i).path for i in range(file.metadata.num_columns)]
    at = names.index(CELL_COLUMN)
    for number in range(file.metadata.num_row_groups):
        statistics = file.metadata.row_group(number).column(at).statistics
        if statistics is None or not statistics.has_min_max:
            yield f"has no statistics of cells in row group {number}"
            continue
        cells = file.read_row_group(number, columns=[CELL_COLUMN]).column(0).to_numpy()
        if (int(cells.min()), int(cells.max())) != (statistics.min, statistics.max):
            yield f"has wrong statistics of cells in row group {number}"


def _cell_batches(file: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    return file.iter_batches(batch_size=1 << 20, columns=[CELL_COLUMN])


def _pixel(path: str) -> tuple[int, int]:
    """First and last cell of the pixel in a HATS path."""
    parts = dict(piece.split("=", 1) for piece in Path(path).with_suffix("").parts if "=" in piece)
    order, number = int(parts["Norder"]), int(parts["Npix"])
    shift = 2 * (CELL_ORDER - order)
    return number << shift, ((number + 1) << shift) - 1
