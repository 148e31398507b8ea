"""Files that other readers get wrong without a word: every value is read exactly, or somebody is told."""

from __future__ import annotations

import base64
import sqlite3
import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from astropy.io import fits

from skygate.errors import BadRelease
from skygate.release.inputs import survey
from skygate.release.read import TableReader, open_table
from skygate.release.read.source import changes_in
from skygate.release.recipe import ColumnRecipe, Recipe, TableRecipe


def opened(path: Path, **known: Any) -> TableReader:
    return open_table(path, TableRecipe("t", (str(path),), **known))


def values(reader: TableReader) -> dict[str, list[Any]]:
    batches = list(reader.batches())
    return {n: [v for b in batches for v in b.column(n).to_pylist()] for n in reader.schema.names}


def codes(reader: TableReader) -> list[str]:
    return [f.code for f in reader.findings]


def votable(folder: Path, fields: str, data: str, *, after: str = "") -> Path:
    path = folder / "t.vot"
    path.write_text(
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE type="results">'
        f"<TABLE>{fields}"
        f"<DATA>{data}</DATA></TABLE>{after}</RESOURCE></VOTABLE>"
    )
    return path


def binary(data: bytes) -> str:
    return f'<BINARY><STREAM encoding="base64">{base64.b64encode(data).decode()}</STREAM></BINARY>'


def test_binary_with_variable_texts(tmp_path: Path) -> None:
    fields = '<FIELD name="n" datatype="int"/><FIELD name="s" datatype="char" arraysize="*"/>'
    data = struct.pack(">ii3s", 1, 3, b"abc") + struct.pack(">ii", 2, 0)
    assert values(opened(votable(tmp_path, fields, binary(data)))) == {"n": [1, 2], "s": ["abc", None]}
    many = "".join(f'<FIELD name="c{i}" datatype="double" arraysize="*"/>' for i in range(11))
    row = b"".join(struct.pack(f">i{i}d", i, *range(i)) for i in range(11))
    found = values(opened(votable(tmp_path, many, binary(row))))
    assert found == {f"c{i}": [[float(k) for k in range(i)]] for i in range(11)}


@pytest.mark.parametrize("kind", ["float", "double"])
def test_null_values_of_reals_are_numbers(tmp_path: Path, kind: str) -> None:
    fields = f'<FIELD name="x" datatype="{kind}"><VALUES null="-99.9"/></FIELD>'
    texts = "".join(f"<TR><TD>{t}</TD></TR>" for t in ("-99.9", "-99.90", "-9.99e1", "1.5"))
    path = votable(tmp_path, fields, f"<TABLEDATA>{texts}</TABLEDATA>")
    assert values(opened(path)) == {"x": [None, None, None, 1.5]}
    data = struct.pack(">2" + kind[0], -99.9, 1.5)
    assert values(opened(votable(tmp_path, fields, binary(data)))) == {"x": [None, 1.5]}


def test_null_values_of_integers_are_numbers(tmp_path: Path) -> None:
    fields = '<FIELD name="x" datatype="short"><VALUES null="-99"/></FIELD>'
    texts = "".join(f"<TR><TD>{t}</TD></TR>" for t in ("-99", "-099", "3"))
    assert values(opened(votable(tmp_path, fields, f"<TABLEDATA>{texts}</TABLEDATA>"))) == {
        "x": [None, None, 3]
    }
    fields = '<FIELD name="x" datatype="short"><VALUES null="999999"/></FIELD>'
    assert values(opened(votable(tmp_path, fields, "<TABLEDATA><TR><TD>3</TD></TR></TABLEDATA>"))) == {
        "x": [3]
    }
    assert values(opened(votable(tmp_path, fields, binary(struct.pack(">h", 3))))) == {"x": [3]}


@pytest.mark.parametrize("status", ["OVERFLOW", "ERROR"])
def test_a_votable_that_is_not_whole_says_so(tmp_path: Path, status: str) -> None:
    field = '<FIELD name="x" datatype="int"/>'
    info = f'<INFO name="QUERY_STATUS" value="{status}">cut</INFO>'
    for data in ("<TABLEDATA><TR><TD>3</TD></TR></TABLEDATA>", binary(struct.pack(">i", 3))):
        reader = opened(votable(tmp_path, field, data, after=info))
        assert [(f.severity, f.code) for f in reader.findings] == [("error", "not_whole")]
        assert values(reader) == {"x": [3]}
    whole = votable(tmp_path, field, data, after='<INFO name="QUERY_STATUS" value="OK"/>')
    assert codes(opened(whole)) == []


def test_comments_within_cells_and_rows_are_nothing(tmp_path: Path) -> None:
    field = '<FIELD name="s" datatype="char" arraysize="*"/>'
    rows = "<TR><!-- a --><TD>ab<!-- c -->cd<?x y?>ef</TD></TR><TR><TD><![CDATA[<&]]></TD></TR>"
    assert values(opened(votable(tmp_path, field, f"<TABLEDATA>{rows}</TABLEDATA>"))) == {
        "s": ["abcdef", "<&"]
    }


def test_whole_scales_keep_integers_exact(tmp_path: Path) -> None:
    path = tmp_path / "t.fits"
    stored = np.array([2**60 + 1, 2**60 + 3, -5], dtype=np.int64)
    hdu = fits.BinTableHDU.from_columns(
        [fits.Column("k", "K", array=stored), fits.Column("j", "J", array=stored % 9)]
    )
    hdu.header["TZERO1"], hdu.header["TSCAL2"], hdu.header["TNULL1"] = 1000, 2, -5
    hdu.header["TZERO2"] = 0.5
    hdu.writeto(path)
    found = values(opened(path))
    assert found["k"] == [2**60 + 1001, 2**60 + 1003, None]
    assert found["j"] == [float(v % 9 * 2) + 0.5 for v in stored]
    hdu.header["TZERO1"] = 2**63 - 1000
    hdu.writeto(path, overwrite=True)
    with pytest.raises(BadRelease, match="beyond the 64-bit integers"):
        values(opened(path))


def test_fits_texts_in_two_encodings(tmp_path: Path) -> None:
    path = tmp_path / "t.fits"
    texts = np.array([b"caf\xc3\xa9", b"\xe9t\xe9", b"plain"])
    fits.BinTableHDU.from_columns([fits.Column("s", "5A", array=texts)]).writeto(path)
    reader = opened(path)
    assert values(reader) == {"s": ["caf\u00e9", "\u00e9t\u00e9", "plain"]}
    assert codes(reader) == ["not_utf8"]


def test_a_null_of_a_fits_ascii_table_is_found_wherever_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "t.fits"
    columns = [fits.Column("n", "I6", array=np.array([5, -9, 7]), ascii=True)]
    hdu = fits.TableHDU.from_columns(columns)
    hdu.header["TNULL1"] = "-9"
    hdu.writeto(path)
    assert values(opened(path)) == {"n": [5, None, 7]}


def test_texts_that_mean_missing_are_missing_wherever_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b,s\n-99,-99,-99\n1,2.5,x\n")
    reader = opened(path, nulls=("-99",))
    assert values(reader) == {"a": [None, 1], "b": [None, 2.5], "s": [None, "x"]}
    (batch,) = reader.batches()
    assert changes_in(batch) == {n: ["-99 made null", 1] for n in "abs"}


def test_a_database_whose_log_holds_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode=wal")
    writer.execute("CREATE TABLE t (id INTEGER)")
    writer.commit()
    writer.execute("INSERT INTO t VALUES (1)")
    writer.commit()
    with pytest.raises(BadRelease, match=r"t\.sqlite-wal"):
        opened(path)
    with pytest.raises(BadRelease, match=r"t\.sqlite-wal"):
        survey(Recipe("r", "R", (TableRecipe("t", (str(path),)),)), {"t": [path]})
    writer.close()
    assert values(opened(path)) == {"id": [1]}


def test_a_database_in_the_middle_of_a_transaction_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA cache_size=1")
    writer.execute("CREATE TABLE t (id INTEGER, s TEXT)")
    writer.commit()
    writer.executemany("INSERT INTO t VALUES (?, ?)", [(i, "x" * 500) for i in range(2000)])
    with pytest.raises(BadRelease, match="not finished"):
        opened(path)
    writer.commit()
    writer.close()
    assert len(values(opened(path))["id"]) == 2000


def test_whole_decimals_are_integers_or_texts(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    ids = [Decimal(2**62 + i) for i in range(4)]
    pq.write_table(pa.table({"id": pa.array(ids, pa.decimal128(20, 0))}), path)
    assert values(opened(path)) == {"id": [2**62 + i for i in range(4)]}
    pq.write_table(pa.table({"id": pa.array([*ids, Decimal(2**63)], pa.decimal128(20, 0))}), path)
    with pytest.raises(BadRelease, match=r'9223372036854775808.*type = "string"'):
        values(opened(path))
    texts = opened(path, columns=(("id", ColumnRecipe(type="string")),))
    assert values(texts)["id"][-1] == "9223372036854775808"


def test_an_index_of_pandas_is_a_column(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pd.DataFrame({"v": [1.0, 2.0]}, index=["objA", "objB"]).to_parquet(path)
    assert values(opened(path)) == {"v": [1.0, 2.0], "__index_level_0__": ["objA", "objB"]}


def test_tables_of_pandas_in_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "t.h5"
    times = pd.to_datetime(["2020-01-01", None]).astype("datetime64[us]")
    frame = pd.DataFrame({"a": [1.5, 2.5], "n": [1, 2], "s": ["x", "yy"], "t": times, "b": [True, False]})
    frame.to_hdf(path, key="df", format="table", data_columns=True)
    found = values(opened(path))
    assert [t and t.year for t in found.pop("t")] == [2020, None]
    assert found == {"index": [0, 1], "a": [1.5, 2.5], "n": [1, 2], "s": ["x", "yy"], "b": [True, False]}
    for layout in ("table", "fixed"):
        frame[["a", "n"]].to_hdf(path, key="df", format=layout, mode="w")
        with pytest.raises(BadRelease, match=r"pickled.*data_columns=True"):
            opened(path)


def test_what_hdf5_says_of_numbers_and_is_not_followed_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.array([10, -1])
        file["x"].attrs["scale_factor"], file["x"].attrs["_FillValue"] = 0.1, -1
        kinds = h5py.enum_dtype({"STAR": 0, "GALAXY": 1}, basetype="i1")
        file.create_dataset("kind", data=np.array([0, 1], dtype="i1"), dtype=kinds)
    reader = opened(path)
    assert sorted(codes(reader)) == ["attributes_not_followed", "labels_left_out"]
    assert values(reader) == {"kind": [0, 1], "x": [10, -1]}


def test_zstd_in_frames(tmp_path: Path) -> None:
    """As parallel compressors write it: several frames, with others between them that hold no data."""
    squeeze = zstandard.ZstdCompressor().compress
    nothing = struct.pack("<II", 0x184D2A50, 5) + b"hello"
    path = tmp_path / "t.csv.zst"
    path.write_bytes(nothing + squeeze(b"a,b\n1,2\n") + nothing + squeeze(b"3,4\n" * 1000) + nothing)
    assert values(opened(path)) == {"a": [1] + [3] * 1000, "b": [2] + [4] * 1000}


def test_blanks_around_texts_of_text_files_go_and_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('n,t,u\n1,"  padded  ",x\n2,plain,NONE \n3,"   ",y\n4,end ,z\n')
    reader = opened(path, columns=(("u", ColumnRecipe(nulls=("NONE",))),))
    batches = list(reader.batches())
    assert pa.Table.from_batches(batches).column("t").to_pylist() == ["padded", "plain", None, "end"]
    assert changes_in(batches[0]) == {
        "t": ["blanks around the text left out", 2],
        "u": ["NONE made null", 1],
    }


@pytest.mark.parametrize("kind", [fits.BinTableHDU, fits.TableHDU])
def test_blanks_before_a_text_of_fits_are_part_of_it(tmp_path: Path, kind: Any) -> None:
    form = "A8" if kind is fits.TableHDU else "8A"
    column = fits.Column("t", form, array=np.array(["  lead", "end  ", "      "]))
    kind.from_columns([column]).writeto(tmp_path / "a.fits")
    assert values(opened(tmp_path / "a.fits")) == {"t": ["  lead", "end", None]}


def test_an_empty_text_of_sqlite_is_no_null(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("CREATE TABLE a (t TEXT)")
        connection.executemany("INSERT INTO a VALUES (?)", [("",), (None,), (" x ",)])
    connection.close()
    assert values(opened(tmp_path / "a.db")) == {"t": ["", None, " x "]}


def test_a_fits_file_that_ends_within_a_block_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    fits.BinTableHDU.from_columns([fits.Column("n", "K", array=np.arange(9))]).writeto(path)
    path.write_bytes(path.read_bytes()[: 2880 + 700])
    with pytest.raises(BadRelease, match="cut short"):
        opened(path)
