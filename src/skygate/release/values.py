"""One array to another type, checked: a value that does not fit is refused with its row, never made null.

Must not know: tables, recipes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from skygate.errors import BadRelease
from skygate.release.compute import pc
from skygate.release.read.source import fault
from skygate.release.read.text_values import to_booleans, to_integers, to_reals, to_texts, to_timestamps

_NO_NULLS: tuple[str, ...] = ("",)


def is_sentinel(values: pa.Array, sentinels: Sequence[str | float | int]) -> pa.Array:
    """Which values mean "missing": numbers compare in the column's own precision, texts as texts."""
    hit: Any = pa.repeat(pa.scalar(value=False), len(values))
    for sentinel in sentinels:
        test = _equals(values, sentinel)
        if test is not None:
            hit = pc.or_(hit, pc.fill_null(test, fill_value=False))
    return hit


def _equals(values: pa.Array, sentinel: str | float | int) -> Any:
    kind = values.type
    if pa.types.is_string(kind):
        return pc.equal(pc.utf8_trim_whitespace(values), str(sentinel).strip())
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return None
    try:
        number = float(sentinel)
    except ValueError:
        return None
    if math.isnan(number):
        return pc.is_nan(values) if pa.types.is_floating(kind) else None
    if pa.types.is_floating(kind):
        return pc.equal(values, pa.scalar(number, pa.float64()).cast(kind, safe=False))
    whole = sentinel if isinstance(sentinel, int) else _whole(str(sentinel))
    if whole is None:
        return None
    try:
        return pc.equal(values, pa.scalar(whole, kind))
    except (pa.ArrowException, OverflowError):
        return None


def _whole(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        number = float(text)
        return int(number) if number.is_integer() else None


def convert(values: pa.Array, kind: pa.DataType, *, name: str, rows_before: int) -> pa.Array:
    """`values` as `kind`; raises `BadRelease` naming column, value and row where one does not fit."""
    if values.type == kind:
        return values
    try:
        return _cast(values, kind)
    except (pa.ArrowException, OverflowError, ValueError) as error:
        raise _misfit(values, kind, error, name=name, rows_before=rows_before) from error


def _cast(values: pa.Array, kind: pa.DataType) -> pa.Array:
    source = values.type
    if pa.types.is_null(source):
        return pa.nulls(len(values), kind)
    if pa.types.is_string(source):
        return _of_text(values, kind)
    if pa.types.is_string(kind):
        return _to_text(values)
    if pa.types.is_boolean(kind) and not pa.types.is_boolean(source):
        if pc.any(pc.invert(pc.is_in(values, value_set=pa.array([0, 1, None]).cast(source)))).as_py():
            raise pa.ArrowInvalid("neither 0 nor 1")
        return pc.cast(values, kind)
    if pa.types.is_float32(kind) and pa.types.is_float64(source):
        narrow = pc.cast(values, kind, safe=False)
        lost = pc.and_(pc.is_inf(narrow), pc.invert(pc.is_inf(values)))
        if pc.any(lost).as_py():
            raise pa.ArrowInvalid("too big for a 32-bit real")
        return narrow
    if pa.types.is_floating(kind) and pa.types.is_integer(source):
        # A double holds every integer to 2^53; beyond, the nearest is what a real column asks for.
        return pc.cast(values, kind, safe=False)
    if pa.types.is_fixed_size_list(source) and pa.types.is_list(kind):
        values = pc.cast(values, pa.list_(source.value_type))
    return pc.cast(values, kind)


def _of_text(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_integer(kind):
        return pc.cast(to_integers(values, _NO_NULLS), kind)
    if pa.types.is_floating(kind):
        return (
            _cast(to_reals(values, _NO_NULLS), kind)
            if not pa.types.is_float64(kind)
            else to_reals(values, _NO_NULLS)
        )
    if pa.types.is_boolean(kind):
        return to_booleans(values, _NO_NULLS)
    if pa.types.is_timestamp(kind):
        return to_timestamps(values, _NO_NULLS)
    return pc.cast(to_texts(values), kind)


def _to_text(values: pa.Array) -> pa.Array:
    if pa.types.is_nested(values.type):
        return pa.array([None if v is None else str(v) for v in values.to_pylist()], pa.string())
    return pc.cast(values, pa.string())


def _misfit(
    values: pa.Array, kind: pa.DataType, error: Exception, *, name: str, rows_before: int
) -> BadRelease:
    """The refusal that names the first value that does not fit."""
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            _cast(values.slice(low, middle - low), kind)
        except (pa.ArrowException, OverflowError, ValueError):
            high = middle
        else:
            low = middle
    value = str(values[low].as_py())[:60] if len(values) else ""
    hint = "give the column another type, or list the value under its `nulls`, in release.toml"
    if pa.types.is_uint64(values.type):
        hint = f'an unsigned 64-bit value beyond {np.iinfo(np.int64).max}: give the column `type = "string"`'
    return fault(
        f"column {name}",
        f"row {rows_before + low + 1}: {value!r} is no {kind} ({str(error).splitlines()[0][:120]})",
        hint=hint,
        token=value,
    )
