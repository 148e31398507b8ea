"""Arrow columns as text, a whole column at a time: what VOTable TABLEDATA, CSV, TSV and JSON are made of.

Must not know: documents. It spells values; escaping and joining are the writers'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import compute

from skygate.errors import HouseError

pc: Any = compute
"""Its functions are made at run time, so that no checker knows them."""

MAX_SLICE_BYTES = 32 << 20
MAX_SLICE_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a format writes the values that are not plain text. None leaves a null in its place."""

    nan: str | None
    positive_infinity: str | None
    negative_infinity: str | None
    true: str
    false: str
    separator: str = " "
    """Between the elements of an array."""
    element_null: str = ""
    """A null inside an array."""
    opening: str = ""
    closing: str = ""


def slices(batch: pa.RecordBatch) -> list[pa.RecordBatch]:
    """The batch in pieces so small that one column's text stays far below Arrow's 2 GiB limit."""
    if batch.num_rows == 0:
        return []
    if batch.num_rows <= MAX_SLICE_ROWS and (batch.nbytes <= MAX_SLICE_BYTES or batch.num_rows == 1):
        return [batch]
    half = min(MAX_SLICE_ROWS, (batch.num_rows + 1) // 2)
    return slices(batch.slice(0, half)) + slices(batch.slice(half))


def spell(values: pa.Array, how: Spelling) -> pa.Array:
    """The column's values as an Arrow string array; nulls stay null."""
    kind = values.type
    if pa.types.is_floating(kind):
        return _spell_real(values, how)
    if pa.types.is_boolean(kind):
        return pc.if_else(values, pa.scalar(how.true), pa.scalar(how.false))
    if pa.types.is_timestamp(kind):
        return spell_timestamp(values)
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind):
        return _spell_list(values, how)
    return values.cast(pa.string())


def _spell_real(values: pa.Array, how: Spelling) -> pa.Array:
    """Shortest text that reads back as the same number."""
    text = values.cast(pa.string())
    finite = pc.is_finite(values)
    if pc.all(finite, min_count=0).as_py():
        return text
    odd = (
        (pc.is_nan(values), how.nan),
        (pc.equal(values, np.inf), how.positive_infinity),
        (pc.equal(values, -np.inf), how.negative_infinity),
    )
    for where, word in odd:
        text = pc.if_else(where, pa.scalar(word, pa.string()), text)
    return text


def spell_timestamp(values: pa.Array) -> pa.Array:
    """ISO 8601 as DALI writes it (1.1, section 3.3.3): `YYYY-MM-DDThh:mm:ss[.ffffff]`, no trailing zeros."""
    text = values.cast(pa.timestamp("us")).cast(pa.string())
    text = pc.replace_substring(text, pattern=" ", replacement="T")
    text = pc.replace_substring_regex(text, pattern=r"(\.[0-9]*?)0+$", replacement=r"\1")
    return pc.replace_substring_regex(text, pattern=r"\.$", replacement="")


def flat_list(values: pa.Array) -> tuple[np.ndarray[Any, Any], pa.Array]:
    """(offsets from 0, flat elements) of a list column; null lists are empty."""
    if pa.types.is_fixed_size_list(values.type) or values.null_count:
        size = pc.fill_null(pc.list_value_length(values), 0).to_numpy(zero_copy_only=False)
        offsets = np.concatenate(([0], np.cumsum(size))).astype(np.int64)
        return offsets, pc.list_flatten(values)
    offsets = np.asarray(values.offsets, dtype=np.int64)
    return offsets - offsets[0], values.flatten()


def _spell_list(values: pa.Array, how: Spelling) -> pa.Array:
    offsets, elements = flat_list(values)
    text = pc.fill_null(spell(elements, how), how.element_null)
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), text)
    joined = pc.binary_join(lists, how.separator)
    if how.opening or how.closing:
        joined = pc.binary_join_element_wise(how.opening, joined, how.closing, "")
    return (
        pc.if_else(values.is_valid(), joined, pa.scalar(None, pa.string())) if values.null_count else joined
    )


def join(pieces: Sequence[pa.Array | str]) -> memoryview:
    """The UTF-8 text of all rows one after the other, each row being its pieces in order (none null)."""
    rows = pc.binary_join_element_wise(*pieces, "")
    if rows.null_count:
        raise HouseError("a null was left in the text of a row")
    if len(rows) == 0:
        return memoryview(b"")
    offsets = np.frombuffer(rows.buffers()[1], dtype=np.int32)
    first, last = int(offsets[rows.offset]), int(offsets[rows.offset + len(rows)])
    return memoryview(rows.buffers()[2] or b"")[first:last]


def has_any(values: pa.Array, patterns: Sequence[str]) -> list[str]:
    """Which of these short pieces of text occur anywhere in a string column (fast refusal on raw bytes)."""
    raw = bytes(_raw(values))
    return [p for p in patterns if p.encode() in raw]


def is_printable(values: pa.Array) -> bool:
    """Whether every text of a string column is printable ASCII."""
    raw = np.frombuffer(_raw(values), np.uint8)
    return not len(raw) or bool(raw.min() >= ord(" ") and raw.max() <= ord("~"))


def _raw(values: pa.Array) -> memoryview:
    """The UTF-8 bytes of a string column, one text after the other."""
    buffer = values.buffers()[2] if len(values) else None
    if buffer is None:
        return memoryview(b"")
    offsets = np.frombuffer(values.buffers()[1], dtype=np.int32)
    return memoryview(buffer)[int(offsets[values.offset]) : int(offsets[values.offset + len(values)])]
