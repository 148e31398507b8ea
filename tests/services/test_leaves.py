import os
import resource
import time

import pyarrow as pa
import pytest

from skygate import wire
from skygate.domain.account import ANONYMOUS, Principal
from skygate.domain.catalog import Column, Datatype
from skygate.domain.query import Outcome
from skygate.errors import BadQuery, NoRoom
from skygate.services import leaves as room
from skygate.services.leaves import Leaves


class Counted:
    """Rows 0 … n-1 in batches of 7; breaks off where it is told to."""

    columns = (Column("n", Datatype.LONG), Column("n", Datatype.UNICODE, arraysize="*"))

    def __init__(self, rows, *, overflow=False, breaks=False):
        self._rows, self._breaks = rows, breaks
        self.outcome = Outcome(rows, overflow)

    def __iter__(self):
        for first in range(0, self._rows, 7):
            numbers = list(range(first, min(first + 7, self._rows)))
            arrays = [pa.array(numbers), pa.array([str(n) for n in numbers])]
            yield pa.RecordBatch.from_arrays(arrays, schema=wire.arrow_schema(self.columns))
        if self._breaks:
            raise BadQuery("no more")

    def close(self):
        pass


def keep(leaves, rows, text="q"):
    return leaves.keep(ANONYMOUS, text, "f", rows, started=time.monotonic())


def test_an_answer_is_found_again_and_leafed_through(tmp_path):
    leaves = Leaves(tmp_path / "pages")
    assert leaves.find(ANONYMOUS, "q", "f") is None
    path = keep(leaves, Counted(25, overflow=True))
    assert leaves.find(ANONYMOUS, "q", "f") == path
    leaf = Leaves(tmp_path / "pages").leaf(path, 2, 10)
    assert leaf is not None
    assert (leaf.first, leaf.kept, leaf.overflow) == (11, 25, True)
    assert leaf.columns == Counted.columns
    assert leaf.rows.column(0).to_pylist() == list(range(10, 20))
    assert leaves.leaf(path, 99, 10).rows.num_rows == 5
    assert leaves.leaf(path, 0, 10).first == 1


def test_nobody_finds_what_another_asked_or_an_older_catalogue_answered(tmp_path):
    leaves = Leaves(tmp_path)
    keep(leaves, Counted(1))
    assert leaves.find(Principal("other"), "q", "f") is None
    assert leaves.find(ANONYMOUS, "q", "g") is None
    assert leaves.find(ANONYMOUS, "Q", "f") is None


def test_an_empty_answer_is_an_answer(tmp_path):
    leaves = Leaves(tmp_path)
    leaf = leaves.leaf(keep(leaves, Counted(0)), 1, 10)
    assert leaf is not None
    assert (leaf.kept, leaf.rows.num_rows) == (0, 0)


def test_an_answer_that_breaks_off_is_not_kept(tmp_path):
    leaves = Leaves(tmp_path)
    with pytest.raises(BadQuery):
        keep(leaves, Counted(10, breaks=True))
    assert leaves.find(ANONYMOUS, "q", "f") is None
    assert list(tmp_path.iterdir()) == []


def test_what_is_old_or_too_many_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_KEPT_FILES", 3)
    leaves = Leaves(tmp_path)
    paths = []
    for i in range(5):
        path = keep(leaves, Counted(1), text=str(i))
        os.utime(path, (time.time() - 100 + i,) * 2)
        paths.append(path)
    keep(leaves, Counted(1), text="last")
    assert not paths[0].exists()
    assert len(list(tmp_path.iterdir())) <= 3
    gone = keep(leaves, Counted(1), text="gone")
    os.utime(gone, (time.time() - 7200,) * 2)
    assert leaves.find(ANONYMOUS, "gone", "f") is None
    gone.unlink()
    assert leaves.leaf(gone, 1, 10) is None


def test_a_read_only_place_is_no_obstacle(tmp_path):
    file = tmp_path / "a file"
    file.write_text("")
    leaves = Leaves(file / "below")
    assert leaves.leaf(keep(leaves, Counted(3)), 1, 10) is not None


class Long:
    """Rows of a million characters each, in batches of three."""

    columns = (Column("n", Datatype.LONG), Column("t", Datatype.UNICODE, arraysize="*"))
    outcome = None

    def __init__(self, rows, size=1_000_000):
        self.given, self._rows, self._size = 0, rows, size

    def __iter__(self):
        for first in range(0, self._rows, 3):
            numbers = list(range(first, min(first + 3, self._rows)))
            self.given += len(numbers)
            arrays = [pa.array(numbers), pa.array([str(n) * (self._size // len(str(n))) for n in numbers])]
            yield pa.RecordBatch.from_arrays(arrays, schema=wire.arrow_schema(self.columns))
        self.outcome = Outcome(self._rows, overflow=False)

    def close(self):
        pass


def test_bytes_are_bounded_as_well_as_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "KEPT_BYTES", 10_500_000)
    leaves, rows = Leaves(tmp_path), Long(1000)
    path = keep(leaves, rows)
    assert rows.given <= 12  # the rest is not even read
    assert path.stat().st_size < 11_000_000
    leaf = leaves.leaf(path, 1, 4)
    assert (leaf.kept, leaf.overflow) == (10, True)
    assert leaf.rows.column(0).to_pylist() == [0, 1, 2, 3]
    assert leaves.leaf(path, 3, 4).rows.column(0).to_pylist() == [8, 9]
    assert len(leaves.leaf(path, 3, 4).rows.column(1)[1].as_py()) == 1_000_000


def test_one_row_is_kept_whatever_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "KEPT_BYTES", 1000)
    leaves = Leaves(tmp_path)
    leaf = leaves.leaf(keep(leaves, Long(2)), 1, 50)
    assert (leaf.kept, leaf.overflow, leaf.rows.column(0).to_pylist()) == (1, True, [0])


def test_an_answer_without_rows_is_a_page(tmp_path):
    leaves = Leaves(tmp_path)
    leaf = leaves.leaf(keep(leaves, Counted(0)), 1, 50)
    assert (leaf.kept, leaf.overflow, leaf.rows.num_rows, leaf.rows.num_columns) == (0, False, 0, 2)


def test_all_answers_together_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "_KEPT_TOTAL_BYTES", 5_500_000)
    leaves = Leaves(tmp_path)
    for i in range(6):
        path = keep(leaves, Long(2), text=f"q{i}")
        os.utime(path, (time.time() - 60 + i, time.time() - 60 + i))
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) <= 6_500_000
    assert leaves.find(ANONYMOUS, "q5", "f") is not None
    assert leaves.find(ANONYMOUS, "q0", "f") is None


def test_a_full_disk_is_told_as_one(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    leaves = Leaves(tmp_path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(NoRoom, match="no room left"):
            keep(leaves, Long(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
