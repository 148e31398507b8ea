"""NumPy arrays to Arrow: byte order, fixed-length texts, booleans and arrays in cells.

Must not know: file formats.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from skygate.domain.catalog import Column, Datatype
from skygate.errors import BadRelease
from skygate.release.compute import pc
from skygate.release.read.source import fault, regular_name
from skygate.release.read.text_values import as_text
from skygate.wire import column_of


def numpy_to_arrow(values: np.ndarray[Any, Any], *, nan_is_null: bool = False) -> pa.Array:
    """A one- or many-dimensional array, rows first, as an Arrow array (cells of many values are flat lists).

    Raises TypeError for types that no column can hold (complex, objects).
    """
    if values.ndim > 1:
        size = int(np.prod(values.shape[1:]))
        flat = numpy_to_arrow(values.reshape(-1), nan_is_null=False)
        return pa.FixedSizeListArray.from_arrays(flat, size)
    kind = values.dtype.kind
    if kind == "S":
        return text_array(values)
    if kind == "U":
        return empty_to_null(pa.array(np.char.rstrip(values).tolist(), pa.string()))
    if kind == "c":
        raise TypeError("complex numbers")
    if kind not in "biuf":
        raise TypeError(f"values of type {values.dtype}")
    native = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("="))
    if native.dtype == np.float16:
        native = native.astype(np.float32)
    if native.dtype.itemsize > 8:
        raise TypeError(f"values of type {values.dtype}")
    return pa.array(native, from_pandas=nan_is_null and kind == "f")


def text_array(values: np.ndarray[Any, Any]) -> pa.Array:
    """Fixed-length byte strings as texts: blanks and NULs at the end trimmed, empty ones null."""
    width = values.dtype.itemsize
    if width == 0:
        return pa.nulls(len(values), pa.string())
    data = np.ascontiguousarray(values)
    binary = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(width), len(data), [None, pa.py_buffer(data.view(np.uint8).reshape(-1))]
    )
    return empty_to_null(as_text(binary.cast(pa.binary()), leading=True))


def empty_to_null(texts: pa.Array) -> pa.Array:
    """The texts, null where empty."""
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def columns_of_dtype(
    path: Path, kind: np.dtype[Any], names: Sequence[str]
) -> tuple[tuple[Column, ...], pa.Schema]:
    """The columns and the Arrow schema of NumPy records; raises `BadRelease` for types no column can hold."""
    fields: list[pa.Field] = []
    columns: list[Column] = []
    for name in names:
        members: Any = kind.fields
        item: np.dtype[Any] = members[name][0]
        try:
            arrow = numpy_to_arrow(np.zeros((1, *item.shape), item.base)).type
        except TypeError as error:
            raise cannot_hold(path, name, error) from error
        if pa.types.is_null(arrow):
            arrow = pa.string()
        fields.append(pa.field(name, arrow))
        columns.append(raw_column(fields[-1], shape=item.shape, ascii_text=item.base.kind == "S"))
    return tuple(columns), pa.schema(fields)


def raw_column(
    field: pa.Field, *, shape: tuple[int, ...] = (), ascii_text: bool = False, **known: Any
) -> Column:
    """The column of an Arrow field as read; uint64 becomes `long` (checked when values are converted).

    `shape` is in NumPy's order (last axis fastest); VOTable writes the fastest axis first.
    """
    kind = field.type
    if pa.types.is_uint64(kind):
        return Column(field.name, Datatype.LONG, inferred={"datatype": "unsigned 64-bit, checked"}, **known)
    if pa.types.is_fixed_size_list(kind) and pa.types.is_uint64(kind.value_type):
        kind = pa.list_(pa.int64(), kind.list_size)
    column = column_of(pa.field(field.name, kind))
    datatype = Datatype.CHAR if ascii_text and column.datatype.is_text else column.datatype
    arraysize = column.arraysize
    if len(shape) > 1 and not datatype.is_text:
        arraysize = "x".join(str(n) for n in reversed(shape))
    return Column(field.name, datatype, arraysize=arraysize, xtype=column.xtype, **known)


def record_batch(rows: np.ndarray[Any, Any], schema: pa.Schema) -> pa.RecordBatch:
    """NumPy records as a batch with these columns."""
    return pa.record_batch([numpy_to_arrow(rows[f.name]) for f in schema], schema=schema)


def cannot_hold(path: Path | str, name: str, error: Exception) -> BadRelease:
    """The refusal of a column whose values have no place in a table."""
    hint = f"leave it out with [table.columns.{regular_name(name)}] drop = true in release.toml"
    return fault(path, f"column {name}: {error} cannot be published", hint=hint)
