"""Measures a table while it is published: statistics of every column, what is suspicious, counts on the sky.

One pass over shaped batches, vectorised; memory does not grow with the rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skygate.domain.catalog import CELL_COLUMN, CELL_ORDER, Column, Stats, Table
from skygate.release.findings import Finding, counted, in_order
from skygate.release.identifiers import Identifiers, Repeats
from skygate.release.identify import is_guessed
from skygate.release.judge import bounds_of, judge_column
from skygate.release.measure import Measure, measure_of
from skygate.release.ucds import without_main

SKY_ORDER = 5
"""Order of the sky map: 12,288 cells of 1.8 degrees."""


@dataclass(frozen=True, slots=True)
class SkyCounts:
    """Rows in each HEALPix cell (NESTED) of an order."""

    order: int
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TableProfile:
    """What was measured of a table."""

    rows: int
    columns: tuple[tuple[str, Stats], ...]
    findings: tuple[Finding, ...] = ()
    sky: SkyCounts | None = None
    without_position: int = 0
    """Rows whose position is null or none (tables with positions only)."""

    @property
    def stats(self) -> dict[str, Stats]:
        """Statistics by column name."""
        return dict(self.columns)


class Profile:
    """Takes the shaped batches of one table; `scratch` is where temporary files may go."""

    def __init__(self, table: Table, *, scratch: Path | None = None, suspected: str | None = None) -> None:
        """`suspected`: the column to look at like an identifier in a table that has none."""
        self._table = table
        self._watched = table.identifier or suspected
        self._measures: dict[str, Measure] = {c.name: measure_of(c, _bounds(table, c)) for c in table.columns}
        self._identifiers = Identifiers(scratch=scratch) if self._watched in self._measures else None
        self._sky: NDArray[np.int64] | None = None
        self._unplaced = 0
        self._rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Measure a batch with the table's columns and, where it has positions, their cells."""
        self._rows += batch.num_rows
        names = batch.schema.names
        for name, measure in self._measures.items():
            measure.add(batch.column(names.index(name)))
        if self._identifiers is not None and self._watched is not None:
            self._identifiers.add(batch.column(names.index(self._watched)).drop_null())
        if CELL_COLUMN in names and self._table.position is not None:
            self._place(batch.column(names.index(CELL_COLUMN)))

    def finish(self) -> TableProfile:
        """Everything that was measured and found."""
        stats = {name: m.stats() for name, m in self._measures.items()}
        findings = [*self._of_table(), *self._of_columns()]
        if self._identifiers is not None and self._watched is not None:
            repeats = self._identifiers.finish()
            stats[self._watched] = replace(stats[self._watched], distinct=repeats.distinct)
            findings += self._of_identifier(self._watched, repeats, stats)
        sky = None if self._sky is None else SkyCounts(SKY_ORDER, tuple(int(c) for c in self._sky))
        return TableProfile(self._rows, tuple(stats.items()), in_order(tuple(findings)), sky, self._unplaced)

    def close(self) -> None:
        """Free temporary files; `finish` has done so already when all went well."""
        if self._identifiers is not None:
            self._identifiers.close()

    def _place(self, cells: pa.Array) -> None:
        numbers = cells.drop_null().to_numpy(zero_copy_only=False)
        placed = numbers[numbers >= 0]
        self._unplaced += len(cells) - len(placed)
        total = 12 * 4**SKY_ORDER
        counts = np.bincount(placed >> (2 * (CELL_ORDER - SKY_ORDER)), minlength=total)
        self._sky = counts if self._sky is None else self._sky + counts

    def _of_columns(self) -> Iterator[Finding]:
        for column in self._table.columns:
            yield from judge_column(self._table, column, self._measures[column.name])

    def _of_table(self) -> Iterator[Finding]:
        table, columns = self._table, self._table.columns
        if not self._rows:
            hint = "are the files the right ones, or does leave_out take every row?"
            yield Finding("error", "no_rows", "the table has no rows", hint, table.name)
        if self._unplaced:
            have = "has" if self._unplaced == 1 else "have"
            message = f"{self._unplaced:,} of {counted(self._rows, 'row')} {have} no position"
            hint = "they are published, but no search on the sky finds them"
            severity = "warning" if self._unplaced > self._rows / 2 else "info"
            yield Finding(severity, "no_position", message, hint, table.name, count=self._unplaced)
        for code, what, silent in (
            ("no_description", "description", [c.name for c in columns if not c.description]),
            ("no_ucd", "UCD", [c.name for c in columns if not c.ucd]),
            ("no_unit", "unit", [c.name for c in columns if _wants_unit(c)]),
        ):
            if silent:
                listed = ", ".join(silent[:8]) + (f" and {len(silent) - 8} more" if len(silent) > 8 else "")
                message = (
                    f"{len(silent)} of {counted(len(columns), 'column')} "
                    f"{'has' if len(silent) == 1 else 'have'} no {what}: {listed}"
                )
                hint = f'{what.lower()} = "…" under [table.columns.NAME]'
                yield Finding("info", code, message, hint, table.name, count=len(silent))

    def _of_identifier(self, name: str, repeats: Repeats, stats: dict[str, Stats]) -> Iterator[Finding]:
        table, nulls = self._table, stats[name].nulls
        if table.identifier is None and 2 * (repeats.repeated + nulls) > self._rows:
            return  # It names the rows of another table.
        column = table.column(name)
        guessed = table.identifier is None or (column is not None and is_guessed(column))
        severity = "warning" if guessed else "error"
        if repeats.repeated:
            shown = f" (for instance {', '.join(map(str, repeats.examples))})" if repeats.examples else ""
            rows = "row repeats" if repeats.repeated == 1 else "rows repeat"
            message = f"{repeats.repeated:,} {rows} the identifier of another row{shown}"
            hint = "leave_out the duplicates, or choose another identifier"
            yield Finding(severity, "duplicates", message, hint, table.name, name, repeats.repeated)
        if nulls:
            message = f"{nulls:,} {'row has' if nulls == 1 else 'rows have'} no identifier"
            yield Finding(severity, "no_identifier", message, "leave them out?", table.name, name, nulls)


def as_proved(table: Table, findings: Sequence[Finding]) -> Table:
    """The table without a main identifier where values repeat or are missing.

    A column that only its name made the identifier is none then; a declared one keeps the role, not the UCD.
    """
    name = table.identifier
    column = table.column(name) if name is not None else None
    failed = any(f.column == name and f.code in ("duplicates", "no_identifier") for f in findings)
    if column is None or not failed:
        return table
    lowered = replace(column, ucd=without_main(column.ucd))
    columns = tuple(lowered if c.name == name else c for c in table.columns)
    return replace(table, columns=columns, identifier=None if is_guessed(column) else name)


def _bounds(table: Table, column: Column) -> tuple[float, float] | None:
    """Sensible numbers for a column; the table's own position is in degrees whatever is said of it."""
    if table.position is not None and column.name == table.position.ra:
        return 0.0, 360.0
    if table.position is not None and column.name == table.position.dec:
        return -90.0, 90.0
    return bounds_of(column)


def _wants_unit(column: Column) -> bool:
    """Whether a reader would miss a unit: real numbers that are no ratio, probability or code."""
    words = (column.ucd or "").split(";")
    unitless = ("stat.", "arith.", "meta.", "src.redshift", "src.ellipticity", "phys.", "spect.", "src.class")
    return column.datatype.is_real and not column.unit and not words[0].startswith(unitless)
