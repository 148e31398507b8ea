"""HDF5: a compound table `table`, its columns described as astropy does it, and `metadata` as JSON.

astropy reads units, descriptions and nulls; h5py, PyTables and pandas see plain columns, in which a null is
NaN, 0 or an empty text and `NAME.mask` says where nulls are. Arrays of varying length are padded to the
longest. Must not know: HTTP.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
import pyarrow as pa

from skygate.domain.catalog import Column
from skygate.errors import BadParameter, Where
from skygate.formats.columnar import chunks_of
from skygate.formats.records import bytes_of, fixed_elements, padded, text_of
from skygate.formats.spelling import flat_list
from skygate.formats.spool import Measure, Spool
from skygate.formats.text import column_json, infos_of
from skygate.wire import arrow_type, fixed_length

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from skygate.domain.query import About
    from skygate.formats.media import Format
    from skygate.ports import Rows

Values = np.ndarray[Any, Any]

_DATASET = "table"
_TIMESTAMP_BYTES = 26
_CHUNK_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class _Place:
    """One column of the compound type: its numpy type, its shape in a row, whether nulls are marked."""

    column: Column
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    masked: bool


def write(rows: Rows, about: About, *, form: Format) -> Generator[bytes]:
    """An HDF5 file. Raises before the first byte what breaks the answer off."""
    del form
    with tempfile.TemporaryFile(prefix="skygate-hdf5-", buffering=0) as handle:
        file = cast("BinaryIO", handle)
        with Spool(rows) as spool:
            disk = _Disk(file.fileno())
            try:
                _write(spool, about, disk)
            finally:
                disk.check()
        yield from chunks_of(file)


class _Disk(io.RawIOBase):
    """A file in which nothing fails: HDF5 does not survive that, and takes the process with it.

    `check` raises the OSError that was met first.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._at = 0
        self._fault: OSError | None = None

    def check(self) -> None:
        """Raise what went wrong; what HDF5 made of that is of no interest then."""
        if self._fault is not None:
            raise self._fault from None

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go there: in a file that is written in any order, a position is all."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: os.fstat(self._file).st_size}[whence]
        self._at = base + offset
        return self._at

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of it, or remember why not."""
        view = memoryview(data).cast("B")
        size = len(view)
        try:
            while view and self._fault is None:
                put = os.pwrite(self._file, view, self._at + size - len(view))
                view = view[put:]
        except OSError as fault:
            self._fault = fault
        self._at += size
        return size

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read all of it; what was never written is zeros."""
        view = memoryview(buffer).cast("B")
        size = len(view)
        while view and (got := os.preadv(self._file, [view], self._at + size - len(view))):
            view = view[got:]
        view[:] = bytes(len(view))
        self._at += size
        return size

    def truncate(self, size: int | None = None, /) -> int:
        """End the file there."""
        end = self._at if size is None else size
        try:
            os.ftruncate(self._file, end)
        except OSError as fault:
            self._fault = self._fault or fault
        return end


def _write(spool: Spool, about: About, file: _Disk) -> None:
    import h5py

    places = [_place(c, m) for c, m in zip(spool.columns, spool.measures, strict=True)]
    names = [p.column.name for p in places]
    dtype = np.dtype(
        [(p.column.name, p.dtype, p.shape) for p in places]
        + [(f"{p.column.name}.mask", np.bool_, p.shape) for p in places if p.masked]
    )
    with h5py.File(file, "w") as h5:
        rows = spool.outcome.rows
        try:
            chunks = (_CHUNK_ROWS,) if rows > _CHUNK_ROWS else None
            data = h5.create_dataset(_DATASET, (rows,), dtype, chunks=chunks)
        except ValueError as fault:  # its description of the columns is at most 64 KiB long
            raise BadParameter(
                f"{len(names)} columns with these names are more than a table in HDF5 can have",
                hint="ask for fewer columns or shorter names, or for another format",
                where=Where(name="RESPONSEFORMAT"),
            ) from fault
        at = 0
        for batch in spool.last():
            data[at : at + batch.num_rows] = _records(places, batch, dtype)
            at += batch.num_rows
        data.attrs["overflow"] = "true" if spool.outcome.overflow else "false"
        for name, column in zip(names, spool.columns, strict=True):
            if column.unit:
                data.attrs[f"{name}.unit"] = column.unit
        h5.create_dataset("metadata", data=json.dumps(_metadata(spool, about), ensure_ascii=False))
        h5.create_dataset(f"{_DATASET}.__table_column_meta__", data=_astropy_metadata(places, about, spool))


def _metadata(spool: Spool, about: About) -> dict[str, Any]:
    """The same words as the head of our JSON (attributes of HDF5 end at 64 KiB, so they are no attribute)."""
    return {
        "query": about.query,
        "title": about.title,
        "infos": infos_of(about),
        "columns": [column_json(c) for c in spool.columns],
        "rows": spool.outcome.rows,
        "overflow": spool.outcome.overflow,
    }


def _place(column: Column, measure: Measure) -> _Place:
    kind = arrow_type(column)
    if column.datatype.is_text:
        width = _TIMESTAMP_BYTES if pa.types.is_timestamp(kind) else max(1, measure.longest)
        return _Place(column, np.dtype(f"S{width}"), (), measure.nulls > 0)
    item = np.dtype((kind.value_type if column.is_array else kind).to_pandas_dtype())
    if not column.is_array:
        return _Place(column, item, (), measure.nulls > 0)
    length = fixed_length(column.arraysize)
    if length is None:  # rows shorter than the longest are padded with nulls
        return _Place(column, item, (max(1, measure.longest),), masked=True)
    return _Place(column, item, (length,), measure.nulls > 0)


def _records(places: Sequence[_Place], batch: pa.RecordBatch, dtype: np.dtype[Any]) -> Values:
    record = np.zeros(batch.num_rows, dtype)
    for place, values in zip(places, batch.columns, strict=True):
        found, mask = _filled(place, values)
        record[place.column.name] = found
        if place.masked:
            record[f"{place.column.name}.mask"] = mask
    return record


def _filled(place: _Place, values: pa.Array) -> tuple[Values, Values]:
    """(values, where they are null), both of the column's shape."""
    size = place.shape[0] if place.shape else 1
    if place.column.datatype.is_text:
        width = place.dtype.itemsize
        text = padded(*bytes_of(text_of(values)), size=width, name=place.column.name)
        return text.view(place.dtype).reshape(-1), _nulls(values)
    if pa.types.is_list(values.type):
        offsets, elements = flat_list(values)
        there = np.arange(size) < np.diff(offsets)[:, None]
        out = np.full(there.shape, np.nan if place.dtype.kind == "f" else 0, place.dtype)
        mask = ~there
        out[there] = _plain(place, elements)
        mask[there] = _nulls(elements)
        return out, mask
    flat = fixed_elements(values) if place.shape else values
    shape = (-1, *place.shape)
    return _plain(place, flat).reshape(shape), _nulls(flat).reshape(shape)


def _plain(place: _Place, values: pa.Array) -> Values:
    if values.null_count and place.dtype.kind != "f":
        values = values.fill_null(False if place.dtype.kind == "b" else 0)
    return values.to_numpy(zero_copy_only=False)


def _nulls(values: pa.Array) -> Values:
    return values.is_null().to_numpy(zero_copy_only=False)


def _astropy_metadata(places: Sequence[_Place], about: About, spool: Spool) -> Values:
    """The lines that `Table.write(..., serialize_meta=True)` would add, from a table of one row."""
    from astropy.table import Column as PlainColumn
    from astropy.table import MaskedColumn, Table
    from astropy.table import meta as table_meta
    from astropy.table.serialize import represent_mixins_as_columns
    from astropy.utils.data_info import serialize_context_as

    table: Any = Table()
    for place in places:
        empty = np.zeros((1, *place.shape), place.dtype)
        column = place.column
        extra = {k: v for k in ("ucd", "utype", "xtype") if (v := getattr(column, k))}
        kept: dict[str, Any] = {"name": column.name, "unit": column.unit or None, "meta": extra}
        kept["description"] = column.description or None
        if place.masked:
            table[column.name] = MaskedColumn(empty, mask=np.ones(empty.shape, np.bool_), **kept)
        else:
            table[column.name] = PlainColumn(empty, **kept)
    table.meta.update({k: v for k, v in {"query": about.query, "title": about.title}.items() if v})
    table.meta.update(infos_of(about))
    table.meta["overflow"] = spool.outcome.overflow
    with serialize_context_as("hdf5"):
        lines = table_meta.get_yaml_from_table(represent_mixins_as_columns(table))
    return np.array([line.encode() for line in lines])
