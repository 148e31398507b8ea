"""Identifiers that repeat or are missing in any row: told, and no main identifier any more."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skygate.domain.catalog import Table
from skygate.release import build
from skygate.release.recipe import Recipe, TableRecipe
from skygate.services.publishing import publish, read_report
from skygate.stores.releases import FolderReleases


def found(path: Path, **said: object) -> tuple[Table, list[dict[str, object]]]:
    """The table that a whole publish of one file makes, and its findings that are no info of columns."""
    recipe = TableRecipe(**({"name": "t", "files": (path.name,)} | said))  # type: ignore[arg-type]
    whole = Recipe("r", "R", (recipe,), base=str(path.parent))
    store = FolderReleases(path.parent / "root")
    published = publish(store, whole)
    report = read_report(store.directory("r", published.release.version))
    codes = ("no_description", "no_ucd", "no_unit", "constant")
    return published.release.tables[0], [f for f in report["findings"] if f["code"] not in codes]


def parquet(path: Path, **values: list[object]) -> Path:
    pq.write_table(pa.table(dict(values)), path / "a.parquet")
    return path / "a.parquet"


def told(findings: list[dict[str, object]]) -> set[tuple[object, ...]]:
    return {(f["severity"], f["code"], f["column"], f["count"]) for f in findings}


def test_a_column_that_is_called_an_identifier_is_checked(tmp_path: Path) -> None:
    table, findings = found(parquet(tmp_path, id=[1, 1, 2, None], x=[1, 1, 1, 1]))
    assert told(findings) == {("warning", "duplicates", "id", 1), ("warning", "no_identifier", "id", 1)}
    assert table.identifier is None
    assert "meta.main" not in str([c.ucd for c in table.columns])


def test_duplicates_behind_the_sample_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "SAMPLE_ROWS", 10)
    path = tmp_path / "a.csv"
    path.write_text("id,x\n" + "".join(f"{i},{i}\n" for i in range(200_000)) + "5,1\n")
    table, findings = found(path)
    assert told(findings) == {("warning", "duplicates", "id", 1)}
    assert table.identifier is None
    assert "meta.main" not in str([c.ucd for c in table.columns])


def test_a_declared_identifier_with_duplicates_is_an_error(tmp_path: Path) -> None:
    table, findings = found(parquet(tmp_path, id=[1, 1, 2], x=[1, 2, 1]), identifier="id")
    assert told(findings) == {("error", "duplicates", "id", 1)}
    assert (table.identifier, "meta.main" in str([c.ucd for c in table.columns])) == ("id", False)


def test_a_reference_to_another_table_is_no_identifier(tmp_path: Path) -> None:
    assert found(parquet(tmp_path, source_id=[1, 1, 1, 2, 2, 2], x=[1, 2, 1, 2, 1, 2]))[1] == []
    table, findings = found(parquet(tmp_path, id=[3, 1, 2], source_id=[1, 1, 2]))
    assert (table.identifier, findings) == ("id", [])
