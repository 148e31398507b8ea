"""`skygate warm`, and the caches that a publish leaves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from releases_made import make_release
from skygate.cli import verbs
from skygate.engines import mapped_build
from skygate.errors import HouseError
from skygate.stores.releases import FolderReleases

CSV = "id,ra,dec,mag\n" + "".join(f"{i},{i / 10},{i / 20},{15 + i / 100}\n" for i in range(300))


def run(*arguments: object, status: int = 0) -> str:
    result = CliRunner().invoke(verbs, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == status, result.output
    return result.stdout


def mapped_of(path: str | Path) -> list[str]:
    folder = Path(path) / "cache" / "mapped"
    return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []


def test_warm_builds_what_is_missing_and_says_so(tmp_path):
    one, two = make_release(tmp_path, rows=700), make_release(tmp_path, "other", rows=600)
    told = run("warm", "other", "--root", tmp_path)
    assert "other version 1: stars, 600 rows in" in told
    assert mapped_of(one.path) == []
    lines = json.loads(run("warm", "--root", tmp_path, "--json"))
    told = [(line["release"], line["version"], line["table"], line["action"]) for line in lines]
    assert told == [("mini", "1", "stars", "built"), ("mini", "1", "notes", "built")]
    assert mapped_of(one.path) == mapped_of(two.path) == ["stars"]
    assert run("warm", "--root", tmp_path) == "nothing is missing\n"
    assert "sound" in run("check", "mini", "--root", tmp_path)


def test_a_failure_is_told_and_has_a_status(tmp_path):
    release = make_release(tmp_path, rows=700)
    (Path(release.path) / "cache").write_text("in the way")
    told = run("warm", "--root", tmp_path, status=1)
    assert "stars could not be built" in told
    assert "works without it" in told


def test_publish_builds_after_the_version_is_in_force(tmp_path, monkeypatch):
    (tmp_path / "stars.csv").write_text(CSV)
    seen: list[str] = []
    original = mapped_build.build

    def noted(release, table, wrote, **more):
        seen.append(FolderReleases(tmp_path).current("survey"))
        return original(release, table, wrote, **more)

    monkeypatch.setattr(mapped_build, "build", noted)
    told = run("publish", "survey", tmp_path / "stars.csv", "--root", tmp_path)
    assert "cache: stars, 300 rows in" in told
    assert seen == ["1"]
    again = json.loads(run("publish", "survey", tmp_path / "stars.csv", "--root", tmp_path, "--json"))
    assert (again["action"], again["caches"]) == ("unchanged", [])
    (tmp_path / "stars.csv").write_text(CSV + "300,1,1,1\n")
    second = json.loads(
        run("publish", "survey", tmp_path / "stars.csv", "--root", tmp_path, "--json", "--no-warm")
    )
    assert second["caches"] == []
    assert mapped_of(second["path"]) == []


def test_a_cache_that_fails_does_not_fail_the_publish(tmp_path, monkeypatch):
    def broken(*_: object, **__: object) -> bool:
        raise HouseError("the disk is full")

    monkeypatch.setattr(mapped_build, "build", broken)
    (tmp_path / "stars.csv").write_text(CSV)
    told = run("publish", "survey", tmp_path / "stars.csv", "--root", tmp_path)
    assert "survey version 1 published" in told
    assert "stars could not be built: the disk is full" in told


@pytest.mark.parametrize("verb", ["prune", "unpublish"])
def test_caches_go_with_their_version(tmp_path, verb):
    old, new = make_release(tmp_path, rows=500), make_release(tmp_path, rows=600)
    run("warm", "--root", tmp_path)
    run("rollback", "mini", "1", "--root", tmp_path)
    run("warm", "--root", tmp_path)
    assert mapped_of(old.path) == mapped_of(new.path) == ["stars"]
    run("rollback", "mini", "2", "--root", tmp_path)
    if verb == "prune":
        run("prune", "mini", "--keep", "1", "--root", tmp_path)
        assert mapped_of(new.path) == ["stars"]
    else:
        run("unpublish", "mini", "--yes", "--root", tmp_path)
        assert not Path(new.path).exists()
    assert not Path(old.path).exists()


def test_a_cache_can_be_deleted_at_any_time(tmp_path):
    release = make_release(tmp_path, rows=500)
    run("warm", "--root", tmp_path)
    shutil.rmtree(Path(release.path) / "cache")
    assert "sound" in run("check", "mini", "--root", tmp_path)
    assert "500 rows" in run("warm", "--root", tmp_path)
