"""Long lists after IN are asked in another way, and mean the same."""

import pytest

from skygate.adql.lists import LONG

MANY = ", ".join(str(i) for i in [-1, *range(3, LONG + 5), 9223372036854775807, -9223372036854775808])


@pytest.mark.parametrize(
    "condition",
    [
        "id IN ({})",
        "id NOT IN ({})",
        "NOT (id IN ({}))",
        "id > 1 AND (id IN ({}) AND id < 6)",
        "id IN ({}) OR id = 2",
        "CASE WHEN id IN ({}) THEN 1 ELSE 0 END = 1",
        "n IN ({})",
        "n NOT IN ({})",
        "ra IN ({})",
    ],
)
def test_long_lists_mean_what_short_ones_do(world, condition):
    found = world.rows("SELECT id FROM stars WHERE " + condition.format(MANY))
    # the same through tests that no engine takes for a list
    parts = MANY.split(", ")
    left = "n" if condition.startswith("n ") else "ra" if condition.startswith("ra") else "id"
    halves = [parts[i : i + LONG // 2] for i in range(0, len(parts), LONG // 2)]
    negated = f"{left} NOT IN" in condition
    word, joint = ("NOT IN", " AND ") if negated else ("IN", " OR ")
    short = "(" + joint.join(f"{left} {word} ({', '.join(h)})" for h in halves) + ")"
    same = condition.replace(f"{left} {word} ({{}})", short)
    assert sorted(found) == sorted(world.rows("SELECT id FROM stars WHERE " + same))
    assert found or "= 1" in condition or negated or condition.startswith("ra")


def test_a_long_list_is_one_text(world):
    text = world.text(world.compile(f"SELECT id FROM stars WHERE id IN ({MANY})"))
    assert "STRING_SPLIT" in text
    short = ", ".join(map(str, range(LONG)))
    assert "STRING_SPLIT" not in world.text(world.compile(f"SELECT id FROM stars WHERE id IN ({short})"))
