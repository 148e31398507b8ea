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
        return Kind.REAL if self.scale != 1.0 or self.zero != 0.0 else self.kind


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
        float(header.get(f"TSCAL{number}", 1.0)),
        float(header.get(f"TZERO{number}", 0.0)),
        None if null is None else str(null).strip(),
    )


def _values(path: Path, field: _Field, grid: np.ndarray[Any, Any], first: int) -> pa.Array:
    piece = np.ascontiguousarray(grid[:, field.start : field.start + field.width])
    texts = text_array(piece.reshape(-1).view(f"S{field.width}"))
    if field.null is not None:
        texts = pc.if_else(pc.equal(texts, field.null), pa.scalar(None, pa.string()), texts)
    try:
        values = CONVERTERS[field.kind](texts, ("",))
    except pa.ArrowInvalid as error:
        raise fault(path, f"column {field.name}, after row {first}: {error}") from error
    if field.final is not field.kind or field.scale != 1.0 or field.zero != 0.0:
        values = pc.add(pc.multiply(pc.cast(values, pa.float64()), field.scale), field.zero)
    return values
