"""One value that turns a whole column into text is told: where it stands, and among what."""

from __future__ import annotations

import sqlite3
import warnings
from pathlib import Path

import numpy as np
import pytest

from skygate.release.coordinates import normalised
from skygate.release.findings import Finding
from skygate.release.read import open_table
from skygate.release.recipe import TableRecipe


def findings_of(path: Path) -> list[Finding]:
    reader = open_table(path, TableRecipe("t", ("x",)))
    for _ in reader.batches():
        pass
    return list(reader.findings)


ROWS = 30_000


@pytest.mark.parametrize(
    ("usual", "slip", "among"),
    [
        ("17", "99999999999999999999", "numbers"),
        ("17", "-9223372036854775809", "numbers"),
        ("2020-01-31", "2020-02-30", "dates"),
        ("2020-01-31T10:00:00", "2021-02-29T10:00:00", "dates"),
        ("17", "2020-01-01", "numbers"),
    ],
)
@pytest.mark.parametrize("at", [0, 5, ROWS - 1])
def test_values_that_have_the_form_and_are_none(tmp_path, usual, slip, among, at):
    path = tmp_path / "a.csv"
    values = [usual] * ROWS
    values[at] = slip
    path.write_text("id,x\n" + "".join(f"{i},{v}\n" for i, v in enumerate(values)))
    (found,) = [f for f in findings_of(path) if f.code == "text_among_numbers"]
    assert found.column == "x"
    assert f"line {at + 2}: {slip!r} among {ROWS - 1:,} {among} makes the whole column text" in found.message


@pytest.mark.parametrize(
    "values", [["9223372036854775807", "1"], ["2020-02-29", "2019-12-31"], ["a", "2020-02-30"]]
)
def test_what_is_as_it_should_be_is_not_told(tmp_path, values):
    path = tmp_path / "a.csv"
    path.write_text("id,x\n" + "".join(f"{i},{v}\n" for i, v in enumerate(values * 50)))
    assert not [f for f in findings_of(path) if f.code == "text_among_numbers"]


def test_decimal_commas_are_told(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id;x;y\n" + "".join(f"{i};{i},5;{i}\n" for i in range(50)))
    (found,) = [f for f in findings_of(path) if f.code == "decimal_commas"]
    assert found.column == "x"
    path.write_text("id;x;y\n" + "".join(f"{i};{'1,5' if i else 'Smith, J.'};{i}\n" for i in range(50)))
    assert not [f for f in findings_of(path) if f.code == "decimal_commas"]


def test_mixed_storage_of_sqlite_is_told(tmp_path):
    path = tmp_path / "a.sqlite"
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE t (id INTEGER, x REAL, n INTEGER, name TEXT)")
        base.executemany(
            "INSERT INTO t VALUES (?, ?, ?, ?)",
            [(i, "oops" if i == 3 else i / 2, i, f"s{i}") for i in range(9)],
        )
    base.close()
    (found,) = findings_of(path)
    assert (found.code, found.column, found.count) == ("text_among_numbers", "x", 1)


def test_infinite_right_ascensions_warn_nobody_on_the_terminal():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ra, good = normalised(np.array([np.inf, -10.0, np.nan, 365.0]), np.array([0.0, 0.0, 0.0, 0.0]))
    assert good.tolist() == [False, True, False, True]
    assert ra[1] == 350.0
    assert ra[3] == 5.0
