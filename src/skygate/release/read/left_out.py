"""What is told when a file holds more tables than the one that is published, or a name twice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from skygate.release.findings import Finding

_TABLE = re.compile(rb"<(?:[\w.-]+:)?TABLE(?=[\s>])([^>]*)>")
_LABEL = re.compile(rb"""\b(?:ID|name)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_BLOCK = 8 << 20
_OVERLAP = 4096


def repeated_names(path: Path, given: Sequence[str], names: Sequence[str]) -> Iterator[Finding]:
    """A warning for each column whose name stands in the file more than once; `names` are the ones made."""
    for before, now in zip(given, names, strict=False):
        if before and before != now:
            yield Finding(
                "warning",
                "repeated_name",
                f"{path.name} has more than one column {before}; this one is called {now}",
                "which is which? give them names, or drop = true, under [table.columns.NAME]",
                column=now,
            )


def left_tables(path: Path, others: Sequence[str], what: str) -> Iterator[Finding]:
    """A warning that `others` are not published; `what` is how the recipe names one."""
    if not others:
        return
    listed = ", ".join(others[:8]) + (f" and {len(others) - 8} more" if len(others) > 8 else "")
    yield Finding(
        "warning",
        "tables_left_out",
        f"{path.name} holds more tables than the one that is published, the first: {listed}",
        f"say which one with inside = … ({what}), and give each of the others a [[table]] of its own",
        count=len(others),
    )


def other_tables(plain: Path, index: int) -> list[str]:
    """IDs, names or numbers of the TABLEs of a VOTable but the one that is number `index` from 0."""
    found: list[str] = []
    with plain.open("rb") as file:
        held = b""
        while block := file.read(_BLOCK):
            data = held + block
            end = 0
            for match in _TABLE.finditer(data):
                label = _LABEL.search(match[1])
                text = (label[1] or label[2] or b"").decode("utf-8", "replace") if label else ""
                found.append(text or str(len(found)))
                end = match.end()
            held = data[max(end, len(data) - _OVERLAP) :]
    return [name for number, name in enumerate(found) if number != index]
