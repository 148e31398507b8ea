"""Felis YAML (the schema language of the Rubin Observatory) as part of a recipe.

Felis describes tables, columns and keys but no data files, so release.toml names the files and says
`felis = "schema.yaml"`; a table is matched by name. What release.toml says itself goes before what
Felis says. Taken over: descriptions, `datatype`, `fits:tunit` or `ivoa:unit`, `ivoa:ucd`,
`votable:utype`, `tap:principal`, the order of `tap:column_index`, a `primaryKey` of one column (the
identifier) and `ForeignKey` constraints between published tables. A Felis table without files is not
published. Left aside: `mysql:`, `postgresql:` and `oracle:` hints, checks, unique constraints and
indexes, which have no meaning for Parquet files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from skygate.errors import BadRelease, Where
from skygate.release.legal import fault_of_name, nearest
from skygate.release.recipe import ColumnRecipe, KeyRecipe, Recipe, TableRecipe

TYPES: Mapping[str, str | None] = {
    "boolean": "boolean",
    "byte": "short",
    "short": "short",
    "int": "int",
    "long": "long",
    "float": "float",
    "double": "double",
    "char": "string",
    "string": "string",
    "unicode": "string",
    "text": "string",
    "binary": None,
    "timestamp": "timestamp",
}
"""Felis datatypes and ours. A Felis byte is signed, VOTable's is not; what is binary is left to the file."""


@dataclass(frozen=True, slots=True)
class FelisTable:
    """What Felis says of one table."""

    name: str
    description: str
    identifier: str | None
    columns: tuple[tuple[str, ColumnRecipe], ...]


@dataclass(frozen=True, slots=True)
class Felis:
    """One Felis schema: what it says of the release, its tables and its keys."""

    name: str
    description: str
    tables: tuple[FelisTable, ...]
    keys: tuple[KeyRecipe, ...]
    path: str = ""


def read_felis(path: Path) -> Felis:
    """Read a Felis file; raises `BadRelease` with the place of the mistake."""
    data = _load(path)
    reader = _Reader(str(path))
    reader.known(data, ("name", "tables"), "schema")
    tables = reader.items(data, "tables", "schema")
    ids = {i: (str(t["name"]), str(c["name"])) for t, c, i in reader.columns_by_id(tables)}
    keys = [k for t in tables for k in reader.keys(t, ids)]
    return Felis(
        name=str(data["name"]),
        description=_text(data.get("description")),
        tables=tuple(reader.table(t, ids) for t in tables),
        keys=tuple(keys),
        path=str(path),
    )


def merge_felis(recipe: Recipe, felis: Felis) -> Recipe:
    """The recipe with what Felis adds; raises `BadRelease` when no table of it is in the recipe."""
    by_name = {t.name.lower(): t for t in felis.tables}
    names = {t.name.lower(): t.name for t in recipe.tables}
    if not by_name.keys() & names.keys():
        raise BadRelease(
            f"none of its tables ({', '.join(t.name for t in felis.tables)}) is a table of the release",
            hint=f"give the tables of release.toml the same names; they are {', '.join(names.values())}",
            where=Where(name=felis.path),
        )
    tables = tuple(
        _merged(t, by_name[t.name.lower()]) if t.name.lower() in by_name else t for t in recipe.tables
    )
    own = {(k.source, k.target, k.columns) for k in recipe.keys}
    keys = [
        replace(k, source=names[k.source.lower()], target=names[k.target.lower()])
        for k in felis.keys
        if k.source.lower() in names and k.target.lower() in names
    ]
    return replace(
        recipe,
        tables=tables,
        description=recipe.description or felis.description,
        keys=(*recipe.keys, *(k for k in keys if (k.source, k.target, k.columns) not in own)),
        text=recipe.text,
    )


def _merged(table: TableRecipe, felis: FelisTable) -> TableRecipe:
    own = dict(table.columns)
    columns = [(name, _filled(own.pop(name, None), said)) for name, said in felis.columns]
    columns += own.items()
    return replace(
        table,
        description=table.description or felis.description or None,
        identifier=table.identifier or felis.identifier,
        columns=tuple(columns),
    )


def _filled(own: ColumnRecipe | None, said: ColumnRecipe) -> ColumnRecipe:
    """What release.toml says of a column, its gaps filled from Felis."""
    if own is None:
        return said
    gaps = ("type", "unit", "ucd", "utype", "description", "principal")
    return replace(own, **{k: getattr(said, k) for k in gaps if getattr(own, k) is None})


def _load(path: Path) -> Mapping[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "not UTF-8 text"
        hint = "felis = … is relative to release.toml"
        raise BadRelease(f"cannot be read: {reason}", hint=hint, where=Where(name=str(path))) from None
    try:
        data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (a safe loader)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark
        where = (
            Where(name=str(path), line=mark.line + 1, column=mark.column + 1) if mark else Where(str(path))
        )
        raise BadRelease(f"is not YAML: {fault.problem or fault}", where=where) from None
    except (yaml.YAMLError, RecursionError, ValueError) as fault:
        raise BadRelease(f"is not YAML: {fault}", where=Where(name=str(path))) from None
    if not isinstance(data, Mapping):
        raise BadRelease(
            "is not a Felis schema", hint="expected name: and tables:", where=Where(name=str(path))
        )
    return data


class _Reader:
    """Reads the parts of one file, naming the place of whatever is wrong in it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def bad(self, message: str, hint: str | None = None) -> BadRelease:
        return BadRelease(message, hint=hint, where=Where(name=self.path))

    def known(self, item: Any, names: Sequence[str], what: str) -> None:
        if not isinstance(item, Mapping):
            raise self.bad(f"{what}: expected keys and values, not {item!r:.60}")
        for name in names:
            if not item.get(name):
                close = nearest(name, [str(k) for k in item])
                hint = f"did you mean {name} where it says {close}?" if close else None
                raise self.bad(f"{what} has no {name}", hint)

    def items(self, holder: Mapping[str, Any], key: str, what: str) -> list[Mapping[str, Any]]:
        """The named members of a list; raises where one has no name."""
        items = holder.get(key) or []
        if not isinstance(items, list):
            raise self.bad(f"{what}: {key} is not a list")
        for index, item in enumerate(items):
            self.known(item, ("name",), f"{what}: {key}[{index + 1}]")
        return items

    def columns_by_id(self, tables: Sequence[Mapping[str, Any]]) -> list[tuple[Any, Any, str]]:
        """(table, column, id) of every column; `#table.column` where the file gives no id of its own."""
        found = []
        for table in tables:
            for column in self.items(table, "columns", f"table {table['name']}"):
                found.append((table, column, f"#{table['name']}.{column['name']}"))
                own = column.get("@id", column.get("id"))
                if own:
                    found.append((table, column, str(own)))
        return found

    def table(self, table: Mapping[str, Any], ids: Mapping[str, tuple[str, str]]) -> FelisTable:
        name = str(table["name"])
        columns = self.items(table, "columns", f"table {name}")
        if all(isinstance(c.get("tap:column_index"), int) for c in columns):
            columns = sorted(columns, key=lambda c: int(c["tap:column_index"]))
        said = [(str(c["name"]), self.column(c, f"table {name}, column {c['name']}")) for c in columns]
        primary = table.get("primaryKey")
        keys = primary if isinstance(primary, list) else [primary] if primary else []
        identifier = self.end(str(keys[0]), ids, f"primaryKey of {name}")[1] if len(keys) == 1 else None
        return FelisTable(name, _text(table.get("description")), identifier, tuple(said))

    def column(self, column: Mapping[str, Any], what: str) -> ColumnRecipe:
        fault = fault_of_name(str(column["name"]), "column")
        if fault:
            raise self.bad(f"{what}: {fault}")
        kind = column.get("datatype")
        if kind is not None and kind not in TYPES:
            close = nearest(str(kind), TYPES)
            hint = f"did you mean {close}?" if close else f"expected one of {', '.join(TYPES)}"
            raise self.bad(f"{what}: {kind!r} is no Felis datatype", hint)
        principal = column.get("tap:principal")
        return ColumnRecipe(
            type=TYPES[kind] if kind else None,
            unit=_text(column.get("ivoa:unit") or column.get("fits:tunit")) or None,
            ucd=_text(column.get("ivoa:ucd")) or None,
            utype=_text(column.get("votable:utype")) or None,
            description=_text(column.get("description")) or None,
            principal=None if principal is None else bool(principal),
        )

    def keys(self, table: Mapping[str, Any], ids: Mapping[str, tuple[str, str]]) -> list[KeyRecipe]:
        """Foreign keys among a table's constraints."""
        found = []
        for item in self.items(table, "constraints", f"table {table['name']}"):
            if str(item.get("@type", item.get("type", ""))).removeprefix("felis:") != "ForeignKey":
                continue
            what = f"constraint {item['name']}"
            self.known(item, ("columns", "referencedColumns"), what)
            near = [self.end(str(c), ids, what) for c in item["columns"]]
            far = [self.end(str(c), ids, what) for c in item["referencedColumns"]]
            if len(near) != len(far):
                raise self.bad(f"{what}: {len(near)} columns refer to {len(far)}")
            pairs = tuple((a[1], b[1]) for a, b in zip(near, far, strict=True))
            found.append(KeyRecipe(near[0][0], far[0][0], pairs, _text(item.get("description"))))
        return found

    def end(self, name: str, ids: Mapping[str, tuple[str, str]], what: str) -> tuple[str, str]:
        """(table, column) of an id; raises when there is none."""
        if name not in ids:
            close = nearest(name, ids)
            raise self.bad(f"{what}: there is no column {name}", f"did you mean {close}?" if close else None)
        return ids[name]


def _text(value: Any) -> str:
    return " ".join(str(value).split()) if value is not None else ""
