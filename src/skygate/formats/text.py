"""Answers as text for people, spreadsheets and scripts: CSV, TSV and JSON.

CSV and TSV: a line of names, lines end in LF, cells are quoted where RFC 4180 asks for it; null is an empty
cell, an empty text is `""` (and so is null in a table of one column). JSON: see `write_json`.
Must not know: HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import compute

from skygate.formats.spelling import Spelling, has_any, join, slices, spell
from skygate.wire import to_json

if TYPE_CHECKING:
    from skygate.domain.catalog import Column
    from skygate.domain.query import About
    from skygate.formats.media import Format
    from skygate.ports import Rows

pc: Any = compute

_CELLS = Spelling("NaN", "inf", "-inf", "true", "false")
_JSON = Spelling(
    None, None, None, "true", "false", separator=",", element_null="null", opening="[", closing="]"
)
_CONTROLS = tuple(chr(c) for c in range(0x20))
_FIELDS = ("name", "datatype", "arraysize", "xtype", "unit", "ucd", "utype", "description")


def write_delimited(rows: Rows, about: About, *, form: Format) -> Iterator[bytes]:
    """CSV or TSV. An answer that breaks off raises; too many rows leave no mark here."""
    del about
    delimiter = form.options[0]
    batches = iter(rows)
    first = next(batches, None)
    if form.header:
        names = _quoted(pa.array([c.name for c in rows.columns], pa.string()), delimiter)
        yield (delimiter.join(names.to_pylist()) + "\n").encode()
    while first is not None:
        for piece in slices(first):
            yield bytes(join(_delimited(piece, delimiter)))
        first = next(batches, None)


def _delimited(piece: pa.RecordBatch, delimiter: str) -> list[pa.Array | str]:
    parts: list[pa.Array | str] = []
    missing = "" if piece.num_columns > 1 else '""'  # readers skip lines that are empty
    for values in piece.columns:
        text = spell(values, _CELLS)
        if pa.types.is_string(values.type):
            text = _quoted(text, delimiter)
        parts += [text.fill_null(missing), delimiter]
    parts[-1] = "\n"
    return parts


def _quoted(text: pa.Array, delimiter: str) -> pa.Array:
    """Texts in quotes where they are empty or hold a delimiter, a quote or a line break."""
    special = has_any(text.fill_null(""), (delimiter, '"', "\n", "\r"))
    needs = pc.equal(pc.binary_length(text), 0)
    for piece in special:
        needs = pc.or_(needs, pc.match_substring(text, piece))
    if not pc.any(needs, min_count=0).as_py():
        return text
    doubled = pc.replace_substring(text, '"', '""') if '"' in special else text
    return pc.if_else(needs, pc.binary_join_element_wise('"', doubled, '"', ""), text)


def write_json(rows: Rows, about: About, *, form: Format) -> Iterator[bytes]:
    """One object: `metadata`, `columns`, `data` (an array a row), then `rows` and `overflow`.

    Null, NaN and the infinities are all `null`; a `long` is a JSON number of up to 19 digits.
    An answer that breaks off raises and leaves the text unfinished.
    """
    del form
    batches = iter(rows)
    first = next(batches, None)
    metadata: dict[str, Any] = {"query": about.query, "title": about.title, "infos": infos_of(about)}
    head = {k: v for k, v in metadata.items() if v}
    columns = [column_json(c) for c in rows.columns]
    yield f'{{"metadata":{_dump(head)},\n"columns":{_dump(columns)},\n"data":['.encode()
    before = "\n"
    while first is not None:
        for piece in slices(first):
            text = bytes(join(_json_rows(rows.columns, piece)))
            yield before.encode() + text.removesuffix(b",\n")
            before = ",\n"
        first = next(batches, None)
    outcome = rows.outcome
    count, overflow = (outcome.rows, outcome.overflow) if outcome else (0, False)
    yield f'\n],\n"rows":{count},"overflow":{_dump(overflow)}}}\n'.encode()


def infos_of(about: About) -> dict[str, str | list[str]]:
    """The remarks by name; a name that comes several times has a list."""
    found: dict[str, str | list[str]] = {}
    for name, value in about.infos:
        earlier = found.get(name)
        if earlier is None:
            found[name] = value
        else:
            found[name] = [*([earlier] if isinstance(earlier, str) else earlier), value]
    return found


def column_json(column: Column) -> dict[str, Any]:
    """What a reader must know of a column, without empty members."""
    told = to_json(column)
    return {k: told[k] for k in _FIELDS if told.get(k)}


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _json_rows(columns: Sequence[Column], piece: pa.RecordBatch) -> list[pa.Array | str]:
    parts: list[pa.Array | str] = ["["]
    for column, values in zip(columns, piece.columns, strict=True):
        text = spell(values, _JSON)
        if pa.types.is_string(values.type):
            text = _json_escaped(text)
        if column.datatype.is_text:
            text = pc.binary_join_element_wise('"', text, '"', "")
        parts += [text.fill_null("null"), ","]
    parts[-1] = "],\n"
    return parts


def _json_escaped(text: pa.Array) -> pa.Array:
    """Strings as they stand between the quotes of JSON (RFC 8259, section 7)."""
    for piece in has_any(text.fill_null(""), ("\\", '"', *_CONTROLS)):
        text = pc.replace_substring(text, piece, json.dumps(piece)[1:-1])
    return text
