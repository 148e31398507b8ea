"""Arrow streams of positions: whatever comes is read whole, or refused with a sentence."""

import contextlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skygate.api.positions import positions_of
from skygate.errors import BadParameter, CallerError, TooLarge

PLAIN = pa.table({"ra": np.arange(1000.0) % 360, "dec": np.zeros(1000), "id": np.arange(1000)})
CODED = PLAIN.append_column("tile", pa.array(["a", "b"] * 500).dictionary_encode())


def stream(table, compression=None):
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=300)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("table", [PLAIN, CODED, PLAIN.slice(0, 0)])
def test_a_plain_stream_is_read(table):
    assert positions_of(stream(table), most=1000).equals(table)


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
@pytest.mark.parametrize("table", [PLAIN, CODED])
def test_a_compressed_stream_is_refused_before_it_unfolds(table, compression):
    with pytest.raises(BadParameter, match="compressed"):
        positions_of(stream(table, compression), most=1000)


def test_too_many_positions_are_refused():
    with pytest.raises(TooLarge):
        positions_of(stream(PLAIN), most=999)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=8), st.integers(0, 30000))
def test_damaged_streams_are_the_callers_mistake(changes, kept):
    body = bytearray(stream(CODED))
    for at, value in changes:
        body[at % len(body)] = value
    rows = 0
    with contextlib.suppress(CallerError):
        rows = positions_of(bytes(body[: max(kept, 1)]), most=1000).num_rows
    assert rows <= 1000


def test_a_name_that_is_no_text_is_refused():
    named = PLAIN.append_column("xyzzyq", PLAIN["id"])
    broken = stream(named).replace(b"xyzzyq", b"\xcc\xccyzzq")
    with pytest.raises(BadParameter, match="cannot be read"):
        positions_of(broken, most=1000)
