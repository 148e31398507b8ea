"""Conditions on the values of mapped rows, by arrays: three-valued, in the very numbers that SQL would use.

Must not know: how rows are found, files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skygate.domain.condition import (
    AllOf,
    Calculated,
    Compared,
    Condition,
    Named,
    Operator,
    Precision,
    Present,
    Sign,
    Value,
)
from skygate.engines.mapped_files import Mapped

Ints = NDArray[np.int64]
Truths = NDArray[np.bool_]
Numbers = NDArray[Any]

_DTYPES: dict[Precision, type[np.generic]] = {
    Precision.WHOLE: np.int64,
    Precision.SINGLE: np.float32,
    Precision.DOUBLE: np.float64,
}

_OPERATIONS: dict[Operator, np.ufunc] = {"+": np.add, "-": np.subtract, "*": np.multiply}

_TESTS: dict[Sign, np.ufunc] = {
    "=": np.equal,
    "<>": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def fulfilling(mapped: Mapped, rows: Ints, condition: Condition) -> Ints:
    """Those of some rows, which ascend, of which a condition is true."""
    found = [
        part[_true(condition, _Rows(mapped.batch(number), part - mapped.starts[number]))]
        for number, part in by_batch(mapped, rows)
    ]
    if len(found) == 1:
        return found[0]
    return np.concatenate(found) if found else rows[:0]


def by_batch(mapped: Mapped, rows: Ints) -> Iterator[tuple[int, Ints]]:
    """Ascending rows, divided by the batches that they are in."""
    if rows.size == 0:
        return
    number = int(mapped.starts.searchsorted(rows[0], side="right")) - 1
    begin = 0
    while begin < rows.size:
        end = int(rows.searchsorted(mapped.starts[number + 1]))
        if end > begin:
            yield number, rows[begin:end]
        begin, number = end, number + 1


class _Rows:
    """Some rows of a batch: values of columns, and which of them are not null (None: all)."""

    def __init__(self, batch: pa.RecordBatch, rows: Ints) -> None:
        self._batch, self._rows = batch, rows
        self._seen: dict[str, tuple[Numbers, Truths | None]] = {}

    def known(self, name: str) -> Truths:
        """Which rows have a value."""
        column = self._batch.column(name)
        if column.null_count == 0:
            return np.ones(self._rows.size, dtype=np.bool_)
        return np.asarray(column.take(pa.array(self._rows)).is_valid().to_numpy(zero_copy_only=False))

    def numbers(self, name: str) -> tuple[Numbers, Truths | None]:
        """The values, anything where they are null."""
        found = self._seen.get(name)
        if found is None:
            column = self._batch.column(name)
            bits, values = column.buffers()
            whole = np.frombuffer(values, dtype=column.type.to_pandas_dtype())
            known = self.known(name) if bits is not None and column.null_count else None
            found = whole[column.offset + self._rows], known
            self._seen[name] = found
        return found


def _true(condition: Condition, rows: _Rows) -> Truths:
    """Where it is true: not where it is unknown."""
    if isinstance(condition, Compared):
        return _compared(condition, rows)
    if isinstance(condition, Present):
        known = rows.known(condition.column)
        return known if condition.there else ~known
    first, *others = condition.parts
    truth = _true(first, rows)
    for part in others:
        if isinstance(condition, AllOf):
            truth = truth & _true(part, rows)
        else:
            truth = truth | _true(part, rows)
    return truth


def _compared(test: Compared, rows: _Rows) -> Truths:
    dtype = _DTYPES[test.precision]
    (left, known), (right, too) = (_ended(side, rows) for side in (test.left, test.right))
    left, right = np.asarray(left, dtype=dtype), np.asarray(right, dtype=dtype)
    truth = _TESTS[test.sign](left, right)
    for mask in (known, too):
        if mask is not None:
            truth = truth & mask
    return truth


def _ended(value: Value, rows: _Rows) -> tuple[Any, Truths | None]:
    """Values where a calculation ends, and which of them are there: no finite number is none."""
    numbers, known = _calculated(value, rows)
    if isinstance(value, Calculated):
        finite = np.isfinite(numbers)
        known = finite if known is None else known & finite
    return numbers, known


def _calculated(value: Value, rows: _Rows) -> tuple[Any, Truths | None]:
    if isinstance(value, Named):
        return rows.numbers(value.column)
    if not isinstance(value, Calculated):
        return value, None
    dtype = _DTYPES[value.precision]
    (left, known), (right, too) = (_calculated(side, rows) for side in (value.left, value.right))
    left, right = np.asarray(left, dtype=dtype), np.asarray(right, dtype=dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        numbers = _OPERATIONS[value.operator](left, right)
    return numbers, known if too is None else too if known is None else known & too
