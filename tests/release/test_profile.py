"""What is measured of a table while it is published."""

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from skygate.domain.catalog import CELL_COLUMN, Column, Datatype, SkyPosition, Stats, Table
from skygate.release.findings import Finding
from skygate.release.profile import SKY_ORDER, Profile, TableProfile
from skygate.sky.cells import cell_of
from skygate.wire import arrow_schema, from_json, to_json


def column(name: str, datatype: Datatype, **said: Any) -> Column:
    return Column(name, datatype, description="A column.", **said)


def profile_of(
    data: dict[str, Any], *columns: Column, batches: int = 3, scratch: Path | None = None, **said: Any
) -> TableProfile:
    table = Table("r", "t", columns, **said)
    rows = pa.table(
        [
            pa.array(data[c.name], f.type, from_pandas=False)
            for c, f in zip(columns, arrow_schema(columns), strict=True)
        ],
        schema=arrow_schema(columns),
    )
    if CELL_COLUMN in data:
        rows = rows.append_column(CELL_COLUMN, pa.array(data[CELL_COLUMN], pa.int64()))
    profile = Profile(table, scratch=scratch)
    for batch in rows.to_batches(max_chunksize=max(1, -(-len(rows) // batches))):
        profile.add(batch)
    return profile.finish()


def codes(profile: TableProfile, name: str | None = None) -> set[str]:
    return {f.code for f in profile.findings if name is None or f.column == name}


def found(profile: TableProfile, code: str) -> Finding:
    return next(f for f in profile.findings if f.code == code)


def test_numbers_are_counted_and_summed() -> None:
    values = [1.5, None, math.nan, -2.0, math.inf, 4.0, -math.inf, 4.0]
    stats = profile_of({"x": values}, column("x", Datatype.DOUBLE)).stats["x"]
    assert (stats.rows, stats.nulls, stats.nans, stats.infinities) == (8, 1, 1, 2)
    assert (stats.minimum, stats.maximum, stats.distinct) == (-2.0, 4.0, 3)
    assert stats.mean == pytest.approx((1.5 - 2 + 4 + 4) / 4)
    assert sum(stats.histogram) == 4


def test_whole_numbers_stay_exact() -> None:
    big = 2**62 + 1
    stats = profile_of({"n": [big, 7, None]}, column("n", Datatype.LONG)).stats["n"]
    assert (stats.minimum, stats.maximum) == (7, big)
    flags = profile_of({"n": [0, 1, 1, 3]}, column("n", Datatype.UNSIGNED_BYTE)).stats["n"]
    assert flags.histogram == (1, 2, 0, 1)
    assert (flags.histogram_low, flags.histogram_high) == (0.0, 4.0)


def test_single_precision_is_shown_as_it_is_written() -> None:
    stats = profile_of({"x": [9.2, 1.1]}, column("x", Datatype.FLOAT)).stats["x"]
    assert (stats.minimum, stats.maximum) == (1.1, 9.2)


def test_texts_times_truths_and_arrays() -> None:
    data = {
        "s": ["beta", "", None, "alpha", "x" * 300],
        "t": np.array(
            ["2016-01-01T00:00:00", "2020-06-01T12:30:00.5", "NaT", "2017-01-01", "2018-01-01"],
            "datetime64[us]",
        ),
        "b": [True, None, False, True, True],
        "a": [[1.0, 2.0], [math.nan, 8.0], None, [3.0, 4.0], [0.5, 1.0]],
    }
    stats = profile_of(
        data,
        column("s", Datatype.CHAR, arraysize="*"),
        column("t", Datatype.CHAR, arraysize="*", xtype="timestamp"),
        column("b", Datatype.BOOLEAN),
        column("a", Datatype.DOUBLE, arraysize="2"),
    ).stats
    assert (stats["s"].minimum, stats["s"].distinct, stats["s"].nulls) == ("", 4, 1)
    assert isinstance(stats["s"].maximum, str)
    assert len(stats["s"].maximum) == 80
    assert (stats["t"].minimum, stats["t"].maximum) == ("2016-01-01T00:00:00", "2020-06-01T12:30:00.500000")
    assert (stats["b"].mean, stats["b"].distinct, stats["b"].nulls) == (0.75, 2, 1)
    assert (stats["a"].rows, stats["a"].nulls, stats["a"].nans) == (5, 1, 1)
    assert (stats["a"].minimum, stats["a"].maximum) == (0.5, 8.0)


@pytest.mark.parametrize("order", ["sorted", "shuffled", "outlier first"])
def test_a_histogram_does_not_depend_on_the_order_of_rows(order: str) -> None:
    rng = np.random.default_rng(1)
    values = np.sort(rng.normal(20.0, 2.0, 20_000))
    if order == "shuffled":
        rng.shuffle(values)
    if order == "outlier first":
        values = values[::-1]
    stats = profile_of({"x": values}, column("x", Datatype.DOUBLE), batches=7).stats["x"]
    assert stats.histogram_low is not None
    assert stats.histogram_high is not None
    expected, _ = np.histogram(values, len(stats.histogram), (stats.histogram_low, stats.histogram_high))
    assert list(stats.histogram) == list(expected)
    assert sum(stats.histogram) == 20_000
    assert 16 <= len(stats.histogram) <= 48


def test_a_far_outlier_does_not_flatten_the_picture() -> None:
    values = np.append(np.random.default_rng(2).normal(0.0, 1.0, 5_000), [1e6])
    stats = profile_of({"x": values}, column("x", Datatype.DOUBLE)).stats["x"]
    assert stats.maximum == 1e6
    assert stats.histogram_high is not None
    assert stats.histogram_high < 5_000
    huge = profile_of({"x": [1e300, -1e300, 1e-300, 0.0]}, column("x", Datatype.DOUBLE)).stats["x"]
    assert sum(huge.histogram) == 4


def test_many_different_values_are_not_counted() -> None:
    stats = profile_of({"n": np.arange(5_000)}, column("n", Datatype.INT)).stats["n"]
    assert stats.distinct is None


@pytest.mark.parametrize("kind", ["numbers", "texts"])
@pytest.mark.parametrize("held", [None, 500])
def test_duplicate_identifiers_are_counted_exactly(
    kind: str, held: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if held:
        monkeypatch.setattr(
            "skygate.release.identifiers.Identifiers.__init__.__kwdefaults__", {"scratch": None, "held": held}
        )
    rng = np.random.default_rng(3)
    numbers = rng.permutation(np.r_[np.arange(-3_000, 3_000), [5, 5, -17]])
    values = numbers if kind == "numbers" else [f"object number {n}" * (1 + n % 3) for n in numbers]
    datatype, arraysize = (Datatype.LONG, None) if kind == "numbers" else (Datatype.CHAR, "*")
    profile = profile_of(
        {"id": values},
        column("id", datatype, arraysize=arraysize),
        batches=9,
        scratch=tmp_path,
        identifier="id",
    )
    assert profile.stats["id"].distinct == 6_000
    duplicates = found(profile, "duplicates")
    assert (duplicates.severity, duplicates.count, duplicates.column) == ("error", 3, "id")
    if kind == "numbers":
        assert "-17, 5" in duplicates.message
    assert list(tmp_path.iterdir()) == []


def test_texts_that_begin_alike_are_different() -> None:
    values = ["", "a", "aa", "a" * 8, "a" * 9, "a" * 16, "a\0", "a" * 7 + "b", "12345678", "123456789"]
    profile = profile_of(
        {"id": values}, column("id", Datatype.CHAR, arraysize="*"), batches=2, identifier="id"
    )
    assert "duplicates" not in codes(profile)
    assert profile.stats["id"].distinct == len(values)


def test_identifiers_that_are_null_are_told() -> None:
    profile = profile_of({"id": [1, None, 2]}, column("id", Datatype.LONG), identifier="id")
    assert found(profile, "no_identifier").count == 1


def noise(count: int, mean: float, width: float) -> list[float]:
    return list(np.random.default_rng(4).normal(mean, width, count))


@pytest.mark.parametrize("code", [99.0, -99.0, -999.0, 99.99, 9999.0, 1e20])
def test_a_number_that_stands_for_missing_is_suspected(code: float) -> None:
    profile = profile_of(
        {"m": [*noise(500, 18, 2), code, code, code]}, column("m", Datatype.DOUBLE, unit="mag")
    )
    finding = found(profile, "sentinel")
    assert (finding.severity, finding.count) == ("warning", 3)
    assert f"nulls = [{code:.10g}]" in finding.hint
    assert "magnitude_range" not in codes(profile)


@pytest.mark.parametrize(
    "values",
    [
        [*range(100), 99, 99],  # a percentage
        [*noise(100, 18, 2), 25.0, 25.0],  # not a code
        [*noise(100, 18, 2), 99.0],  # once
        [99.0] * 50,  # a constant
    ],
)
def test_ordinary_numbers_are_not_suspected(values: list[float]) -> None:
    assert "sentinel" not in codes(profile_of({"x": values}, column("x", Datatype.DOUBLE)))


def test_the_most_negative_whole_number_is_suspected() -> None:
    profile = profile_of({"n": [*range(50), -32768, -32768]}, column("n", Datatype.SHORT))
    assert "nulls = [-32768]" in found(profile, "sentinel").hint


def test_values_that_cannot_be_are_told() -> None:
    profile = profile_of(
        {
            "m": [10.0, 45.5, -31.0],
            "e_m": [0.1, -0.2, 0.3],
            "lon": [0.0, 361.0, 12.0],
            "colour": [1.0, 45.0, -50.0],
        },
        column("m", Datatype.DOUBLE, unit="mag", ucd="phot.mag;em.opt.V"),
        column("e_m", Datatype.DOUBLE, unit="mag", ucd="stat.error;phot.mag"),
        column("lon", Datatype.DOUBLE, unit="deg", ucd="pos.galactic.lon"),
        column("colour", Datatype.DOUBLE, unit="mag", ucd="phot.color;em.opt.B;em.opt.V"),
    )
    told = {(f.code, f.column, f.count, f.severity) for f in profile.findings}
    assert told == {
        ("magnitude_range", "m", 2, "warning"),
        ("negative_error", "e_m", 1, "warning"),
        ("position_range", "lon", 1, "error"),
    }


def test_empty_constant_and_doubtful_columns_are_told() -> None:
    profile = profile_of(
        {
            "e": [None] * 3,
            "c": [7] * 3,
            "t": ["NULL", "a", "b"],
            "i": [1.0, math.inf, 2.0],
            "date": [1, 2, 3],
        },
        column("e", Datatype.INT),
        column("c", Datatype.INT),
        column("t", Datatype.CHAR, arraysize="*"),
        column("i", Datatype.DOUBLE),
        column("date", Datatype.INT),
    )
    assert {"empty"} <= codes(profile, "e")
    assert {"constant"} <= codes(profile, "c")
    assert {"text_for_null"} <= codes(profile, "t")
    assert {"infinities"} <= codes(profile, "i")
    assert {"reserved_name"} <= codes(profile, "date")
    severities = [f.severity for f in profile.findings]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)


def test_units_and_ucds_are_checked() -> None:
    profile = profile_of(
        {"a": [1.0], "b": [1.0], "c": [1.0]},
        column("a", Datatype.DOUBLE, unit="mas/yr", ucd="pos.pm;pos.eq.ra"),
        column("b", Datatype.DOUBLE, unit="furlongs/fortnight"),
        column("c", Datatype.DOUBLE, unit="mag", ucd="phot.magnitude"),
    )
    assert codes(profile, "a") == set()
    assert found(profile, "unit").column == "b"
    assert (found(profile, "ucd").column, found(profile, "ucd").severity) == ("c", "error")


def test_the_sky_is_counted() -> None:
    ra, dec = np.array([10.0, 10.001, 200.0, np.nan]), np.array([-5.0, -5.0, 60.0, 2.0])
    cells = cell_of(ra, dec)
    profile = profile_of(
        {"ra": ra, "dec": dec, CELL_COLUMN: cells},
        column("ra", Datatype.DOUBLE, unit="deg", ucd="pos.eq.ra;meta.main"),
        column("dec", Datatype.DOUBLE, unit="deg", ucd="pos.eq.dec;meta.main"),
        position=SkyPosition("ra", "dec"),
    )
    assert profile.sky is not None
    counts = np.array(profile.sky.counts)
    assert (len(counts), counts.sum()) == (12 * 4**SKY_ORDER, 3)
    assert counts[cell_of([10.0], [-5.0], SKY_ORDER)[0]] == 2
    assert (profile.without_position, found(profile, "no_position").severity) == (1, "info")


def test_a_table_without_rows_is_an_error() -> None:
    assert found(profile_of({"x": []}, column("x", Datatype.DOUBLE)), "no_rows").severity == "error"


def test_a_profile_survives_the_journey_through_json() -> None:
    profile = profile_of({"x": [1.0, 2.0]}, column("x", Datatype.DOUBLE))
    again = from_json(TableProfile, to_json(profile))
    assert again == profile
    assert isinstance(again.stats["x"], Stats)


def test_measuring_keeps_pace() -> None:
    rng = np.random.default_rng(5)
    rows = 131_072
    columns = (
        *(column(f"f{i}", Datatype.FLOAT, unit="mag") for i in range(6)),
        *(column(f"d{i}", Datatype.DOUBLE) for i in range(6)),
        *(column(f"n{i}", Datatype.LONG) for i in range(4)),
    )
    data = [
        pa.array(
            rng.normal(size=rows).astype(np.float32)
            if c.datatype is Datatype.FLOAT
            else rng.normal(size=rows)
            if c.datatype is Datatype.DOUBLE
            else rng.integers(0, 2**60, rows)
        )
        for c in columns
    ]
    batch = pa.record_batch(data, schema=arrow_schema(columns))
    profile = Profile(Table("r", "t", columns, identifier="n0"))
    profile.add(batch)
    start = time.process_time()
    for _ in range(4):
        profile.add(batch)
    spent = time.process_time() - start
    values_per_s = 4 * rows * len(columns) / spent
    assert values_per_s > 4_000_000


def test_a_column_that_also_holds_infinities_has_no_one_value() -> None:
    for values in ([0.0, math.inf, 0.0], [11.0, -math.inf], [math.nan, 1.0], [math.inf, math.inf]):
        assert "constant" not in codes(profile_of({"x": values}, column("x", Datatype.DOUBLE)))
    assert "constant" in codes(profile_of({"x": [11.0, 11.0]}, column("x", Datatype.DOUBLE)))


@pytest.mark.parametrize("texts", [["+", "-", None, "-"], ["-", "+"], ["-", "N/A", "+", "-"]])
def test_a_sign_is_no_missing_text(texts: list[str]) -> None:
    profile = profile_of({"sign": texts}, column("sign", Datatype.CHAR, arraysize="*"))
    missing = texts.count("N/A")
    assert ("text_for_null" in codes(profile)) == bool(missing)
    if missing:
        assert found(profile, "text_for_null").count == missing


def test_the_sign_column_of_the_cds_may_hold_minus_signs_only() -> None:
    sign = column("de", Datatype.CHAR, arraysize="*", source_name="DE-")
    assert "text_for_null" not in codes(profile_of({"de": ["-", None, "-"]}, sign))
    other = column("note", Datatype.CHAR, arraysize="*")
    assert found(profile_of({"note": ["-", "a", "-"]}, other), "text_for_null").count == 2
