"""What comes out of DuckDB: rows, types, limits, and the parts that were read for them."""

import math
import threading
import time
from dataclasses import replace

import duckdb
import pyarrow as pa
import pytest
from tests.engines.conftest import PLENTY, STARS, STEP, part_of, plan, write_part

from skygate import wire
from skygate.domain.catalog import CELL_COLUMN, Column, Datatype, Table
from skygate.domain.query import Limits, Outcome, Plan, Source
from skygate.engines.duck import DuckEngine
from skygate.errors import BadQuery, BrokenRelease, Cancelled, HouseError, TooCostly

LONG = (Column("n", Datatype.LONG),)
REAL = (Column("x", Datatype.DOUBLE),)
FOREVER = "SELECT COUNT(*) FROM range(10000000) a, range(10000000) b WHERE (a.range * b.range) % 7 = 3"


def test_all_rows_of_all_parts_come_with_exact_types(ask):
    table = ask("SELECT id, ra, dec, mag, name, pair FROM {} AS s ORDER BY id", STARS)
    assert table.schema.equals(wire.arrow_schema(STARS), check_metadata=True)
    assert table.num_rows == 5000
    assert table.column("pair")[1].as_py() == [1, -1]
    assert table.column("pair")[3].as_py() is None
    assert table.column("name")[5].as_py() is None


def test_one_table_twice_and_common_tables(ask):
    text = "WITH f AS (SELECT id FROM {} AS s WHERE id < 10) SELECT COUNT(*) FROM f, {} AS b WHERE b.id=f.id"
    assert ask(text, LONG).to_pydict() == {"n": [10]}


def test_only_parts_whose_cells_overlap_are_read(stars, ask):
    chosen = Source(stars, ("id",), ((1500 * STEP, 1600 * STEP), (3999 * STEP, 3999 * STEP))).parts
    assert [p.path[-9:] for p in chosen] == ["1.parquet", "3.parquet"]
    inside = ask("SELECT COUNT(*) FROM {} AS s", LONG, cells=((1500 * STEP, 1600 * STEP),))
    assert inside.to_pydict() == {"n": [1000]}


def test_no_part_is_an_empty_relation_of_the_right_types(ask):
    nothing = ask(
        f"SELECT id, ra, dec, mag, name, pair FROM {{}} AS s WHERE {CELL_COLUMN} > 1", STARS, cells=()
    )
    assert nothing.num_rows == 0
    assert ask("SELECT COUNT(*) FROM {} AS s", LONG, cells=()).to_pydict() == {"n": [0]}


def test_maxrec_cuts_and_says_so(engine, stars):
    for maxrec, rows, overflow in (
        (0, 0, True),
        (4999, 4999, True),
        (5000, 5000, False),
        (9000, 5000, False),
    ):
        run = engine.run(plan("SELECT id FROM {} AS s", stars, LONG), replace(PLENTY, maxrec=maxrec), {})
        assert sum(b.num_rows for b in run) == rows
        assert run.outcome == Outcome(rows, overflow)


def test_an_order_survives_the_row_limit(engine, stars):
    made = plan("SELECT mag * 1000 - id FROM {} AS s ORDER BY 1 DESC", stars, REAL)
    got = pa.Table.from_batches(engine.run(made, replace(PLENTY, maxrec=1000), {}))["x"].to_pylist()
    assert got == sorted(got, reverse=True)


def test_tables_in_memory(engine, stars):
    names = Table("TAP_UPLOAD", "mine", (Column("n", Datatype.LONG),))
    source = Source(names, ("n",))
    made = Plan(
        "duckdb",
        ("SELECT u.n FROM ", source, " AS u JOIN ", Source(stars, ("id",)), " AS s ON s.id=u.n"),
        LONG,
    )
    run = engine.run(made, PLENTY, {"TAP_UPLOAD.mine": pa.table({"n": [5, 7, 99999]})})
    assert sorted(pa.Table.from_batches(run)["n"].to_pylist()) == [5, 7]


def test_wide_integers_and_decimals_are_fitted_or_refused(ask):
    assert ask("SELECT SUM(id) FROM {} AS s", LONG).to_pydict() == {"n": [5000 * 4999 // 2]}
    assert ask("SELECT 1.5 FROM {} AS s WHERE id = 1", REAL).to_pydict() == {"x": [1.5]}
    with pytest.raises(BadQuery, match="column n does not fit its type long"):
        ask("SELECT SUM(9223372036854775807) FROM {} AS s", LONG)


@pytest.mark.parametrize(
    ("expression", "columns", "message"),
    [
        ("CAST(name AS BIGINT)", LONG, "the text 'star 1' is not a value of type BIGINT"),
        (
            "9223372036854775807 + id",
            LONG,
            r"too large for type BIGINT in addition \(9223372036854775807 \+ 1\)",
        ),
        ("CAST(ra * 0 + 1e30 AS INTEGER)", LONG, "the value 1e\\+30 does not fit type INTEGER"),
        ("(SELECT a.range FROM range(3) AS a)", LONG, "gave more than one row"),
        ("LENGTH(REPEAT('x', 100000000000))", LONG, "longer than the engine can hold"),
    ],
)
def test_faults_of_values_are_the_callers_and_readable(ask, expression, columns, message):
    with pytest.raises((BadQuery, TooCostly), match=message) as caught:
        ask(f"SELECT {expression} FROM {{}} AS s WHERE id > 0", columns)
    assert "parquet" not in str(caught.value)


def test_division_by_zero_is_null(ask):
    assert ask("SELECT 1 // (id * 0) FROM {} AS s WHERE id = 1", LONG).to_pydict() == {"n": [None]}


def test_time_runs_out(ask):
    begin = time.monotonic()
    with pytest.raises(TooCostly, match=r"longer than the limit of 0\.3 s"):
        ask(FOREVER, LONG, limits=replace(PLENTY, seconds=0.3))
    assert time.monotonic() - begin < 1.3


def test_cancel_within_a_second_from_another_thread(engine, stars):
    run = engine.run(plan(FOREVER, stars, LONG), PLENTY, {})
    at: list[float] = []
    timer = threading.Timer(0.3, lambda: (at.append(time.monotonic()), run.cancel()))
    timer.start()
    with pytest.raises(Cancelled):
        list(run)
    assert time.monotonic() - at[0] < 1
    assert run.outcome is None


def test_cancel_before_the_start_and_while_paused(engine, stars):
    run = engine.run(plan("SELECT id FROM {} AS s", stars, LONG), PLENTY, {})
    run.cancel()
    with pytest.raises(Cancelled):
        list(run)
    run.close()
    paused = engine.run(plan("SELECT a.range FROM range(100000000) AS a", stars, LONG), PLENTY, {})
    rows = iter(paused)
    next(rows)
    paused.cancel()
    with pytest.raises(Cancelled):
        list(rows)


def test_memory_runs_out_and_the_next_query_works(releases, stars):
    engine = DuckEngine(releases, memory_bytes=64 << 20, threads=2, spill_bytes=1 << 20)
    try:
        text = "SELECT SUM(c) FROM (SELECT a.range % 4999999 k, COUNT(*) c FROM range(9000000) a GROUP BY k)"
        with pytest.raises(TooCostly, match=r"more (memory|room on disk) than one may have"):
            list(engine.run(plan(text, stars, LONG), replace(PLENTY, memory_bytes=32 << 20), {}))
        count = plan("SELECT COUNT(*) FROM {} AS s", stars, LONG)
        assert pa.Table.from_batches(engine.run(count, PLENTY, {})).to_pydict() == {"n": [5000]}
    finally:
        engine.close()


def test_what_exceeds_memory_spills(releases, stars):
    engine = DuckEngine(releases, memory_bytes=64 << 20, threads=2)
    try:
        text = (
            "SELECT MAX(s) FROM (SELECT ROW_NUMBER() OVER (ORDER BY HASH(a.range)) s FROM range(4000000) a) q"
        )
        assert (
            pa.Table.from_batches(engine.run(plan(text, stars, LONG), PLENTY, {}))["n"][0].as_py() == 4000000
        )
    finally:
        engine.close()


def test_an_answer_streams(engine, stars):
    run = engine.run(
        plan("SELECT a.range FROM range(3000000000) AS a", stars, LONG), replace(PLENTY, maxrec=10**10), {}
    )
    rows = iter(run)
    first = next(rows)
    assert 0 < first.num_rows < 1_000_000
    rows.close()  # type: ignore[attr-defined]
    assert run.outcome is None


def test_many_threads_read_the_same_parts(engine, stars):
    wrong: list[object] = []

    def work() -> None:
        for _ in range(5):
            run = engine.run(plan("SELECT SUM(ra + mag) FROM {} AS s", stars, REAL), PLENTY, {})
            wrong.append(pa.Table.from_batches(run)["x"][0].as_py())

    threads = [threading.Thread(target=work) for _ in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    expected = sum((i * 0.01) % 360 + i % 7 / 2 for i in range(5000))
    assert len(wrong) == 30
    assert all(math.isclose(x, expected) for x in wrong)


def test_nothing_stays_open_after_answers(engine, stars):
    run = engine.run(plan("SELECT id FROM {} AS s", stars, LONG), PLENTY, {})
    assert engine._files.leased == 5
    list(run)
    engine.run(plan("SELECT id FROM {} AS s", stars, LONG), PLENTY, {}).close()
    assert engine._files.leased == 0
    assert not engine._runs


def test_a_file_that_is_not_what_the_manifest_says(releases, engine):
    path = releases / "b/1/tables/t/x.parquet"
    good = write_part(path, 0)
    for damage in (path.read_bytes()[:-100], b"x" * good.size_bytes, None):
        path.unlink()
        if damage is not None:
            path.write_bytes(damage)
        table = Table("b", "t", STARS, parts=(good,))
        with pytest.raises(BrokenRelease) as caught:
            list(engine.run(plan("SELECT id FROM {} AS s", table, LONG), PLENTY, {}))
        assert str(releases) not in str(caught.value)


def test_an_answer_survives_the_removal_of_its_version(releases, engine):
    path = releases / "gone/1/tables/t/x.parquet"
    table = Table("gone", "t", STARS, parts=(write_part(path, 0),))
    run = engine.run(plan("SELECT id FROM {} AS s", table, LONG), PLENTY, {})
    path.unlink()
    assert sum(b.num_rows for b in run) == 1000


def test_links_out_of_the_releases_directory_are_not_followed(releases, engine, tmp_path):
    outside = tmp_path / "outside.parquet"
    write_part(outside, 0)
    link = releases / "b/1/tables/t/link.parquet"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside)
    for path in (link, outside, releases / ".." / "outside.parquet"):
        table = Table("b", "t", STARS, parts=(replace(part_of(outside), path=str(path)),))
        with pytest.raises(BrokenRelease):
            engine.run(plan("SELECT id FROM {} AS s", table, LONG), PLENTY, {})


def test_a_closed_engine_cancels_and_refuses(releases, stars):
    engine = DuckEngine(releases, memory_bytes=64 << 20, threads=2)
    run = engine.run(plan(FOREVER, stars, LONG), PLENTY, {})
    threading.Timer(0.2, engine.close).start()
    with pytest.raises(Cancelled):
        list(run)
    with pytest.raises(HouseError):
        engine.run(plan("SELECT id FROM {} AS s", stars, LONG), Limits(1, 1, 1), {})


def test_a_database_that_gave_up_is_opened_anew(releases, stars, monkeypatch):
    engine = DuckEngine(releases, memory_bytes=64 << 20, threads=1)
    try:
        run = engine.run(plan("SELECT COUNT(*) FROM {} AS s", stars, LONG), PLENTY, {})
        broken = duckdb.connect()
        broken.close()
        engine._databases._now = replace(engine._databases._now, database=broken)

        def fail(_):
            raise duckdb.FatalException("FATAL Error: database has been invalidated because of …")

        monkeypatch.setattr(type(run), "_reader", fail)
        with pytest.raises(HouseError, match="the engine failed"):
            list(run)
        monkeypatch.undo()
        assert engine._databases._now.database is not broken
        again = engine.run(plan("SELECT COUNT(*) FROM {} AS s", stars, LONG), PLENTY, {})
        assert pa.Table.from_batches(again).to_pydict() == {"n": [5000]}
    finally:
        engine.close()


def test_times_beyond_four_digits_are_null(engine):
    times = "['infinity', '-infinity', '99999-01-01', '0001-01-01', NULL, '9999-12-31']"
    text = f"SELECT unnest({times})::TIMESTAMP AS t"
    columns = (Column("t", Datatype.CHAR, arraysize="*", xtype="timestamp"),)
    found = pa.Table.from_batches(engine.run(Plan("duckdb", (text,), columns), PLENTY, {}))
    assert [t is not None for t in found["t"].to_pylist()] == [False, False, False, True, False, True]


def test_a_text_gathered_from_many_rows_is_bounded(engine, stars):
    from skygate.adql.lower_functions import TOO_LONG

    text = f"SELECT ERROR('{TOO_LONG}') AS id FROM {{}} AS s"
    with pytest.raises(TooCostly, match="60,000 bytes"):
        list(engine.run(plan(text, stars, LONG), PLENTY, {}))


def test_batches_of_wide_answers_have_fewer_rows(engine):
    for count, most in ((1, 65_536), (100, 20_971), (3000, 2048)):
        columns = tuple(Column(f"c{i}", Datatype.LONG) for i in range(count))
        picked = ", ".join(f"r.range + {i} AS c{i}" for i in range(count))
        run = engine.run(Plan("duckdb", (f"SELECT {picked} FROM range(70000) AS r",), columns), PLENTY, {})
        first = next(iter(run)).num_rows
        run.close()
        assert 0 < first <= most
