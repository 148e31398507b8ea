"""Long lists of integers after IN, as one text that the engine splits.

Must not know: tables. An engine reads a text in no time, and a list of ten thousand numbers in a second.
"""

from __future__ import annotations

from sqlglot import exp

from skygate.adql.spelling import call, of, text

LONG = 200
"""Members of a list that is short enough to be read as it is."""
_LEAST, _GREATEST = -(2**63), 2**63 - 1


def gather_lists(tree: exp.Query) -> None:
    """Make sub-queries of long lists of integers that a WHERE asks for, in place; they mean the same."""
    for node in list(tree.find_all(exp.In)):
        if len(node.expressions) <= LONG or not of(node.this).datatype.is_integer or not _is_asked(node):
            continue
        values = [_value(item) for item in node.expressions]
        if not all(v is not None and _LEAST <= v <= _GREATEST for v in values):
            continue
        split = call("STRING_SPLIT", text(",".join(map(str, values))), text(","))
        long = exp.DataType(this=exp.DType.BIGINT)
        kind = exp.DataType(this=exp.DType.ARRAY, nested=True, expressions=[long])
        members = exp.Select(expressions=[call("UNNEST", exp.Cast(this=split, to=kind))])
        node.set("expressions", None)
        node.set("query", exp.Subquery(this=members))


def _is_asked(node: exp.Expr) -> bool:
    """Whether a condition is all of a WHERE, or a part that must hold: not everywhere may a query stand."""
    inner: exp.Expr = node
    while isinstance(inner.parent, (exp.And, exp.Paren, exp.Not)):
        inner = inner.parent
    return isinstance(inner.parent, exp.Where)


def _value(node: exp.Expr) -> int | None:
    negative = isinstance(node, exp.Neg)
    bare = node.this if negative else node
    if not isinstance(bare, exp.Literal) or bare.is_string or not str(bare.this).isdecimal():
        return None
    return -int(bare.this) if negative else int(bare.this)
