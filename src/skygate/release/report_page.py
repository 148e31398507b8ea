"""The validation report as a page that a person reads: findings first, then every table and column.

Plain HTML and inline SVG, no scripts, nothing fetched. `render` gives the part for a page of the portal,
`standalone` a page of its own that carries the portal's style sheet.
"""

from __future__ import annotations

import functools
import importlib.resources
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from skygate.release.skymap import sky_map

SHOWN = 24
"""Characters of a text that a cell of the table shows."""
_VERDICTS = {
    "good": ("good", "Nothing to mend."),
    "warnings": ("warn", "Usable, with warnings that deserve a look."),
    "errors": ("bad", "There are errors: mend them before others build on these data."),
}
_NOTES = {"error": "bad", "warning": "warn", "info": ""}
_SAID = frozenset({"recipe", "file"})
"""Where a property came from when nothing had to be inferred."""
_TYPES = {"char": "text", "unicodeChar": "text", "unsignedByte": "byte"}


def render(report: Mapping[str, Any]) -> str:
    """The report as an HTML fragment; classes and colours are those of the portal's sheet."""
    return _environment().get_template("report.html").render(_view(report))


def standalone(report: Mapping[str, Any]) -> str:
    """The report as a whole page in one file."""
    sheet = importlib.resources.files("skygate").joinpath("web/static/style.css").read_text(encoding="utf-8")
    view = {"body": Markup(render(report)), "style": Markup(sheet), "release": report["release"]}  # noqa: S704
    return _environment().get_template("report_page.html").render(view)


@functools.lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _view(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the template shows, already in words."""
    css, sentence = _VERDICTS[report["verdict"]]
    findings = [_finding(f) for f in report["findings"]]
    release = report["release"]
    return {
        "release": {k: release.get(k) for k in ("name", "version", "title", "published_at")},
        "rows": count(release["rows"]),
        "verdict": {"css": css, "sentence": sentence},
        "counts": [(count(n), _plural(s, n)) for s, n in report["counts"].items() if n],
        "serious": [f for f in findings if f["severity"] != "info"],
        "remarks": [f for f in findings if f["severity"] == "info"],
        "tables": [_table(t) for t in report["tables"]],
    }


def _finding(finding: Mapping[str, Any]) -> dict[str, Any]:
    table, column = finding.get("table"), finding.get("column")
    return {
        "severity": finding["severity"],
        "css": _NOTES[finding["severity"]],
        "message": finding["message"],
        "hint": finding.get("hint", ""),
        "where": f"{table}.{column}" if column else table,
        "anchor": anchor(table, column) if table else None,
    }


def _table(table: Mapping[str, Any]) -> dict[str, Any]:
    position, sky = table.get("position"), table.get("sky")
    drawn = sky_map(sky["counts"], sky["order"]) if sky else None
    return {
        "anchor": anchor(table["name"]),
        "full_name": table["full_name"],
        "description": table["description"],
        "notes": table["notes"],
        "read": count(table["rows_read"]),
        "published": count(table["rows_published"]),
        "left_out": [(count(n), reason) for reason, n in table["left_out"].items()],
        "changes": [(count(n), what) for what, n in table["changes"].items()],
        "identifier": table.get("identifier"),
        "position": _position(position) if position else "none",
        "sky": None if drawn is None else {"svg": Markup(drawn.svg), "words": drawn.words},  # noqa: S704
        "columns": [_column(table, c) for c in table["columns"]],
    }


def _position(position: Mapping[str, Any]) -> str:
    words = f"{position['ra']}, {position['dec']}: ICRS degrees"
    if position.get("epoch"):
        words += f", epoch {position['epoch']}"
    if position.get("source_frame", "ICRS") != "ICRS":
        words += f", converted from {position['source_frame']}"
    if position.get("without"):
        words += (
            f"; {count(position['without'])} row{'' if position['without'] == 1 else 's'} without a position"
        )
    return words


def _column(table: Mapping[str, Any], column: Mapping[str, Any]) -> dict[str, Any]:
    stats = column.get("stats", {})
    rows, nulls = stats.get("rows", 0), stats.get("nulls", 0)
    strange = [
        f"{count(stats[k])} {word}"
        for k, word in (("nans", "NaN"), ("infinities", "infinite"))
        if stats.get(k)
    ]
    inferred = [f"{k} ({how})" for k, how in column.get("inferred", {}).items() if how not in _SAID]
    source = column.get("source_name")
    numbered = (column.get("ucd") or "").startswith("meta.id")
    return {
        "anchor": anchor(table["name"], column["name"]),
        "name": column["name"],
        "is_identifier": column["name"] == table.get("identifier"),
        "source": source if source != column["name"] else None,
        "type": _type(column),
        "unit": column.get("unit") or "",
        "ucd": column.get("ucd") or "",
        "description": column.get("description", ""),
        "inferred": "; ".join(inferred),
        "nulls": f"{count(nulls)} ({share(nulls, rows)})" if nulls else "none",
        "strange": ", ".join(strange),
        "minimum": value(stats.get("minimum")),
        "mean": "" if numbered else value(stats.get("mean"), digits=5),
        "maximum": value(stats.get("maximum")),
        "distinct": count(stats["distinct"]) if stats.get("distinct") is not None else "",
        "picture": histogram(stats),
    }


def _type(column: Mapping[str, Any]) -> str:
    if column.get("xtype") == "timestamp":
        return "timestamp"
    kind = _TYPES.get(column["datatype"], str(column["datatype"]))
    size = column.get("arraysize")
    return f"{kind}[{size}]" if size and kind != "text" else kind


def histogram(stats: Mapping[str, Any]) -> Markup:
    """Counts as a small picture with a text alternative; empty where there are none."""
    counts: Sequence[int] = stats.get("histogram", ())
    if not counts or max(counts) == 0:
        return Markup("")
    top = max(counts)
    bars = "".join(f"M{i} 24v-{max(24 * n / top, 0.7):.3g}h1V24z" for i, n in enumerate(counts) if n)
    low, high = value(stats.get("histogram_low")), value(stats.get("histogram_high"))
    fullest = counts.index(top)
    at = stats["histogram_low"] + (fullest + 0.5) * (stats["histogram_high"] - stats["histogram_low"]) / len(
        counts
    )
    words = escape(f"histogram from {low} to {high}, highest near {value(at)}")
    return Markup(  # noqa: S704 (words are escaped, the rest are numbers)
        f'<svg class="spark" viewBox="0 0 {len(counts)} 24" preserveAspectRatio="none" role="img" '
        f'aria-label="{words}"><title>{words}</title><path fill="currentColor" d="{bars}"/></svg>'
    )


def anchor(table: Any, column: Any = None) -> str:
    """The id of a table's or a column's place on the page."""
    text = f"t-{table}" + (f"-c-{column}" if column is not None else "")
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)


def count(number: int) -> str:
    """A number of things, in groups of three."""
    return f"{number:,}"


def share(part: int, whole: int) -> str:
    """A share in percent; never 0 % or 100 % when it is not."""
    percent = 100 * part / whole if whole else 0.0
    if percent < 0.1 and part:
        return "<0.1 %"
    if percent > 99.9 and part < whole:
        return ">99.9 %"
    return f"{percent:.3g} %"


def value(number: Any, *, digits: int = 7) -> str:
    """A least, greatest or mean value, short."""
    if number is None:
        return ""
    if isinstance(number, bool):
        return "true" if number else "false"
    if isinstance(number, float):
        return f"{number:.{digits}g}"
    text = str(number)
    if not text.strip():
        return f"“{text[:1]}”"
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _plural(severity: str, number: int) -> str:
    word = {"error": "error", "warning": "warning", "info": "remark"}[severity]
    return word if number == 1 else f"{word}s"
