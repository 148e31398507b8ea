"""The small language of release.toml's `derive`, `null_when` and `leave_out.when`: one row in, one value out.

It is spelt as Python's expressions and means what SQL means: a null operand gives null, `and`/`or` know three
values, and a condition counts only when it is true (null is not). Evaluated by Arrow on whole batches; there
are no attributes, subscripts, loops, or names but the table's columns, so text from a file can do no harm.

    numbers, "texts", true, false, null; columns by name (`"odd name"` in backquotes: `` `B-V` ``)
    + - * / // % **       / never cuts off: 7 / 2 is 3.5; division by zero is null
    == != < <= > >=       chained too: 0 <= dec <= 90
    x in (1, 2), x not in ("a", "b")
    and or not
    is_null(x) coalesce(a, b, …) where(condition, a, b)
    abs sqrt exp ln log10 floor ceil round(x, digits) sign power(a, b) mod(a, b) least(a, …) greatest(a, …)
    degrees(rad) radians(deg); sin cos tan take radians; asin acos atan atan2(y, x) give radians
    lower upper trim length concat(a, …) substring(text, start, count) (start counts from 1)
    starts_with(text, part) ends_with(text, part) contains(text, part) replace(text, old, new)
    number(text) text(value)       number() of what is no number is null
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from skygate.errors import BadRelease, Where
from skygate.release.compute import pc
from skygate.release.functions import FUNCTIONS

_BACKQUOTED = re.compile(r"`([^`]*)`")
_WORDS: dict[str, Any] = {
    "true": True,
    "false": False,
    "null": None,
    "True": True,
    "False": False,
    "None": None,
}
_LONGEST = 10_000


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked expression: its text, its tree and the columns that it names."""

    text: str
    tree: ast.expr
    names: tuple[str, ...]
    odd: Mapping[str, str]
    """Placeholders of backquoted names."""

    def evaluate(self, columns: Callable[[str], pa.Array], rows: int) -> pa.Array:
        """The value for each of `rows` rows, `columns` giving the arrays by name; raises `BadRelease`."""
        value = _Evaluation(self, columns).value(self.tree)
        if isinstance(value, pa.Scalar):
            return pa.nulls(rows) if not value.is_valid else pa.repeat(value, rows)
        return value

    def holds(self, columns: Callable[[str], pa.Array], rows: int) -> pa.Array:
        """A boolean for each row, never null: whether the condition is true; raises `BadRelease`."""
        value = self.evaluate(columns, rows)
        if pa.types.is_null(value.type):
            return pa.repeat(pa.scalar(value=False), rows)
        if not pa.types.is_boolean(value.type):
            raise _wrong(self.text, self.tree, "is no condition", hint="compare it with something")
        return pc.fill_null(value, fill_value=False)


def parse(text: str) -> Expression:
    """The checked expression; raises `BadRelease` that names the offending token and its column."""
    odd: dict[str, str] = {}

    def placeholder(match: re.Match[str]) -> str:
        # The same length as the original, so that columns in messages stay true.
        name = f"_q{len(odd)}".ljust(len(match[0]), "_")
        odd[name] = match[1]
        return name

    if len(text) > _LONGEST:
        raise _fault(text, f"the expression is longer than {_LONGEST} characters")
    plain = _BACKQUOTED.sub(placeholder, text)
    try:
        tree = ast.parse(plain.strip(), mode="eval").body
        names = dict.fromkeys(_names(text, tree))
    except SyntaxError as error:
        token = (
            (text.strip().split() or [""])[0] if not error.offset else text.strip()[error.offset - 1 :][:20]
        )
        raise _fault(text, f"cannot read the expression near {token!r}", column=error.offset) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise _fault(text, "the expression cannot be read") from error
    return Expression(text, tree, tuple(odd.get(n, n) for n in names), odd)


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: pc.add_checked,
    ast.Sub: pc.subtract_checked,
    ast.Mult: pc.multiply_checked,
    ast.Div: FUNCTIONS["_divide"].apply,
    ast.FloorDiv: FUNCTIONS["_floor_divide"].apply,
    ast.Mod: FUNCTIONS["mod"].apply,
    ast.Pow: FUNCTIONS["power"].apply,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: pc.equal,
    ast.NotEq: pc.not_equal,
    ast.Lt: pc.less,
    ast.LtE: pc.less_equal,
    ast.Gt: pc.greater,
    ast.GtE: pc.greater_equal,
}


def _names(text: str, node: ast.expr) -> list[str]:
    """The column names in the tree; refuses every kind of node that is not in the language."""
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None):
            return []
        case ast.Name(id=name):
            return [] if name in _WORDS else [name]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _names(text, left) + _names(text, right)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not(), operand=operand):
            return _names(text, operand)
        case ast.BoolOp(values=values):
            return [n for v in values for n in _names(text, v)]
        case ast.Compare(left=left, ops=ops, comparators=others):
            found = _names(text, left)
            for op, other in zip(ops, others, strict=True):
                found += (
                    _member_names(text, other) if isinstance(op, ast.In | ast.NotIn) else _names(text, other)
                )
                if not isinstance(op, ast.In | ast.NotIn) and type(op) not in _COMPARE:
                    raise _wrong(text, node, "`is` is not in the language", hint="write is_null(x)")
            return found
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            _check_call(text, node, name, len(args))
            return [n for a in args for n in _names(text, a)]
        case _:
            raise _wrong(text, node, "is not in the language of release.toml's expressions")


def _member_names(text: str, node: ast.expr) -> list[str]:
    """Checks the list behind `in`: constants only."""
    if not isinstance(node, ast.Tuple | ast.List | ast.Set):
        raise _wrong(text, node, "is no list", hint='write: x in ("a", "b")')
    for item in node.elts:
        if _constant(item) is _NOT_CONSTANT:
            raise _wrong(text, item, "is no constant")
    return []


_NOT_CONSTANT = object()


def _constant(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case _:
            return _NOT_CONSTANT


def _check_call(text: str, node: ast.expr, name: str, count: int) -> None:
    function = FUNCTIONS.get(name)
    if function is None or name.startswith("_"):
        known = ", ".join(n for n in sorted(FUNCTIONS) if not n.startswith("_"))
        raise _wrong(text, node, f"there is no function {name!r}", hint=f"known are {known}")
    if not function.fewest <= count <= function.most:
        many = f"{function.fewest}" if function.fewest == function.most else f"at least {function.fewest}"
        raise _wrong(text, node, f"{name} takes {many} arguments, not {count}")


class _Evaluation:
    """One walk over the tree with the arrays of one batch."""

    def __init__(self, expression: Expression, columns: Callable[[str], pa.Array]) -> None:
        self._text = expression.text
        self._odd = expression.odd
        self._columns = columns

    def value(self, node: ast.expr) -> Any:
        try:
            return self._value(node)
        except (pa.ArrowException, TypeError, OverflowError) as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise _wrong(self._text, node, f"cannot be calculated: {said}") from error

    def _value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value):
                return pa.scalar(value)
            case ast.Name(id=name):
                return pa.scalar(_WORDS[name]) if name in _WORDS else self._columns(self._odd.get(name, name))
            case ast.UnaryOp(op=op, operand=operand):
                inner = self.value(operand)
                if isinstance(op, ast.Not):
                    return pc.invert(self._condition(inner))
                return pc.negate_checked(inner) if isinstance(op, ast.USub) else inner
            case ast.BinOp(left=left, op=op, right=right):
                return _BINARY[type(op)](*_same_kind(self.value(left), self.value(right)))
            case ast.BoolOp(op=op, values=values):
                join = pc.and_kleene if isinstance(op, ast.And) else pc.or_kleene
                result = self._condition(self.value(values[0]))
                for other in values[1:]:
                    result = join(result, self._condition(self.value(other)))
                return result
            case ast.Compare():
                return self._compare(node)
            case ast.Call(func=ast.Name(id=name), args=args):
                return FUNCTIONS[name].apply(*(self.value(a) for a in args))
            case _:
                raise _wrong(self._text, node, "is not in the language")

    def _compare(self, node: ast.Compare) -> Any:
        left, result = self.value(node.left), None
        for op, other in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In | ast.NotIn):
                test = self._member(left, other, inverse=isinstance(op, ast.NotIn))
            else:
                right = self.value(other)
                test = _COMPARE[type(op)](*_same_precision(*_same_kind(left, right)))
                left = right
            result = test if result is None else pc.and_kleene(result, test)
        return result

    def _member(self, left: Any, node: ast.expr, *, inverse: bool) -> Any:
        result: Any = None
        for item in getattr(node, "elts", []):
            test = pc.equal(*_same_precision(*_same_kind(left, pa.scalar(_constant(item)))))
            result = test if result is None else pc.or_kleene(result, test)
        if result is None:
            result = pa.scalar(value=False)
        return pc.invert(result) if inverse else result

    def _condition(self, value: Any) -> Any:
        return pc.cast(value, pa.bool_()) if pa.types.is_null(value.type) else value


def _same_kind(left: Any, right: Any) -> tuple[Any, Any]:
    """Both values, a null constant taking the other's type; texts and numbers do not compare."""
    for one, other in ((left, right), (right, left)):
        if pa.types.is_null(one.type) and not pa.types.is_null(other.type):
            null = pa.scalar(None, other.type)
            return (null, other) if one is left else (other, null)
    texts = [pa.types.is_string(v.type) for v in (left, right)]
    if texts[0] != texts[1] and not any(pa.types.is_temporal(v.type) for v in (left, right)):
        raise TypeError(
            f"a text and a {right.type if texts[0] else left.type} (use number(text) or text(value))"
        )
    return left, right


def _same_precision(left: Any, right: Any) -> tuple[Any, Any]:
    """A number written beside 4-byte reals is read as one of them: 99.99 finds what is shown as 99.99."""
    for one, other in ((left, right), (right, left)):
        if pa.types.is_float32(one.type) and isinstance(other, pa.Scalar) and pa.types.is_float64(other.type):
            narrow = pc.cast(other, pa.float32(), safe=False)
            if math.isinf(narrow.as_py()) != math.isinf(other.as_py()):
                return left, right
            return (one, narrow) if one is left else (narrow, one)
    return left, right


def _wrong(text: str, node: ast.expr, message: str, *, hint: str | None = None) -> BadRelease:
    start = node.col_offset
    token = text.strip()[start : node.end_col_offset or start + 20]
    return _fault(text, f"{token!r}: {message}", hint=hint, column=start + 1, token=token)


def _fault(
    text: str, message: str, *, hint: str | None = None, column: int | None = None, token: str | None = None
) -> BadRelease:
    where = Where(
        name=f"expression {text.strip()[:80]!r}", line=1 if column else None, column=column, token=token
    )
    return BadRelease(message, hint=hint, where=where)
