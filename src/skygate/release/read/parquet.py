"""Parquet files, with the units and descriptions that writers leave in field metadata."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from skygate.domain.catalog import CELL_COLUMN, Column
from skygate.errors import BadRelease
from skygate.release.compute import pc
from skygate.release.findings import Finding
from skygate.release.read.compression import seekable
from skygate.release.read.numeric import cannot_hold, raw_column
from skygate.release.read.source import (
    Source,
    entry_for,
    fault,
    is_wanted,
    rebatch,
    unreadable,
    with_changes,
)
from skygate.release.recipe import TableRecipe

_KEYS = {
    "unit": ("unit", "units", "ucd_unit"),
    "ucd": ("ucd", "UCD"),
    "utype": ("utype",),
    "description": ("description", "comment", "doc", "desc"),
}
_HIDDEN = {CELL_COLUMN}
"""What HATS adds for itself."""
_LONG = range(-(2**63), 2**63)
_INDEX = re.compile(r"__index_level_\d+__")
"""What pandas calls an index without a name. One that only counts the rows is not stored: these hold data."""


def open_parquet(path: Path, recipe: TableRecipe) -> Source:
    """One Parquet file; raises `BadRelease` for types that no column can hold, unless they are dropped."""
    plain, free = seekable(path)
    try:
        with pq.ParquetFile(plain) as file:
            source, rows = file.schema_arrow, file.metadata.num_rows
        picked = [
            f
            for f in source
            if is_wanted(recipe, f.name) and (f.name not in _HIDDEN or _listed(recipe, f.name))
        ]
        told = _astropy_columns(source.metadata or {})
        masks = _masks(source) if told else {}
        picked = [f for f in picked if f.name not in masks.values()]
        schema = pa.schema([pa.field(f.name, _plain_type(path, f, recipe)) for f in picked])
        columns = tuple(
            _column(raw, field, told.get(field.name, {})) for raw, field in zip(schema, picked, strict=True)
        )
    except BadRelease:
        free()
        raise
    except (pa.ArrowException, OSError) as error:
        free()
        raise unreadable(path, error, what="Parquet") from error

    def read(max_rows: int) -> Iterator[pa.RecordBatch]:
        try:
            with pq.ParquetFile(plain) as reading:
                needed = [*schema.names, *(m for n, m in masks.items() if n in schema.names)]
                done = 0
                for batch in reading.iter_batches(batch_size=max_rows, columns=needed):
                    values = [_unmasked(batch, f.name, masks) for f in schema]
                    for field, raw in zip(schema, values, strict=True):
                        _check_whole(path, field, raw, rows_before=done)
                    done += batch.num_rows
                    arrays = [_plain_values(v, f.type) for v, f in zip(values, schema, strict=True)]
                    changes = {f.name: _rounded(v, a) for f, v, a in zip(schema, values, arrays, strict=True)}
                    told = with_changes(schema, {name: found for name, found in changes.items() if found})
                    yield from rebatch(pa.record_batch(arrays, schema=told), max_rows)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(path, error, what="Parquet") from error

    return Source(columns, schema, read, rows, {}, free, list(_indexes(path, schema.names)))


def _masks(schema: pa.Schema) -> dict[str, str]:
    """Astropy writes the nulls of a column `x` as a column `x.mask`."""
    names = set(schema.names)
    return {
        n.removesuffix(".mask"): n for n in names if n.endswith(".mask") and n.removesuffix(".mask") in names
    }


def _unmasked(batch: pa.RecordBatch, name: str, masks: Mapping[str, str]) -> pa.Array:
    values = batch.column(name)
    if name not in masks:
        return values
    return pc.if_else(batch.column(masks[name]), pa.scalar(None, values.type), values)


def _listed(recipe: TableRecipe, name: str) -> bool:
    return any(name in (entry.source, own) for own, entry in recipe.columns)


def _indexes(path: Path, names: Sequence[str]) -> Iterator[Finding]:
    for name in names:
        if _INDEX.fullmatch(name):
            yield Finding(
                "info",
                "pandas_index",
                f"{path.name} holds an index of pandas that has no name; it is published as a column",
                f'name it (`source = "{name}"` under [table.columns.NAME]), or leave it out (drop = true)',
                column=name,
            )


def _plain_type(path: Path, field: pa.Field, recipe: TableRecipe) -> pa.DataType:
    """The type that is read: dictionaries opened, dates as timestamps, decimals as integers or doubles, texts
    in lists as one JSON text.
    """
    kind = field.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return pa.timestamp("us")
    if pa.types.is_decimal(kind):
        return _decimal_type(field.name, kind, recipe)
    if pa.types.is_time(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_large_list(kind) or pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return _list_type(path, field.name, kind)
    if _is_plain(kind):
        return kind
    raise cannot_hold(path, field.name, TypeError(f"values of type {kind}"))


def _decimal_type(name: str, kind: Any, recipe: TableRecipe) -> pa.DataType:
    """Whole decimals are identifiers: 64-bit integers, each value checked, unless the recipe says a type."""
    if kind.scale != 0:
        return pa.float64()
    entry = entry_for(recipe, name)
    asked = {"string": pa.string(), "double": pa.float64(), "float": pa.float64()}
    return asked.get(entry[1].type or "" if entry else "", pa.int64())


def _check_whole(path: Path, field: pa.Field, values: pa.Array, *, rows_before: int) -> None:
    """Raises `BadRelease` for a whole decimal that no 64-bit integer holds."""
    if not (pa.types.is_decimal(values.type) and pa.types.is_integer(field.type)):
        return
    try:
        pc.cast(values, field.type)
    except pa.ArrowInvalid as error:
        beyond = (
            (row, v) for row, v in enumerate(values.to_pylist()) if v is not None and int(v) not in _LONG
        )
        row, value = next(beyond)
        raise fault(
            path,
            f"column {field.name}, row {rows_before + row + 1}: {value} does not fit into 64 bits",
            hint=f'a value outside {_LONG[0]} … {_LONG[-1]}: give the column `type = "string"`',
            token=str(value),
        ) from error


def _is_plain(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_string(kind)
    )


def _list_type(path: Path, name: str, kind: Any) -> pa.DataType:
    item = kind.value_type
    if pa.types.is_string(item) or pa.types.is_large_string(item):
        return pa.string()
    if not _is_plain(item) or pa.types.is_string(item):
        raise cannot_hold(path, name, TypeError(f"values of type {kind}"))
    return pa.list_(item, kind.list_size) if pa.types.is_fixed_size_list(kind) else pa.list_(item)


def _plain_values(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if values.type == kind:
        return values
    if pa.types.is_nested(values.type) and pa.types.is_string(kind):
        return pa.array([None if v is None else json.dumps(v) for v in values.to_pylist()], pa.string())
    if pa.types.is_timestamp(values.type):
        return pc.cast(values, kind, safe=False)
    return pc.cast(values, kind)


def _rounded(values: pa.Array, plain: pa.Array) -> tuple[str, int] | None:
    """(what happened, to how many values) where the type that is read is coarser than the file's."""
    if pa.types.is_timestamp(values.type) and values.type.unit == "ns":
        what, back = "rounded to microseconds", pc.cast(plain, values.type)
    elif pa.types.is_decimal(values.type) and pa.types.is_floating(plain.type):
        what = "rounded to double precision"
        try:
            back = pc.cast(plain, values.type)
        except pa.ArrowInvalid:  # rounded up beyond the decimal's digits
            pairs = zip(values.to_pylist(), plain.to_pylist(), strict=True)
            count = sum(v is not None and round(Decimal(p), values.type.scale) != v for v, p in pairs)
            return what, count
    else:
        return None
    count = int(pc.sum(pc.not_equal(values, back)).as_py() or 0)
    return (what, count) if count else None


def _column(raw: pa.Field, field: pa.Field, told: Mapping[str, Any]) -> Column:
    meta = {k.decode().lower(): v.decode("utf-8", "replace") for k, v in (field.metadata or {}).items()}
    meta.update({k: str(v) for k, v in told.items() if isinstance(v, str)})
    known: dict[str, Any] = {}
    for target, keys in _KEYS.items():
        value = next((meta[k.lower()] for k in keys if meta.get(k.lower())), None)
        if value:
            known[target] = value
    column = raw_column(raw, **known)
    why = dict(column.inferred)
    if pa.types.is_decimal(field.type) and pa.types.is_floating(raw.type):
        why["datatype"] = f"{field.type} read as double"
    if pa.types.is_decimal(field.type) and not pa.types.is_floating(raw.type):
        why["datatype"] = f"{field.type}, each value checked"
    if pa.types.is_nested(field.type) and pa.types.is_string(raw.type):
        why["datatype"] = "a list of texts, written as JSON"
    shape = meta.get("arraysize")
    if shape and column.is_array:
        column = replace(column, arraysize=shape)
    return replace(column, inferred=why)


def _astropy_columns(metadata: Mapping[bytes, bytes]) -> dict[str, Mapping[str, Any]]:
    """Units and descriptions that astropy's Table.write leaves in the schema (YAML of ECSV)."""
    text = metadata.get(b"table_meta_yaml")
    if not text:
        return {}
    from skygate.release.read.ecsv import column_headers

    return column_headers(text.decode("utf-8", "replace").splitlines())
