"""Answers that a page leafs through: kept for a while as Arrow files, named by what they answer.

Must not know: HTTP, HTML. Any server process finds what another has kept; what is gone is asked again.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from skygate import wire
from skygate.domain.account import Principal
from skygate.domain.catalog import Column
from skygate.ports import Rows

KEPT_ROWS = 10_000
"""Rows of an answer that a page can leaf through; the rest is for downloads."""
_KEPT_FILES = 200
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
        """Read an answer to its end (at most `KEPT_ROWS` rows were asked for) and keep it.

        `started` is `time.monotonic()` of when the query was sent. Raises what reading raises.
        """
        path = self._path(user, text, fingerprint)
        descriptor, part = tempfile.mkstemp(dir=self._directory, suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as sink:
                schema = wire.arrow_schema(rows.columns)
                batches = list(rows)
                outcome = rows.outcome
                facts = {
                    "columns": wire.to_json(rows.columns),
                    "overflow": bool(outcome and outcome.overflow),
                    "seconds": time.monotonic() - started,
                }
                schema = schema.with_metadata({"skygate": json.dumps(facts)})
                with pa.ipc.new_file(sink, schema) as writer:
                    writer.write_table(pa.Table.from_batches(batches, schema.remove_metadata()).cast(schema))
            os.replace(part, path)
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
        self._sweep()
        return path

    def leaf(self, path: Path, page: int, page_rows: int) -> Leaf | None:
        """Page `page` (from 1, clipped to the last) of a kept answer; None when it is gone."""
        try:
            with pa.memory_map(str(path)) as source:
                table = pa.ipc.open_file(source).read_all()
                facts = json.loads(table.schema.metadata[b"skygate"])
                last = max(1, -(-table.num_rows // page_rows))
                first = (min(max(page, 1), last) - 1) * page_rows
                rows = table.slice(first, page_rows).combine_chunks()
                return Leaf(
                    columns=tuple(wire.from_json(Column, c) for c in facts["columns"]),
                    rows=pa.table({str(i): c for i, c in enumerate(rows.columns)}),
                    first=first + 1,
                    kept=table.num_rows,
                    overflow=facts["overflow"],
                    seconds=facts["seconds"],
                )
        except (OSError, pa.ArrowInvalid):
            return None

    def _path(self, user: Principal, text: str, fingerprint: str) -> Path:
        name = hashlib.sha256("\0".join((user.name, fingerprint, text)).encode()).hexdigest()
        return self._directory / f"{name}.arrow"

    def _sweep(self) -> None:
        """Remove what is old, and the oldest beyond `_KEPT_FILES`; other processes may sweep too."""
        found = sorted(self._aged(), reverse=True)
        oldest = time.time() - _KEPT_SECONDS
        for rank, (at, path) in enumerate(found):
            if rank >= _KEPT_FILES or at < oldest:
                path.unlink(missing_ok=True)

    def _aged(self) -> Iterator[tuple[float, Path]]:
        for path in self._directory.iterdir():
            try:
                yield path.stat().st_mtime, path
            except OSError:
                continue


def _writable(directory: Path | None) -> Path:
    if directory is not None:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=directory):
                return directory
        except OSError:
            pass  # a read-only root: pages still leaf, each process for itself
    return Path(tempfile.mkdtemp(prefix="skygate-pages-"))
