"""release.toml: what it may say, and how mistakes in it are told."""

from pathlib import Path

import pytest

from skygate.errors import BadRelease
from skygate.release.recipe import ColumnRecipe, FixedColumn, KeyRecipe, LeaveOut, PositionRecipe
from skygate.release.recipe_file import read_recipe, recipe_of_files

FULL = '''
[release]
name = "survey_dr1"
title = "A survey"
description = """
Two lines,
name = "not a key"
"""
creators = ["A. Astronomer", "B. Astronomer"]
licence = "CC-BY-4.0"
citation = "Astronomer et al. 2026"
doi = "10.5281/zenodo.1234"
url = "https://survey.example/dr1"

[[table]]
name = "object"
files = ["raw/part-*.fits", "raw/extra.fits"]
inside = 1
description = "One row an object."
identifier = "id"
position = { ra = "RA_RAD", dec = "DE_RAD", format = "radians", frame = "FK5", epoch = 2000 }
nulls = ["N/A"]
notes = ["Positions are those of the reference epoch."]

[table.columns.g_mag]
source = "GMAG"
unit = "mag"
ucd = "phot.mag;em.opt.G"
description = "G magnitude"
nulls = [-999, 99.99]

[table.columns.colour]
derive = "bp - rp"

[table.columns.internal]
drop = true

[[table.leave_out]]
when = "id < 0"
because = "borrowed from another catalogue"

[[table]]
name = "stars"
files = "stars.dat"
position = false
fixed = [{ name = "id", bytes = "1-6", type = "int" }, { name = "flag", bytes = "8" }]

[[table]]
name = "binary"
files = "package:somewhere/stars.bin"
skip_bytes = 16

[table.records]
id = "<i8"
mag = "<f4"

[[key]]
source = "stars"
target = "object"
columns = { id = "id" }
description = "the star's object"
'''


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "release.toml"
    path.write_text(text)
    return path


def fault(tmp_path: Path, text: str) -> BadRelease:
    with pytest.raises(BadRelease) as caught:
        read_recipe(written(tmp_path, text))
    return caught.value


def test_everything_that_can_be_said_is_understood(tmp_path: Path) -> None:
    recipe = read_recipe(written(tmp_path, FULL))
    assert (recipe.name, recipe.title, recipe.licence) == ("survey_dr1", "A survey", "CC-BY-4.0")
    assert recipe.description.startswith("Two lines,")
    assert recipe.creators == ("A. Astronomer", "B. Astronomer")
    assert recipe.doi == "10.5281/zenodo.1234"
    assert recipe.base == str(tmp_path)
    assert recipe.text == FULL

    objects, stars, binary = recipe.tables
    assert objects.files == ("raw/part-*.fits", "raw/extra.fits")
    assert objects.inside == "1"
    assert objects.position == PositionRecipe("RA_RAD", "DE_RAD", "FK5", "radians", 2000.0)
    assert objects.nulls == ("N/A",)
    assert objects.column("g_mag") == ColumnRecipe(
        source="GMAG", unit="mag", ucd="phot.mag;em.opt.G", description="G magnitude", nulls=(-999, 99.99)
    )
    assert objects.column("colour") == ColumnRecipe(derive="bp - rp")
    assert objects.column("internal") == ColumnRecipe(drop=True)
    assert objects.leave_out == (LeaveOut("id < 0", "borrowed from another catalogue"),)

    assert stars.no_position
    assert stars.files == ("stars.dat",)
    assert stars.format == "fixed"
    assert stars.fixed == (FixedColumn("id", 1, 6, "int"), FixedColumn("flag", 8, 8))
    assert (binary.format, binary.skip_bytes) == ("records", 16)
    assert binary.records == (("id", "<i8"), ("mag", "<f4"))
    assert recipe.keys == (KeyRecipe("stars", "object", (("id", "id"),), "the star's object"),)


HEAD = '[release]\nname = "a_b"\ntitle = "T"\n'
TABLE = '[[table]]\nname = "t"\nfiles = "t.csv"\n'

MISTAKES = [
    (HEAD, "table", "is missing", "", None),
    (TABLE, "release", "is missing", "", None),
    ('[release]\nname = "x"\n' + TABLE, "release.title", "is missing", "One line for people", 1),
    (HEAD + "titel = 3\n" + TABLE, "release.titel", "no such key", "did you mean title?", 4),
    ('title = "X"\n' + HEAD + TABLE, "title", "no such key", "belongs under [release]", 1),
    (HEAD + TABLE + 'formt = "csv"\n', "table[t].formt", "no such key", "did you mean format?", 7),
    (HEAD + TABLE + 'format = "fit"\n', "table[t].format", '"fit" is not known', 'did you mean "fits"?', 7),
    (HEAD + TABLE + "header = 1\n", "table[t].header", "expected true or false", "first line", 7),
    (HEAD + TABLE + 'skip_bytes = "16"\n', "table[t].skip_bytes", "expected a whole number", "header", 7),
    (
        HEAD + '[[table]]\nname = "t"\nfiles = 3\n',
        "table[t].files",
        "expected text in quotes or a list",
        "",
        6,
    ),
    (HEAD + '[[table]]\nname = "t"\nfiles = []\n', "table[t].files", "", "Paths or globs", 6),
    (HEAD + TABLE + "position = true\n", "table[t].position", "true does not fit", "`false`", 7),
    (HEAD + TABLE + 'position = { ra = "a", dek = "d" }\n', "table[t].position.dec", "is missing", "", 7),
    (HEAD + TABLE + '[table.columns."2mass"]\nunit = "mag"\n', "columns.2mass", "t_2mass", "", 7),
    (
        HEAD + TABLE + '[table.columns.unit]\nunits = "mag"\n',
        "columns.unit.units",
        "no such key",
        "mean unit?",
        8,
    ),
    (HEAD + TABLE + '[table.columns.a]\ntype = "flaot"\n', "columns.a.type", "flaot", '"float"', 8),
    (HEAD + TABLE + "[table.columns.a]\n[table.columns.A]\n", "table[t]", "cannot tell apart", "", 4),
    (HEAD + TABLE + 'fixed = [{ name = "a", bytes = "9-3" }]\n', "fixed[a].bytes", "ends before", "", 7),
    (HEAD + TABLE + 'fixed = [{ name = "a", bytes = "x" }]\n', "fixed[a].bytes", "expected form", "CDS", 7),
    (HEAD + TABLE + 'format = "fixed"\n', "table[t]", "without fixed columns", "", 4),
    (HEAD + TABLE + 'records = { a = "<f3" }\n', "table[t].records", "not a NumPy type", "", 7),
    (HEAD + TABLE + "only_listed = true\n", "table[t]", "lists none", "", 4),
    (HEAD + TABLE + TABLE, "", "two tables are named t", "", None),
    ('[release]\nname = "select"\ntitle = "T"\n' + TABLE, "release.name", "reserved word", "schema", 2),
    ('[release]\nname = "TAP_schema"\ntitle = "T"\n' + TABLE, "release.name", "for itself", "", 2),
    ('[release]\nname = "DR-1"\ntitle = "T"\n' + TABLE, "release.name", "dr_1", "", 2),
    (HEAD + 'doi = "https://doi.org/10.1/x"\n' + TABLE, "release.doi", "expected form", "10.5281", 4),
    (
        HEAD + TABLE + '[[key]]\nsource = "t"\ntarget = "tt"\ncolumns = { a = "b" }\n',
        "key[1].target",
        "no table tt",
        "did you mean t?",
        9,
    ),
    (
        HEAD + TABLE + "[table.columns.a]\nsource = 'x'\nderive = 'y'\n",
        "columns.a",
        "both source and derive",
        "",
        7,
    ),
]


@pytest.mark.parametrize(("text", "key", "message", "hint", "line"), MISTAKES)
def test_a_mistake_is_told_with_its_key_and_line_and_what_to_do(
    tmp_path: Path, text: str, key: str, message: str, hint: str, line: int | None
) -> None:
    found = fault(tmp_path, text)
    assert key in found.message
    assert message in found.message
    assert hint in (found.hint or "")
    assert found.where is not None
    assert found.where.name == str(tmp_path / "release.toml")
    assert found.where.line == line


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    found = fault(tmp_path, HEAD + "titel = 3\n" + TABLE + "formt = 1\n")
    assert "also wrong: table[t].formt" in (found.hint or "")


def test_text_that_is_no_toml_is_told_at_its_line(tmp_path: Path) -> None:
    found = fault(tmp_path, '[release]\nname = "x\n')
    assert found.where is not None
    assert (found.where.line, found.where.column) == (2, 10)
    assert "is not TOML" in found.message


def test_files_that_cannot_be_read_are_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(BadRelease, match="cannot be read: No such file"):
        read_recipe(tmp_path / "nowhere.toml")
    with pytest.raises(BadRelease, match="is a directory"):
        read_recipe(tmp_path)
    (tmp_path / "data.fits").write_bytes(b"SIMPLE  =\xff\xfe\x00")
    with pytest.raises(BadRelease, match="is not UTF-8"):
        read_recipe(tmp_path / "data.fits")


def test_a_release_of_files_has_a_table_for_each(tmp_path: Path) -> None:
    recipe = recipe_of_files("mine", [tmp_path / "My Stars.fits.gz", tmp_path / "2mass.csv", "select.vot"])
    assert [t.name for t in recipe.tables] == ["my_stars", "t_2mass", "select_1"]
    assert recipe.tables[0].files == (str(tmp_path / "My Stars.fits.gz"),)
    # what was made for the manager can be read back
    again = read_recipe(written(tmp_path, recipe.text))
    assert [(t.name, t.files) for t in again.tables] == [(t.name, t.files) for t in recipe.tables]


def test_a_release_of_files_refuses_what_queries_cannot_name(tmp_path: Path) -> None:
    with pytest.raises(BadRelease, match="both become table stars"):
        recipe_of_files("mine", ["a/stars.csv", "b/stars.fits"])
    with pytest.raises(BadRelease, match="cannot be a release's name"):
        recipe_of_files("my-release", ["a.csv"])
    with pytest.raises(BadRelease, match="no files"):
        recipe_of_files("mine", [])
