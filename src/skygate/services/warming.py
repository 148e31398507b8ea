"""Building what is missing beside a release, table by table; nothing of it is part of the release.

Must not know: what is built, terminals.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from skygate.domain.catalog import Release, Table
from skygate.errors import SkygateError
from skygate.ports import CacheBuilder
from skygate.release.progress import Progress, Step


@dataclass(frozen=True, slots=True)
class Warmed:
    """What became of one table's cache.

    `action`: "built"; "left" because another process builds or the version has gone; "failed".
    """

    release: Release
    table: Table
    action: str
    seconds: float
    fault: SkygateError | None = None


def warm(builder: CacheBuilder, release: Release, progress: Progress) -> Iterator[Warmed]:
    """Build what is missing; a fault of one table is told, and the next one's turn comes."""
    for table in builder.missing(release):
        began = time.monotonic()
        fault: SkygateError | None = None
        done = False

        def wrote(rows: int, table: Table = table) -> None:
            progress.at(Step(table.name, "caching", rows, table.rows))

        try:
            done = builder.build(release, table, wrote)
        except SkygateError as raised:
            fault = raised
        action = "built" if done else "failed" if fault is not None else "left"
        yield Warmed(release, table, action, time.monotonic() - began, fault)
