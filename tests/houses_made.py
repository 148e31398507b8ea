"""A small house whose answers are made up: for the API, the client and the command line."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
from starlette.applications import Starlette

from skygate.api import routes
from skygate.domain.catalog import Catalog, Column, Datatype, Part, Release, Schema, SkyPosition, Stats, Table
from skygate.domain.query import Outcome, Query
from skygate.domain.sky import Circle
from skygate.doorway import errors
from skygate.doorway.requests import Faults
from skygate.doorway.urls import Outside
from skygate.errors import BadQuery, NotFound, Where
from skygate.settings import Settings
from skygate.wire import arrow_schema

COLUMNS = (
    Column("id", Datatype.LONG, ucd="meta.id;meta.main", description="Identifier"),
    Column("ra", Datatype.DOUBLE, unit="deg", ucd="pos.eq.ra;meta.main", stats=Stats(3, 0, minimum=1.0)),
    Column("dec", Datatype.DOUBLE, unit="deg", ucd="pos.eq.dec;meta.main"),
    Column("name", Datatype.UNICODE, arraysize="*", description="Its name"),
    Column("flux", Datatype.FLOAT, arraysize="2", unit="mJy"),
)
DATA: dict[str, list[Any]] = {
    "id": [1, 2**62 + 1, None],
    "ra": [10.5, 359.9, None],
    "dec": [-5.0, 89.0, float("nan")],
    "name": ["Ωa", None, ""],
    "flux": [[1.0, 2.0], None, [3.5, 4.5]],
}
STARS = Table(
    "mini",
    "stars",
    COLUMNS,
    description="Stars",
    rows=3,
    position=SkyPosition("ra", "dec", epoch=2016.0),
    identifier="id",
    parts=(Part("/secret/place/part.parquet", 3, 100, "00"),),
)


@dataclass
class Given:
    """Rows of an answer: `batches` times the three rows, then `fault`."""

    columns: tuple[Column, ...]
    batches: int = 1
    overflow: bool = False
    fault: BaseException | None = None
    pause_s: float = 0.0
    outcome: Outcome | None = None
    held_bytes: int | None = None
    closed: bool = False
    delivered: int = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        schema = arrow_schema(self.columns)
        batch = pa.record_batch([pa.array(DATA[f.name], f.type) for f in schema], schema=schema)
        for _ in range(self.batches):
            if self.closed:
                return
            yield batch
            self.delivered += batch.num_rows
            time.sleep(self.pause_s)
        if self.fault is not None:
            raise self.fault
        self.outcome = Outcome(self.delivered, self.overflow)

    def close(self) -> None:
        self.closed = True


@dataclass
class MadeUpHouse:
    """Answers every question with `given`, or with what the question's words ask for."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)
    batches: int = 1
    overflow: bool = False
    fault: BaseException | None = None
    late_fault: BaseException | None = None
    pause_s: float = 0.0
    last: Given | None = None
    closed: bool = False

    def __post_init__(self) -> None:
        release = Release(
            "mini",
            "v1",
            "Mini",
            tables=(STARS,),
            path="/secret/place",
            citation="Doe 2020",
            checksum="ab" * 32,
        )
        self.known = Catalog((Schema("mini", (STARS,), release=release),), "f")
        self.releases = SimpleNamespace(
            catalog=lambda user: self.known,
            release=self._release,
            snapshot=lambda user: SimpleNamespace(catalog=self.known),
            table=self._table,
            table_in=self._table,
        )
        self.queries = SimpleNamespace(
            ask=self._ask, check=self._check, cone=self._cone, crossmatch=self._crossmatch
        )

    def close(self) -> None:
        self.closed = True

    def _release(self, user: Any, name: str) -> Release:
        for release in self.known.releases():
            if release.name == name:
                return release
        raise NotFound(f"there is no release {name!r}", hint="there is: mini")

    def _table(self, user: Any, name: str) -> Table:
        if name.lower() in ("stars", "mini.stars"):
            return STARS
        raise NotFound(f"there is no table {name!r}", hint="did you mean stars?")

    def _given(self, columns: Sequence[str] | None = None) -> Given:
        if self.fault is not None:
            raise self.fault
        chosen = tuple(c for c in COLUMNS if columns is None or c.name in columns)
        self.last = Given(chosen, self.batches, self.overflow, self.late_fault, self.pause_s)
        return self.last

    def _understood(self, query: Query) -> None:
        at = query.text.find("mag_gg")
        if at >= 0:
            line = query.text.count("\n", 0, at) + 1
            column = at - (query.text.rfind("\n", 0, at) + 1) + 1
            raise BadQuery(
                "no column `mag_gg` in stars",
                hint="did you mean mag_g?",
                where=Where(line=line, column=column, token="mag_gg", start=at, end=at + 6),
                suggestions=("mag_g",),
            )

    async def _check(self, user: Any, query: Query) -> Any:
        self.calls.append(("check", query.text, query.maxrec))
        self._understood(query)
        return SimpleNamespace(tables=(STARS,), columns=COLUMNS, rows=3, bytes=100, files=1)

    async def _ask(self, user: Any, query: Query) -> Any:
        self.calls.append(("run", query.text, query.maxrec))
        self._understood(query)
        return SimpleNamespace(rows=self._given(), tables=(STARS,), catalog=self.known)

    async def _cone(
        self,
        user: Any,
        table: str,
        circle: Circle,
        *,
        columns: Any = None,
        maxrec: int | None = None,
        snapshot: Any = None,
    ) -> Given:
        self.calls.append(("cone", table, circle, columns, maxrec))
        self._table(user, table)
        return self._given(columns)

    async def _crossmatch(
        self, user: Any, table: str, positions: pa.Table, radius_deg: float, **more: Any
    ) -> Given:
        self.calls.append(("crossmatch", table, positions, radius_deg, more))
        self._table(user, table)
        return self._given(more.get("columns"))


def app_of(house: MadeUpHouse, settings: Settings | None = None) -> Starlette:
    """The JSON API alone, with the house's way to tell faults."""
    from starlette.middleware import Middleware

    settings = settings or Settings()
    return Starlette(
        routes=list(routes.routes(house, settings)),  # type: ignore[arg-type]
        middleware=[
            Middleware(Faults, accent=lambda path: errors.problem),
            Middleware(Outside, server=settings.server),
        ],
        exception_handlers=errors.handlers(errors.problem),
    )
