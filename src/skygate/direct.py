"""The services as a client in the same process asks them: the same answers as by HTTP, without its cost.

Only plain questions are taken. What a door would refuse or correct, and what goes wrong inside the house, is
None: the client asks by HTTP then, and hears it as everybody does. Must not know: HTTP, how rows are found.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from skygate.client.inside import Answer
from skygate.domain.account import ANONYMOUS
from skygate.domain.catalog import Catalog, Table
from skygate.domain.query import About, Query
from skygate.domain.sky import Circle, Position
from skygate.doorway import origin
from skygate.errors import HouseError
from skygate.formats import columnar
from skygate.ports import Rows
from skygate.settings import Uploads

if TYPE_CHECKING:
    from skygate.services.house import House

_ODD = re.compile("[^\t\n\r -~\x80-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What a text of ours never has: control characters, halves of characters."""
_LONGEST_NAME = 500
_MOST_COLUMNS = 1000
_LARGEST = 2**63 - 1


class Direct:
    """`client.inside.Inside` over an open house. `wait` runs a coroutine where the house's others run."""

    def __init__(
        self, house: House, uploads: Uploads, *, wait: Callable[[Coroutine[Any, Any, Rows]], Rows]
    ) -> None:
        self._house: House | None = house
        self._uploads = uploads
        self._wait = wait
        self._told: dict[tuple[int, str, frozenset[str]], Mapping[str, str]] = {}

    def close(self) -> None:
        """Let go of the house."""
        self._house = None

    def query(self, adql: str, maxrec: int | None) -> Answer | None:
        """The answer to ADQL."""
        house = self._house
        if house is None or not _is_text(adql) or not _is_count(maxrec):
            return None
        asked = Query(adql, maxrec)
        try:
            found = house.queries.run_at_once(ANONYMOUS, asked)
            rows = found.rows
            if rows is None:
                rows = self._wait(house.queries.run(ANONYMOUS, asked))
            return Answer(rows, self._metadata(found.catalog, found.tables, query=adql))
        except HouseError:
            return None

    def cone(
        self,
        table: str,
        ra_deg: float,
        dec_deg: float,
        radius_deg: float,
        columns: Sequence[str] | None,
        maxrec: int | None,
    ) -> Answer | None:
        """The rows around a position."""
        house = self._house
        if house is None or not _is_plain(table, columns, maxrec):
            return None
        if not (-360.0 <= ra_deg <= 720.0 and -90.0 <= dec_deg <= 90.0 and 0.0 <= radius_deg <= 180.0):
            return None
        circle = Circle(Position(ra_deg, dec_deg), radius_deg)
        queries = house.queries
        try:
            found = queries.cone_at_once(ANONYMOUS, table, circle, columns=columns, maxrec=maxrec)
            rows = found.rows
            if rows is None:
                rows = self._wait(queries.cone(ANONYMOUS, table, circle, columns=columns, maxrec=maxrec))
            return self._of_table(found.catalog, found.tables[0], rows)
        except HouseError:
            return None

    def crossmatch(
        self,
        table: str,
        positions: pa.Table,
        radius_deg: float,
        nearest: bool,
        columns: Sequence[str] | None,
        maxrec: int | None,
    ) -> Answer | None:
        """The rows around many positions."""
        house = self._house
        if house is None or not _is_plain(table, columns, maxrec) or not 0.0 <= radius_deg <= 180.0:
            return None
        most, most_bytes = self._uploads.max_rows, self._uploads.max_mib << 20
        if positions.num_rows > most or positions.num_columns > _MOST_COLUMNS:
            return None
        if positions.get_total_buffer_size() > most_bytes:
            return None
        asked = house.queries.crossmatch(
            ANONYMOUS, table, positions, radius_deg, nearest=bool(nearest), columns=columns, maxrec=maxrec
        )
        try:
            rows = self._wait(asked)
            catalog = house.releases.catalog(ANONYMOUS)
            return self._of_table(catalog, house.releases.table(ANONYMOUS, table), rows)
        except HouseError:
            return None

    def _of_table(self, catalog: Catalog, table: Table, rows: Rows) -> Answer:
        return Answer(rows, self._metadata(catalog, (table,), title=table.full_name))

    def _metadata(
        self, catalog: Catalog, tables: Sequence[Table], *, query: str | None = None, title: str | None = None
    ) -> Mapping[str, str]:
        """Where rows come from: made once a second for each table, since it takes as long as finding them."""
        key = (int(time.time()), catalog.fingerprint, frozenset(table.schema for table in tables))
        infos = self._told.get(key)
        if infos is None:
            infos = columnar.metadata_of(About(infos=origin.local_infos(catalog, tables)))
            self._told = {key: infos}
        about = About(query=query, title=title)
        return {**columnar.metadata_of(about), **infos}


def _is_text(text: Any) -> bool:
    return isinstance(text, str) and _ODD.search(text) is None


def _is_count(maxrec: Any) -> bool:
    return maxrec is None or (type(maxrec) is int and 0 <= maxrec <= _LARGEST)


def _is_plain(table: Any, columns: Sequence[Any] | None, maxrec: Any) -> bool:
    names = (table, *columns) if columns is not None else (table,)
    fit = all(_is_text(name) and len(name) <= _LONGEST_NAME for name in names)
    return fit and len(names) <= _MOST_COLUMNS and _is_count(maxrec)
