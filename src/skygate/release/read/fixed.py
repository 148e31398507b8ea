"""Fixed-width text, described by bytes as in the ReadMe files of the CDS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from skygate.release.read.compression import BROKEN, first_bytes, open_plain
from skygate.release.read.delimited import (
    KINDS,
    Field,
    convert_texts,
    fixed_kind,
    inferred_column,
    nulls_of,
)
from skygate.release.read.lines import HEAD_BYTES, refuse_bare_cr
from skygate.release.read.rows_of_bytes import Seen
from skygate.release.read.source import Source, fault, is_wanted, rebatch, unreadable
from skygate.release.read.text_findings import of_encoding, of_guesses, of_lines
from skygate.release.read.text_values import ARROW, Guess, Kind, as_text
from skygate.release.recipe import FixedColumn, TableRecipe

_BLOCK = 8 << 20
_CDS = {"A": Kind.TEXT, "I": Kind.INTEGER, "F": Kind.REAL, "E": Kind.REAL, "D": Kind.REAL}


def open_fixed(path: Path, recipe: TableRecipe) -> Source:
    """A fixed-width text file; raises `BadRelease` without a description or where a value does not fit."""
    if not recipe.fixed:
        raise fault(
            path,
            "is fixed-width text without a description of its columns",
            hint="give name, start and end of each column under `fixed` in release.toml",
        )
    for column in recipe.fixed:
        if not 1 <= column.start <= column.end:
            raise fault(
                "release.toml", f"column {column.name}: bytes {column.start}-{column.end} are no range"
            )
    wanted = tuple(c for c in recipe.fixed if is_wanted(recipe, c.name))
    refuse_bare_cr(path, first_bytes(path, HEAD_BYTES))
    guesses = {c.name: Guess(nulls=nulls_of(recipe, c.name)) for c in wanted}
    rows, seen = 0, Seen()
    for texts in _raw(path, recipe, wanted, seen):
        for number, guess in enumerate(guesses.values()):
            guess.see(texts.column(number), rows_before=rows)
        rows += texts.num_rows
    untyped = {
        c.name: guesses[c.name] for c in wanted if c.type is None and fixed_kind(recipe, c.name) is None
    }
    findings = [
        *of_lines(path, recipe.comment, seen),
        *of_encoding(path, "latin-1" if seen.not_utf8 else "utf8"),
        *of_guesses(path, untyped, lambda row: _line_of_row(path, recipe, row)),
    ]
    fields = tuple(Field(c.name, _kind(c, recipe, guesses[c.name]), guesses[c.name].nulls) for c in wanted)
    columns = tuple(
        replace(inferred_column(f, guesses[f.name]), unit=c.unit, description=c.description or "")
        for f, c in zip(fields, wanted, strict=True)
    )
    schema = pa.schema([pa.field(f.name, ARROW[f.kind]) for f in fields])

    def read(max_rows: int) -> Iterator[pa.RecordBatch]:
        before = 0
        for block in _raw(path, recipe, wanted):
            for texts in rebatch(block, max_rows):
                yield convert_texts(path, texts, fields, schema, rows_before=before)
                before += texts.num_rows

    return Source(columns, schema, read, rows, findings=findings)


def _line_of_row(path: Path, recipe: TableRecipe, row: int) -> int | None:
    """The line (1-based) of a row (0-based)."""
    mark = recipe.comment.encode() if recipe.comment else None
    line = rows = 0
    with open_plain(path) as file:
        for lines in _line_blocks(path, file):
            for text in lines:
                line += 1
                if _is_row(text, mark):
                    rows += 1
                    if rows > row:
                        return line
    return None


def _kind(column: FixedColumn, recipe: TableRecipe, guess: Guess) -> Kind:
    asked = fixed_kind(recipe, column.name)
    if asked is not None:
        return asked
    if column.type is None:
        return guess.kind
    if column.type in KINDS:
        return KINDS[column.type]
    match = re.fullmatch(r"([AIFED])[0-9.]*", column.type)
    if match is None:
        raise fault(
            "release.toml",
            f"column {column.name}: unknown type {column.type!r}",
            hint="expected a CDS format such as I6, F8.3 or A10, or one of " + ", ".join(KINDS),
        )
    return _CDS[match[1]]


def _raw(
    path: Path, recipe: TableRecipe, wanted: tuple[FixedColumn, ...], seen: Seen | None = None
) -> Iterator[pa.RecordBatch]:
    """The columns as texts, block by block; `seen` counts the comments after the first row."""
    mark = recipe.comment.encode() if recipe.comment else None
    names = [c.name for c in wanted]
    seen = Seen() if seen is None else seen
    before, begun = 0, False
    with open_plain(path) as file:
        for lines in _line_blocks(path, file):
            if mark is not None:
                first = 0 if begun else next((n for n, t in enumerate(lines) if _is_row(t, mark)), len(lines))
                dropped = [n for n in range(first, len(lines)) if lines[n].startswith(mark)]
                if dropped:
                    seen.dropped += len(dropped)
                    seen.first_dropped = seen.first_dropped or before + dropped[0] + 1
                before += len(lines)
                begun = begun or first < len(lines)
                lines = [line for line in lines if not line.startswith(mark)]
            lines = [line for line in lines if line.strip()]
            if not lines:
                continue
            grid = np.array(lines, dtype=np.bytes_)
            width = grid.dtype.itemsize
            seen.not_utf8 = seen.not_utf8 or not _is_utf8(lines)
            cells = grid.view(np.uint8).reshape(len(lines), width)
            arrays = [_slice(cells, c.start - 1, min(c.end, width)) for c in wanted]
            yield pa.record_batch(arrays, names=names)


def _is_utf8(lines: list[bytes]) -> bool:
    try:
        b"\n".join(lines).decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_row(line: bytes, mark: bytes | None) -> bool:
    return bool(line.strip()) and not (mark is not None and line.startswith(mark))


def _slice(cells: np.ndarray, start: int, end: int) -> pa.Array:
    """The bytes `start` to `end` of every line as trimmed texts."""
    rows, width = len(cells), end - start
    if width <= 0:
        return pa.nulls(rows, pa.string())
    piece = np.ascontiguousarray(cells[:, start:end])
    binary = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), rows, [None, pa.py_buffer(piece)]).cast(
        pa.binary()
    )
    return as_text(binary)


def _line_blocks(path: Path, file: BinaryIO) -> Iterator[list[bytes]]:
    held = b""
    while block := _block(path, file):
        *lines, held = (held + block).split(b"\n")
        yield lines
    if held:
        yield [held]


def _block(path: Path, file: BinaryIO) -> bytes:
    try:
        return file.read(_BLOCK)
    except BROKEN as error:
        raise unreadable(path, error, what="text") from error
