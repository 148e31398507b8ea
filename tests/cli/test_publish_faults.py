"""Mistakes in a release file that only its data bring to light are told at their lines."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skygate.cli import main

HEAD = """[release]
name = "r"
title = "R"

[[table]]
name = "t"
files = "x.csv"
"""
COLUMN = "[table.columns.c]\n"


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (COLUMN + 'source = "x"\n', "line 8, column 1", "table t, column c: there is no column 'x'"),
        (
            COLUMN + 'derive = "id + nix"\n',
            "line 9, column",
            "table t, column c, derive: there is no",
        ),
        (COLUMN + 'derive = "id +* 2"\n', "line 9, column 15", "table t, column c, derive: cannot read"),
        (
            'columns.ra.null_when = "nix > 1"\n',
            "line 8, column",
            "table t, column ra, null_when: there is no",
        ),
        (
            'leave_out = [{ when = "sin(ra, dec)", because = "b" }]\n',
            "line 8, column 24",
            "table t, leave_out: 'sin(ra, dec)': sin takes 1",
        ),
        (
            '[[table.leave_out]]\nwhen = "nix > 1"\nbecause = "b"\n',
            "line 9, column",
            "table t, leave_out: there is",
        ),
        ('identifier = "nix"\n', "line 8, column 1", "there is no column 'nix' for the identifier"),
        (
            'position = { ra = "nix", dec = "dec" }\n',
            "line 8, column 1",
            "there is no column 'nix' for the position",
        ),
        (
            '[[key]]\nsource = "t"\ntarget = "t"\ncolumns = { nix = "id" }\n',
            "line 8, column 1",
            "a key names column 'nix'",
        ),
    ],
)
def test_the_file_and_the_line(
    text: str, place: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.csv").write_text("id,RA,dec\n1,2,3\n")
    (tmp_path / "bad.toml").write_text(HEAD + text)
    with pytest.raises(SystemExit, match="2"):
        main(["publish", str(tmp_path / "bad.toml"), "--root", str(tmp_path / "root")])
    said = capsys.readouterr().err
    assert f"skygate: {tmp_path}/bad.toml, {place}" in said
    assert message in said
    assert "ra, RA" not in said
    assert "c, id, RA" not in said


def test_the_hint_for_what_cannot_be_published_is_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pq.write_table(pa.table({"id": [1], "B in": [{"a": 1}]}), tmp_path / "x.parquet")
    (tmp_path / "r.toml").write_text(HEAD.replace("x.csv", "x.parquet"))
    words = ["publish", str(tmp_path / "r.toml"), "--root", str(tmp_path / "root")]
    with pytest.raises(SystemExit, match="2"):
        main(words)
    hint = "[table.columns.b_in] drop = true"
    assert hint in capsys.readouterr().err
    (tmp_path / "r.toml").write_text(HEAD.replace("x.csv", "x.parquet") + hint.replace("] ", "]\n") + "\n")
    main(words)


def test_a_value_that_does_not_fit_is_told_with_file_and_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("x", "y"):
        pq.write_table(pa.table({"id": pa.array([1, 2**63], pa.uint64())}), tmp_path / f"{name}.parquet")
    (tmp_path / "r.toml").write_text(HEAD.replace("x.csv", "x.parquet"))
    words = ["publish", str(tmp_path / "r.toml"), "--root", str(tmp_path / "root")]
    with pytest.raises(SystemExit, match="2"):
        main(words)
    said = capsys.readouterr().err
    assert f"{tmp_path}/x.parquet: table t, column id: row 2: '9223372036854775808' is no int64" in said
    (tmp_path / "r.toml").write_text(HEAD.replace("x.csv", "*.parquet"))
    with pytest.raises(SystemExit, match="2"):
        main(words)
    assert "x.parquet and 1 more, one after the other: table t, column id: row 2" in capsys.readouterr().err
