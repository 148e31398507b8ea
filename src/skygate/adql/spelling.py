"""Small pieces of an engine's text, shared by the lowering of operators and of functions.

Must not know: ADQL's grammar, tables.
"""

from __future__ import annotations

from sqlglot import exp

from skygate.adql import types
from skygate.adql.functions import AGGREGATES
from skygate.domain.catalog import Column, Datatype

RISKY = "risky"
"""Mark of nodes whose value may be NaN or infinite."""
SMALL = 60
"""Expressions of so many nodes may stand twice in the text."""
NARROW = frozenset({Datatype.UNSIGNED_BYTE, Datatype.SHORT, Datatype.INT})
BITS = "bits"
"""Mark of integers: no value is larger than 2 to that power, whatever its sign."""
LONG_BITS = 63
_BITS = {Datatype.UNSIGNED_BYTE: 8, Datatype.SHORT: 15, Datatype.INT: 31}
_WHOLE = frozenset({"FLOOR", "CEIL", "TRUNC", "ROUND"})

SQL_TYPES: dict[Datatype, exp.DType] = {
    Datatype.BOOLEAN: exp.DType.BOOLEAN,
    Datatype.UNSIGNED_BYTE: exp.DType.UTINYINT,
    Datatype.SHORT: exp.DType.SMALLINT,
    Datatype.INT: exp.DType.INT,
    Datatype.LONG: exp.DType.BIGINT,
    Datatype.FLOAT: exp.DType.FLOAT,
    Datatype.DOUBLE: exp.DType.DOUBLE,
    Datatype.CHAR: exp.DType.VARCHAR,
    Datatype.UNICODE: exp.DType.VARCHAR,
}


def of(node: exp.Expr) -> Column:
    """The type of a node; what geometry made without one is DOUBLE."""
    return node.meta.get("datatype", types.DOUBLE)


def call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    """A function of the engine."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def cast(node: exp.Expr, kind: exp.DType) -> exp.Cast:
    """CAST, which fails on values that do not fit."""
    return exp.Cast(this=node, to=exp.DataType(this=kind))


def try_cast(node: exp.Expr, kind: exp.DType) -> exp.TryCast:
    """A cast that makes null of values that do not fit."""
    return exp.TryCast(this=node, to=exp.DataType(this=kind))


def decimal(node: exp.Expr) -> exp.TryCast:
    """A text as an exact number of 20 + 18 digits, null where it is none."""
    sizes = [exp.DataTypeParam(this=whole(n)) for n in (38, 18)]
    return exp.TryCast(this=node, to=exp.DataType(this=exp.DType.DECIMAL, expressions=sizes))


def as_double(node: exp.Expr) -> exp.Expr:
    """A number as DOUBLE."""
    if of(node).datatype is Datatype.DOUBLE:
        return node
    return keep_risk(cast(node, exp.DType.DOUBLE), node)


def as_long(node: exp.Expr) -> exp.Expr:
    """An integer as BIGINT."""
    return cast(node, exp.DType.BIGINT) if of(node).datatype in NARROW else node


def number(text: str) -> str:
    """A decimal literal in the spelling of a DOUBLE (others become DECIMAL): 1.5 → 1.5e0."""
    text = text.lower()
    mantissa, _, exponent = text.partition("e")
    mantissa = mantissa.rstrip(".") if mantissa.endswith(".") else mantissa
    if mantissa.startswith("."):
        mantissa = "0" + mantissa
    return f"{mantissa}e{exponent or '0'}"


def real(value: float) -> exp.Literal:
    """A DOUBLE written out."""
    return exp.Literal(this=number(repr(value)), is_string=False)


def whole(value: int) -> exp.Literal:
    """A non-negative integer written out."""
    return exp.Literal(this=str(value), is_string=False)


def text(value: str) -> exp.Literal:
    """A text written out."""
    return exp.Literal(this=value, is_string=True)


def risky(node: exp.Expr) -> exp.Expr:
    """Mark a node whose value may be no finite number."""
    node.meta[RISKY] = True
    return node


def keep_risk(node: exp.Expr, *parts: exp.Expr) -> exp.Expr:
    """Mark a calculation one of whose parts may be no finite number."""
    if any(RISKY in part.meta for part in parts):
        node.meta[RISKY] = True
    return node


def width(node: exp.Expr) -> int:
    """The power of 2 that no value of an integer exceeds, whatever its sign."""
    bare = node.unnest()
    if isinstance(bare, exp.Literal) and not bare.is_string:
        return int(bare.this).bit_length()
    return int(node.meta.get(BITS) or _BITS.get(of(node).datatype, LONG_BITS + 1))


def is_whole(node: exp.Expr) -> bool:
    """Whether a real number is one without decimals already."""
    return isinstance(node, exp.Anonymous) and node.name.upper() in _WHOLE and len(node.expressions) == 1


def is_nonzero(node: exp.Expr) -> bool:
    """Whether a node is a number written out, and not 0."""
    bare = node.unnest()
    if isinstance(bare, exp.Neg):
        bare = bare.this.unnest()
    return isinstance(bare, exp.Literal) and not bare.is_string and float(bare.this) != 0


def has_random(node: exp.Expr) -> bool:
    """Whether a node gives another value each time."""
    return any(n.this == "RANDOM" for n in node.find_all(exp.Anonymous))


def attempt(node: exp.Expr) -> exp.Expr:
    """Arithmetic of integers that is null where it overflows: by TRY, or, around what TRY does not take
    (aggregates, windows, sub-queries), by integers of twice the width.
    """
    if has_random(node):
        return node
    if not any(_is_beyond_try(part) for part in node.walk()):
        return call("TRY", node)
    if isinstance(node, exp.Anonymous):
        first, *others = node.expressions
        node.set("expressions", [cast(first, exp.DType.INT128), *others])
    else:
        node.set("this", cast(node.this, exp.DType.INT128))
    return try_cast(node, exp.DType.BIGINT)


def _is_beyond_try(node: exp.Expr) -> bool:
    return is_aggregate(node) or isinstance(node, (exp.Window, exp.Query))


def is_aggregate(node: exp.Expr) -> bool:
    """Whether a node is the call of an aggregate, in ADQL's words or the engine's."""
    if isinstance(node, exp.Anonymous):
        return str(node.this).upper() in _AGGREGATES
    return isinstance(node, exp.AggFunc)


_AGGREGATES = frozenset(function.name for function in AGGREGATES) | {"STRING_AGG"}


def whole_quotient(kind: type[exp.Binary], left: exp.Expr, right: exp.Expr) -> exp.Expr:
    """The quotient or remainder of integers, null where the divisor is 0; TRY writes a long one once."""
    if is_nonzero(right):
        return kind(this=left, expression=right)
    bare = right.unnest()
    if isinstance(bare, exp.Column) or has_random(right) or has_random(left):
        return kind(this=left, expression=call("NULLIF", right, whole(0)))
    new = kind(this=left, expression=right)
    if any(_is_beyond_try(part) for part in new.walk()):
        new = kind(this=left, expression=call("NULLIF", right, whole(0)))
    return attempt(new)


def grouped(node: exp.Expr) -> exp.Expr:
    """An operand that keeps together inside another operator."""
    if isinstance(node, (exp.Binary, exp.Neg, exp.Case, exp.Not)):
        return keep_risk(exp.Paren(this=node), node)
    return node
