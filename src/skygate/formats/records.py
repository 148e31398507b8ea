"""Record batches as the rows of VOTable's BINARY and BINARY2 (1.4, sections 6.2 and 6.3).

Fixed columns that stand side by side become one numpy record; texts and arrays of varying length are put
between these records by Arrow's join, so that no Python runs per row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import compute

from skygate.domain.catalog import Column, Datatype
from skygate.errors import BadParameter, HouseError, Where
from skygate.formats.spelling import flat_list, slices, spell_timestamp
from skygate.formats.utf16 import utf16_big_endian
from skygate.wire import fixed_length

pc: Any = compute
"""Its functions are made at run time, so that no checker knows them."""

Values = np.ndarray[Any, Any]

_ITEM: dict[Datatype, str] = {
    Datatype.BOOLEAN: "u1",
    Datatype.UNSIGNED_BYTE: "u1",
    Datatype.SHORT: ">i2",
    Datatype.INT: ">i4",
    Datatype.LONG: ">i8",
    Datatype.FLOAT: ">f4",
    Datatype.DOUBLE: ">f8",
}
_LEAST = {Datatype.SHORT: -(2**15), Datatype.INT: -(2**31), Datatype.LONG: -(2**63)}
_TRUE, _FALSE, _UNKNOWN = ord("T"), ord("F"), ord("?")


def declared_in_binary(column: Column) -> Datatype:
    """BINARY has no sign for null but a value: bytes, which may use all of theirs, go out as short."""
    return Datatype.SHORT if column.datatype is Datatype.UNSIGNED_BYTE else column.datatype


def null_in_binary(column: Column) -> int | None:
    """The integer that means null in BINARY: the least of the declared type."""
    return _LEAST.get(declared_in_binary(column))


def null_in_arrays(column: Column) -> int | None:
    """The integer that means null inside an array, in every serialisation."""
    return _LEAST.get(column.datatype) if column.is_array else None


def binary(columns: Sequence[Column], batch: pa.RecordBatch) -> list[bytes | memoryview]:
    """The batch's rows in BINARY; raises `BadParameter` for a value that would be read as null."""
    return [_rows(columns, piece, masks=False) for piece in slices(batch)]


def binary2(columns: Sequence[Column], batch: pa.RecordBatch) -> list[bytes | memoryview]:
    """The batch's rows in BINARY2: first a bit for each null, the first column being the highest bit."""
    return [_rows(columns, piece, masks=True) for piece in slices(batch)]


@dataclass(slots=True)
class _Row:
    """The pieces of all rows, in order: binary arrays of one element a row."""

    rows: int
    pieces: list[pa.Array] = field(default_factory=list)
    fixed: list[tuple[str, Values]] = field(default_factory=list)

    def add(self, dtype: str, values: Values) -> None:
        """A column of the same size in every row: shape (rows,) or (rows, elements)."""
        self.fixed.append((dtype, values))

    def add_varying(self, count: Values, data: pa.Array) -> None:
        """The number of elements, then the bytes of each row."""
        self.add(">u4", count)
        self.flush()
        self.pieces.append(data)

    def flush(self) -> None:
        """Make one record array of the fixed columns collected so far."""
        if not self.fixed:
            return
        dtype = np.dtype([(f"f{i}", kind, v.shape[1:]) for i, (kind, v) in enumerate(self.fixed)])
        record = np.empty(self.rows, dtype)
        for name, (_, values) in zip(dtype.names or (), self.fixed, strict=True):
            record[name] = values
        self.fixed.clear()
        self.pieces.append(_binary_array(np.arange(self.rows + 1) * dtype.itemsize, record))

    def joined(self) -> memoryview:
        """The bytes of all rows, one row after the other."""
        self.flush()
        rows = self.pieces[0]
        if len(self.pieces) > 1:
            rows = pc.binary_join_element_wise(*self.pieces, b"")
        offsets = np.frombuffer(rows.buffers()[1], np.int32)
        return memoryview(rows.buffers()[2] or b"")[int(offsets[0]) : int(offsets[len(rows)])]


def _binary_array(offsets: Values, data: Values) -> pa.Array:
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(np.ascontiguousarray(data))]
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)


def _rows(columns: Sequence[Column], batch: pa.RecordBatch, *, masks: bool) -> memoryview:
    row = _Row(batch.num_rows)
    if masks:
        missing = np.zeros((batch.num_rows, len(columns)), np.bool_)
        for i, values in enumerate(batch.columns):
            if values.null_count:
                missing[:, i] = values.is_null().to_numpy(zero_copy_only=False)
        row.add("u1", np.packbits(missing, axis=1))
    for column, values in zip(columns, batch.columns, strict=True):
        if column.datatype.is_text:
            _add_text(row, column, values)
        elif column.is_array:
            _add_array(row, column, values, masks=masks)
        else:
            null = 0 if masks else null_in_binary(column)
            kind = column.datatype if masks else declared_in_binary(column)
            row.add(_ITEM[kind], numbers(column, values, null=null, strict=not masks))
    return row.joined()


def numbers(column: Column, values: pa.Array, *, null: int | None, strict: bool) -> Values:
    """Flat values as numpy: NaN, `null` or "?" where there is none.

    `strict` refuses values equal to `null`, and nulls where there is no such value (`BadParameter`).
    """
    if column.datatype is Datatype.BOOLEAN:
        known = np.where(values.fill_null(False).to_numpy(zero_copy_only=False), _TRUE, _FALSE)
        return known if not values.null_count else np.where(values.is_valid(), known, _UNKNOWN)
    if column.datatype.is_real:
        return values.to_numpy(zero_copy_only=False)
    if strict:
        _refuse(column, values, null)
    if values.null_count:
        wide = pa.int16() if pa.types.is_uint8(values.type) else values.type
        values = values.cast(wide).fill_null(0 if null is None else null)
    return values.to_numpy(zero_copy_only=False)


def _refuse(column: Column, values: pa.Array, null: int | None) -> None:
    if null is None and values.null_count:
        problem = f"column {column.name} has a missing byte inside an array"
    elif null is not None and null == pc.min(values).as_py():
        problem = f"column {column.name} has the value {null}, which stands for missing values there"
    else:
        return
    raise BadParameter(
        f"{problem}: this cannot be written in the format that was asked for",
        hint="votable (BINARY2), arrow, parquet and fits can hold more than the older serialisations",
        where=Where(name="RESPONSEFORMAT"),
    )


def _add_array(row: _Row, column: Column, values: pa.Array, *, masks: bool) -> None:
    kind = column.datatype if masks else declared_in_binary(column)
    null = null_in_arrays(column) if masks else null_in_binary(column)
    item = np.dtype(_ITEM[kind])
    length = fixed_length(column.arraysize)
    if length is None:
        offsets, elements = flat_list(values)
        flat = numbers(column, elements, null=null, strict=True).astype(item)
        row.add_varying(np.diff(offsets), _binary_array(offsets * item.itemsize, flat))
        return
    row.add(_ITEM[kind], numbers(column, fixed_elements(values), null=null, strict=True).reshape(-1, length))


def fixed_elements(values: pa.Array) -> pa.Array:
    """All elements of a column of arrays of one size; those of null arrays are null."""
    length = values.type.list_size
    elements = values.values.slice(values.offset * length, len(values) * length)
    if values.null_count:
        there = np.repeat(values.is_valid().to_numpy(zero_copy_only=False), length)
        elements = pc.if_else(pa.array(there), elements, pa.scalar(None, elements.type))
    return elements


def text_of(values: pa.Array) -> pa.Array:
    """A text column as Arrow strings without nulls; timestamps in ISO 8601."""
    if pa.types.is_timestamp(values.type):
        values = spell_timestamp(values)
    return values.fill_null("") if values.null_count else values


def _add_text(row: _Row, column: Column, values: pa.Array) -> None:
    text = text_of(values)
    length = fixed_length(column.arraysize)
    if length is not None and pa.types.is_timestamp(values.type):
        text = pc.binary_slice(text.cast(pa.binary()), 0, length)
    if column.datatype is Datatype.UNICODE:
        offsets, data = utf16_big_endian(text.cast(pa.string()))
        unit = 2
    else:
        offsets, data = bytes_of(text)
        unit = 1
    if length is None:
        row.add_varying(np.diff(offsets) // unit, _binary_array(offsets, data))
    else:
        row.add("u1", padded(offsets, data, size=length * unit, name=column.name))


def bytes_of(text: pa.Array) -> tuple[Values, Values]:
    """(offsets from 0, UTF-8 bytes) of a string or binary column without nulls."""
    if len(text) == 0:
        return np.zeros(1, np.int64), np.zeros(0, np.uint8)
    offsets = np.frombuffer(text.buffers()[1], np.int32)[text.offset : text.offset + len(text) + 1]
    data = np.frombuffer(text.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    return offsets.astype(np.int64) - int(offsets[0]), data


def padded(offsets: Values, data: Values, *, size: int, name: str) -> Values:
    """Rows of `size` bytes, zeros after the text; raises `HouseError` when a text is longer."""
    lengths = np.diff(offsets)
    if lengths.size and int(lengths.max()) > size:
        raise HouseError(
            f"column {name} holds a text of {int(lengths.max())} bytes, its description allows {size}"
        )
    if data.size == size * len(lengths):
        return data.reshape(-1, size)
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(np.ascontiguousarray(data))]
    filled = pc.ascii_rpad(pa.Array.from_buffers(pa.string(), len(lengths), buffers), size, padding="\0")
    return np.frombuffer(filled.buffers()[2], np.uint8, size * len(lengths)).reshape(-1, size)
