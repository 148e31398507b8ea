"""A few rows as a plain table for eyes: names, units, then aligned cells."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import pyarrow as pa

from skygate.domain.catalog import Column, Datatype, Release, Table

T = TypeVar("T", Table, Release)

_WIDEST = 40
_MOST_COLUMNS = 12


def box(rows: pa.Table, columns: Sequence[Column], *, width: int | None = None) -> str:
    """The rows as text. Wide columns are cut with an ellipsis; columns beyond the width are counted."""
    cells = [_column(c, rows.column(i).to_pylist()) for i, c in enumerate(columns)]
    shown = _fitting(cells, width)
    lines = []
    for at in range(len(cells[0]) if cells else 0):
        if at == 1 and not any(c.unit for c in columns):
            continue
        lines.append("  ".join(_pad(c[at], c, columns[i]) for i, c in enumerate(cells[:shown])).rstrip())
    rule = "  ".join("─" * max(map(wide, c)) for c in cells[:shown])
    lines.insert(2 if any(c.unit for c in columns) else 1, rule)
    if shown < len(cells):
        names = ", ".join(c.name for c in columns[shown:])
        lines.append(f"… and {len(cells) - shown} more columns: {names}"[: width or 200])
    return "\n".join(lines)


def _column(column: Column, values: Sequence[Any]) -> list[str]:
    digits = 7 if column.datatype is Datatype.FLOAT else 10
    return [_clipped(column.name), _clipped(column.unit or ""), *(_clipped(_cell(v, digits)) for v in values)]


def _cell(value: Any, digits: int) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    if isinstance(value, list):
        return "(" + ", ".join(_cell(v, digits) for v in value) + ")"
    if isinstance(value, datetime):
        return value.isoformat()
    return "".join(c if c.isprintable() else " " for c in str(value))


def _clipped(text: str) -> str:
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


def _fitting(cells: Sequence[Sequence[str]], width: int | None) -> int:
    """How many columns stand side by side, at least one."""
    if width is None:
        return min(len(cells), _MOST_COLUMNS)
    used = 0
    for count, column in enumerate(cells):
        used += max(map(wide, column)) + 2
        if used - 2 > width:
            return max(1, count)
    return len(cells)


def wide(text: str) -> int:
    """Cells of a terminal that the text takes."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def _pad(text: str, column: Sequence[str], described: Column) -> str:
    space = " " * (max(map(wide, column)) - wide(text))
    right = described.datatype.is_number and not described.is_array
    return space + text if right else text + space


class Listing(tuple[T, ...]):
    """Tables or releases, a line each where one looks at them."""

    __slots__ = ()

    def __repr__(self) -> str:
        """What there is, one under the other."""
        return "\n".join(map(_line, self)) or "(none)"


def listing(found: Iterable[T]) -> Listing[T]:
    """The same values as a tuple that shows itself well."""
    return Listing(found)


def _line(found: Table | Release) -> str:
    if isinstance(found, Release):
        names = ", ".join(t.name for t in found.tables)
        return f"{found.name} (version {found.version}): {found.title}; tables {names}"
    rows = "" if found.rows is None else f"{found.rows:,} rows, "
    about = f": {found.description}" if found.description else ""
    return f"{found.full_name} ({rows}{len(found.columns)} columns){about}"
