"""Whatever values a column holds, it is measured, reported and drawn without a fault or a warning."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from skygate.domain.catalog import Column, Datatype, Release, Table
from skygate.release.profile import Profile
from skygate.release.report import TableReport, make_report
from skygate.release.report_page import render
from skygate.wire import arrow_schema

REALS = [float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 1e-40, 1e38, -1e38, 1.5, 99.0]
DOUBLES = [*REALS, 1.7e308, -1.7e308, 5e-324]
TEXTS = ["", " ", "a", "NULL", "é😀", "x" * 100, "</td><script>"]


def some(kind: pa.DataType, rng: np.random.Generator) -> Any:
    if rng.random() < 0.15:
        return None
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind):
        length = kind.list_size if pa.types.is_fixed_size_list(kind) else int(rng.integers(0, 4))
        return [some(kind.value_type, rng) for _ in range(length)]
    if pa.types.is_boolean(kind):
        return bool(rng.random() < 0.5)
    if pa.types.is_integer(kind):
        bits, signed = kind.bit_width, pa.types.is_signed_integer(kind)
        ends = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        return [*ends, 0, 1, 99][rng.integers(5)]
    if pa.types.is_floating(kind):
        values = DOUBLES if kind.bit_width == 64 else REALS
        return values[rng.integers(len(values))]
    if pa.types.is_string(kind):
        return TEXTS[rng.integers(len(TEXTS))]
    return int(rng.integers(-(10**17), 10**17))


def a_column(number: int, rng: np.random.Generator) -> Column:
    datatype = list(Datatype)[rng.integers(len(Datatype))]
    arraysize = "*" if datatype.is_text else [None, None, "*", "2"][rng.integers(4)]
    return Column(
        f"c{number}",
        datatype,
        arraysize=arraysize,
        xtype="timestamp" if datatype.is_text and rng.random() < 0.3 else None,
        unit=[None, "mag", "deg", "no unit"][rng.integers(4)],
        ucd=[None, "phot.mag", "pos.eq.ra", "stat.error", "x.y"][rng.integers(5)],
    )


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.filterwarnings("error")
def test_anything_can_be_measured(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns = tuple(a_column(i, rng) for i in range(4))
    first = columns[0]
    plain = not (first.is_array or first.xtype or first.datatype is Datatype.BOOLEAN)
    table = Table("r", "t", columns, identifier="c0" if plain else None)
    schema = arrow_schema(columns)
    profile = Profile(table)
    rows = 0
    for size in rng.integers(0, 30, 4):
        data = [pa.array([some(f.type, rng) for _ in range(size)], f.type) for f in schema]
        profile.add(pa.record_batch(data, schema=schema))
        rows += int(size)
    measured = profile.finish()
    assert {s.rows for s in measured.stats.values()} == {rows}
    report = make_report(Release("r", "1", "T"), [TableReport(table, measured, rows)])
    again = json.loads(json.dumps(report, allow_nan=False))
    assert "<script>" not in render(again)
