"""What is known of a value before any row is read: constants, and upper bounds from column statistics."""

from __future__ import annotations

import math

from sqlglot import exp

from skygate.adql.geometry.sql import bare
from skygate.domain.catalog import Column

Number = int | float


def constant(node: exp.Expr) -> Number | None:
    """The number that literals and + - * / spell, None for anything else. Integers divide as in ADQL."""
    node = bare(node)
    if isinstance(node, exp.Literal):
        return None if node.is_string else _literal(str(node.this))
    if isinstance(node, exp.Neg):
        value = constant(node.this)
        return None if value is None else -value
    if isinstance(node, (exp.Add, exp.Sub, exp.Mul, exp.Div)):
        left, right = constant(node.this), constant(node.expression)
        return None if left is None or right is None else _operate(type(node), left, right)
    if isinstance(node, exp.Cast) and node.to.this in (exp.DType.DOUBLE, exp.DType.FLOAT):
        value = constant(node.this)
        return None if value is None or node.to.this is exp.DType.FLOAT else float(value)
    return None


def upper_bound(node: exp.Expr) -> float | None:
    """A number that the value never exceeds (in any row that is not null), None when nothing is known."""
    node = bare(node)
    value = constant(node)
    if value is not None:
        return float(value)
    if isinstance(node, exp.Column):
        column = node.meta.get("column")
        top = column.stats.maximum if isinstance(column, Column) and column.stats is not None else None
        return float(top) if isinstance(top, (int, float)) and math.isfinite(top) else None
    if isinstance(node, (exp.Mul, exp.Div)):
        left, right = upper_bound(node.this), constant(node.expression)
        if isinstance(node, exp.Mul) and right is None:
            left, right = upper_bound(node.expression), constant(node.this)
        if left is None or right is None or right <= 0:
            return None
        return left * right if isinstance(node, exp.Mul) else left / right
    if isinstance(node, exp.Add):
        left, right = upper_bound(node.this), upper_bound(node.expression)
        return None if left is None or right is None else left + right
    return None


def _literal(text: str) -> Number | None:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _operate(kind: type[exp.Expr], left: Number, right: Number) -> Number | None:
    value: Number
    if kind is exp.Add:
        value = left + right
    elif kind is exp.Sub:
        value = left - right
    elif kind is exp.Mul:
        value = left * right
    elif right == 0:
        return None
    elif isinstance(left, int) and isinstance(right, int):
        value = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
    else:
        value = left / right
    return value if math.isfinite(value) else None
