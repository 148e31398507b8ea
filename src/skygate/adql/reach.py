"""How large a value can be at most: which calculations may exceed the numbers that a machine has.

Must not know: engines' texts. Works on lowered nodes; a node may say its bound in `meta["most"]`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from sqlglot import exp

from skygate.adql.spelling import of, risky
from skygate.domain.catalog import Column, Datatype

LARGEST_DOUBLE = sys.float_info.max
LARGEST_REAL = 3.4028234663852886e38
LARGEST_LONG = 2.0**63
MOST_ROWS = 1e18
"""No sum has more terms."""
MOST = "most"

_CALLS: dict[str, Callable[[float], float]] = {
    **dict.fromkeys(("ABS", "TRUNC", "MIN", "MAX", "AVG", "MEDIAN", "RADIANS"), lambda x: x),
    **dict.fromkeys(("FLOOR", "CEIL"), lambda x: x + 1.0),
    **dict.fromkeys(("COS", "SIN"), lambda x: 1.0),
    **dict.fromkeys(("ATAN", "ATAN2", "ASIN", "ACOS", "PI", "RANDOM"), lambda x: 4.0),
    **dict.fromkeys(("LN", "LOG10"), lambda x: 800.0),
    "SQRT": lambda x: max(1.0, x),
    "DEGREES": lambda x: x * 58.0,
    "SUM": lambda x: x * MOST_ROWS,
}


def largest(column: Column) -> float:
    """The largest number of a type."""
    if column.datatype is Datatype.FLOAT:
        return LARGEST_REAL
    return LARGEST_LONG if column.datatype.is_integer else LARGEST_DOUBLE


def reach(node: exp.Expr) -> float:
    """No absolute value of the node is larger; infinite where the node may be so itself."""
    known = node.meta.get(MOST)
    if known is not None:
        return float(known)
    if isinstance(node, (exp.Paren, exp.Neg)):
        return reach(node.this)
    if isinstance(node, exp.Literal) and not node.is_string:
        return abs(float(node.this))
    if isinstance(node, exp.Null):
        return 0.0
    if isinstance(node, (exp.Cast, exp.TryCast)) and node.to.this in (exp.DType.DOUBLE, exp.DType.FLOAT):
        return min(reach(node.this), largest(of(node)))
    if isinstance(node, exp.Column):
        return _column(node)
    if isinstance(node, exp.Anonymous) and node.this in _CALLS:
        items = [i for a in node.expressions for i in (a.expressions if isinstance(a, exp.Distinct) else [a])]
        return min(_CALLS[node.this](max(map(reach, items), default=0.0)), largest(of(node)))
    return largest(of(node))


def _column(node: exp.Column) -> float:
    """From the statistics of a catalogue's column, else from its type."""
    column = node.meta.get("column")
    stats = column.stats if isinstance(column, Column) and "table" in node.meta else None
    if stats is None:
        return largest(of(node))
    if stats.infinities:
        return float("inf")
    ends = (stats.minimum, stats.maximum)
    if not all(isinstance(end, (int, float)) for end in ends):
        return largest(of(node))
    return max(abs(float(end)) for end in ends if isinstance(end, (int, float)))


def bounded(new: exp.Expr, wanted: Column, most: float) -> exp.Expr:
    """A calculation of a type, marked as risky where its absolute values exceed all numbers of that type."""
    limit = largest(wanted)
    if not most <= limit:
        risky(new)
    new.meta[MOST] = min(most, limit) if most == most else limit
    return new
