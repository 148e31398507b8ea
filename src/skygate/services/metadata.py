"""TAP_SCHEMA: the catalogue as tables that can be asked like any other (TAP 1.1, section 4).

Must not know: how releases are stored, how queries run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.json

from skygate import wire
from skygate.domain.catalog import Column, Datatype, Key, Schema, Table
from skygate.services.names import full_name, spell

NAME = "TAP_SCHEMA"

Row = tuple[Any, ...]


def _text(name: str, description: str) -> Column:
    return Column(name, Datatype.UNICODE, arraysize="*", description=description, std=True)


def _whole(name: str, description: str) -> Column:
    return Column(name, Datatype.INT, description=description, std=True)


def _table(name: str, description: str, *columns: Column) -> Table:
    return Table(NAME, name, columns, description=description)


_SCHEMAS = _table(
    "schemas",
    "The schemas of this service",
    _text("schema_name", "Name of the schema, as a query writes it"),
    _text("utype", "UType of the schema"),
    _text("description", "What the schema holds"),
    _whole("schema_index", "Where the schema comes in a list"),
)
_TABLES = _table(
    "tables",
    "The tables of this service",
    _text("schema_name", "Schema of the table"),
    _text("table_name", "Full name of the table, as a query writes it"),
    _text("table_type", "table or view"),
    _text("utype", "UType of the table"),
    _text("description", "What the table holds"),
    _whole("table_index", "Where the table comes in a list of its schema"),
)
_COLUMNS = _table(
    "columns",
    "The columns of the tables of this service",
    _text("table_name", "Full name of the column's table"),
    _text("column_name", "Name of the column, as a query writes it"),
    _text("datatype", "Primitive type, as VOTable names it"),
    _text("arraysize", "Array size, as VOTable writes it"),
    _text("xtype", "Extended type, as DALI names it"),
    _whole("size", "Length of arrays and texts of fixed length (deprecated: see arraysize)"),
    _text("description", "What the column holds"),
    _text("utype", "UType of the column"),
    _text("unit", "Unit, in VOUnits"),
    _text("ucd", "Unified Content Descriptor"),
    _whole("indexed", "1 where a condition on the column makes a query fast"),
    _whole("principal", "1 where the column belongs to the main content of its table"),
    _whole("std", "1 where a standard defines the column"),
    _whole("column_index", "Where the column comes in its table"),
)
_KEYS = _table(
    "keys",
    "The foreign keys between tables of this service",
    _text("key_id", "Identifier of the key"),
    _text("from_table", "Full name of the table that refers"),
    _text("target_table", "Full name of the table referred to"),
    _text("utype", "UType of the key"),
    _text("description", "What the key means"),
)
_KEY_COLUMNS = _table(
    "key_columns",
    "The columns of the foreign keys of this service",
    _text("key_id", "Identifier of the key"),
    _text("from_column", "Column of the table that refers"),
    _text("target_column", "Column of the table referred to"),
)


def _key(source: Table, target: Table, column: str, target_column: str) -> Key:
    return Key(source.full_name, target.full_name, ((column, target_column),))


SCHEMA = Schema(
    name=NAME,
    tables=(_SCHEMAS, _TABLES, _COLUMNS, _KEYS, _KEY_COLUMNS),
    title="Metadata",
    description="What this service holds, described as TAP 1.1 wants it",
    keys=(
        _key(_TABLES, _SCHEMAS, "schema_name", "schema_name"),
        _key(_COLUMNS, _TABLES, "table_name", "table_name"),
        _key(_KEYS, _TABLES, "from_table", "table_name"),
        _key(_KEYS, _TABLES, "target_table", "table_name"),
        _key(_KEY_COLUMNS, _KEYS, "key_id", "key_id"),
    ),
)
"""TAP_SCHEMA describes itself; its rows are made by `rows_of`."""


def rows_of(schemas: Sequence[Schema]) -> dict[str, pa.Table]:
    """The rows of every table of TAP_SCHEMA by full name, for these schemas (TAP_SCHEMA among them)."""
    makers: tuple[tuple[Table, Callable[[Sequence[Schema]], Iterator[Row]]], ...] = (
        (_SCHEMAS, _schemas),
        (_TABLES, _tables),
        (_COLUMNS, _columns),
        (_KEYS, _keys),
        (_KEY_COLUMNS, _key_columns),
    )
    return {table.full_name: _filled(table, list(make(schemas))) for table, make in makers}


def _filled(table: Table, rows: list[Row]) -> pa.Table:
    """Rows as an Arrow table, by way of JSON: `pa.array` of a list imports pandas where that is installed."""
    schema = wire.arrow_schema(table.columns)
    if not rows:
        return schema.empty_table()
    names = [c.name for c in table.columns]
    lines = "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows)
    options = pyarrow.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    return pyarrow.json.read_json(pa.BufferReader(lines.encode()), parse_options=options).cast(schema)


def _schemas(schemas: Sequence[Schema]) -> Iterator[Row]:
    for i, schema in enumerate(schemas):
        yield spell(schema.name), schema.utype, schema.description or schema.title or None, i


def _tables(schemas: Sequence[Schema]) -> Iterator[Row]:
    for schema in schemas:
        for i, table in enumerate(schema.tables):
            name = spell(schema.name)
            yield name, full_name(table), "table", table.utype, table.description or None, i


def _columns(schemas: Sequence[Schema]) -> Iterator[Row]:
    for schema in schemas:
        for table in schema.tables:
            for i, column in enumerate(table.columns):
                yield (
                    full_name(table),
                    spell(column.name),
                    column.datatype.value,
                    column.arraysize or ("*" if column.datatype.is_text else None),
                    column.xtype,
                    _size(column.arraysize),
                    column.description or None,
                    column.utype,
                    column.unit,
                    column.ucd,
                    int(column.indexed),
                    int(column.principal),
                    int(column.std),
                    i,
                )


def _size(arraysize: str | None) -> int | None:
    """TAP 1.0's "size": the number of elements, or with a bound such as `8*` the most of them."""
    return wire.fixed_length(arraysize.removesuffix("*")) if arraysize else None


def _numbered(schemas: Sequence[Schema]) -> Iterator[tuple[str, Key, dict[str, str]]]:
    """Each key with its identifier, and how the full names of its schemas' tables are written."""
    written = {t.full_name: full_name(t) for s in schemas for t in s.tables}
    for schema in schemas:
        for i, key in enumerate(schema.keys, 1):
            if key.source in written and key.target in written:
                yield f"{schema.name}_{i}", key, written


def _keys(schemas: Sequence[Schema]) -> Iterator[Row]:
    for key_id, key, written in _numbered(schemas):
        yield key_id, written[key.source], written[key.target], key.utype, key.description or None


def _key_columns(schemas: Sequence[Schema]) -> Iterator[Row]:
    for key_id, key, _ in _numbered(schemas):
        for source, target in key.columns:
            yield key_id, spell(source), spell(target)
