"""A finished table: what is on disk, and what there is to report of it.

Must not know: how tables are built. (A publish that finds nothing to do loads this and not the readers.)
"""

from __future__ import annotations

from dataclasses import dataclass

from skygate.domain.catalog import Table
from skygate.release.findings import counted
from skygate.release.report import TableReport
from skygate.release.stored import FileEntry


@dataclass(frozen=True, slots=True)
class TableOnDisk:
    """A finished table; paths, also those of its parts, are relative to the version's directory."""

    table: Table
    files: tuple[FileEntry, ...]


@dataclass(frozen=True, slots=True)
class Built:
    """A finished table and its part of the report."""

    on_disk: TableOnDisk
    report: TableReport


def described(table: Table) -> str:
    """One line of what a table is: rows, columns, files."""
    many = ((table.rows or 0, "row"), (len(table.columns), "column"), (len(table.parts), "file"))
    return f"{table.name}: {', '.join(counted(number, what) for number, what in many)}"
