"""Answers that wait until they are complete: in memory, on disk, or some of each."""

import io

import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits as astropy_fits

from skygate import wire
from skygate.domain.catalog import Column, Datatype
from skygate.formats import fits, spool
from skygate.formats.spool import ROOM, Spool

COLUMNS = (
    Column("n", Datatype.LONG),
    Column("x", Datatype.FLOAT),
    Column("seen", Datatype.BOOLEAN),
    Column("t", Datatype.CHAR, arraysize="*"),
    Column("p", Datatype.DOUBLE, arraysize="2"),
    Column("v", Datatype.SHORT, arraysize="*"),
)
ROWS = 5000


@pytest.fixture(name="values")
def values_fixture() -> list[list[object]]:
    rng = np.random.default_rng(8)
    return [
        rng.integers(-(2**62), 2**62, ROWS).tolist(),
        rng.normal(size=ROWS).astype("f4").tolist(),
        [[True, False, None][i] for i in rng.integers(0, 3, ROWS)],
        [None if i % 7 == 0 else "é" * (i % 3) + "a" * (i % 11) for i in range(ROWS)],
        rng.normal(size=(ROWS, 2)).tolist(),
        [list(range(i % 4)) for i in range(ROWS)],
    ]


@pytest.mark.parametrize("held_bytes", [0, 60_000, 1 << 30])
def test_the_rows_come_back_from_memory_and_from_disk(rows_of, values, monkeypatch, held_bytes):
    monkeypatch.setattr(spool, "MEMORY_BYTES", held_bytes)
    wanted = pa.Table.from_batches(rows_of(COLUMNS, values, batch_rows=700).batches)
    schema = wire.arrow_schema(COLUMNS)
    with Spool(rows_of(COLUMNS, values, batch_rows=700)) as kept:
        held, on_disk = ROOM.taken
        assert on_disk == 0
        assert held <= held_bytes
        assert (held > 0) == (held_bytes > 0)
        for _ in range(2):
            assert pa.Table.from_batches(kept, schema) == wanted
        assert pa.Table.from_batches(kept.last(), schema) == wanted
        assert ROOM.taken == (0, 0)
    assert ROOM.taken == (0, 0)


def test_memory_is_given_back_by_who_stops_in_between(rows_of, values):
    with Spool(rows_of(COLUMNS, values, batch_rows=700)) as kept:
        before = ROOM.taken[0]
        batches = kept.last()
        next(batches)
        next(batches)
        assert 0 < ROOM.taken[0] < before
        batches.close()
    assert ROOM.taken == (0, 0)


def test_an_answer_that_breaks_off_leaves_nothing(rows_of, values):
    with pytest.raises(ValueError, match="broken"):
        Spool(rows_of(COLUMNS, values, batch_rows=700, fault=ValueError("broken")))
    assert ROOM.taken == (0, 0)


def test_where_others_have_the_memory_the_disk_is_taken(rows_of, values):
    taken = ROOM.memory_bytes
    assert ROOM.take_memory(taken)
    try:
        with Spool(rows_of(COLUMNS, values)) as kept:
            assert ROOM.taken[0] == taken
            assert sum(b.num_rows for b in kept) == ROWS
    finally:
        ROOM.give_back(memory=taken)


@pytest.mark.parametrize(("piece_bytes", "chunk_bytes"), [(1, 1), (3000, 1000), (1000, 3000), (1 << 20, 77)])
def test_fits_is_the_same_in_pieces_of_any_size(
    rows_of, written, values, monkeypatch, piece_bytes, chunk_bytes
):
    kept = {n: i for i, n in enumerate(("n", "x", "seen", "t", "p"))}
    whole = written("fits", rows_of(COLUMNS[: len(kept)], values[: len(kept)], batch_rows=900))
    arrays = written("fits", rows_of(COLUMNS, values, batch_rows=900))
    monkeypatch.setattr(fits, "_PIECE_BYTES", piece_bytes)
    monkeypatch.setattr(fits, "_CHUNK_BYTES", chunk_bytes)
    assert written("fits", rows_of(COLUMNS[: len(kept)], values[: len(kept)], batch_rows=900)) == whole
    found = [arrays, written("fits", rows_of(COLUMNS, values, batch_rows=900))]  # other order of the heap
    for data in found:
        with astropy_fits.open(io.BytesIO(data)) as hdus:
            assert [v.tolist() for v in hdus[1].data["v"]] == values[5]
