"""The functions of release.toml's expressions, one table: name, number of arguments, Arrow kernel."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from skygate.release.compute import pc

_ANY = 100


@dataclass(frozen=True, slots=True)
class Function:
    """A function over arrays or scalars, taking `fewest` to `most` arguments."""

    fewest: int
    most: int
    apply: Callable[..., Any]


def _real(value: Any) -> Any:
    return value if pa.types.is_floating(value.type) else pc.cast(value, pa.float64())


def _where_finite(value: Any) -> Any:
    """Null instead of NaN and infinity: what cannot be calculated has no value."""
    return pc.if_else(pc.is_finite(value), value, pa.scalar(None, value.type))


def _real_function(kernel: Callable[..., Any]) -> Function:
    return Function(1, 1, lambda x: _where_finite(kernel(_real(x))))


def _divide(a: Any, b: Any) -> Any:
    return _where_finite(pc.divide(_real(a), _real(b)))


def _floor_divide(a: Any, b: Any) -> Any:
    return pc.floor(_divide(a, b))


def _mod(a: Any, b: Any) -> Any:
    whole = pa.types.is_integer(a.type) and pa.types.is_integer(b.type)
    if whole:
        divisor = pc.if_else(pc.equal(b, 0), pa.scalar(None, b.type), b)
        quotient = pc.divide(a, divisor)
        rest = pc.subtract(a, pc.multiply(quotient, divisor))
        # The sign of the divisor, as in Python.
        wrong = pc.and_(pc.not_equal(rest, 0), pc.xor(pc.less(rest, 0), pc.less(divisor, 0)))
        return pc.if_else(wrong, pc.add(rest, divisor), rest)
    x, y = _real(a), _real(b)
    return _where_finite(pc.subtract(x, pc.multiply(y, pc.floor(pc.divide(x, y)))))


def _power(a: Any, b: Any) -> Any:
    return _where_finite(pc.power(_real(a), _real(b)))


def _where(condition: Any, a: Any, b: Any) -> Any:
    known = pc.fill_null(condition, fill_value=False)
    for one, other in ((a, b), (b, a)):
        if pa.types.is_null(one.type):
            null = pa.scalar(None, other.type)
            return pc.if_else(known, *((null, other) if one is a else (other, null)))
    return pc.if_else(known, a, b)


def _text(value: Any) -> Any:
    return value if pa.types.is_string(value.type) else pc.cast(value, pa.string())


def _concat(*values: Any) -> Any:
    return pc.binary_join_element_wise(*(_text(v) for v in values), "", null_handling="emit_null")


def _plain(value: Any, what: str) -> Any:
    """The Python value of a constant argument."""
    if not isinstance(value, pa.Scalar):
        raise TypeError(f"{what} must be a constant")
    return value.as_py()


def _substring(text: Any, start: Any, count: Any | None = None) -> Any:
    first = max(int(_plain(start, "start")), 1) - 1
    stop = None if count is None else first + max(int(_plain(count, "count")), 0)
    return pc.utf8_slice_codeunits(text, first, stop)


def _number(text: Any) -> Any:
    """Doubles; null for texts that are no number."""
    if not pa.types.is_string(text.type):
        return _real(text)
    trimmed = pc.utf8_trim_whitespace(text)
    pattern = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
    fits = pc.match_substring_regex(trimmed, pattern)
    return pc.cast(pc.if_else(fits, trimmed, pa.scalar(None, pa.string())), pa.float64())


def _round(value: Any, digits: Any | None = None) -> Any:
    return pc.round(value, ndigits=0 if digits is None else int(_plain(digits, "digits")))


FUNCTIONS: dict[str, Function] = {
    "_divide": Function(2, 2, _divide),
    "_floor_divide": Function(2, 2, _floor_divide),
    "is_null": Function(1, 1, pc.is_null),
    "coalesce": Function(1, _ANY, pc.coalesce),
    "where": Function(3, 3, _where),
    "abs": Function(1, 1, pc.abs_checked),
    "sqrt": _real_function(pc.sqrt),
    "exp": _real_function(pc.exp),
    "ln": _real_function(pc.ln),
    "log10": _real_function(pc.log10),
    "floor": Function(1, 1, pc.floor),
    "ceil": Function(1, 1, pc.ceil),
    "round": Function(1, 2, _round),
    "sign": Function(1, 1, pc.sign),
    "power": Function(2, 2, _power),
    "mod": Function(2, 2, _mod),
    "least": Function(1, _ANY, lambda *v: pc.min_element_wise(*v, skip_nulls=False)),
    "greatest": Function(1, _ANY, lambda *v: pc.max_element_wise(*v, skip_nulls=False)),
    "degrees": _real_function(lambda x: pc.multiply(x, 180.0 / math.pi)),
    "radians": _real_function(lambda x: pc.multiply(x, math.pi / 180.0)),
    "sin": _real_function(pc.sin),
    "cos": _real_function(pc.cos),
    "tan": _real_function(pc.tan),
    "asin": _real_function(pc.asin),
    "acos": _real_function(pc.acos),
    "atan": _real_function(pc.atan),
    "atan2": Function(2, 2, lambda y, x: _where_finite(pc.atan2(_real(y), _real(x)))),
    "lower": Function(1, 1, pc.utf8_lower),
    "upper": Function(1, 1, pc.utf8_upper),
    "trim": Function(1, 1, pc.utf8_trim_whitespace),
    "length": Function(1, 1, pc.utf8_length),
    "concat": Function(1, _ANY, _concat),
    "substring": Function(2, 3, _substring),
    "starts_with": Function(2, 2, lambda t, p: pc.starts_with(t, _plain(p, "the part"))),
    "ends_with": Function(2, 2, lambda t, p: pc.ends_with(t, _plain(p, "the part"))),
    "contains": Function(2, 2, lambda t, p: pc.match_substring(t, _plain(p, "the part"))),
    "replace": Function(
        3,
        3,
        lambda t, old, new: pc.replace_substring(t, _plain(old, "the old text"), _plain(new, "the new text")),
    ),
    "number": Function(1, 1, _number),
    "text": Function(1, 1, _text),
}
