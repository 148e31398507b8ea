from pathlib import Path

from skygate.adql.functions import FUNCTIONS
from skygate.adql.reference import reference_page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "adql.md"


def test_the_page_is_what_the_code_says():
    assert PAGE.read_text(encoding="utf-8") == reference_page(), "run `make docs`"


def test_every_function_stands_on_the_page_once():
    lines = [line for line in reference_page().splitlines() if line.startswith("| `")]
    assert len(lines) == len(FUNCTIONS)
