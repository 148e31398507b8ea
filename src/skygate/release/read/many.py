"""Many files that are one table: one set of columns wide enough for all, read file after file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from skygate.domain.catalog import Column, Datatype
from skygate.release.compute import pc
from skygate.release.findings import Finding
from skygate.release.read.alike import check_alike
from skygate.release.read.numeric import raw_column
from skygate.release.read.opening import open_table
from skygate.release.read.source import (
    Source,
    TableReader,
    changes_in,
    entry_for,
    fault,
    is_wanted,
    unreadable,
    with_changes,
)
from skygate.release.recipe import ColumnRecipe, TableRecipe


def open_files(paths: Sequence[Path], recipe: TableRecipe) -> TableReader:
    """All files as one table, in the order given; raises `BadRelease` where they have no column in common.

    A column that a file lacks is null for its rows; names that differ in capitals only are one column. Types
    are widened (int to long, integer to double, anything to text) so that every file's values fit; the files
    are opened one at a time.
    """
    if not paths:
        raise fault("release.toml", f"table {recipe.name} names no file")
    if len(paths) == 1:
        return open_table(paths[0], recipe)
    found = _Found()
    for path in paths:
        reader = open_table(path, recipe)
        try:
            found.name(path, reader)
            own = _under_own_names(recipe, found.renamed[path])
            if own != recipe:
                reader.close()
                reader = open_table(path, own)
            check_alike(paths[0], found.columns, found.metadata, path, reader, recipe)
            found.add(path, reader)
        finally:
            reader.close()
    schema = pa.schema([pa.field(name, kind) for name, kind in found.types.items()])
    findings = [*found.findings, *found.mixed(recipe), *found.lacking(recipe)]

    def read(max_rows: int) -> Iterator[pa.RecordBatch]:
        late: list[Finding] = []
        for path in paths:
            renamed = found.renamed[path]
            reader = open_table(path, _recipe_for(recipe, found, path))
            try:
                for batch in reader.batches(max_rows):
                    try:
                        names = [renamed.get(n, n) for n in batch.schema.names]
                        told = {renamed.get(n, n): what for n, what in changes_in(batch).items()}
                        fitted = fit(batch.rename_columns(names), schema)
                        yield fitted.replace_schema_metadata(with_changes(schema, told).metadata)
                    except pa.ArrowInvalid as error:
                        hint = 'give the column `type = "string"` in release.toml'
                        raise unreadable(path, error, what="a part of the table", hint=hint) from error
                late += [f for f in reader.findings if f.column is None]
            finally:
                reader.close()
        # What only the reading of the rows finds (ECSV) comes to what opening the files found.
        findings.extend(f for f in late if f not in findings)

    return Source(tuple(found.columns.values()), schema, read, found.rows, found.metadata, findings=findings)


class _Found:
    """What the files hold, put together file by file."""

    def __init__(self) -> None:
        self.columns: dict[str, Column] = {}
        self.types: dict[str, pa.DataType] = {}
        self.rows: int | None = 0
        self.metadata: dict[str, str] = {}
        self.findings: list[Finding] = []
        self.renamed: dict[Path, dict[str, str]] = {}
        """By file: its own names of columns that the table calls otherwise."""
        self._units_told: set[str] = set()
        self._held: dict[str, list[tuple[Path, pa.DataType]]] = {}
        self._having: dict[str, set[Path]] = {}

    def name(self, path: Path, reader: TableReader) -> None:
        """See which columns of a file the table calls otherwise."""
        self.renamed[path] = _same_but_for_case(list(self.columns), reader.schema.names)

    def add(self, path: Path, reader: TableReader) -> None:
        """Take up one file; raises `BadRelease` where it does not fit to those before."""
        self.rows = None if self.rows is None or reader.rows is None else self.rows + reader.rows
        for key, value in reader.metadata.items():
            self.metadata.setdefault(key, value)
        names = self.renamed[path]
        held = {names.get(c.name, c.name) for c in reader.columns}
        if self.columns and not self.columns.keys() & held:
            raise fault(path, f"has no column in common with {next(iter(self.renamed))}")
        for finding in reader.findings:
            column = finding.column and names.get(finding.column, finding.column)
            self.findings.append(replace(finding, column=column))
        for column, field in zip(reader.columns, reader.schema, strict=True):
            name = names.get(column.name, column.name)
            self._having.setdefault(name, set()).add(path)
            self._note_unit(path, name, column)
            _widen(path, self.columns, self.types, replace(column, name=name), field)
            if not _is_empty(column):
                self._held.setdefault(name, []).append((path, field.type))

    def _note_unit(self, path: Path, name: str, column: Column) -> None:
        """Files with and without a unit: the unit is taken for all, with a warning (once a column)."""
        known = self.columns.get(name)
        if known is None or bool(known.unit) == bool(column.unit) or _is_empty(column) or _is_empty(known):
            return
        unit = known.unit or column.unit
        if name not in self._units_told:
            self._units_told.add(name)
            lacking = path.name if known.unit else "the files before it"
            giving = "the files before it" if known.unit else path.name
            self.findings.append(
                Finding(
                    "warning",
                    "units_missing",
                    f"{giving}: {name} is in {unit}; {lacking}: no unit; it is taken for all files",
                    "give the column a unit in release.toml",
                    column=name,
                )
            )
        self.columns[name] = replace(known, unit=unit)

    def texts(self) -> frozenset[str]:
        """The columns that are text in all because they are text in some files only."""
        return frozenset(
            name
            for name, kind in self.types.items()
            if pa.types.is_string(kind) and any(held != kind for _, held in self._held.get(name, ()))
        )

    def lacking(self, recipe: TableRecipe) -> Iterator[Finding]:
        """A warning for each published column that some of the files do not have."""
        for name in self.columns:
            without = self._without(name)
            if without and is_wanted(recipe, name):
                yield Finding(
                    "warning",
                    "column_missing",
                    f"{len(without)} of {len(self.renamed)} files, {without[0].name} first, "
                    "have no such column: there it is null",
                    "are these files of this table, and complete?",
                    column=name,
                    count=len(without),
                )

    def _without(self, name: str) -> list[Path]:
        return [path for path in self.renamed if path not in self._having[name]]

    def mixed(self, recipe: TableRecipe) -> Iterator[Finding]:
        """A warning for each of `texts` whose type the recipe does not give."""
        for name in sorted(self.texts()):
            entry = entry_for(recipe, name)
            if entry is not None and entry[1].type is not None:
                continue
            text = [path.name for path, held in self._held[name] if pa.types.is_string(held)]
            other = [f"{path.name} {held}" for path, held in self._held[name] if not pa.types.is_string(held)]
            files = len(self._held[name])
            why = f"{text[0]} holds texts" if text else "the files hold different types"
            yield Finding(
                "warning",
                "types_differ",
                f"{why} where {other[0]} values stand: the column is text in all {files} files",
                'say type = "string" when it is text; else mend the texts, or list them under its `nulls`',
                column=name,
                count=len(text) or None,
            )


def _same_but_for_case(known: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """The table's names of the columns that a file spells with other capitals, where that leaves no doubt."""
    old, new = Counter(n.lower() for n in known), Counter(n.lower() for n in names)
    by_lower = {n.lower(): n for n in known}
    return {
        name: by_lower[name.lower()]
        for name in names
        if old[name.lower()] == 1 and new[name.lower()] == 1 and by_lower[name.lower()] != name
    }


def _under_own_names(recipe: TableRecipe, renamed: Mapping[str, str]) -> TableRecipe:
    """The recipe with a file's own names for the columns that the table calls otherwise."""
    back = {table: own for own, table in renamed.items()}
    columns: list[tuple[str, ColumnRecipe]] = []
    for name, entry in recipe.columns:
        source = name if entry.source is None and entry.derive is None else entry.source
        columns.append((name, replace(entry, source=back[source]) if source in back else entry))
    return replace(recipe, columns=tuple(columns))


def _recipe_for(recipe: TableRecipe, found: _Found, path: Path) -> TableRecipe:
    """The recipe for reading one file: under the file's own names, text where the table is text."""
    back = {table: own for own, table in found.renamed[path].items()}
    own = _under_own_names(recipe, found.renamed[path])
    columns = list(own.columns)
    for name in sorted(found.texts()):
        source = back.get(name, name)
        said = entry_for(own, source)
        if said is None:
            columns.append((source, ColumnRecipe(source=source, type="string")))
        elif said[1].type is None:
            columns[[n for n, _ in columns].index(said[0])] = (said[0], replace(said[1], type="string"))
    return replace(own, columns=tuple(columns))


def fit(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch with the columns of the whole table: types widened, missing columns null."""
    if batch.schema.equals(schema):
        return batch
    arrays: list[pa.Array] = []
    for field in schema:
        index = batch.schema.get_field_index(field.name)
        if index < 0:
            arrays.append(pa.nulls(batch.num_rows, field.type))
            continue
        values = batch.column(index)
        arrays.append(values if values.type == field.type else pc.cast(values, field.type))
    return pa.record_batch(arrays, schema=schema)


def _widen(
    path: Path,
    columns: dict[str, Column],
    types: dict[str, pa.DataType],
    column: Column,
    field: pa.Field,
) -> None:
    known = columns.get(column.name)
    if known is None:
        columns[column.name], types[column.name] = column, field.type
        return
    if known.unit and column.unit and known.unit != column.unit:
        raise fault(
            path,
            f"column {column.name} is in {column.unit}, in the files before in {known.unit}",
            hint="publish the files as two tables, or convert them",
        )
    old, new = types[column.name], field.type
    datatype = Datatype.UNICODE if Datatype.UNICODE in (known.datatype, column.datatype) else known.datatype
    if _is_empty(column):
        return
    if _is_empty(known):
        columns[column.name], types[column.name] = column, new
        return
    if old == new:
        arraysize = known.arraysize if known.arraysize == column.arraysize else "*"
        kept = replace(known, datatype=datatype, arraysize=arraysize if known.arraysize else None)
        columns[column.name] = kept
        return
    wide = _wider(old, new)
    if wide is None:
        raise fault(path, f"column {column.name} holds {new}, in the files before {old}")
    types[column.name] = wide
    why = {**known.inferred, "datatype": f"wide enough for {old} and {new}"}
    shape = raw_column(pa.field(column.name, wide))
    columns[column.name] = replace(
        known, datatype=shape.datatype, arraysize=shape.arraysize, xtype=shape.xtype, inferred=why
    )


def _is_empty(column: Column) -> bool:
    return column.inferred.get("datatype") == "no value"


def _wider(old: pa.DataType, new: pa.DataType) -> pa.DataType | None:
    """A type that holds the values of both without loss, or None."""
    if pa.types.is_list(old) or pa.types.is_list(new) or pa.types.is_fixed_size_list(old):
        items = [getattr(t, "value_type", None) for t in (old, new)]
        item = None if None in items else (items[0] if items[0] == items[1] else _wider(*items))
        return None if item is None else pa.list_(item)
    numbers = [pa.types.is_integer(t) or pa.types.is_floating(t) for t in (old, new)]
    if not all(numbers):
        return pa.string()
    if pa.types.is_integer(old) and pa.types.is_integer(new):
        return pa.uint64() if pa.types.is_uint64(old) and pa.types.is_uint64(new) else pa.int64()
    return pa.float64()
