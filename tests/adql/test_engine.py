"""Every plan of the cases passes the engine's own wall and has the rows that it should have."""

from __future__ import annotations

import pytest

from skygate.adql.kernels import KERNELS
from skygate.domain.query import Limits
from skygate.engines.duck import DuckEngine
from skygate.errors import BadQuery

LIMITS = Limits(maxrec=1000, seconds=20.0, memory_bytes=256 << 20)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    engine = DuckEngine(
        tmp_path_factory.mktemp("releases"), memory_bytes=256 << 20, threads=1, kernels=KERNELS
    )
    yield engine
    engine.close()


def test_the_engine_runs_what_the_cases_say(case, world, tables, engine) -> None:
    if case.refusal is not None:
        return
    plan = world.compile(case.query)
    run = engine.run(plan, LIMITS, tables)
    assert sum(batch.num_rows for batch in run) == len(world.rows(case.query)) or "TABLESAMPLE" in case.query


_LARGEST = "CASE WHEN id > 3 THEN 9223372036854775807 ELSE 1 END"


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT SUM({_LARGEST}) FROM stars",
        f"SELECT 1 + SUM({_LARGEST}) AS s FROM stars",
        f"SELECT SUM({_LARGEST}) OVER (ORDER BY id) FROM stars",
        "SELECT good FROM stars GROUP BY good HAVING SUM(9223372036854775807 - id) > 0",
        f"SELECT s FROM (SELECT SUM({_LARGEST}) AS s FROM stars) AS t WHERE s > 0",
    ],
)
def test_a_sum_beyond_64_bits_is_refused(query, world, tables, engine) -> None:
    with pytest.raises(BadQuery, match=r"a sum of integers, \d{19,}, exceeds 64 bits") as caught:
        list(engine.run(world.compile(query), LIMITS, tables))
    assert "SUM(CAST(x AS DOUBLE PRECISION))" in (caught.value.hint or "")
