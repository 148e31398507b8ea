"""Our vectorised functions, called by DuckDB."""

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
from skygate.domain.query import Plan
from skygate.engines.duck import DuckEngine
from skygate.errors import Cancelled, HouseError, TooCostly
from skygate.sky.cells import cell_of

REAL = (Column("x", Datatype.DOUBLE),)


def one(engine, expression, columns=REAL):
    run = engine.run(Plan("duckdb", (f"SELECT {expression} AS x",), columns), PLENTY, {})
    return pa.Table.from_batches(run)["x"][0].as_py()


def test_every_kernel_is_registered(engine):
    assert {k.name for k in KERNELS} <= engine._functions


def test_a_cell_is_the_cell(engine):
    want = int(cell_of(pa.array([10.5]).to_numpy(), pa.array([-20.25]).to_numpy())[0])
    assert one(engine, "sg_cell(10.5, -20.25, 29)", (Column("x", Datatype.LONG),)) == want


def test_lists_go_in_and_out(engine):
    area = one(engine, "sg_area(sg_box(10.0, 0.0, 2.0, 2.0))")
    assert math.isclose(area, 4.0, rel_tol=1e-2)


def test_nulls_reach_the_kernel(engine):
    assert one(engine, "sg_cell(NULL, 1.0, 29)", (Column("x", Datatype.LONG),)) in (None, -1)


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
            one(engine, "sg_broken(1.0)")
        assert "secret" not in str(caught.value)
    finally:
        engine.close()


@pytest.fixture
def slow(releases):
    """An engine whose kernel takes a millisecond for each row."""

    def doubled(values):
        time.sleep(len(values) / 1000)
        return pc.multiply(values, 2.0)

    kernels = (Kernel("sg_slow", (pa.float64(),), pa.float64(), doubled),)
    engine = DuckEngine(releases, memory_bytes=64 << 20, threads=1, kernels=kernels)
    yield engine
    engine.close()


def slow_run(engine, rows, seconds):
    text = f"SELECT sg_slow(r.range::DOUBLE) AS x FROM range({rows}) AS r"
    return engine.run(Plan("duckdb", (text,), REAL), replace(PLENTY, seconds=seconds), {})


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
