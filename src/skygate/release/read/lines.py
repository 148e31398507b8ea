"""The first lines of a text file: comments, delimiter and header.

Must not know: Arrow, types.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from skygate.release.read.bytes_text import decoded
from skygate.release.read.compression import first_bytes
from skygate.release.read.source import fault, unique_names

HEAD_BYTES = 1 << 20
_DELIMITERS = (",", "\t", ";", "|")
STRAY_CR = "a carriage return stands in the middle of this line"
STRAY_CR_HINT = "lines end in LF or CR LF: save the file with such line ends, or take the character away"
_RULE = re.compile(r"-{2,}")
_NUMBER = re.compile(r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?\s*$")


@dataclass(frozen=True, slots=True)
class Head:
    """How a delimited file begins.

    `skip_lines` physical lines come before the first row (comments and header); `notes` are the comment
    lines, without their mark; `first_line` is the first line of the rows (1-based).
    """

    delimiter: str
    names: tuple[str, ...]
    skip_lines: int
    comment: str | None
    encoding: str
    notes: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    """The names as the header has them, where they may repeat."""
    units: tuple[str, ...] = ()
    """Units from the line below the header, where a ruled line follows (as VizieR writes tables)."""


def decode(path: Path, data: bytes) -> tuple[str, str]:
    """(text, encoding) of a file's beginning: UTF-8, or "latin-1" where it is not; raises `BadRelease`."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise fault(path, "is UTF-16 text", hint="save it as UTF-8")
    if b"\0" in data[:8192]:
        raise fault(path, "is not text", hint="give `format` in release.toml when it is another kind of file")
    try:
        return data.decode("utf-8-sig"), "utf8"
    except UnicodeDecodeError as error:
        if len(data) == HEAD_BYTES and error.start > len(data) - 4:
            return data[: error.start].decode("utf-8-sig"), "utf8"
        return "\n".join(map(decoded, data.split(b"\n"))), "latin-1"


def physical_lines(text: str) -> list[str]:
    """The lines of a text: LF and CR LF end one, and nothing else does (form feeds, NEL, U+2028 are text)."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def refuse_bare_cr(path: Path, data: bytes) -> None:
    """Raise `BadRelease` for a file (by its beginning) whose lines end in CR alone."""
    if b"\r" in data.rstrip(b"\r") and b"\n" not in data:
        raise fault(
            path,
            "its lines end in carriage returns alone (as on the first Macintosh computers)",
            hint="save it with LF line ends: tr '\\r' '\\n' < OLD > NEW",
            line=1,
        )


def sniff(path: Path, *, delimiter: str | None, comment: str | None, header: bool) -> Head:
    """How the file begins; raises `BadRelease` for an empty one."""
    data = first_bytes(path, HEAD_BYTES)
    refuse_bare_cr(path, data)
    text, encoding = decode(path, data)
    lines = physical_lines(text)
    # An empty mark says that no row is a comment; lines above a header still are.
    mark = comment or ("" if comment is not None and not header else "#")
    count = 0
    while count < len(lines) and (not lines[count].strip() or (mark and lines[count].startswith(mark))):
        count += 1
    comments, body = lines[:count], lines[count:]
    if not body and not comments:
        raise fault(path, "is empty")
    found = delimiter or guess_delimiter(body[:200] or [c.lstrip("# ") for c in comments[-1:]])
    marked = [c for c in comments if mark and c.startswith(mark)]
    dropped = comment != "" and (marked or comment is not None or _numbered(body[header:200], found, mark))
    kept = mark if dropped else None
    notes = tuple(c[len(mark) :].strip() for c in marked)
    first = split_line(body[0], found) if body else []
    named = _commented_header(notes, first, found) if header else None
    if named is not None:
        return Head(found, tuple(unique_names(named)), count, kept, encoding, notes[:-1], tuple(named))
    if not body:
        raise fault(path, "holds comments only")
    if not header:
        names = [f"column_{n}" for n in range(1, len(first) + 1)]
        return Head(found, tuple(names), count, kept, encoding, notes)
    width, record = _first_record(path, body, found, count)
    if all(_NUMBER.match(n) for n in record if n):
        raise fault(
            path,
            "its first line holds numbers, not column names",
            hint="say `header = false` for the table in release.toml",
            line=count + 1,
        )
    ruled, units = _ruled(body[width:], found)
    skip = count + width + ruled
    return Head(found, tuple(unique_names(record)), skip, kept, encoding, notes, tuple(record), units)


def _ruled(body: list[str], delimiter: str) -> tuple[int, tuple[str, ...]]:
    """(lines before the first row, units): a line of dashes may rule the header off, units above it."""
    for before in (0, 1):
        if len(body) > before:
            fields = [field for field in split_line(body[before], delimiter) if field]
            if fields and all(_RULE.fullmatch(field) for field in fields):
                return before + 1, tuple(split_line(body[0], delimiter)) if before else ()
    return 0, ()


def _commented_header(notes: tuple[str, ...], first: list[str], delimiter: str) -> list[str] | None:
    """The last comment line as names, when the first row is data and has as many fields."""
    if not notes or len(first) < 2 or not any(_NUMBER.match(f) for f in first):
        return None
    names = split_line(notes[-1], delimiter)
    if len(names) == len(first) and not any(_NUMBER.match(n) for n in names):
        return names
    return None


def _numbered(body: list[str], delimiter: str, mark: str) -> bool:
    """Whether every row that does not begin with the mark begins with a number: the others are comments."""
    plain = [line for line in body if line.strip() and not line.startswith(mark)]
    try:
        records = list(csv.reader(io.StringIO("\n".join(plain) + "\n"), delimiter=delimiter))
    except csv.Error:
        return False
    firsts = [record[0] for record in records if record and record[0]]
    return bool(firsts) and all(_NUMBER.match(first) for first in firsts)


def _first_record(path: Path, body: list[str], delimiter: str, before: int) -> tuple[int, list[str]]:
    """(physical lines, fields) of the first record: names in quotes may span lines."""
    reader = csv.reader(io.StringIO("\n".join(body[:50]) + "\n"), delimiter=delimiter)
    try:
        record = next(reader, [])
    except csv.Error as error:
        if "\r" in body[0]:
            raise fault(path, STRAY_CR, hint=STRAY_CR_HINT, line=before + 1) from error
        raise fault(path, f"its header cannot be read: {error}", line=before + 1) from error
    return reader.line_num, [r.strip() for r in record]


def split_line(line: str, delimiter: str) -> list[str]:
    """The fields of one line, blanks and quotes trimmed."""
    try:
        return [field.strip() for field in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return [field.strip() for field in line.split(delimiter)]


def guess_delimiter(lines: list[str]) -> str:
    """The delimiter that cuts most of these lines into the same number (two or more) of fields."""
    best, best_score = ",", (0.0, 0)
    for candidate in _DELIMITERS:
        counts = [len(split_line(line, candidate)) for line in lines if line.strip()]
        if not counts or counts[0] < 2:
            continue
        agreement = sum(c == counts[0] for c in counts) / len(counts)
        if (round(agreement, 1), counts[0]) > best_score:
            best, best_score = candidate, (round(agreement, 1), counts[0])
    return best
