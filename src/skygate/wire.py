"""Domain values to JSON and Arrow and back: written once, spoken by every door, store and the client.

Must not know: HTTP, files.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

import pyarrow as pa

from skygate.domain.catalog import Column, Datatype
from skygate.errors import SkygateError, Where, by_code

T = TypeVar("T")

_ARROW: dict[Datatype, pa.DataType] = {
    Datatype.BOOLEAN: pa.bool_(),
    Datatype.UNSIGNED_BYTE: pa.uint8(),
    Datatype.SHORT: pa.int16(),
    Datatype.INT: pa.int32(),
    Datatype.LONG: pa.int64(),
    Datatype.FLOAT: pa.float32(),
    Datatype.DOUBLE: pa.float64(),
    Datatype.CHAR: pa.string(),
    Datatype.UNICODE: pa.string(),
}
ROWS_KEY = "skygate.rows"
OVERFLOW_KEY = "skygate.overflow"
"""Metadata by which an Arrow stream (in its last, empty batch) and a Parquet file say how it ended."""

_METADATA = ("datatype", "arraysize", "xtype", "unit", "ucd", "utype", "description")


def fixed_length(arraysize: str | None) -> int | None:
    """Number of elements of an array of fixed shape ("3" → 3, "2x3" → 6), None when it varies."""
    if arraysize is None or not re.fullmatch(r"\d+(x\d+)*", arraysize):
        return None
    total = 1
    for part in arraysize.split("x"):
        total *= int(part)
    return total


def arrow_type(column: Column) -> pa.DataType:
    """The Arrow type of a column's values, on disk and in answers. Arrays are flat lists."""
    if column.datatype.is_text:
        return pa.timestamp("us") if column.xtype == "timestamp" else pa.string()
    item = _ARROW[column.datatype]
    if not column.is_array:
        return item
    length = fixed_length(column.arraysize)
    return pa.list_(item) if length is None else pa.list_(item, length)


def arrow_field(column: Column) -> pa.Field:
    """A nullable field whose metadata carry unit, UCD, description …"""
    pairs = {k: getattr(column, k) for k in _METADATA}
    metadata = {k: str(v) for k, v in pairs.items() if v}
    return pa.field(column.name, arrow_type(column), nullable=True, metadata=metadata)


def arrow_schema(columns: tuple[Column, ...]) -> pa.Schema:
    """The Arrow schema of an answer with these columns."""
    return pa.schema([arrow_field(c) for c in columns])


_FROM_ARROW: tuple[tuple[Any, Datatype], ...] = (
    (pa.types.is_boolean, Datatype.BOOLEAN),
    (pa.types.is_uint8, Datatype.UNSIGNED_BYTE),
    (pa.types.is_int8, Datatype.SHORT),
    (pa.types.is_int16, Datatype.SHORT),
    (pa.types.is_uint16, Datatype.INT),
    (pa.types.is_int32, Datatype.INT),
    (pa.types.is_uint32, Datatype.LONG),
    (pa.types.is_int64, Datatype.LONG),
    (pa.types.is_float16, Datatype.FLOAT),
    (pa.types.is_float32, Datatype.FLOAT),
    (pa.types.is_float64, Datatype.DOUBLE),
)


def column_of(field: pa.Field) -> Column:
    """The column that an Arrow field describes (metadata first, then its type); raises TypeError.

    uint64 and decimals have no VOTable type: the caller converts them before.
    """
    meta = {k.decode(): v.decode() for k, v in (field.metadata or {}).items()}
    kept: dict[str, Any] = {k: meta[k] for k in _METADATA if k in meta and k != "datatype"}
    kind, arraysize, xtype = _kind(field.type)
    kept.setdefault("arraysize", arraysize)
    if xtype:
        kept["xtype"] = xtype
    datatype = Datatype(meta["datatype"]) if meta.get("datatype") in set(Datatype) else kind
    return Column(name=field.name, datatype=datatype, **kept)


def _kind(kind: pa.DataType) -> tuple[Datatype, str | None, str | None]:
    """(datatype, arraysize, xtype) of an Arrow type."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    for test, datatype in _FROM_ARROW:
        if test(kind):
            return datatype, None, None
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return Datatype.UNICODE, "*", None
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return Datatype.CHAR, "*", "timestamp"
    if pa.types.is_fixed_size_list(kind):
        return _kind(kind.value_type)[0], str(kind.list_size), None
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _kind(kind.value_type)[0], "*", None
    raise TypeError(f"no VOTable type for Arrow type {kind}")


def to_json(value: Any) -> Any:
    """A frozen domain value as plain JSON; fields that equal their default are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        out: dict[str, Any] = {}
        for f in dataclasses.fields(value):
            item = getattr(value, f.name)
            if f.default is not dataclasses.MISSING and item == f.default and item is f.default:
                continue
            if f.default_factory is not dataclasses.MISSING and not item:
                continue
            if isinstance(item, tuple) and not item and f.default == ():
                continue
            out[f.name] = to_json(item)
        return out
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, (tuple, list, frozenset, set)):
        return [to_json(v) for v in value]
    return value


def from_json(cls: type[T], data: Any) -> T:
    """The domain value that `to_json` wrote; unknown fields are ignored (they are a newer writer's).

    Raises TypeError or ValueError where the data do not fit.
    """
    return typing.cast(T, _read(cls, data))


def _read(kind: Any, data: Any) -> Any:
    if data is None or kind is Any:
        return data
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _read_union([a for a in args if a is not type(None)], data)
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_read(args[0], d) for d in data)
        return tuple(_read(a, d) for a, d in zip(args, data, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        return dict(data)
    if origin is frozenset:
        return frozenset(data)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        names = {f.name for f in dataclasses.fields(kind)}
        return kind(**{k: _read(hints[k], v) for k, v in data.items() if k in names})  # type: ignore[operator]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    return data


def _read_union(kinds: list[Any], data: Any) -> Any:
    if len(kinds) == 1:
        return _read(kinds[0], data)
    return data


def error_to_json(error: SkygateError) -> dict[str, Any]:
    """`{code, message, hint, where, suggestions, retry_after_s}` without empty members."""
    out: dict[str, Any] = {"code": error.code, "message": error.message}
    if error.hint:
        out["hint"] = error.hint
    if error.where:
        out["where"] = {k: v for k, v in dataclasses.asdict(error.where).items() if v is not None}
    for extra in ("suggestions", "retry_after_s"):
        if getattr(error, extra, None):
            out[extra] = getattr(error, extra)
    return out


def error_from_json(data: Mapping[str, Any]) -> SkygateError:
    """The very class that `error_to_json` described."""
    cls = by_code().get(str(data.get("code")), SkygateError)
    where = Where(**data["where"]) if data.get("where") else None
    error = cls(str(data.get("message", "unknown error")), hint=data.get("hint"), where=where)
    for extra in ("suggestions", "retry_after_s"):
        if extra in data:
            value = data[extra]
            setattr(error, extra, tuple(value) if isinstance(value, list) else value)
    return error
