"""What pandas writes of its own into Parquet and HDF5: indexes, blocks of columns, times, categories."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from skygate.release.read import TableReader, open_table
from skygate.release.recipe import ColumnRecipe, TableRecipe


def recipe(**known: object) -> TableRecipe:
    return TableRecipe(**({"name": "t", "files": ("x",)} | known))  # type: ignore[arg-type]


def content(reader: TableReader) -> dict[str, list[object]]:
    return pa.Table.from_batches(list(reader.batches()), reader.schema).to_pydict()


def test_an_index_without_a_name_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"v": [1.0, 2.0]}, index=["objA", "objB"]).to_parquet(path)
    reader = open_table(path, recipe())
    assert content(reader) == {"v": [1.0, 2.0], "__index_level_0__": ["objA", "objB"]}
    (finding,) = reader.findings
    assert (finding.code, finding.column) == ("pandas_index", "__index_level_0__")
    said = recipe(columns=(("name", ColumnRecipe(source="__index_level_0__", drop=True)),))
    reader = open_table(path, said)
    assert (content(reader), reader.findings) == ({"v": [1.0, 2.0]}, [])


def test_an_index_that_only_counts_the_rows_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"v": [1.0, 2.0]}).to_parquet(path)
    reader = open_table(path, recipe())
    assert (content(reader), reader.findings) == ({"v": [1.0, 2.0]}, [])
