"""The database in which plans run: opened anew when native files come or go, and when it gave up.

Must not know: plans. A plan that has begun ends in the database that it began in.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import duckdb

from skygate.engines import duck_faults, duck_native
from skygate.engines.duck_native import NativeFile, NativeFiles
from skygate.errors import HouseError

log = logging.getLogger("skygate.engine")

Attach = Callable[[duckdb.DuckDBPyConnection], None]


@dataclass(frozen=True, slots=True)
class Opened:
    """An open database. Whoever runs something in it holds this until that has ended.

    The connection keeps the Python functions that plans call: without it they are gone while they are called.
    """

    database: duckdb.DuckDBPyConnection
    wanted: frozenset[NativeFile]
    attached: Mapping[NativeFile, str]
    """The relation of each, but of those that could not be opened."""


class Databases:
    """One open database at a time. `opened` makes it and calls what it is given before it locks it."""

    def __init__(self, opened: Callable[[Attach], duckdb.DuckDBPyConnection], files: NativeFiles) -> None:
        self._opener = opened
        self._files = files
        self._guard = threading.Lock()
        self._opening = threading.Lock()
        self._closed = False
        self._now = Opened(opened(lambda _: None), frozenset(), {})

    def cursor(self) -> tuple[duckdb.DuckDBPyConnection, Opened]:
        """A connection of its own, and the database that it is of."""
        with self._guard:
            if self._closed:
                raise HouseError("the engine is closed")
            return self._now.database.cursor(), self._now

    def keep_up(self) -> None:
        """Open a database with the native files that are there now, if this one was opened for others.

        That is done in the background: no query waits for it.
        """
        if self._files.all_there() == self._now.wanted or self._opening.locked():
            return
        threading.Thread(target=self._keep_up, name="skygate-attach", daemon=True).start()

    def renew(self, fault: BaseException) -> None:
        """Open another database when `fault` says that this one will never work again (DuckDB's "FATAL")."""
        if not duck_faults.is_fatal(fault):
            return
        with self._opening:
            try:
                self._now.database.cursor().execute("SELECT 1").fetchall()
            except duckdb.Error:
                log.error("DuckDB gave up; its database is opened anew")  # noqa: TRY400
                self._reopen()

    def close(self) -> None:
        """Close it; nothing more is opened."""
        with self._opening, self._guard:
            self._closed = True
            self._now.database.close()

    def _keep_up(self) -> None:
        if self._opening.acquire(blocking=False):
            try:
                self._reopen()
            except duckdb.Error:
                log.warning("native files cannot be attached; Parquet files are read", exc_info=True)
            finally:
                self._opening.release()

    def _reopen(self) -> None:
        """Put a new database in the place of this one, which goes when nobody holds it any more."""
        found: dict[NativeFile, str] = {}
        wanted = self._files.all_there()

        def attach(database: duckdb.DuckDBPyConnection) -> None:
            found.update(duck_native.attach(database, wanted))

        if self._closed:
            return
        opened = Opened(self._opener(attach), wanted, found)
        with self._guard:
            if self._closed:
                opened.database.close()
            else:
                self._now = opened
