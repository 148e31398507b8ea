"""Functions of ADQL in DuckDB's words: one small function each.

Must not know: tables, geometry.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from skygate.adql.function import Use
from skygate.adql.geometry.sql import clone
from skygate.adql.growth import MAX_GATHERED
from skygate.adql.reach import LARGEST_DOUBLE, MOST_ROWS, bounded, reach
from skygate.adql.spelling import (
    NARROW,
    SQL_TYPES,
    as_double,
    as_long,
    attempt,
    call,
    cast,
    grouped,
    keep_risk,
    of,
    real,
    risky,
    text,
    whole,
    whole_quotient,
)
from skygate.adql.types import NULL, kind

TOO_LONG = f"skygate: a gathered text has more than {MAX_GATHERED} bytes"
"""What the engine says of too long a text of IVO_STRING_AGG."""
MOST_DIGITS = 400
"""More than the digits before or behind the point of any number."""
RENAMED = {"CEILING": "CEIL", "LOG": "LN", "TRUNCATE": "TRUNC", "RAND": "RANDOM"}
ALWAYS_FINITE = frozenset(
    {"ABS", "CEILING", "DEGREES", "FLOOR", "RADIANS", "ROUND", "TRUNCATE", "ATAN", "ATAN2"}
)
MAY_FAIL = frozenset({"EXP", "LOG", "LOG10", "POWER", "SQRT", "ACOS", "ASIN", "COT", "COS", "SIN", "TAN"})
SPREAD = frozenset({"STDDEV", "STDDEV_SAMP", "STDDEV_POP", "VARIANCE", "VAR_SAMP", "VAR_POP", "CORR"})
DEGREE = 58.0
"""More than the degrees of a radian."""
JD_OF_1970 = 2440587.5
MJD_OF_1970 = 40587.0
SECONDS_OF_DAY = 86400.0


def lower_call(node: exp.Anonymous) -> exp.Expr:
    """A call, in the engine's words."""
    name = str(node.this)
    if name in ALWAYS_FINITE or name in MAY_FAIL:
        return _mathematics(node, name)
    handler = CALLS.get(name)
    if handler is not None:
        return handler(node)
    if name in SPREAD or name == "MEDIAN":
        return _spread(node, name)
    return node


def lower_window(node: exp.Window) -> exp.Expr:
    """A window, whose SUM of integers is HUGEINT in DuckDB."""
    if node.this.this in ("SUM",) and of(node).datatype.is_integer:
        return cast(clone(node), exp.DType.BIGINT)  # no bad row to make null: too large a sum is refused
    name = str(node.this.this)
    if name in SPREAD or name == "MEDIAN" or (name in ("SUM", "AVG") and _may_exceed(node.this)):
        return risky(node)
    return node


def _mathematics(node: exp.Anonymous, name: str) -> exp.Expr:
    arguments = list(node.expressions)
    if name == "ABS" and of(node).datatype.is_integer:
        inner = arguments[0]
        new = call("ABS", as_long(inner))
        return new if of(inner).datatype in NARROW else attempt(new)
    counted = 1 if name in ("ROUND", "TRUNCATE") else len(arguments)
    doubles = [as_double(a) if i < counted else _digits(a) for i, a in enumerate(arguments)]
    new = call(RENAMED.get(name, name), *doubles)
    if name in ("COS", "SIN", "TAN", "EXP"):
        return keep_risk(risky(new) if name == "EXP" else new, *arguments)
    if name in MAY_FAIL and not (len(arguments) == 1 and _is_safe(name, arguments[0])):
        return risky(new)
    keep_risk(new, *arguments)
    return bounded(new, of(node), reach(arguments[0]) * DEGREE) if name == "DEGREES" else new


def _digits(node: exp.Expr) -> exp.Expr:
    """A number of decimal places as the engine's INTEGER: beyond the digits of any number it makes none."""
    if _is_few(node):
        return node
    limited = call("LEAST", call("GREATEST", node, exp.Neg(this=whole(MOST_DIGITS))), whole(MOST_DIGITS))
    return cast(limited, exp.DType.INT)


def _is_few(node: exp.Expr) -> bool:
    bare = node.this if isinstance(node, exp.Neg) else node
    return isinstance(bare, exp.Literal) and not bare.is_string and len(bare.this) < 4


def _is_safe(name: str, argument: exp.Expr) -> bool:
    """Whether a literal is in the function's domain."""
    bare = argument.unnest()
    return (
        name in ("LOG", "LOG10", "SQRT")
        and isinstance(bare, exp.Literal)
        and not bare.is_string
        and float(bare.this) > 0
    )


def _spread(node: exp.Anonymous, name: str) -> exp.Expr:
    """Spreads fail on infinite values, so those are left out."""
    distinct = node.expressions and isinstance(node.expressions[0], exp.Distinct)
    items = node.expressions[0].expressions if distinct else node.expressions
    doubles: list[exp.Expr] = []
    for item in items:
        double = as_double(item)
        if of(item).datatype.is_real and name != "MEDIAN":
            risky(double)
        doubles.append(double)
    new = call(name, exp.Distinct(expressions=doubles)) if distinct else call(name, *doubles)
    new.meta["use"] = Use.AGGREGATE
    return new if isinstance(node.parent, exp.Window) else risky(new)


def _total(node: exp.Anonymous) -> exp.Expr:
    if of(node).datatype.is_integer and not isinstance(node.parent, exp.Window):
        return cast(clone(node), exp.DType.BIGINT)
    return risky(node) if _may_exceed(node) and not isinstance(node.parent, exp.Window) else node


def _may_exceed(node: exp.Anonymous) -> bool:
    """Whether a sum of reals may be no finite number (AVG adds before it divides)."""
    first = node.expressions[0]
    items = first.expressions if isinstance(first, exp.Distinct) else [first]
    return not max(map(reach, items)) * MOST_ROWS <= LARGEST_DOUBLE


def _remainder(node: exp.Anonymous) -> exp.Expr:
    x, y = node.expressions
    if of(node).datatype.is_integer:
        return exp.Paren(this=whole_quotient(exp.Mod, grouped(as_long(x)), grouped(y)))
    return risky(exp.Paren(this=exp.Mod(this=grouped(as_double(x)), expression=grouped(as_double(y)))))


def _random(node: exp.Anonymous) -> exp.Expr:
    return call("RANDOM")


def _coalesce(node: exp.Anonymous) -> exp.Expr:
    first, *others = node.expressions
    new = exp.Coalesce(this=first, expressions=others)
    kinds = {of(item).datatype for item in node.expressions if kind(of(item)) == "number"}
    return cast(new, SQL_TYPES[of(node).datatype]) if len(kinds) > 1 else new


def _in_unit(node: exp.Anonymous) -> exp.Expr:
    value = grouped(as_double(node.expressions[0]))
    new = exp.Paren(this=exp.Mul(this=value, expression=real(node.meta["factor"])))
    return bounded(keep_risk(new, value), of(node), reach(value) * abs(float(node.meta["factor"])))


def _gathered(node: exp.Anonymous) -> exp.Expr:
    """Texts one after the other; too long a one fails the query: engines hold it beside their memory."""
    new = call("STRING_AGG", *node.expressions)
    short = exp.LTE(this=call("STRLEN", clone(new)), expression=whole(MAX_GATHERED))
    fails = cast(call("ERROR", text(TOO_LONG)), exp.DType.VARCHAR)
    absent = exp.Is(this=clone(new), expression=exp.Null())
    return exp.Paren(
        this=exp.Case(ifs=[exp.If(this=exp.Or(this=absent, expression=short), true=new)], default=fails)
    )


def _as_time(node: exp.Expr) -> exp.Expr:
    return cast(node, exp.DType.TIMESTAMP) if of(node) is NULL else node


def _extract(node: exp.Anonymous) -> exp.Expr:
    field, time = str(node.expressions[0].this).lower(), _as_time(node.expressions[1])
    if field == "epoch":
        return call("EPOCH", time)
    if field == "second":
        microseconds = cast(call("DATE_PART", text("microseconds"), time), exp.DType.DOUBLE)
        return exp.Paren(this=exp.Div(this=microseconds, expression=real(1e6)))
    return call("DATE_PART", text(field), time)


def _date_trunc(node: exp.Anonymous) -> exp.Expr:
    return call("DATE_TRUNC", text(str(node.expressions[0].this).lower()), _as_time(node.expressions[1]))


def _now(node: exp.Anonymous) -> exp.Expr:
    return call("MAKE_TIMESTAMP", call("EPOCH_US", call("NOW")))


def _julian(zero: float) -> Callable[[exp.Anonymous], exp.Expr]:
    def lowered(node: exp.Anonymous) -> exp.Expr:
        days = exp.Div(this=call("EPOCH", _as_time(node.expressions[0])), expression=real(SECONDS_OF_DAY))
        return exp.Paren(this=exp.Add(this=days, expression=real(zero)))

    return lowered


def _truth(test: exp.Expr) -> exp.Expr:
    """1, 0 or null."""
    return cast(test, exp.DType.INT)


def _no_case_match(node: exp.Anonymous) -> exp.Expr:
    value, pattern = node.expressions
    return _truth(exp.Paren(this=exp.ILike(this=grouped(value), expression=grouped(pattern))))


def _has_word(node: exp.Anonymous) -> exp.Expr:
    words = [
        call("REGEXP_EXTRACT_ALL", call("LOWER", part), text(r"[\p{L}\p{N}]+")) for part in node.expressions
    ]
    named = exp.GT(this=call("LEN", clone(words[1])), expression=whole(0))
    return _truth(exp.Paren(this=exp.And(this=call("LIST_HAS_ALL", *words), expression=named)))


def _hash_list_has(node: exp.Anonymous) -> exp.Expr:
    words, item = (call("LOWER", part) for part in node.expressions)
    held = call("LIST_CONTAINS", call("STRING_SPLIT", words, text("#")), item)
    named = exp.NEQ(this=clone(item), expression=text(""))
    return _truth(exp.Paren(this=exp.And(this=held, expression=named)))


def _overlaps(node: exp.Anonymous) -> exp.Expr:
    a1, b1, a2, b2 = (grouped(n) for n in node.expressions)
    tests = [(a1, b1), (a2, b2), (clone(a1), clone(b2)), (clone(a2), clone(b1))]
    both = exp.and_(*(exp.LTE(this=a, expression=b) for a, b in tests), copy=False)
    return _truth(exp.Paren(this=both))


def _normal(node: exp.Anonymous) -> exp.Expr:
    """Box and Muller's transformation of two even random numbers."""
    mu, sigma = (grouped(as_double(n)) for n in node.expressions)
    even = exp.Sub(this=real(1.0), expression=call("RANDOM"))
    radius = call("SQRT", exp.Mul(this=exp.Neg(this=real(2.0)), expression=call("LN", even)))
    angle = call("COS", exp.Mul(this=real(6.283185307179586), expression=call("RANDOM")))
    spread = exp.Mul(this=exp.Mul(this=sigma, expression=radius), expression=angle)
    return keep_risk(exp.Paren(this=exp.Add(this=mu, expression=spread)), mu, sigma)


def _kernel(name: str, *kinds: exp.DType) -> Callable[[exp.Anonymous], exp.Expr]:
    """A call of one of our vectorised functions, with arguments of exactly its types."""

    def lowered(node: exp.Anonymous) -> exp.Expr:
        given = zip(node.expressions, kinds, strict=True)
        return call(name, *(cast(a, k) if SQL_TYPES.get(of(a).datatype) is not k else a for a, k in given))

    return lowered


_LONG, _REAL, _TEXT = exp.DType.BIGINT, exp.DType.DOUBLE, exp.DType.VARCHAR

CALLS: dict[str, Callable[[exp.Anonymous], exp.Expr]] = {
    "MOD": _remainder,
    "RAND": _random,
    "COALESCE": _coalesce,
    "IN_UNIT": _in_unit,
    "EXTRACT": _extract,
    "DATE_TRUNC": _date_trunc,
    "CURRENT_TIMESTAMP": _now,
    "SUM": _total,
    "AVG": _total,
    "IVO_TO_JD": _julian(JD_OF_1970),
    "IVO_TO_MJD": _julian(MJD_OF_1970),
    "IVO_STRING_AGG": _gathered,
    "IVO_NOCASEMATCH": _no_case_match,
    "IVO_HASWORD": _has_word,
    "IVO_HASHLIST_HAS": _hash_list_has,
    "IVO_INTERVAL_OVERLAPS": _overlaps,
    "IVO_NORMAL_RANDOM": _normal,
    "IVO_HEALPIX_INDEX": _kernel("SG_HEALPIX_INDEX", _LONG, _REAL, _REAL),
    "IVO_HEALPIX_CENTER": _kernel("SG_HEALPIX_CENTER", _LONG, _LONG),
    "IVO_APPLY_PM": _kernel("SG_APPLY_PM", _REAL, _REAL, _REAL, _REAL, _REAL),
    "IVO_EPOCH_PROP_POS": _kernel("SG_EPOCH_PROP_POS", *(_REAL,) * 8),
    "IVO_HMS_TO_DEGREES": _kernel("SG_HMS_TO_DEGREES", _TEXT),
    "IVO_DMS_TO_DEGREES": _kernel("SG_DMS_TO_DEGREES", _TEXT),
}
