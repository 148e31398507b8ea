"""Conditions on the numbers of a row, in words that need no SQL.

A condition is true, false or unknown, as in SQL: a row is meant only where it is true. Must not know: ADQL,
how rows are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

Sign = Literal["=", "<>", "<", "<=", ">", ">="]
Operator = Literal["+", "-", "*"]


class Precision(Enum):
    """The numbers in which one calculates and compares."""

    WHOLE = "64-bit integers"
    SINGLE = "single precision"
    DOUBLE = "double precision"


@dataclass(frozen=True, slots=True)
class Named:
    """The value of a column that holds single numbers, or null, and never NaN."""

    column: str


@dataclass(frozen=True, slots=True)
class Calculated:
    """A sum, difference or product of reals. Where the whole calculation is no finite number, it is null."""

    operator: Operator
    left: Value
    right: Value
    precision: Precision


Value = Named | Calculated | int | float
"""What is written out as a number is rounded to the precision in which it is used."""


@dataclass(frozen=True, slots=True)
class Compared:
    """`left` `sign` `right`; unknown where one of them is null."""

    left: Value
    sign: Sign
    right: Value
    precision: Precision


@dataclass(frozen=True, slots=True)
class Present:
    """Whether a column is not null (or, with `there` False, is null); never unknown."""

    column: str
    there: bool


@dataclass(frozen=True, slots=True)
class AllOf:
    """True where all parts are."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True where one part is."""

    parts: tuple[Condition, ...]


Condition = Compared | Present | AllOf | AnyOf


def comparisons(condition: Condition) -> int:
    """How many comparisons it is made of."""
    return sum(map(comparisons, condition.parts)) if isinstance(condition, (AllOf, AnyOf)) else 1
