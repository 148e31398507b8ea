"""An answer between a fast engine and a slow reader, and the other way round."""

import asyncio
import os
import threading
import time
from collections.abc import Iterator

import pyarrow as pa
import pytest

from skygate import wire
from skygate.domain.catalog import Column, Datatype
from skygate.domain.query import Outcome
from skygate.errors import BadQuery, Cancelled, HouseError, NoRoom, TooCostly
from skygate.room import Room
from skygate.services.hands import Hands
from skygate.services.spool import LARGE_BYTES, Spool

COLUMNS = (Column("n", Datatype.LONG), Column("t", Datatype.UNICODE, arraysize="*"))
SCHEMA = wire.arrow_schema(COLUMNS)
ROWS = 1000
HANDS = Hands(8)


def batch(number: int) -> pa.RecordBatch:
    ids = range(number * ROWS, (number + 1) * ROWS)
    return pa.RecordBatch.from_arrays(
        [pa.array(ids, pa.int64()), pa.array([f"é{i}" for i in ids])], schema=SCHEMA
    )


class Made:
    """A run of `batches` batches; it waits for `gate` before each but the first, and may break."""

    columns = COLUMNS

    def __init__(
        self, batches: int, *, breaks: Exception | None = None, gate: threading.Event | None = None
    ) -> None:
        self.outcome: Outcome | None = None
        self.batches, self.breaks, self.gate = batches, breaks, gate
        self.stopped = threading.Event()
        self.given = 0

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for i in range(self.batches):
            while i and self.gate is not None and not self.gate.wait(0.01):
                if self.stopped.is_set():
                    raise Cancelled("stopped")
            if self.stopped.is_set():
                raise Cancelled("stopped")
            self.given += 1
            yield batch(i)
        if self.breaks:
            raise self.breaks
        self.outcome = Outcome(self.batches * ROWS, overflow=False)

    def cancel(self) -> None:
        self.stopped.set()

    def close(self) -> None:
        self.stopped.set()


def plenty() -> Room:
    return Room(1 << 40, 1 << 40)


def spool(
    run: Made, *, memory: int = 1 << 30, disk: int = 1 << 30, room: Room | None = None, **more
) -> Spool:
    return Spool(
        run.columns,
        lambda: run,
        memory_bytes=memory,
        disk_bytes=disk,
        room=room or plenty(),
        hands=HANDS,
        **more,
    )


def settle(rows: Spool, patience_s: float) -> None:
    async def settled() -> None:
        await asyncio.wait_for(rows.settle(patience_s), 20)

    asyncio.run(settled())


def ids(rows: Spool) -> list[int]:
    return [n for b in rows for n in b["n"].to_pylist()]


def open_files() -> int:
    return sum(
        "skygate-spool" in os.readlink(f"/proc/self/fd/{n}")
        for n in os.listdir("/proc/self/fd")
        if os.path.islink(f"/proc/self/fd/{n}")
    )


@pytest.mark.parametrize("memory", [1, 50_000, 1 << 30])
def test_rows_come_whole_and_in_order_from_memory_and_disk(memory):
    rows = spool(Made(40), memory=memory)
    settle(rows, 10)
    got = list(rows)
    assert all(b.schema.equals(SCHEMA, check_metadata=True) for b in got)
    assert pa.Table.from_batches(got).equals(pa.Table.from_batches([batch(i) for i in range(40)]))
    assert rows.outcome == Outcome(40 * ROWS, overflow=False)
    assert open_files() == 0


def test_the_engine_never_waits_for_the_reader():
    ended = threading.Event()
    rows = spool(Made(200), memory=10_000, ended=lambda *_: ended.set())
    assert ended.wait(5)
    assert rows._held <= 100_000
    assert open_files() == 1
    assert ids(rows) == list(range(200 * ROWS))


def test_memory_is_used_again_once_the_reader_has_caught_up():
    gate = threading.Event()
    rows = spool(Made(30, gate=gate), memory=1)
    reader = iter(rows)
    next(reader)
    gate.set()
    assert sum(b.num_rows for b in reader) == 29 * ROWS
    assert rows._written <= 30 * batch(0).serialize().size


def test_a_short_answer_is_complete_when_it_has_settled():
    rows = spool(Made(3))
    settle(rows, 5)
    assert rows.outcome == Outcome(3 * ROWS, overflow=False)
    assert ids(rows) == list(range(3 * ROWS))


def test_a_long_answer_settles_with_its_beginning():
    gate = threading.Event()
    rows = spool(Made(3, gate=gate))
    begin = time.monotonic()
    settle(rows, 0.1)
    assert time.monotonic() - begin < 2
    assert rows.outcome is None
    gate.set()
    assert len(ids(rows)) == 3 * ROWS
    assert rows.outcome is not None


def test_a_large_answer_is_not_waited_for():
    gate = threading.Event()
    rows = spool(Made(1000, gate=gate))
    gate.set()  # from now on it is fast
    began = time.monotonic()
    settle(rows, 10)
    assert time.monotonic() - began < 8
    assert rows.outcome is not None or rows._held >= LARGE_BYTES
    assert len(ids(rows)) == 1000 * ROWS


def test_only_what_is_whole_and_in_memory_tells_its_size():
    gate = threading.Event()
    rows = spool(Made(2, gate=gate))
    settle(rows, 0.05)
    assert rows.held_bytes is None
    gate.set()
    assert rows.ended(5)
    assert rows.held_bytes == batch(0).nbytes + batch(1).nbytes
    on_disk = spool(Made(3), memory=1)
    assert on_disk.ended(5)
    assert on_disk.held_bytes is None
    on_disk.close()


def test_rows_that_come_late_are_waited_for_and_then_the_end():
    gate, run = threading.Event(), Made(2)

    def start() -> Made:
        gate.wait(5)
        return run

    rows = Spool(COLUMNS, start, memory_bytes=1 << 30, disk_bytes=1, room=plenty(), hands=HANDS)
    threading.Timer(0.3, gate.set).start()
    settle(rows, 0.1)
    assert rows.outcome == Outcome(2 * ROWS, overflow=False)


def test_who_waits_for_a_closed_answer_is_told():
    rows = spool(Made(10**6, gate=threading.Event()))
    threading.Timer(0.1, rows.close).start()
    with pytest.raises(Cancelled):
        settle(rows, 10)


def test_a_fault_before_the_first_row_is_raised_while_settling():
    rows = spool(Made(0, breaks=BadQuery("no")))
    with pytest.raises(BadQuery, match="no"):
        settle(rows, 5)


def test_a_fault_later_comes_after_the_rows_before_it():
    rows = spool(Made(2, breaks=TooCostly("time")))
    got: list[int] = []
    reader = iter(rows)
    got += next(reader)["n"].to_pylist() + next(reader)["n"].to_pylist()
    with pytest.raises(TooCostly):
        next(reader)
    assert got == list(range(2 * ROWS))
    assert rows.outcome is None


def test_what_is_no_fault_of_ours_to_name_is_a_house_error():
    rows = spool(Made(1, breaks=ZeroDivisionError("inside")))
    with pytest.raises(HouseError) as caught:
        list(rows)
    assert "inside" not in str(caught.value)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_closing_stops_the_engine_and_wakes_a_waiting_reader():
    run = Made(10**6, gate=threading.Event())
    rows = spool(run)
    reader = iter(rows)
    next(reader)
    threading.Timer(0.1, rows.close).start()
    with pytest.raises(Cancelled):
        next(reader)
    assert rows.ended(2)
    assert run.stopped.is_set()
    rows.close()


def test_closing_frees_the_file():
    rows = spool(Made(50), memory=1)
    assert rows.ended(5)
    assert open_files() == 1
    rows.close()
    assert open_files() == 0


def test_the_disk_is_bounded():
    rows = spool(Made(500), memory=1, disk=100_000)
    with pytest.raises(TooCostly, match="larger than"):
        ids(rows)
    rows.close()


def test_all_answers_together_are_bounded():
    """Memory first, then disk, then no; and what is read or closed makes room again."""
    room = Room(200_000, 400_000)
    first = spool(Made(100), room=room)
    assert first.ended(5)
    second = spool(Made(100), room=room)
    assert second.ended(5)
    memory, disk = room.taken
    assert 150_000 < memory <= 200_000
    assert 300_000 < disk <= 400_000
    with pytest.raises(NoRoom, match="wait for their readers"):
        ids(second)
    second.close()
    first.close()
    assert room.taken == (0, 0)


def test_no_room_is_kept_after_reading():
    room = Room(50_000, 1 << 30)
    rows = spool(Made(100), room=room)
    assert ids(rows) == list(range(100 * ROWS))
    assert room.taken == (0, 0)
    rows.close()
    assert room.taken == (0, 0)


def test_a_reader_that_catches_up_frees_the_disk():
    room, gate = Room(1, 1 << 30), threading.Event()
    rows = spool(Made(3, gate=gate), room=room)
    reader = iter(rows)
    next(reader)
    gate.set()
    next(reader)
    assert rows.ended(5)
    assert room.taken[1] < 2.5 * len(batch(0).serialize())
    rows.close()
    assert room.taken == (0, 0)


def test_the_end_is_told_once():
    told: list[object] = []
    rows = spool(Made(1), ended=lambda *a: told.append(a))
    list(rows)
    rows.close()
    assert told == [(Outcome(ROWS, overflow=False), None)]


def test_closing_before_the_engine_has_started():
    gate, run = threading.Event(), Made(5)

    def start() -> Made:
        gate.wait(5)
        return run

    rows = Spool(COLUMNS, start, memory_bytes=1, disk_bytes=1, room=plenty(), hands=HANDS)
    rows.close()
    with pytest.raises(Cancelled):
        settle(rows, 1)
    gate.set()
    assert rows.ended(5)
    assert run.stopped.is_set()


def test_a_start_that_fails_is_raised_while_settling():
    def start() -> Made:
        raise BadQuery("cannot")

    with pytest.raises(BadQuery, match="cannot"):
        settle(Spool(COLUMNS, start, memory_bytes=1, disk_bytes=1, room=plenty(), hands=HANDS), 5)
