"""Rows and small apps that need no release."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from skygate.domain.catalog import Column, Datatype
from skygate.domain.query import Outcome
from skygate.doorway import errors
from skygate.doorway.requests import Faults, Head, Requests
from skygate.doorway.urls import Outside
from skygate.settings import Server
from skygate.wire import arrow_schema

COLUMNS = (Column("n", Datatype.LONG, description="A number"), Column("t", Datatype.CHAR, arraysize="*"))


@dataclass
class MadeRows:
    """`count` rows in batches of `size`; `fails_at` raises `fault` before that row."""

    count: int
    size: int = 1000
    overflow: bool = False
    fails_at: int | None = None
    fault: Exception = field(default_factory=lambda: RuntimeError("disk on fire"))
    columns: tuple[Column, ...] = COLUMNS
    outcome: Outcome | None = None
    closed: int = 0
    given: int = 0
    block: Callable[[int], None] | None = None
    held_bytes: int | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        schema = arrow_schema(self.columns)
        for start in range(0, self.count, self.size):
            if self.block is not None:
                self.block(start)
            if self.closed:
                raise RuntimeError("closed")
            if self.fails_at is not None and start >= self.fails_at:
                raise self.fault
            n = list(range(start, min(start + self.size, self.count)))
            self.given += len(n)
            yield pa.RecordBatch.from_arrays(
                [pa.array(n, pa.int64()), pa.array([f"row {i}" for i in n])], schema=schema
            )
        self.outcome = Outcome(self.count, self.overflow)

    def close(self) -> None:
        self.closed += 1


def make_app(
    *routes: BaseRoute, server: Server | None = None, accent: errors.Accent = errors.problem
) -> Starlette:
    """The habits of the real app around a few routes."""
    server = server or Server()
    return Starlette(
        routes=list(routes),
        middleware=[
            Middleware(Requests, server=server, cross_origin=("/tap",)),
            Middleware(Head),
            Middleware(Outside, server=server),
            Middleware(Faults, accent=lambda path: accent),
        ],
        exception_handlers=errors.handlers(accent),
    )


@pytest.fixture
def made_rows() -> type[MadeRows]:
    return MadeRows


@pytest.fixture
def app_of() -> Callable[..., Starlette]:
    return make_app
