"""What a data manager is told of values and rules that are probably not what they seem."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from astropy.table import Table

from skygate.release.read import open_files, open_table
from skygate.release.recipe import ColumnRecipe, FixedColumn, LeaveOut, Recipe, TableRecipe
from skygate.services.publishing import publish, read_report
from skygate.stores.releases import FolderReleases


def published(folder: Path, *files: Path, **known: Any) -> tuple[dict[str, list[Any]], list[dict[str, Any]]]:
    """(values by column, findings) of one table."""
    table = TableRecipe("t", tuple(str(f) for f in files), **known)
    store = FolderReleases(folder / "root")
    publish(store, Recipe("r", "R", (table,)))
    release = store.load("r")
    rows = pq.read_table(release.tables[0].parts[0].path)
    findings = read_report(store.directory("r"))["tables"][0]["findings"]
    return {n: rows.column(n).to_pylist() for n in rows.column_names}, findings


def codes(findings: list[dict[str, Any]]) -> list[str]:
    return [f["code"] for f in findings]


@pytest.fixture
def mags(tmp_path: Path) -> Path:
    path = tmp_path / "mags.fits"
    table = Table({"n": np.arange(4), "mag": np.array([1.5, 99.99, 17.25, 99.99], dtype=np.float32)})
    table["mag"].unit = "mag"
    table.write(path)
    return path


def test_a_number_beside_a_real_is_what_is_shown(tmp_path: Path, mags: Path) -> None:
    values, findings = published(tmp_path, mags, columns=(("mag", ColumnRecipe(null_when="mag == 99.99")),))
    assert values["mag"] == [1.5, None, 17.25, None]
    assert "idle_rule" not in codes(findings)


@pytest.mark.parametrize("when", ["mag == 99.99", "mag in (99.99, 3)", "99.99 <= mag", "not (mag != 99.99)"])
def test_rows_are_left_out_by_what_is_shown(tmp_path: Path, mags: Path, when: str) -> None:
    values, _ = published(tmp_path, mags, leave_out=(LeaveOut(when, "no measurement"),))
    assert values["mag"] == [1.5, 17.25]


def test_rules_of_one_reason_are_told_one_by_one(tmp_path: Path, mags: Path) -> None:
    rules = (LeaveOut("n == 1", "odd"), LeaveOut("n == 9", "odd"), LeaveOut("n >= 2", "odd"))
    _, findings = published(tmp_path, mags, leave_out=rules)
    [told] = [f for f in findings if f["code"] == "idle_rule"]
    assert "leave_out when n == 9" in told["message"]
    report = read_report(FolderReleases(tmp_path / "root").directory("r"))["tables"][0]
    assert report["left_out"] == {"odd (when n == 1)": 1, "odd (when n >= 2)": 2}


def test_rules_that_no_row_meets_are_told(tmp_path: Path, mags: Path) -> None:
    rule = ColumnRecipe(null_when="mag > 1e300")
    _, findings = published(tmp_path, mags, columns=(("mag", rule),), leave_out=(LeaveOut("n == 9", "odd"),))
    told = [f for f in findings if f["code"] == "idle_rule"]
    assert [f["severity"] for f in told] == ["warning", "warning"]
    assert "leave_out when n == 9" in told[0]["message"]
    assert "null_when mag > 1e300" in told[1]["message"]


def test_a_unit_that_contradicts_the_file_is_told(tmp_path: Path, mags: Path) -> None:
    values, findings = published(tmp_path, mags, columns=(("mag", ColumnRecipe(unit="mmag")),))
    assert values["mag"][0] == 1.5
    told = next(f for f in findings if f["code"] == "unit_contradicted")
    assert told["column"] == "mag"
    assert "mmag" in told["message"]
    assert "unit_contradicted" not in codes(published(tmp_path, mags)[1])


def test_files_with_and_without_a_unit(tmp_path: Path, mags: Path) -> None:
    plain = tmp_path / "plain.csv"
    plain.write_text("n,mag\n7,2.5\n")
    for files in ((mags, plain), (plain, mags)):
        reader = open_files(files, TableRecipe("t", ("x",)))
        assert {c.name: c.unit for c in reader.columns}["mag"] == "mag"
        assert [f.code for f in reader.findings] == ["units_missing"]


def test_hours_without_a_unit_are_doubted(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    path = tmp_path / "h.csv"
    ra, dec = rng.uniform(0, 24, 2000), rng.uniform(-80, 80, 2000)
    path.write_text("ra,dec\n" + "\n".join(f"{a},{d}" for a, d in zip(ra, dec, strict=True)))
    assert "hours" in codes(published(tmp_path, path)[1])
    assert "hours" not in codes(published(tmp_path, path, columns=(("ra", ColumnRecipe(unit="deg")),))[1])


def test_hexadecimal_texts_are_codes(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("id,n\n0x00A1,1\n0xA1,2\n0X1F,0x3\n")
    values, _ = published(tmp_path, path)
    assert values == {"id": ["0x00A1", "0xA1", "0X1F"], "n": ["1", "2", "0x3"]}


def test_whole_numbers_that_a_double_would_round_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "n.csv"
    path.write_text("n\n0.5\n9007199254740993\n")
    assert published(tmp_path, path)[0] == {"n": ["0.5", "9007199254740993"]}


def test_each_value_of_a_mixed_encoding_is_read_as_it_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes("n,caf\u00e9\n1,caf\u00e9\n".encode() + b"2,\xe9t\xe9\n3,a\x96b\n")
    values, findings = published(tmp_path, path, columns=(("word", ColumnRecipe(source="caf\u00e9")),))
    assert values["word"] == ["caf\u00e9", "\u00e9t\u00e9", "a\u2013b"]
    assert next(f for f in findings if f["code"] == "not_utf8")["severity"] == "warning"
    fixed = tmp_path / "m.txt"
    fixed.write_bytes(b"1 \xe9t\xe9\n2 caf\xc3\xa9\n")
    columns = (FixedColumn("n", 1, 1), FixedColumn("word", 3, 7))
    values, findings = published(tmp_path, fixed, format="fixed", fixed=columns)
    assert values["word"] == ["\u00e9t\u00e9", "caf\u00e9"]
    assert "not_utf8" in codes(findings)


def test_a_ruled_header_has_units_and_is_no_data(tmp_path: Path) -> None:
    """VizieR's tab-separated tables."""
    path = tmp_path / "v.tsv"
    path.write_text(
        "#RESOURCE=x\n#\nHIP\tVmag\tpmRA\n \tmag\tmas/yr\n------\t-----\t--------\n"
        "1\t9.10\t-5.20\n2\t9.27\t\n\n"
    )
    reader = open_table(path, TableRecipe("t", ("x",)))
    assert [(c.name, str(f.type), c.unit) for c, f in zip(reader.columns, reader.schema, strict=True)] == [
        ("HIP", "int64", None),
        ("Vmag", "double", "mag"),
        ("pmRA", "double", "mas/yr"),
    ]
    assert [r for b in reader.batches() for r in b.to_pylist()] == [
        {"HIP": 1, "Vmag": 9.1, "pmRA": -5.2},
        {"HIP": 2, "Vmag": 9.27, "pmRA": None},
    ]
    path = tmp_path / "v.csv"
    path.write_text("a,b\n--,---\n1,2\n")
    assert open_table(path, TableRecipe("t", ("x",))).rows == 1
