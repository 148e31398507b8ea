"""The HATS side of a table on disk: pixels, paths, and the files that `hats` and LSDB read first.

Source: IVOA Note "HATS", 1.0; read and checked with hats 0.11. Must not know: how rows are sorted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skygate.domain.catalog import CELL_COLUMN, CELL_ORDER, Table
from skygate.release.durable import sync_file, write_file
from skygate.sky.maps import write_counts

BASE_PIXELS = 12
METADATA_GROUPS = 5_000
"""Most row groups for which the optional `_metadata` (all footers in one file) is written."""


@dataclass(frozen=True, slots=True)
class Pixel:
    """A HEALPix pixel (NESTED) that is one file, and its rows."""

    order: int
    number: int
    rows: int = 0

    @property
    def first_cell(self) -> int:
        """Its first cell of order 29."""
        return self.number << 2 * (CELL_ORDER - self.order)

    @property
    def last_cell(self) -> int:
        """Its last cell of order 29."""
        return ((self.number + 1) << 2 * (CELL_ORDER - self.order)) - 1

    @property
    def path(self) -> str:
        """Its file below `dataset/`."""
        folder = self.number // 10_000 * 10_000
        return f"Norder={self.order}/Dir={folder}/Npix={self.number}.parquet"

    def children(self) -> Iterator[Pixel]:
        """The four pixels of the next order, in order of their cells."""
        for child in range(4):
            yield Pixel(self.order + 1, 4 * self.number + child)


def divide(count: Callable[[int, int], int], most: int) -> list[Pixel]:
    """The largest pixels that hold at most `most` rows, in order of their cells; empty ones left out.

    `count(first, last)` tells the rows between two cells. A pixel of order 29 is never divided: more
    than `most` rows within its 0.4 milliarcseconds become one larger file.
    """
    found: list[Pixel] = []
    todo = [Pixel(0, number) for number in reversed(range(BASE_PIXELS))]
    while todo:
        pixel = todo.pop()
        rows = count(pixel.first_cell, pixel.last_cell)
        if not rows:
            continue
        if rows <= most or pixel.order == CELL_ORDER:
            found.append(Pixel(pixel.order, pixel.number, rows))
        else:
            todo.extend(reversed(list(pixel.children())))
    return found


def write_catalogue(
    folder: Path,
    table: Table,
    pixels: Sequence[Pixel],
    *,
    schema: pa.Schema,
    counts: NDArray[np.int64],
    sky_fraction: float,
    size_bytes: int,
    extra: Mapping[str, str],
) -> list[Path]:
    """Write what makes `folder`, whose `dataset/` is full, a HATS catalogue; returns the files' paths.

    `counts` are rows per HEALPix pixel of one order; `extra` are further properties (title, licence …).
    """
    properties = _properties(table, pixels, sky_fraction, size_bytes) | dict(extra)
    text = "".join(f"{key}={_escaped(value)}\n" for key, value in properties.items())
    paths = [folder / "hats.properties", folder / "properties"]
    for path in paths:
        write_file(path, text.encode("ascii"))
    rows = "".join(f"{pixel.order},{pixel.number}\n" for pixel in pixels)
    write_file(folder / "partition_info.csv", f"Norder,Npix\n{rows}".encode())
    paths.append(folder / "partition_info.csv")
    write_counts(folder / "point_map.fits", counts)
    sync_file(folder / "point_map.fits")
    paths.append(folder / "point_map.fits")
    return paths + _write_metadata(folder / "dataset", pixels, schema)


def _properties(
    table: Table, pixels: Sequence[Pixel], sky_fraction: float, size_bytes: int
) -> dict[str, str]:
    position = table.position
    if position is None:
        raise ValueError(f"table {table.full_name} has no position")
    properties = {
        "obs_collection": table.name,
        "dataproduct_type": "object",
        "hats_nrows": str(sum(pixel.rows for pixel in pixels)),
        "hats_col_ra": position.ra,
        "hats_col_dec": position.dec,
        "hats_col_healpix": CELL_COLUMN,
        "hats_col_healpix_order": str(CELL_ORDER),
        "hats_npix_suffix": ".parquet",
        "hats_max_rows": str(max((pixel.rows for pixel in pixels), default=0)),
        "hats_order": str(max((pixel.order for pixel in pixels), default=0)),
        "hats_estsize": str(max(1, size_bytes // 1024)),
        "hats_frame": "equatorial",
        "hats_version": "v1.0",
        "moc_sky_fraction": f"{sky_fraction:.6g}",
    }
    shown = [column.name for column in table.columns if column.principal]
    if len(shown) < len(table.columns) and not any(re.search(r"[\s,;]", name) for name in shown):
        properties["hats_cols_default"] = " ".join(shown)
    return properties


def _escaped(value: str) -> str:
    r"""A value in a Java properties file: one line, ASCII, with \\ and \uXXXX."""
    flat = " ".join(value.split()).replace("\\", "\\\\")
    units = flat.encode("utf-16-be")
    codes = [int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2)]
    return "".join(chr(code) if 32 <= code < 127 else f"\\u{code:04x}" for code in codes)


def _write_metadata(dataset: Path, pixels: Sequence[Pixel], schema: pa.Schema) -> list[Path]:
    """`_common_metadata` (the schema) and, for data sets that are not huge, `_metadata` (every footer)."""
    dataset.mkdir(exist_ok=True)
    common = dataset / "_common_metadata"
    pq.write_metadata(schema, common)
    sync_file(common)
    footers: list[pq.FileMetaData] = []
    groups = 0
    for pixel in pixels:
        footer = pq.read_metadata(dataset / pixel.path)
        footer.set_file_path(pixel.path)
        groups += footer.num_row_groups
        if groups > METADATA_GROUPS:
            return [common]
        footers.append(footer)
    if not footers:
        return [common]
    whole = dataset / "_metadata"
    for footer in footers[1:]:
        footers[0].append_row_groups(footer)
    footers[0].write_metadata_file(os.fspath(whole))
    sync_file(whole)
    return [common, whole]
