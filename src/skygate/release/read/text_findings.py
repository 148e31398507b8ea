"""What is worth telling of a text file besides its values: lines dropped, line breaks, slips among numbers.

Must not know: recipes, published names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from skygate.release.findings import Finding
from skygate.release.read.compression import first_bytes
from skygate.release.read.lines import HEAD_BYTES, Head, decode, physical_lines
from skygate.release.read.rows_of_bytes import Seen
from skygate.release.read.text_values import Guess

NOT_UTF8 = "not_utf8"


def of_lines(path: Path, mark: str | None, seen: Seen) -> Iterator[Finding]:
    """Comment lines below the header and values that hold line breaks, counted."""
    if seen.row_like:
        yield Finding(
            "warning",
            "commented_rows",
            f"{path.name}: {_lines(seen.row_like)} below the header begin with {mark} "
            f"but else would be rows (first: line {seen.first_row_like}); they are dropped as comments",
            'comment = "" in release.toml when they are rows',
            count=seen.row_like,
        )
    if seen.dropped > seen.row_like:
        yield Finding(
            "info",
            "comments_dropped",
            f"{path.name}: {_lines(seen.dropped - seen.row_like)} below the header were dropped as comments "
            f"(first: line {seen.first_dropped})",
            'comment = "" in release.toml when they are rows',
            count=seen.dropped - seen.row_like,
        )
    if seen.broken:
        values = "1 value holds" if seen.broken == 1 else f"{seen.broken:,} values hold"
        yield Finding(
            "warning",
            "line_breaks",
            f"{path.name}: {values} line breaks (the first begins in line {seen.first_broken})",
            "is every quote that opens in the file also closed? a quote that is part of a value is doubled",
            count=seen.broken,
        )


def of_guesses(
    path: Path, guesses: Mapping[str, Guess], line_of: Callable[[int], int | None]
) -> Iterator[Finding]:
    """Columns of numbers that few values made text; `line_of` finds the line of a row."""
    for name, guess in guesses.items():
        if guess.commas is not None:
            yield Finding(
                "warning",
                "decimal_commas",
                f"{path.name}: values such as {guess.commas!r} of column {name} are read as text: "
                "a number has a decimal point here",
                "write the file with decimal points, or leave the column as text",
                column=name,
            )
        slips = guess.slips
        if not slips:
            continue
        line = line_of(slips[0][0])
        place = f"line {line}" if line is not None else f"row {slips[0][0] + 1}"
        more = f" and {len(slips) - 1} more" if len(slips) > 1 else ""
        yield Finding(
            "warning",
            "text_among_numbers",
            f"{path.name}, {place}: {slips[0][1][:40]!r}{more} among {guess.numbers:,} {guess.among} "
            "makes the whole column text",
            'mend it, list it under the column\'s `nulls`, or say type = "string" when the column is text',
            column=name,
            count=len(slips),
        )


def of_encoding(path: Path, encoding: str) -> Iterator[Finding]:
    """A file that is not UTF-8 and does not say what it is."""
    if encoding != "utf8":
        yield Finding(
            "warning",
            NOT_UTF8,
            f"{path.name} is not UTF-8: values that are not are read as Windows-1252 (Latin-1)",
            "look at the texts; save the file as UTF-8 if they are of another encoding",
        )


def of_one_column(path: Path, head: Head) -> Iterator[Finding]:
    """A file that became one column although blanks cut its lines into several."""
    if len(head.names) != 1:
        return
    lines = physical_lines(decode(path, first_bytes(path, HEAD_BYTES))[0])
    body = [line.split() for line in lines[head.skip_lines : head.skip_lines + 200] if line.strip()]
    if not body or len(head.names[0].split()) < 2 or any(len(fields) < 2 for fields in body):
        return
    yield Finding(
        "warning",
        "one_column",
        f"{path.name}: no delimiter was found, so that every line is one text",
        'delimiter = " " when single blanks stand between the fields; `fixed` when they stand at fixed bytes',
        column=head.names[0],
    )


def _lines(count: int) -> str:
    return f"{count:,} line{'' if count == 1 else 's'}"
