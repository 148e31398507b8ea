"""Running queries: places, limits, cancelling, logging. Plans are made by hand: ADQL has its own tests."""

import logging
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pyarrow as pa
import pytest

from releases_made import make_release
from skygate import wire
from skygate.domain.account import ANONYMOUS
from skygate.domain.catalog import Catalog, Column, Datatype
from skygate.domain.query import Outcome, Plan, Query, Source
from skygate.engines.duck import DuckEngine
from skygate.errors import BadParameter, BadQuery, Busy, NotFound, TooCostly
from skygate.ports import Rows
from skygate.services.bounds import Bounds
from skygate.services.places import Places
from skygate.services.queries import QueriesService
from skygate.services.releases import ReleasesService
from skygate.stores.releases import FolderReleases

BOUNDS = Bounds(
    seconds=20,
    default_maxrec=1_000,
    hard_maxrec=2_000,
    memory_bytes=256 << 20,
    spool_memory_bytes=1 << 20,
    spool_disk_bytes=1 << 30,
    room_memory_bytes=64 << 20,
    room_disk_bytes=1 << 30,
    max_query_bytes=10_000,
    max_positions=10,
    patience_s=0.2,
)
ENDLESS = "SELECT COUNT(*) FROM range(10000000) a, range(10000000) b WHERE (a.range * b.range) % 7 = 3"
SLOW = "SELECT a.range FROM range(100000000) a"
NUMBER = (Column("n", Datatype.LONG),)


def by_hand(text: str, catalog: Catalog, *, dialect: str) -> Plan:
    """SQL of the engine with tables written as [schema.table]; one column n."""
    if text.startswith("BAD"):
        raise BadQuery("not ADQL")
    pieces: list[str | Source] = []
    tables = {t.full_name: t for t in catalog.tables()}
    for i, piece in enumerate(re.split(r"\[(.+?)\]", text)):
        if i % 2:
            table = tables[piece]
            pieces.append(Source(table, tuple(c.name for c in table.columns)))
        else:
            pieces.append(piece)
    return Plan(dialect, tuple(pieces), NUMBER)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("root")
    make_release(made, rows=3_000)
    return made


@pytest.fixture(scope="module")
def engine(root: Path) -> Iterator[DuckEngine]:
    made = DuckEngine(root / "releases", memory_bytes=256 << 20, threads=2)
    yield made
    made.close()


@pytest.fixture
def places() -> Places:
    return Places(2, waiting=1, wait_s=0.2)


@pytest.fixture
def queries(root: Path, engine: DuckEngine, places: Places) -> QueriesService:
    return QueriesService(
        ReleasesService(FolderReleases(root)), engine, places, bounds=BOUNDS, compiler=by_hand
    )


def whole(rows: Rows) -> pa.Table:
    return pa.Table.from_batches(list(rows), wire.arrow_schema(rows.columns))


def ask(queries: QueriesService, text: str, maxrec: int | None = None) -> Rows:
    async def story() -> Rows:
        return await queries.run(ANONYMOUS, Query(text, maxrec))

    return anyio.run(story)


@pytest.mark.parametrize(
    ("maxrec", "rows", "overflow"),
    [(None, 1_000, True), (7, 7, True), (9_999, 2_000, True), (2_000, 2_000, True)],
)
def test_maxrec_has_a_default_and_a_ceiling(queries, maxrec, rows, overflow):
    answer = ask(queries, "SELECT id FROM [mini.stars] AS s", maxrec)
    assert whole(answer).num_rows == rows
    assert answer.outcome == Outcome(rows, overflow)


def test_a_short_answer_is_known_to_its_end_before_it_is_read(queries):
    answer = ask(queries, "SELECT COUNT(*) FROM [mini.stars] AS s")
    assert answer.outcome == Outcome(1, overflow=False)
    assert whole(answer)["n"].to_pylist() == [3_000]


def test_understanding_a_question_takes_from_its_time(queries, engine, places):
    def slowly(text: str, catalog: Catalog, *, dialect: str) -> Plan:
        time.sleep(0.6)
        return by_hand(text, catalog, dialect=dialect)

    bounds = replace(BOUNDS, seconds=1.0)
    late = QueriesService(queries._releases, engine, places, bounds=bounds, compiler=slowly)
    began = time.monotonic()
    with pytest.raises(TooCostly, match="limit of 1 s"):
        ask(late, ENDLESS)
    assert time.monotonic() - began < 1.5


def test_maxrec_0_is_columns_and_overflow_without_running(queries):
    begin = time.monotonic()
    answer = ask(queries, ENDLESS, 0)
    assert time.monotonic() - begin < 1
    assert answer.columns == NUMBER
    assert list(answer) == []
    assert answer.outcome == Outcome(0, overflow=True)


def test_tap_schema_is_asked_by_the_same_engine(queries):
    text = "SELECT COUNT(*) FROM [TAP_SCHEMA.columns] AS c WHERE c.table_name = 'mini.stars'"
    assert whole(ask(queries, text))["n"].to_pylist() == [14]


def test_faults_come_before_the_first_row(queries, places):
    for text, fault in (("BAD", BadQuery), ("SELECT CAST(name AS BIGINT) FROM [mini.stars] AS s", BadQuery)):
        with pytest.raises(fault):
            ask(queries, text)
    with pytest.raises(BadQuery, match="10000 are allowed"):
        ask(queries, "SELECT " + "1," * 10_000 + "1")
    with pytest.raises(BadParameter):
        ask(queries, "SELECT 1", -1)
    assert places.free == 2


def test_busy_when_every_place_and_the_line_are_taken(queries, places):
    async def story() -> None:
        async with anyio.create_task_group() as group:

            async def endless() -> None:
                with pytest.raises((Busy, TooCostly)):
                    await queries.run(ANONYMOUS, Query(ENDLESS))

            for _ in range(4):
                group.start_soon(endless)
            await anyio.sleep(0.1)
            with pytest.raises(Busy) as caught:
                await queries.run(ANONYMOUS, Query("SELECT 1"))
            assert caught.value.retry_after_s >= 1
            await anyio.sleep(0.4)
            group.cancel_scope.cancel()

    anyio.run(story)
    until = time.monotonic() + 1
    while places.free < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert places.free == 2


def test_cancelling_the_call_stops_the_query_within_a_second(queries, places, engine):
    async def story() -> None:
        with anyio.move_on_after(0.3):
            await queries.run(ANONYMOUS, Query(ENDLESS))

    begin = time.monotonic()
    anyio.run(story)
    while places.free < 2 and time.monotonic() < begin + 2:
        time.sleep(0.01)
    assert time.monotonic() - begin < 1.3
    assert not engine._runs


@pytest.fixture
def wide(queries: QueriesService, places: Places) -> QueriesService:
    bounds = replace(BOUNDS, hard_maxrec=10**8)
    return QueriesService(queries._releases, queries._engine, places, bounds=bounds, compiler=by_hand)


def test_closing_an_answer_that_is_being_made_frees_its_place(wide, places):
    answer = ask(wide, SLOW, 10**8)
    reader = iter(answer)
    next(reader)
    assert places.free == 1
    answer.close()
    until = time.monotonic() + 1
    while places.free < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert places.free == 2


def test_closing_waits_until_the_engine_has_let_go(wide, places, engine):
    answer = ask(wide, SLOW, 10**8)
    assert places.free == 1
    wide.close()
    assert answer.ended(0)
    assert places.free == 2
    assert not engine._runs


def test_a_slow_reader_does_not_hold_a_place(queries, places):
    answer = ask(queries, "SELECT id FROM [mini.stars] AS s", 2_000)
    until = time.monotonic() + 2
    while answer.outcome is None and time.monotonic() < until:
        time.sleep(0.01)
    assert places.free == 2
    assert whole(answer).num_rows == 2_000


def test_one_line_is_logged_for_each_query(queries, caplog):
    with caplog.at_level(logging.INFO, logger="skygate.query"):
        whole(ask(queries, "SELECT id FROM [mini.stars] AS s", 5))
        with pytest.raises(BadQuery):
            ask(queries, "BAD" + "x" * 5_000)
    good, bad = (r.fields for r in caplog.records if r.name == "skygate.query")
    assert good["user"] == "anonymous"
    assert (good["rows"], good["overflow"], good["kind"]) == (5, True, "adql")
    assert good["seconds"] >= 0
    assert "error" not in good
    assert bad["error"] == "bad_query"
    assert len(bad["query"]) == 2048


def test_check_says_what_would_be_read(queries):
    async def story():
        return await queries.check(ANONYMOUS, Query("SELECT a.id FROM [mini.stars] AS a, [mini.stars] AS b"))

    found = anyio.run(story)
    assert [t.full_name for t in found.tables] == ["mini.stars"]
    assert found.columns == NUMBER
    assert found.rows == 6_000
    assert found.files == 2 * len(found.tables[0].parts)
    assert 0 < found.bytes <= 2 * sum(p.size_bytes for p in found.tables[0].parts)


def test_a_new_version_is_taken_up_and_open_answers_finish_on_the_old_one(tmp_path):
    make_release(tmp_path, rows=1_500)
    engine = DuckEngine(tmp_path / "releases", memory_bytes=128 << 20, threads=1)
    store = FolderReleases(tmp_path)
    queries = QueriesService(
        ReleasesService(store), engine, Places(4, waiting=0, wait_s=0), bounds=BOUNDS, compiler=by_hand
    )
    count = "SELECT COUNT(*) FROM [mini.stars] AS s"
    # the old answer is held half-way: its join cannot end before the new version is in force
    hold = threading.Event()
    plain_run = engine.run

    def held(plan, limits, memory):
        run = plain_run(plan, limits, memory)
        hold.wait(10)
        return run

    engine.run = held  # type: ignore[method-assign]
    got: list[int] = []

    def old() -> None:
        got.extend(whole(ask(queries, "SELECT id FROM [mini.stars] AS s", 2_000))["n"].to_pylist())

    thread = threading.Thread(target=old)
    try:
        thread.start()
        time.sleep(0.3)
        engine.run = plain_run  # type: ignore[method-assign]
        make_release(tmp_path, rows=1_900)
        assert whole(ask(queries, count))["n"].to_pylist() == [1_900]
        store.prune("mini", keep=1)
        assert not (tmp_path / "releases" / "mini" / "1").exists()
        hold.set()
        thread.join(10)
        assert len(got) == 1_500
    finally:
        hold.set()
        thread.join(10)
        engine.close()


def test_questions_about_tables_that_cannot_answer(queries):
    async def story() -> None:
        from skygate.domain.sky import Circle, Position

        circle = Circle(Position(1, 2), 0.1)
        with pytest.raises(NotFound, match="no sky positions"):
            await queries.cone(ANONYMOUS, "mini.notes", circle)
        with pytest.raises(NotFound, match="did you mean `mag_g`"):
            await queries.cone(ANONYMOUS, "mini.stars", circle, columns=["mag_gg"])
        with pytest.raises(NotFound, match="no table"):
            await queries.cone(ANONYMOUS, "mini.nope", circle)
        for positions, message in (
            (pa.table({"ra": [1.0]}), "need one column dec"),
            (pa.table({"ra": [1.0], "dec": [91.0]}), "dec of position 0 is 91"),
            (pa.table({"ra": [1.0], "dec": ["x"]}), "type string"),
            (pa.table({"ra": [1.0] * 11, "dec": [1.0] * 11}), "at most 10"),
            (pa.table({"ra": [1.0], "dec": [1.0], "row": [1]}), "cannot be called 'row'"),
            (pa.table({"ra": [1.0], "dec": [1.0], "m": [{"a": 1}]}), "cannot be used"),
        ):
            with pytest.raises(BadParameter, match=message):
                await queries.crossmatch(ANONYMOUS, "mini.stars", positions, 0.1)
        with pytest.raises(BadParameter, match="radius"):
            await queries.crossmatch(ANONYMOUS, "mini.stars", pa.table({"ra": [1.0], "dec": [1.0]}), -1)

    anyio.run(story)
