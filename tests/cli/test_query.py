"""`skygate query`: to eyes, pipes and files, over a small real release and over made-up answers."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy.table import Table
from click.testing import CliRunner

from houses_made import MadeUpHouse, app_of
from releases_made import make_release
from skygate.cli import main
from skygate.cli.query import excerpt, query
from skygate.client import Client
from skygate.errors import TooCostly, Where
from skygate.inprocess import InProcess


@pytest.fixture(scope="session")
def root(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("root")
    make_release(path)
    return path


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def skygate(capfd, monkeypatch):
    """The whole command in this process: arguments and standard input in, status and texts out."""
    for name in [n for n in os.environ if n.startswith("SKYGATE")]:
        monkeypatch.delenv(name)

    def run(*arguments: str | Path, given: str = "") -> Done:
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        status = 0
        try:
            main(["query", *map(str, arguments)])
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 1
        return Done(status, *capfd.readouterr())

    return run


def test_into_a_pipe_goes_csv(root, skygate):
    done = skygate("SELECT TOP 2 id, mag_g FROM stars ORDER BY id", "--root", root)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    assert done.stdout.startswith("id,mag_g\n1,")


def test_the_query_may_come_from_standard_input(root, skygate):
    done = skygate("-", "--root", root, given="SELECT COUNT(*) AS n\nFROM stars")
    assert (done.returncode, done.stdout) == (0, "n\n5000\n")


def test_a_fault_shows_its_place_in_the_query(root, skygate):
    done = skygate("SELECT id,\n  mag_gg FROM stars", "--root", root)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[0].startswith("skygate: line 2, column 3:")
    assert done.stderr.splitlines()[1:] == ["    mag_gg FROM stars", "    ^^^^^^"]


def test_where_nothing_is_published(tmp_path, skygate):
    done = skygate("SELECT 1", "--root", tmp_path / "none")
    assert done.returncode == 2
    assert "there is no directory" in done.stderr
    done = skygate("SELECT 1", "--root", tmp_path)
    assert (done.returncode, "nothing is published" in done.stderr) == (2, True)
    done = skygate("SELECT 1", "--url", "http://127.0.0.1:9")
    assert (done.returncode, "cannot be reached" in done.stderr) == (1, True)


@pytest.fixture(scope="module")
def house():
    return MadeUpHouse()


@pytest.fixture(scope="module")
def transport(house):
    made = InProcess(app_of(house))
    yield made
    made.close()


@pytest.fixture
def run(house, transport, monkeypatch):
    """The command over made-up answers, in this process."""
    MadeUpHouse.__init__(house)

    class Kept(Client):
        def close(self) -> None:
            """The transport is shared by all tests."""

    def connect(target=None):
        return Kept("http://localhost", transport=transport)

    monkeypatch.setattr("skygate.connection.connect", connect)
    return lambda *arguments: CliRunner().invoke(query, list(map(str, arguments)), standalone_mode=False)


def test_a_files_ending_names_its_format(run, tmp_path):
    for name in ("a.fits", "a.vot", "a.csv", "a.parquet", "a.h5", "a.json", "a.xml", "a.tsv", "a.arrow"):
        done = run("SELECT * FROM stars", "-o", tmp_path / name)
        assert done.exception is None, (name, done.exception)
        assert (tmp_path / name).stat().st_size > 50
    assert len(Table.read(tmp_path / "a.fits")) == 3
    assert len(Table.read(tmp_path / "a.vot", format="votable")) == 3
    assert pq.read_table(tmp_path / "a.parquet").num_rows == 3
    assert len(pd.read_csv(tmp_path / "a.csv")) == 3
    assert sorted(p.suffix for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_a_format_by_name_wins_and_an_unknown_ending_needs_one(run, tmp_path):
    assert run("SELECT 1", "-o", tmp_path / "x.data", "--format", "csv").exception is None
    assert (tmp_path / "x.data").read_text().startswith("id,ra,")
    done = run("SELECT 1", "-o", tmp_path / "y.xlsx")
    assert "xlsx" in str(done.exception)
    assert "nothing for" in str(run("SELECT 1", "--format", "nothing for").exception)


@pytest.mark.parametrize("name", ["a.vot", "a.csv", "a.fits", "a.parquet"])
def test_a_fault_midway_leaves_the_old_file_and_nothing_else(run, house, tmp_path, name):
    (tmp_path / name).write_text("old")
    house.batches, house.late_fault = 2000, TooCostly("ran for 60 s")
    done = run("SELECT * FROM stars", "-o", tmp_path / name)
    assert done.exception is not None
    assert (tmp_path / name).read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_new_file_has_the_usual_permissions(run, tmp_path):
    mask = os.umask(0o027)
    try:
        run("SELECT * FROM stars", "-o", tmp_path / "a.csv")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a.csv").stat().st_mode) == 0o640


def test_a_place_that_cannot_be_written(run, tmp_path):
    done = run("SELECT 1", "-o", tmp_path / "none" / "a.csv")
    assert "cannot be written" in str(done.exception)


def test_a_cut_answer_warns_and_has_a_status_of_its_own(run, house):
    house.overflow = True
    done = run("SELECT * FROM stars")
    assert done.return_value == 3 or getattr(done.exception, "exit_code", None) == 3
    assert "only the first 3 rows" in done.stderr
    done = run("SELECT * FROM stars", "--maxrec", 3)
    assert "only the first 3 rows" in done.stderr
    assert getattr(done.exception, "exit_code", 0) == 0
    assert done.return_value in (None, 0)


def test_a_terminal_sees_a_table(run, house, monkeypatch):
    monkeypatch.setattr("skygate.cli.query._on_terminal", lambda: True)
    lines = run("SELECT * FROM stars").output.splitlines()
    assert lines[0].split()[:4] == ["id", "ra", "dec", "name"]
    assert lines[-1] == "3 rows"
    house.batches = 100
    assert "the first 100 rows" in run("SELECT * FROM stars").output
    assert "terminal" in str(run("SELECT 1", "--format", "fits").exception)


def test_the_caret_stands_under_its_token():
    assert excerpt("SELECT\tx", Where(line=1, column=8, token="x")) == "  SELECT x\n         ^"
    assert (
        excerpt("SELECT '星', y", Where(line=1, column=13, token="y")) == "  SELECT '星', y\n               ^"
    )
    assert excerpt("SELECT", Where(line=1, column=7)) == "  SELECT\n        ^"
    assert excerpt("SELECT", None) == ""
    assert excerpt("SELECT", Where(line=9, column=1)) == ""


def test_a_reader_who_has_enough_is_no_fault(root):
    verb = f"{sys.executable} -c 'from skygate.cli import main; main()' query"
    command = f"{verb} 'SELECT * FROM stars' --root {root}"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -1"], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("id,ra,dec")
    assert done.stderr == ""
    assert io.StringIO(done.stdout).readline().endswith("\n")
