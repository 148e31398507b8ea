"""What ADQL means, in DuckDB's words: operators, CAST, and results that are no numbers.

Must not know: tables, geometry. Only nodes that came from the caller's text (`meta["at"]`) are touched; what
`geometry` made is in the engine's words already. A lowered node has exactly the type that `resolve` gave it.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from skygate.adql.function import Use
from skygate.adql.geometry.sql import clone
from skygate.adql.lists import gather_lists
from skygate.adql.lower_functions import lower_call, lower_window
from skygate.adql.reach import bounded, reach
from skygate.adql.spelling import (
    BITS,
    LONG_BITS,
    NARROW,
    RISKY,
    SMALL,
    SQL_TYPES,
    as_long,
    attempt,
    call,
    cast,
    decimal,
    has_random,
    is_nonzero,
    is_whole,
    keep_risk,
    number,
    of,
    risky,
    text,
    try_cast,
    whole,
    whole_quotient,
    width,
)
from skygate.adql.types import kind
from skygate.domain.catalog import Datatype
from skygate.errors import BadQuery

MAX_NODES = 1_000_000


def lower(tree: exp.Query) -> exp.Query:
    """The tree in DuckDB's words, in place; raises `BadQuery` where it grows beyond all bounds."""
    gather_lists(tree)
    for node in reversed(list(tree.walk(bfs=True))):
        meta = node.meta
        if "at" not in meta or "datatype" not in meta or "native" in meta:
            continue
        handler = HANDLERS.get(type(node))
        new = handler(node) if handler is not None else node
        if meta.get("to_time"):
            new = _time(new)
        if meta.get("to_real"):
            new = cast(clone(new), exp.DType.FLOAT)
        if new is not node:
            _put(node, new)
    _guard(tree)
    return tree


def _put(node: exp.Expr, new: exp.Expr) -> None:
    """Put a new node, which may hold the old one's children, in the old one's place."""
    new.meta.setdefault("datatype", node.meta["datatype"])
    for key in ("use", "grouped"):
        if key in node.meta:
            new.meta.setdefault(key, node.meta[key])
    _place(new, node.parent, node.arg_key, node.index)


def _place(new: exp.Expr, parent: exp.Expr | None, key: str | None, index: int | None) -> None:
    """What `parent.set` does, in constant time for the members of long lists."""
    assert parent is not None
    assert key is not None
    if index is None:
        parent.set(key, new)
        return
    parent.args[key][index] = new
    new.parent, new.arg_key, new.index = parent, key, index


def _guard(tree: exp.Query) -> None:
    """Make results that are no finite numbers null, once, where a calculation ends."""
    roots = [n for n in tree.walk(bfs=True) if RISKY in n.meta and _is_end(n)]
    added = 0
    for node in reversed(roots):
        added += _finite(node)
        if added > MAX_NODES:
            raise BadQuery("the query is too complex to be run", hint="split it with WITH")


def _is_end(node: exp.Expr) -> bool:
    """Whether a calculation ends at a node: what takes its value is none, or takes the values of many rows.

    A grouped value ends there too, so that it reads the same wherever the query repeats it.
    """
    parent = node.parent.parent if isinstance(node.parent, exp.Distinct) else node.parent
    if parent is None or RISKY not in parent.meta:
        return True
    return "grouped" in node.meta or parent.meta.get("use") is Use.AGGREGATE


def _finite(node: exp.Expr) -> int:
    """Put null in the place of a node's values that are no finite numbers; how many nodes that adds."""
    parent, key, index = node.parent, node.arg_key, node.index
    del node.meta[RISKY]
    count = sum(1 for _ in node.walk())
    new: exp.Expr
    if count > SMALL or has_random(node):
        new = call("SG_FINITE", cast(node, exp.DType.DOUBLE))
        if of(node).datatype is Datatype.FLOAT:
            new = cast(new, exp.DType.FLOAT)
        count = 3
    else:
        new = exp.Case(ifs=[exp.If(this=call("ISFINITE", clone(node)), true=node)])
    new.meta["datatype"] = of(node)
    _place(new, parent, key, index)
    return count


def _time(node: exp.Expr) -> exp.Expr:
    """A text that is read as a time; texts that are none give null."""
    if isinstance(node, exp.Literal):
        return cast(text(str(node.this).rstrip("Z")), exp.DType.TIMESTAMP)
    return try_cast(clone(node), exp.DType.TIMESTAMP)


def _literal(node: exp.Literal) -> exp.Expr:
    if "truth" in node.meta:
        return exp.Boolean(this=node.meta["truth"])
    if node.is_string:
        return node
    if of(node).datatype is Datatype.DOUBLE:
        return exp.Literal(this=number(str(node.this)), is_string=False)
    plain = str(int(node.this))
    return node if plain == node.this else exp.Literal(this=plain, is_string=False)


def _paren(node: exp.Paren) -> exp.Expr:
    if BITS in node.this.meta:
        node.meta[BITS] = node.this.meta[BITS]
    return keep_risk(node, node.this)


def _sign(node: exp.Neg) -> exp.Expr:
    inner = node.this
    if isinstance(inner, exp.Literal) or not of(inner).datatype.is_integer:
        return keep_risk(node, inner)
    if of(inner).datatype in NARROW:
        return exp.Neg(this=cast(inner, exp.DType.BIGINT))
    return node if has_random(node) else attempt(exp.Neg(this=inner))


def _sum(node: exp.Binary) -> exp.Expr:
    """+ - *: integers as BIGINT (null where that overflows), reals as DOUBLE unless both are REAL."""
    left, right = node.this, node.expression
    if not of(node).datatype.is_integer:
        new = keep_risk(_real(type(node)(this=left, expression=right), node), left, right)
        a, b = reach(left), reach(right)
        return bounded(new, of(node), a * b if isinstance(node, exp.Mul) else a + b)
    a, b = width(left), width(right)
    bits = a + b if isinstance(node, exp.Mul) else max(a, b) + 1
    if isinstance(left, exp.Literal) and not isinstance(right, exp.Literal):
        right = as_long(right)
    else:
        left = as_long(left)
    new = type(node)(this=left, expression=right)
    if bits >= LONG_BITS:
        return attempt(new)
    new.meta[BITS] = bits
    return new


def _real(new: exp.Binary, node: exp.Binary) -> exp.Binary:
    kinds = (of(new.this).datatype, of(new.expression).datatype)
    if of(node).datatype is Datatype.DOUBLE and Datatype.DOUBLE not in kinds:
        new.set("this", keep_risk(cast(new.this, exp.DType.DOUBLE), new.this))
    return new


def _quotient(node: exp.Div) -> exp.Expr:
    """/: of integers cut towards zero; null where the divisor is 0."""
    left, right = node.this, node.expression
    if not of(node).datatype.is_integer:
        new = keep_risk(_real(exp.Div(this=left, expression=right), node), left, right)
        return bounded(new, of(node), reach(left) / reach(right)) if is_nonzero(right) else risky(new)
    return whole_quotient(exp.IntDiv, as_long(left), right)


def _case(node: exp.Case) -> exp.Expr:
    wanted = of(node)
    if kind(wanted) != "number":
        return node
    values = [branch.args["true"] for branch in node.args["ifs"]]
    if node.args.get("default") is not None:
        values.append(node.args["default"])
    kinds = {of(v).datatype for v in values if kind(of(v)) == "number"}
    return cast(clone(node), SQL_TYPES[wanted.datatype]) if len(kinds) > 1 else node


def _cast(node: exp.Cast) -> exp.Expr:
    """CAST: numbers are cut towards zero; what does not fit is null; texts are cut to their length."""
    given, wanted = of(node.this), of(node)
    inner = node.this
    if kind(wanted) == "text":
        return _cast_to_text(node, inner)
    target = SQL_TYPES[wanted.datatype] if kind(wanted) != "timestamp" else exp.DType.TIMESTAMP
    if kind(wanted) == "number" and wanted.datatype.is_integer:
        if kind(given) == "text":
            return try_cast(call("TRUNC", decimal(inner)), target)
        if kind(given) == "number" and given.datatype.is_real:
            return try_cast(inner if is_whole(inner) else call("TRUNC", inner), target)
    fits = kind(given) == "number" and wanted.datatype is Datatype.DOUBLE
    new = cast(inner, target) if fits else try_cast(inner, target)
    if kind(wanted) == "number" and wanted.datatype.is_real:
        return risky(new) if kind(given) == "text" else keep_risk(new, inner)
    return new


def _cast_to_text(node: exp.Cast, inner: exp.Expr) -> exp.Expr:
    new: exp.Expr = cast(inner, exp.DType.VARCHAR)
    if kind(of(inner)) == "timestamp":
        new = call("REPLACE", new, text(" "), text("T"))
    sizes = node.to.expressions
    return call("LEFT", new, whole(int(sizes[0].this.this))) if sizes else new


HANDLERS: dict[type[exp.Expr], Callable[..., exp.Expr]] = {
    exp.Literal: _literal,
    exp.Paren: _paren,
    exp.Neg: _sign,
    exp.Add: _sum,
    exp.Sub: _sum,
    exp.Mul: _sum,
    exp.Div: _quotient,
    exp.Case: _case,
    exp.Cast: _cast,
    exp.Anonymous: lower_call,
    exp.Window: lower_window,
}
