"""Decimals of Parquet without a fraction are identifiers: read as 64-bit integers, exactly or not at all."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skygate.domain.catalog import Datatype
from skygate.errors import BadRelease
from skygate.release.read import open_files, open_table
from skygate.release.read.source import changes_in
from skygate.release.recipe import ColumnRecipe, TableRecipe

WIDE = [pa.decimal128(20, 0), pa.decimal128(38, 0), pa.decimal256(60, 0)]


def recipe(type_: str | None = None) -> TableRecipe:
    return TableRecipe("t", ("a.parquet",), columns=(("id", ColumnRecipe(type=type_)),) if type_ else ())


def file(path: Path, values: list[int | None], kind: pa.DataType) -> Path:
    decimals = [None if v is None else Decimal(v) for v in values]
    pq.write_table(pa.table({"id": pa.array(decimals, kind)}), path)
    return path


def ids(path: Path, said: TableRecipe, max_rows: int = 1000) -> list[object]:
    return [v for b in open_table(path, said).batches(max_rows) for v in b.column("id").to_pylist()]


@pytest.mark.parametrize("kind", WIDE, ids=str)
def test_whole_decimals_are_long_and_exact(tmp_path: Path, kind: pa.DataType) -> None:
    values = [*(2**62 + n for n in range(4)), None, -(2**63), 2**63 - 1]
    path = file(tmp_path / "a.parquet", values, kind)
    (column,) = open_table(path, recipe()).columns
    assert column.datatype is Datatype.LONG
    assert ids(path, recipe()) == values
    assert ids(path, recipe("string")) == [None if v is None else str(v) for v in values]


@pytest.mark.parametrize("beyond", [2**63, -(2**63) - 1])
@pytest.mark.parametrize("kind", WIDE, ids=str)
def test_one_beyond_64_bits_is_refused_with_row_and_remedy(
    tmp_path: Path, kind: pa.DataType, beyond: int
) -> None:
    values = [*range(2500), beyond]
    path = file(tmp_path / "a.parquet", values, kind)
    with pytest.raises(BadRelease, match=f"column id, row 2501: {beyond} does not fit") as caught:
        ids(path, recipe())
    assert 'type = "string"' in str(caught.value.hint)
    assert ids(path, recipe("string")) == [str(v) for v in values]


def test_a_real_is_given_where_it_is_asked_for_and_what_it_rounds_is_counted(tmp_path: Path) -> None:
    path = file(tmp_path / "a.parquet", [1, 2**62 + 1], pa.decimal128(20, 0))
    (batch,) = open_table(path, recipe("double")).batches()
    assert batch.column("id").to_pylist() == [1.0, 2.0**62]
    assert changes_in(batch) == {"id": ["rounded to double precision", 1]}


def test_files_with_integers_and_with_decimals_are_one_table(tmp_path: Path) -> None:
    one = file(tmp_path / "a.parquet", [2**62 + 1], pa.decimal128(20, 0))
    two = tmp_path / "b.parquet"
    pq.write_table(pa.table({"id": [2**62 + 3]}), two)
    reader = open_files([one, two], recipe())
    assert [v for b in reader.batches() for v in b.column("id").to_pylist()] == [2**62 + 1, 2**62 + 3]
