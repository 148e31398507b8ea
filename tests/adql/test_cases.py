"""Every case of cases/*.txt: a query and the text for the engine, the rows, or the refusal."""

from __future__ import annotations

import datetime
import math

import pyarrow as pa
import pytest
from tests.adql.in_duckdb import spelled

from skygate import wire
from skygate.errors import BadQuery


def plain(value):
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def same(a, b) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
    return a == b


def check_types(plan, world, query: str) -> None:
    """The engine's types are those that the plan promises."""
    promised = [wire.arrow_type(c) for c in plan.columns]
    for column, kind in zip(promised, world.types(query), strict=True):
        if pa.types.is_list(column) or pa.types.is_fixed_size_list(column):
            assert kind.value_type == column.value_type
        else:
            assert kind == column


def test_case(case, world) -> None:
    if case.refusal is not None:
        with pytest.raises(BadQuery) as caught:
            world.compile(case.query)
        fault = caught.value
        assert f"{fault.where.line}:{fault.where.column} {fault.message}" == case.refusal
        return
    plan = world.compile(case.query)
    if case.sql is not None:
        shown = spelled(plan, lambda table: table.full_name)
        assert shown == case.sql
    check_types(plan, world, case.query)
    answer = [plain(row) for row in world.rows(case.query)]
    if case.rows is not None:
        assert same(answer, case.rows), answer
