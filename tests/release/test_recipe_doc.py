"""The reference page and the schema of release.toml are what the code says."""

import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from skygate.release.recipe_doc import PAGE, SCHEMA, page, schema_text
from skygate.release.recipe_file import read_recipe, recipe_schema

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize(("name", "text"), [(PAGE, page()), (SCHEMA, schema_text())])
def test_the_committed_files_are_up_to_date(name: str, text: str) -> None:
    assert (REFERENCE / name).read_text(encoding="utf-8") == text, "run `make docs`"


def test_the_example_of_the_page_is_valid(tmp_path: Path) -> None:
    example = page().split("```toml\n")[1].split("```")[0]
    (tmp_path / "release.toml").write_text(example)
    recipe = read_recipe(tmp_path / "release.toml")
    assert recipe.tables[0].leave_out[0].because == "test sources"
    jsonschema.validate(tomllib.loads(example), recipe_schema())


def test_every_key_has_a_sentence() -> None:
    for part in recipe_schema()["$defs"].values():
        for key, item in part["properties"].items():
            assert item.get("description", "").endswith((".", "?")), key


TABLE: dict[str, Any] = {"name": "t", "files": ["t.csv"]}
GOOD: dict[str, Any] = {"release": {"name": "r", "title": "R"}, "table": [TABLE]}
WRONG: list[dict[str, Any]] = [
    {"table": [TABLE]},
    {**GOOD, "table": []},
    {**GOOD, "tables": []},
    {**GOOD, "table": [{**TABLE, "files": []}]},
    {**GOOD, "table": [{**TABLE, "format": "fit"}]},
    {**GOOD, "table": [{**TABLE, "position": True}]},
    {**GOOD, "table": [{**TABLE, "columns": {"a": {"units": "mag"}}}]},
    {**GOOD, "release": {"name": "r", "title": "R", "doi": "https://doi.org/10.1/x"}},
]


def test_the_schema_is_a_schema_and_judges_as_the_reader_does() -> None:
    schema = recipe_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    judge = jsonschema.Draft202012Validator(schema)
    assert judge.is_valid(GOOD)
    for data in WRONG:
        assert not judge.is_valid(data), data
