"""CSV and its relatives (`,` `;` tab, comments, quotes): types by a first pass over the whole file.

Both passes read texts and convert them here, so that what the first pass decided the second can do.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pyarrow as pa
from pyarrow import csv

from skygate.domain.catalog import Column, Datatype
from skygate.errors import BadRelease
from skygate.release.compute import pc
from skygate.release.findings import Finding
from skygate.release.read.compression import BROKEN, open_plain
from skygate.release.read.left_out import repeated_names
from skygate.release.read.lines import Head, sniff
from skygate.release.read.rows_of_bytes import Seen, WithoutComments, line_of_row
from skygate.release.read.source import Source, entry_for, fault, rebatch, unreadable, with_changes
from skygate.release.read.text_findings import of_encoding, of_guesses, of_lines, of_one_column
from skygate.release.read.text_values import (
    ARROW,
    CONVERTERS,
    MISSING,
    OUTER_BLANKS,
    Guess,
    Kind,
    first_misfit,
    outer_blanks,
    read_again,
)
from skygate.release.recipe import TableRecipe

_BLOCK = 4 << 20
"""Bytes that Arrow parses at once; it holds about 35 of them in all."""

DATATYPES: dict[Kind, Datatype] = {
    Kind.EMPTY: Datatype.CHAR,
    Kind.BOOLEAN: Datatype.BOOLEAN,
    Kind.INTEGER: Datatype.LONG,
    Kind.REAL: Datatype.DOUBLE,
    Kind.TIMESTAMP: Datatype.CHAR,
    Kind.TEXT: Datatype.CHAR,
}
KINDS: dict[str, Kind] = {
    "boolean": Kind.BOOLEAN,
    "unsignedByte": Kind.INTEGER,
    "short": Kind.INTEGER,
    "int": Kind.INTEGER,
    "long": Kind.INTEGER,
    "float": Kind.REAL,
    "double": Kind.REAL,
    "string": Kind.TEXT,
    "timestamp": Kind.TIMESTAMP,
}
"""What a text must be to become a column of a recipe's type (numbers are narrowed later, checked)."""


@dataclass(frozen=True, slots=True)
class Field:
    """How one column of texts is converted."""

    name: str
    kind: Kind
    nulls: tuple[str, ...]


def open_delimited(path: Path, recipe: TableRecipe, *, delimiter: str | None = None) -> Source:
    """A delimited text file; raises `BadRelease` with the line where a row does not fit."""
    head = sniff(path, delimiter=recipe.delimiter or delimiter, comment=recipe.comment, header=recipe.header)
    guesses = {name: Guess(nulls=nulls_of(recipe, name)) for name in head.names}
    seen = Seen()
    head, rows = _survey(path, head, guesses, seen)
    fields = tuple(
        Field(name, fixed_kind(recipe, name) or guess.kind, guess.nulls) for name, guess in guesses.items()
    )
    units = dict(zip(head.names, head.units, strict=False))
    columns = tuple(
        replace(inferred_column(f, guesses[f.name]), unit=units.get(f.name) or None) for f in fields
    )
    undeclared = {name: guess for name, guess in guesses.items() if fixed_kind(recipe, name) is None}
    findings = [
        *of_lines(path, head.comment, seen),
        *of_encoding(path, head.encoding),
        *of_guesses(path, undeclared, lambda row: line_of_row(path, head, row)),
    ]
    if recipe.delimiter is None and delimiter is None:
        findings += of_one_column(path, head)
    findings += repeated_names(path, head.given, head.names)
    return delimited_source(path, head, fields, columns, rows=rows, findings=findings)


def delimited_source(
    path: Path,
    head: Head,
    fields: tuple[Field, ...],
    columns: tuple[Column, ...],
    *,
    rows: int | None = None,
    metadata: Mapping[str, str] | None = None,
    findings: list[Finding] | None = None,
) -> Source:
    """The reader of a delimited file whose columns are decided."""
    schema = pa.schema([pa.field(f.name, ARROW[f.kind]) for f in fields])

    def read(max_rows: int) -> Iterator[pa.RecordBatch]:
        before = 0
        for block in raw_batches(path, head):
            for texts in rebatch(block, max_rows):
                yield convert_texts(path, texts, fields, schema, rows_before=before)
                before += texts.num_rows

    told = dict(metadata or {})
    told.setdefault("encoding", head.encoding)
    return Source(columns, schema, read, rows, told, findings=findings or [])


def nulls_of(recipe: TableRecipe, name: str) -> tuple[str, ...]:
    """The texts that mean "missing" in this column: the usual ones, the table's and the column's own."""
    entry = entry_for(recipe, name)
    own = tuple(str(n) for n in entry[1].nulls) if entry else ()
    return (*MISSING, *recipe.nulls, *own)


def fixed_kind(recipe: TableRecipe, name: str) -> Kind | None:
    """The kind that the recipe's type asks for, if it gives one; raises `BadRelease` for unknown types."""
    entry = entry_for(recipe, name)
    if entry is None or entry[1].type is None:
        return None
    if entry[1].type not in KINDS:
        raise fault(
            "release.toml",
            f"column {entry[0]}: unknown type {entry[1].type!r}",
            hint="expected one of " + ", ".join(KINDS),
        )
    return KINDS[entry[1].type]


def inferred_column(field: Field, guess: Guess) -> Column:
    """The column that a first pass over all values found."""
    if field.kind is not guess.kind:
        why = "type given by the recipe"
    else:
        why = guess.why or "no value"
    datatype = DATATYPES[field.kind]
    if datatype is Datatype.CHAR and not guess.ascii:
        datatype = Datatype.UNICODE
    text = datatype.is_text
    return Column(
        field.name,
        datatype,
        arraysize="*" if text else None,
        xtype="timestamp" if field.kind is Kind.TIMESTAMP else None,
        inferred={"datatype": why},
    )


def convert_texts(
    path: Path,
    texts: pa.RecordBatch,
    fields: tuple[Field, ...],
    schema: pa.Schema,
    *,
    rows_before: int,
) -> pa.RecordBatch:
    """A batch of texts as values of the fields' kinds; raises `BadRelease` naming column, value and row.

    The batch tells how many texts were made null because the recipe says that they mean "missing".
    """
    arrays: list[pa.Array] = []
    changes: dict[str, tuple[str, int]] = {}
    for number, field in enumerate(fields):
        column = texts.column(number)
        nulls = field.nulls
        own = nulls[len(MISSING) :]
        if own:
            column, count = _without(column, own)
            if count:
                changes[field.name] = f"{', '.join(own)} made null", count
        if field.kind is Kind.TEXT and (count := outer_blanks(column)):
            what, before = changes.get(field.name, ("", 0))
            changes[field.name] = f"{what} or ".removeprefix(" or ") + OUTER_BLANKS, before + count
        try:
            arrays.append(CONVERTERS[field.kind](column, nulls))
        except pa.ArrowInvalid as error:
            odd = first_misfit(field.kind, column, nulls)
            row, token = odd if odd is not None else (0, "")
            raise fault(
                path,
                f"column {field.name}, row {rows_before + row + 1}: {token[:60]!r} is no {field.kind}",
                hint="give the column another type, or list the text under its `nulls`, in release.toml",
                token=token[:60],
            ) from error
    return pa.record_batch(arrays, schema=with_changes(schema, changes))


def _without(texts: pa.Array, nulls: tuple[str, ...]) -> tuple[pa.Array, int]:
    """The texts, null where the recipe says that they mean "missing", and how many were."""
    missing = pc.is_in(pc.utf8_trim_whitespace(texts), value_set=pa.array(nulls, pa.string()))
    return pc.if_else(missing, pa.scalar(None, pa.string()), texts), int(pc.sum(missing).as_py() or 0)


def _survey(path: Path, head: Head, guesses: dict[str, Guess], seen: Seen) -> tuple[Head, int]:
    """The first pass: widen every guess by the whole file; (head with the true encoding, rows)."""
    order = list(guesses.values())
    rows = 0
    try:
        for texts in raw_batches(path, head, seen):
            for number, guess in enumerate(order):
                guess.see(texts.column(number), rows_before=rows)
            rows += texts.num_rows
    except NotUtf8:
        for guess in order:
            guess.forget()
        return _survey(path, replace(head, encoding="latin-1"), guesses, seen)
    return head, rows


class NotUtf8(Exception):
    """The bytes are no UTF-8: the file is read again as Latin-1."""


def raw_batches(path: Path, head: Head, seen: Seen | None = None) -> Iterator[pa.RecordBatch]:
    """The rows as texts; raises `BadRelease` for rows of another length, `NotUtf8` for other bytes.

    `seen` is filled anew with what was met on the way.
    """
    seen = Seen() if seen is None else seen
    seen.forget()
    odd: list[tuple[int, int, str]] = []

    def handle(row: csv.InvalidRow) -> str:
        odd.append((row.expected_columns, row.actual_columns, row.text or ""))
        return "error"

    stream = io.BufferedReader(WithoutComments(path, head, seen), 1 << 20)
    names = list(head.names)
    try:
        with csv.open_csv(
            stream,
            read_options=csv.ReadOptions(
                block_size=_BLOCK, column_names=names, encoding=head.encoding, use_threads=True
            ),
            parse_options=csv.ParseOptions(
                delimiter=head.delimiter,
                newlines_in_values=True,
                invalid_row_handler=handle,
                ignore_empty_lines=len(names) > 1,
            ),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=True,
                null_values=["", "\\N"],
                quoted_strings_can_be_null=True,
            ),
        ) as reader:
            for batch in reader:
                if batch.num_rows:
                    yield batch if head.encoding == "utf8" else _read_again(batch)
    except pa.ArrowInvalid as error:
        if seen.fault is not None:
            raise seen.fault from error
        if "Empty CSV file" in str(error):
            return
        if "UTF8" in str(error) and head.encoding == "utf8":
            raise NotUtf8 from error
        raise _bad_row(path, error, head, odd) from error
    except BROKEN as error:
        raise unreadable(path, error, what="text") from error
    finally:
        stream.close()


def _read_again(batch: pa.RecordBatch) -> pa.RecordBatch:
    return pa.record_batch([read_again(column) for column in batch.columns], schema=batch.schema)


def _bad_row(path: Path, error: pa.ArrowInvalid, head: Head, odd: list[tuple[int, int, str]]) -> BadRelease:
    if not odd:
        return unreadable(path, error, what="delimited text")
    expected, actual, text = odd[0]
    line = find_line(path, text, head.encoding)
    name = {"\t": "tab", ",": "comma", ";": "semicolon"}.get(head.delimiter, repr(head.delimiter))
    hint = "mend the row, or give `delimiter` or `comment` for the table in release.toml"
    if actual == expected + 1 and text.rstrip().endswith(head.delimiter.strip() or head.delimiter):
        hint = (
            f"the row ends in a {name}: take it away from the rows, or end the header with one too "
            f"and say `drop = true` for the column column_{actual} that this makes"
        )
    return fault(
        path,
        f"a row has {actual} fields where the header has {expected} (delimiter: {name})",
        hint=hint,
        line=line,
        token=text[:80],
    )


def find_line(path: Path, text: str, encoding: str = "utf8") -> int | None:
    """The number of the first line that begins as `text` does (its first line)."""
    wanted = text.split("\n")[0].rstrip("\r").encode(encoding, "replace")
    with open_plain(path) as file, io.BufferedReader(cast(io.RawIOBase, file)) as lines:
        for number, line in enumerate(lines, start=1):
            if wanted and line.rstrip(b"\r\n") == wanted:
                return number
    return None
