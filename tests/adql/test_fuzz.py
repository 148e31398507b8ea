"""Whatever the text, the answer is a plan or a refusal with a message."""

from __future__ import annotations

import random
import re
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skygate.adql.functions import by_name
from skygate.errors import BadQuery


def split(text: str) -> list[str]:
    return text.split()


WORDS = [
    *split(
        "SELECT FROM WHERE GROUP BY HAVING ORDER OFFSET TOP DISTINCT ALL AS JOIN LEFT RIGHT FULL OUTER INNER"
    ),
    *split("NATURAL CROSS USING ON AND OR NOT IN EXISTS BETWEEN LIKE ILIKE IS NULL CASE WHEN THEN ELSE END"),
    *split("CAST UNION EXCEPT INTERSECT WITH LIMIT TABLESAMPLE OVER PARTITION ROWS DESC ASC TRUE FALSE"),
    *split("INTEGER stars pairs notes sky id ra dec mag n k big name seen good x star weight s q"),
    *split("( ) , . ; + - * / = <> < > <= >= || 1 0 2.5 1e3 'a' '' '2000-01-01' -- :: [ ] ? %"),
    *sorted(by_name()),
    '"id"',
    '"Mixed Case"',
    "\n",
    "é",
    "\0",
]
SEEDS = [
    block.strip().split("\n")[0]
    for path in sorted((Path(__file__).parent / "cases").glob("*.txt"))
    if path.stem != "refusals"
    for block in path.read_text().split("\n\n")
    if block.strip() and not block.strip().startswith("#")
]
FUZZ = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def answered(world, query: str) -> None:
    """Compile; a fault must point into the text, a plan must be one SELECT that DuckDB can bind."""
    fault: BadQuery | None = None
    try:
        plan = world.compile(query)
    except BadQuery as refused:
        fault = refused
    if fault is not None:
        place = fault.where
        assert fault.message
        assert place is None or place.start is None or 0 <= place.start <= len(query)
        return
    text = world.text(plan)
    (statement,) = world.connection.extract_statements(text)
    assert statement.type == duckdb.StatementType.SELECT
    try:
        world.connection.execute("EXPLAIN " + text)
    except duckdb.Error as refused:
        pytest.fail(f"{query!r} became {text!r}, which DuckDB refuses: {refused}")


@FUZZ
@given(st.lists(st.sampled_from(WORDS), max_size=30))
def test_soups_of_words(world, words) -> None:
    answered(world, " ".join(words))
    answered(world, "SELECT " + " ".join(words) + " FROM stars")


@FUZZ
@given(st.text(max_size=80))
def test_any_text(world, text) -> None:
    answered(world, text)
    answered(world, f"SELECT {text} FROM stars")


@FUZZ
@given(st.sampled_from(SEEDS), st.integers(0, 2**32), st.integers(1, 3))
def test_queries_that_were_changed(world, query, seed, changes) -> None:
    chance = random.Random(seed)
    tokens = re.findall(r"\w+|'[^']*'|\"[^\"]*\"|\s+|.", query)
    for _ in range(changes):
        i = chance.randrange(len(tokens))
        change = chance.randrange(4)
        if change == 0:
            del tokens[i]
        elif change == 1:
            tokens[i] = chance.choice(WORDS)
        elif change == 2:
            tokens.insert(i, " " + chance.choice(WORDS) + " ")
        else:
            j = chance.randrange(len(tokens))
            tokens[i], tokens[j] = tokens[j], tokens[i]
        if not tokens:
            break
    answered(world, "".join(tokens))
