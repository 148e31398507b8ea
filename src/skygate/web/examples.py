"""Queries to start from, made from what a table is described to hold: no survey's names stand here.

Must not know: HTTP.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from skygate.domain.catalog import Column, Table
from skygate.sky.cells import center_of

Spell = Callable[[str], str]
"""A name as ADQL wants it: quoted where it must be."""


@dataclass(frozen=True, slots=True)
class Example:
    """A query and what it is good for."""

    title: str
    adql: str


def of_table(table: Table, spell: Spell, *, near: tuple[float, float] | None = None) -> list[Example]:
    """Examples for one table; `near` is a place (ICRS degrees) where it has rows."""
    return list(_of_table(table, spell, near))


def somewhere_in(table: Table) -> tuple[float, float] | None:
    """A place (ICRS degrees) where the table has a row; None when it has no positions."""
    placed = [p.first_cell for p in table.parts if p.first_cell is not None]
    if not placed:
        return None
    ra, dec = center_of([placed[len(placed) // 2]])
    return float(ra[0]), float(dec[0])


def of_pair(first: Table, second: Table, spell: Spell) -> list[Example]:
    """How to match two tables with positions; empty when one has none."""
    if first.position is None or second.position is None:
        return []
    shown = ", ".join(
        f"{alias}.{spell(c.name)} AS {alias}_{i}"
        for alias, table in (("a", first), ("b", second))
        for i, c in enumerate(_main(table)[:1], 1)
    )
    here = f"POINT(a.{spell(first.position.ra)}, a.{spell(first.position.dec)})"
    disc = f"CIRCLE(b.{spell(second.position.ra)}, b.{spell(second.position.dec)}, 1.0/3600)"
    adql = (
        f"SELECT {shown}\nFROM {_full(first, spell)} AS a\nJOIN {_full(second, spell)} AS b\n"
        f"  ON 1 = CONTAINS({here}, {disc})"
    )
    return [Example(f"Rows of {first.name} within 1 arcsec of rows of {second.name}", adql)]


def _of_table(table: Table, spell: Spell, near: tuple[float, float] | None) -> Iterator[Example]:
    name = _full(table, spell)
    main = ", ".join(spell(c.name) for c in _main(table))
    yield Example("The first ten rows", f"SELECT TOP 10 *\nFROM {name}")
    yield Example("How many rows", f"SELECT COUNT(*) AS n\nFROM {name}")
    if table.position is not None and near is not None:
        point = f"POINT({spell(table.position.ra)}, {spell(table.position.dec)})"
        adql = (
            f"SELECT {main}\nFROM {name}\n"
            f"WHERE 1 = CONTAINS({point},\n                   CIRCLE({near[0]:.5f}, {near[1]:.5f}, 1.0))"
        )
        yield Example(f"Within 1° of {near[0]:.3f}, {near[1]:+.3f}", adql)
    magnitude = _first(table.columns, "phot.mag")
    if magnitude is not None:
        m = spell(magnitude.name)
        yield Example(
            f"Rows for each magnitude of {magnitude.name}",
            f"SELECT FLOOR({m}) AS mag, COUNT(*) AS n\nFROM {name}\nWHERE {m} IS NOT NULL\n"
            f"GROUP BY FLOOR({m})\nORDER BY mag",
        )
        yield Example(
            f"The ten brightest in {magnitude.name}",
            f"SELECT TOP 10 {main}\nFROM {name}\nWHERE {m} IS NOT NULL\nORDER BY {m}",
        )
    kind = next(
        (c for c in table.columns if c.datatype.is_text and c.stats and 1 < (c.stats.distinct or 0) <= 100),
        None,
    )
    if kind is not None:
        k = spell(kind.name)
        yield Example(
            f"Rows for each {kind.name}",
            f"SELECT {k}, COUNT(*) AS n\nFROM {name}\nGROUP BY {k}\nORDER BY n DESC",
        )


def _full(table: Table, spell: Spell) -> str:
    return f"{spell(table.schema)}.{spell(table.name)}"


def _first(columns: Sequence[Column], ucd: str) -> Column | None:
    return next((c for c in columns if (c.ucd or "").startswith(ucd) and c.datatype.is_real), None)


def _main(table: Table) -> list[Column]:
    """What tells most about a row: identifier, position, the first magnitude; else the first columns."""
    names = [table.identifier] + ([table.position.ra, table.position.dec] if table.position else [])
    found = [c for n in names if n and (c := table.column(n))]
    magnitude = _first(table.columns, "phot.mag")
    if magnitude is not None and magnitude not in found:
        found.append(magnitude)
    return found or list(table.columns[:4])
