"""What may stand in a query with groups: grouped values, aggregates, and nothing else.

Must not know: engines.
"""

from __future__ import annotations

from sqlglot import exp

from skygate.adql.function import Use
from skygate.adql.scope import Names, Scope


def check_grouped(names: Names, select: exp.Select, scope: Scope) -> None:
    """Refuse columns that are neither grouped nor inside an aggregate."""
    group = select.args.get("group")
    keys: set[exp.Expr] = set()
    for term in group.expressions if group is not None else ():
        keys.add(term)
        keys.add(term.unnest())
    own = {relation.alias for relation in scope.relations}
    parts: list[exp.Expr] = list(select.expressions)
    having, order = select.args.get("having"), select.args.get("order")
    if having is not None:
        parts.append(having.this)
    if order is not None:
        parts.extend(item.this for item in order.expressions)
    for part in parts:
        _check(names, part, keys, own)


def _check(names: Names, part: exp.Expr, keys: set[exp.Expr], own: set[str]) -> None:
    todo = [part]
    while todo:
        node = todo.pop()
        if node in keys:
            node.meta["grouped"] = True
            continue
        if isinstance(node, exp.Column) and node.table in own:
            column = node.meta["column"].name
            names.fail(
                f"`{column}` must stand in GROUP BY or inside an aggregate",
                node,
                hint=f"GROUP BY {column}, or MIN({column})" if keys else f"add GROUP BY {column}",
            )
        if isinstance(node, exp.Anonymous) and node.meta.get("use") is Use.AGGREGATE:
            continue
        if isinstance(node, exp.Window):
            todo.extend(node.args.get("partition_by") or ())
            order = node.args.get("order")
            if order is not None:
                todo.extend(item.this for item in order.expressions)
            todo.extend(node.this.expressions)
            continue
        if isinstance(node, exp.Query):
            continue
        todo.extend(child for child in node.iter_expressions())


def check_distinct_order(names: Names, select: exp.Select) -> None:
    """With DISTINCT, rows can only be ordered by what is selected."""
    for item in select.args["order"].expressions:
        if not isinstance(item.this, exp.Literal):
            names.fail("with DISTINCT, ORDER BY takes selected columns only", item)
