"""What a service needs of whoever understands queries, and what is told of a query that is not run.

Must not know: ADQL, engines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from skygate.domain.catalog import Catalog, Column, Table
from skygate.domain.query import Joining, Lookup, Plan
from skygate.domain.tally import Tally


class Understood(Protocol):
    """What a query was understood as: a `Plan`, or what makes one if it is asked to."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """Columns of the answer."""
        ...

    @property
    def tables(self) -> tuple[Table, ...]:
        """Every use of a table."""
        ...

    @property
    def lookup(self) -> Lookup | Joining | Tally | None:
        """The lookup that has the same answer, if one has."""
        ...

    def plan(self) -> Plan:
        """The plan, which takes its time where there was a lookup; raises `BadQuery`."""
        ...


class Compiler(Protocol):
    """Understands ADQL over a catalogue; raises `BadQuery` with its place."""

    def __call__(self, text: str, catalog: Catalog, *, dialect: str) -> Understood:
        """What it is understood as, for an engine of this dialect."""
        ...


class Known(Protocol):
    """Remembers what was understood a short while ago. Quick."""

    def __call__(self, text: str, catalog: Catalog, *, dialect: str) -> Understood | None:
        """What a text was understood as, if it is remembered."""
        ...


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
    """What a plan reads, from the sizes of the parts that its sources need; nothing where it only counts."""
    rows = size = files = 0
    counted = isinstance(plan.lookup, Tally) and plan.lookup.is_count
    for source in plan.sources:
        parts = () if counted else source.parts
        share = len(source.columns) / max(1, len(source.table.columns))
        rows += sum(p.rows for p in parts)
        size += int(sum(p.size_bytes for p in parts) * min(1.0, share))
        files += len(parts)
    return Checked(tables_of(plan), plan.columns, rows, size, files)


def tables_of(meant: Understood) -> tuple[Table, ...]:
    """Each table of a query once, in order of appearance."""
    return tuple({table.full_name: table for table in meant.tables}.values())
