"""Our vectorised functions, called by DuckDB."""

import math

import pyarrow as pa
import pytest
from tests.engines.conftest import PLENTY

from skygate.adql.kernels import KERNELS, Kernel
from skygate.domain.catalog import Column, Datatype
from skygate.domain.query import Plan
from skygate.engines.duck import DuckEngine
from skygate.errors import HouseError
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
