"""Small tables on disk and plans made by hand: the engine must hold without the parser."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skygate import wire
from skygate.domain.catalog import CELL_COLUMN, Column, Datatype, Part, SkyPosition, Table
from skygate.domain.query import Limits, Plan, Source
from skygate.engines.duck import DuckEngine

PLENTY = Limits(maxrec=10_000_000, seconds=60, memory_bytes=1 << 30)
STARS = (
    Column("id", Datatype.LONG),
    Column("ra", Datatype.DOUBLE, unit="deg"),
    Column("dec", Datatype.DOUBLE, unit="deg"),
    Column("mag", Datatype.FLOAT),
    Column("name", Datatype.UNICODE, arraysize="*"),
    Column("pair", Datatype.INT, arraysize="2"),
)
ROWS_A_PART = 1000
PARTS = 4
STEP = 1 << 50


def write_part(path: Path, number: int, *, cells: bool = True) -> Part:
    """A part of 1000 rows with cells number*STEP*1000 … or, without cells, nulls."""
    ids = np.arange(ROWS_A_PART) + number * ROWS_A_PART
    cell = pa.array(ids * STEP) if cells else pa.nulls(ROWS_A_PART, pa.int64())
    arrays = [
        pa.array(ids),
        pa.array((ids * 0.01) % 360),
        pa.array((ids % 180) - 90.0),
        pa.array(ids % 7 / 2, pa.float32()),
        pa.array([f"star {i}" if i % 5 else None for i in ids]),
        pa.array([[i, -i] if i % 3 else None for i in ids], pa.list_(pa.int32())),
        cell,
    ]
    names = [c.name for c in STARS] + [CELL_COLUMN]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(arrays, names), path, row_group_size=500)
    return part_of(path, (int(ids[0]) * STEP, int(ids[-1]) * STEP) if cells else None)


def part_of(path: Path, cells: tuple[int, int] | None = None) -> Part:
    data = path.read_bytes()
    first, last = cells if cells else (None, None)
    return Part(str(path), ROWS_A_PART, len(data), hashlib.sha256(data).hexdigest(), first, last)


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root") / "releases"


@pytest.fixture(scope="session")
def stars(releases: Path) -> Table:
    parts = [write_part(releases / f"s/1/tables/stars/Npix={i}.parquet", i) for i in range(PARTS)]
    parts.append(write_part(releases / "s/1/tables/stars/Npix=none.parquet", PARTS, cells=False))
    return Table("s", "stars", STARS, rows=5000, position=SkyPosition("ra", "dec"), parts=tuple(parts))


@pytest.fixture(scope="session")
def engine(releases: Path) -> Iterator[DuckEngine]:
    made = DuckEngine(releases, memory_bytes=256 << 20, threads=2)
    yield made
    made.close()


@pytest.fixture
def ask(engine: DuckEngine, stars: Table) -> Callable[..., pa.Table]:
    """Run a text in which {} stands for the stars table."""

    def run(text: str, columns: tuple[Column, ...], *, limits: Limits = PLENTY, **how: object) -> pa.Table:
        rows = engine.run(plan(text, stars, columns, **how), limits, {})  # type: ignore[arg-type]
        batches = list(rows)
        assert rows.outcome is not None
        return pa.Table.from_batches(batches, wire.arrow_schema(columns))

    return run


def plan(text: str, table: Table, columns: tuple[Column, ...], *, cells=None) -> Plan:
    """`text` with each {} replaced by a use of `table`."""
    source = Source(table, tuple(c.name for c in table.columns), cells)
    pieces: list[str | Source] = []
    for i, piece in enumerate(text.split("{}")):
        pieces += [source, piece] if i else [piece]
    return Plan("duckdb", tuple(pieces), columns)
