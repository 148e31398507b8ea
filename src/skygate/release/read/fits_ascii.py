"""FITS ASCII tables: fixed-width text with a header (FITS 4.0, section 7.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from skygate.domain.catalog import Column, Datatype
from skygate.release.compute import pc
from skygate.release.read.fits_values import number_of, scaled_integers, whole_scaling
from skygate.release.read.numeric import text_array
from skygate.release.read.source import Source, fault, is_wanted, text_of, unique_names
from skygate.release.read.text_values import CONVERTERS, Kind
from skygate.release.recipe import TableRecipe

_KINDS = {"A": Kind.TEXT, "I": Kind.INTEGER, "F": Kind.REAL, "E": Kind.REAL, "D": Kind.REAL}
_TYPES = {Kind.TEXT: pa.string(), Kind.INTEGER: pa.int64(), Kind.REAL: pa.float64()}
_DATATYPES = {Kind.TEXT: Datatype.CHAR, Kind.INTEGER: Datatype.LONG, Kind.REAL: Datatype.DOUBLE}


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    number: int
    start: int
    width: int
    kind: Kind
    scale: float
    zero: float
    null: str | None

    @property
    def final(self) -> Kind:
        """The kind after scaling."""
        if not self.is_scaled or (self.kind is Kind.INTEGER and whole_scaling(self.scale, self.zero)):
            return self.kind
        return Kind.REAL

    @property
    def is_scaled(self) -> bool:
        """Whether numbers are multiplied or moved."""
        return self.kind is not Kind.TEXT and (self.scale != 1 or self.zero != 0)


def ascii_table(
    path: Path,
    plain: Path,
    header: Any,
    start: int,
    recipe: TableRecipe,
    free: Callable[[], None],
) -> Source:
    """The reader of an ASCII table whose rows start at byte `start`; raises `BadRelease`."""
    width, rows, count = int(header["NAXIS1"]), int(header["NAXIS2"]), int(header["TFIELDS"])
    names = unique_names([text_of(header.get(f"TTYPE{n}", "")) for n in range(1, count + 1)])
    fields = [_field(path, n, name, header) for n, name in enumerate(names, start=1)]
    fields = [f for f in fields if is_wanted(recipe, f.name)]
    schema = pa.schema([pa.field(f.name, _TYPES[f.final]) for f in fields])
    columns = tuple(
        Column(
            f.name,
            _DATATYPES[f.final],
            arraysize="*" if f.final is Kind.TEXT else None,
            unit=text_of(header.get(f"TUNIT{f.number}", "")) or None,
            null=f.null,
            inferred={"datatype": f"TFORM {header[f'TFORM{f.number}']}"},
        )
        for f in fields
    )

    def read(max_rows: int) -> Iterator[pa.RecordBatch]:
        with plain.open("rb") as file:
            file.seek(start)
            for first in range(0, rows, max_rows):
                size = min(max_rows, rows - first)
                block = np.fromfile(file, np.uint8, count=size * width)
                if len(block) < size * width:
                    raise fault(path, f"is cut short in row {first + len(block) // width + 1}")
                grid = block.reshape(size, width)
                arrays = [_values(path, f, grid, first) for f in fields]
                yield pa.record_batch(arrays, schema=schema)

    return Source(columns, schema, read, rows, {}, free)


def _field(path: Path, number: int, name: str, header: Any) -> _Field:
    form = str(header.get(f"TFORM{number}", "")).strip()
    match = re.fullmatch(r"([AIFED])(\d+)(?:\.\d+)?", form)
    if match is None:
        raise fault(path, f"column {name}: TFORM{number} = {form!r} is no format")
    null = header.get(f"TNULL{number}")
    return _Field(
        name,
        number,
        int(header[f"TBCOL{number}"]) - 1,
        int(match[2]),
        _KINDS[match[1]],
        number_of(header.get(f"TSCAL{number}", 1)),
        number_of(header.get(f"TZERO{number}", 0)),
        None if null is None else str(null).strip(),
    )


def _values(path: Path, field: _Field, grid: np.ndarray[Any, Any], first: int) -> pa.Array:
    piece = np.ascontiguousarray(grid[:, field.start : field.start + field.width])
    texts = text_array(piece.reshape(-1).view(f"S{field.width}"))
    if field.null is not None:
        # A text such as -9 is also a number: the null goes before they are converted.
        is_null = pc.equal(pc.utf8_trim_whitespace(texts), field.null)
        texts = pc.if_else(is_null, pa.scalar(None, pa.string()), texts)
    try:
        if field.kind is Kind.TEXT:  # blanks before a text are part of it (FITS 4.0, section 7.2.5)
            return texts
        values = CONVERTERS[field.kind](texts, ("",))
        return _scaled(field, values) if field.is_scaled else values
    except (pa.ArrowInvalid, ValueError) as error:
        raise fault(path, f"column {field.name}, after row {first}: {error}") from error


def _scaled(field: _Field, values: pa.Array) -> pa.Array:
    if field.final is Kind.REAL:
        return pc.add(pc.multiply(pc.cast(values, pa.float64()), field.scale), field.zero)
    whole = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    scaled = scaled_integers(field.name, whole, int(field.scale), int(field.zero))
    return pa.array(scaled, mask=pc.is_null(values).to_numpy(zero_copy_only=False))
