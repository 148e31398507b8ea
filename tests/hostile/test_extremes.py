"""Functions and operators with values at the ends of their types: an answer or a refusal, never a fault."""

import random

import pytest

import skygate
from releases_made import make_release
from skygate.adql.function import Function, Use
from skygate.adql.functions import FUNCTIONS
from skygate.errors import HouseError, SkygateError

NUMBERS = (
    *(
        "0",
        "-1",
        "2147483648",
        "-2147483649",
        "9223372036854775807",
        "-9223372036854775808",
        "1e308",
        "-1e308",
    ),
    *("9999999999999999999999", "1e-320", "0.5", "ra", "id", "mag_g", "NULL", "ra * 1e300", "-0.0", "n_obs"),
)
TEXTS = (
    *("''", "'x'", "'%'", "NULL", "'99999-01-01'", "'infinity'", "'2020-02-30T25:61:61'", f"'{'a' * 5000}'"),
    *(
        "name",
        "'é\u0301\U0001f600'",
        "'10:20:30'",
        "'deg'",
        "'10**99deg'",
        "'second'",
        "'Circle ICRS 1 2 3'",
        "'\t'",
    ),
)
SHAPES = (
    *("POINT(ra, dec)", "POINT(1, 91)", "CIRCLE(ra, dec, 1)", "CIRCLE(0, 0, -1)", "CIRCLE(0, 0, 1e308)"),
    *("BOX(0, 0, 400, 1)", "POLYGON(0, 0, 1, 1, 0, 1)", "POLYGON(0, 0, 0, 0, 0, 0)", "POINT(NULL, 1)"),
    *("CIRCLE(ra, dec, id)", "REGION('circle 1 2 3')", "REGION('x')", "POINT(1e308, 0)"),
)
TYPES = ("INTEGER", "BIGINT", "SMALLINT", "REAL", "DOUBLE PRECISION", "TIMESTAMP", "VARCHAR(3)", "CHAR(1)")
OF_TEXT = {"VARCHAR", "CHAR", "TIMESTAMP", "LITERAL"}
OF_SHAPE = {"REGION", "GEOMETRY", "POINT", "CIRCLE", "POLYGON", "BOX"}


def value(rng: random.Random, kind: str = "ANY") -> str:
    if kind == "ANY" or rng.random() < 0.08:
        return rng.choice(rng.choice([NUMBERS, NUMBERS, TEXTS, SHAPES]))
    return rng.choice(TEXTS if kind in OF_TEXT else SHAPES if kind in OF_SHAPE else NUMBERS)


def call(rng: random.Random, function: Function) -> str:
    arguments: list[str] = []
    for argument in function.arguments:
        if argument.optional and rng.random() < 0.4:
            break
        times = rng.choice([1, 2, 3]) if argument.repeated else 1
        arguments += [value(rng, argument.type) for _ in range(times)]
    said = f"{function.name}({', '.join(arguments)})"
    over = function.use is Use.WINDOW or (function.use is Use.AGGREGATE and rng.random() < 0.2)
    return said + rng.choice([" OVER (ORDER BY ra)", " OVER ()", " OVER (PARTITION BY id)"]) if over else said


def expression(rng: random.Random) -> str:
    chance = rng.random()
    if chance < 0.15:
        return f"CAST({value(rng)} AS {rng.choice(TYPES)})"
    if chance < 0.3:
        return f"({value(rng)} {rng.choice(['+', '-', '*', '/', '||'])} {value(rng)})"
    return call(rng, rng.choice(FUNCTIONS))


def query(rng: random.Random) -> str:
    said = expression(rng)
    tests = ("=", "<", ">=", "LIKE", "<>")
    ending = rng.choice(
        [
            "",
            "",
            f" WHERE {value(rng)} {rng.choice(tests)} {value(rng)}",
            f" ORDER BY {said}",
            f" GROUP BY {value(rng)}",
            " GROUP BY c",
        ]
    )
    return f"SELECT TOP 2 {said} AS c FROM stars{ending}"


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    make_release(root, rows=500)
    with skygate.connect(root) as gate:
        yield gate


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(s, marks=pytest.mark.soak) for s in range(4, 24))]
)
def test_extreme_values(gate, seed):
    rng = random.Random(seed)
    answered = 0
    for _ in range(250):
        text = query(rng)
        try:
            gate.query(text).to_arrow()
        except HouseError as fault:
            pytest.fail(f"{text}\n{fault}")
        except SkygateError:
            continue
        answered += 1
    assert answered > 40
