"""Many files as one table: names that differ in case, types that differ, findings of each file."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from skygate.release.read import TableReader, open_files
from skygate.release.recipe import ColumnRecipe, TableRecipe


def opened(folder: Path, *texts: str, **known: object) -> TableReader:
    paths: list[Path] = []
    for number, text in enumerate(texts, start=1):
        paths.append(folder / f"z{number}.csv")
        paths[-1].write_text(text)
    return open_files(paths, TableRecipe(**({"name": "t", "files": ("x",)} | known)))  # type: ignore[arg-type]


def values(reader: TableReader, name: str) -> list[object]:
    return [v for batch in reader.batches() for v in batch.column(name).to_pylist()]


def test_a_column_that_is_text_in_one_file_is_read_as_text_in_all(tmp_path: Path) -> None:
    reader = opened(tmp_path, "s,r\n7,1.50\n-5,2\n", "s,r\n+7,x\nabc,1e3\n")
    assert values(reader, "s") == ["7", "-5", "+7", "abc"]
    assert values(reader, "r") == ["1.50", "2", "x", "1e3"]
    reader = opened(tmp_path, "s\n007\n-5\n", "s\n007\nabc\n", "s\n+1\n")
    assert values(reader, "s") == ["007", "-5", "007", "abc", "+1"]
    reader = opened(
        tmp_path, "a,s\n1,True\n", "a,s\n2,5\n", only_listed=True, columns=(("s", ColumnRecipe()),)
    )
    assert values(reader, "s") == ["True", "5"]


def test_types_that_differ_over_files_are_told(tmp_path: Path) -> None:
    texts = ("s\n1\n2\n", "s\n3\n", "s\nabc\n")
    found = opened(tmp_path, *texts).findings
    assert [(f.severity, f.code, f.column) for f in found] == [("warning", "types_differ", "s")]
    assert "z3.csv holds texts where z1.csv int64 values stand" in found[0].message
    assert not opened(tmp_path, *texts, columns=(("s", ColumnRecipe(type="string")),)).findings


def test_names_that_differ_in_case_are_one_column(tmp_path: Path) -> None:
    said = (("magnitude", ColumnRecipe(source="Mag", nulls=("99",))),)
    reader = opened(tmp_path, "id,Mag\n1,1.5\n", "ID,mag\n2,*99\n3,abc\n", columns=said)
    assert reader.schema.names == ["id", "Mag"]
    assert values(reader, "id") == [1, 2, 3]
    assert values(reader, "Mag") == ["1.5", "*99", "abc"]


def test_names_that_differ_in_case_within_a_file_stay_apart(tmp_path: Path) -> None:
    reader = opened(tmp_path, "id,b,B\n1,2,3\n", "id,b,B\n4,5,6\n", "id,B\n7,8\n")
    assert values(reader, "b") == [2, 5, None]
    assert values(reader, "B") == [3, 6, 8]


def test_the_recipe_s_source_holds_in_every_file_whatever_its_case(tmp_path: Path) -> None:
    said = (("magnitude", ColumnRecipe(source="Mag", nulls=("n.a.",))),)
    reader = opened(tmp_path, "id,Mag\n1,1.5\n", "id,mag\n2,n.a.\n3,2.5\n", columns=said)
    assert values(reader, "Mag") == [1.5, None, 2.5]
    assert not reader.findings


def test_findings_of_every_file_are_kept(tmp_path: Path) -> None:
    reader = opened(tmp_path, "id,N\n1,1\n2,2\n#3,3\n", "id,n\n1,1\n2,2\n3,3\n4,x\n")
    assert {f.code: f.column for f in reader.findings} == {
        "commented_rows": None,
        "text_among_numbers": "N",
        "types_differ": "N",
    }


def test_numbers_of_other_formats_are_still_cast(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1], "s": [1.5]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"id": [2], "s": ["x"]}), tmp_path / "b.parquet")
    reader = open_files([tmp_path / "a.parquet", tmp_path / "b.parquet"], TableRecipe("t", ("x",)))
    assert values(reader, "s") == ["1.5", "x"]


def test_a_column_that_some_files_do_not_have_is_told(tmp_path: Path) -> None:
    texts = ("id,x,y\n1,2,3\n", "id,x\n4,5\n", "id\n6\n")
    reader = opened(tmp_path, *texts)
    assert values(reader, "x") == [2, 5, None]
    told = {f.column: f for f in reader.findings if f.code == "column_missing"}
    assert {name: f.count for name, f in told.items()} == {"x": 1, "y": 2}
    assert "z2.csv first" in told["y"].message
    chosen = opened(tmp_path, *texts, only_listed=True, columns=(("id", ColumnRecipe()),))
    assert not chosen.findings
