"""Delimited, fixed-width and ECSV text."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from astropy.table import MaskedColumn, Table

from skygate.domain.catalog import Datatype
from skygate.errors import BadRelease
from skygate.release.read import TableReader, delimited, expand_files, open_files, open_table
from skygate.release.recipe import ColumnRecipe, FixedColumn, TableRecipe


def recipe(**known: object) -> TableRecipe:
    return TableRecipe(**({"name": "t", "files": ("x",)} | known))  # type: ignore[arg-type]


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(reader: TableReader) -> list[dict[str, object]]:
    return [row for batch in reader.batches() for row in batch.to_pylist()]


def kinds(reader: TableReader) -> dict[str, str]:
    return {f.name: str(f.type) for f in reader.schema}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found(tmp_path: Path, delimiter: str) -> None:
    lines = ["id,ra,name", "1,10.5,a b", "2,+11.5,c"]
    path = write(tmp_path, "a.csv", "\n".join(line.replace(",", delimiter) for line in lines))
    reader = open_table(path, recipe())
    assert kinds(reader) == {"id": "int64", "ra": "double", "name": "string"}
    assert rows(reader) == [{"id": 1, "ra": 10.5, "name": "a b"}, {"id": 2, "ra": 11.5, "name": "c"}]
    assert reader.rows == 2


def test_a_comma_in_the_text_of_a_semicolon_file_does_not_mislead(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "a;b\nx,y,z;1\np,q;2\n")
    assert rows(open_table(path, recipe()))[0] == {"a": "x,y,z", "b": 1}


def test_comments_before_and_between_rows_are_no_rows(tmp_path: Path) -> None:
    text = '# made by hand\na,b\n1,"x\n#not a comment"\n# a comment\n2,y\n'
    assert [r["b"] for r in rows(open_table(write(tmp_path, "a.csv", text), recipe()))] == [
        "x\n#not a comment",
        "y",
    ]


def test_a_header_may_be_a_comment(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "# id, ra\n1,2.5\n3,4\n")
    assert rows(open_table(path, recipe())) == [{"id": 1, "ra": 2.5}, {"id": 3, "ra": 4.0}]


def test_without_header_columns_are_numbered_and_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "1,2\n3,4\n")
    assert rows(open_table(path, recipe(header=False))) == [
        {"column_1": 1, "column_2": 2},
        {"column_1": 3, "column_2": 4},
    ]
    with pytest.raises(BadRelease, match="not column names") as caught:
        open_table(path, recipe())
    assert "header = false" in str(caught.value.hint)


def test_a_late_value_widens_its_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "_BLOCK", 1 << 16)
    many = 50_000
    text = "a,b,c\n" + "1,1,1\n" * many + "2.5,x,9223372036854775808\n"
    reader = open_table(write(tmp_path, "a.csv", text), recipe())
    assert kinds(reader) == {"a": "double", "b": "string", "c": "string"}
    assert reader.rows == many + 1
    last = rows(reader)[-1]
    assert last == {"a": 2.5, "b": "x", "c": "9223372036854775808"}
    why = {c.name: c.inferred["datatype"] for c in reader.columns}
    assert "'x'" in why["b"]


def test_big_integers_are_never_rounded(tmp_path: Path) -> None:
    text = "a,b\n1237651823251030345,1.5\n1.5,1237651823251030345\n"
    assert rows(open_table(write(tmp_path, "a.csv", text), recipe())) == [
        {"a": "1237651823251030345", "b": "1.5"},
        {"a": "1.5", "b": "1237651823251030345"},
    ]


def test_words_for_missing_are_null_among_numbers_and_text_among_texts(tmp_path: Path) -> None:
    text = "n,t\n1,NA\nNA,x\n,\nnull,--\n"
    assert rows(open_table(write(tmp_path, "a.csv", text), recipe())) == [
        {"n": 1, "t": "NA"},
        {"n": None, "t": "x"},
        {"n": None, "t": None},
        {"n": None, "t": "--"},
    ]


def test_the_recipe_s_nulls_do_not_make_a_column_text(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "a,b\n1,-\n*,x\n")
    said = recipe(nulls=("-",), columns=(("a", ColumnRecipe(nulls=("*",))),))
    reader = open_table(path, said)
    assert kinds(reader)["a"] == "int64"
    assert rows(reader) == [{"a": 1, "b": None}, {"a": None, "b": "x"}]


def test_fortran_exponents_booleans_and_dates(tmp_path: Path) -> None:
    text = "a,b,c,d\n1.5D+03,true,2020-01-02T03:04:05Z,2020-01-02\n 2 ,FALSE,2021-01-01T00:00:00,2021-05-06\n"
    reader = open_table(write(tmp_path, "a.csv", text), recipe())
    assert kinds(reader) == {"a": "double", "b": "bool", "c": "timestamp[us]", "d": "timestamp[us]"}
    first = rows(reader)[0]
    assert (first["a"], first["b"], str(first["c"])) == (1500.0, True, "2020-01-02 03:04:05")


def test_a_row_of_another_length_is_refused_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "# c\na,b\n1,2\n3,4,5\n")
    with pytest.raises(BadRelease, match="3 fields where the header has 2") as caught:
        open_table(path, recipe())
    assert caught.value.where is not None
    assert (caught.value.where.name, caught.value.where.line) == (str(path), 4)


def test_a_type_from_the_recipe_is_held_to(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "a\n0012\n0013\n")
    assert rows(open_table(path, recipe(columns=(("a", ColumnRecipe(type="string")),))))[0] == {"a": "0012"}
    path = write(tmp_path, "b.csv", "a\n1\nx\n")
    with pytest.raises(BadRelease, match="column a, row 2: 'x' is no integer"):
        rows(open_table(path, recipe(columns=(("a", ColumnRecipe(type="int")),))))


def test_latin_1_and_utf_8(tmp_path: Path) -> None:
    late = "a,b\n" + "1,x\n" * 300_000
    path = write(tmp_path, "a.csv", late.encode() + "2,é\n".encode("latin-1"))
    assert rows(open_table(path, recipe()))[-1] == {"a": 2, "b": "é"}
    path = write(tmp_path, "b.csv", "﻿a,b\n1,é\n2,x\n")
    reader = open_table(path, recipe())
    assert rows(reader)[0] == {"a": 1, "b": "é"}
    assert [c.datatype for c in reader.columns] == [Datatype.LONG, Datatype.UNICODE]
    assert open_table(write(tmp_path, "c.csv", "b\nx\n"), recipe()).columns[0].datatype is Datatype.CHAR


def test_double_and_empty_names_become_different_ones(tmp_path: Path) -> None:
    reader = open_table(write(tmp_path, "a.csv", "a,a,\n1,2,x\n"), recipe())
    assert reader.schema.names == ["a", "a_2", "column_3"]


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_compressed_text(tmp_path: Path, ending: str) -> None:
    data = b"a,b\n1,2\n"
    packed = gzip.compress(data) if ending == "gz" else zstandard.compress(data)
    assert rows(open_table(write(tmp_path, f"a.csv.{ending}", packed), recipe())) == [{"a": 1, "b": 2}]
    damaged = write(tmp_path, f"b.csv.{ending}", packed[:-3])
    with pytest.raises(BadRelease, match="cannot be read"):
        rows(open_table(damaged, recipe()))


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "empty"), (b"# only\n", "comments only"), (b"\0\1\2abc" * 99, "unknown format|not text")],
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(BadRelease, match=said):
        open_table(write(tmp_path, "a.dat", content), recipe())


def test_a_header_without_rows_is_an_empty_table(tmp_path: Path) -> None:
    reader = open_table(write(tmp_path, "a.csv", "a,b\n"), recipe())
    assert (reader.rows, rows(reader), reader.schema.names) == (0, [], ["a", "b"])


def test_batches_are_bounded_and_can_be_read_again(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "a\n" + "".join(f"{n}\n" for n in range(1000)))
    reader = open_table(path, recipe())
    sizes = [b.num_rows for b in reader.batches(300)]
    assert sum(sizes) == 1000
    assert max(sizes) <= 300
    assert sum(b.num_rows for b in reader.batches()) == 1000


FIXED = (
    FixedColumn("hip", 1, 6),
    FixedColumn("ra", 8, 14, unit="rad", description="right ascension"),
    FixedColumn("name", 16, 20),
)


def test_fixed_width(tmp_path: Path) -> None:
    text = "     1  0.1234 abc\n     2 -1.5    é\n    30\n"
    reader = open_table(write(tmp_path, "a.dat", text.encode("latin-1")), recipe(fixed=FIXED))
    assert rows(reader) == [
        {"hip": 1, "ra": 0.1234, "name": "abc"},
        {"hip": 2, "ra": -1.5, "name": "é"},
        {"hip": 30, "ra": None, "name": None},
    ]
    assert (reader.columns[1].unit, reader.columns[1].description) == ("rad", "right ascension")


def test_fixed_width_refuses_what_does_not_fit(tmp_path: Path) -> None:
    path = write(tmp_path, "a.dat", "     1\n     x\n")
    with pytest.raises(BadRelease, match="column hip, row 2: 'x' is no integer"):
        rows(open_table(path, recipe(fixed=(FixedColumn("hip", 1, 6, type="I6"),))))
    with pytest.raises(BadRelease, match="bytes 5-2"):
        open_table(path, recipe(fixed=(FixedColumn("hip", 5, 2),)))
    with pytest.raises(BadRelease, match="without a description"):
        open_table(path, recipe(format="fixed"))


@pytest.mark.parametrize("delimiter", [" ", ","])
def test_ecsv_as_astropy_writes_it(tmp_path: Path, delimiter: str) -> None:
    table = Table()
    table["i"] = MaskedColumn(np.array([1, 2, 3], "i4"), mask=[0, 1, 0], unit="ct", description="d e")
    table["d"] = np.array([1.5, np.nan, 3], "f4")
    table["s"] = ["a b", "b,cd", "é"]
    table["a"] = np.arange(12.0).reshape(3, 2, 2)
    table["u"] = np.array([1, 2, 2**63 + 4], "u8")
    table["v"] = np.array([[1, 2], [3], [4, 5, 6]], dtype=object)
    path = tmp_path / "a.ecsv"
    table.write(path, delimiter=delimiter)
    reader = open_table(path, recipe())
    got = {k: [r[k] for r in rows(reader)] for k in reader.schema.names}
    assert got["i"] == [1, None, 3]
    assert got["s"] == ["a b", "b,cd", "é"]
    assert got["a"][1] == [4.0, 5.0, 6.0, 7.0]
    assert got["u"][2] == 2**63 + 4
    assert got["v"] == ["[1,2]", "[3]", "[4,5,6]"]
    columns = {c.name: c for c in reader.columns}
    assert (columns["i"].unit, columns["i"].description, columns["i"].datatype) == ("ct", "d e", Datatype.INT)
    assert (columns["a"].arraysize, str(reader.schema.field("a").type)) == (
        "2x2",
        "fixed_size_list<item: double>[4]",
    )


def test_ecsv_that_contradicts_its_header_is_refused(tmp_path: Path) -> None:
    text = "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: a, datatype: int64}\na b\n1 2\n"
    with pytest.raises(BadRelease, match="not the ones of its first line: b"):
        open_table(write(tmp_path, "a.ecsv", text), recipe())
    text = text.replace("a b\n1 2", "a\nx")
    with pytest.raises(BadRelease, match="column a, row 1: 'x' is no integer"):
        rows(open_table(write(tmp_path, "a.ecsv", text), recipe()))


def test_many_files_are_one_table(tmp_path: Path) -> None:
    write(tmp_path, "a1.csv", "id,x,y\n1,1,\n")
    write(tmp_path, "a2.csv", "id,x,z\n2,2.5,q\n")
    said = recipe(files=("a*.csv",))
    reader = open_files(expand_files(said, tmp_path), said)
    assert kinds(reader) == {"id": "int64", "x": "double", "y": "string", "z": "string"}
    assert rows(reader) == [
        {"id": 1, "x": 1.0, "y": None, "z": None},
        {"id": 2, "x": 2.5, "y": None, "z": "q"},
    ]
    assert reader.rows == 2


def test_files_that_share_no_column_are_refused(tmp_path: Path) -> None:
    paths = [write(tmp_path, "a.csv", "a\n1\n"), write(tmp_path, "b.csv", "b\n1\n")]
    with pytest.raises(BadRelease, match="no column in common"):
        open_files(paths, recipe())


def test_files_are_found_by_globs_and_in_packages(tmp_path: Path) -> None:
    for name in ("b2.csv", "b1.csv", "c.csv"):
        write(tmp_path, name, "a\n1\n")
    found = expand_files(recipe(files=("c.csv", "b*.csv", "*.csv")), tmp_path)
    assert [p.name for p in found] == ["c.csv", "b1.csv", "b2.csv"]
    found = expand_files(recipe(files=("package:skygate/errors.py",)), tmp_path)
    assert [p.name for p in found] == ["errors.py"]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("none*.csv", "no file matches"),
        ("package:no_such_package_here/x", "no installed Python package"),
        ("package:skygate/../x", "is not `package:NAME/PATH`"),
        (".", "is a directory"),
    ],
)
def test_files_that_are_not_there_are_refused(tmp_path: Path, pattern: str, said: str) -> None:
    with pytest.raises(BadRelease, match=said):
        expand_files(recipe(files=(pattern,)), tmp_path)


def test_columns_that_the_recipe_drops_are_not_read_from_fixed_text(tmp_path: Path) -> None:
    path = write(tmp_path, "a.dat", "     1  0.1234 abc\n")
    said = recipe(fixed=FIXED, columns=(("name", ColumnRecipe(drop=True)),))
    assert open_table(path, said).schema.names == ["hip", "ra"]


@pytest.mark.skipif("SKYGATE_TEST_DATA" not in os.environ, reason="SKYGATE_TEST_DATA is not set")
def test_openngc() -> None:
    path = Path(os.environ["SKYGATE_TEST_DATA"]) / "OpenNGC_NGC.csv"
    reader = open_table(path, recipe())
    assert (reader.rows, len(reader.columns)) == (13_969, 32)
    assert kinds(reader)["MajAx"] == "double"
    assert kinds(reader)["RadVel"] == "int64"
    assert pa.Table.from_batches(reader.batches()).num_rows == 13_969
