"""Queries that come to pairs of rows of two tables that lie within a constant radius of each other.

Read off the resolved tree, before geometry is lowered. Must not know: engines, texts.
"""

from __future__ import annotations

from sqlglot import exp

from skygate.adql.geometry.constants import constant
from skygate.adql.geometry.nearness import distance_ends, membership
from skygate.adql.geometry.relations import Relation, alias_of_point, relations_of, side_of
from skygate.adql.geometry.shapes import CircleShape, PointShape, name_of, read
from skygate.adql.geometry.sql import bare
from skygate.domain.catalog import Table
from skygate.domain.query import Joining, Paired
from skygate.errors import BadQuery, BadRegion

_PARTS = frozenset({"expressions", "from_", "joins", "where", "limit"})
_JOIN_PARTS = frozenset({"this", "on", "kind"})
_COMPARED = (exp.LT, exp.LTE, exp.GT, exp.GTE)


def joining_of(tree: exp.Query) -> Joining | None:
    """The pairs that a resolved query asks for; None where it asks for anything else, or is faulty."""
    if type(tree) is not exp.Select or any(value and key not in _PARTS for key, value in tree.args.items()):
        return None
    joins = tree.args.get("joins") or []
    if len(joins) != 1 or not _inner(joins[0]):
        return None
    relations = relations_of(tree)
    tables = [relation.table for relation in relations.values() if _whole(relation)]
    if len(relations) != 2 or len(tables) != 2:
        return None
    one, other = tables
    conditions = [node.this for node in (tree.args.get("where"),) if node is not None]
    conditions += [node for node in (joins[0].args.get("on"),) if node is not None]
    if len(conditions) != 1 or one is None or other is None:
        return None
    aliases = tuple(relations)
    try:
        wanted = _wanted(bare(conditions[0]), aliases)
        columns = _columns(tree, aliases) if wanted is not None else None
    except (BadQuery, BadRegion):
        return None  # lowering says what is wrong, and where
    if wanted is None or columns is None:
        return None
    limit = tree.args.get("limit")
    top = int(limit.expression.this) if limit is not None else None
    return Joining(one, other, columns, wanted, top)


def _inner(join: exp.Join) -> bool:
    plain = all(not value or key in _JOIN_PARTS for key, value in join.args.items())
    return (
        plain and side_of(join) == "" and str(join.args.get("kind") or "").upper() in ("", "INNER", "CROSS")
    )


def _whole(relation: Relation) -> bool:
    node = relation.node
    return type(node) is exp.Table and isinstance(node.meta.get("table"), Table) and "sample" not in node.meta


def _wanted(condition: exp.Expr, aliases: tuple[str, ...]) -> Paired | None:
    test = membership(condition)
    if test is not None:
        names = [name_of(bare(shape)) for shape in test.expressions]
        if name_of(test) != "CONTAINS" or names != ["POINT", "CIRCLE"]:
            return None
        inner, outer = read(test.expressions[0]), read(test.expressions[1])
        if not isinstance(inner, PointShape) or not isinstance(outer, CircleShape):
            return None
        return _paired(inner, outer.center, aliases, outer.written_radius, rim=True)
    if not isinstance(condition, _COMPARED):
        return None
    call, limit = condition.this, condition.expression
    if isinstance(condition, (exp.GT, exp.GTE)):
        call, limit = limit, call
    call = bare(call)
    ends = distance_ends(call) if name_of(call) == "DISTANCE" else None
    if ends is None:
        return None
    return _paired(*ends, aliases, limit, rim=isinstance(condition, (exp.LTE, exp.GTE)))


def _paired(
    one: PointShape, other: PointShape, aliases: tuple[str, ...], limit: exp.Expr | None, *, rim: bool
) -> Paired | None:
    radius = constant(limit) if limit is not None else None
    if radius is None or {alias_of_point(one), alias_of_point(other)} != set(aliases):
        return None
    least = 0.0 if rim else 1e-12
    return Paired(float(radius), rim) if least <= radius <= 180 else None


def _columns(tree: exp.Select, aliases: tuple[str, ...]) -> tuple[tuple[int, str], ...] | None:
    """Plain columns, and separations between the positions of both tables."""
    found: list[tuple[int, str]] = []
    for item in tree.expressions:
        value = bare(item.this if isinstance(item, exp.Alias) else item)
        if isinstance(value, exp.Column) and isinstance(value.meta.get("table"), Table):
            found.append((aliases.index(value.table), value.name))
        elif name_of(value) == "DISTANCE":
            ends = distance_ends(value)
            names = [alias_of_point(end) for end in ends] if ends is not None else []
            if set(names) != set(aliases) or names[0] is None:
                return None
            found.append((aliases.index(names[0]), ""))
        else:
            return None
    return tuple(found)
