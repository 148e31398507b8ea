"""Names, units, UCDs, positions and identifiers: from the recipe, the file, the name, the values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from skygate.domain.catalog import Column, Datatype, Table
from skygate.errors import BadRelease
from skygate.release.coordinates import frame_name, to_icrs
from skygate.release.describe import describe_table
from skygate.release.names import BANDS, RULES, told_by_name
from skygate.release.read import open_files
from skygate.release.read.numeric import raw_column
from skygate.release.recipe import ColumnRecipe, PositionRecipe, TableRecipe
from skygate.release.ucds import normal_ucd, ucd_problem
from skygate.release.units import normal_unit, unit_problem


def described(
    values: Mapping[str, object],
    *,
    known: Mapping[str, Mapping[str, str]] | None = None,
    metadata: Mapping[str, str] | None = None,
    **said: object,
) -> Table:
    table = pa.table(dict(values))
    columns = tuple(replace(raw_column(f), **(known or {}).get(f.name, {})) for f in table.schema)  # type: ignore[arg-type]
    recipe = TableRecipe(**({"name": "stars", "files": ("x",)} | said))  # type: ignore[arg-type]
    return describe_table("demo", recipe, columns, table, metadata or {})


def column(table: Table, name: str) -> Column:
    found = table.column(name)
    assert found is not None, [c.name for c in table.columns]
    return found


def mains(table: Table) -> dict[str, list[str]]:
    words = ("pos.eq.ra;meta.main", "pos.eq.dec;meta.main", "meta.id;meta.main")
    return {w: [c.name for c in table.columns if c.ucd == w] for w in words}


def test_names_become_regular_and_different() -> None:
    table = described({"B-Mag": [1.0], "b_mag": [1.0], "2MASS": ["x"], "RA (deg)": [1.0], "λ": [1.0]})
    assert [c.name for c in table.columns] == ["b_mag", "b_mag_2", "c_2mass", "ra_deg", "lambda"]
    assert column(table, "b_mag").source_name == "B-Mag"
    assert column(table, "b_mag_2").inferred["name"] == "b_mag is taken"


def test_the_recipe_comes_first_then_the_file_then_the_name() -> None:
    table = described(
        {"Vmag": [1.0], "pmRA": [1.0], "plx": [1.0], "other": [1.0]},
        known={"pmRA": {"unit": "mas/yr", "ucd": "pos.pm", "description": "a motion"}},
        columns=(
            ("v", ColumnRecipe(source="Vmag", unit="mag", ucd="phot.mag", description="V", type="float")),
        ),
    )
    v = column(table, "v")
    assert (v.datatype, v.unit, v.ucd, v.description, v.source_name) == (
        Datatype.FLOAT,
        "mag",
        "phot.mag",
        "V",
        "Vmag",
    )
    assert set(v.inferred.values()) == {"recipe"}
    motion = column(table, "pmra")
    assert (motion.unit, motion.ucd, motion.inferred["ucd"]) == ("mas/yr", "pos.pm", "file")
    assert column(table, "plx").ucd == "pos.parallax.trig"
    assert column(table, "plx").inferred["ucd"] == "name rule: Parallax"
    other = column(table, "other")
    assert (other.ucd, other.unit, other.description) == (None, None, "")


def test_every_rule_gives_a_ucd_of_the_standard() -> None:
    for rule in RULES:
        for band in BANDS.values():
            assert ucd_problem(rule.ucd.replace("{band}", band)) is None, rule


@pytest.mark.parametrize(
    ("name", "ucd"),
    [
        ("ra", "pos.eq.ra"),
        ("phot_g_mean_mag", "phot.mag;em.opt.B"),
        ("mag_auto_r", "phot.mag;em.opt.R"),
        ("e_plx", "stat.error;pos.parallax.trig"),
        ("b_v", "phot.color"),
        ("hpmag", "phot.mag;em.opt.V"),
        ("pmra_error", "stat.error;pos.pm;pos.eq.ra"),
        ("redshift", "src.redshift"),
        ("coadd_object_id", "meta.id"),
        ("nothing_of_note_here", None),
        ("l", None),
    ],
)
def test_names_tell(name: str, ucd: str | None) -> None:
    told = told_by_name(name)
    assert (told.ucd if told else None) == ucd


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("deg", "deg"), ("mas/yr", "mas/yr"), ("km s-1", "km.s**-1"), ("[mJy]", "log(mJy)"),
        ("arcs", "arcsec"),
        ("degrees", "deg"), ("---", None), ("", None), (None, None), ("Msun", "solMass"), ("%", "%"),
        ("1", None),
        ('"h:m:s"', '"h:m:s"'), ("erg/s/cm^2", "erg.s**-1.cm**-2"),
    ],
)  # fmt: skip
def test_units_become_vounits(text: str | None, unit: str | None) -> None:
    assert normal_unit(text) == (unit, None)


def test_what_is_no_unit_or_ucd_is_kept_and_said() -> None:
    assert "no unit" in str(unit_problem("furlongs per fortnight"))
    assert unit_problem("mag") is None
    assert normal_ucd("POS_EQ_RA_MAIN") == ("pos.eq.ra;meta.main", None)
    table = described({"a": [1.0]}, known={"a": {"unit": "blub", "ucd": "foo.bar"}})
    a = column(table, "a")
    assert (a.unit, a.ucd) == ("blub", "foo.bar")
    assert "no unit of VOUnits, kept" in a.inferred["unit"]
    assert "foo.bar" in a.inferred["ucd"]


@pytest.mark.parametrize(
    ("names", "ra"),
    [
        (("ra", "dec"), "ra"), (("RAJ2000", "DEJ2000"), "raj2000"), (("RA_ICRS", "DE_ICRS"), "ra_icrs"),
        (("ALPHA_J2000", "DELTA_J2000"), "alpha_j2000"), (("_RAJ2000", "_DEJ2000"), "raj2000"),
        (("ra_cent", "dec_cent"), "ra_cent"), (("mean_ra", "mean_dec"), "mean_ra"),
        (("RAdeg", "DEdeg"), "radeg"),
    ],
)  # fmt: skip
def test_positions_are_found_by_names(names: tuple[str, str], ra: str) -> None:
    table = described({"pmra": [1.0], "pmdec": [1.0], names[0]: [10.0], names[1]: [20.0]})
    assert table.position is not None
    assert (table.position.ra, table.position.source_format) == (ra, "degrees")
    assert column(table, ra).unit == "deg"
    assert mains(table)["pos.eq.ra;meta.main"] == [ra]


def test_a_main_ucd_beats_names_and_stays_alone() -> None:
    table = described(
        {"ra": [1.0], "dec": [1.0], "x": [2.0], "y": [2.0], "x2": [3.0], "y2": [3.0]},
        known={
            "x": {"ucd": "pos.eq.ra;meta.main"},
            "y": {"ucd": "pos.eq.dec;meta.main"},
            "x2": {"ucd": "pos.eq.ra;meta.main"},
            "y2": {"ucd": "pos.eq.dec;meta.main"},
        },
    )
    assert table.position is not None
    assert (table.position.ra, table.position.dec) == ("x", "y")
    assert mains(table) == {
        "pos.eq.ra;meta.main": ["x"],
        "pos.eq.dec;meta.main": ["y"],
        "meta.id;meta.main": [],
    }
    assert column(table, "x2").ucd == "pos.eq.ra"


def test_radians_are_converted_and_the_originals_kept() -> None:
    values = {"id": [1], "ra": [1.0], "dec": [0.5]}
    table = described(values, known={"ra": {"unit": "rad"}, "dec": {"unit": "rad"}})
    assert [c.name for c in table.columns] == ["id", "ra", "dec", "ra_orig", "dec_orig"]
    assert table.position is not None
    assert table.position.source_columns == ("ra_orig", "dec_orig")
    assert (table.position.source_format, column(table, "ra_orig").unit) == ("radians", "rad")
    assert mains(table)["pos.eq.ra;meta.main"] == ["ra"]
    assert "converted from ra dec (radians" in table.notes[0]


def test_only_listed_columns_are_published_and_the_position_still_found() -> None:
    table = described(
        {"RArad": [1.0], "DErad": [0.5], "HIP": [7], "rest": [1]},
        only_listed=True,
        position=PositionRecipe("RArad", "DErad", format="radians", epoch=1991.25),
        columns=(
            ("hip", ColumnRecipe(source="HIP")),
            ("ra", ColumnRecipe(description="where")),
            ("dec", ColumnRecipe()),
        ),
    )
    assert [c.name for c in table.columns] == ["hip", "ra", "dec"]
    assert column(table, "ra").description == "where"
    assert table.position is not None
    assert (table.position.epoch, table.position.source_columns) == (1991.25, ())
    assert "J1991.25" in table.notes[0]


def test_sexagesimal_texts_are_found_by_their_values() -> None:
    table = described({"RA": ["00 08 27.05", None], "Dec": ["+27:43:03.6", None], "x": [1, 2]})
    assert table.position is not None
    assert table.position.source_format == "sexagesimal"
    assert described({"RA": ["north"], "Dec": ["south"]}).position is None


@pytest.mark.parametrize(
    ("values", "known", "metadata", "frame"),
    [
        ({"glon": [1.0], "glat": [1.0]}, {}, {}, "GALACTIC"),
        ({"l": [1.0], "b": [1.0]}, {"l": {"unit": "deg"}, "b": {"unit": "deg"}}, {}, "GALACTIC"),
        ({"elon": [1.0], "elat": [1.0]}, {}, {}, "ECLIPTIC"),
        ({"RAB1950": [1.0], "DEB1950": [1.0]}, {}, {}, "FK4"),
        ({"ra": [1.0], "dec": [1.0]}, {}, {"frame": "FK5", "equinox": "2000.0"}, "FK5"),
        ({"ra": [1.0], "dec": [1.0]}, {}, {"frame:ra": "eq_FK4", "equinox:ra": "B1900"}, "FK4(B1900)"),
    ],
)
def test_frames_are_found(
    values: dict[str, object], known: dict[str, dict[str, str]], metadata: dict[str, str], frame: str
) -> None:
    table = described(values, known=known, metadata=metadata)
    assert table.position is not None
    assert (table.position.source_frame, table.position.ra) == (frame, "ra")


def test_what_is_no_position_is_left_alone() -> None:
    assert described({"l": [1.0], "b": [2.0]}).position is None
    assert described({"ra": [1.0], "dec": [1.0]}, no_position=True).position is None
    assert described({"ra": [1.0], "dec": [1.0]}, known={"ra": {"unit": "Jy"}}).position is None
    assert described({"ra_error": [1.0], "dec_error": [1.0]}).position is None


def test_unlabelled_radians_raise_a_doubt() -> None:
    rng = np.random.default_rng(1)
    table = described({"ra": rng.uniform(0, 6.28, 500), "dec": rng.uniform(-1.5, 1.5, 500)})
    assert any("radians" in n for n in table.notes)


def test_epochs_come_from_the_file_too() -> None:
    values = {"ra": [1.0, 2.0], "dec": [1.0, 2.0], "ref_epoch": [2016.0, 2016.0]}
    table = described(values)
    assert table.position is not None
    assert table.position.epoch == 2016.0
    table = described({"ra": [1.0], "dec": [1.0]}, metadata={"epoch:ra": "J1991.25"})
    assert table.position is not None
    assert table.position.epoch == 1991.25


def test_identifiers() -> None:
    assert described({"name": ["a", "b"], "source_id": [1, 2]}).identifier == "source_id"
    assert described({"name": ["a", "b"], "source_id": [1, 1]}).identifier == "name"
    assert described({"star_id": [1], "x": [1]}).identifier == "star_id"
    assert described({"x": [1]}).identifier is None
    assert described({"x": [1], "id": [1]}, known={"x": {"ucd": "meta.id;meta.main"}}).identifier == "x"
    table = described(
        {"Tile": ["a"], "id": [1]}, identifier="Tile", known={"id": {"ucd": "meta.id;meta.main"}}
    )
    assert table.identifier == "tile"
    assert mains(table)["meta.id;meta.main"] == ["tile"]


def test_derived_columns_get_the_type_of_their_expression() -> None:
    table = described(
        {"g": [1.0], "r": [2.0], "n": [1]},
        columns=(
            ("g_r", ColumnRecipe(derive="g - r", unit="mag")),
            ("bright", ColumnRecipe(derive="g_r > 0 and n < 5")),
            ("label", ColumnRecipe(derive="concat('s', n)")),
            ("small", ColumnRecipe(derive="n * 2", type="short")),
        ),
    )
    kinds = {c.name: c.datatype for c in table.columns}
    assert kinds["g_r"] is Datatype.DOUBLE
    assert kinds["bright"] is Datatype.BOOLEAN
    assert kinds["label"].is_text
    assert kinds["small"] is Datatype.SHORT


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"columns": (("x", ColumnRecipe(source="mag_gg")),)}, "no column 'mag_gg'"),
        ({"columns": (("x", ColumnRecipe(derive="mag_gg + 1")),)}, "no column 'mag_gg'"),
        ({"columns": (("x", ColumnRecipe(derive="x + 1")),)}, "derived from itself"),
        ({"columns": (("x", ColumnRecipe(derive="null")),)}, "give it a `type`"),
        ({"columns": (("mag_g", ColumnRecipe(type="number")),)}, "unknown type 'number'"),
        ({"columns": (("_healpix_29", ColumnRecipe(derive="1")),)}, "the house's own"),
        ({"identifier": "nope"}, "no column 'nope' for the identifier"),
        ({"position": PositionRecipe("nope", "mag_g")}, "no column 'nope' for the position"),
        ({"position": PositionRecipe("mag_g", "mag_g", frame="XYZ", format="degrees")}, "unknown frame"),
        ({"position": PositionRecipe("mag_g", "mag_g", format="xyz")}, "unknown format"),
        ({"only_listed": True}, "no column left"),
        (
            {"columns": (("x", ColumnRecipe(source="mag_g")), ("y", ColumnRecipe(source="mag_g")))},
            "'mag_g' is published as 'x' already",
        ),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused(said: dict[str, object], message: str) -> None:
    with pytest.raises(BadRelease, match=message):
        described({"mag_g": [1.0]}, **said)


def test_frames_are_spelt_one_way_and_agree_with_known_positions() -> None:
    assert frame_name("eq_FK5", "J2000.0") == "FK5"
    assert frame_name("FK4", "1900") == "FK4(B1900)"
    # The galactic centre, and the north galactic pole (B1950: 192.25, 27.4 by definition).
    ra, dec = to_icrs(np.array([0.0]), np.array([0.0]), "GALACTIC", epoch=None)
    assert (round(ra[0], 3), round(dec[0], 3)) == (266.405, -28.936)
    ra, dec = to_icrs(np.array([192.25]), np.array([27.4]), "FK4", epoch=None)
    assert (round(ra[0], 2), round(dec[0], 2)) == (192.86, 27.13)
    ra, dec = to_icrs(np.array([0.0]), np.array([90.0]), "ECLIPTIC", epoch=None)
    assert (round(ra[0], 2), round(dec[0], 2)) == (270.0, 66.56)


@pytest.mark.skipif("SKYGATE_TEST_DATA" not in os.environ, reason="SKYGATE_TEST_DATA is not set")
@pytest.mark.parametrize(
    ("name", "frame", "form", "identifier"),
    [
        ("OpenNGC_NGC.csv", "ICRS", "sexagesimal", "name"),
        ("des_y3a1_tiles.csv", "ICRS", "degrees", "tilename"),
        ("vizic_demo.csv", "ICRS", "degrees", "objid"),
        ("spitzer_example_catalog.xml", "GALACTIC", "degrees", None),
    ],
)
def test_real_files(name: str, frame: str, form: str, identifier: str | None) -> None:
    recipe = TableRecipe("t", (name,))
    reader = open_files((Path(os.environ["SKYGATE_TEST_DATA"]) / name,), recipe)
    sample = pa.Table.from_batches([next(reader.batches(5000))])
    table = describe_table("demo", recipe, reader.columns, sample, reader.metadata)
    assert table.position is not None
    assert (table.position.source_frame, table.position.source_format, table.identifier) == (
        frame,
        form,
        identifier,
    )
    assert all(len(found) == 1 for word, found in mains(table).items() if word.startswith("pos"))
