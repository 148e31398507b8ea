"""What every room that touches a version on disk agrees on: format number, names, schemas.

Must not know: how files are written or checked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa

from skygate.domain.catalog import CELL_COLUMN, Table
from skygate.errors import BadRelease, Where
from skygate.wire import arrow_schema

DISK_FORMAT = "1"
"""Version of the format of releases on disk; a reader refuses a higher one."""
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of a release: path relative to the version's directory, size, checksum."""

    path: str
    size_bytes: int
    sha256: str


def stored_schema(table: Table) -> pa.Schema:
    """The Arrow schema of a table's files: its columns, then the cell where it has positions."""
    if table.column(CELL_COLUMN) is not None:
        raise BadRelease(
            f"column {CELL_COLUMN} is made at publish and cannot come from the source",
            hint="drop it or give it another name",
            where=Where(name=table.full_name),
        )
    schema = arrow_schema(table.columns)
    if table.position is None:
        return schema
    return schema.append(
        pa.field(CELL_COLUMN, pa.int64(), metadata={"description": "HEALPix order 29, NESTED"})
    )


def table_folder(table: str) -> str:
    """The folder of a table, relative to the version's directory; raises `BadRelease` for odd names."""
    if not _PLAIN_NAME.fullmatch(table):
        raise BadRelease(f"{table!r} cannot name a table's directory", hint="use letters, digits and _")
    return f"tables/{table}"
