"""Rows that cannot be repeated for the cells that their discs touch (see `joins`) look into these cells.

Such are the rows that a LEFT JOIN keeps, which would stay once for each cell, and those of the query around a
sub-query. A row of the other side is in one cell only, so no pair comes twice.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from skygate.adql.geometry import relations as rel
from skygate.adql.geometry.relations import Relation
from skygate.adql.geometry.sql import both, call, clone, named, native, quoted, truth


def look_into_cells(
    join: exp.Join,
    held: Relation,
    columns: Iterable[exp.Column],
    *,
    cells: exp.Expr,
    key: exp.Expr,
    name: str,
) -> bool:
    """Rewrite `LEFT JOIN held ON …`; False where its conditions are such that they must stay.

    `cells` are those of the other side's shape, `key` the cell of a row of `held`, `columns` what it gives.
    """
    conditions = list(rel.conjuncts(join.args["on"]))
    if any(c.find(exp.Query, exp.Window, exp.AggFunc) for c in conditions):
        return False
    touched, column = _touched(cells, name)
    picked = [named(c) for c in columns]
    inner = exp.Select(expressions=picked or [native(exp.Alias(this=truth(True), alias=quoted(name)))])
    inner.set("from_", exp.From(this=touched))
    inner.set("joins", [exp.Join(this=clone(held.node), on=native(exp.EQ(this=key, expression=column)))])
    inner.set("where", exp.Where(this=both(clone(c) for c in conditions)))
    alias = exp.TableAlias(this=rel.alias_identifier(held))
    held.node.replace(exp.Lateral(this=exp.Subquery(this=inner), alias=alias))
    join.set("on", truth(True))
    return True


def only_inner(select: exp.Select) -> bool:
    """Whether every row of a SELECT's FROM meets all conditions, and its columns are named one by one."""
    stars = any(isinstance(e, exp.Star) or e.find(exp.Star) for e in select.expressions)
    joins = select.args.get("joins") or []
    plain = all(rel.side_of(j) == "" and not j.args.get("using") and not j.args.get("method") for j in joins)
    return plain and (not stars or isinstance(select.parent, exp.Exists))


def look_from_outside(select: exp.Select, *, cells: exp.Expr, key: exp.Expr, name: str) -> exp.Expr:
    """Add the cells of a shape of the query around a sub-query to its FROM; the condition that ties them."""
    touched, column = _touched(cells, name)
    select.append("joins", exp.Join(this=touched))
    return native(exp.EQ(this=key, expression=column))


def _touched(cells: exp.Expr, name: str) -> tuple[exp.Subquery, exp.Expr]:
    """A relation with a row for each cell, and its column."""
    unnested = native(exp.Alias(this=call("unnest", cells), alias=quoted(name)))
    relation = exp.Subquery(this=exp.Select(expressions=[unnested]), alias=exp.TableAlias(this=quoted(name)))
    return relation, native(exp.Column(this=quoted(name), table=quoted(name)))
