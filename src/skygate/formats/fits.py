r"""FITS binary tables: the answer waits until its size is known, then leaves as a stream.

FITS 4.0, section 7.3. Texts are ASCII there: other characters go out as `\u00e9`. Arrays of varying length,
and texts of which a few are very long, lie in the heap. Must not know: HTTP.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyarrow import compute

from skygate.domain.catalog import Column, Datatype
from skygate.errors import BadParameter, HouseError, Where
from skygate.formats.records import bytes_of, fixed_elements, padded, text_of
from skygate.formats.spelling import flat_list, is_printable
from skygate.formats.spool import Measure, Spool
from skygate.wire import fixed_length

if TYPE_CHECKING:
    from skygate.domain.query import About
    from skygate.formats.media import Format
    from skygate.ports import Rows

pc: Any = compute
Values = np.ndarray[Any, Any]

_BLOCK = 2880
_MOST_COLUMNS = 999
_LONG_TEXT = 256
"""Texts wider than this lie in the heap when that takes less room."""
_LETTER = {
    Datatype.BOOLEAN: ("L", "u1"),
    Datatype.UNSIGNED_BYTE: ("B", "u1"),
    Datatype.SHORT: ("I", ">i2"),
    Datatype.INT: ("J", ">i4"),
    Datatype.LONG: ("K", ">i8"),
    Datatype.FLOAT: ("E", ">f4"),
    Datatype.DOUBLE: ("D", ">f8"),
}
_WIDER = {Datatype.UNSIGNED_BYTE: Datatype.SHORT, Datatype.SHORT: Datatype.INT, Datatype.INT: Datatype.LONG}
_RANGE = {
    Datatype.UNSIGNED_BYTE: (0, 255),
    Datatype.SHORT: (-(2**15), 2**15 - 1),
    Datatype.INT: (-(2**31), 2**31 - 1),
    Datatype.LONG: (-(2**63), 2**63 - 1),
}
_TIMESTAMP_BYTES = 26
_LOGICAL = np.array([ord("F"), ord("T")], np.uint8)
_CHUNK_BYTES = 256 << 10
"""Rows are laid out in pieces of this size, which stay in the cache of a core meanwhile."""
_PIECE_BYTES = 8 << 20
"""Of rows whose columns are made ready at once."""


@dataclass(frozen=True, slots=True)
class _Place:
    """How one column is laid out. `width` counts elements (bytes of text); `heap` means that varies."""

    column: Column
    letter: str
    item: str
    width: int
    heap: bool = False
    null: int | None = None

    @property
    def form(self) -> str:
        """TFORM."""
        return f"1Q{self.letter}({self.width})" if self.heap else f"{self.width}{self.letter}"

    @property
    def dtype(self) -> tuple[str, tuple[int, ...]]:
        """The numpy type and shape in a row."""
        if self.heap:
            return ">i8", (2,)
        if self.letter == "A":
            return f"V{self.width}", ()
        return self.item, (self.width,) if self.column.is_array else ()


def write(rows: Rows, about: About, *, form: Format) -> Generator[bytes]:
    """A primary header and one binary table. Raises before the first byte what breaks the answer off."""
    del form
    if len(rows.columns) > _MOST_COLUMNS:
        raise BadParameter(
            f"a FITS table has at most {_MOST_COLUMNS} columns (FITS 4.0, 7.3.1), not {len(rows.columns)}",
            hint="ask for fewer columns, or for another format",
            where=Where(name="RESPONSEFORMAT"),
        )
    with Spool(rows) as spool:
        places = [
            _place(c, m, spool, i) for i, (c, m) in enumerate(zip(spool.columns, spool.measures, strict=True))
        ]
        dtype = np.dtype([(f"f{i}", *p.dtype) for i, p in enumerate(places)])
        heap_bytes = _heap_bytes(places, spool)
        yield _header(
            places, spool.outcome.rows, dtype.itemsize, heap_bytes, about, overflow=spool.outcome.overflow
        )
        heaped = any(p.heap for p in places)
        yield from _table(places, _pieces(spool if heaped else spool.last(), dtype), dtype)
        if heaped:
            for piece in _pieces(spool.last(), dtype):
                yield from _heap(places, piece)
        yield bytes(-(dtype.itemsize * spool.outcome.rows + heap_bytes) % _BLOCK)


def _place(column: Column, measure: Measure, spool: Spool, index: int) -> _Place:
    if column.datatype.is_text:
        width = _text_width(measure, spool, index)
        rows = max(1, spool.outcome.rows)
        wasteful = width > _LONG_TEXT and width * rows > 4 * (measure.total + 16 * rows)
        return _Place(column, "A", "u1", width, heap=wasteful)
    datatype, null = column.datatype, None
    if measure.nulls and datatype.is_integer:
        datatype, null = _null_value(datatype, measure, spool, index)
    letter, item = _LETTER[datatype]
    if not column.is_array:
        return _Place(column, letter, item, 1, null=null)
    length = fixed_length(column.arraysize)
    if length is not None:
        return _Place(column, letter, item, length, null=null)
    return _Place(column, letter, item, measure.longest, heap=True, null=null)


def _text_width(measure: Measure, spool: Spool, index: int) -> int:
    if pa.types.is_timestamp(spool.schema.field(index).type):
        return _TIMESTAMP_BYTES
    if measure.printable:
        return max(1, measure.longest)
    return max(1, *(int(np.diff(bytes_of(_ascii(b.column(index)))[0]).max(initial=0)) for b in spool))


def _null_value(datatype: Datatype, measure: Measure, spool: Spool, index: int) -> tuple[Datatype, int]:
    """A TNULL that is no value of the column, and the type that holds both."""
    least, greatest = _RANGE[datatype]
    if measure.least is None or measure.least > least:
        return datatype, least
    if measure.greatest is None or measure.greatest < greatest:
        return datatype, greatest
    if datatype in _WIDER:
        wider = _WIDER[datatype]
        return wider, _RANGE[wider][0]
    return datatype, _unused(spool, index)


def _unused(spool: Spool, index: int) -> int:
    """A 64-bit integer that does not occur, when both extremes do."""
    window = 4096
    for start in range(_RANGE[Datatype.LONG][0] + 1, _RANGE[Datatype.LONG][0] + 2**40, window):
        free = set(range(start, start + window))
        for batch in spool:
            values = batch.column(index)
            flat = values if pa.types.is_integer(values.type) else pc.list_flatten(values)
            near = pc.less(flat, start + window)
            free.difference_update(flat.filter(pc.fill_null(near, False)).to_pylist())
        if free:
            return min(free)
    raise HouseError("no integer is free to stand for missing values")


def _ascii(values: pa.Array) -> pa.Array:
    """Texts as FITS takes them: printable ASCII; anything else as a backslash escape."""
    text = text_of(values)
    if is_printable(text):
        return text
    return pa.array([_escape(t) for t in text.to_pylist()], pa.string())


def _escape(text: str) -> str:
    return "".join(c if " " <= c <= "~" else c.encode("unicode_escape").decode("ascii") for c in text)


def _numbers(place: _Place, values: pa.Array) -> Values:
    """Flat elements in the column's type: NaN, TNULL or the zero byte where there is none."""
    if place.letter == "L":
        known = _LOGICAL[values.fill_null(False).to_numpy(zero_copy_only=False).view(np.uint8)]
        if values.null_count:
            known[values.is_null().to_numpy(zero_copy_only=False)] = 0
        return known
    if place.null is not None and values.null_count:
        wide = pa.int64() if pa.types.is_integer(values.type) else values.type
        values = values.cast(wide).fill_null(place.null)
    return values.to_numpy(zero_copy_only=False)


def _content(place: _Place, values: pa.Array) -> tuple[Values, Values]:
    """(offsets from 0, elements) of a column of varying length."""
    if place.letter == "A":
        return bytes_of(_ascii(values))
    offsets, elements = flat_list(values)
    return offsets, _numbers(place, elements).astype(place.item)


def _pieces(batches: Iterable[pa.RecordBatch], dtype: np.dtype[Any]) -> Iterator[pa.RecordBatch]:
    """The batches, in pieces that are small when laid out: every text is as wide as the longest there."""
    rows = max(1, _PIECE_BYTES // dtype.itemsize)
    for batch in batches:
        for at in range(0, batch.num_rows, rows):
            yield batch.slice(at, rows)


def _table(
    places: Sequence[_Place], pieces: Iterable[pa.RecordBatch], dtype: np.dtype[Any]
) -> Iterator[bytes]:
    """The rows of the table. The order of the heap is: piece, then column."""
    rows = max(1, _CHUNK_BYTES // dtype.itemsize)
    record = np.empty(rows, dtype)
    fields = [record[name] for name in dtype.names or ()]
    heap_at = 0
    for piece in pieces:
        found: list[Values] = []
        for place, values in zip(places, piece.columns, strict=True):
            if place.heap:
                offsets, elements = _content(place, values)
                found.append(np.stack((np.diff(offsets), heap_at + offsets[:-1] * elements.itemsize), axis=1))
                heap_at += elements.nbytes
            else:
                found.append(_laid_out(place, values))
        for at in range(0, piece.num_rows, rows):
            count = min(rows, piece.num_rows - at)
            for field, values in zip(fields, found, strict=True):
                field[:count] = values[at : at + count]
            yield record[:count].tobytes()


def _laid_out(place: _Place, values: pa.Array) -> Values:
    """A value or array of fixed size for each row."""
    if place.letter == "A":
        text = padded(*bytes_of(_ascii(values)), size=place.width, name=place.column.name)
        return text.view(f"V{place.width}").reshape(-1)
    if place.column.is_array:
        return _numbers(place, fixed_elements(values)).reshape(-1, place.width)
    return _numbers(place, values)


def _heap(places: Sequence[_Place], batch: pa.RecordBatch) -> Iterator[bytes]:
    for place, values in zip(places, batch.columns, strict=True):
        if place.heap:
            yield _content(place, values)[1].tobytes()


def _heap_bytes(places: Sequence[_Place], spool: Spool) -> int:
    total = 0
    for index, (place, measure) in enumerate(zip(places, spool.measures, strict=True)):
        if not place.heap:
            continue
        if place.letter == "A":
            total += sum(_content(place, batch.column(index))[1].nbytes for batch in spool)
        else:
            total += measure.total * np.dtype(place.item).itemsize
    return total


def _header(
    places: Sequence[_Place], rows: int, row_bytes: int, heap_bytes: int, about: About, *, overflow: bool
) -> bytes:
    from astropy.io.fits import Header

    primary = Header(
        [("SIMPLE", True, "conforms to FITS standard"), ("BITPIX", 8), ("NAXIS", 0), ("EXTEND", True)]
    )
    table = Header(
        [
            ("XTENSION", "BINTABLE", "binary table extension"),
            ("BITPIX", 8),
            ("NAXIS", 2),
            ("NAXIS1", row_bytes, "bytes in a row"),
            ("NAXIS2", rows, "rows"),
            ("PCOUNT", heap_bytes, "bytes of the heap"),
            ("GCOUNT", 1),
            ("TFIELDS", len(places)),
        ]
    )
    for number, place in enumerate(places, 1):
        for word, value in _column_cards(place):
            table.append((f"{word}{number}", value), end=True)
    table.append(("EXTNAME", "RESULT"), end=True)
    table.append(("OVERFLOW", overflow, "whether more rows existed than were allowed"), end=True)
    if overflow:
        table.add_history(f"OVERFLOW: only the first {rows} rows of a longer answer")
    remarks = [("title", about.title), *about.infos, ("query", about.query)]
    for name, value in remarks:
        for line in (value or "").splitlines():
            table.add_history(_escape(f"{name}: {line.expandtabs(4)}"))
    return primary.tostring(padding=True).encode("ascii") + table.tostring(padding=True).encode("ascii")


def _column_cards(place: _Place) -> Iterator[tuple[str, str | int]]:
    column = place.column
    yield "TTYPE", _escape(column.name)
    yield "TFORM", place.form
    if place.null is not None:
        yield "TNULL", place.null
    if column.is_array and column.arraysize is not None and "x" in column.arraysize and not place.heap:
        yield "TDIM", f"({column.arraysize.replace('x', ',')})"
    for word, value in (
        ("TUNIT", column.unit),
        ("TUCD", column.ucd),
        ("TUTYP", column.utype),
        ("TCOMM", column.description),
    ):
        if value:
            yield word, _escape(value)
