"""Queries that come to a lookup: plain columns of one table, in a region or with identifiers.

Read off the resolved tree, before geometry is lowered. Must not know: engines, texts.
"""

from __future__ import annotations

from sqlglot import exp

from skygate.adql.geometry.constants import constant
from skygate.adql.geometry.nearness import distance_ends, membership
from skygate.adql.geometry.relations import alias_of_point, conjuncts
from skygate.adql.geometry.shapes import (
    CircleShape,
    PointShape,
    PolygonShape,
    Shape,
    name_of,
    read,
    written_polygon,
)
from skygate.adql.geometry.sql import bare
from skygate.adql.row_conditions import MOST_COMPARED, condition_of
from skygate.domain.catalog import Table
from skygate.domain.condition import AllOf, Condition, comparisons
from skygate.domain.query import Identified, Lookup, Near, Wanted, Within
from skygate.domain.sky import Circle
from skygate.errors import BadQuery, BadRegion

_PARTS = frozenset({"expressions", "from_", "where", "limit"})
_COMPARED = (exp.LT, exp.LTE, exp.GT, exp.GTE)
_MOST_NUMBERS = 64
"""Of a polygon that is read here."""


def lookup_of(tree: exp.Query) -> Lookup | None:
    """The lookup that has the same answer as a resolved query; None where there is none, or it is faulty."""
    if type(tree) is not exp.Select or any(value and key not in _PARTS for key, value in tree.args.items()):
        return None
    where, limit = tree.args.get("where"), tree.args.get("limit")
    table = only_table(tree)
    if where is None or table is None:
        return None
    columns = _columns(tree)
    if columns is None:
        return None
    try:
        found = _divided(where.this, table)
    except (BadQuery, BadRegion):
        return None  # lowering says what is wrong, and where
    if found is None:
        return None
    top = int(limit.expression.this) if limit is not None else None
    return Lookup(table, columns, found[0], top, found[1])


def _divided(where: exp.Expr, table: Table) -> tuple[Wanted, Condition | None] | None:
    """Which rows must be looked for, and the condition on their values."""
    wanted: Wanted | None = None
    rest: list[Condition] = []
    for node in conjuncts(where):
        one = _wanted(bare(node), table) if wanted is None else None
        if one is not None:
            wanted = one
            continue
        condition = condition_of(node)
        if condition is None:
            return None
        rest.append(condition)
    if wanted is None or sum(map(comparisons, rest)) > MOST_COMPARED:
        return None
    return wanted, (rest[0] if len(rest) == 1 else AllOf(tuple(rest))) if rest else None


def only_table(tree: exp.Select) -> Table | None:
    """The table of the catalogue that a SELECT reads, all of it and nothing else."""
    from_ = tree.args.get("from_")
    node = from_.this if from_ is not None else None
    if type(node) is not exp.Table or node.args.get("joins") or tree.args.get("joins"):
        return None
    table = node.meta.get("table")
    return table if isinstance(table, Table) and "sample" not in node.meta else None


def _columns(tree: exp.Select) -> tuple[str, ...] | None:
    found: list[str] = []
    for item in tree.expressions:
        column = item.this if isinstance(item, exp.Alias) else item
        if not isinstance(column, exp.Column) or "table" not in column.meta:
            return None
        found.append(column.name)
    return tuple(found)


def _wanted(condition: exp.Expr, table: Table) -> Wanted | None:
    test = membership(condition)
    if test is not None:
        names = [name_of(bare(shape)) for shape in test.expressions]
        if name_of(test) != "CONTAINS" or names[0] != "POINT":
            return None
        if names[1] in ("POLYGON", "BOX"):
            return _within(test.expressions[0], test.expressions[1])
        if names[1] != "CIRCLE":
            return None
        return _near(read(test.expressions[0]), read(test.expressions[1]))
    if isinstance(condition, _COMPARED):
        return _closer(condition)
    if isinstance(condition, exp.In):
        return _one_of(condition, table)
    return _identified(condition, table) if isinstance(condition, exp.EQ) else None


def _near(inner: Shape, outer: Shape) -> Near | None:
    """A row's point in a constant circle, or a constant point in a circle around the row's."""
    if not isinstance(inner, PointShape) or not isinstance(outer, CircleShape):
        return None
    if alias_of_point(inner) is not None and outer.fixed is not None:
        return Near(outer.fixed)
    if inner.fixed is None or alias_of_point(outer.center) is None or outer.written_radius is None:
        return None
    radius = constant(outer.written_radius)
    return Near(Circle(inner.fixed, float(radius))) if radius is not None else None


def _within(inner: exp.Expr, outer: exp.Expr) -> Within | None:
    """A row's point in a constant polygon."""
    if len(bare(outer).expressions) > _MOST_NUMBERS:
        return None  # not even read: it may be large
    point = read(inner)
    if not isinstance(point, PointShape) or alias_of_point(point) is None:
        return None
    written = written_polygon(outer)
    if written is not None:
        return Within(written)
    shape = read(outer)
    return Within(shape.fixed) if isinstance(shape, PolygonShape) and shape.fixed is not None else None


def _closer(condition: exp.Expr) -> Near | None:
    """DISTANCE between a row's point and a constant one, below a constant."""
    less = isinstance(condition, (exp.LT, exp.LTE))
    call, limit = condition.this, condition.expression
    if not less:
        call, limit = limit, call
    call, radius = bare(call), constant(limit)
    if name_of(call) != "DISTANCE" or radius is None or not 0 < radius <= 180:
        return None
    ends = distance_ends(call)
    if ends is None:
        return None
    for one, other in (ends, ends[::-1]):
        if one.fixed is not None and alias_of_point(other) is not None:
            return Near(Circle(one.fixed, float(radius)), rim=isinstance(condition, (exp.LTE, exp.GTE)))
    return None


def _identified(condition: exp.EQ, table: Table) -> Identified | None:
    for side, other in ((condition.this, condition.expression), (condition.expression, condition.this)):
        value = whole_number(bare(other))
        if value is not None and _is_identifier(bare(side), table):
            return Identified((value,))
    return None


def _one_of(condition: exp.In, table: Table) -> Identified | None:
    if condition.args.get("query") is not None or not _is_identifier(bare(condition.this), table):
        return None
    values = [whole_number(bare(item)) for item in condition.expressions]
    known = tuple([value for value in values if value is not None])
    return Identified(known) if known and len(known) == len(values) else None


def _is_identifier(node: exp.Expr, table: Table) -> bool:
    if not isinstance(node, exp.Column) or "table" not in node.meta or node.name != table.identifier:
        return False
    described = table.column(node.name)
    return described is not None and described.datatype.is_integer and not described.is_array


def whole_number(node: exp.Expr) -> int | None:
    """An integer that is written down; what is calculated might not fit its type."""
    inner = bare(node.this) if isinstance(node, exp.Neg) else node
    value = constant(inner) if isinstance(inner, exp.Literal) else None
    if not isinstance(value, int) or value >= 2**63:
        return None
    return -value if isinstance(node, exp.Neg) else value
