"""Queries as astronomers write them, over every construct of the standard: each one compiles and runs."""

from __future__ import annotations

from pathlib import Path

import pytest

STANDARD = (Path(__file__).parent / "cases" / "standard.adql").read_text().splitlines()


@pytest.mark.parametrize("query", STANDARD, ids=range(len(STANDARD)))
def test_a_standard_query_runs(world, query) -> None:
    plan = world.compile(query)
    answer = world.connection.sql(world.text(plan)).to_arrow_table()
    assert answer.column_names == [c.name for c in plan.columns]
