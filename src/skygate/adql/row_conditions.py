"""Conditions on the numbers of a row that need no SQL, read off the resolved tree.

They mean what `lower` makes of them: `values` has said which numbers written out are REAL. Must not know:
engines.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from sqlglot import exp

from skygate.adql.geometry.sql import bare
from skygate.domain.catalog import Column, Datatype
from skygate.domain.condition import (
    AllOf,
    AnyOf,
    Calculated,
    Compared,
    Condition,
    Named,
    Operator,
    Precision,
    Present,
    Sign,
    Value,
)

MOST_COMPARED = 50
"""Comparisons of a condition that is asked row by row; more are a scan's work."""
_MOST_LISTED = 20

T = TypeVar("T")

_SIGNS: dict[type[exp.Expr], Sign] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_OPPOSITE: dict[Sign, Sign] = {"=": "<>", "<>": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_MIRRORED: dict[Sign, Sign] = {"=": "=", "<>": "<>", "<": ">", ">": "<", "<=": ">=", ">=": "<="}
_OPERATORS: dict[type[exp.Expr], Operator] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}
_REAL = {Datatype.FLOAT: Precision.SINGLE, Datatype.DOUBLE: Precision.DOUBLE}


def condition_of(node: exp.Expr, *, positive: bool = True) -> Condition | None:
    """The condition (with `positive` False, its NOT); None where SQL must ask it.

    NOT is carried out: of what is unknown it is unknown, as the opposite comparison is.
    """
    node = bare(node)
    if isinstance(node, exp.Not):
        return condition_of(node.this, positive=not positive)
    if isinstance(node, (exp.And, exp.Or)):
        parts = (condition_of(side, positive=positive) for side in (node.this, node.expression))
        return _joined(parts, every=isinstance(node, exp.And) is positive)
    if isinstance(node, exp.Between):
        low, high = node.args["low"], node.args["high"]
        if not _alike(node.this, low, high):
            return None
        ends: tuple[tuple[exp.Expr, Sign], ...] = ((low, ">="), (high, "<="))
        found = (_compared(node.this, _turned(sign, positive), end) for end, sign in ends)
        return _joined(found, every=positive)
    if isinstance(node, exp.In):
        items = node.expressions
        if node.args.get("query") is not None or len(items) > _MOST_LISTED or not _alike(node.this, *items):
            return None
        return _joined(
            (_compared(node.this, _turned("=", positive), item) for item in items), every=not positive
        )
    if isinstance(node, exp.Is):
        column = bare(node.this)
        named = _named(column) if isinstance(column, exp.Column) else None
        return Present(named.column, not positive) if named is not None else None
    sign = _SIGNS.get(type(node))
    return _compared(node.this, _turned(sign, positive), node.expression) if sign is not None else None


def _turned(sign: Sign, positive: bool) -> Sign:
    return sign if positive else _OPPOSITE[sign]


def _joined(parts: Iterator[Condition | None], *, every: bool) -> Condition | None:
    found: list[Condition] = []
    for part in parts:
        if part is None:
            return None
        found.append(part)
    if len(found) == 1:
        return found[0]
    return AllOf(tuple(found)) if every else AnyOf(tuple(found))


def _compared(left: exp.Expr, sign: Sign, right: exp.Expr) -> Condition | None:
    if _written(left) is not None:
        left, right, sign = right, left, _MIRRORED[sign]
    one, number = _value(left), _written(right)
    other = number if number is not None else _value(right)
    precision = _precision(left, right)
    if one is None or other is None or precision is None:
        return None
    return Compared(one, sign, other, precision)


def _precision(left: exp.Expr, right: exp.Expr) -> Precision | None:
    """In what numbers the engine compares; None where that is its own business."""
    one, other = _type(left), _type(right)
    if one is None or other is None:
        return None
    if right.meta.get("to_real"):
        return Precision.SINGLE if one is Datatype.FLOAT else None
    if one.is_integer and other.is_integer:
        return Precision.WHOLE
    if one is Datatype.FLOAT and other is Datatype.FLOAT:
        return Precision.SINGLE
    if Datatype.DOUBLE in (one, other) and (_written(right) is not None or (one.is_real and other.is_real)):
        return Precision.DOUBLE
    return None


def _alike(value: exp.Expr, *others: exp.Expr) -> bool:
    """Whether numbers written out are all compared in the same precision, or make none more precise."""
    found = {_precision(value, other) if _written(other) is not None else None for other in others}
    return None not in found and (len(found) == 1 or Precision.WHOLE not in found)


def _value(node: exp.Expr) -> Value | None:
    node = bare(node)
    if isinstance(node, exp.Column):
        return _named(node) if _has_numbers(node) else None
    if isinstance(node, exp.Neg):
        precision, inner = _calculating(node), _operand(node.this)
        if precision is None or not isinstance(inner, Calculated):
            return None  # the negative of a column may be infinite, as the column itself
        return Calculated("*", inner, -1.0, precision)
    operator = _OPERATORS.get(type(node))
    if operator is None:
        return None
    precision, one, other = _calculating(node), _operand(node.this), _operand(node.expression)
    if precision is None or one is None or other is None:
        return None
    return Calculated(operator, one, other, precision)


def _calculating(node: exp.Expr) -> Precision | None:
    """The precision of a calculation that gives reals."""
    kind = _type(node)
    sides = (node.this,) if isinstance(node, exp.Neg) else (node.this, node.expression)
    if kind is Datatype.FLOAT and any(_type(side) is not Datatype.FLOAT for side in sides):
        return None
    return None if kind is None else _REAL.get(kind)


def _operand(node: exp.Expr) -> Value | None:
    number = _written(node)
    return float(number) if number is not None else _value(node)


def _has_numbers(node: exp.Column) -> bool:
    """Whether a column has nothing but numbers and nulls: engines differ in what they make of NaN."""
    described, kind = node.meta.get("column"), _type(node)
    if kind is None or not isinstance(described, Column):
        return False
    return kind.is_integer or (described.stats is not None and not described.stats.nans)


def _named(node: exp.Column) -> Named | None:
    described = node.meta.get("column")
    if not isinstance(described, Column) or described.is_array or "table" not in node.meta:
        return None
    return Named(node.name)


def _type(node: exp.Expr) -> Datatype | None:
    """The type of a single number."""
    found = bare(node).meta.get("datatype")
    if not isinstance(found, Column) or found.is_array or not found.datatype.is_number:
        return None
    return found.datatype


def _written(node: exp.Expr) -> int | float | None:
    """The value of a number that is written out, with or without a sign; an integer where its type is one."""
    node = bare(node)
    inner = bare(node.this) if isinstance(node, exp.Neg) else node
    kind = _type(inner)
    if not isinstance(inner, exp.Literal) or inner.is_string or kind is None:
        return None
    value = int(inner.this) if kind.is_integer else float(inner.this)
    return -value if inner is not node else value
