"""Making the files of mapped columns from a table's Parquet parts, in bounded memory and all or nothing.

Must not know: queries, who waits for them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skygate import wire
from skygate.domain.catalog import CELL_COLUMN, Release, Table
from skygate.engines import cache_folders
from skygate.engines.mapped_files import (
    FORMAT,
    ROWS,
    TOP_STEP,
    About,
    folder_of,
    integer_identifier,
    read_about,
)
from skygate.engines.part_rows import row_groups
from skygate.errors import BrokenRelease

Ints = NDArray[np.int64]

SORTED_AT_ONCE = 16_000_000
"""Identifiers sorted in memory at once (about 600 MB); more are sorted range by range."""
_SCANNED = 4_000_000
_SAMPLES = 200_000


def build(
    release: Release,
    table: Table,
    wrote: Callable[[int], None],
    *,
    sorted_at_once: int = SORTED_AT_ONCE,
) -> bool:
    """Make the mapped columns of a table; False when another process builds, or the version has gone.

    Raises `BrokenRelease` where a part cannot be read or has other rows than the release says, `HouseError`
    where the disk is too small or refuses.
    """
    return cache_folders.build(
        release,
        table,
        folder_of(release, table),
        is_there=lambda: read_about(release, table) is not None,
        need_bytes=(table.rows or 0) * (sum(_width(wire.arrow_type(c)) for c in table.columns) + 48),
        write=lambda folder: _write(release, table, folder, wrote, sorted_at_once),
    )


def _write(
    release: Release, table: Table, folder: Path, wrote: Callable[[int], None], sorted_at_once: int
) -> About:
    """Every file but about.json. Parts are in sky order, those without cells last."""
    identifier = integer_identifier(table)
    starts, placed, last_cell = [0], 0, -1
    tops: list[Ints] = []
    schema = wire.arrow_schema(table.columns)
    names = ("cells", "ra", "dec", "loose-ids", "loose-at")
    files = {name: (folder / name).open("wb") for name in names}
    try:
        with pa.OSFile(str(folder / ROWS), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for part, rows in row_groups(table):
                if part.first_cell is not None and table.position is not None:
                    cells = rows.column(CELL_COLUMN).to_numpy()
                    if cells[0] < last_cell or (cells[1:] < cells[:-1]).any():
                        raise BrokenRelease(f"{table.full_name} is not sorted by cell")
                    tops.append(cells[(-placed) % TOP_STEP :: TOP_STEP].copy())
                    last_cell = int(cells[-1])
                    cells.tofile(files["cells"])
                    for key, name in (("ra", table.position.ra), ("dec", table.position.dec)):
                        rows.column(name).cast(pa.float64()).to_numpy().tofile(files[key])
                    placed += rows.num_rows
                if identifier is not None:
                    known = rows.column(identifier)
                    valid = np.flatnonzero(known.is_valid().to_numpy(zero_copy_only=False))
                    known.drop_null().cast(pa.int64()).to_numpy().tofile(files["loose-ids"])
                    (starts[-1] + valid).astype(np.int64).tofile(files["loose-at"])
                writer.write_batch(
                    pa.RecordBatch.from_arrays(
                        [rows.column(f.name).cast(f.type) for f in schema], schema=schema
                    )
                )
                starts.append(starts[-1] + rows.num_rows)
                wrote(starts[-1])
    finally:
        for file in files.values():
            file.close()
    if starts[-1] != table.rows:
        raise BrokenRelease(
            f"{table.full_name} has {starts[-1]} rows on disk, its manifest says {table.rows}"
        )
    np.concatenate([np.empty(0, np.int64), *tops]).tofile(folder / "tops")
    if identifier is not None and not _sort_identifiers(folder, sorted_at_once):
        identifier = None
    for name in ("loose-ids", "loose-at"):
        (folder / name).unlink()
    files = cache_folders.marks(folder)
    return About(FORMAT, release.checksum, starts[-1], placed, tuple(starts), identifier, files)


def _sort_identifiers(folder: Path, at_once: int) -> bool:
    """`ids` and `at` from the loose ones, a range of values at a time; False if one fills too much."""
    count = (folder / "loose-ids").stat().st_size // 8
    ids, at = (_scanned(folder / f"loose-{name}", count) for name in ("ids", "at"))
    if count <= at_once:
        edges: list[int | None] = [None, None]
    else:
        sample = np.sort(ids[:: max(1, count // _SAMPLES)])
        ranges = 2 * -(-count // at_once)  # twice as many as needed: a sample only estimates
        inner = np.unique(sample[np.linspace(0, sample.size - 1, ranges + 1)[1:-1].astype(np.int64)])
        edges = [None, *(int(edge) for edge in inner), None]
    with (folder / "ids").open("wb") as ids_file, (folder / "at").open("wb") as at_file:
        for low, high in pairwise(edges):
            found: list[tuple[Ints, Ints]] = []
            size = 0
            for start in range(0, count, _SCANNED):
                some, places = ids[start : start + _SCANNED], at[start : start + _SCANNED]
                if low is not None or high is not None:
                    chosen = np.ones(some.size, np.bool_) if low is None else some >= low
                    if high is not None:
                        chosen &= some < high
                    some, places = some[chosen], places[chosen]
                found.append((some, places))
                size += some.size
                if size > 2 * at_once:
                    for name in ("ids", "at"):
                        (folder / name).unlink()
                    return False
            values = np.concatenate([np.empty(0, np.int64), *(some for some, _ in found)])
            rows = np.concatenate([np.empty(0, np.int64), *(places for _, places in found)])
            order = np.argsort(values, kind="stable")
            values[order].tofile(ids_file)
            rows[order].tofile(at_file)
    return True


def _scanned(path: Path, count: int) -> Ints:
    return np.asarray(np.memmap(path, np.int64, "r", shape=(count,))) if count else np.empty(0, np.int64)


def _width(kind: Any) -> float:
    """About how many bytes a value takes."""
    if pa.types.is_fixed_size_list(kind):
        return kind.list_size * _width(kind.value_type)
    try:
        return kind.bit_width / 8
    except ValueError:
        return 24.0
