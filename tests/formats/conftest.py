"""An answer that a test makes up: the columns and rows of the socket `Rows`, without an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest

from skygate.domain.catalog import Column, Datatype
from skygate.domain.query import About, Outcome
from skygate.formats import media
from skygate.wire import arrow_schema


class FakeRows:
    """Rows given as tables; `fault` is raised after them."""

    def __init__(
        self,
        columns: Sequence[Column],
        batches: Sequence[pa.RecordBatch],
        *,
        overflow: bool = False,
        fault: Exception | None = None,
    ) -> None:
        self.columns = tuple(columns)
        self.batches = batches
        self.overflow = overflow
        self.fault = fault
        self.outcome: Outcome | None = None
        self.closed = False

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        yield from self.batches
        if self.fault is not None:
            raise self.fault
        self.outcome = Outcome(sum(b.num_rows for b in self.batches), self.overflow)

    def close(self) -> None:
        self.closed = True


def rows_of(
    columns: Sequence[Column],
    data: Sequence[Sequence[object]],
    *,
    batch_rows: int = 1000,
    overflow: bool = False,
    fault: Exception | None = None,
) -> FakeRows:
    """Rows from one list of values a column."""
    schema = arrow_schema(tuple(columns))
    arrays = [pa.array(list(v), f.type) for v, f in zip(data, schema, strict=True)]
    batch = pa.record_batch(arrays, schema=schema)
    batches = [batch.slice(i, batch_rows) for i in range(0, batch.num_rows, batch_rows)]
    return FakeRows(columns, batches, overflow=overflow, fault=fault)


def written(name: str, rows: FakeRows, about: About | None = None) -> bytes:
    """The whole document in the format of that name."""
    return b"".join(media.write(media.pick(name), rows, about or About()))


D = Datatype
ODD_COLUMNS: tuple[Column, ...] = (
    Column("source_id", D.LONG, ucd="meta.id;meta.main", description="Identifier, unique < 2^63 & positive"),
    Column("ra", D.DOUBLE, unit="deg", ucd="pos.eq.ra;meta.main", description="Right ascension (ICRS)"),
    Column("dec", D.DOUBLE, unit="deg", ucd="pos.eq.dec;meta.main"),
    Column("g_mag", D.FLOAT, unit="mag", ucd="phot.mag;em.opt", utype="phot:g"),
    Column("flag", D.BOOLEAN),
    Column("level", D.UNSIGNED_BYTE),
    Column("small", D.SHORT),
    Column("count", D.INT),
    Column("name", D.CHAR, arraysize="*"),
    Column("label", D.UNICODE, arraysize="*"),
    Column("seen", D.CHAR, arraysize="*", xtype="timestamp"),
    Column("point", D.DOUBLE, arraysize="2", xtype="point", unit="deg"),
    Column("flux", D.FLOAT, arraysize="*", unit="Jy"),
    Column("ids", D.INT, arraysize="*"),
    Column("code", D.CHAR, arraysize="3"),
)


NOW = datetime(2020, 1, 2, 3, 4, 5, 600_000)
# fmt: off
ODD_ROWS: tuple[tuple[object, ...], ...] = (
    (2**63 - 1, 359.9999, -90.0, 12.5, True, 255, -32767, 7, 'a<b&"c" ]]>', "Ωé😀", NOW,
     [1.0, 2.0], [1.5, float("nan")], [1, 2, 3], "abc"),
    (None,) * 15,
    (-(2**63) + 1, float("nan"), float("inf"), float("-inf"), False, 0, 0, -5, "", "tab\there",
     datetime(1999, 12, 31), [3.0, 4.0], [], [-7], "x"),
)
# fmt: on
ABOUT = About(
    'SELECT "x"\n< 5 & é',
    "A title",
    (
        ("release", "bright_sky"),
        ("citation", "Doe & Roe"),
    ),
)


@pytest.fixture(scope="session")
def odd_columns() -> tuple[Column, ...]:
    return ODD_COLUMNS


@pytest.fixture(scope="session")
def about() -> About:
    return ABOUT


@pytest.fixture(scope="session")
def odd() -> Callable[..., FakeRows]:
    """Three rows of everything: extremes, all null, and special values."""

    def make(**more: Any) -> FakeRows:
        return rows_of(ODD_COLUMNS, list(zip(*ODD_ROWS, strict=True)), **more)

    return make


@pytest.fixture(scope="session", name="rows_of")
def rows_of_fixture() -> Callable[..., FakeRows]:
    return rows_of


@pytest.fixture(scope="session", name="written")
def written_fixture() -> Callable[..., bytes]:
    return written
