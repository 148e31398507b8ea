"""Answers as text for people, spreadsheets and scripts: CSV, TSV and JSON.

CSV and TSV: a line of names, lines end in LF, cells are quoted where RFC 4180 asks for it; null is an empty
cell, an empty text is `""` (and so is null in a table of one column). JSON: see `write_json`.
Must not know: HTTP.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import compute

from skygate.formats.spelling import Spelling, has_any, slices, spell
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
_BETWEEN = "],\n["
_PART_ROWS = 16_384
"""Rows spelled at once: their text stays in the cache of a core, and there is enough for every core."""
_CONTROLS = tuple(chr(c) for c in range(0x20))
_FIELDS = ("name", "datatype", "arraysize", "xtype", "unit", "ucd", "utype", "description")


def write_delimited(rows: Rows, about: About, *, form: Format) -> Generator[bytes]:
    """CSV or TSV. An answer that breaks off raises; too many rows leave no mark here."""
    del about
    delimiter = form.options[0]
    batches = iter(rows)
    first = next(batches, None)
    if form.header:
        names = [pa.array([c.name], pa.string()) for c in rows.columns]
        yield _lines(names, separator=delimiter)
    while first is not None:
        for part in _parts(first):
            yield _delimited(part, delimiter)
        first = next(batches, None)


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    for piece in slices(batch):
        for at in range(0, piece.num_rows, _PART_ROWS):
            yield piece.slice(at, _PART_ROWS)


def _delimited(piece: pa.RecordBatch, delimiter: str) -> bytes:
    columns = [v if _is_plain(v.type) else spell(v, _CELLS) for v in piece.columns]
    missing = "" if len(columns) > 1 else '""'  # readers skip lines that are empty
    return _lines(columns, separator=delimiter, null_value=missing)


def _is_plain(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or pa.types.is_timestamp(kind))


def _lines(columns: Sequence[pa.Array], **how: Any) -> bytes:
    """Lines of cells; reals in the shortest form that reads back, texts in quotes where that is needed."""
    import polars

    frame: Any = polars.from_arrow(pa.RecordBatch.from_arrays(columns, [str(i) for i in range(len(columns))]))
    sink = _Sink()
    frame.write_csv(sink, include_header=False, **how)
    return sink.taken()


class _Sink:
    """A file to which bytes are written that it keeps as they are; a `BytesIO` would copy them."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        """Keep it."""
        self._pieces.append(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def taken(self) -> bytes:
        """All that was written."""
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)


def write_json(rows: Rows, about: About, *, form: Format) -> Generator[bytes]:
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
        for part in _parts(first):
            yield _json_rows(rows.columns, part, before)
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


def _json_rows(columns: Sequence[Column], piece: pa.RecordBatch, before: str) -> bytes:
    """The rows as arrays, with a comma and a line break between them, after `before`."""
    cells: list[pa.Array] = []
    for column, values in zip(columns, piece.columns, strict=True):
        text = _finite(values) if _is_plain(values.type) else spell(values, _JSON)
        if pa.types.is_string(values.type):
            text = _json_escaped(text)
        if column.datatype.is_text:
            text = pc.binary_join_element_wise('"', text, '"', "")
        cells.append(text)
    lines = _lines(cells, null_value="null", quote_style="never", line_terminator=_BETWEEN)
    return b"".join((f"{before}[".encode(), memoryview(lines)[: -len(_BETWEEN)], b"]"))


def _finite(values: pa.Array) -> pa.Array:
    """Reals that JSON has numbers for; null for the others."""
    if not pa.types.is_floating(values.type):
        return values
    finite = pc.is_finite(values)
    return values if pc.all(finite, min_count=0).as_py() else pc.if_else(finite, values, None)


def _json_escaped(text: pa.Array) -> pa.Array:
    """Strings as they stand between the quotes of JSON (RFC 8259, section 7)."""
    for piece in has_any(text.fill_null(""), ("\\", '"', *_CONTROLS)):
        text = pc.replace_substring(text, piece, json.dumps(piece)[1:-1])
    return text
