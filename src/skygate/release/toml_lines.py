"""Where in a TOML text a key stands, so that a mistake can be shown at its line.

Must not know: what the keys mean. tomllib checks the text; this only finds places in text that it took.
"""

from __future__ import annotations

import re

Path = tuple[str | int, ...]

_HEADER = re.compile(r"\s*(\[\[?)([^\[\]#]+)\]")
_PIECE = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*""")


def places(text: str) -> dict[Path, tuple[int, int]]:
    """1-based (line, column) of every header and key by its path; array elements are counted from 0."""
    found: dict[Path, tuple[int, int]] = {}
    counts: dict[Path, int] = {}
    header: Path = ()
    closing: str | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if closing is not None:
            if closing in line:
                closing = None
            continue
        if match := _HEADER.match(line):
            names, _ = _dotted(match[2])
            header = _resolve(names[:-1], counts)
            header = (*header, names[-1]) if names else header
            if match[1] == "[[":
                counts[header] = counts.get(header, -1) + 1
                header = (*header, counts[header])
            elif header in counts:
                header = (*header, counts[header])
            found.setdefault(header, (number, match.start(1) + 1))
            continue
        names, end = _dotted(line)
        if names and line[end : end + 1] == "=":
            column = len(line) - len(line.lstrip()) + 1
            for length in range(1, len(names) + 1):
                found.setdefault((*header, *names[:length]), (number, column))
            closing = _opened(line[end + 1 :])
    return found


def place(text: str, path: Path) -> tuple[int, int] | None:
    """1-based (line, column) of a key, else of the nearest thing around it, else None."""
    found = places(text)
    for length in range(len(path), 0, -1):
        if path[:length] in found:
            return found[path[:length]]
    return None


def _dotted(text: str) -> tuple[list[str], int]:
    """The pieces of a dotted key at the start of `text`, and where it ends."""
    names: list[str] = []
    at = 0
    while match := _PIECE.match(text, at):
        names.append(next(g for g in match.groups() if g is not None))
        at = match.end()
        if text[at : at + 1] != ".":
            break
        at += 1
    return names, at


def _resolve(names: list[str], counts: dict[Path, int]) -> Path:
    """A header's parents, with the newest element of each array among them."""
    path: Path = ()
    for name in names:
        path = (*path, name)
        if path in counts:
            path = (*path, counts[path])
    return path


def _opened(value: str) -> str | None:
    """The delimiter of a multi-line text that begins in `value` and does not end there."""
    for quotes in ('"""', "'''"):
        if value.lstrip().startswith(quotes) and value.count(quotes) % 2:
            return quotes
    return None
