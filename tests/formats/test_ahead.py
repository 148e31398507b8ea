"""Chunks made in a thread: all of them, in order, as soon as they are there, and nothing goes on unseen."""

import threading
import time
from collections.abc import Callable, Generator

import pytest

from skygate.errors import TooCostly
from skygate.formats import ahead as ahead_module
from skygate.formats.ahead import ahead

PIECE = b"x" * 100


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """As if a chunk of a hundred bytes were large."""
    monkeypatch.setattr(ahead_module, "START_BYTES", 300)
    monkeypatch.setattr(ahead_module, "AHEAD_BYTES", 500)


def threads() -> int:
    return sum(t.name == "skygate-ahead" for t in threading.enumerate())


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


class Writer:
    """Numbered chunks; says what it has made and whether it was closed."""

    def __init__(self, count: int, fault: Exception | None = None) -> None:
        self.count, self.fault = count, fault
        self.made = 0
        self.closed = self.stopped = False
        self.gate: Callable[[int], object] = lambda number: None

    def stop(self) -> None:
        self.stopped = True

    def chunks(self) -> Generator[bytes]:
        try:
            for number in range(self.count):
                self.gate(number)
                self.made += 1
                yield b"%06d" % number + PIECE
            if self.fault is not None:
                raise self.fault
        finally:
            self.closed = True


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 50, 2000])
def test_all_chunks_come_in_order(count):
    writer = Writer(count)
    found = list(ahead(writer.chunks(), stop=writer.stop))
    assert [int(c[:6]) for c in found] == list(range(count))
    assert writer.closed
    until(lambda: threads() == 0)


def test_a_short_answer_needs_no_thread():
    seen: set[int] = set()
    writer = Writer(3)
    writer.gate = lambda number: seen.add(threading.get_ident())
    list(ahead(writer.chunks(), stop=writer.stop))
    assert seen == {threading.get_ident()}


def test_so_much_is_made_ahead_and_no_more_and_no_thread_waits():
    writer = Writer(1000)
    chunks = ahead(writer.chunks(), stop=writer.stop)
    for _ in range(4):
        next(chunks)
    until(lambda: threads() == 0)
    assert 4 + 500 // 106 <= writer.made <= 4 + 500 // 106 + 2
    made = writer.made
    next(chunks)
    time.sleep(0.02)
    assert writer.made == made  # half of it still waits
    for _ in range(4):
        next(chunks)
    until(lambda: writer.made > made)
    chunks.close()
    assert writer.closed


def test_a_chunk_is_handed_out_while_the_next_is_still_in_the_making():
    go = threading.Event()
    writer = Writer(10)
    writer.gate = lambda number: number < 6 or go.wait(5)
    chunks = ahead(writer.chunks(), stop=writer.stop)
    began = time.monotonic()
    assert [int(next(chunks)[:6]) for _ in range(6)] == list(range(6))
    assert time.monotonic() - began < 2
    go.set()
    assert [int(c[:6]) for c in chunks] == [6, 7, 8, 9]


@pytest.mark.parametrize("count", [0, 2, 3, 30])
def test_a_fault_comes_after_the_chunks_before_it(count):
    fault = TooCostly("60 s are over")
    writer = Writer(count, fault)
    chunks = ahead(writer.chunks(), stop=writer.stop)
    for number in range(count):
        assert int(next(chunks)[:6]) == number
    with pytest.raises(TooCostly) as caught:
        next(chunks)
    assert caught.value is fault
    assert writer.closed


def test_who_goes_away_stops_the_chunk_in_the_making_first():
    stopped = threading.Event()
    writer = Writer(10)
    writer.gate = lambda number: number < 5 or stopped.wait(5)

    def stop() -> None:
        assert not writer.closed
        stopped.set()

    chunks = ahead(writer.chunks(), stop=stop)
    for _ in range(5):
        next(chunks)
    began = time.monotonic()
    chunks.close()
    assert time.monotonic() - began < 2
    assert writer.closed
    assert threads() == 0
