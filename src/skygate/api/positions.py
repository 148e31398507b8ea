"""Positions that come in a request's body as an Arrow IPC stream."""

from __future__ import annotations

import struct

import pyarrow as pa

from skygate.errors import BadParameter, TooLarge, Where

_WHERE = Where(name="positions")
_MOST_COLUMNS = 1000


def positions_of(body: bytes, *, most: int) -> pa.Table:
    """The table in `body`; raises `BadParameter`, `TooLarge`.

    The bytes are untrusted: every buffer is checked before anything reads it, and compressed ones, which
    could unfold into more than the machine has, are refused.
    """
    batches: list[pa.RecordBatch] = []
    count = 0
    try:
        for message in pa.ipc.MessageReader.open_stream(pa.py_buffer(body)):
            if _compressed(message.metadata.to_pybytes()):
                raise BadParameter(
                    "the positions are compressed", hint="send the Arrow stream uncompressed", where=_WHERE
                )
        with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
            schema = reader.schema
            _ = schema.names  # decodes them: some are no UTF-8
            if len(schema) > _MOST_COLUMNS:
                raise TooLarge(f"more than {_MOST_COLUMNS} columns of positions")
            for batch in reader:
                batch.validate(full=True)
                count += batch.num_rows
                if count > most:
                    raise TooLarge(f"more than {most} positions", hint="send them in several requests")
                batches.append(batch)
        return pa.Table.from_batches(batches, schema)
    except (pa.ArrowException, OSError, ValueError, UnicodeDecodeError, struct.error) as fault:
        said = "".join(c if c.isprintable() else " " for c in str(fault))[:200]
        raise BadParameter(
            f"the positions cannot be read: {said}", hint="send an Arrow IPC stream", where=_WHERE
        ) from None


_RECORDS, _DICTIONARY = 3, 2
"""Kinds of message header (Arrow columnar format, Message.fbs)."""


def _compressed(metadata: bytes) -> bool:
    """Whether a message's flat buffer says that its buffers are compressed (RecordBatch.compression).

    Raises struct.error for bytes that are no such message.
    """
    (root,) = struct.unpack_from("<I", metadata, 0)
    kind = _field(metadata, root, 1)
    header = _field(metadata, root, 2)
    if not kind or not header or metadata[kind] not in (_RECORDS, _DICTIONARY):
        return False
    batch = _follow(metadata, header)
    if metadata[kind] == _DICTIONARY:
        data = _field(metadata, batch, 1)
        if not data:
            return False
        batch = _follow(metadata, data)
    return bool(_field(metadata, batch, 3))


def _field(data: bytes, table: int, number: int) -> int:
    """Where a table of a flat buffer has its field; 0 when it has none."""
    (back,) = struct.unpack_from("<i", data, table)
    vtable = table - back
    (size,) = struct.unpack_from("<H", data, vtable)
    at = 4 + 2 * number
    if at + 2 > size:
        return 0
    (offset,) = struct.unpack_from("<H", data, vtable + at)
    if offset and table + offset >= len(data):
        raise struct.error("a field lies beyond its message")
    return table + offset if offset else 0


def _follow(data: bytes, at: int) -> int:
    (offset,) = struct.unpack_from("<I", data, at)
    return int(at + offset)
