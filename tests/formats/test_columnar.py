"""Arrow streams, Parquet, FITS and HDF5, read back by the libraries that people use."""

import io
import json
import shutil
import subprocess
import warnings
import xml.etree.ElementTree as ET

import h5py
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.formats.conftest import FakeRows

from skygate import wire
from skygate.domain.catalog import Column, Datatype
from skygate.domain.query import About
from skygate.errors import BadParameter
from skygate.formats import media

D = Datatype
stilts = pytest.mark.skipif(shutil.which("stilts") is None, reason="needs STILTS (Debian package stilts)")


def table_of(rows) -> pa.Table:
    return pa.Table.from_batches(rows.batches)


def test_arrow_says_at_its_end_how_it_ended(odd, written):
    for overflow in (False, True):
        reader = pa.ipc.open_stream(written("arrow", odd(overflow=overflow, batch_rows=1)))
        found = []
        while True:
            try:
                found.append(reader.read_next_batch_with_custom_metadata())
            except StopIteration:
                break
        assert [f.batch.num_rows for f in found] == [1, 1, 1, 0]
        assert found[-1].custom_metadata[wire.ROWS_KEY] == b"3"
        assert found[-1].custom_metadata[wire.OVERFLOW_KEY] == (b"true" if overflow else b"false")


def test_arrow_is_read_by_all(odd, written, odd_columns, about):
    data = written("arrow", odd(), about)
    table = pa.ipc.open_stream(data).read_all()
    assert str(table.to_pydict()) == str(table_of(odd()).to_pydict())
    assert tuple(wire.column_of(f) for f in table.schema) == tuple(odd_columns)
    assert table.schema.metadata[b"skygate.query"].decode() == about.query
    assert pl.read_ipc_stream(data).height == 3


def test_parquet_keeps_rows_and_metadata(odd, written, about):
    data = written("parquet", odd(overflow=True), about)
    file = pq.ParquetFile(io.BytesIO(data))
    assert str(file.read().to_pydict()) == str(table_of(odd()).to_pydict())
    told = file.metadata.metadata
    assert told[b"skygate.overflow"] == b"true"
    assert file.schema_arrow.field("ra").metadata[b"unit"] == b"deg"
    inside = ET.fromstring(told[b"IVOA.VOTable-Parquet.content"])
    assert [i.get("value") for i in inside.iter() if i.tag.endswith("INFO")][-1] == "OVERFLOW"
    assert len([f for f in inside.iter() if f.tag.endswith("FIELD")]) == 15
    assert pl.read_parquet(io.BytesIO(data)).height == 3
    assert pd.read_parquet(io.BytesIO(data))["source_id"][0] == 2**63 - 1


@pytest.mark.parametrize("name", ["arrow", "parquet"])
def test_no_rows(name, rows_of, odd_columns, written):
    data = io.BytesIO(written(name, rows_of(odd_columns, [[] for _ in odd_columns])))
    table = pa.ipc.open_stream(data).read_all() if name == "arrow" else pq.read_table(data)
    assert (table.num_rows, table.num_columns) == (0, 15)


def fits_of(data: bytes) -> Table:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # astropy says that it turns null booleans into False
        return Table.read(io.BytesIO(data), format="fits")


def test_astropy_reads_our_fits(odd, written, about):
    data = written("fits", odd(overflow=True, batch_rows=2), about)
    assert len(data) % 2880 == 0
    with fits.open(io.BytesIO(data)) as hdus:
        hdus.verify("exception")
        header = hdus[1].header
        assert header["OVERFLOW"] is True
        assert header["TUCD1"] == "meta.id;meta.main"
        assert header["TCOMM2"] == "Right ascension (ICRS)"
        assert 'query: SELECT "x"' in list(header["HISTORY"])
    table = fits_of(data)
    assert table["source_id"].tolist() == [2**63 - 1, None, -(2**63) + 1]
    assert table["level"].tolist() == [255, None, 0]
    assert str(table["ra"].unit) == "deg"
    assert table["name"].tolist()[0] == 'a<b&"c" ]]>'
    assert table["label"].tolist()[0].encode().decode("unicode_escape") == "Ωé😀"
    assert table["point"].tolist()[0] == [1.0, 2.0]
    assert [v.tolist() for v in table["ids"]] == [[1, 2, 3], [], [-7]]
    assert table["flux"][0][0] == 1.5
    assert table["seen"].tolist()[0] == "2020-01-02T03:04:05.6"


@stilts
@pytest.mark.system
def test_stilts_reads_our_fits(odd, written, tmp_path):
    (tmp_path / "t.fits").write_bytes(written("fits", odd()))
    pipe = ["stilts", "tpipe", f"in={tmp_path}/t.fits", "cmd=keepcols 'source_id dec flag level ids code'"]
    out = subprocess.run([*pipe, "ofmt=csv"], capture_output=True, check=True).stdout.decode().splitlines()
    assert out == [
        "source_id,dec,flag,level,ids,code",
        '9223372036854775807,-90.0,true,255,"(1, 2, 3)",abc',
        ",,,,,",
        "-9223372036854775807,Infinity,false,0,(-7),x",
    ]


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        (D.UNSIGNED_BYTE, [*range(256), None]),
        (D.SHORT, [-(2**15), 2**15 - 1, None]),
        (D.INT, [-(2**31), None, 2**31 - 1]),
        (D.LONG, [-(2**63), 2**63 - 1, None, -(2**63) + 1, -(2**63) + 2]),
        (D.SHORT, [-(2**15), None]),
    ],
)
def test_the_null_of_a_fits_column_is_never_one_of_its_values(datatype, values, rows_of, written):
    data = written("fits", rows_of([Column("a", datatype)], [values], batch_rows=2))
    assert fits_of(data)["a"].tolist() == values


def test_a_few_long_texts_do_not_widen_every_row(rows_of, written):
    texts = ["x" * 5000, *(["ab"] * 999)]
    data = written("fits", rows_of([Column("t", D.CHAR, arraysize="*")], [texts], batch_rows=300))
    assert len(data) < 40_000
    with fits.open(io.BytesIO(data)) as hdus:
        assert [str(t) if isinstance(t, str) else "".join(t) for t in hdus[1].data["t"]] == texts


def test_an_array_of_two_dimensions_keeps_its_shape(rows_of, written):
    column = Column("m", D.INT, arraysize="2x3")
    with fits.open(io.BytesIO(written("fits", rows_of([column], [[[1, 2, 3, 4, 5, 6]]])))) as hdus:
        assert hdus[1].data["m"][0].tolist() == [[1, 2], [3, 4], [5, 6]]


def test_hdf5_is_read_by_astropy_h5py_and_pandas(odd, odd_columns, rows_of, written, about, tmp_path):
    path = tmp_path / "t.h5"
    path.write_bytes(written("hdf5", odd(overflow=True, batch_rows=2), about))
    table = Table.read(path, path="table", character_as_bytes=False)
    assert table["source_id"].tolist() == [2**63 - 1, None, -(2**63) + 1]
    assert str(table["ra"].unit) == "deg"
    assert table["ra"].description == "Right ascension (ICRS)"
    assert table["label"].tolist()[::2] == ["Ωé😀", "tab\there"]
    assert table["code"].tolist() == ["abc", None, "x"]
    assert table["point"].tolist() == [[1.0, 2.0], [None, None], [3.0, 4.0]]
    assert table["ids"].tolist() == [[1, 2, 3], [None] * 3, [-7, None, None]]
    assert table.meta["overflow"] is True
    with h5py.File(path) as file:
        assert file["table"].attrs["ra.unit"] == "deg"
        told = json.loads(file["metadata"][()])
        assert (told["rows"], told["overflow"]) == (3, True)
        assert [c["name"] for c in told["columns"]] == [c.name for c in odd_columns]
    plain = [Column("a", D.LONG), Column("b", D.DOUBLE, unit="m")]
    path.write_bytes(written("hdf5", rows_of(plain, [[1, 2], [0.5, 1.5]])))
    assert pd.read_hdf(path, "table").to_dict("list") == {"a": [1, 2], "b": [0.5, 1.5]}


def test_hdf5_of_no_rows_and_of_many(rows_of, odd_columns, written, tmp_path):
    path = tmp_path / "t.h5"
    path.write_bytes(written("hdf5", rows_of(odd_columns, [[] for _ in odd_columns])))
    assert len(Table.read(path, path="table")) == 0
    wide = Column("x", D.LONG, description="d" * 70_000)
    path.write_bytes(written("hdf5", rows_of([wide], [range(40_000)])))
    assert Table.read(path, path="table")["x"].tolist() == list(range(40_000))


VALUES = st.lists(
    st.tuples(
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.floats(),
        st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=9),
        st.none() | st.lists(st.integers(-100, 100), max_size=3),
    ),
    max_size=9,
)
COLUMNS = [
    Column("i", D.LONG),
    Column("d", D.DOUBLE),
    Column("t", D.UNICODE, arraysize="*"),
    Column("v", D.SHORT, arraysize="*"),
]


@settings(max_examples=30, deadline=None)
@given(VALUES)
def test_fits_brings_back_every_number(rows_of, written, data):
    columns = list(zip(*data, strict=True)) if data else [[], [], [], []]
    table = fits_of(written("fits", rows_of(COLUMNS, columns, batch_rows=3)))
    assert table["i"].tolist() == list(columns[0])
    np.testing.assert_array_equal(
        np.ma.filled(np.ma.asarray(table["d"], float), np.nan), np.array(columns[1], dtype=float)
    )
    assert [v.tolist() for v in table["v"]] == [v or [] for v in columns[3]]
    for read, wrote in zip(table["t"].tolist(), columns[2], strict=True):
        assert (read or "").isascii()
        if wrote and wrote.isascii() and wrote.isprintable() and not wrote.endswith(" "):
            assert read == wrote


def test_fits_spells_out_control_characters(rows_of, written):
    columns = [[1, 2], [0.5, 1.5], ["\x1f", "a\nb"], [[], []]]
    table = fits_of(written("fits", rows_of(COLUMNS, columns, batch_rows=3)))
    assert table["t"].tolist() == ["\\x1f", "a\\nb"]


@settings(max_examples=30, deadline=None)
@given(VALUES)
def test_arrow_and_parquet_bring_back_everything(rows_of, written, data):
    columns = list(zip(*data, strict=True)) if data else [[], [], [], []]
    rows = rows_of(COLUMNS, columns, batch_rows=2)
    wanted = pa.Table.from_batches(rows.batches, wire.arrow_schema(tuple(COLUMNS)))
    assert pa.ipc.open_stream(written("arrow", rows)).read_all().to_pydict().__repr__() == str(
        wanted.to_pydict()
    )
    assert str(pq.read_table(io.BytesIO(written("parquet", rows))).to_pydict()) == str(wanted.to_pydict())


@pytest.mark.parametrize("form", ["fits", "hdf5"])
def test_more_columns_than_a_format_has_room_for_are_the_callers_mistake(form):
    columns = [Column(f"c{i}", Datatype.DOUBLE) for i in range(1500)]
    batch = pa.RecordBatch.from_arrays([pa.array([1.0])] * 1500, schema=wire.arrow_schema(columns))
    with pytest.raises(BadParameter, match="columns"):
        next(media.write(media.pick(form), FakeRows(columns, [batch]), About()))
