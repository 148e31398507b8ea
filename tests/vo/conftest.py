"""A small house whose answers are made up, for doors that must not care where rows come from."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from skygate.app import create_app
from skygate.domain.catalog import Catalog, Column, Datatype, Key, Release, Schema, SkyPosition, Table
from skygate.domain.query import Outcome
from skygate.errors import NotFound
from skygate.settings import Settings
from skygate.wire import arrow_schema

STARS = Table(
    "mini",
    "stars",
    (
        Column("id", Datatype.LONG, ucd="meta.id;meta.main", description='An <id> & "name"', indexed=True),
        Column("ra", Datatype.DOUBLE, unit="deg", ucd="pos.eq.ra;meta.main"),
        Column("dec", Datatype.DOUBLE, unit="deg", ucd="pos.eq.dec;meta.main"),
        Column("ra_old", Datatype.DOUBLE, unit="deg", ucd="pos.eq.ra;meta.main", principal=False),
        Column("name", Datatype.UNICODE, arraysize="*", ucd="meta.id", principal=False),
        Column("Class Name", Datatype.CHAR, arraysize="8*"),
    ),
    description="Stars\x0b with odd text",
    rows=3,
    position=SkyPosition("ra", "dec"),
    identifier="id",
)
NAMELESS = Table(
    "mini",
    "nameless",
    (Column("ra", Datatype.DOUBLE, unit="deg"), Column("dec", Datatype.DOUBLE, unit="deg")),
    position=SkyPosition("ra", "dec"),
)
NOTES = Table(
    "mini", "notes", (Column("star_id", Datatype.LONG), Column("note", Datatype.UNICODE, arraysize="*"))
)
KEYS = (Key("mini.notes", "mini.stars", (("star_id", "id"),), "the star"),)
ROWS: dict[str, list[Any]] = {
    "id": [1, 2, 3],
    "ra": [10.0, 10.1, 359.9],
    "dec": [-5.0, -5.1, 89.0],
    "ra_old": [9.0, 9.1, 358.9],
    "name": ["a", None, "ü"],
    "Class Name": ["x", "y", None],
}


@dataclass
class Given:
    """Rows of an answer."""

    columns: tuple[Column, ...]
    table: pa.Table
    overflow: bool = False
    outcome: Outcome | None = None
    held_bytes: int | None = None
    closed: bool = False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        yield from self.table.to_batches()
        self.outcome = Outcome(self.table.num_rows, self.overflow)

    def close(self) -> None:
        self.closed = True


@dataclass
class Asked:
    """What the doors asked the house, and what it shall do."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)
    fault: Exception | None = None
    given: list[Given] = field(default_factory=list)

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        """The calls of one kind."""
        return [call for call in self.calls if call[0] == kind]


def given(table: Table, names: tuple[str, ...], maxrec: int | None) -> Given:
    columns = tuple(c for c in table.columns if c.name in names)
    data = {c.name: ROWS[c.name] for c in columns}
    whole = pa.table(data, schema=arrow_schema(columns))
    kept = whole if maxrec is None else whole.slice(0, maxrec)
    return Given(columns, kept, kept.num_rows < whole.num_rows)


class FakeHouse:
    """Three tables, and three rows for every question."""

    def __init__(self, asked: Asked) -> None:
        release = Release("mini", "v1", "Mini", tables=(STARS, NAMELESS, NOTES), keys=KEYS)
        schema = Schema("mini", release.tables, "Small", "Mini", keys=KEYS, release=release)
        self.known = Catalog((schema,), "f")
        self.asked = asked
        self.closed = False
        self.releases = SimpleNamespace(
            catalog=self._catalog,
            looked_over=self._catalog,
            snapshot=self._snapshot,
            table=self._table,
            table_in=self._table,
        )
        self.queries = SimpleNamespace(ask=self._ask, check=self._check, cone=self._cone)

    def close(self) -> None:
        self.closed = True

    def _called(self, *what: Any) -> None:
        self.asked.calls.append(what)
        if self.asked.fault is not None:
            raise self.asked.fault

    def _catalog(self, user: Any) -> Catalog:
        self._called("catalog")
        return self.known

    def _snapshot(self, user: Any) -> Any:
        return SimpleNamespace(catalog=self.known)

    def _table(self, of: Any, name: str) -> Table:
        for table in self.known.tables():
            if name.lower() in (table.full_name, table.name):
                return table
        raise NotFound(f"there is no table {name!r}")

    async def _check(self, user: Any, query: Any) -> Any:
        self._called("check", query)
        return SimpleNamespace(tables=(STARS,))

    async def _ask(self, user: Any, query: Any) -> Any:
        self._called("run", query)
        self.asked.given.append(given(STARS, tuple(ROWS), query.maxrec))
        return SimpleNamespace(rows=self.asked.given[-1], tables=(STARS,), catalog=self.known)

    async def _cone(
        self, user: Any, name: str, circle: Any, *, columns: Any, maxrec: Any, snapshot: Any
    ) -> Given:
        self._called("cone", name, circle, columns, maxrec)
        table = self._table(snapshot, name)
        self.asked.given.append(given(table, columns, maxrec))
        return self.asked.given[-1]


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def house(asked: Asked) -> Any:
    return FakeHouse(asked)


@pytest.fixture
def client(house: Any) -> Iterator[TestClient]:
    settings = Settings.model_validate({"queries": {"hard_maxrec": 1000}, "uploads": {"max_mib": 1}})
    with TestClient(
        create_app(house, settings), raise_server_exceptions=False, client=("127.0.0.1", 5000)
    ) as client:
        yield client
