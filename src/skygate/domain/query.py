"""A question, what it was understood to mean, and how its answer ended.

Must not know: SQL dialects, engines. A plan's text is opaque here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from skygate.domain.catalog import Column, Part, Table
from skygate.domain.condition import Condition
from skygate.domain.sky import Circle, Polygon
from skygate.domain.tally import Tally


@dataclass(frozen=True, slots=True)
class Query:
    """ADQL to be run. `maxrec` None means the service's default."""

    text: str
    maxrec: int | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use. `maxrec` rows go out at most; the next one only sets the overflow flag."""

    maxrec: int
    seconds: float
    memory_bytes: int
    spent_s: float = 0.0
    """The part of `seconds` that is used up when the run begins: understanding the question took it."""


@dataclass(frozen=True, slots=True)
class Source:
    """One use of a table in a plan.

    `cells` are the order-29 ranges [first, last] (inclusive) outside of which no row can matter, None
    for everywhere: an engine may leave out whole files by them. `columns` are those that the plan reads.
    """

    table: Table
    columns: tuple[str, ...]
    cells: tuple[tuple[int, int], ...] | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts that can hold a row that matters: their cells overlap, or there are none to go by.

        Rows without a position (a part without cells) cannot be inside any range of cells.
        """
        if self.cells is None:
            return self.table.parts
        return tuple(p for p in self.table.parts if _overlaps(p, self.cells))


def _overlaps(part: Part, ranges: tuple[tuple[int, int], ...]) -> bool:
    if part.first_cell is None or part.last_cell is None:
        return False
    return any(first <= part.last_cell and part.first_cell <= last for first, last in ranges)


@dataclass(frozen=True, slots=True)
class Near:
    """Rows with a position inside a circle: on its rim, too, unless `rim` is False."""

    circle: Circle
    rim: bool = True


@dataclass(frozen=True, slots=True)
class Within:
    """Rows with a position in a polygon or on its edges; the polygon is one that has an outline."""

    polygon: Polygon


@dataclass(frozen=True, slots=True)
class Identified:
    """Rows whose main identifier has one of these values."""

    values: tuple[int, ...]


Wanted = Near | Within | Identified


@dataclass(frozen=True, slots=True)
class Lookup:
    """A question that needs no plan: plain columns of those rows of one table that are `wanted`, and of which
    `where` is true.

    `columns` are names of the table, one for each column of the answer (which may be called otherwise). Of
    all such rows any `top` will do.
    """

    table: Table
    columns: tuple[str, ...]
    wanted: Wanted
    top: int | None = None
    where: Condition | None = None

    @property
    def tables(self) -> tuple[Table, ...]:
        """The one that is looked into."""
        return (self.table,)


@dataclass(frozen=True, slots=True)
class Paired:
    """Pairs of rows of two tables no farther apart than a radius (with `rim` False: closer)."""

    radius_deg: float
    rim: bool = True


@dataclass(frozen=True, slots=True)
class Joining:
    """A question that needs no plan: plain columns of pairs of rows, one of each table, that are `wanted`.

    `columns` are (0, name) for the first table and (1, name) for the second; an empty name is the separation
    in degrees, from that table's row to the other's. Of all such pairs any `top` will do.
    """

    one: Table
    other: Table
    columns: tuple[tuple[int, str], ...]
    wanted: Paired
    top: int | None = None

    @property
    def tables(self) -> tuple[Table, ...]:
        """Both."""
        return self.one, self.other


class Mark(Enum):
    """What an engine puts into the text of a plan when it runs it."""

    RUN_NUMBER = "the number of the run: first argument of every kernel, which so knows for whom it works"


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked query in one engine's spelling. Only `skygate.adql` makes plans.

    The text is `pieces` joined, each `Source` being replaced by the engine's relation for it: a
    parenthesised or plain table expression, to which the following piece gives an alias; and each `Mark`
    by what it stands for.
    """

    dialect: str
    pieces: tuple[str | Source | Mark, ...]
    columns: tuple[Column, ...]
    top: int | None = None
    """The query's own TOP or LIMIT at the outermost level, if any."""
    ordered: bool = False
    """Whether the outermost level has an ORDER BY."""
    lookup: Lookup | Joining | Tally | None = None
    """What the whole query comes to, where it is that simple: it has the same answer."""
    dense: bool = False
    """Whether it groups by one value for a few aggregates: an array of groups takes little memory then."""

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every use of a table, in order of appearance."""
        return tuple(p for p in self.pieces if isinstance(p, Source))

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables of the sources."""
        return tuple(source.table for source in self.sources)

    def plan(self) -> Plan:
        """Itself: other things that a query can be understood as make theirs."""
        return self


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an answer ended: rows delivered, and whether more existed than MAXREC let through."""

    rows: int
    overflow: bool


@dataclass(frozen=True, slots=True)
class About:
    """What accompanies an answer into its file: shown as INFO, header keywords or metadata."""

    query: str | None = None
    title: str | None = None
    infos: tuple[tuple[str, str], ...] = field(default_factory=tuple)
    """Further (name, value) pairs: release, version, checksum, citation, service, software."""
