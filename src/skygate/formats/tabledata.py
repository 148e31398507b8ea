"""Record batches as the rows of VOTable's TABLEDATA (1.4, section 6.1).

An empty cell is a null; an array of fixed size must have its elements, so there each of them is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
from pyarrow import compute

from skygate.domain.catalog import Column, Datatype
from skygate.formats import markup
from skygate.formats.records import fixed_elements, null_in_arrays, numbers
from skygate.formats.spelling import Spelling, flat_list, has_any, join, slices, spell
from skygate.wire import fixed_length

pc: Any = compute
"""Its functions are made at run time, so that no checker knows them."""

_SPELLING = Spelling("NaN", "+Inf", "-Inf", "T", "F", element_null="NaN")


def table_rows(columns: Sequence[Column], batches: Iterable[pa.RecordBatch]) -> Iterator[memoryview]:
    """The rows as `<TR>` elements, a chunk for each slice of a batch."""
    for batch in batches:
        for piece in slices(batch):
            parts: list[pa.Array | str] = ["<TR><TD>"]
            for column, values in zip(columns, piece.columns, strict=True):
                parts += [_cells(column, values), "</TD><TD>"]
            parts[-1] = "</TD></TR>\n"
            yield join(parts)


def _cells(column: Column, values: pa.Array) -> pa.Array:
    if column.datatype.is_text:
        text = spell(values, _SPELLING).fill_null("")
        return text if pa.types.is_timestamp(values.type) else escaped(text)
    how = _SPELLING
    if column.is_array and column.datatype is Datatype.BOOLEAN:
        how = replace(how, element_null="?")
    elif column.is_array and column.datatype.is_integer:
        null = null_in_arrays(column)
        fixed = pa.types.is_fixed_size_list(values.type)
        _, elements = flat_list(values) if not fixed or values.null_count else (None, fixed_elements(values))
        numbers(column, elements, null=null, strict=True)
        how = replace(how, element_null=str(null))
    text = spell(values, how)
    if not text.null_count:
        return text
    length = fixed_length(column.arraysize) if column.is_array else None
    return text.fill_null(" ".join([how.element_null] * length) if length else "")


def escaped(text: pa.Array) -> pa.Array:
    """Strings as XML character data; what XML cannot carry becomes U+FFFD."""
    for found in has_any(text, markup.FORBIDDEN_UTF8):
        text = pc.replace_substring(text, found, markup.REPLACEMENT)
    wanted = has_any(text, [plain for plain, _ in markup.ESCAPES])
    for plain, entity in markup.ESCAPES:
        if plain in wanted:
            text = pc.replace_substring(text, plain, entity)
    return text
