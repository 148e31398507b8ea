"""Rows counted in bins of two values: what is asked, and how the bins lie.

Must not know: ADQL, engines.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_BINS = 4096
MOST_CELLS = 2048 * 2048
FINEST_SKY = 9
"""The order whose cells (3.1 million) are the most that are counted at once."""


@dataclass(frozen=True, slots=True)
class AxisAsked:
    """One axis: a value of each row, and where its bins lie (None: from its least and to its greatest)."""

    expression: str
    bins: int = 512
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class DensityAsked:
    """What is to be counted. `mean` is a value that is averaged in each bin, `where` a condition."""

    table: str
    x: AxisAsked
    y: AxisAsked
    where: str | None = None
    mean: str | None = None


@dataclass(frozen=True, slots=True)
class SkyDensityAsked:
    """Rows to be counted in the HEALPix cells (NESTED, ICRS) of an order."""

    table: str
    order: int
    where: str | None = None
    mean: str | None = None


@dataclass(frozen=True, slots=True)
class Axis:
    """Equal bins from `low` to `high`, in units of the expression.

    Bin `i` holds a value v where floor((v - low) * scale) is `i`, each operation being rounded to a double;
    the last bin holds `high` too.
    """

    expression: str
    bins: int
    low: float
    high: float

    @property
    def scale(self) -> float:
        """Bins for each unit."""
        return self.bins / (self.high - self.low)


@dataclass(frozen=True, slots=True)
class Seen:
    """What of the rows lies in a bin."""

    rows: int
    """Rows that were looked at: of the table, or those that meet the condition."""
    inside: int
    """Rows in a bin. The others have no value, or one outside."""
