"""The rows of VOTable's BINARY and BINARY2 streams (VOTable 1.5, sections 5.3 and 5.4)."""

from __future__ import annotations

import base64
import binascii
import gzip
import struct
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from skygate.release.read.source import fault
from skygate.release.read.votable_fields import ITEMS, Field, bytes_to_array, scalars
from skygate.release.read.votable_header import Head

_CHUNK = 3 << 20
_BLANKS = bytes(range(33))


class ByteStream(Protocol):
    """What rows are read from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


class Base64File:
    """The decoded bytes of a STREAM element, read chunk by chunk from the XML file itself."""

    def __init__(self, path: Path, offset: int) -> None:
        self._file = path.open("rb")
        self._file.seek(offset)
        self._raw = b""
        self._decoded = b""
        self._ended = False
        while b">" not in self._raw and (more := self._file.read(4096)):
            self._raw += more
        tag, _, self._raw = self._raw.partition(b">")
        self._ended = tag.endswith(b"/")
        self._raw = self._raw.lstrip(_BLANKS).removeprefix(b"<![CDATA[")
        self._feed(b"")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def read(self, size: int = -1) -> bytes:
        """At most `size` decoded bytes (all when negative); raises `binascii.Error` for bad base64."""
        while not self._ended and (size < 0 or len(self._decoded) < size):
            more = self._file.read(_CHUNK)
            if not more:
                self._ended = True
                break
            self._feed(more)
        cut = len(self._decoded) if size < 0 else size
        out, self._decoded = self._decoded[:cut], self._decoded[cut:]
        return out

    def _feed(self, more: bytes) -> None:
        if self._ended:
            return
        data = self._raw + more
        end = min((i for i in (data.find(b"<"), data.find(b"]]>")) if i >= 0), default=-1)
        if end >= 0:
            data, self._ended = data[:end], True
        data = data.translate(None, _BLANKS)
        cut = len(data) if self._ended else len(data) - len(data) % 4
        self._decoded += base64.b64decode(data[:cut], validate=True)
        self._raw = data[cut:]


def binary_rows(
    path: Path, plain: Path, head: Head, fields: Sequence[Field], wanted: Sequence[Field], max_rows: int
) -> Iterator[pa.RecordBatch]:
    """The rows of a BINARY or BINARY2 stream; raises `BadRelease` where it ends inside a row."""
    flags = (len(fields) + 7) // 8 if head.serialisation == "BINARY2" else 0
    schema = pa.schema([pa.field(f.name, f.type) for f in wanted])
    count = 0
    try:
        with closing(Base64File(plain, head.offset)) as source:
            stream: ByteStream = source
            if head.stream.get("encoding", "base64") == "gzip":
                stream = gzip.GzipFile(fileobj=source)  # type: ignore[call-overload]
            rows = _fixed if all(_width(f) is not None for f in fields) else _varying
            for arrays in rows(stream, fields, flags, max_rows):
                picked = [a for a, f in zip(arrays, fields, strict=True) if f in wanted]
                batch = pa.record_batch(picked, schema=schema)
                count += batch.num_rows
                yield batch
    except (binascii.Error, ValueError, struct.error, OSError, EOFError) as error:
        raise fault(path, f"its {head.serialisation} stream is damaged after row {count}: {error}") from error


def _width(field: Field) -> int | None:
    """Bytes of a cell, None when they vary."""
    if field.length is None:
        return None
    if field.datatype == "bit":
        return (field.length + 7) // 8
    return field.length * np.dtype(ITEMS[field.datatype][0]).itemsize


def _exactly(stream: ByteStream, size: int) -> bytes:
    parts: list[bytes] = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _fixed(
    stream: ByteStream, fields: Sequence[Field], flags: int, max_rows: int
) -> Iterator[list[pa.Array]]:
    """Rows of one size: cut out of the block column by column."""
    widths = [_width(f) or 0 for f in fields]
    row = flags + sum(widths)
    while data := _exactly(stream, row * max_rows):
        if len(data) % row:
            raise ValueError(f"{len(data) % row} bytes of an unfinished row")
        block = np.frombuffer(data, np.uint8).reshape(-1, row)
        nulls = np.unpackbits(block[:, :flags], axis=1).astype(bool) if flags else None
        offset, arrays = flags, list[pa.Array]()
        for number, (field, width) in enumerate(zip(fields, widths, strict=True)):
            cells = np.ascontiguousarray(block[:, offset : offset + width])
            mask = nulls[:, number] if nulls is not None else np.zeros(len(block), bool)
            offset += width
            if field.arraysize is None and not field.is_text:
                arrays.append(scalars(field, cells.reshape(-1).view(ITEMS[field.datatype][0]), mask))
            else:
                pieces = [None if m else bytes(c) for c, m in zip(cells, mask, strict=True)]
                arrays.append(bytes_to_array(field, pieces))
        yield arrays


def _varying(
    stream: ByteStream, fields: Sequence[Field], flags: int, max_rows: int
) -> Iterator[list[pa.Array]]:
    """Rows with variable arrays: cell by cell, each length a 32-bit number before its elements."""
    widths = [_width(f) for f in fields]
    source = _Buffered(stream)
    while not source.at_end():
        cells: list[list[Any]] = [[] for _ in fields]
        for _ in range(max_rows):
            if source.at_end():
                break
            # BINARY has no flags: none of its cells is null.
            mask = int.from_bytes(source.take(flags), "big")
            for number, (field, width) in enumerate(zip(fields, widths, strict=True)):
                piece = source.take(width) if width is not None else _counted(source, field)
                is_null = bool(flags) and bool(mask >> (8 * flags - 1 - number) & 1)
                cells[number].append(None if is_null else piece)
        yield [bytes_to_array(f, c) for f, c in zip(fields, cells, strict=True)]


def _counted(source: _Buffered, field: Field) -> bytes:
    """A cell that says its length: the bytes of its elements (of bits: one byte each)."""
    (elements,) = struct.unpack(">i", source.take(4))
    if elements < 0:
        raise ValueError(f"column {field.name}: negative length")
    if field.datatype == "bit":
        packed = np.frombuffer(source.take((elements + 7) // 8), np.uint8)
        return np.unpackbits(packed)[:elements].tobytes()
    return source.take(elements * np.dtype(ITEMS[field.datatype][0]).itemsize)


class _Buffered:
    """Exact reads from a stream of bytes."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._data = b""
        self._place = 0

    def at_end(self) -> bool:
        """Whether no byte is left."""
        if self._place < len(self._data):
            return False
        self._data, self._place = self._stream.read(_CHUNK), 0
        return not self._data

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes; raises ValueError at the end."""
        if len(self._data) - self._place < size:
            rest = self._data[self._place :]
            self._data = rest + _exactly(self._stream, max(size - len(rest), _CHUNK))
            self._place = 0
            if len(self._data) < size:
                raise ValueError("it ends inside a row")
        start = self._place
        self._place += size
        return self._data[start : self._place]
