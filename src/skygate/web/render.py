"""Values as people read them, and the template environment.

Must not know: services, HTTP.
"""

from __future__ import annotations

import datetime
import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from skygate import __version__
from skygate.domain.catalog import Column, Stats
from skygate.formats.media import FORMATS

HERE = Path(__file__).parent
LONGEST_CELL = 200
_LABELS = {
    "votable": "VOTable",
    "votable/td": "VOTable (text)",
    "votable/b": "VOTable (BINARY)",
    "csv": "CSV",
    "tsv": "TSV",
    "json": "JSON",
    "fits": "FITS",
    "parquet": "Parquet",
    "hdf5": "HDF5",
    "arrow": "Arrow",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a result table: its text and the class of its cell."""

    text: str
    css: str = ""


@cache
def environment() -> Environment:
    """The templates, with everything escaped."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["count"] = count
    made.filters["ticked"] = ticked
    shared: dict[str, Any] = made.globals
    shared.update(version=__version__, style_version=_style_version())
    return made


def _style_version() -> str:
    return hashlib.sha256((HERE / "static" / "style.css").read_bytes()).hexdigest()[:12]


def ticked(text: str) -> Markup:
    """A message with its `names` set as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704  (escaped before)


def count(number: int | None) -> str:
    """1234567 as 1,234,567."""
    return "unknown" if number is None else f"{number:,}"


def number(value: float | int | None, *, digits: int = 7) -> str:
    """A number in few digits; an integer in full."""
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    return f"{value:.{digits}g}"


def percent(part: int, whole: int | None) -> str:
    """A share as a reader takes it in: empty for none, never rounded to 0 % or 100 %."""
    if not part or not whole:
        return ""
    share = 100 * part / whole
    if part < whole and share > 99.9:
        return ">99.9 %"
    return "<0.1 %" if share < 0.1 else f"{share:.3g} %"


def labelled_formats() -> list[dict[str, str]]:
    """The formats of downloads: the name that RESPONSEFORMAT takes, and what people call it."""
    return [
        {"name": f.short_names[0], "label": _LABELS.get(f.short_names[0], f.short_names[0])} for f in FORMATS
    ]


def type_of(column: Column) -> str:
    """The type as a reader of the schema expects it: `double`, `char(8)`, `float[3]`, `timestamp`."""
    if column.xtype == "timestamp":
        return "timestamp"
    if column.datatype.is_text:
        size = column.arraysize or "1"
        return "text" if size.endswith("*") else f"text({size})"
    return f"{column.datatype}[{column.arraysize}]" if column.is_array else str(column.datatype)


def cells(columns: Sequence[Column], rows: pa.Table) -> list[list[Cell]]:
    """A small table (a page of rows) as texts; nulls are told apart from empty strings."""
    by_column = [
        [_cell(column, value) for value in values.to_pylist()]
        for column, values in zip(columns, rows.columns, strict=True)
    ]
    return [list(row) for row in zip(*by_column, strict=True)]


def _cell(column: Column, value: Any) -> Cell:
    if value is None:
        return Cell("null", "null")
    if isinstance(value, bool):
        return Cell("true" if value else "false")
    if isinstance(value, float):
        return Cell(_real(value, single=column.datatype == "float"), "number")
    if isinstance(value, int):
        return Cell(str(value), "number")
    if isinstance(value, datetime.datetime):
        return Cell(value.isoformat(sep=" "))
    if isinstance(value, list):
        return Cell(
            "[" + ", ".join(_cell(column, v).text for v in value[:16]) + (", …]" if len(value) > 16 else "]")
        )
    text = str(value)
    return Cell(text if len(text) <= LONGEST_CELL else text[:LONGEST_CELL] + "…")


def _real(value: float, *, single: bool) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    return f"{value:.7g}" if single else repr(value)


def spark(stats: Stats | None) -> Markup | None:
    """A column's histogram as a small picture with a text alternative."""
    if stats is None or not stats.histogram or max(stats.histogram) == 0:
        return None
    top, bins = max(stats.histogram), len(stats.histogram)
    bars = "".join(
        f"M{i},24V{24 - 24 * math.sqrt(n / top):.1f}h1V24z" for i, n in enumerate(stats.histogram) if n
    )
    label = f"histogram from {number(stats.histogram_low)} to {number(stats.histogram_high)}"
    return Markup(
        '<svg class="spark" viewBox="0 0 {} 24" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<path fill="currentColor" d="{}"/></svg>'
    ).format(bins, label, bars)
