"""What a publish found out that a data manager should know, each with what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

SEVERITIES = ("error", "warning", "info")
"""Worst first. An error makes `publish --strict` refuse."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact: `code` is stable for programs, `message` and `hint` are for people."""

    severity: str
    """error, warning or info."""
    code: str
    message: str
    hint: str = ""
    table: str | None = None
    column: str | None = None
    count: int | None = None
    """Rows (or values) concerned, where it is about rows."""


def counted(number: int, what: str) -> str:
    """A number of things: `1 row`, `1,234 rows`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def in_order(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Errors first, then warnings, then the rest; otherwise as they came."""
    return tuple(sorted(findings, key=lambda f: SEVERITIES.index(f.severity)))
