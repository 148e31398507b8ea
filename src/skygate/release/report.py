"""The validation report of a release as plain JSON: rows read, published and left out, and what was found.

Keys, stable for programs (`format` grows by one when one changes its meaning):

    format, verdict ("good" | "warnings" | "errors"), counts {error, warning, info},
    release {name, version, title, description, creators, licence, citation, doi, url, published_at, rows},
    findings [{severity, code, message, hint, table, column, count}]        errors first, all tables together
    tables [{
        name, full_name, description, notes,
        rows_read, rows_published, rows_left_out, left_out {reason: rows}, changes {what: values},
        position {ra, dec, epoch, source_frame, source_columns, without} | null,
        identifier,
        columns [{name, datatype, arraysize, xtype, unit, ucd, description, source_name, null, inferred,
                  stats {rows, nulls, nans, infinities, minimum, maximum, mean, distinct,
                         histogram, histogram_low, histogram_high}}],
        sky {order, counts} | null,                                         HEALPix NESTED cells
        findings [...]                                                      those of this table
    }]

Members that are empty may be missing. Must not know: files, HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from skygate.domain.catalog import Release, Table
from skygate.release.findings import SEVERITIES, Finding, in_order
from skygate.release.profile import TableProfile
from skygate.wire import to_json

FORMAT = 1


@dataclass(frozen=True, slots=True)
class TableReport:
    """What there is to report of one table."""

    table: Table
    profile: TableProfile
    rows_read: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Rows that were left out, by reason."""
    changes: Mapping[str, int] = field(default_factory=dict)
    """Values that were changed (made null, converted …), by what was done."""


def make_report(release: Release, tables: Sequence[TableReport]) -> dict[str, Any]:
    """The report as plain JSON."""
    members = [_table(t) for t in tables]
    findings = in_order(tuple(f for t in tables for f in _all_findings(t)))
    counts = {s: sum(f.severity == s for f in findings) for s in SEVERITIES}
    verdict = "errors" if counts["error"] else "warnings" if counts["warning"] else "good"
    about = {
        k: v
        for k, v in to_json(release).items()
        if k not in ("tables", "keys", "path", "checksum") and v not in (None, "", [])
    }
    return {
        "format": FORMAT,
        "verdict": verdict,
        "counts": counts,
        "release": {**about, "rows": sum(t.profile.rows for t in tables)},
        "findings": [to_json(f) for f in findings],
        "tables": members,
    }


def has_errors(report: Mapping[str, Any]) -> bool:
    """Whether `publish --strict` refuses a release with this report."""
    return bool(report["counts"]["error"])


def _all_findings(report: TableReport) -> tuple[Finding, ...]:
    """What the profile found, and rows that went missing without a reason."""
    name, lost = report.table.name, _unexplained(report)
    if not lost:
        return report.profile.findings
    message = (
        f"{report.rows_read:,} rows were read and {report.profile.rows:,} published, "
        f"but {sum(report.left_out.values()):,} left out with a reason"
    )
    hint = "this is a fault of skygate: please report it with this file"
    return (*report.profile.findings, Finding("error", "rows_lost", message, hint, name, count=abs(lost)))


def _unexplained(report: TableReport) -> int:
    return report.rows_read - report.profile.rows - sum(report.left_out.values())


def _table(report: TableReport) -> dict[str, Any]:
    table, profile = report.table, report.profile
    position = to_json(table.position) if table.position is not None else None
    if position is not None:
        position["without"] = profile.without_position
    stats = profile.stats
    columns: list[dict[str, Any]] = []
    for column in table.columns:
        said = {k: v for k, v in to_json(column).items() if k not in ("stats", "principal", "indexed", "std")}
        measured = stats.get(column.name)
        if measured is not None:
            said["stats"] = _json_numbers(to_json(measured))
        columns.append(said)
    return {
        "name": table.name,
        "full_name": table.full_name,
        "description": table.description,
        "notes": list(table.notes),
        "rows_read": report.rows_read,
        "rows_published": profile.rows,
        "rows_left_out": sum(report.left_out.values()),
        "left_out": dict(report.left_out),
        "changes": dict(report.changes),
        "identifier": table.identifier,
        "position": position,
        "columns": columns,
        "sky": to_json(profile.sky) if profile.sky is not None else None,
        "findings": [to_json(f) for f in in_order(_all_findings(report))],
    }


def _json_numbers(stats: dict[str, Any]) -> dict[str, Any]:
    """Statistics without what plain JSON has no word for."""
    return {k: v for k, v in stats.items() if not (isinstance(v, float) and v in _BEYOND)}


_BEYOND = (float("inf"), float("-inf"))

__all__ = ["FORMAT", "Finding", "TableReport", "has_errors", "make_report"]
