"""The verbs around releases, as an operator types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from releases_made import make_release
from services.publishing_sources import write_sources
from skygate.cli import main


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for seed in range(3):
        make_release(tmp_path / "root", rows=60, seed=seed)
    return tmp_path / "root"


class Answer:
    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err


@pytest.fixture
def type_in(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SKYGATE_ROOT", raising=False)

    def run(*words: object) -> Answer:
        status = 0
        try:
            main([str(word) for word in words])
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 0
        said = capsys.readouterr()
        assert "Traceback" not in said.err + said.out
        return Answer(status, said.out, said.err)

    return run


def test_releases_lists_what_is_in_force(type_in, root: Path) -> None:
    answer = type_in("releases", "--root", root)
    assert answer.status == 0
    assert "mini" in answer.out
    assert "A small release" in answer.out
    (line,) = json.loads(type_in("releases", "--root", root, "--json").out)
    assert (line["name"], line["version"], line["rows"], line["tables"]) == ("mini", "3", 66, 2)


def test_a_broken_release_does_not_hide_the_others(type_in, root: Path) -> None:
    make_release(root, "other", rows=60)
    (root / "releases/mini/3/manifest.json").unlink()
    answer = type_in("releases", "--root", root)
    assert answer.status == 0
    assert "BROKEN: has no manifest" in answer.out
    assert "other" in answer.out
    assert type_in("info", "mini", "--root", root).status == 1


def test_an_empty_directory_is_no_fault(type_in, tmp_path: Path) -> None:
    assert type_in("releases", "--root", tmp_path / "none").status == 0
    assert json.loads(type_in("releases", "--root", tmp_path / "none", "--json").out) == []


def test_info_says_how_to_cite_and_what_is_inside(type_in, root: Path) -> None:
    answer = type_in("info", "mini", "--root", root)
    for word in ("A small release", "A. Tester", "CC0-1.0", "1, 2, 3 (in force)", "stars", "ra, dec at 2016"):
        assert word in answer.out
    told = json.loads(type_in("info", "mini", "--version", "1", "--root", root, "--json").out)
    assert (told["version"], told["current"], told["versions"]) == ("1", "3", ["1", "2", "3"])
    assert [table["name"] for table in told["tables"]] == ["stars", "notes"]


def test_check_says_sound_or_what_is_wrong(type_in, root: Path) -> None:
    answer = type_in("check", "--all", "--root", root)
    assert (answer.status, answer.out.count("sound")) == (0, 3)
    part = next((root / "releases/mini/2/tables").rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-9])
    assert type_in("check", "mini", "--root", root).status == 0, "the one in force is sound"
    answer = type_in("check", "mini", "--version", "2", "--root", root)
    assert answer.status == 1
    assert part.name in answer.out
    told = type_in("check", "mini", "--all", "--root", root, "--json")
    assert told.status == 1
    assert [bool(one["findings"]) for one in json.loads(told.out)] == [False, True, False]


def test_rollback_prune_and_unpublish(type_in, root: Path) -> None:
    assert "version 2 is in force" in type_in("rollback", "mini", "--root", root).out
    assert "version 3 is in force" in type_in("rollback", "mini", "3", "--root", root).out
    assert "mini: removed version 1\n" in type_in("prune", "mini", "--keep", "2", "--root", root).out
    assert "nothing to remove" in type_in("prune", "mini", "--root", root).out
    assert "is removed (2 versions)" in type_in("unpublish", "mini", "--yes", "--root", root).out
    assert type_in("info", "mini", "--root", root).status == 2


def test_unpublish_asks_first(type_in, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.confirm", lambda *_, **__: (_ for _ in ()).throw(__import__("click").Abort()))
    assert type_in("unpublish", "mini", "--root", root).status == 130
    assert (root / "releases/mini/current").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("info", "nothing"), "no release 'nothing'"),
        (("rollback", "mini", "9"), "versions: 1, 2, 3"),
        (("check", "mini", "--version", "x"), "has no version 'x'"),
        (("unpublish", "no", "--yes"), "no release 'no'"),
        (("prune", "mini", "--keep", "0"), "at least one"),
        (("publish", "nothing"), "is no file"),
        (("publish", "nothing.toml"), "nothing.toml"),
        (("publish", "name", "missing.csv"), "missing.csv"),
    ],
)
def test_mistakes_are_one_clear_sentence(type_in, root: Path, words: tuple[str, ...], says: str) -> None:
    answer = type_in(*words, "--root", root)
    assert answer.status == 2
    assert says in answer.err
    assert answer.err.startswith("skygate: ")
    assert len(answer.err.strip().splitlines()) == 1


def test_publish_by_recipe_then_again_then_changed(type_in, tmp_path: Path) -> None:
    recipe = write_sources(tmp_path / "raw", rows=200)
    root = tmp_path / "root"
    answer = type_in("publish", recipe, "--root", root)
    assert answer.status == 0
    assert "small version 1 published" in answer.out
    assert "2 tables, 300 rows" in answer.out
    assert "objects: 200 rows, 5 columns" in answer.err
    assert "unchanged" in type_in("publish", recipe, "--root", root).out
    write_sources(tmp_path / "raw", rows=200, seed=2)
    told = json.loads(type_in("publish", tmp_path / "raw", "--root", root, "--json", "--strict").out)
    assert (told["version"], told["action"], told["errors"]) == ("2", "published", 0)
    assert told["tables"] == {"objects": 200, "visits": 100}
    assert Path(told["path"]) == root / "releases/small/2"


def test_publish_by_name_and_files_below_the_default_root(type_in, tmp_path: Path) -> None:
    write_sources(tmp_path / "raw", rows=200)
    answer = type_in("publish", "quick", "raw/objects.csv", "raw/visits-0.csv")
    assert answer.status == 0, answer.err
    assert (tmp_path / "skygate-data/releases/quick/current").read_text() == "1\n"


def test_strict_refuses_with_the_reason(type_in, tmp_path: Path) -> None:
    recipe = write_sources(tmp_path / "raw", rows=200)
    visits = tmp_path / "raw" / "visits-0.csv"
    visits.write_text(visits.read_text() + "0,123456,0.5\n")
    answer = type_in("publish", recipe, "--strict", "--root", tmp_path / "root")
    assert answer.status == 2
    assert "the report has an error" in answer.err
    assert json.loads(type_in("releases", "--root", tmp_path / "root", "--json").out) == []


def test_a_root_that_cannot_be_written_is_one_clear_sentence(type_in, tmp_path: Path) -> None:
    recipe = write_sources(tmp_path / "raw", rows=200)
    (tmp_path / "root").write_text("a file")
    answer = type_in("publish", recipe, "--root", tmp_path / "root" / "deeper")
    assert answer.status == 1
    assert "Not a directory" in answer.err
    assert len(answer.err.strip().splitlines()) == 1


def test_a_full_disk_is_one_clear_sentence_and_changes_nothing(
    type_in, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    recipe = write_sources(tmp_path / "raw", rows=200)
    with monkeypatch.context() as broken:
        broken.setattr("skygate.release.parts.sync_file", full)
        answer = type_in("publish", recipe, "--root", tmp_path / "root")
    assert answer.status == 1
    assert "No space left on device" in answer.err
    assert type_in("publish", recipe, "--root", tmp_path / "root").status == 0


def test_what_is_not_published_is_not_asked_about(type_in, root: Path, monkeypatch) -> None:
    monkeypatch.setattr("click.confirm", lambda *_, **__: pytest.fail("there is nothing to remove"))
    answer = type_in("unpublish", "nothing", "--root", root)
    assert (answer.status, answer.out) == (2, "")
    assert "no release 'nothing' is published (published: mini)" in answer.err


def test_one_of_a_thing_is_singular(type_in, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("id\n1\n")
    told = type_in("publish", "lone", tmp_path / "one.csv", "--root", tmp_path / "r")
    assert "  1 table, 1 row, checksum" in told.out
    assert "one: 1 row, 1 column, 1 file" in told.err
    assert "removed (1 version)" in type_in("unpublish", "lone", "--yes", "--root", tmp_path / "r").out


def test_check_says_how_to_mend_and_that_mends(type_in, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("id\n1\n")
    words = ("publish", "lone", tmp_path / "one.csv", "--root", tmp_path / "r")
    type_in(*words)
    (part,) = (tmp_path / "r/releases/lone/1/tables").rglob("part*.parquet")
    data = bytearray(part.read_bytes())
    data[8] ^= 255
    part.write_bytes(bytes(data))
    told = type_in("check", "lone", "--root", tmp_path / "r")
    assert told.status == 1
    assert "--again" in told.out
    assert "--again" in json.loads(type_in("check", "--json", "--root", tmp_path / "r").out)[0]["hint"]
    assert "unchanged" in type_in(*words).out
    assert "lone version 2 published" in type_in(*words, "--again").out
    assert type_in("check", "lone", "--root", tmp_path / "r").status == 0
