"""Functions of other dialects: the refusal says what to use."""

import pytest

from skygate.adql.functions import INSTEAD, by_name
from skygate.errors import BadQuery


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        ("SUBSTRING('abc', 1, 2)", "LIKE"),
        ("left('abc', 2)", "LIKE"),
        ("CHAR_LENGTH('abc')", "LIKE"),
        ("CONCAT('a', 'b')", "||"),
        ("POW(2, 3)", "POWER"),
        ("LN(2)", "LOG"),
        ("NVL(x, 1)", "COALESCE"),
    ],
)
def test_what_to_use_instead(world, call, hint):
    with pytest.raises(BadQuery, match="no function") as caught:
        world.compile(f"SELECT {call} FROM stars")
    assert hint in caught.value.hint


def test_none_of_them_is_one_of_ours():
    assert not set(INSTEAD) & set(by_name())
