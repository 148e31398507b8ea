"""Conditions that only hold where two shapes meet: CONTAINS and INTERSECTS, and upper limits of DISTANCE.

Must not know: tables, cells.
"""

from __future__ import annotations

from sqlglot import exp

from skygate.adql.geometry.constants import constant
from skygate.adql.geometry.shapes import PointShape, name_of, point_at, read
from skygate.adql.geometry.sql import bare

_OPPOSITE: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.EQ: exp.NEQ,
    exp.NEQ: exp.EQ,
    exp.LT: exp.GTE,
    exp.GTE: exp.LT,
    exp.GT: exp.LTE,
    exp.LTE: exp.GT,
}


def membership(node: exp.Expr) -> exp.Expr | None:
    """The call of CONTAINS or INTERSECTS that must give 1 for the condition to be true."""
    node, kind = _without_not(node)
    if kind not in (exp.EQ, exp.NEQ):
        return None
    for side, other in ((node.this, node.expression), (node.expression, node.this)):
        inner = bare(side)
        if name_of(inner) in ("CONTAINS", "INTERSECTS") and len(inner.expressions) == 2:
            return inner if constant(other) == (1 if kind is exp.EQ else 0) else None
    return None


def nearness(node: exp.Expr) -> tuple[exp.Expr, exp.Expr] | None:
    """(call, limit): the DISTANCE that must not exceed a value for the condition to be true."""
    node, kind = _without_not(node)
    pairs: list[tuple[exp.Expr, exp.Expr]] = []
    if kind is exp.Between:
        pairs = [(node.this, node.args["high"]), (node.args["low"], node.this)]
    elif kind in (exp.LT, exp.LTE):
        pairs = [(node.this, node.expression)]
    elif kind in (exp.GT, exp.GTE):
        pairs = [(node.expression, node.this)]
    elif kind is exp.EQ:
        pairs = [(node.this, node.expression), (node.expression, node.this)]
    for side, limit in pairs:
        inner = bare(side)
        if name_of(inner) == "DISTANCE":
            return inner, limit
    return None


def distance_ends(node: exp.Expr) -> tuple[PointShape, PointShape] | None:
    """The points between which DISTANCE is measured; None where it is called wrongly (refused later)."""
    arguments = node.expressions
    if len(arguments) == 4:
        return point_at(arguments[0], arguments[1], node), point_at(arguments[2], arguments[3], node)
    if len(arguments) != 2:
        return None
    one, other = read(arguments[0]), read(arguments[1])
    return (one, other) if isinstance(one, PointShape) and isinstance(other, PointShape) else None


def _without_not(node: exp.Expr) -> tuple[exp.Expr, type[exp.Expr] | None]:
    """The comparison in a condition and what it is when every NOT around it is carried out."""
    node = bare(node)
    turned = False
    while isinstance(node, exp.Not):
        node, turned = bare(node.this), not turned
    kind = type(node)
    return node, (_OPPOSITE.get(kind) if turned else kind)
