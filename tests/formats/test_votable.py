"""VOTable in its three serialisations, read back by astropy and STILTS."""

import io
import math
import shutil
import subprocess
import xml.etree.ElementTree as ET

import astropy.io.votable as vot
import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from skygate.domain.catalog import Column, Datatype
from skygate.domain.query import About
from skygate.errors import BadParameter, HouseError, TooCostly
from skygate.formats import media, votable

D = Datatype
SERIALIZATIONS = ["votable", "votable/td", "votable/b"]
NS = {"v": "http://www.ivoa.net/xml/VOTable/v1.3"}
stilts = pytest.mark.skipif(shutil.which("stilts") is None, reason="needs STILTS (Debian package stilts)")


def parsed(data: bytes):
    tree = vot.parse(io.BytesIO(data), verify="exception")
    return tree, tree.get_first_table()


def infos(data: bytes) -> list[tuple[str, str, str]]:
    """(name, value, before or after the table) of each INFO."""
    resource = ET.fromstring(data).find("v:RESOURCE", NS)
    seen, found = "before", []
    for child in resource:
        if child.tag.endswith("}TABLE"):
            seen = "after"
        elif child.tag.endswith("}INFO"):
            found.append((child.get("name"), child.get("value"), seen))
    return found


@pytest.mark.parametrize("name", SERIALIZATIONS)
def test_astropy_reads_the_odd_rows(name, odd, odd_columns, written, about):
    _, table = parsed(written(name, odd(batch_rows=2), about))
    assert [f.name for f in table.fields] == [c.name for c in odd_columns]
    assert [f.unit for f in table.fields][1] == "deg"
    assert table.fields[0].ucd == "meta.id;meta.main"
    assert table.fields[0].description == odd_columns[0].description
    rows = table.to_table(use_names_over_ids=True)
    assert len(rows) == 3
    assert rows["source_id"].tolist() == [2**63 - 1, None, -(2**63) + 1]
    assert rows["ra"][0] == 359.9999
    assert rows["dec"].tolist()[2] == math.inf
    assert rows["g_mag"].tolist()[2] == -math.inf
    assert rows["flag"].tolist()[0] is True
    assert rows["flag"].tolist()[2] is False
    assert rows["level"].tolist() == [255, None, 0]
    assert rows["small"].tolist() == [-32767, None, 0]
    assert rows["count"].tolist() == [7, None, -5]
    assert rows["name"][0] == 'a<b&"c" ]]>'
    assert [rows["label"][0], rows["label"][2]] == ["Ωé😀", "tab\there"]
    assert rows["seen"][0] == "2020-01-02T03:04:05.6"
    assert rows["seen"][2] == "1999-12-31T00:00:00"
    assert rows["point"][0].tolist() == [1.0, 2.0]
    assert rows["ids"][0].tolist() == [1, 2, 3]
    assert rows["ids"][2].tolist() == [-7]
    assert rows["code"].tolist()[0] == "abc"


@stilts
@pytest.mark.system
@pytest.mark.parametrize("name", SERIALIZATIONS)
def test_votlint_is_clean_and_stilts_reads_it(name, odd, written, about, tmp_path):
    path = tmp_path / "t.vot"
    path.write_bytes(written(name, odd(overflow=True), about))
    lint = subprocess.run(["stilts", "votlint", str(path)], capture_output=True, text=True, check=False)
    assert (lint.returncode, lint.stdout, lint.stderr) == (0, "", "")
    keep = "keepcols 'source_id ra dec flag level name label ids'"
    pipe = ["stilts", "tpipe", f"in={path}", f"cmd={keep}", "ofmt=csv"]
    out = subprocess.run(pipe, capture_output=True, check=True).stdout.decode().splitlines()
    assert out == [
        "source_id,ra,dec,flag,level,name,label,ids",
        '9223372036854775807,359.9999,-90.0,true,255,"a<b&""c"" ]]>",Ωé😀,"(1, 2, 3)"',
        ",,,,,,,",
        "-9223372036854775807,,Infinity,false,0,,tab\there,(-7)",
    ]


@pytest.mark.parametrize("name", SERIALIZATIONS)
def test_status_and_remarks_stand_where_dali_wants_them(name, odd, written, about):
    found = infos(written(name, odd(overflow=True), about))
    assert found == [
        ("QUERY_STATUS", "OK", "before"),
        ("QUERY", 'SELECT "x"\n< 5 & é', "before"),
        ("release", "bright_sky", "before"),
        ("citation", "Doe & Roe", "before"),
        ("QUERY_STATUS", "OVERFLOW", "after"),
    ]
    assert ("QUERY_STATUS", "OVERFLOW", "after") not in infos(written(name, odd(), about))


@pytest.mark.parametrize("name", SERIALIZATIONS)
def test_a_fault_midway_ends_the_document_and_says_so(name, odd, written):
    data = written(name, odd(fault=TooCostly("ran for 60 s & <stopped>")))
    assert infos(data)[-1] == ("QUERY_STATUS", "ERROR", "after")
    assert "ran for 60 s & <stopped>" in ET.fromstring(data).findall(".//v:INFO", NS)[-1].text


@pytest.mark.parametrize("name", SERIALIZATIONS)
def test_an_unknown_fault_ends_the_document_without_its_secrets_and_is_raised(name, odd):
    kept: list[bytes] = []

    def read() -> None:
        kept.extend(media.write(media.pick(name), odd(fault=RuntimeError("secret")), About()))

    with pytest.raises(RuntimeError, match="secret"):
        read()
    data = b"".join(kept)
    assert infos(data)[-1] == ("QUERY_STATUS", "ERROR", "after")
    assert b"secret" not in data


@pytest.mark.parametrize("name", SERIALIZATIONS)
def test_no_rows_is_a_table_without_rows(name, rows_of, odd_columns, written):
    _, table = parsed(written(name, rows_of(odd_columns, [[] for _ in odd_columns])))
    assert len(table.array) == 0
    assert len(table.fields) == len(odd_columns)


def test_an_error_document_is_a_votable_with_only_the_fault():
    data = votable.error_document("no <such> table", [("REQUEST_ID", "abc")])
    assert infos(data) == [("QUERY_STATUS", "ERROR", "before"), ("REQUEST_ID", "abc", "before")]
    tree = vot.parse(io.BytesIO(data))
    assert tree.resources[0].infos[0].content == "no <such> table"


def test_positions_refer_to_their_frame_and_others_do_not(odd, written):
    root = ET.fromstring(written("votable/td", odd()))
    frame = root.find(".//v:COOSYS", NS)
    assert frame.get("system") == "ICRS"
    refs = {f.get("name") for f in root.findall(".//v:FIELD", NS) if f.get("ref") == frame.get("ID")}
    assert refs == {"ra", "dec", "point"}


def test_names_that_are_no_ids_get_ids_that_differ(rows_of, written):
    names = ["a b", "a-b", "a_b", "1st", "é", "icrs_frame", "SELECT"]
    columns = [Column(n, D.INT) for n in names] + [
        Column("ra", D.DOUBLE, unit="deg", ucd="pos.eq.ra;meta.main")
    ]
    _, table = parsed(written("votable", rows_of(columns, [[1]] * 7 + [[1.0]])))
    assert [f.name for f in table.fields][:7] == names
    assert len({f.ID for f in table.fields}) == 8


def test_what_binary_cannot_hold_is_said_not_lost(rows_of, written):
    low = rows_of([Column("a", D.SHORT)], [[-32768, None]])
    assert b'value="ERROR"' in written("votable/b", low)
    for name in ("votable", "votable/td"):
        low = rows_of([Column("a", D.SHORT)], [[-32768, None]])
        _, table = parsed(written(name, low))
        assert table.array["a"].tolist() == [-32768, None]


def test_a_text_longer_than_its_column_is_an_error(rows_of):
    rows = rows_of([Column("a", D.CHAR, arraysize="2")], [["abc"]])
    data = b"".join(media.write(media.pick("votable"), rows, About()))
    assert b'value="ERROR"' in data
    assert issubclass(HouseError, Exception)


def test_binary2_masks_the_ninth_column_too(rows_of, written):
    columns = [Column(f"c{i}", D.INT) for i in range(17)]
    data = [[i, None if i % 2 else i] for i in range(17)]
    _, table = parsed(written("votable", rows_of(columns, data)))
    assert list(table.array[1].tolist()) == [None if i % 2 else i for i in range(17)]


TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)
ROWS = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(),
        st.none() | st.floats(width=32),
        st.none() | st.booleans(),
        st.none() | st.integers(0, 255),
        st.none() | TEXT,
        st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=300),
        st.none() | st.lists(st.floats(), max_size=3),
    ),
    max_size=12,
)
COLUMNS = [
    Column("i", D.LONG),
    Column("d", D.DOUBLE),
    Column("f", D.FLOAT),
    Column("b", D.BOOLEAN),
    Column("u", D.UNSIGNED_BYTE),
    Column("t", D.UNICODE, arraysize="*"),
    Column("a", D.CHAR, arraysize="*"),
    Column("v", D.DOUBLE, arraysize="*"),
]


def same(read: object, wrote: object) -> bool:
    """Floats: NaN and null are one for astropy, as are a null and an empty text."""
    if isinstance(wrote, float) and math.isnan(wrote):
        return read is None or math.isnan(read)
    if wrote is None or wrote == "":
        return read is None or read == "" or (isinstance(read, float) and math.isnan(read))
    return read == wrote


@settings(max_examples=60, deadline=None)
@given(ROWS, st.integers(1, 5))
def test_binary2_brings_back_every_value(rows_of, written, data, batch_rows):
    columns = list(zip(*data, strict=True)) if data else [[] for _ in COLUMNS]
    _, table = parsed(written("votable", rows_of(COLUMNS, columns, batch_rows=batch_rows)))
    array = table.array
    assert len(array) == len(data)
    for name, wrote in zip("idfbuta", columns, strict=False):
        for read, value in zip(array[name].tolist(), wrote, strict=True):
            assert same(read, value), (name, read, value)
    for read, value in zip(array["v"], columns[7], strict=True):
        np.testing.assert_array_equal(np.ma.filled(np.ma.asarray(read, float), np.nan), value or [])


XML_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.none() | XML_TEXT, st.none() | st.floats(), st.integers(-9, 9)), max_size=9))
def test_tabledata_is_well_formed_whatever_the_text(rows_of, written, data):
    columns = [Column("t", D.UNICODE, arraysize="*"), Column("d", D.DOUBLE), Column("i", D.INT)]
    values = list(zip(*data, strict=True)) if data else [[], [], []]
    root = ET.fromstring(written("votable/td", rows_of(columns, values)))
    cells = [[td.text or "" for td in tr] for tr in root.iter(f"{{{NS['v']}}}TR")]
    assert len(cells) == len(data)
    for (text, real, whole), row in zip(data, cells, strict=True):
        wanted = "".join(
            c if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff") else "\ufffd" for c in text or ""
        )
        assert row[0] == wanted
        assert same(float(row[1]) if row[1] else None, real)
        assert int(row[2]) == whole


def test_astropys_high_level_reader_sees_units(odd, written):
    table = Table.read(io.BytesIO(written("votable", odd())), format="votable")
    assert str(table["ra"].unit) == "deg"


def test_large_answers_come_in_pieces(rows_of):
    rows = rows_of([Column("a", D.LONG)], [range(300_000)], batch_rows=100_000)
    pieces = list(media.write(media.pick("votable"), rows, About()))
    assert len(pieces) > 5
    _, table = parsed(b"".join(pieces))
    assert table.array["a"].tolist() == list(range(300_000))
    with pytest.raises(BadParameter):
        media.pick("nothing")
