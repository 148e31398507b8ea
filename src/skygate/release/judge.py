"""What a data manager should be told of a column, from what was measured of it and what is said of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from skygate.domain.catalog import Column, Stats, Table
from skygate.release.findings import Finding, counted
from skygate.release.legal import RESERVED
from skygate.release.measure import ArrayMeasure, Measure, NumberMeasure, TextMeasure
from skygate.release.ucds import ucd_problem
from skygate.release.units import normal_unit

MAGNITUDES = (-30.0, 40.0)
"""From the Sun's brightness to beyond the faintest thing ever seen."""
_SENTINEL = re.compile(r"-?(9{2,}(\.9*0*)?|9\.9{2,}|8{2,}\.?8*|1e\+?\d{2,})\Z")
_WHOLE_SENTINELS = frozenset({-(2**63), 2**63 - 1, -(2**31), 2**31 - 1, -(2**15), 2**15 - 1})


def bounds_of(column: Column) -> tuple[float, float] | None:
    """Between which numbers a column's values make sense, where its UCD and unit tell."""
    words = (column.ucd or "").lower().split(";")
    if "stat.error" in words:
        return 0.0, math.inf
    if column.unit == "deg" and words[0] in ("pos.eq.ra", "pos.galactic.lon", "pos.ecliptic.lon"):
        return 0.0, 360.0
    if column.unit == "deg" and words[0] in ("pos.eq.dec", "pos.galactic.lat", "pos.ecliptic.lat"):
        return -90.0, 90.0
    if words[0] == "phot.mag" or (column.unit == "mag" and not column.ucd):
        return MAGNITUDES
    return None


def judge_column(table: Table, column: Column, measure: Measure) -> Iterator[Finding]:
    """Everything worth telling about one column."""
    for severity, code, message, hint, count in _facts(column, measure, measure.stats()):
        yield Finding(severity, code, message, hint, table.name, column.name, count)


_Fact = tuple[str, str, str, str, int | None]


def _facts(column: Column, measure: Measure, stats: Stats) -> Iterator[_Fact]:
    yield from _vocabulary(column)
    name = column.name
    if name.lower() in RESERVED:
        hint = f'queries must write "{name}"; rename it with source = "{name}" under another name'
        yield "info", "reserved_name", f"{name} is a reserved word of ADQL", hint, None
    if not stats.rows:
        return
    if stats.nulls == stats.rows:
        hint = "drop = true leaves it out; or is a rule for nulls too broad?"
        yield "warning", "empty", "every value is null", hint, stats.rows
        return
    if stats.infinities:
        hint = "null_when, or nulls = [inf], if they mean that there is no value"
        yield (
            "warning",
            "infinities",
            f"{counted(stats.infinities, 'value')} infinite",
            hint,
            stats.infinities,
        )
    inner = measure.elements if isinstance(measure, ArrayMeasure) else measure
    if isinstance(inner, NumberMeasure):
        yield from _numbers(column, inner, stats)
    if isinstance(inner, TextMeasure):
        yield from _texts(column, inner)
    if stats.distinct == 1 and stats.rows > 1 and not (stats.nulls or stats.nans or stats.infinities):
        hint = "say it in the table's description and drop the column, if it tells nothing else"
        yield "info", "constant", f"every value is {_shown(stats.minimum)}", hint, stats.rows


def _numbers(column: Column, measure: NumberMeasure, stats: Stats) -> Iterator[_Fact]:
    explained = 0
    for value, count in ((stats.minimum, measure.at_minimum), (stats.maximum, measure.at_maximum)):
        if stats.distinct != 1 and _is_sentinel(value, count, measure):
            explained += count
            hint = f"if it means “missing”: nulls = [{_shown(value)}]"
            yield (
                "warning",
                "sentinel",
                f"{_shown(value)} stands in {counted(count, 'row')}, far from the rest",
                hint,
                count,
            )
    bounds = bounds_of(column)
    left = measure.outside - explained
    if bounds is None or left <= 0:
        return
    if bounds == MAGNITUDES:
        found = f"{_shown(stats.minimum)} to {_shown(stats.maximum)}"
        message = f"{counted(left, 'magnitude')} beyond −30 … 40 ({found})"
        yield "warning", "magnitude_range", message, "null_when, or another unit or UCD?", left
    elif math.isinf(bounds[1]):
        message = f"{counted(left, 'negative value')} (from {_shown(stats.minimum)})"
        yield "warning", "negative_error", message, "an error is not negative: nulls, or another UCD?", left
    else:
        message = (
            f"{counted(left, 'value')} beyond {bounds[0]:g} … {bounds[1]:g} degrees "
            f"({_shown(stats.minimum)} to {_shown(stats.maximum)})"
        )
        hint = "is the unit right? leave_out, or null_when, removes what is no position"
        yield "error", "position_range", message, hint, left


def _texts(column: Column, measure: TextMeasure) -> Iterator[_Fact]:
    is_sign = measure.pluses > 0 or (column.source_name or column.name).endswith("-")  # as in the CDS's DE-
    missing = measure.missing - (measure.minuses if is_sign else 0)
    if missing:
        hint = 'nulls = ["…"] makes them true nulls'
        yield (
            "warning",
            "text_for_null",
            f"{counted(missing, 'text')} like NULL, nan, N/A or -",
            hint,
            missing,
        )
    filled = measure.rows - measure.nulls
    if measure.empty and measure.empty < filled:
        hint = 'nulls = [""] makes them true nulls'
        yield "info", "empty_text", f"{counted(measure.empty, 'text')} empty", hint, measure.empty


def _is_sentinel(value: Any, count: int, measure: NumberMeasure) -> bool:
    """Whether a repeated extreme value looks like a code for “missing”: 99, -999, 99.99, 1e20, -32768 …"""
    if count < 2 or count == measure.finite or value is None:
        return False
    if isinstance(value, int):
        coded = value in _WHOLE_SENTINELS or bool(_SENTINEL.match(str(value)))
    else:
        coded = (
            bool(_SENTINEL.match(f"{value:g}")) or bool(_SENTINEL.match(repr(value))) or abs(value) >= 1e20
        )
    return coded and measure.histogram.gap_beside(float(value)) > 0.25


def _vocabulary(column: Column) -> Iterator[_Fact]:
    problem = normal_unit(column.unit)[1]
    if problem:
        hint = "see VOUnits: mas/yr, km/s, 10**-20.W/m**2, mag"
        yield "warning", "unit", problem, hint, None
    problem = ucd_problem(column.ucd)
    if problem:
        hint = "see the UCD list of the IVOA: pos.eq.ra;meta.main, phot.mag;em.opt.V"
        yield "error", "ucd", f"not a UCD: {problem}", hint, None


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.10g}"
    return f"“{value}”" if isinstance(value, str) else str(value)
