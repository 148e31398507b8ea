"""The how-to guide for data managers says what works."""

import re
from pathlib import Path

from skygate.release.recipe_file import read_recipe

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "publish.md"


def test_the_release_of_the_guide_is_valid(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    (tmp_path / "release.toml").write_text(example)
    recipe = read_recipe(tmp_path / "release.toml")
    assert [t.name for t in recipe.tables] == ["stars", "spectra"]
    assert recipe.keys[0].columns == (("star_id", "id"),)


def test_links_of_the_guide_lead_to_files() -> None:
    for link in re.findall(r"\]\(([^)#]+)", GUIDE.read_text()):
        assert (GUIDE.parent / link).exists(), link
