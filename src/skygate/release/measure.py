"""What is measured of one column while its values stream by: one measurer for each kind of value.

Must not know: what is good or bad; `judge` decides that.
"""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions when it is imported, where no type checker sees them.

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skygate.domain.catalog import Column, Stats
from skygate.release.histogram import Histogram

DISTINCT = 1_000
"""Different values are counted up to so many."""
TEXT_SHOWN = 80
"""Longest least and greatest text that is kept."""
MISSING_TEXTS = (
    "null",
    "NULL",
    "Null",
    "nan",
    "NaN",
    "NAN",
    "N/A",
    "n/a",
    "NA",
    "None",
    "none",
    "-",
    "--",
    "?",
)
"""Texts that are more often a missing value than a value."""


class Measure(Protocol):
    """Takes a column batch by batch; `stats` tells what was measured so far."""

    def add(self, values: pa.Array) -> None:
        """Measure a batch, nulls and all."""
        ...

    def stats(self) -> Stats:
        """What was measured."""
        ...


def measure_of(column: Column, bounds: tuple[float, float] | None = None) -> Measure:
    """The measurer for a column; numbers outside `bounds` are counted."""
    if column.is_array:
        return ArrayMeasure(column, bounds)
    if column.xtype == "timestamp":
        return TimeMeasure()
    if column.datatype.is_text:
        return TextMeasure()
    if column.datatype.is_number:
        return NumberMeasure(whole=column.datatype.is_integer, bounds=bounds)
    return TruthMeasure()


class Distinct:
    """Different values, while they are few."""

    def __init__(self, limit: int = DISTINCT) -> None:
        self._limit = limit
        self._known: pa.Array | None = None
        self._few = True

    def add(self, values: pa.Array) -> None:
        """Note a batch without nulls."""
        if not self._few or not len(values):
            return
        found = values.unique()
        if self._known is not None:
            found = pa.concat_arrays([self._known, found]).unique()
        self._few = len(found) <= self._limit
        self._known = found if self._few else None

    @property
    def count(self) -> int | None:
        """How many, None when there are more than the limit."""
        if not self._few:
            return None
        return 0 if self._known is None else len(self._known)


class NumberMeasure:
    """Whole and real numbers."""

    def __init__(self, *, whole: bool, bounds: tuple[float, float] | None = None) -> None:
        self.rows = self.nulls = self.nans = self.infinities = self.finite = 0
        self.minimum: Any = None
        self.maximum: Any = None
        self.at_minimum = self.at_maximum = 0
        self.outside = 0
        self.histogram = Histogram(whole=whole)
        self._sum = 0.0
        self._whole = whole
        self._bounds = bounds
        self._distinct = Distinct()

    def add(self, values: pa.Array) -> None:
        """Measure a batch."""
        self.rows += len(values)
        self.nulls += values.null_count
        if values.null_count:
            values = values.drop_null()
        numbers = values.to_numpy(zero_copy_only=False)
        if self._whole:
            self._sum += float(numbers.sum(dtype=np.float64))
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                total = float(numbers.sum(dtype=np.float64))
            if not math.isfinite(total):
                good = np.isfinite(numbers)
                nans = int(np.count_nonzero(np.isnan(numbers)))
                self.nans += nans
                self.infinities += len(numbers) - int(np.count_nonzero(good)) - nans
                numbers = numbers[good]
                values = pa.array(numbers)
                with np.errstate(over="ignore", invalid="ignore"):
                    total = float(numbers.sum(dtype=np.float64))
            self._sum += total
        if not len(numbers):
            return
        self.finite += len(numbers)
        low, high = numbers.min(), numbers.max()
        self._extremes(numbers, low, high)
        if self._bounds is not None and (low < self._bounds[0] or high > self._bounds[1]):
            self.outside += int(np.count_nonzero((numbers < self._bounds[0]) | (numbers > self._bounds[1])))
        reals = numbers.astype(np.float64, copy=False)
        self.histogram.add(reals, float(low), float(high))
        self._distinct.add(values)

    def _extremes(self, numbers: np.ndarray[Any, Any], low: Any, high: Any) -> None:
        if self.minimum is None or low <= self.minimum:
            count = int(np.count_nonzero(numbers == low))
            same = self.minimum is not None and low == self.minimum
            self.at_minimum = self.at_minimum + count if same else count
            self.minimum = low
        if self.maximum is None or high >= self.maximum:
            count = int(np.count_nonzero(numbers == high))
            same = self.maximum is not None and high == self.maximum
            self.at_maximum = self.at_maximum + count if same else count
            self.maximum = high

    def stats(self) -> Stats:
        """What was measured."""
        shown = self.histogram.shown()
        mean = self._sum / self.finite if self.finite and math.isfinite(self._sum) else None
        return Stats(
            rows=self.rows,
            nulls=self.nulls,
            nans=self.nans,
            infinities=self.infinities,
            minimum=_plain(self.minimum),
            maximum=_plain(self.maximum),
            mean=mean,
            distinct=self._distinct.count,
            histogram=shown.counts if shown else (),
            histogram_low=shown.low if shown else None,
            histogram_high=shown.high if shown else None,
        )


class TextMeasure:
    """Character strings; their lengths in characters too."""

    def __init__(self) -> None:
        self.rows = self.nulls = self.empty = self.missing = self.pluses = self.minuses = 0
        self.shortest: int | None = None
        self.longest: int | None = None
        self._minimum: str | None = None
        self._maximum: str | None = None
        self._distinct = Distinct()

    def add(self, values: pa.Array) -> None:
        """Measure a batch."""
        self.rows += len(values)
        self.nulls += values.null_count
        if values.null_count:
            values = values.drop_null()
        if not len(values):
            return
        lengths = pc.utf8_length(values)
        ends = pc.min_max(lengths).as_py()
        self.shortest = ends["min"] if self.shortest is None else min(self.shortest, ends["min"])
        self.longest = ends["max"] if self.longest is None else max(self.longest, ends["max"])
        if not ends["min"]:
            self.empty += int(pc.sum(pc.equal(lengths, 0)).as_py())
        self.missing += int(pc.sum(pc.is_in(values, value_set=pa.array(MISSING_TEXTS, values.type))).as_py())
        if ends["min"] <= 1:  # signs stand alone
            self.pluses += int(pc.sum(pc.equal(values, "+")).as_py())
            self.minuses += int(pc.sum(pc.equal(values, "-")).as_py())
        known = self._distinct
        known.add(values)
        texts = pc.min_max(values).as_py()
        self._minimum = texts["min"] if self._minimum is None else min(self._minimum, texts["min"])
        self._maximum = texts["max"] if self._maximum is None else max(self._maximum, texts["max"])

    def stats(self) -> Stats:
        """What was measured."""
        low, high = (_short(t) for t in (self._minimum, self._maximum))
        return Stats(self.rows, self.nulls, minimum=low, maximum=high, distinct=self._distinct.count)


class TimeMeasure:
    """Points in time."""

    def __init__(self) -> None:
        self.rows = self.nulls = 0
        self._minimum: int | None = None
        self._maximum: int | None = None
        self._distinct = Distinct()

    def add(self, values: pa.Array) -> None:
        """Measure a batch."""
        self.rows += len(values)
        self.nulls += values.null_count
        values = values.drop_null().cast(pa.timestamp("us")).cast(pa.int64())
        if not len(values):
            return
        ends = pc.min_max(values).as_py()
        self._minimum = ends["min"] if self._minimum is None else min(self._minimum, ends["min"])
        self._maximum = ends["max"] if self._maximum is None else max(self._maximum, ends["max"])
        self._distinct.add(values)

    def stats(self) -> Stats:
        """What was measured; the first and the last moment as ISO 8601."""
        low, high = (_moment(t) for t in (self._minimum, self._maximum))
        return Stats(self.rows, self.nulls, minimum=low, maximum=high, distinct=self._distinct.count)


class TruthMeasure:
    """Truth values."""

    def __init__(self) -> None:
        self.rows = self.nulls = self.true = 0

    def add(self, values: pa.Array) -> None:
        """Measure a batch."""
        self.rows += len(values)
        self.nulls += values.null_count
        self.true += int(pc.sum(values).as_py() or 0)

    def stats(self) -> Stats:
        """What was measured; the mean is the share that is true."""
        count = self.rows - self.nulls
        if not count:
            return Stats(self.rows, self.nulls, distinct=0)
        low, high = self.true == count, self.true > 0
        distinct = 1 if low == high else 2
        return Stats(
            self.rows, self.nulls, minimum=low, maximum=high, mean=self.true / count, distinct=distinct
        )


class ArrayMeasure:
    """Arrays of numbers: nulls by row, everything else over all elements."""

    def __init__(self, column: Column, bounds: tuple[float, float] | None) -> None:
        self.rows = self.nulls = 0
        self.elements: NumberMeasure | TruthMeasure = (
            NumberMeasure(whole=column.datatype.is_integer, bounds=bounds)
            if column.datatype.is_number
            else TruthMeasure()
        )

    def add(self, values: pa.Array) -> None:
        """Measure a batch."""
        self.rows += len(values)
        self.nulls += values.null_count
        self.elements.add(pc.list_flatten(values))

    def stats(self) -> Stats:
        """What was measured; `distinct` is not counted."""
        inner = self.elements.stats()
        return Stats(
            rows=self.rows,
            nulls=self.nulls,
            nans=inner.nans,
            infinities=inner.infinities,
            minimum=inner.minimum,
            maximum=inner.maximum,
            mean=inner.mean,
            histogram=inner.histogram,
            histogram_low=inner.histogram_low,
            histogram_high=inner.histogram_high,
        )


def _plain(value: Any) -> Any:
    """A NumPy number as Python's; a float32 as the shortest decimal that means it."""
    if value is None:
        return None
    if isinstance(value, np.floating):
        return float(str(value))
    return value.item() if isinstance(value, np.generic) else value


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= TEXT_SHOWN else text[: TEXT_SHOWN - 1] + "…"


def _moment(microseconds: int | None) -> str | None:
    return None if microseconds is None else str(np.datetime64(microseconds, "us")).removesuffix(".000000")
