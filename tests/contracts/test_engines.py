"""What every engine must do, whatever it is made of: one suite, a maker per engine."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skygate import wire
from skygate.domain.catalog import CELL_COLUMN, Column, Datatype, Part, Release, SkyPosition, Table
from skygate.domain.query import Limits, Outcome, Plan, Source
from skygate.engines import duck_native
from skygate.engines.duck import DuckEngine
from skygate.errors import Cancelled, HouseError, SkygateError, TooCostly
from skygate.ports import Engine

COLUMNS = (
    Column("flag", Datatype.BOOLEAN),
    Column("tiny", Datatype.UNSIGNED_BYTE),
    Column("short", Datatype.SHORT),
    Column("int", Datatype.INT),
    Column("long", Datatype.LONG),
    Column("float", Datatype.FLOAT),
    Column("double", Datatype.DOUBLE),
    Column("text", Datatype.UNICODE, arraysize="*"),
    Column("code", Datatype.CHAR, arraysize="4*"),
    Column("at", Datatype.CHAR, arraysize="*", xtype="timestamp"),
    Column("list", Datatype.DOUBLE, arraysize="*"),
    Column("point", Datatype.DOUBLE, arraysize="2", xtype="point"),
    Column("Odd \"name'", Datatype.INT),
)
COUNT = (Column("n", Datatype.LONG),)
PLENTY = Limits(maxrec=1_000_000, seconds=60, memory_bytes=1 << 30)


@dataclass(frozen=True)
class Spelling:
    """How one engine's dialect says what the suite needs."""

    make: Callable[[Path], Engine]
    every_row: str
    count: str
    endless: str
    ordered: str
    prepare: Callable[[Engine, Path, Table], None] = lambda engine, root, table: None
    """What must be made of the table before this engine is meant."""


def with_native_files(engine: DuckEngine, root: Path, table: Table) -> None:
    release = Release("s", "1", "t", tables=(table,), path=str(root / "s" / "1"))
    assert duck_native.build(release, table, lambda rows: None)
    until = time.monotonic() + 20
    while not engine._databases._now.attached and time.monotonic() < until:
        list(engine.run(plan(engine, DUCK.count, table, COUNT), PLENTY, {}))
        time.sleep(0.05)
    assert engine._databases._now.attached


DUCK = Spelling(
    make=lambda root: DuckEngine(root, memory_bytes=256 << 20, threads=2),
    every_row="SELECT " + ", ".join('"' + c.name.replace('"', '""') + '"' for c in COLUMNS) + " FROM {} AS t",
    count="SELECT COUNT(*) FROM {} AS t",
    endless="SELECT COUNT(*) FROM range(10000000) a, range(10000000) b WHERE (a.range * b.range) % 7 = 3",
    ordered='SELECT "long" FROM {} AS t ORDER BY "long" DESC',
)


NATIVE = replace(DUCK, prepare=with_native_files)


@pytest.fixture(scope="module", params=[DUCK, NATIVE], ids=["duck", "duck-native"])
def spelling(request: pytest.FixtureRequest) -> Spelling:
    return request.param


@pytest.fixture(scope="module")
def root(spelling: Spelling, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("releases")


@pytest.fixture(scope="module")
def engine(spelling: Spelling, root: Path, table: Table) -> Iterator[Engine]:
    made = spelling.make(root)
    spelling.prepare(made, root, table)
    yield made
    made.close()


def rows_of(first: int) -> pa.Table:
    n = np.arange(first, first + 500)
    values = {
        "flag": pa.array(n % 2 == 0),
        "tiny": pa.array(n % 256, pa.uint8()),
        "short": pa.array(n % 30000, pa.int16()),
        "int": pa.array(n, pa.int32()),
        "long": pa.array(n * 10**15),
        "float": pa.array(n / 4, pa.float32()),
        "double": pa.array(np.where(n % 11 == 0, np.nan, n / 3)),
        "text": pa.array([f"α{i} '\"" for i in n]),
        "code": pa.array([None if i % 7 == 0 else f"{i % 9999}" for i in n]),
        "at": pa.array(n * 10**9, pa.timestamp("us")),
        "list": pa.array([list(range(i % 4)) if i % 5 else None for i in n], pa.list_(pa.float64())),
        "point": pa.array([[i, -i] if i % 3 else None for i in n], pa.list_(pa.float64(), 2)),
        "Odd \"name'": pa.array(n, pa.int32()),
    }
    return pa.table(values, schema=wire.arrow_schema(COLUMNS))


@pytest.fixture(scope="module")
def table(root: Path) -> Table:
    parts: list[Part] = []
    for i in range(3):
        path = root / "s" / "1" / f"Npix={i}" / "p'art.parquet"
        path.parent.mkdir(parents=True)
        rows = rows_of(i * 500)
        cells = pa.array(np.arange(500) + i * 1000)
        pq.write_table(rows.append_column(CELL_COLUMN, cells), path)
        parts.append(Part(str(path), 500, path.stat().st_size, f"sha {i}", i * 1000, i * 1000 + 499))
    return Table("s", "t", COLUMNS, rows=1500, position=SkyPosition("double", "double"), parts=tuple(parts))


def plan(engine: Engine, text: str, table: Table, columns: tuple[Column, ...], cells=None) -> Plan:
    pieces: list[str | Source] = []
    for i, piece in enumerate(text.split("{}")):
        pieces += [Source(table, tuple(c.name for c in table.columns), cells), piece] if i else [piece]
    return Plan(engine.dialect, tuple(pieces), columns)


def test_every_type_survives(engine, spelling, table):
    run = engine.run(plan(engine, spelling.every_row, table, COLUMNS), PLENTY, {})
    assert run.columns == COLUMNS
    assert run.outcome is None
    got = pa.Table.from_batches(list(run), wire.arrow_schema(COLUMNS)).sort_by("long")
    want = pa.concat_tables([rows_of(i * 500) for i in range(3)])
    for name in want.column_names:
        assert got[name].type == want[name].type
        if name == "double":
            np.testing.assert_array_equal(got[name].to_numpy(), want[name].to_numpy())
        else:
            assert got[name].to_pylist() == want[name].to_pylist(), name
    assert run.outcome == Outcome(1500, overflow=False)


def test_batches_have_exactly_the_promised_schema(engine, spelling, table):
    for batch in engine.run(plan(engine, spelling.every_row, table, COLUMNS), PLENTY, {}):
        assert batch.schema.equals(wire.arrow_schema(COLUMNS), check_metadata=True)


@pytest.mark.parametrize(
    ("maxrec", "rows", "overflow"), [(0, 0, True), (7, 7, True), (1499, 1499, True), (1500, 1500, False)]
)
def test_overflow_is_told_exactly(engine, spelling, table, maxrec, rows, overflow):
    run = engine.run(plan(engine, spelling.ordered, table, COUNT), Limits(maxrec, 60, 1 << 30), {})
    values = [v for b in run for v in b["n"].to_pylist()]
    assert values == sorted(values, reverse=True)
    assert run.outcome == Outcome(rows, overflow)


def test_cells_may_leave_out_parts_and_never_needed_ones(engine, spelling, table):
    for cells, least in ((((1100, 1200),), 101), ((), 0), (((0, 10**9),), 1500), (((499, 1000),), 2)):
        run = engine.run(plan(engine, spelling.count, table, COUNT, cells), PLENTY, {})
        (count,) = [v for b in run for v in b["n"].to_pylist()]
        assert least <= count <= 1500


def test_rows_in_memory_join_rows_on_disk(engine, spelling, table):
    mine = Table("TAP_UPLOAD", "mine", COLUMNS)
    run = engine.run(
        plan(engine, spelling.count, mine, COUNT), PLENTY, {"TAP_UPLOAD.mine": rows_of(0).slice(0, 33)}
    )
    assert [b["n"].to_pylist() for b in run] == [[33]]


def test_a_table_without_rows_has_its_columns(engine, spelling):
    empty = Table("s", "empty", COLUMNS, rows=0)
    run = engine.run(plan(engine, spelling.every_row, empty, COLUMNS), PLENTY, {})
    assert sum(b.num_rows for b in run) == 0
    assert run.outcome == Outcome(0, overflow=False)


def test_time_limit(engine, spelling, table):
    begin = time.monotonic()
    with pytest.raises(TooCostly, match=r"limit of 0\.2 s"):
        list(engine.run(plan(engine, spelling.endless, table, COUNT), Limits(1, 0.2, 1 << 30), {}))
    assert time.monotonic() - begin < 1.2


@pytest.mark.parametrize("how", ["cancel", "close"])
def test_stop_from_another_thread_within_a_second(engine, spelling, table, how):
    run = engine.run(plan(engine, spelling.endless, table, COUNT), PLENTY, {})
    timer = threading.Timer(0.2, getattr(run, how))
    timer.start()
    begin = time.monotonic()
    with pytest.raises(Cancelled):
        list(run)
    assert time.monotonic() - begin < 1.2
    assert run.outcome is None


def test_an_answer_is_iterated_once(engine, spelling, table):
    run = engine.run(plan(engine, spelling.count, table, COUNT), PLENTY, {})
    list(run)
    with pytest.raises(HouseError):
        list(run)
    run.close()
    run.close()


def test_another_dialect_is_refused(engine, table):
    with pytest.raises(HouseError):
        engine.run(Plan("esperanto", ("SELECT 1",), COUNT), PLENTY, {})


def test_a_missing_file_is_a_broken_release_without_its_path(engine, spelling, table, root):
    lost = Part(str(root / "lost.parquet"), 1, 1, "", 0, 1)
    with pytest.raises(SkygateError) as caught:
        list(
            engine.run(
                plan(engine, spelling.count, Table("s", "t", COLUMNS, parts=(lost,)), COUNT), PLENTY, {}
            )
        )
    assert caught.value.code == "broken_release"
    assert "lost" not in str(caught.value)


def test_eight_threads_get_their_own_answers(engine, spelling, table):
    got: dict[int, int] = {}

    def work(i: int) -> None:
        run = engine.run(plan(engine, spelling.ordered, table, COUNT), Limits(i + 1, 60, 1 << 30), {})
        got[i] = sum(b.num_rows for b in run)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert got == {i: i + 1 for i in range(8)}
