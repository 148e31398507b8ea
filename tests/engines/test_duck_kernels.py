"""Our vectorised functions, called by DuckDB."""

import gc
import math
import threading
import time
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.engines.conftest import PLENTY

from skygate.adql.kernels import KERNELS, Kernel
from skygate.domain.catalog import Column, Datatype
from skygate.domain.query import Mark, Plan
from skygate.engines.duck import DuckEngine
from skygate.errors import Cancelled, HouseError, TooCostly
from skygate.sky.cells import cell_of

REAL = (Column("x", Datatype.DOUBLE),)


def one(engine, expression, columns=REAL):
    head, *rest = expression.replace("(#, ", "(#").split("#")
    marked = [piece for part in rest for piece in (Mark.RUN_NUMBER, f", {part}")]
    run = engine.run(Plan("duckdb", (f"SELECT {head}", *marked, " AS x"), columns), PLENTY, {})
    return pa.Table.from_batches(run)["x"][0].as_py()


def test_every_kernel_is_registered(engine):
    assert {k.name for k in KERNELS} <= engine._gate.functions


def test_a_cell_is_the_cell(engine):
    want = int(cell_of(pa.array([10.5]).to_numpy(), pa.array([-20.25]).to_numpy())[0])
    assert one(engine, "sg_cell(#, 10.5, -20.25, 29)", (Column("x", Datatype.LONG),)) == want


def test_lists_go_in_and_out(engine):
    area = one(engine, "sg_area(#, sg_box(#, 10.0, 0.0, 2.0, 2.0))")
    assert math.isclose(area, 4.0, rel_tol=1e-2)


def test_nulls_reach_the_kernel(engine):
    assert one(engine, "sg_cell(#, NULL, 1.0, 29)", (Column("x", Datatype.LONG),)) in (None, -1)


def test_a_kernel_that_fails_is_our_fault_and_says_nothing_of_itself(releases):
    def broken(*_):
        raise RuntimeError("secret inside")

    engine = DuckEngine(
        releases,
        memory_bytes=64 << 20,
        threads=1,
        kernels=(Kernel("sg_broken", (pa.float64(),), pa.float64(), broken),),
    )
    try:
        with pytest.raises(HouseError) as caught:
            one(engine, "sg_broken(#, 1.0)")
        assert "secret" not in str(caught.value)
    finally:
        engine.close()


@pytest.fixture
def slow(releases, request):
    """An engine whose kernel takes a millisecond for each row; one thread, or as many as the test says."""

    def doubled(values):
        time.sleep(len(values) / 1000)
        return pc.multiply(values, 2.0)

    kernels = (Kernel("sg_slow", (pa.float64(),), pa.float64(), doubled),)
    threads = getattr(request, "param", 1)
    engine = DuckEngine(releases, memory_bytes=64 << 20, threads=threads, kernels=kernels)
    yield engine
    engine.close()


def slow_run(engine, rows, seconds):
    text = f", r.range::DOUBLE) AS x FROM range({rows}) AS r"
    plan = Plan("duckdb", ("SELECT sg_slow(", Mark.RUN_NUMBER, text), REAL)
    return engine.run(plan, replace(PLENTY, seconds=seconds), {})


def test_a_kernel_goes_in_steps_and_loses_no_row(slow):
    got = pa.Table.from_batches(slow_run(slow, 700, 60))["x"].to_pylist()
    assert got == [2.0 * n for n in range(700)]


def test_a_slow_kernel_keeps_the_limit_of_time(slow):
    began = time.monotonic()
    with pytest.raises(TooCostly, match=r"0\.5 s"):
        list(slow_run(slow, 100_000, 0.5))
    assert time.monotonic() - began < 1.5
    assert not slow._runs


def test_a_slow_kernel_is_cancelled_within_a_second(slow):
    run = slow_run(slow, 100_000, 60)
    threading.Timer(0.4, run.cancel).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        list(run)
    assert time.monotonic() - began < 1.4


@pytest.mark.parametrize("slow", [2], indirect=True)
def test_a_slow_kernel_stops_while_another_one_may_go_on(slow):
    other = slow_run(slow, 1500, 60)
    thread = threading.Thread(target=list, args=(other,))
    thread.start()
    began = time.monotonic()
    with pytest.raises(TooCostly):
        list(slow_run(slow, 100_000, 0.3))
    assert time.monotonic() - began < 1.2
    assert slow._runs
    thread.join()
    assert other.outcome is not None
    assert other.outcome.rows == 1500


def test_what_was_spent_before_counts(slow):
    limits = replace(PLENTY, seconds=30, spent_s=29.7)
    plan = Plan(
        "duckdb", ("SELECT sg_slow(", Mark.RUN_NUMBER, ", r.range::DOUBLE) FROM range(9000) AS r"), REAL
    )
    began = time.monotonic()
    with pytest.raises(TooCostly, match="limit of 30 s"):
        list(slow.run(plan, limits, {}))
    assert time.monotonic() - began < 1.5


def test_functions_outlive_the_database_that_is_replaced_while_they_are_called(releases):
    """Without its connection a database's functions are gone: the process would die."""

    def doubled(values):
        time.sleep(len(values) / 2000)
        return pc.multiply(values, 2.0)

    for _ in range(3):
        engine = DuckEngine(
            releases,
            memory_bytes=64 << 20,
            threads=2,
            kernels=(Kernel("sg_slow", (pa.float64(),), pa.float64(), doubled),),
        )
        run = slow_run(engine, 4000, 60)
        found: list[pa.RecordBatch] = []
        thread = threading.Thread(target=lambda run=run, found=found: found.extend(run))
        thread.start()
        time.sleep(0.2)
        engine._databases._reopen()
        gc.collect()
        filler = [bytearray(64) for _ in range(100_000)]  # what was freed is written over
        thread.join()
        assert pa.Table.from_batches(found)["x"].to_pylist() == [2.0 * n for n in range(4000)]
        assert run.outcome is not None
        del filler
        engine.close()
