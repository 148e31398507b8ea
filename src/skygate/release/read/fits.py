"""FITS binary tables, decoded from the rows' bytes; ASCII tables too (FITS 4.0, sections 7.2 and 7.3).

Rows are read in blocks, never mapped whole. NaN is the standard's null for reals, and a blank text no text.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning

from skygate.domain.catalog import Column
from skygate.release.read.compression import seekable
from skygate.release.read.fits_ascii import ascii_table
from skygate.release.read.fits_values import Cell, cell_of, field_type, read_cells
from skygate.release.read.left_out import left_tables, repeated_names
from skygate.release.read.numeric import cannot_hold, raw_column
from skygate.release.read.source import Source, fault, is_wanted, text_of, unique_names, unreadable
from skygate.release.read.text_findings import NOT_UTF8, of_encoding
from skygate.release.recipe import TableRecipe

_BLOCK_BYTES = 64 << 20
_UNIT = 2880
"""Bytes of a FITS block (FITS 4.0, section 3.1)."""
_SECTION = "XTENSION"
_DAMAGED = (OSError, ValueError, TypeError, KeyError, IndexError, OverflowError, fits.VerifyError)
"""What reading a header with missing or unreadable cards ends in."""


def open_fits(path: Path, recipe: TableRecipe) -> Source:
    """A table of a FITS file: HDU `inside` (name or number), else the first one; raises `BadRelease`."""
    plain, free = seekable(path)
    try:
        header, start, others = _header(path, plain, recipe.inside)
        is_ascii = str(header.get(_SECTION)).strip() == "TABLE"
        table = ascii_table if is_ascii else _binary_table
        source = table(path, plain, header, start, recipe, free)
        source.findings.extend(left_tables(path, others, "a number or name of an HDU"))
        return source
    except _DAMAGED as error:
        free()
        raise unreadable(path, error, what="FITS") from error
    except BaseException:
        free()
        raise


def _header(path: Path, plain: Path, inside: str | None) -> tuple[Any, int, list[str]]:
    """(header of the wanted table, where its data start, the other tables where none was asked for)."""
    tables: list[str] = []
    wanted: tuple[Any, int] | None = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyUserWarning)
            with fits.open(plain, memmap=True, lazy_load_hdus=True, character_as_bytes=True) as hdus:
                for number, hdu in enumerate(hdus):
                    header: Any = hdu.header
                    name = str(header.get("EXTNAME", "")).strip()
                    chosen = inside is not None and inside.strip().upper() in (str(number), name.upper())
                    if str(header.get(_SECTION, "")).strip() not in ("BINTABLE", "TABLE"):
                        if chosen:
                            raise fault(path, f"HDU {inside} is no table")
                        continue
                    if isinstance(hdu, fits.CompImageHDU):
                        continue
                    if wanted is None and (chosen or inside is None):
                        wanted = header.copy(), int(hdu.fileinfo()["datLoc"])
                        if chosen:
                            break
                        continue
                    tables.append(f"{number} {name}".strip())
    except _DAMAGED as error:
        if wanted is None:
            raise unreadable(path, error, what="FITS") from error
    if wanted is not None:
        return *wanted, tables if inside is None else []
    size = plain.stat().st_size
    if size % _UNIT:
        raise fault(path, f"is cut short: {size} bytes are no whole number of FITS blocks of {_UNIT}")
    if inside is None:
        raise fault(path, "holds no table")
    raise fault(path, f"has no table {inside!r}", hint="its tables are " + (", ".join(tables) or "none"))


def _binary_table(
    path: Path,
    plain: Path,
    header: Any,
    start: int,
    recipe: TableRecipe,
    free: Callable[[], None],
) -> Source:
    width, rows = int(header["NAXIS1"]), int(header["NAXIS2"])
    count = int(header["TFIELDS"])
    given = [text_of(header.get(f"TTYPE{n}", "")) for n in range(1, count + 1)]
    names = unique_names(given)
    findings = [*repeated_names(path, given, names)]
    cells: list[Cell] = []
    columns: list[Column] = []
    offset = 0
    for number, name in enumerate(names, start=1):
        try:
            cell = cell_of(name, number, offset, header)
        except ValueError as error:
            raise fault(path, f"column {name}: {error}") from error
        offset += cell.width
        if not is_wanted(recipe, name):
            continue
        try:
            kind = field_type(cell)
        except TypeError as error:
            raise cannot_hold(path, name, error) from error
        cells.append(cell)
        columns.append(_column(cell, kind, header))
    if offset != width:
        raise fault(path, f"its columns take {offset} bytes, its rows {width} (NAXIS1)")
    needed = start + width * rows + int(header.get("PCOUNT", 0))
    size = plain.stat().st_size
    if size < needed:
        raise fault(path, f"is cut short: {size} bytes, its header promises {needed}")
    heap = start + int(header.get("THEAP", width * rows))
    schema = pa.schema([pa.field(c.name, field_type(c)) for c in cells])

    def read(max_rows: int) -> Iterator[pa.RecordBatch]:
        step = max(1, min(max_rows, _BLOCK_BYTES // max(width, 1)))
        with plain.open("rb") as file:
            for first in range(0, rows, step):
                size_now = min(step, rows - first)
                file.seek(start + first * width)
                block = np.fromfile(file, np.uint8, count=size_now * width).reshape(size_now, width)
                try:
                    arrays = [read_cells(cell, block, file, heap) for cell in cells]
                except (ValueError, pa.ArrowException) as error:
                    raise fault(path, f"rows {first + 1} to {first + size_now}: {error}") from error
                if not any(f.code == NOT_UTF8 for f in findings) and not _texts_are_utf8(cells, block):
                    findings.extend(of_encoding(path, "latin-1"))
                yield pa.record_batch(arrays, schema=schema)

    return Source(tuple(columns), schema, read, rows, table_metadata(header), free, findings)


def _texts_are_utf8(cells: list[Cell], block: np.ndarray[Any, Any]) -> bool:
    """Whether the texts of a block are UTF-8 (FITS knows ASCII only)."""
    for cell in cells:
        piece = block[:, cell.offset : cell.offset + cell.width]
        if cell.code != "A" or cell.heap is not None or not (piece > 127).any():
            continue
        try:
            for row in np.flatnonzero((piece > 127).any(axis=1)).tolist():
                piece[row].tobytes().decode("utf-8")
        except UnicodeDecodeError:
            return False
    return True


def _column(cell: Cell, kind: pa.DataType, header: Any) -> Column:
    number = cell.number
    known: dict[str, Any] = {
        "unit": text_of(header.get(f"TUNIT{number}", "")) or None,
        "ucd": text_of(header.get(f"TUCD{number}", "")) or None,
        "utype": text_of(header.get(f"TUTYP{number}", "")) or None,
        "description": text_of(
            header.get(f"TCOMM{number}") or header.comments[f"TTYPE{number}"]
            if f"TTYPE{number}" in header
            else ""
        ),
    }
    if known["description"].lower() in ("label for field", f"label for field {number}", "field name"):
        known["description"] = ""
    if cell.null is not None:
        known["null"] = str(cell.null)
    column = raw_column(pa.field(cell.name, kind), shape=cell.shape, ascii_text=True, **known)
    return replace(column, inferred={**column.inferred} or {"datatype": f"TFORM {cell.form}"})


def table_metadata(header: Any) -> dict[str, str]:
    """Name, frame, equinox and description that a table's header gives."""
    out: dict[str, str] = {}
    for key, names in (
        ("name", ("EXTNAME",)),
        ("frame", ("RADESYS", "RADECSYS")),
        ("equinox", ("EQUINOX",)),
        ("description", ("TABDESC", "OBJECT", "TITLE")),
    ):
        for name in names:
            with contextlib.suppress(KeyError, fits.VerifyError):
                out.setdefault(key, text_of(header[name]))
    return {k: v for k, v in out.items() if v}
