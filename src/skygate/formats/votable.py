"""VOTable 1.4, streamed: head, rows in one of three serialisations, and an end that says how it went.

Must not know: HTTP. Namespace and structure: VOTable 1.4, sections 3, 4 and 6.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skygate.domain.catalog import Column, Datatype
from skygate.domain.query import About, Outcome
from skygate.errors import SkygateError
from skygate.formats import markup
from skygate.formats.base64 import encode
from skygate.formats.records import (
    binary,
    binary2,
    declared_in_binary,
    null_in_arrays,
    null_in_binary,
)
from skygate.formats.tabledata import table_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from skygate.formats.media import Format
    from skygate.ports import Rows

_ROOT = {
    "version": "1.4",
    "xmlns": "http://www.ivoa.net/xml/VOTable/v1.3",
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xsi:schemaLocation": "http://www.ivoa.net/xml/VOTable/v1.3 http://www.ivoa.net/xml/VOTable/VOTable-1.4.xsd",
}
_MAIN_POSITION = ("pos.eq.ra;meta.main", "pos.eq.dec;meta.main")
_SKY_XTYPES = ("point", "circle", "polygon", "region", "moc")
_INTERNAL = "the service failed while it was writing this answer; the rows above are not complete"


@dataclass(frozen=True, slots=True)
class Serialization:
    """One way to hold rows: what stands around them, how a batch is encoded, which integer means null."""

    opening: str
    closing: str
    encode: Callable[[Sequence[Column], Iterable[pa.RecordBatch]], Iterator[bytes | memoryview]]
    nulls: Callable[[Column], int | None]
    """The VALUES null that a column needs, if any."""
    datatype: Callable[[Column], Datatype]
    """The datatype that is declared."""


def write(rows: Rows, about: About, *, form: Format) -> Generator[bytes]:
    """The answer as one document. A fault after the first byte becomes QUERY_STATUS=ERROR at its end.

    Faults of unknown kind also end the document, in general terms, and are then raised.
    """
    how = SERIALIZATIONS[form.options[0]]
    batches = iter(rows)
    first = next(batches, None)
    yield _head(rows.columns, about, how).encode()
    unknown: Exception | None = None
    try:
        for chunk in how.encode(rows.columns, _after(first, batches)):
            yield bytes(chunk)
        status = _ending(rows.outcome)
    except SkygateError as fault:
        status = _info("QUERY_STATUS", "ERROR", str(fault))
    except Exception as fault:  # noqa: BLE001 - raised again below, once the document is well-formed
        unknown, status = fault, _info("QUERY_STATUS", "ERROR", _INTERNAL)
    yield f"{how.closing}\n</TABLE>\n{status}</RESOURCE>\n</VOTABLE>\n".encode()
    if unknown is not None:
        raise unknown


def error_document(message: str, infos: Sequence[tuple[str, str]] = ()) -> bytes:
    """A VOTable that only says that the request failed (DALI 1.1, section 4.2.3)."""
    body = _info("QUERY_STATUS", "ERROR", message) + "".join(_info(name, value) for name, value in infos)
    resource = markup.start("RESOURCE", {"type": "results"})
    return f"{_prolog()}{resource}\n{body}</RESOURCE>\n</VOTABLE>\n".encode()


def description_document(columns: Sequence[Column], about: About, outcome: Outcome) -> str:
    """The same columns and remarks without any rows: the metadata that VOParquet 1.0 keeps in its file."""
    how = SERIALIZATIONS["TABLEDATA"]
    head = _head(columns, about, how)
    return f"{head.removesuffix(how.opening)}</TABLE>\n{_ending(outcome)}</RESOURCE>\n</VOTABLE>\n"


def _after(first: pa.RecordBatch | None, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    if first is not None:
        yield first
        yield from rest


def _prolog() -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{markup.start("VOTABLE", _ROOT)}\n'


def _head(columns: Sequence[Column], about: About, how: Serialization) -> str:
    """Everything up to the first row."""
    out = io.StringIO()
    out.write(_prolog())
    out.write(markup.start("RESOURCE", {"type": "results"}) + "\n")
    out.write(_info("QUERY_STATUS", "OK"))
    if about.query:
        out.write(_info("QUERY", about.query))
    for name, value in about.infos:
        out.write(_info(name, value))
    taken: set[str] = set()
    frame = None
    if any(_on_sky(c) for c in columns):
        frame = markup.safe_id("icrs_frame", taken)
        out.write(markup.empty("COOSYS", {"ID": frame, "system": "ICRS"}) + "\n")
    out.write("<TABLE>\n")
    if about.title:
        out.write(markup.element("DESCRIPTION", about.title) + "\n")
    for column in columns:
        out.write(_field(column, how, ident=markup.safe_id(column.name, taken), frame=frame))
    out.write(how.opening)
    return out.getvalue()


def _on_sky(column: Column) -> bool:
    """Whether the values are ICRS: the house converts main positions and geometry, and nothing else."""
    main = (column.ucd or "").lower() in _MAIN_POSITION and column.unit == "deg"
    return main or (column.xtype or "") in _SKY_XTYPES


def _field(column: Column, how: Serialization, *, ident: str, frame: str | None) -> str:
    arraysize = declared_arraysize(column)
    attributes = {
        "ID": ident,
        "name": column.name,
        "datatype": how.datatype(column).value,
        "arraysize": arraysize,
        "xtype": column.xtype or None,
        "unit": column.unit or None,
        "ucd": column.ucd or None,
        "utype": column.utype or None,
        "ref": frame if _on_sky(column) else None,
    }
    null = how.nulls(column)
    if null is None and not column.description:
        return markup.empty("FIELD", attributes) + "\n"
    inside = markup.element("DESCRIPTION", column.description) if column.description else ""
    if null is not None:
        inside += markup.empty("VALUES", {"null": str(null)})
    return f"{markup.start('FIELD', attributes)}{inside}{markup.end('FIELD')}\n"


def declared_arraysize(column: Column) -> str | None:
    """The arraysize that a FIELD says: text always has one (without it VOTable means one character)."""
    if column.datatype.is_text and (column.arraysize is None or "x" in column.arraysize):
        return "*"
    return column.arraysize


def _info(name: str, value: str, content: str | None = None) -> str:
    attributes = {"name": name, "value": value}
    if content is None:
        return markup.empty("INFO", attributes) + "\n"
    return markup.element("INFO", content, attributes) + "\n"


def _ending(outcome: Outcome | None) -> str:
    if outcome is None or not outcome.overflow:
        return ""
    told = f"more rows exist than the {outcome.rows} that were asked for or are allowed"
    return _info("QUERY_STATUS", "OVERFLOW", told)


def _declared(column: Column) -> Datatype:
    return column.datatype


def _as_binary(columns: Sequence[Column], batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    return encode(piece for batch in batches for piece in binary(columns, batch))


def _as_binary2(columns: Sequence[Column], batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    return encode(piece for batch in batches for piece in binary2(columns, batch))


SERIALIZATIONS: dict[str, Serialization] = {
    "TABLEDATA": Serialization(
        "<DATA><TABLEDATA>\n", "</TABLEDATA></DATA>", table_rows, null_in_arrays, _declared
    ),
    "BINARY": Serialization(
        '<DATA><BINARY><STREAM encoding="base64">\n',
        "</STREAM></BINARY></DATA>",
        _as_binary,
        null_in_binary,
        declared_in_binary,
    ),
    "BINARY2": Serialization(
        '<DATA><BINARY2><STREAM encoding="base64">\n',
        "</STREAM></BINARY2></DATA>",
        _as_binary2,
        null_in_arrays,
        _declared,
    ),
}
