"""The tables of the service as VODataService elements (VOSI 1.1, section 5; VODataService 1.2, section 3).

Must not know: which tables there are.
"""

from __future__ import annotations

from skygate.domain.catalog import Catalog, Column, Key, Schema, Table
from skygate.services.names import full_name, spell
from skygate.vo import xml

_PREFIXES: dict[str | None, str] = {"vosi": xml.TABLES, "vs": xml.VODATASERVICE}


def tableset(catalog: Catalog, *, full: bool) -> xml.Element:
    """Every schema with its tables; their columns and foreign keys when `full`."""
    top = xml.root("tableset", namespace=xml.TABLES, prefixes=_PREFIXES)
    for schema in catalog.schemas:
        one = xml.add(top, "schema")
        xml.add(one, "name", spell(schema.name))
        xml.add_if(one, "title", schema.title)
        xml.add_if(one, "description", schema.description or schema.title)
        xml.add_if(one, "utype", schema.utype)
        for table in schema.tables:
            inside = xml.add(one, "table", attributes={"type": "table"})
            _fill(inside, table, schema, full=full)
            if full:
                _foreign_keys(inside, table, schema, catalog)
    return top


def single_table(catalog: Catalog, table: Table) -> xml.Element:
    """One table with its columns and foreign keys."""
    schema = next(s for s in catalog.schemas if s.name == table.schema)
    top = xml.root("table", namespace=xml.TABLES, prefixes=_PREFIXES)
    top.set("type", "table")
    _fill(top, table, schema, full=True)
    _foreign_keys(top, table, schema, catalog)
    return top


def _fill(parent: xml.Element, table: Table, schema: Schema, *, full: bool) -> None:
    xml.add(parent, "name", full_name(table))
    xml.add_if(parent, "description", table.description)
    xml.add_if(parent, "utype", table.utype)
    if table.rows is not None:
        xml.add(parent, "nrows", str(table.rows))
    if full:
        for column in table.columns:
            _column(parent, column)


def _column(parent: xml.Element, column: Column) -> None:
    size = column.arraysize or ("*" if column.datatype.is_text else None)
    one = xml.add(parent, "column", attributes={"std": "true" if column.std else "false"})
    xml.add(one, "name", spell(column.name))
    xml.add_if(one, "description", column.description)
    xml.add_if(one, "unit", column.unit)
    xml.add_if(one, "ucd", column.ucd)
    xml.add_if(one, "utype", column.utype)
    xml.add(
        one,
        "dataType",
        column.datatype.value,
        attributes={"arraysize": size, "extendedType": column.xtype},
        kind="vs:VOTableType",
    )
    if column.indexed:
        xml.add(one, "flag", "indexed")
    if column.principal:
        xml.add(one, "flag", "principal")


def _foreign_keys(parent: xml.Element, table: Table, schema: Schema, catalog: Catalog) -> None:
    """The keys from this table to tables that are there."""
    written = {t.full_name: full_name(t) for t in catalog.tables()}
    for key in schema.keys:
        if key.source == table.full_name and key.target in written:
            _foreign_key(parent, key, written[key.target])


def _foreign_key(parent: xml.Element, key: Key, target: str) -> None:
    one = xml.add(parent, "foreignKey")
    xml.add(one, "targetTable", target)
    for from_column, target_column in key.columns:
        pair = xml.add(one, "fkColumn")
        xml.add(pair, "fromColumn", spell(from_column))
        xml.add(pair, "targetColumn", spell(target_column))
    xml.add_if(one, "description", key.description)
    xml.add_if(one, "utype", key.utype)
