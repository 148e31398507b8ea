"""What is the same input, and when a checksum of before may be believed."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from skygate.errors import BadRelease
from skygate.release import inputs as craft
from skygate.release.recipe import KeyRecipe, Recipe, TableRecipe
from skygate.wire import from_json, to_json


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    return path


def recipe(base: Path) -> Recipe:
    return Recipe("r", "R", (TableRecipe("t", ("a.csv",)),), base=str(base), text="text")


def aged(inputs: craft.Inputs) -> craft.Inputs:
    """As if the checksums had been taken an hour after the last change."""
    later = time.time_ns() + 3_600_000_000_000
    tables = tuple(
        replace(t, files=tuple(replace(f, checked_ns=later) for f in t.files)) for t in inputs.tables
    )
    return replace(inputs, tables=tables)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    read: list[Path] = []
    real = craft.sha256_of

    def count(path: Path) -> str:
        read.append(path)
        return real(path)

    monkeypatch.setattr(craft, "sha256_of", count)
    return read


def test_a_file_is_read_once_as_long_as_nothing_changed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = counted(monkeypatch)
    files = {"t": [file]}
    first = craft.survey(recipe(file.parent), files)
    assert len(read) == 1
    assert craft.survey(recipe(file.parent), files, known=[aged(first)]).fingerprint == first.fingerprint
    assert len(read) == 1


def test_a_file_changed_just_before_is_not_believed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = counted(monkeypatch)
    first = craft.survey(recipe(file.parent), {"t": [file]})
    craft.survey(recipe(file.parent), {"t": [file]}, known=[first])
    assert len(read) == 2, "its times cannot tell a change within the clock's grain"


def test_times_that_were_set_back_do_not_deceive(file: Path) -> None:
    stat = file.stat()
    first = craft.survey(recipe(file.parent), {"t": [file]})
    file.write_text("a\n2\n")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    second = craft.survey(recipe(file.parent), {"t": [file]}, known=[aged(first)])
    assert second.fingerprint != first.fingerprint
    assert second.digest("t") != first.digest("t")


def test_moving_everything_elsewhere_is_no_change(file: Path, tmp_path: Path) -> None:
    first = craft.survey(recipe(file.parent), {"t": [file]})
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.csv").write_bytes(file.read_bytes())
    assert craft.survey(recipe(other), {"t": [other / "a.csv"]}).fingerprint == first.fingerprint


def test_what_the_recipe_says_counts(file: Path) -> None:
    base = recipe(file.parent)
    files = {"t": [file]}
    said = [
        base,
        replace(base, title="S"),
        replace(base, text="other"),
        replace(base, keys=(KeyRecipe("t", "t", (("a", "a"),)),)),
        replace(base, tables=(replace(base.tables[0], description="d"),)),
    ]
    assert len({craft.survey(one, files).fingerprint for one in said}) == len(said)
    digests = {craft.survey(one, files).digest("t") for one in said}
    assert len(digests) == 2, "only what is said of the table makes the table anew"


def test_inputs_read_back(file: Path) -> None:
    inputs = craft.survey(recipe(file.parent), {"t": [file]})
    assert from_json(craft.Inputs, json.loads(json.dumps(to_json(inputs)))) == inputs
    (file.parent / craft.INPUTS).write_text("{")
    assert craft.read_inputs(file.parent) is None
    assert craft.read_inputs(file.parent / "nowhere") is None


def test_a_file_that_cannot_be_read_is_named(file: Path) -> None:
    with pytest.raises(BadRelease, match=r"gone\.csv"):
        craft.survey(recipe(file.parent), {"t": [file.parent / "gone.csv"]})
