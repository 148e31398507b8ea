"""A disk that takes no more: whoever keeps an answer on it says so, and leaves nothing behind."""

import gc
import os
import resource
from collections.abc import Iterator

import pyarrow as pa
import pytest

from skygate import wire
from skygate.domain.catalog import Column, Datatype
from skygate.domain.query import About, Outcome
from skygate.errors import NoRoom
from skygate.formats import media
from skygate.formats import spool as formats_spool
from skygate.room import Room
from skygate.services.hands import Hands
from skygate.services.spool import Spool

COLUMNS = (Column("n", Datatype.LONG), Column("x", Datatype.DOUBLE))
BATCHES, ROWS = 20, 10_000


class Answer:
    """Two hundred thousand rows that do not compress."""

    columns = COLUMNS
    outcome: Outcome | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        schema = wire.arrow_schema(COLUMNS)
        for i in range(BATCHES):
            numbers = [(i * ROWS + k) * 2654435761 % 2**61 for k in range(ROWS)]
            yield pa.RecordBatch.from_arrays(
                [pa.array(numbers, pa.int64()), pa.array([n / 7 for n in numbers])], schema=schema
            )
        self.outcome = Outcome(BATCHES * ROWS, overflow=False)

    def cancel(self) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def small_files() -> Iterator[None]:
    """Files of this process may have 256 KiB, as if that were all the disk has."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 << 10, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def files_open() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize(
    ("name", "held_bytes"), [("fits", 10_000), ("parquet", 0), ("hdf5", 10_000), ("hdf5", 1 << 30)]
)
def test_files_whose_heads_count_need_room(small_files, monkeypatch, name, held_bytes):
    monkeypatch.setattr(formats_spool, "MEMORY_BYTES", held_bytes)
    list(media.write(media.pick("json"), Answer(), About()))  # whatever is opened once
    before = files_open()
    with pytest.raises(NoRoom, match="no room left") as caught:
        list(media.write(media.pick(name), Answer(), About()))
    assert isinstance(caught.value.__cause__, OSError)
    assert "/tmp" not in str(caught.value)
    gc.collect()
    assert files_open() == before
    assert formats_spool.ROOM.taken == (0, 0)


def test_an_answer_that_waits_for_its_reader_needs_room(small_files):
    spool = Spool(
        COLUMNS, Answer, memory_bytes=1000, disk_bytes=1 << 30, room=Room(1000, 1 << 30), hands=Hands(1)
    )
    assert spool.ended(20)
    with pytest.raises(NoRoom, match="no room left"):
        for _ in spool:
            pass
    spool.close()
