"""A little catalogue with awkward rows, and ways to ask it."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from tests.adql.in_duckdb import register_kernels, spelled

from skygate import wire
from skygate.adql import compile_query
from skygate.domain.catalog import CELL_COLUMN, Catalog, Column, Datatype, Schema, SkyPosition, Table
from skygate.domain.query import Plan
from skygate.sky.cells import cell_of

CASES = Path(__file__).parent / "cases"

D = Datatype
STARS = Table(
    "sky",
    "stars",
    (
        Column("id", D.LONG, ucd="meta.id;meta.main", description="Identifier"),
        Column("ra", D.DOUBLE, unit="deg", ucd="pos.eq.ra;meta.main"),
        Column("dec", D.DOUBLE, unit="deg", ucd="pos.eq.dec;meta.main"),
        Column("mag", D.FLOAT, unit="mag", ucd="phot.mag", description="Magnitude"),
        Column("pm", D.DOUBLE, unit="mas.yr-1"),
        Column("x", D.DOUBLE),
        Column("n", D.INT),
        Column("k", D.SHORT),
        Column("big", D.LONG),
        Column("name", D.UNICODE, "*", description="Name"),
        Column("seen", D.CHAR, "*", "timestamp"),
        Column("good", D.BOOLEAN),
        Column("size", D.INT),
        Column("Mixed Case", D.INT),
    ),
    position=SkyPosition("ra", "dec", 2016.0),
    identifier="id",
)
PAIRS = Table(
    "sky",
    "pairs",
    (
        Column("id", D.LONG),
        Column("star", D.LONG),
        Column("weight", D.DOUBLE, unit="kg"),
        Column("name", D.UNICODE, "*"),
        Column("words", D.UNICODE, "*"),
    ),
)
NOTES = Table("sky", "notes", (Column("id", D.LONG), Column("note", D.UNICODE, "*")))
OLD_NOTES = Table("old", "notes", (Column("id", D.LONG), Column("epoch", D.DOUBLE, unit="yr")))
CATALOG = Catalog((Schema("sky", (STARS, PAIRS, NOTES)), Schema("old", (OLD_NOTES,))), "cases")


def when(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


def rows() -> dict[str, pa.Table]:
    """The rows of each table by full name, with the column of cells where there are positions."""
    ra = [10.0, 20.5, 359.9, 180.0, None]
    dec = [20.0, -30.0, 0.0, 89.0, None]
    stars = [
        [1, 2, 3, 4, 5],
        ra,
        dec,
        [5.5, 12.25, None, 0.0, -1.5],
        [3600.0, -7.5, 0.0, None, 1.0],
        [2.5, -1.0, 0.0, 1e308, None],
        [7, -7, 0, 2147483647, None],
        [2, 3, 0, -1, None],
        [9223372036854775807, -9223372036854775808, 0, 10, None],
        ["Vega", "alpha Cen", "M 31", "", None],
        [
            when("2000-01-02T12:00:00"),
            when("2016-01-01T00:00:00.5"),
            None,
            when("1910-12-31T06:00:00"),
            when("2020-02-29T23:59:59"),
        ],
        [True, False, None, True, False],
        [1, 2, 3, 4, 5],
        [10, 20, 30, 40, 50],
    ]
    pairs = [
        [1, 2, 3, 9],
        [1, 1, 2, 7],
        [0.5, 1.5, 2.5, None],
        ["Vega", "Vega", "b", None],
        ["red#green", "Blue", "shown that a primordial", None],
    ]
    found = {
        "sky.stars": pa.table(stars, schema=wire.arrow_schema(STARS.columns)),
        "sky.pairs": pa.table(pairs, schema=wire.arrow_schema(PAIRS.columns)),
        "sky.notes": pa.table([[1], ["n"]], schema=wire.arrow_schema(NOTES.columns)),
        "old.notes": pa.table([[1], [1950.0]], schema=wire.arrow_schema(OLD_NOTES.columns)),
    }
    import numpy as np

    cells = cell_of(np.array([r or np.nan for r in ra]), np.array([np.nan if d is None else d for d in dec]))
    cells_or_null = pa.array(cells, pa.int64(), mask=cells < 0)
    found["sky.stars"] = found["sky.stars"].append_column(CELL_COLUMN, cells_or_null)
    return found


@dataclass
class World:
    """The catalogue in an engine."""

    connection: duckdb.DuckDBPyConnection
    catalog: Catalog

    def compile(self, query: str) -> Plan:
        return compile_query(query, self.catalog)

    def text(self, plan: Plan) -> str:
        return spelled(plan, lambda table: f'"{table.full_name}"')

    def rows(self, query: str) -> list[tuple]:
        return self.connection.execute(self.text(self.compile(query))).fetchall()

    def value(self, expression: str) -> object:
        """One expression for the first star."""
        ((value,),) = self.rows(f"SELECT {expression} AS v FROM stars WHERE id = 1")
        return value

    def types(self, query: str) -> list[pa.DataType]:
        return self.connection.sql(self.text(self.compile(query))).to_arrow_table().schema.types


@pytest.fixture(scope="session")
def world() -> World:
    connection = duckdb.connect(":memory:", config={"threads": 1})
    register_kernels(connection)
    for name, table in rows().items():
        connection.register(f"arrow {name}", table)
        connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM "arrow {name}"')
    return World(connection, CATALOG)


@dataclass(frozen=True)
class Case:
    """A query and what is expected of it: its text for the engine, its rows, or its refusal."""

    file: str
    line: int
    query: str
    sql: str | None = None
    rows: list | None = None
    refusal: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def read_cases() -> list[Case]:
    """Cases of all files: a query, then lines that begin with => (text), == (rows), !! (refusal)."""
    found: list[Case] = []
    for path in sorted(CASES.glob("*.txt")):
        lines: list[str] = []
        expected: dict[str, object] = {}
        start = 0
        for number, line in enumerate([*path.read_text().splitlines(), ""], start=1):
            mark, _, rest = line.partition(" ")
            if mark == "=>":
                expected["sql"] = rest
            elif mark == "==":
                expected["rows"] = json.loads(rest)
            elif mark == "!!":
                expected["refusal"] = rest
            elif not line.strip() or line.startswith("#"):
                if lines:
                    assert expected, f"{path.name}:{start} expects nothing"
                    found.append(Case(path.stem, start, "\n".join(lines), **expected))
                lines, expected = [], {}
            else:
                assert not expected, f"{path.name}:{number}: cases are parted by empty lines"
                start = start if lines else number
                lines.append(line)
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", read_cases(), ids=str)


@pytest.fixture(scope="session")
def tables() -> dict[str, pa.Table]:
    """The rows of each table by full name."""
    return rows()
