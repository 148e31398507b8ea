"""Answers that a page leafs through: kept for a while as Arrow files, named by what they answer.

Must not know: HTTP, HTML. Any server process finds what another has kept; what is gone is asked again.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from skygate import wire
from skygate.domain.account import Principal
from skygate.domain.catalog import Column
from skygate.errors import NoRoom
from skygate.ports import Rows

KEPT_ROWS = 10_000
"""Rows of an answer that a page can leaf through, at most; the rest is for downloads."""
KEPT_BYTES = 64 << 20
"""Bytes of an answer that are kept: of long texts fewer rows than `KEPT_ROWS`, but always one."""
_KEPT_FILES = 200
_KEPT_TOTAL_BYTES = 1 << 30
_FACTS = b"skygate"
_KEPT_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Leaf:
    """One page of an answer. `first` counts from 1; `kept` rows can be leafed through."""

    columns: tuple[Column, ...]
    rows: pa.Table
    first: int
    kept: int
    overflow: bool
    """Whether the answer has more rows than are kept."""
    seconds: float
    """How long the query took when it was run."""


class Leaves:
    """Keeps answers in `directory` (made when missing; None: a private temporary one)."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = _writable(directory)

    def find(self, user: Principal, text: str, fingerprint: str) -> Path | None:
        """The kept answer of this text over this catalogue, if it is there and fresh."""
        path = self._path(user, text, fingerprint)
        try:
            fresh = time.time() - path.stat().st_mtime < _KEPT_SECONDS
        except OSError:
            return None
        return path if fresh else None

    def keep(self, user: Principal, text: str, fingerprint: str, rows: Rows, *, started: float) -> Path:
        """Read an answer (at most `KEPT_ROWS` rows were asked for), to its end or as far as it is kept.

        `started` is `time.monotonic()` of when the query was sent. Raises what reading raises.
        """
        path = self._path(user, text, fingerprint)
        part: str | None = None
        try:
            descriptor, part = tempfile.mkstemp(dir=self._directory, suffix=".part")
            with os.fdopen(descriptor, "wb") as sink:
                self._write(rows, sink, started)
            os.replace(part, path)
        except BaseException as fault:
            if part is not None:
                Path(part).unlink(missing_ok=True)
            if isinstance(fault, OSError):
                raise NoRoom(
                    "the service has no room left to keep this page", hint="try again later", retry_after_s=60
                ) from fault
            raise
        self._sweep()
        return path

    def leaf(self, path: Path, page: int, page_rows: int) -> Leaf | None:
        """Page `page` (from 1, clipped to the last) of a kept answer; None when it is gone."""
        try:
            with pa.memory_map(str(path)) as source:
                reader = pa.ipc.open_file(source)
                end = reader.num_record_batches - 1
                facts = json.loads(reader.get_batch_with_custom_metadata(end).custom_metadata[_FACTS])
                starts: list[int] = facts["starts"]
                kept = starts[-1]
                last = max(1, -(-kept // page_rows))
                first = (min(max(page, 1), last) - 1) * page_rows
                rows = _between(reader, starts, first, min(first + page_rows, kept))
                return Leaf(
                    columns=tuple(wire.from_json(Column, c) for c in facts["columns"]),
                    rows=pa.table({str(i): c for i, c in enumerate(rows.columns)}),
                    first=first + 1,
                    kept=kept,
                    overflow=facts["overflow"],
                    seconds=facts["seconds"],
                )
        except (OSError, pa.ArrowInvalid):
            return None

    def _write(self, rows: Rows, sink: BinaryIO, started: float) -> None:
        """The rows that are kept; at the end, with a batch that has none, what there is to say of them."""
        schema = wire.arrow_schema(rows.columns)
        starts, left, whole = [0], KEPT_BYTES, True
        with pa.ipc.new_file(sink, schema) as writer:
            for batch in rows:
                fits = _that_fit(batch, left, at_least=0 if starts[-1] else 1)
                if fits:
                    writer.write_batch(batch.slice(0, fits))
                    starts.append(starts[-1] + fits)
                left -= batch.nbytes
                if fits < batch.num_rows:
                    whole = False
                    break
            outcome = rows.outcome
            facts = {
                "columns": wire.to_json(rows.columns),
                "starts": starts,
                "overflow": not whole or bool(outcome and outcome.overflow),
                "seconds": time.monotonic() - started,
            }
            nothing = pa.RecordBatch.from_arrays([pa.nulls(0, f.type) for f in schema], schema=schema)
            writer.write_batch(nothing, custom_metadata={_FACTS: json.dumps(facts).encode()})

    def _path(self, user: Principal, text: str, fingerprint: str) -> Path:
        name = hashlib.sha256("\0".join((user.name, fingerprint, text)).encode()).hexdigest()
        return self._directory / f"{name}.arrow"

    def _sweep(self) -> None:
        """Remove what is old, and the oldest beyond what may be kept; other processes may sweep too."""
        found = sorted(self._aged(), reverse=True)
        oldest, total = time.time() - _KEPT_SECONDS, 0
        for rank, (at, size, path) in enumerate(found):
            total += size
            if rank >= _KEPT_FILES or at < oldest or (rank and total > _KEPT_TOTAL_BYTES):
                path.unlink(missing_ok=True)

    def _aged(self) -> Iterator[tuple[float, int, Path]]:
        for path in self._directory.iterdir():
            try:
                found = path.stat()
            except OSError:
                continue
            yield found.st_mtime, found.st_size, path


def _that_fit(batch: pa.RecordBatch, left: int, *, at_least: int) -> int:
    """How many of the first rows of a batch have `left` bytes, by their own sizes."""
    if batch.nbytes <= left:
        return batch.num_rows
    low, high = at_least, batch.num_rows
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if batch.slice(0, middle).nbytes <= left else (low, middle - 1)
    return low


def _between(reader: pa.RecordBatchFileReader, starts: list[int], first: int, end: int) -> pa.Table:
    """Rows `first` to `end` (exclusive), from the batches that hold them."""
    found: list[pa.RecordBatch] = []
    for i in range(max(0, bisect_right(starts, first) - 1), len(starts) - 1):
        if starts[i] >= end:
            break
        begin = max(0, first - starts[i])
        found.append(reader.get_batch(i).slice(begin, min(end, starts[i + 1]) - starts[i] - begin))
    return pa.Table.from_batches(found, reader.schema).combine_chunks()


def _writable(directory: Path | None) -> Path:
    if directory is not None:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=directory):
                return directory
        except OSError:
            pass  # a read-only root: pages still leaf, each process for itself
    return Path(tempfile.mkdtemp(prefix="skygate-pages-"))
