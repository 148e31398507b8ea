"""Record batches of an engine, made exactly what the answer's columns promise.

Must not know: any engine.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute

from skygate import wire
from skygate.domain.catalog import Column
from skygate.errors import BadQuery, HouseError

pc: Any = pyarrow.compute
_FIRST, _LAST = datetime.min, datetime.max


def conform(batch: pa.RecordBatch, columns: tuple[Column, ...], schema: pa.Schema) -> pa.RecordBatch:
    """`batch` with the types of `schema`, by position; raises `BadQuery` for a value that does not fit."""
    if batch.num_columns != len(columns):
        raise HouseError("an engine gave another number of columns than was planned")
    arrays = [_fit(batch.column(i), column) for i, column in enumerate(columns)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _fit(array: Any, column: Column) -> Any:
    wanted = wire.arrow_type(column)
    if pa.types.is_timestamp(array.type):
        array = _of_four_digits(array)
    if array.type.equals(wanted):
        return array
    try:
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if pa.types.is_fixed_size_list(wanted) and not pa.types.is_fixed_size_list(array.type):
            return _fixed(array, wanted)
        return pc.cast(array, wanted)
    except pa.ArrowInvalid as fault:
        raise BadQuery(
            f"a value of column {column.name} does not fit its type {column.datatype.value}",
            hint="CAST it to a wider type",
        ) from fault
    except pa.ArrowNotImplementedError as fault:
        raise HouseError(f"an engine gave column {column.name} another type than was planned") from fault


def _of_four_digits(times: Any) -> Any:
    """Times of the years 1 to 9999; null for others and infinity, which ISO 8601 has no words for."""
    known = pc.min_max(times)
    first, last = (pa.scalar(t, times.type) for t in (_FIRST, _LAST))
    if not known["min"].is_valid or (
        pc.less_equal(first, known["min"]).as_py() and pc.less_equal(known["max"], last).as_py()
    ):
        return times
    inside = pc.and_(pc.greater_equal(times, first), pc.less_equal(times, last))
    return pc.if_else(inside, times, pa.scalar(None, times.type))


def _fixed(array: Any, wanted: Any) -> Any:
    """Lists of one length each as fixed lists; a null list stays null."""
    size = wanted.list_size
    lengths = pc.list_value_length(array)
    if not pc.all(pc.equal(lengths, size), skip_nulls=True).as_py() and lengths.null_count < len(array):
        raise pa.ArrowInvalid("lists of other lengths")
    values = pc.cast(array.flatten(), wanted.value_type)
    if array.null_count == 0:
        return pa.FixedSizeListArray.from_arrays(values, type=wanted)
    valid = array.is_valid()
    place = pc.cumulative_sum(pc.cast(valid, pa.int64()))
    rows = pc.if_else(valid, pc.subtract(place, 1), pa.scalar(None, pa.int64()))
    return pa.FixedSizeListArray.from_arrays(values, type=wanted).take(rows)
