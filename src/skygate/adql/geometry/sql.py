"""Small builders of engine SQL, as sqlglot nodes marked `meta["native"]`: later passes leave them alone.

Must not know: geometry, tables.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from skygate.domain.catalog import Column, Datatype
from skygate.errors import BadQuery, Where


def native(node: exp.Expr) -> exp.Expr:
    """The node, marked as finished engine SQL."""
    node.meta["native"] = True
    return node


def number(value: float) -> exp.Expr:
    """A DOUBLE constant (an exponent keeps the engine from reading a DECIMAL)."""
    text = repr(float(abs(value)))
    literal = native(exp.Literal.number(text if "e" in text else text + "e0"))
    if value < 0:
        return native(exp.Paren(this=native(exp.Neg(this=literal))))
    return literal


def whole(value: int) -> exp.Expr:
    """An integer constant of at least 0."""
    return native(exp.Literal.number(str(int(value))))


def call(name: str, *arguments: exp.Expr) -> exp.Expr:
    """A call of an engine's function or a kernel."""
    return native(exp.Anonymous(this=name, expressions=list(arguments)))


def binary(kind: type[exp.Binary], left: exp.Expr, right: exp.Expr) -> exp.Expr:
    """An operator between operands, in parentheses where they need them."""
    return native(kind(this=wrapped(left), expression=wrapped(right)))


def wrapped(node: exp.Expr) -> exp.Expr:
    """The node, in parentheses when it is made of operators."""
    if isinstance(node, (exp.Binary, exp.Unary, exp.Between, exp.Connector)) and not isinstance(
        node, exp.Paren
    ):
        return native(exp.Paren(this=node))
    return node


def both(conditions: Iterable[exp.Expr]) -> exp.Expr:
    """All the conditions."""
    return _chain(exp.And, conditions)


def either(conditions: Iterable[exp.Expr]) -> exp.Expr:
    """Any of the conditions."""
    return _chain(exp.Or, conditions)


def negation(condition: exp.Expr) -> exp.Expr:
    """NOT."""
    return native(exp.Not(this=wrapped(condition)))


def truth(value: bool) -> exp.Expr:
    """TRUE or FALSE."""
    return native(exp.Boolean(this=value))


def between(value: exp.Expr, low: exp.Expr, high: exp.Expr) -> exp.Expr:
    """BETWEEN."""
    return native(exp.Between(this=value, low=low, high=high))


def when(condition: exp.Expr, value: exp.Expr) -> exp.Expr:
    """The value where the condition holds, else null."""
    return native(exp.Case(ifs=[native(exp.If(this=condition, true=value))]))


def known(value: exp.Expr) -> exp.Expr:
    """IS NOT NULL."""
    return native(exp.Not(this=native(exp.Is(this=wrapped(value), expression=native(exp.Null())))))


def double(value: exp.Expr) -> exp.Expr:
    """The value as DOUBLE."""
    described = value.meta.get("column")
    if isinstance(value, exp.Column) and described is not None and described.datatype is Datatype.DOUBLE:
        return value
    if isinstance(value, exp.Literal) and value.meta.get("native"):
        return value
    return native(exp.Cast(this=value, to=exp.DataType(this=exp.DType.DOUBLE)))


def integer(condition: exp.Expr) -> exp.Expr:
    """1 where a condition holds, 0 where it does not, null where it is unknown."""
    node = native(exp.Cast(this=condition, to=exp.DataType(this=exp.DType.INT)))
    node.meta["datatype"] = Column("", Datatype.INT)
    return node


def quoted(name: str) -> exp.Identifier:
    """A name of ours."""
    return exp.Identifier(this=name, quoted=True)


def named(column: exp.Column) -> exp.Expr:
    """A copy of a column under its own name."""
    alias = exp.Identifier(this=column.name, quoted=bool(column.this.args.get("quoted")))
    return native(exp.Alias(this=clone(column), alias=alias))


def clone(node: exp.Expr) -> exp.Expr:
    """A copy of a tree whose nodes share the frozen values in `meta`: `copy` would clone whole tables."""
    new = node.__class__()
    for key, value in node.args.items():
        if isinstance(value, exp.Expr):
            new.set(key, clone(value))
        elif isinstance(value, list):
            new.set(key, [clone(v) if isinstance(v, exp.Expr) else v for v in value])
        else:
            new.args[key] = value
    new.meta.update(node.meta)
    return new


def bare(node: exp.Expr) -> exp.Expr:
    """The node without parentheses around it."""
    while isinstance(node, exp.Paren):
        node = node.this
    return node


def outermost(node: exp.Expr) -> exp.Expr:
    """The node with all parentheses around it."""
    while isinstance(node.parent, exp.Paren):
        node = node.parent
    return node


def bad(node: exp.Expr, message: str, hint: str | None = None) -> BadQuery:
    """A fault at the node's place in the caller's text."""
    start, end = node.meta.get("at", (None, None))
    return BadQuery(message, hint=hint, where=Where(start=start, end=end))


def _chain(kind: type[exp.Connector], conditions: Iterable[exp.Expr]) -> exp.Expr:
    items = list(conditions)
    result = items[0]
    for item in items[1:]:
        result = native(kind(this=_side(result, kind), expression=_side(item, kind)))
    return result


def _side(node: exp.Expr, kind: type[exp.Connector]) -> exp.Expr:
    return (
        native(exp.Paren(this=node))
        if isinstance(node, exp.Connector) and not isinstance(node, kind)
        else node
    )
