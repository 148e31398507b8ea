"""CSV, TSV and JSON, read back by pandas, polars and the standard library."""

import csv
import io
import json
import math

import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skygate.domain.catalog import Column, Datatype
from skygate.formats import media

D = Datatype


def test_csv_line_by_line(odd, written):
    lines = written("csv", odd(overflow=True)).decode().split("\n")
    assert lines[0].startswith("source_id,ra,dec,g_mag,flag,level")
    assert lines[1] == (
        '9223372036854775807,359.9999,-90.0,12.5,true,255,-32767,7,"a<b&""c"" ]]>",Ωé😀,'
        "2020-01-02T03:04:05.6,1 2,1.5 NaN,1 2 3,abc"
    )
    assert lines[2] == "," * 14
    assert lines[3].startswith(
        '-9223372036854775807,NaN,inf,-inf,false,0,0,-5,"",tab\there,1999-12-31T00:00:00'
    )
    assert lines[4:] == [""]


def test_tsv_quotes_what_would_break_a_cell(odd, written):
    table = pd.read_csv(io.BytesIO(written("tsv", odd())), sep="\t")
    assert table["label"].tolist()[2] == "tab\there"
    assert table["name"].tolist()[0] == 'a<b&"c" ]]>'


def test_a_declined_header_is_not_there(odd):
    form = media.pick("text/csv;header=absent")
    assert b"".join(media.write(form, odd(), media.About())).startswith(b"9223372036854775807,")


def test_odd_column_names_are_quoted(rows_of, written):
    rows = rows_of([Column('a "b", c', D.INT), Column("d", D.INT)], [[1], [2]])
    assert written("csv", rows) == b'"a ""b"", c",d\n1,2\n'


def test_a_table_of_one_column_keeps_its_null_rows(rows_of, written):
    data = written("csv", rows_of([Column("t", D.UNICODE, arraysize="*")], [["a", None, "", "b"]]))
    assert data == b't\na\n""\n""\nb\n'
    assert len(pd.read_csv(io.BytesIO(data))) == 4


@pytest.mark.parametrize("name", ["csv", "tsv"])
def test_no_rows_is_only_the_header(name, rows_of, odd_columns, written):
    data = written(name, rows_of(odd_columns, [[] for _ in odd_columns]))
    assert data.count(b"\n") == 1


def test_polars_and_pandas_read_the_same_numbers(rows_of, written):
    columns = [Column("i", D.LONG), Column("d", D.DOUBLE), Column("f", D.FLOAT)]
    values = [[2**62 + 1, -5, 0], [0.1, 1e-300, -1.7976931348623157e308], [1.5, 0.25, 3e38]]
    data = written("csv", rows_of(columns, values))
    assert pl.read_csv(data)["i"].to_list() == values[0]
    assert pl.read_csv(data)["d"].to_list() == values[1]
    assert pd.read_csv(io.BytesIO(data))["d"].tolist() == pytest.approx(values[1])


TEXT = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
ROWS = st.lists(
    st.tuples(TEXT, st.none() | st.floats(), st.none() | st.integers(-(2**63), 2**63 - 1)), max_size=9
)
COLUMNS = [Column("t", D.UNICODE, arraysize="*"), Column("d", D.DOUBLE), Column("i", D.LONG)]


@settings(max_examples=80, deadline=None)
@given(ROWS)
def test_csv_brings_back_every_value(rows_of, written, data):
    columns = list(zip(*data, strict=True)) if data else [[], [], []]
    text = written("csv", rows_of(COLUMNS, columns)).decode()
    read = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert len(read) == len(data)
    for (name, real, whole), cells in zip(data, read, strict=True):
        assert cells[0] == (name or "")
        assert cells[2] == ("" if whole is None else str(whole))
        if real is None:
            assert cells[1] == ""
        else:
            assert float(cells[1]) == real or math.isnan(real)


@settings(max_examples=80, deadline=None)
@given(ROWS, st.booleans())
def test_json_brings_back_every_value(rows_of, written, data, overflow):
    columns = list(zip(*data, strict=True)) if data else [[], [], []]
    read = json.loads(written("json", rows_of(COLUMNS, columns, overflow=overflow, batch_rows=4)))
    assert (read["rows"], read["overflow"]) == (len(data), overflow)
    wanted = [[t, d if d is None or math.isfinite(d) else None, i] for t, d, i in data]
    assert read["data"] == wanted


def test_json_describes_its_columns(odd, odd_columns, written, about):
    read = json.loads(written("json", odd(), about))
    assert read["metadata"] == {
        "query": about.query,
        "title": about.title,
        "infos": {"release": "bright_sky", "citation": "Doe & Roe"},
    }
    assert [c["name"] for c in read["columns"]] == [c.name for c in odd_columns]
    assert read["columns"][1]["unit"] == "deg"
    assert read["data"][0][11:14] == [[1, 2], [1.5, None], [1, 2, 3]]
    assert read["data"][1] == [None] * 15
