"""Databases that are still being written: what their main file holds is not all of what was committed.

Must not know: SQLite's library.
"""

from __future__ import annotations

from pathlib import Path

from skygate.errors import BadRelease, Where

_SQLITE = b"SQLite format 3\0"
_HOT_JOURNAL = bytes.fromhex("d9d505f920a163d7")


def refuse_unfinished(path: Path) -> None:
    """Raise `BadRelease` for a SQLite file with committed rows in its log, or a transaction to be undone."""
    with path.open("rb") as file:
        if file.read(len(_SQLITE)) != _SQLITE:
            return
    log, journal = (path.with_name(path.name + ending) for ending in ("-wal", "-journal"))
    if log.exists() and log.stat().st_size:
        raise BadRelease(
            f"has changes that stand only in {log.name}",
            hint="close what writes it, or PRAGMA wal_checkpoint(TRUNCATE); or publish a copy (VACUUM INTO)",
            where=Where(name=str(path)),
        )
    if journal.exists() and journal.read_bytes()[: len(_HOT_JOURNAL)] == _HOT_JOURNAL:
        raise BadRelease(
            f"has a transaction that is not finished ({journal.name})",
            hint="wait until its program has finished; after a crash open it once with sqlite3",
            where=Where(name=str(path)),
        )
