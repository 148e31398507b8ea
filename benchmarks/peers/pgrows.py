"""Rows into and out of PostgreSQL as arrays, by its binary COPY: the fastest way that it offers either way.

Rows without nulls and with texts of one length have one size, so a whole batch is one NumPy record array.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import psycopg

_HEAD = b"PGCOPY\n\xff\r\n\0" + b"\0" * 8
_END = b"\xff\xff"
_TYPES = {"i2": "smallint", "i4": "integer", "i8": "bigint", "f4": "real", "f8": "double precision"}
Array = np.ndarray[Any, Any]


def run(connection: psycopg.Connection[Any], statement: str, parameters: Sequence[Any] | None = None) -> None:
    """A statement whose answer nobody waits for."""
    connection.execute(_sent(statement), parameters)


def _sent(statement: str) -> bytes:
    """Statements here are made of constants and numbers; the driver's types want that said."""
    return statement.encode()


def sql_type(kind: np.dtype[Any]) -> str:
    """The type of a column for values of this kind."""
    return "text" if kind.kind == "S" else _TYPES[kind.str[1:]]


def _layout(kinds: Sequence[np.dtype[Any]]) -> np.dtype[Any]:
    """One row of binary COPY: the number of fields, then each field's length and value, big endian."""
    fields: list[tuple[str, str]] = [("n", ">i2")]
    for i, kind in enumerate(kinds):
        fields += [(f"l{i}", ">i4"), (f"v{i}", kind.str if kind.kind == "S" else ">" + kind.str[1:])]
    return np.dtype(fields)


def encoded(columns: Mapping[str, Array]) -> bytes:
    """Rows of binary COPY, without its head and end."""
    kinds = [values.dtype for values in columns.values()]
    rows = np.empty(len(next(iter(columns.values()))), _layout(kinds))
    rows["n"] = len(kinds)
    for i, (name, values) in enumerate(columns.items()):
        if values.dtype.kind == "S" and np.any(np.char.str_len(values) != values.dtype.itemsize):
            raise ValueError(f"texts of {name} are not all of one length")
        rows[f"l{i}"] = values.dtype.itemsize
        rows[f"v{i}"] = values
    return rows.tobytes()


def copy_in(connection: psycopg.Connection[Any], table: str, batches: Iterable[Mapping[str, Array]]) -> int:
    """COPY batches of columns into a table, in one statement; says how many rows."""
    count = 0
    with (
        connection.cursor() as cursor,
        cursor.copy(_sent(f"COPY {table} FROM STDIN (FORMAT BINARY)")) as copy,
    ):
        copy.write(_HEAD)
        for columns in batches:
            copy.write(encoded(columns))
            count += len(next(iter(columns.values())))
        copy.write(_END)
    return count


def copy_out(connection: psycopg.Connection[Any], query: str, kinds: Mapping[str, str]) -> dict[str, Array]:
    """The answer of a query as arrays of these kinds (`i8`, `f4` …), for answers of many rows."""
    with (
        connection.cursor() as cursor,
        cursor.copy(_sent(f"COPY ({query}) TO STDOUT (FORMAT BINARY)")) as copy,
    ):
        data = b"".join(bytes(piece) for piece in copy)
    layout = _layout([np.dtype(kind) for kind in kinds.values()])
    body = data[len(_HEAD) : -len(_END)]
    if len(body) % layout.itemsize:
        raise ValueError("the answer has rows of another size: nulls, or other types than were said")
    rows = np.frombuffer(body, layout)
    if not np.all(rows["n"] == len(kinds)):
        raise ValueError("the answer has other columns than were said")
    return {name: rows[f"v{i}"].astype(np.dtype(kind)) for i, (name, kind) in enumerate(kinds.items())}


def fetch(
    connection: psycopg.Connection[Any], query: str, parameters: Sequence[Any], kinds: Mapping[str, str]
) -> dict[str, Array]:
    """The answer of a prepared statement as arrays, over the binary protocol, for answers of few rows."""
    with connection.cursor(binary=True) as cursor:
        rows = cursor.execute(_sent(query), parameters, prepare=True).fetchall()
    columns = zip(*rows, strict=True) if rows else ((),) * len(kinds)
    return {name: np.array(values, kind) for (name, kind), values in zip(kinds.items(), columns, strict=True)}
