"""How positions are written, and in which frame: what is read, converted, doubted or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table as Table_

from skygate.domain.catalog import Column, Datatype, Table
from skygate.errors import BadRelease
from skygate.release.coordinates import frame_of_equinox
from skygate.release.describe import describe_table
from skygate.release.position import told_frame
from skygate.release.read import open_files
from skygate.release.read.numeric import raw_column
from skygate.release.recipe import ColumnRecipe, PositionRecipe, Recipe, TableRecipe
from skygate.release.shape import Shaped, Shaper
from skygate.services.publishing import publish, read_report
from skygate.stores.releases import FolderReleases


def shaped(
    values: Mapping[str, object],
    *,
    known: Mapping[str, Mapping[str, str]] | None = None,
    metadata: Mapping[str, str] | None = None,
    **said: object,
) -> tuple[Table, Shaped]:
    source = pa.table(dict(values)).combine_chunks()
    columns = tuple(replace(raw_column(f), **(known or {}).get(f.name, {})) for f in source.schema)  # type: ignore[arg-type]
    recipe = TableRecipe(**({"name": "t", "files": ("x",)} | said))  # type: ignore[arg-type]
    table = describe_table("demo", recipe, columns, source, metadata or {})
    return table, Shaper(table, recipe, source.schema).apply(source.to_batches()[0])


def placed(values: Mapping[str, object], **said: object) -> tuple[str, list[float], list[float]]:
    table, out = shaped(values, **said)  # type: ignore[arg-type]
    assert table.position is not None
    got = out.batch.to_pydict()
    ra, dec = (pytest.approx(got[n], abs=1e-9) for n in (table.position.ra, table.position.dec))
    return table.position.source_format, ra, dec  # type: ignore[return-value]


def test_a_mark_of_degrees_means_degrees() -> None:
    for text in ("10d30m00s", "10D30m00s", "10°30'00\""):
        assert placed({"ra": [text], "dec": ["+05d00m00s"]}) == ("dms", [10.5], [5.0])
    assert placed({"ra": ["10h30m00s"], "dec": ["+05d00m00s"]}) == ("sexagesimal", [157.5], [5.0])
    said = PositionRecipe("ra", "dec", format="sexagesimal")
    assert placed({"ra": ["10d30m"], "dec": ["5d00m"]}, position=said) == ("dms", [10.5], [5.0])
    said = PositionRecipe("ra", "dec", format="dms")
    assert placed({"ra": ["187:30:00"], "dec": ["5:00"]}, position=said) == ("dms", [187.5], [5.0])
    unit = {"ra": {"unit": '"d:m:s"'}, "dec": {"unit": '"d:m:s"'}}
    assert placed({"ra": ["10:30:00"], "dec": ["5:00"]}, known=unit) == ("dms", [10.5], [5.0])


@pytest.mark.parametrize("ra", [["10d30m", "10h30m"], ["10h30m", "10d30m"], ["10:30:00", "10d30m00s"]])
def test_marks_of_one_column_are_one(ra: list[str]) -> None:
    for said in ({}, {"position": PositionRecipe("ra", "dec")}):
        with pytest.raises(BadRelease, match=r"row 2: '10.*' does not go with the rows before"):
            shaped({"ra": ra, "dec": ["5:00", "5:00"]}, **said)


def test_a_column_keeps_its_mark_from_batch_to_batch() -> None:
    source = pa.table({"ra": ["10d30m"] * 3 + ["10:30"], "dec": ["5:00"] * 4})
    sample = source.slice(0, 2)
    recipe = TableRecipe("t", ("x",))
    table = describe_table("demo", recipe, tuple(raw_column(f) for f in source.schema), sample, {})
    shaper = Shaper(table, recipe, source.schema)
    shaper.apply(source.slice(0, 3).to_batches()[0])
    with pytest.raises(BadRelease, match="row 4: '10:30'"):
        shaper.apply(source.slice(3).combine_chunks().to_batches()[0])


def test_sexagesimal_longitudes_of_other_frames_are_degrees() -> None:
    table, out = shaped({"glon": ["12:00:00"], "glat": ["0:00:00"]})
    assert table.position is not None
    assert (table.position.source_format, table.position.source_frame) == ("dms", "GALACTIC")
    plain = shaped({"glon": [12.0], "glat": [0.0]})[1]
    for name in ("ra", "dec"):
        assert out.batch.to_pydict()[name] == pytest.approx(plain.batch.to_pydict()[name])


def fits_file(path: Path, *, unit: str = "deg", **cards: object) -> None:
    table = Table_({"ra": [1.0], "dec": [0.5]}, meta=cards)
    for name in ("ra", "dec"):
        table[name].unit = unit or None
    table.write(path)


@pytest.mark.parametrize(
    ("one", "two", "said"),
    [
        ({"RADESYS": "FK4"}, {"RADESYS": "ICRS"}, "frame is ICRS, that of a.fits is FK4"),
        ({}, {"RADESYS": "FK5"}, "frame is FK5, that of a.fits is ICRS"),
        ({"RADESYS": "FK4", "EQUINOX": 1950.0}, {"RADESYS": "FK4", "EQUINOX": 1900.0}, "FK4"),
    ],
)
def test_files_of_one_table_have_one_frame(
    tmp_path: Path, one: dict[str, object], two: dict[str, object], said: str
) -> None:
    fits_file(tmp_path / "a.fits", **one)
    fits_file(tmp_path / "b.fits", **two)
    paths = [tmp_path / "a.fits", tmp_path / "b.fits"]
    with pytest.raises(BadRelease, match=said) as refused:
        open_files(paths, TableRecipe("t", ("x",)))
    assert "b.fits" in str(refused.value.where)
    stated = TableRecipe("t", ("x",), position=PositionRecipe("ra", "dec", frame="FK5"))
    open_files(paths, stated).close()
    open_files(paths, TableRecipe("t", ("x",), no_position=True)).close()
    open_files([paths[0]] * 2, TableRecipe("t", ("x",))).close()


def test_files_of_one_table_have_one_epoch(tmp_path: Path) -> None:
    fields = "".join(f'<FIELD name="{n}" datatype="double" unit="deg" ref="c"/>' for n in ("ra", "dec"))
    text = (
        f'<VOTABLE><RESOURCE><COOSYS ID="c" system="ICRS" epoch="{{}}"/><TABLE>{fields}<DATA><TABLEDATA><TR>'
        "<TD>1</TD><TD>2</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"
    )
    paths = [tmp_path / "a.vot", tmp_path / "b.vot"]
    for path, epoch in zip(paths, ("J2016.0", "J2000.0"), strict=True):
        path.write_text(text.format(epoch))
    with pytest.raises(BadRelease, match=r"epoch is 2000, that of a\.vot is 2016"):
        open_files(paths, TableRecipe("t", ("x",)))


@pytest.mark.parametrize(("one", "two"), [("rad", ""), ("", "rad")])
def test_a_position_without_a_unit_in_one_file_is_refused(tmp_path: Path, one: str, two: str) -> None:
    fits_file(tmp_path / "a.fits", unit=one)
    fits_file(tmp_path / "b.fits", unit=two)
    paths = [tmp_path / "a.fits", tmp_path / "b.fits"]
    with pytest.raises(BadRelease, match=r"column ra is in rad in .* and without a unit in"):
        open_files(paths, TableRecipe("t", ("x",)))
    entries = tuple((n, ColumnRecipe(unit="rad")) for n in ("ra", "dec"))
    open_files(paths, TableRecipe("t", ("x",), columns=entries)).close()


def found(path: Path, **said: object) -> tuple[Table, list[dict[str, object]]]:
    """The table that a whole publish of one file makes, and its findings that are no info of columns."""
    recipe = TableRecipe(**({"name": "t", "files": (path.name,)} | said))  # type: ignore[arg-type]
    whole = Recipe("r", "R", (recipe,), base=str(path.parent))
    store = FolderReleases(path.parent / "root")
    published = publish(store, whole)
    report = read_report(store.directory("r", published.release.version))
    codes = ("no_description", "no_ucd", "no_unit")
    return published.release.tables[0], [f for f in report["findings"] if f["code"] not in codes]


def write_csv(path: Path, ra: Sequence[object], dec: Sequence[object], head: str = "ra,dec") -> Path:
    path.write_text("\n".join([head, *(f"{a},{b}" for a, b in zip(ra, dec, strict=True))]) + "\n")
    return path


def test_the_file_says_the_frame_unless_the_recipe_does(tmp_path: Path) -> None:
    fits_file(tmp_path / "a.fits", RADESYS="FK4")
    said = PositionRecipe("ra", "dec", epoch=1950.0)
    table, findings = found(tmp_path / "a.fits", position=said)
    assert table.position is not None
    assert (table.position.source_frame, table.position.epoch, findings) == ("FK4", 1950.0, [])
    table, findings = found(tmp_path / "a.fits", position=replace(said, frame="ICRS"))
    assert table.position is not None
    assert table.position.source_frame == "ICRS"
    assert [(f["severity"], f["code"]) for f in findings] == [("warning", "frame_contradicted")]
    assert "are ICRS, the file says FK4" in str(findings[0]["message"])


def test_galactic_columns_of_the_recipe_are_galactic() -> None:
    for known in ({}, {"l": {"ucd": "pos.galactic.lon"}, "b": {"ucd": "pos.galactic.lat"}}):
        table, _ = shaped({"l": [10.0], "b": [5.0]}, known=known, position=PositionRecipe("l", "b"))
        assert table.position is not None
        assert table.position.source_frame == "GALACTIC"


def test_few_texts_that_are_no_angle_leave_their_rows_without_a_position(tmp_path: Path) -> None:
    ra, dec = [f"12:{i % 60:02d}:00" for i in range(500)], ["-05:00:00"] * 500
    ra[300] = "bad"
    table, findings = found(write_csv(tmp_path / "a.csv", ra, dec))
    assert table.position is not None
    assert table.rows == 500
    told = {f["code"]: f for f in findings}
    assert told["no_angle"]["severity"] == "warning"
    assert "first 'bad' in row 301" in str(told["no_angle"]["message"])
    assert told["no_position"]["count"] == 1
    degrees = [str(i / 2) for i in range(500)]
    degrees[7] = "xx"
    table, findings = found(write_csv(tmp_path / "b.csv", degrees, range(-50, 450)), no_position=True)
    assert table.position is None
    assert "position_unused" not in {f["code"] for f in findings}
    assert placed({"ra": [*degrees[8:30], "xx"], "dec": ["1.5"] * 23})[0] == "texts"


@pytest.mark.parametrize(
    ("ra", "dec", "said"),
    [
        (["25:61:00", "01:00:00"], ["05:00:00"] * 2, "row 1: '25:61:00' in ra is no sexagesimal angle"),
        (["10.5", "10.6", "0:42:00", "0:43:00"], [1, 2, 3, 4], "row 3: '0:42:00' in ra is no number"),
        (["187:30:00"] * 5, ["05:00:00"] * 5, "'187:30:00' in ra is no sexagesimal angle"),
        (["1.5", "xx"], ["2.5", "3.5"], "'xx' in ra"),
    ],
)
def test_what_looks_like_a_position_and_is_none_is_told(
    tmp_path: Path, ra: list[str], dec: list[object], said: str
) -> None:
    table, findings = found(write_csv(tmp_path / "a.csv", ra, dec))
    assert table.position is None
    told = next(f for f in findings if f["code"] == "position_unused")
    assert (told["severity"], said in str(told["message"])) == ("warning", True), told
    assert 'position = { ra = "ra"' in str(told["hint"])


def test_a_decimal_comma_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ra;dec\n10,5;20,25\n11,5;21,25\n")
    told = next(f for f in found(tmp_path / "a.csv")[1] if f["code"] == "position_unused")
    assert "decimal point" in str(told["hint"])


def test_small_units_and_hours_are_converted() -> None:
    known = {"ra": {"unit": "arcmin"}, "dec": {"unit": "arcsec"}}
    assert placed({"ra": [630.0], "dec": [7200.0]}, known=known) == ("arcmin, arcsec", [10.5], [2.0])
    assert shaped({"ra": [3.0], "dec": [2.0]}, known=known)[0].position is None
    for name in ("ra_hours", "rah", "RA_H"):
        assert placed({name: [1.5, 2.0], "dec": [5.0, 5.0]})[:2] == ("hours", [22.5, 30.0])
    assert shaped({"ra_hours": [1.5, 200.0], "dec": [5.0, 5.0]})[0].position is None
    assert placed({"ra_h": [150.0], "dec": [5.0]}, known={"ra_h": {"unit": "deg"}})[0] == "degrees"
    known = {"ra": {"unit": "h"}, "dec": {"unit": "rad"}}
    assert placed({"ra": [2.0], "dec": [0.5]}, known=known)[:2] == ("hours, radians", [30.0])


def test_unlabelled_radians_and_turns_are_told(tmp_path: Path) -> None:
    ra, dec = [i * 6.28 / 200 for i in range(200)], [(i - 100) * 1.57 / 100 for i in range(200)]
    table, findings = found(write_csv(tmp_path / "a.csv", ra, dec))
    assert table.position is not None
    assert ("warning", "radians") in {(f["severity"], f["code"]) for f in findings}
    _, findings = found(write_csv(tmp_path / "b.csv", [400.0, -10.0, 5.0], [1.0, 2.0, 3.0]))
    turns = {(f["severity"], f["code"], f["count"]) for f in findings}
    assert {("warning", "wrapped", 1), ("info", "wrapped", 1)} <= turns


@pytest.mark.parametrize("frame", ["galactic", "fk4", "icrs"])
def test_coordinates_of_astropy_keep_their_frame(tmp_path: Path, frame: str) -> None:
    sky = SkyCoord([10.0, 200.0], [20.0, -60.0], unit="deg", frame=frame)
    Table_({"id": [1, 2], "sc": sky}).write(tmp_path / "a.ecsv")
    table, findings = found(tmp_path / "a.ecsv")
    assert table.position is not None
    assert (table.position.source_frame, findings) == (frame.upper(), [])


def test_tables_of_a_file_that_are_not_published_are_told(tmp_path: Path) -> None:
    hdus = [fits.table_to_hdu(Table_({"x": [1.5, 2.5]}, meta={"EXTNAME": n})) for n in ("ONE", "TWO")]
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(tmp_path / "a.fits")
    field = '<FIELD name="x" datatype="double"/><DATA><TABLEDATA><TR><TD>1</TD></TR></TABLEDATA></DATA>'
    tables = f'<TABLE name="ONE">{field}</TABLE><TABLE name="TWO">{field}</TABLE>'
    (tmp_path / "a.vot").write_text(f"<VOTABLE><RESOURCE>{tables}</RESOURCE></VOTABLE>")
    for name in ("a.fits", "a.vot"):
        told = [f for f in found(tmp_path / name)[1] if f["code"] == "tables_left_out"]
        assert [(f["severity"], f["count"]) for f in told] == [("warning", 1)]
        assert "TWO" in str(told[0]["message"])
        assert "ONE" not in str(told[0]["message"])
        assert "inside = " in str(told[0]["hint"])
        assert "tables_left_out" not in {f["code"] for f in found(tmp_path / name, inside="TWO")[1]}


def test_names_that_stand_twice_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y,x\n1,2,3\n4,5,6\n")
    field = '<FIELD name="x" datatype="double"/>' * 2
    rows = "<DATA><TABLEDATA><TR><TD>1</TD><TD>2</TD></TR></TABLEDATA></DATA>"
    (tmp_path / "a.vot").write_text(f"<VOTABLE><RESOURCE><TABLE>{field}{rows}</TABLE></RESOURCE></VOTABLE>")
    column = fits.Column("x", "D", array=[1.0, 2.0]), fits.Column("z", "D", array=[1.0, 2.0])
    fits.BinTableHDU.from_columns(column).writeto(tmp_path / "b.fits")
    (tmp_path / "a.fits").write_bytes((tmp_path / "b.fits").read_bytes().replace(b"'z  ", b"'x  "))
    for name in ("a.csv", "a.vot", "a.fits"):
        told = [f for f in found(tmp_path / name)[1] if f["code"] == "repeated_name"]
        assert [(f["severity"], f["column"]) for f in told] == [("warning", "x_2")], name


def test_an_equinox_alone_says_the_frame():
    assert frame_of_equinox("1950.0") == "FK4"
    assert frame_of_equinox("1900") == "FK4(B1900)"
    assert frame_of_equinox("2000.0") == "FK5"
    assert frame_of_equinox(None) is None


def test_a_frame_that_is_not_known_is_refused_not_taken_for_icrs():
    ra, dec = Column("ra", Datatype.DOUBLE, unit="deg"), Column("dec", Datatype.DOUBLE, unit="deg")
    assert told_frame(ra, dec, {"equinox": "1950.0"}) == "FK4"
    assert told_frame(ra, dec, {"frame": "ICRS", "equinox": "1950.0"}) == "ICRS"
    with pytest.raises(BadRelease, match="GAPPT"):
        told_frame(ra, dec, {"frame": "GAPPT"})
