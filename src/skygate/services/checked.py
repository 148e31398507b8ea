"""What a query was understood to mean, and how much it must read.

Must not know: how plans are made or run.
"""

from __future__ import annotations

from dataclasses import dataclass

from skygate.domain.catalog import Column, Table
from skygate.domain.query import Plan


@dataclass(frozen=True, slots=True)
class Checked:
    """What a query was understood to mean, without running it."""

    tables: tuple[Table, ...]
    """Each table once, in order of appearance."""
    columns: tuple[Column, ...]
    """Columns of the answer."""
    rows: int
    """Rows that may have to be looked at, at most."""
    bytes: int
    """Bytes of the columns and files that may have to be read, at most (about)."""
    files: int


def checked(plan: Plan) -> Checked:
    """What a plan reads, from the sizes of the parts that its sources need."""
    rows = size = files = 0
    for source in plan.sources:
        parts = source.parts
        share = len(source.columns) / max(1, len(source.table.columns))
        rows += sum(p.rows for p in parts)
        size += int(sum(p.size_bytes for p in parts) * min(1.0, share))
        files += len(parts)
    return Checked(tables_of(plan), plan.columns, rows, size, files)


def tables_of(plan: Plan) -> tuple[Table, ...]:
    """Each table of a plan once, in order of appearance."""
    return tuple({source.table.full_name: source.table for source in plan.sources}.values())
