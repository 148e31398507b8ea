"""The command needs no home directory of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from skygate.cli import home


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_a_home_that_can_be_used_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert home.settle_home() is None
    assert os.environ["XDG_CACHE_HOME"] == ""


def test_without_a_home_there_is_a_temporary_one(tmp_path: Path) -> None:
    folder = home.settle_home()
    assert folder is not None
    assert folder.parent == tmp_path
    assert os.environ["XDG_CACHE_HOME"] == os.environ["XDG_CONFIG_HOME"] == str(folder)
    assert home.settle_home() is None, "it is there now"


def test_variables_that_are_set_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = home.settle_home()
    assert os.environ["XDG_CACHE_HOME"] == str(tmp_path)
    assert os.environ["XDG_CONFIG_HOME"] == str(folder)


_PUBLISH = """
import os, sys
real = os.stat
def stat(path, *rest, **more):
    if str(path).startswith(os.environ["HOME"]):
        raise PermissionError(13, "Permission denied", str(path))
    return real(path, *rest, **more)
access = os.access
os.stat = stat
os.access = lambda path, mode: not str(path).startswith(os.environ["HOME"]) and access(path, mode)
from skygate.cli import main
main(sys.argv[1:])
"""


def test_publishing_where_home_is_forbidden(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "x.csv").write_text("ra,dec\n1,2\n")
    words = ["publish", "x", str(tmp_path / "x.csv"), "--root", str(tmp_path / "root")]
    surroundings = {**os.environ, "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path)}
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        surroundings.pop(name)
    done = subprocess.run(
        [sys.executable, "-c", _PUBLISH, *words],
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "x version 1 published" in done.stdout
    assert not list(tmp_path.glob("skygate-home-*")), "it ends with the process"
    shutil.rmtree(tmp_path / "root")
