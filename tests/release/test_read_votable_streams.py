"""BINARY and BINARY2 streams of VOTables: fields of varying length, many columns, nulls."""

from __future__ import annotations

import base64
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from astropy.io.votable import from_table
from astropy.table import MaskedColumn, Table

from skygate.errors import BadRelease
from skygate.release.read import open_table
from skygate.release.recipe import TableRecipe


def content(path: Path) -> dict[str, list[object]]:
    reader = open_table(path, TableRecipe(name="t", files=("x",)))
    return pa.Table.from_batches(list(reader.batches()), reader.schema).to_pydict()


def streamed(path: Path, stream: bytes, *fields: str, form: str = "BINARY") -> Path:
    """A VOTable whose FIELDs have these attributes; their names are a, b, c …"""
    declared = "".join(f'<FIELD name="{chr(97 + n)}" {f}/>' for n, f in enumerate(fields))
    path.write_text(
        f"<VOTABLE><RESOURCE><TABLE>{declared}<DATA><{form}><STREAM encoding='base64'>"
        f"{base64.b64encode(stream).decode()}</STREAM></{form}></DATA></TABLE></RESOURCE></VOTABLE>"
    )
    return path


CHARS, UNICODE = 'datatype="char" arraysize="*"', 'datatype="unicodeChar" arraysize="*"'
INT, DOUBLES, BITS = 'datatype="int"', 'datatype="double" arraysize="*"', 'datatype="bit" arraysize="*"'


def test_binary_reads_texts_of_varying_length(tmp_path: Path) -> None:
    stream = struct.pack(">ii3s", 1, 3, b"abc") + struct.pack(">ii", 2, 0)
    assert content(streamed(tmp_path / "a.xml", stream, INT, CHARS)) == {"a": [1, 2], "b": ["abc", None]}


def test_binary_reads_several_fields_of_varying_length(tmp_path: Path) -> None:
    row = struct.pack(">i2s", 2, b"xy") + struct.pack(">i4s", 2, "éα".encode("utf-16-be"))
    row += struct.pack(">idd", 2, 1.5, -2) + struct.pack(">iB", 3, 0b10100000) + struct.pack(">i", 7)
    fields = (CHARS, UNICODE, DOUBLES, BITS, INT)
    got = content(streamed(tmp_path / "a.xml", row * 2, *fields))
    assert {n: v[1] for n, v in got.items()} == {
        "a": "xy",
        "b": "éα",
        "c": [1.5, -2.0],
        "d": [True, False, True],
        "e": 7,
    }


@pytest.mark.parametrize(("stream", "said"), [(b"\0\0\0\1", "ends inside"), (b"\xff" * 4, "negative length")])
def test_binary_that_is_damaged_in_a_varying_field_is_refused(
    tmp_path: Path, stream: bytes, said: str
) -> None:
    with pytest.raises(BadRelease, match=said):
        content(streamed(tmp_path / "a.xml", stream, CHARS))


def test_binary2_flags_beyond_eight_columns(tmp_path: Path) -> None:
    cells = struct.pack(">8i", *range(8)) + struct.pack(">i1si", 1, b"x", 9)
    stream = bytes([0b01000000, 0b01000000]) + cells + bytes([0, 0b10000000]) + cells
    got = content(streamed(tmp_path / "a.xml", stream, *[INT] * 8, CHARS, INT, form="BINARY2"))
    assert (got["b"], got["i"], got["j"]) == ([None, 1], ["x", None], [None, 9])
    assert (got["a"], got["h"]) == ([0, 0], [7, 7])


def nine_columns() -> Table:
    table = Table()
    table["n"] = MaskedColumn(np.array([1, -9, 3], "i4"), mask=[0, 1, 0])
    table["text"] = ["one", "", "three é"]
    table["bytes"] = np.array([b"x", b"yy", b""])
    for number in range(6):
        table[f"x{number}"] = np.array([number, np.nan, 2.5])
    ragged = np.empty(3, dtype=object)
    for number, values in enumerate(([1.0, 2.0], [], [3.0])):
        ragged[number] = np.ma.array(values, dtype="f8", mask=False)
    table["ragged"] = ragged
    return table


@pytest.mark.parametrize("form", ["binary", "binary2"])
def test_streams_of_varying_length_as_astropy_writes_them(tmp_path: Path, form: str) -> None:
    document = from_table(nine_columns())
    document.get_first_table().fields[0].values.null = -9
    document.set_all_tables_format(form)
    document.to_xml(str(tmp_path / "a.xml"))
    got = content(tmp_path / "a.xml")
    assert (got["n"], got["text"]) == ([1, None, 3], ["one", None, "three é"])
    assert (got["bytes"], got["x5"]) == (["x", "yy", None], [5.0, None, 2.5])
    # A null of BINARY2 and an array of no elements are two things, which BINARY cannot tell apart.
    assert [v or [] for v in got["ragged"]] == [[1.0, 2.0], [], [3.0]]


@pytest.mark.system
@pytest.mark.skipif(shutil.which("stilts") is None, reason="stilts is not installed")
@pytest.mark.parametrize("form", ["votable-binary-inline", "votable-binary2-inline"])
def test_texts_of_varying_length_as_stilts_writes_them(tmp_path: Path, form: str) -> None:
    cells = (("1", "ab", "1.5 2"), ("2", "", ""), ("3", "cdefcdef", "-2"))
    rows = "".join("<TR>" + "".join(f"<TD>{c}</TD>" for c in row) + "</TR>" for row in cells)
    (tmp_path / "a.xml").write_text(
        f'<VOTABLE><RESOURCE><TABLE><FIELD name="a" {INT}/><FIELD name="b" {CHARS}/>'
        f'<FIELD name="c" {DOUBLES}/><DATA><TABLEDATA>{rows}</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>'
    )
    said = [f"in={tmp_path / 'a.xml'}", "ifmt=votable", f"out={tmp_path / 'a.vot'}", f"ofmt={form}"]
    subprocess.run(["stilts", "tpipe", *said], check=True, capture_output=True)
    got = content(tmp_path / "a.vot")
    assert (got["a"], got["b"]) == ([1, 2, 3], ["ab", None, "cdefcdef"])
    assert [v or [] for v in got["c"]] == [[1.5, 2.0], [], [-2.0]]
