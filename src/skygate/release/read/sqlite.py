"""SQLite: one table, or one SELECT, of a database file, opened read-only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa

from skygate.domain.catalog import Column, Datatype
from skygate.release.findings import Finding
from skygate.release.read.bytes_text import decoded
from skygate.release.read.compression import seekable
from skygate.release.read.source import Source, fault, is_wanted, unique_names, unreadable
from skygate.release.recipe import TableRecipe
from skygate.release.unfinished import refuse_unfinished

_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_EXACT = 2**53


def open_sqlite(path: Path, recipe: TableRecipe) -> Source:
    """A table of a SQLite file (the only one where `inside` is not given); raises `BadRelease`."""
    refuse_unfinished(path)
    plain, free = seekable(path)
    try:
        with closing(_connect(plain)) as connection:
            query = _query(path, connection, recipe.inside)
            names = _names(connection, query)
            picked = [(n, name) for n, name in enumerate(names) if is_wanted(recipe, name)]
            findings: list[Finding] = []
            kinds, rows = _kinds(path, connection, query, picked, findings)
    except sqlite3.Error as error:
        free()
        raise unreadable(path, error, what="SQLite", hint="check `inside` in release.toml") from error
    except BaseException:
        free()
        raise
    schema = pa.schema([pa.field(name, kind) for (_, name), (kind, _) in zip(picked, kinds, strict=True)])
    columns = tuple(
        Column(name, datatype, arraysize="*" if datatype.is_text else None, inferred={"datatype": why})
        for (_, name), (datatype, why) in zip(picked, [_datatype(k, w) for k, w in kinds], strict=True)
    )
    indexes = [n for n, _ in picked]

    def read(max_rows: int) -> Iterator[pa.RecordBatch]:
        with closing(_connect(plain)) as reading:
            cursor = reading.execute(query)
            while rows := cursor.fetchmany(max_rows):
                yield _batch(rows, indexes, schema)

    return Source(columns, schema, read, rows, {"query": query}, free, findings=findings)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    connection.text_factory = decoded
    connection.set_authorizer(
        lambda action, *_: sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY
    )
    return connection


def _query(path: Path, connection: sqlite3.Connection, inside: str | None) -> str:
    if inside and inside.split(None, 1)[0].lower() in ("select", "with"):
        return inside.strip().rstrip(";")
    found = [
        row[0]
        for row in connection.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') "
            "AND name NOT LIKE 'sqlite_%' ORDER BY name"
        )
    ]
    if inside is None and len(found) == 1:
        inside = found[0]
    if inside is None or inside not in found:
        said = "holds several tables" if inside is None else f"has no table {inside!r}"
        raise fault(
            path, said, hint="give `inside`: a SELECT, or one of " + (", ".join(found[:20]) or "(none there)")
        )
    return f"SELECT * FROM {_quoted(inside)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _names(connection: sqlite3.Connection, query: str) -> list[str]:
    described = connection.execute(f"SELECT * FROM ({query}) LIMIT 0").description
    return unique_names([d[0] for d in described])


def _kinds(
    path: Path,
    connection: sqlite3.Connection,
    query: str,
    picked: Sequence[tuple[int, str]],
    findings: list[Finding],
) -> tuple[list[tuple[pa.DataType, str]], int]:
    """(Arrow type and why of each column, number of rows): SQLite's values have types, its columns none."""
    aliases = [f"c{n}" for n, _ in enumerate(_names(connection, query))]
    counts = ["count(*)"]
    for number, _ in picked:
        name = aliases[number]
        counts += [
            f"coalesce(sum(typeof({name})='{kind}'), 0)" for kind in ("integer", "real", "text", "blob")
        ]
        counts.append(f"max(CASE WHEN typeof({name})='integer' THEN abs({name} / 2) END)")
    body = f"WITH q({', '.join(aliases)}) AS ({query}) SELECT {', '.join(counts)} FROM q"
    found = connection.execute(body).fetchone()
    kinds: list[tuple[pa.DataType, str]] = []
    for place, (_, name) in enumerate(picked):
        integers, reals, texts, blobs, half = found[1 + 5 * place : 6 + 5 * place]
        if blobs:
            raise fault(
                path,
                f"column {name} holds binary values",
                hint=f"leave it out (`drop = true` for column {name}) or turn it to text in a SELECT",
            )
        kind, why = _kind(integers, reals, texts, big=(half or 0) > _EXACT // 2)
        kinds.append((kind, why))
        if pa.types.is_string(kind) and integers + reals:
            few, many = sorted((texts, integers + reals)) if texts else sorted((integers, reals))
            findings.append(
                Finding(
                    "warning",
                    "text_among_numbers",
                    f"{path.name}: column {name} holds {why} ({many:,} of the one, {few:,} of the other), "
                    "which makes the whole column text",
                    "mend it, or choose in a SELECT (`inside`): CAST, or NULL for what is no number",
                    column=name,
                    count=few,
                )
            )
    return kinds, int(found[0])


def _kind(integers: int, reals: int, texts: int, *, big: bool) -> tuple[pa.DataType, str]:
    if texts:
        return pa.string(), "texts and numbers" if integers or reals else "values are texts"
    if reals and integers and big:
        return pa.string(), "fractions and integers beyond 2^53"
    if reals:
        return pa.float64(), "values are reals"
    if integers:
        return pa.int64(), "values are integers"
    return pa.string(), "no value"


def _datatype(kind: pa.DataType, why: str) -> tuple[Datatype, str]:
    if pa.types.is_string(kind):
        return (Datatype.CHAR if why == "no value" else Datatype.UNICODE), why
    return (Datatype.LONG if pa.types.is_integer(kind) else Datatype.DOUBLE), why


def _batch(rows: list[tuple[Any, ...]], indexes: list[int], schema: pa.Schema) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True))
    arrays: list[pa.Array] = []
    for index, field in zip(indexes, schema, strict=True):
        values = columns[index]
        if pa.types.is_string(field.type):
            values = [None if v is None else str(v) for v in values]
        elif pa.types.is_floating(field.type):
            values = [None if v is None else float(v) for v in values]
        arrays.append(pa.array(values, field.type))
    return pa.record_batch(arrays, schema=schema)
