"""One table from its files to its place in a version: read, describe, shape, measure, sort, write.

Must not know: versions, pointers, other tables.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from skygate.domain.catalog import Table
from skygate.errors import BadRelease
from skygate.release.built import Built
from skygate.release.describe import describe_table
from skygate.release.doubts import doubts_of_rows, doubts_of_rules, doubts_of_sample, doubts_of_units
from skygate.release.findings import Finding, in_order
from skygate.release.identify import suspected_identifier
from skygate.release.layout import TableWriter
from skygate.release.profile import Profile, TableProfile, as_proved
from skygate.release.progress import Progress, Step
from skygate.release.read import TableReader, open_files
from skygate.release.recipe import TableRecipe
from skygate.release.report import TableReport
from skygate.release.shape import Shaper

SAMPLE_ROWS = 262_144
"""Rows at the beginning of a table by which its columns are described."""
AHEAD = 2
"""Batches that may wait to be measured."""


class _Measuring:
    """A profile fed by a thread of its own, at most `AHEAD` batches behind."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="profile")
        self._waiting: deque[Future[None]] = deque()

    def add(self, batch: pa.RecordBatch) -> None:
        """Measure a batch later; raises what went wrong with an earlier one."""
        self._waiting.append(self._thread.submit(self._profile.add, batch))
        while len(self._waiting) > AHEAD:
            self._waiting.popleft().result()

    def finish(self) -> TableProfile:
        """What was measured."""
        while self._waiting:
            self._waiting.popleft().result()
        return self._profile.finish()

    def close(self) -> None:
        """Stop the thread, free scratch files."""
        self._thread.shutdown(cancel_futures=True)
        self._profile.close()


def build_table(
    schema: str,
    recipe: TableRecipe,
    files: Sequence[Path],
    *,
    root: Path,
    work: Path,
    properties: Mapping[str, str],
    progress: Progress,
) -> Built:
    """Read the files into `root/tables/NAME`; raises `BadRelease`. `work` is for temporary files.

    `properties` go into the table's HATS properties.
    """
    progress.at(Step(recipe.name, "opening", 0))
    reader = open_files(files, recipe)
    try:
        return _build(schema, recipe, reader, files, root, work, properties, progress)
    finally:
        reader.close()


def _build(
    schema: str,
    recipe: TableRecipe,
    reader: TableReader,
    files: Sequence[Path],
    root: Path,
    work: Path,
    properties: Mapping[str, str],
    progress: Progress,
) -> Built:
    sample = _sample(reader)
    table = describe_table(schema, recipe, reader.columns, sample, reader.metadata)
    doubts = [*doubts_of_sample(table, recipe, reader.columns, sample, reader.metadata)]
    doubts += doubts_of_units(table, recipe, reader.columns)
    del sample
    shaper = Shaper(table, recipe, reader.schema)
    left_out: Counter[str] = Counter()
    changes: Counter[str] = Counter()
    rows_read = 0
    size = sum(path.stat().st_size for path in files)
    step = Step(recipe.name, "reading", 0, reader.rows, 0, size)
    writing = Step(recipe.name, "writing", 0)
    work.mkdir(parents=True, exist_ok=True)
    writer = TableWriter(table, root, scratch=work / "sort", properties=properties)
    measuring = _Measuring(
        Profile(table, scratch=work, suspected=suspected_identifier(recipe, table.columns))
    )
    try:
        progress.at(step)
        for batch in reader.batches():
            try:
                shaped = shaper.apply(batch)
            except BadRelease as fault:
                raise _of_table(fault, recipe.name, files) from fault
            rows_read += batch.num_rows
            left_out.update(shaped.left_out)
            changes.update(shaped.notes)
            measuring.add(shaped.batch)
            writer.add(shaped.batch)
            done = size * rows_read // reader.rows if reader.rows else None
            progress.at(replace(step, rows=rows_read, bytes=done))
        profile = measuring.finish()
        total = profile.rows
        on_disk = writer.finish(
            wrote=lambda rows: progress.at(replace(writing, rows=rows, rows_total=total)),
        )
    finally:
        writer.close()
        measuring.close()
    columns = tuple(replace(c, stats=profile.stats.get(c.name)) for c in on_disk.table.columns)
    measured = replace(on_disk.table, columns=columns)
    finished = replace(on_disk, table=as_proved(measured, profile.findings))
    doubts += doubts_of_rows(table, changes, shaper.angles, rows_read)
    if rows_read:
        doubts += doubts_of_rules(table, recipe, left_out, changes)
    findings = in_order((*_of_files(finished.table, reader.findings), *doubts, *profile.findings))
    profile = replace(profile, findings=findings)
    report = TableReport(finished.table, profile, rows_read, dict(left_out), dict(changes))
    return Built(finished, report)


def _of_files(table: Table, findings: Sequence[Finding]) -> Iterator[Finding]:
    """What the reader found, under the published names; columns that are not published are left out."""
    names = {c.source_name or c.name: c.name for c in table.columns}
    for finding in findings:
        if finding.column is None or finding.column in names:
            column = names[finding.column] if finding.column is not None else None
            yield replace(finding, table=table.name, column=column)


def _of_table(fault: BadRelease, table: str, files: Sequence[Path]) -> BadRelease:
    """The refusal of a value with its table and file, where it names only its column and row."""
    where = fault.where
    if where is None or not (where.name or "").startswith("column "):
        return fault
    many = "" if len(files) == 1 else f" and {len(files) - 1} more, one after the other"
    place = replace(where, name=f"{files[0]}{many}: table {table}, {where.name}")
    return BadRelease(fault.message, hint=fault.hint, where=place)


def _sample(reader: TableReader) -> pa.Table:
    batches: list[pa.RecordBatch] = []
    rows = 0
    for batch in reader.batches():
        batches.append(batch)
        rows += batch.num_rows
        if rows >= SAMPLE_ROWS:
            break
    return pa.Table.from_batches(batches, schema=reader.schema)
