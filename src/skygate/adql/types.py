"""Types of ADQL expressions, written as templates of `domain.Column`.

Must not know: trees, engines. A template's unit, UCD and description travel along; its name does not matter.
"""

from __future__ import annotations

from dataclasses import replace

from skygate.domain.catalog import Column, Datatype

CONDITION = Column("condition", Datatype.BOOLEAN)
"""The result of a comparison: true, false or unknown. No value, and compared by identity."""
NULL = Column("null", Datatype.UNICODE, "*")
"""NULL itself, which fits everywhere. Compared by identity."""
BOOLEAN = Column("", Datatype.BOOLEAN)
SHORT = Column("", Datatype.SHORT)
INT = Column("", Datatype.INT)
LONG = Column("", Datatype.LONG)
FLOAT = Column("", Datatype.FLOAT)
DOUBLE = Column("", Datatype.DOUBLE)
TEXT = Column("", Datatype.UNICODE, "*")
TIMESTAMP = Column("", Datatype.CHAR, "*", "timestamp")
POINT = Column("", Datatype.DOUBLE, "2", "point")
CIRCLE = Column("", Datatype.DOUBLE, "3", "circle")
POLYGON = Column("", Datatype.DOUBLE, "*", "polygon")

GEOMETRIES = frozenset({"point", "circle", "polygon"})
NAMED: dict[str, Column] = {
    "SMALLINT": SHORT,
    "INTEGER": INT,
    "BIGINT": LONG,
    "REAL": FLOAT,
    "DOUBLE": DOUBLE,
    "VARCHAR": TEXT,
    "TIMESTAMP": TIMESTAMP,
    "POINT": POINT,
    "CIRCLE": CIRCLE,
    "POLYGON": POLYGON,
}
"""Types by their ADQL name."""

_ORDER = (
    Datatype.UNSIGNED_BYTE,
    Datatype.SHORT,
    Datatype.INT,
    Datatype.LONG,
    Datatype.FLOAT,
    Datatype.DOUBLE,
)
_SHOWN = {
    Datatype.BOOLEAN: "BOOLEAN",
    Datatype.UNSIGNED_BYTE: "SMALLINT",
    Datatype.SHORT: "SMALLINT",
    Datatype.INT: "INTEGER",
    Datatype.LONG: "BIGINT",
    Datatype.FLOAT: "REAL",
    Datatype.DOUBLE: "DOUBLE PRECISION",
}


def kind(column: Column) -> str:
    """number, text, timestamp, boolean, point, circle, polygon, array, null or condition."""
    if column is CONDITION:
        return "condition"
    if column is NULL:
        return "null"
    if column.xtype in GEOMETRIES and column.is_array:
        return column.xtype
    if column.xtype == "timestamp" and column.datatype.is_text:
        return "timestamp"
    if column.datatype.is_text:
        return "text"
    if column.is_array:
        return "array"
    return "boolean" if column.datatype is Datatype.BOOLEAN else "number"


def shown(column: Column) -> str:
    """The type as ADQL and people name it."""
    what = kind(column)
    if what == "number":
        return _SHOWN[column.datatype]
    return {"text": "VARCHAR", "null": "NULL", "condition": "a condition"}.get(what, what.upper())


def widest(a: Column, b: Column) -> Datatype:
    """The numeric type that holds both (BIGINT and REAL make DOUBLE)."""
    wide = max(a.datatype, b.datatype, key=_ORDER.index)
    if wide is Datatype.FLOAT and Datatype.DOUBLE not in (a.datatype, b.datatype):
        narrow = min(a.datatype, b.datatype, key=_ORDER.index)
        return Datatype.DOUBLE if narrow in (Datatype.INT, Datatype.LONG) else Datatype.FLOAT
    return wide


def calculated(a: Column, b: Column) -> Column:
    """The type of + - * and of the quotient of two numbers: BIGINT for integers, else DOUBLE or REAL."""
    wide = widest(a, b)
    return LONG if wide.is_integer else (FLOAT if wide is Datatype.FLOAT else DOUBLE)


def common(a: Column, b: Column) -> Column | None:
    """The type that can hold both (branches of CASE, set operations), with the first one's metadata."""
    if a is NULL or b is NULL:
        return b if a is NULL else a
    if kind(a) != kind(b):
        return None
    if kind(a) == "number":
        return a if a.datatype == b.datatype else replace(a, datatype=widest(a, b), null=None)
    if kind(a) == "text":
        sizes = {a.arraysize, b.arraysize}
        datatype = a.datatype if a.datatype == b.datatype else Datatype.UNICODE
        return replace(a, datatype=datatype, arraysize=a.arraysize if len(sizes) == 1 else "*")
    return a


def plain(template: Column, *, unit: str | None = None) -> Column:
    """The bare type of a template, with another unit."""
    return Column("", template.datatype, template.arraysize, template.xtype, unit)
