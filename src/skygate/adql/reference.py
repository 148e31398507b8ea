"""The reference page of the language, written from the table of functions that the parser reads too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from skygate.adql.function import Feature, Function, Use
from skygate.adql.functions import FUNCTIONS

_HEAD = """# ADQL

This page is written from the code by `make docs`.

Skygate speaks [ADQL 2.1](https://www.ivoa.net/documents/ADQL/): SELECT with TOP and DISTINCT; inner, outer,
NATURAL and USING joins; sub-queries and common tables (WITH); UNION, EXCEPT and INTERSECT; GROUP BY and
HAVING; ORDER BY and OFFSET; LIKE and ILIKE, BETWEEN, IN, EXISTS; CAST, IN_UNIT, COALESCE; delimited
identifiers; geometry.

Beyond the standard it takes LIMIT, CASE, CROSS JOIN, window functions (OVER), TABLESAMPLE and the functions
marked below as extensions. Everything else is refused with a sentence that says where and why.

## What to know

- A table is called `release.table`; the bare name is enough where it is unique. Names without quotes are
  found in any letter case; `"Quoted Names"` must match exactly.
- Positions are ICRS degrees. A condition such as `1 = CONTAINS(POINT(ra, dec), CIRCLE(10.68, 41.27, 0.5))`
  on a table's position, or `DISTANCE(...) < 0.5`, or limits on `ra` and `dec`, reads only the cells of the
  sky that it can touch, in joins too.
- Polygons have great-circle edges, and their smaller side is inside, whatever the winding. BOX is such a
  polygon.
- Integers divide to integers (`7 / 2` is 3). CAST to an integer truncates. `LOG` is the natural logarithm.
- A number written beside a REAL column is read as a REAL: `v_mag = 3.44` finds what an answer shows as 3.44.
- What cannot be calculated in a row (the logarithm of a negative number, a division by zero, a text that is
  no number) is null in that row; the query goes on.
- What the standard leaves open is decided in [docs/decisions](../decisions/), each with a test.
"""

_SECTIONS: tuple[tuple[str, str], ...] = (
    ("Geometry", "On the sphere; degrees in, degrees out."),
    ("Numbers", "Angles of the trigonometric functions are radians."),
    ("Texts, types and units", ""),
    ("Aggregates", "Over the rows of a group, or over a window with OVER."),
    ("Functions of the IVOA catalogue", "User defined functions that the IVOA has agreed on."),
    ("Extensions", "Ours: other services may not have them."),
    ("Window functions", "Extensions that need OVER (…)."),
)


def reference_page() -> str:
    """The page, as Markdown."""
    return _HEAD + "".join(_section(title, words) for title, words in _SECTIONS)


def write(directory: Path) -> list[Path]:
    """Write `adql.md` into `directory`."""
    path = directory / "adql.md"
    path.write_text(reference_page(), encoding="utf-8")
    return [path]


def _section(title: str, words: str) -> str:
    lines = [f"\n## {title}\n", *([words, ""] if words else [])]
    lines += ["| function | gives |", "|---|---|"]
    lines += _rows(title)
    return "\n".join(lines) + "\n"


def _rows(title: str) -> Iterator[str]:
    for function in FUNCTIONS:
        if section_of(function) == title:
            example = f" Example: `{_cell(function.example)}`" if function.example else ""
            yield f"| `{_cell(function.signature)}` | {_cell(function.description)}{example} |"


def section_of(function: Function) -> str:
    """The section of the page in which a function stands."""
    if function.use is Use.WINDOW:
        return "Window functions"
    if function.feature is Feature.GEOMETRY:
        return "Geometry"
    if function.name.startswith("IVO_"):
        return "Functions of the IVOA catalogue"
    if function.use is Use.AGGREGATE:
        return "Aggregates"
    if function.feature is Feature.UDF:
        return "Extensions"
    if function.feature is Feature.CORE:
        return "Numbers"
    return "Texts, types and units"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
