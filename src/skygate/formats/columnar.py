"""Answers for data frames: Arrow IPC stream and Parquet.

An Arrow stream ends with an empty batch whose custom metadata say how the answer ended (`END`); a stream
without it was cut off. Parquet has the same words in its file metadata, and the columns as a VOTable without
rows (VOParquet 1.0). Must not know: HTTP.
"""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from skygate import wire
from skygate.domain.query import Outcome
from skygate.formats.text import infos_of
from skygate.formats.votable import description_document

if TYPE_CHECKING:
    from skygate.domain.query import About
    from skygate.formats.media import Format
    from skygate.ports import Rows

_CHUNK = 1 << 18
_ROW_GROUP = 122_880


def write_arrow(rows: Rows, about: About, *, form: Format) -> Generator[bytes]:
    """An IPC stream; the schema's metadata carry the query and remarks, each field's its unit and UCD."""
    del form
    schema = wire.arrow_schema(rows.columns).with_metadata(metadata_of(about))
    batches = iter(rows)
    first = next(batches, None)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as writer:
        while first is not None:
            writer.write_batch(first)
            if sink.tell() >= _CHUNK:
                yield _drain(sink)
            first = next(batches, None)
        nothing = pa.RecordBatch.from_arrays([pa.nulls(0, f.type) for f in schema], schema=schema)
        writer.write_batch(nothing, custom_metadata=ending_metadata(rows.outcome))
    yield _drain(sink)


def _drain(sink: io.BytesIO) -> bytes:
    data = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return data


def ending_metadata(outcome: Outcome | None) -> dict[str, str]:
    """How the answer ended, in the words that `skygate.wire` gives to writers and the client."""
    outcome = outcome or Outcome(0, overflow=False)
    return {wire.ROWS_KEY: str(outcome.rows), wire.OVERFLOW_KEY: "true" if outcome.overflow else "false"}


def metadata_of(about: About) -> dict[str, str]:
    """What accompanies an answer, as the metadata of its schema."""
    told = {"query": about.query, "title": about.title}
    found = {f"skygate.{k}": v for k, v in told.items() if v}
    if about.infos:
        found["skygate.infos"] = json.dumps(infos_of(about), ensure_ascii=False)
    return found


def write_parquet(rows: Rows, about: About, *, form: Format) -> Generator[bytes]:
    """A Parquet file, written to disk first: its end holds what is known last."""
    del form
    with tempfile.TemporaryFile(prefix="skygate-parquet-") as handle:
        file = cast("BinaryIO", handle)
        _write_parquet(rows, about, file)
        yield from chunks_of(file)


def _write_parquet(rows: Rows, about: About, file: BinaryIO) -> None:
    schema = wire.arrow_schema(rows.columns).with_metadata(metadata_of(about))
    options: dict[str, Any] = {"compression": "zstd", "use_dictionary": _texts(schema)}
    with pq.ParquetWriter(file, schema, **options) as writer:
        waiting: list[pa.RecordBatch] = []
        count = 0
        for batch in rows:
            waiting.append(batch)
            count += batch.num_rows
            if count >= _ROW_GROUP:
                writer.write_table(pa.Table.from_batches(waiting, schema), row_group_size=_ROW_GROUP)
                waiting, count = [], 0
        writer.write_table(pa.Table.from_batches(waiting, schema), row_group_size=_ROW_GROUP)
        outcome = rows.outcome or Outcome(0, overflow=False)
        writer.add_key_value_metadata(
            {
                **ending_metadata(outcome),
                "IVOA.VOTable-Parquet.version": "1.0",
                "IVOA.VOTable-Parquet.content": description_document(rows.columns, about, outcome),
            }
        )


def _texts(schema: pa.Schema) -> list[str]:
    return [f.name for f in schema if pa.types.is_string(f.type)]


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """A spooled file from its start."""
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield chunk
