"""The language of derive, null_when and leave_out: one line in, one value out."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest

from skygate.errors import BadRelease
from skygate.release.expression import parse

COLUMNS = {
    "a": pa.array([1, None, -3]),
    "x": pa.array([0.5, float("nan"), None]),
    "t": pa.array(["x", None, " Zed "]),
    "B-V": pa.array([0.5, 1.0, None]),
    "yes": pa.array([True, None, False]),
    "u": pa.array([1, 2, 3], pa.uint64()),
}


def value(text: str) -> list[object]:
    return parse(text).evaluate(COLUMNS.__getitem__, 3).to_pylist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + 1", [2, None, -2]),
        ("-a", [-1, None, 3]),
        ("2 * a - 1", [1, None, -7]),
        ("7 / 2", [3.5] * 3),
        ("a / 0", [None] * 3),
        ("a // 2", [0.0, None, -2.0]),
        ("a % 2", [1, None, 1]),
        ("mod(a, 0)", [None] * 3),
        ("a ** 2", [1.0, None, 9.0]),
        ("`B-V` * 2 + a", [2.0, None, None]),
        ("a < 0", [False, None, True]),
        ("0 <= a <= 5", [True, None, False]),
        ("not a < 0", [True, None, False]),
        ("yes or a < 0", [True, None, True]),
        ("a == 1 and t == 'x'", [True, None, False]),
        ("is_null(a)", [False, True, False]),
        ("a == null", [None] * 3),
        ("a in (1, 2)", [True, None, False]),
        ("a not in (1, -3)", [False, None, False]),
        ("t in ('x', 'y')", [True, None, False]),
        ("a in ()", [False] * 3),
        ("x != x", [False, True, None]),
        ("coalesce(a, 0)", [1, 0, -3]),
        ("where(a > 0, a, null)", [1, None, None]),
        ("where(a > 0, 'pos', 'other')", ["pos", "other", "other"]),
        ("abs(a)", [1, None, 3]),
        ("sqrt(a)", [1.0, None, None]),
        ("log10(a)", [0.0, None, None]),
        ("ln(exp(1))", [1.0] * 3),
        ("round(degrees(radians(a)), 9)", [1.0, None, -3.0]),
        ("floor(-1.5)", [-2.0] * 3),
        ("ceil(-1.5)", [-1.0] * 3),
        ("least(a, 0)", [0, None, -3]),
        ("lower(trim(t))", ["x", None, "zed"]),
        ("upper(t)", ["X", None, " ZED "]),
        ("substring('abcdef', 2, 3)", ["bcd"] * 3),
        ("concat(t, '-', a)", ["x-1", None, " Zed --3"]),
        ("starts_with(t, 'x')", [True, None, False]),
        ("contains(t, 'Z')", [False, None, True]),
        ("replace('a.b', '.', '-')", ["a-b"] * 3),
        ("number('1.5e3')", [1500.0] * 3),
        ("number(t)", [None] * 3),
        ("text(a)", ["1", None, "-3"]),
        ("length(t)", [1, None, 5]),
        ("null", [None] * 3),
        (" a\n", [1, None, -3]),
    ],
)
def test_values(text: str, expected: list[object]) -> None:
    assert value(text) == expected


def test_angles_are_radians_unless_named() -> None:
    assert value("sin(radians(30))")[0] == pytest.approx(0.5)
    assert value("degrees(atan2(1, 1))")[0] == pytest.approx(45)
    assert value("cos(0)")[0] == math.cos(0)


def test_a_condition_holds_only_where_it_is_true() -> None:
    assert parse("a < 0").holds(COLUMNS.__getitem__, 3).to_pylist() == [False, False, True]
    assert parse("null").holds(COLUMNS.__getitem__, 3).to_pylist() == [False] * 3
    with pytest.raises(BadRelease, match="is no condition"):
        parse("a + 1").holds(COLUMNS.__getitem__, 3)


def test_names_are_told_once_and_in_order() -> None:
    assert parse("`B-V` + a * a - sqrt(x)").names == ("B-V", "a", "x")


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("a.real", "a.real"),
        ("__import__('os')", "__import__('os')"),
        ("a[0]", "a[0]"),
        ("lambda: 1", "lambda: 1"),
        ("[q for q in a]", "[q for q in a]"),
        ("a if a else 1", "a if a else 1"),
        ("f'{a}'", "f'{a}'"),
        ("1 + nothing(a)", "nothing(a)"),
        ("log10(a, 2)", "log10(a, 2)"),
        ("abs(x=a)", "abs(x=a)"),
        ("a in t", "t"),
        ("a in (1, t)", "t"),
        ("_divide(a, 2)", "_divide(a, 2)"),
        ("b'x'", "b'x'"),
        ("1j", "1j"),
        ("a @ a", "a @ a"),
        ("...", "..."),
    ],
)
def test_what_is_not_in_the_language_is_refused_with_its_token(text: str, token: str) -> None:
    with pytest.raises(BadRelease) as caught:
        parse(text)
    assert caught.value.where is not None
    assert caught.value.where.token == token
    assert caught.value.where.column == text.index(token) + 1


@pytest.mark.parametrize(
    "text", ["", "a +", "a; a", "a = 1", "(" * 300 + "a" + ")" * 300, "a" * 20_000, "a\0"]
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(BadRelease):
        parse(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("t + 1", "a text and a int64"),
        ("t < 1", "a text and a int64"),
        ("sqrt(t)", "cannot be calculated"),
        ("9223372036854775807 + a", "overflow"),
        ("lower(a)", "cannot be calculated"),
        ("not a", "cannot be calculated"),
        ("substring(t, a)", "must be a constant"),
        ("99999999999999999999 + a", "cannot be calculated"),
    ],
)
def test_what_cannot_be_calculated_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadRelease, match=said):
        value(text)
