"""The external sort: order, stability, memory and disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skygate.release.sort import Sorter

SCHEMA = pa.schema([("value", pa.int64()), ("text", pa.string()), ("cell", pa.int64())])


def batch(cells: np.ndarray, start: int) -> pa.RecordBatch:
    values = np.arange(start, start + cells.size)
    return pa.RecordBatch.from_arrays(
        [pa.array(values), pa.array([f"t{v}" for v in values], pa.string()), pa.array(cells)], schema=SCHEMA
    )


def sort(cells: np.ndarray, scratch: Path, *, rows: int = 100, **options: int) -> pa.Table:
    sorter = Sorter(SCHEMA, scratch, key="cell", **options)
    for start in range(0, cells.size, rows):
        sorter.add(batch(cells[start : start + rows], start))
    done = sorter.finish()
    pieces: list[pa.Table] = []
    for found, table in done.tables():
        assert found.tolist() == table.column("cell").to_pylist()
        pieces.append(table)
    assert done.rows == cells.size
    done.close()
    return pa.concat_tables(pieces) if pieces else SCHEMA.empty_table()


def expect(cells: np.ndarray) -> list[int]:
    return np.argsort(cells, kind="stable").tolist()


def test_a_small_table_stays_in_memory(tmp_path: Path) -> None:
    cells = np.array([5, 3, 9, 3, 0])
    assert sort(cells, tmp_path).column("value").to_pylist() == [4, 1, 3, 0, 2]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fan_in", [2, 3, 64])
def test_runs_on_disk_are_merged_stably(tmp_path: Path, fan_in: int) -> None:
    # few different cells: ties within and between runs, and across the stretches of a run
    cells = np.random.default_rng(1).integers(0, 20, 20_000)
    table = sort(cells, tmp_path, buffer_bytes=20_000, fan_in=fan_in)
    assert table.column("value").to_pylist() == expect(cells)
    assert table.column("text").to_pylist() == [f"t{v}" for v in expect(cells)]
    assert list(tmp_path.iterdir()) == [], "runs are removed"


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(0, 2**60), max_size=300),
    st.integers(1, 2_000),
    st.integers(2, 5),
    st.integers(1, 40),
)
def test_any_cells_in_any_buffer(
    tmp_path_factory: pytest.TempPathFactory, cells: list[int], buffer_bytes: int, fan_in: int, rows: int
) -> None:
    found = np.array(cells, np.int64)
    scratch = tmp_path_factory.mktemp("sort")
    table = sort(found, scratch, rows=rows, buffer_bytes=buffer_bytes, fan_in=fan_in)
    assert table.column("value").to_pylist() == expect(found)


def test_stretches_of_a_long_run_are_read_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skygate.release.sort.STRETCH_BYTES", 1)
    cells = np.random.default_rng(2).integers(0, 50, 9_000)
    table = sort(cells, tmp_path, rows=3_000, buffer_bytes=90_000)
    assert table.column("value").to_pylist() == expect(cells)


def test_rows_between_two_cells_are_counted_across_runs(tmp_path: Path) -> None:
    cells = np.random.default_rng(3).integers(0, 1000, 5_000)
    sorter = Sorter(SCHEMA, tmp_path, key="cell", buffer_bytes=10_000)
    for start in range(0, cells.size, 500):
        sorter.add(batch(cells[start : start + 500], start))
    done = sorter.finish()
    assert len(list(tmp_path.glob("*.arrow"))) > 3
    for first, last in ((0, 999), (10, 10), (250, 600), (999, 5000)):
        assert done.count(first, last) == int(((cells >= first) & (cells <= last)).sum())
    done.close()


def test_giving_up_removes_the_runs(tmp_path: Path) -> None:
    sorter = Sorter(SCHEMA, tmp_path, key="cell", buffer_bytes=1_000)
    for start in range(0, 5_000, 500):
        sorter.add(batch(np.arange(500), start))
    sorter.close()
    assert list(tmp_path.iterdir()) == []
