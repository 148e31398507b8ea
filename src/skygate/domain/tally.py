"""Numbers of groups of rows: of the HEALPix cells that they lie in, or of a whole table.

Must not know: ADQL, files.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from skygate.domain.catalog import Table


class What(Enum):
    """What a number says of a group of rows."""

    CELL = "its HEALPix cell; null for rows without a position"
    ROWS = "how many rows"
    KNOWN = "how many values that are not null"
    SUM = "their sum; like the following, null where there are none"
    MEAN = "their mean"
    LEAST = "the least of them"
    GREATEST = "the greatest of them"


@dataclass(frozen=True, slots=True)
class Number:
    """One number of each group; those of values name their column."""

    what: What
    column: str = ""


@dataclass(frozen=True, slots=True)
class Cells:
    """HEALPix cells (NESTED) of an order: ranges, both ends inclusive, ascending and apart."""

    order: int
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """A question that needs no plan: numbers of the rows of one table in each cell of `order` that has any.

    With `order` None all rows are one group, which is there without rows, too. `within` leaves out the rows
    elsewhere, and those without a position, which otherwise are the last group.
    """

    table: Table
    numbers: tuple[Number, ...]
    order: int | None = None
    within: Cells | None = None
    sorting: tuple[tuple[int, bool], ...] = ()
    """Places in `numbers` by which groups are sorted, and whether they descend; nulls come last."""
    top: int | None = None

    @property
    def is_count(self) -> bool:
        """Whether only the rows of the whole table are counted."""
        return self.order is None and self.within is None and all(n.what is What.ROWS for n in self.numbers)

    @property
    def tables(self) -> tuple[Table, ...]:
        """The one whose rows are counted."""
        return (self.table,)
