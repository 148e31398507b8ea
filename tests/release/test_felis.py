"""Felis YAML as part of a recipe."""

from pathlib import Path

import pytest

from skygate.errors import BadRelease
from skygate.release.felis import read_felis
from skygate.release.recipe import KeyRecipe
from skygate.release.recipe_file import read_recipe

FELIS = """
---
name: dp_test
"@id": "#dp_test"
description: A data preview, described in Felis.
version:
  current: "1.0.0"
tables:
- name: Object
  "@id": "#Object"
  description: Measurements of astrophysical objects.
  primaryKey: "#Object.objectId"
  mysql:engine: MyISAM
  tap:table_index: 1
  columns:
  - name: coord_dec
    "@id": "#Object.coord_dec"
    datatype: double
    description: Fiducial ICRS Declination of centroid.
    mysql:datatype: DOUBLE
    fits:tunit: deg
    ivoa:ucd: pos.eq.dec;meta.main
    tap:column_index: 30
  - name: objectId
    "@id": "#Object.objectId"
    datatype: long
    nullable: false
    description: >-
      Unique id.
      Unique ObjectID.
    ivoa:ucd: meta.id;meta.main
    tap:principal: 1
    tap:column_index: 10
  - name: coord_ra
    "@id": "#Object.coord_ra"
    datatype: double
    description: Fiducial ICRS Right Ascension of centroid.
    ivoa:unit: deg
    ivoa:ucd: pos.eq.ra;meta.main
    tap:principal: 1
    tap:column_index: 20
  - name: refBand
    "@id": "#Object.refBand"
    datatype: char
    length: 1
    description: Name of the reference band.
    tap:principal: 0
    tap:column_index: 40
- name: Source
  "@id": "#Source"
  description: Detections on single visits.
  primaryKey: ["#Source.sourceId", "#Source.visit"]
  columns:
  - name: sourceId
    "@id": "#Source.sourceId"
    datatype: long
    description: Unique id.
  - name: visit
    "@id": "#Source.visit"
    datatype: long
    description: Visit.
  - name: objectId
    "@id": "#Source.objectId"
    datatype: long
    description: The object that it belongs to.
  - name: midpoint
    "@id": "#Source.midpoint"
    datatype: timestamp
    description: Middle of the exposure.
  constraints:
  - name: fk_Source_Object
    "@type": ForeignKey
    "@id": "#FK_Source_Object"
    description: Link Source to its Object
    columns: ["#Source.objectId"]
    referencedColumns: ["#Object.objectId"]
  - name: check_visit
    "@type": Check
    "@id": "#CK"
    expression: visit > 0
- name: Unpublished
  "@id": "#Unpublished"
  columns:
  - name: id
    "@id": "#Unpublished.id"
    datatype: int
"""

TOML = """
[release]
name = "dp"
title = "Preview"
felis = "schema.yaml"

[[table]]
name = "object"
files = ["object.parquet"]

[table.columns.coord_ra]
unit = "rad"

[table.columns.extra]
description = "Not in Felis."

[[table]]
name = "source"
files = ["source-*.parquet"]
description = "Our own words."
"""


def prepare(tmp_path: Path, felis: str = FELIS, toml: str = TOML) -> Path:
    (tmp_path / "schema.yaml").write_text(felis)
    (tmp_path / "release.toml").write_text(toml)
    return tmp_path / "release.toml"


def test_felis_fills_what_release_toml_does_not_say(tmp_path: Path) -> None:
    recipe = read_recipe(prepare(tmp_path))
    assert recipe.description == "A data preview, described in Felis."
    objects, source = recipe.tables
    assert objects.description == "Measurements of astrophysical objects."
    assert objects.identifier == "objectId"
    assert [name for name, _ in objects.columns] == ["objectId", "coord_ra", "coord_dec", "refBand", "extra"]
    ra = objects.column("coord_ra")
    assert ra is not None
    assert (ra.unit, ra.type, ra.ucd, ra.principal) == ("rad", "double", "pos.eq.ra;meta.main", True)
    band = objects.column("refBand")
    assert band is not None
    assert (band.type, band.principal) == ("string", False)
    identifier = objects.column("objectId")
    assert identifier is not None
    assert identifier.description == "Unique id. Unique ObjectID."
    assert source.description == "Our own words."
    assert source.identifier is None
    midpoint = source.column("midpoint")
    assert midpoint is not None
    assert midpoint.type == "timestamp"
    assert recipe.keys == (
        KeyRecipe("source", "object", (("objectId", "objectId"),), "Link Source to its Object"),
    )


def test_newer_spelling_without_at_signs_and_ids_is_read(tmp_path: Path) -> None:
    text = FELIS.replace('"@id"', "id").replace('"@type"', "type")
    assert read_felis(Path(prepare(tmp_path, text)).parent / "schema.yaml").keys[0].target == "Object"


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("datatype: double", "datatype: duoble", "'duoble' is no Felis datatype", "did you mean double?"),
        ("name: coord_dec", "nam: coord_dec", "columns[1] has no name", "where it says nam"),
        (
            'primaryKey: "#Object.objectId"',
            'primaryKey: "#Object.objectid"',
            "no column #Object.objectid",
            "did",
        ),
        ("name: coord_ra", 'name: "coord ra"', "letters, digits and underscores", ""),
        ("tables:", "table:", "schema has no tables", "where it says table"),
        ("referencedColumns: [", 'referencedColumns: ["#Object.coord_ra", ', "1 columns refer to 2", ""),
        ("- name: Object\n", "- name: Thing\n  columns: 3\n- name: Object\n", "columns is not a list", ""),
        ("---", "--- {", "is not YAML", ""),
    ],
)
def test_a_mistake_in_felis_is_told(tmp_path: Path, old: str, new: str, message: str, hint: str) -> None:
    path = prepare(tmp_path, FELIS.replace(old, new, 1))
    with pytest.raises(BadRelease) as caught:
        read_recipe(path)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert caught.value.where is not None
    assert caught.value.where.name == str(tmp_path / "schema.yaml")


def test_felis_of_another_release_is_refused(tmp_path: Path) -> None:
    toml = TOML.replace('name = "object"', 'name = "a"').replace('name = "source"', 'name = "b"')
    with pytest.raises(BadRelease, match="is a table of the release"):
        read_recipe(prepare(tmp_path, toml=toml))
    (tmp_path / "schema.yaml").unlink()
    with pytest.raises(BadRelease, match="cannot be read"):
        read_recipe(tmp_path / "release.toml")


def test_yaml_cannot_make_objects(tmp_path: Path) -> None:
    path = prepare(tmp_path, "!!python/object/apply:os.getcwd []")
    with pytest.raises(BadRelease, match="is not YAML"):
        read_recipe(path)
