"""Keys between tables of a release: does every value of the source exist in the target?

A row whose key columns hold a null refers to nothing and is not counted. Rows are looked at a file at a
time; only the target's distinct keys are held in memory.

Must not know: how findings are shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skygate.domain.catalog import Key, Table
from skygate.errors import BadRelease, Where
from skygate.release.findings import Finding, counted
from skygate.release.recipe import KeyRecipe
from skygate.wire import arrow_type

_WHERE = Where(name="release.toml")


def keys_of(schema: str, recipes: Sequence[KeyRecipe], tables: Mapping[str, Table]) -> tuple[Key, ...]:
    """The keys with full table names; raises `BadRelease` where a table or column is not there."""
    return tuple(
        Key(
            source=_table(recipe.source, schema, tables).full_name,
            target=_table(recipe.target, schema, tables).full_name,
            columns=_columns(recipe, schema, tables),
            description=recipe.description,
        )
        for recipe in recipes
    )


def check_key(key: Key, source: Table, target: Table, *, root: Path) -> list[Finding]:
    """What is wrong with a key; the tables' parts are relative to `root`."""
    ours, theirs = [a for a, _ in key.columns], [b for _, b in key.columns]
    single_integer = len(ours) == 1 and all(
        pa.types.is_integer(_types(table, names)[0]) for table, names in ((source, ours), (target, theirs))
    )
    count = _integers if single_integer else _joined
    arrow = f"{source.name}({', '.join(ours)}) → {target.name}({', '.join(theirs)})"
    try:
        lost, repeated = count(root, source, ours, target, theirs)
    except pa.ArrowException as fault:
        raise BadRelease(
            f"the columns of the key {arrow} cannot be compared: {fault}",
            hint="publish them with the same type",
            where=_WHERE,
        ) from None
    findings: list[Finding] = []
    refer = "refers to a row that does" if lost == 1 else "refer to rows that do"
    repeat = "repeats" if repeated == 1 else "repeat"
    if lost:
        findings.append(
            Finding(
                severity="error",
                code="key_without_target",
                message=f"{counted(lost, 'row')} of the key {arrow} {refer} not exist",
                hint="leave the key out, or the rows, or publish the rows that are missing",
                table=source.name,
                column=ours[0],
                count=lost,
            )
        )
    if repeated:
        findings.append(
            Finding(
                severity="warning",
                code="key_target_repeated",
                message=f"{counted(repeated, 'row')} {repeat} a value of the target of the key {arrow}",
                hint="a key should lead to one row",
                table=target.name,
                column=theirs[0],
                count=repeated,
            )
        )
    return findings


def _table(name: str, schema: str, tables: Mapping[str, Table]) -> Table:
    table = tables.get(name.removeprefix(f"{schema}."))
    if table is None:
        known = ", ".join(tables)
        raise BadRelease(
            f"a key names table {name!r}, which is not there", hint=f"tables: {known}", where=_WHERE
        )
    return table


def _columns(recipe: KeyRecipe, schema: str, tables: Mapping[str, Table]) -> tuple[tuple[str, str], ...]:
    ends = (_table(recipe.source, schema, tables), _table(recipe.target, schema, tables))
    for pair in recipe.columns:
        for table, name in zip(ends, pair, strict=True):
            if table.column(name) is None:
                raise BadRelease(
                    f"a key names column {name!r}, which table {table.name} does not have", where=_WHERE
                )
    return recipe.columns


def _types(table: Table, names: Sequence[str]) -> list[pa.DataType]:
    return [arrow_type(column) for name in names if (column := table.column(name)) is not None]


def _parts(root: Path, table: Table, names: Sequence[str]) -> Iterator[pa.Table]:
    """The key columns of each file, rows with a null left out."""
    for part in table.parts:
        # ParquetFile, not read_table: the latter makes columns of the path's Norder= and Dir=
        with pq.ParquetFile(root / part.path) as file:
            yield file.read(columns=list(names)).drop_null()


def _integers(
    root: Path, source: Table, ours: Sequence[str], target: Table, theirs: Sequence[str]
) -> tuple[int, int]:
    """(rows without target, rows that repeat a target) for one integer column: 8 bytes a target row."""
    pieces = [rows.column(0).to_numpy().astype(np.int64) for rows in _parts(root, target, theirs)]
    values = np.concatenate([*pieces, np.empty(0, np.int64)])
    known = np.unique(values)
    lost = 0
    for rows in _parts(root, source, ours):
        wanted = rows.column(0).to_numpy().astype(np.int64)
        at = np.minimum(np.searchsorted(known, wanted), max(known.size - 1, 0))
        lost += int(np.count_nonzero(known[at] != wanted)) if known.size else wanted.size
    return lost, int(values.size - known.size)


def _joined(
    root: Path, source: Table, ours: Sequence[str], target: Table, theirs: Sequence[str]
) -> tuple[int, int]:
    """The same for any columns."""
    names = [f"k{i}" for i in range(len(ours))]
    kinds = _types(target, theirs)
    schema = pa.schema(list(zip(names, kinds, strict=True)))
    known = schema.empty_table()
    total = 0
    for rows in _parts(root, target, theirs):
        total += rows.num_rows
        fresh = pa.concat_tables([known, rows.rename_columns(names).cast(schema)])
        known = fresh.group_by(names).aggregate([])
    lost = 0
    for rows in _parts(root, source, ours):
        wanted = rows.rename_columns(names).cast(schema)
        lost += wanted.join(known, keys=names, join_type="left anti").num_rows
    return lost, total - known.num_rows
