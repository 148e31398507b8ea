"""A running server builds what is missing, in a process of its own, and stops it when it stops."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import anyio
import pytest

from releases_made import make_release
from skygate import background
from skygate.app import create_app
from skygate.assembly import open_house
from skygate.engines.caches import Caches as CacheFiles
from skygate.errors import HouseError
from skygate.services.releases import ReleasesService
from skygate.settings import Caches, Settings
from skygate.stores.releases import FolderReleases


@pytest.fixture(autouse=True)
def child_finds_us(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(p for p in sys.path if p))
    monkeypatch.setattr(background, "LOOK_S", 0.05)


async def until(true, seconds: float = 60.0) -> None:
    with anyio.fail_after(seconds):
        while not true():
            await anyio.sleep(0.05)


def test_versions_are_warmed_as_they_come(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="skygate.caches")
    release, mapped = make_release(tmp_path, rows=800), CacheFiles()

    async def story() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(
                background.build_caches, ReleasesService(FolderReleases(tmp_path)), mapped, tmp_path
            )
            await until(lambda: not mapped.missing(release))
            second = make_release(tmp_path, rows=900)
            await until(lambda: not mapped.missing(second))
            group.cancel_scope.cancel()

    anyio.run(story)
    told = [r for r in caplog.records if r.message == "caches were built"]
    assert told
    assert '"built"' in told[0].fields["said"]


def test_what_cannot_be_built_is_not_tried_without_end(tmp_path, caplog):
    release, mapped = make_release(tmp_path, rows=800), CacheFiles()
    (Path(release.path) / "cache").write_text("no directory")

    async def story() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(
                background.build_caches, ReleasesService(FolderReleases(tmp_path)), mapped, tmp_path
            )
            await until(lambda: any("could not" in r.message for r in caplog.records))
            await anyio.sleep(1)
            group.cancel_scope.cancel()

    anyio.run(story)
    assert len([r for r in caplog.records if "could not" in r.message]) == 1


def test_releases_that_are_away_are_waited_for(tmp_path, caplog):
    root, away = tmp_path / "root", tmp_path / "away"
    release, mapped = make_release(root, rows=800), CacheFiles()
    root.rename(away)

    async def story() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(background.build_caches, ReleasesService(FolderReleases(root)), mapped, root)
            await until(lambda: any("are away" in r.message for r in caplog.records))
            await anyio.sleep(0.2)
            away.rename(root)
            await until(lambda: not mapped.missing(release))
            group.cancel_scope.cancel()

    anyio.run(story)


def test_a_directory_that_may_not_be_written_is_told_and_stops_nothing(tmp_path, caplog, monkeypatch):
    make_release(tmp_path, rows=800)

    class Refused(CacheFiles):
        def busy(self, release):
            raise HouseError("caches cannot be built here")

    async def story() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(
                background.build_caches, ReleasesService(FolderReleases(tmp_path)), Refused(), tmp_path
            )
            await until(lambda: any("cannot be built here" in r.getMessage() for r in caplog.records))
            await anyio.sleep(0.3)
            group.cancel_scope.cancel()

    anyio.run(story)
    assert len([r for r in caplog.records if "cannot be built here" in r.getMessage()]) == 1


def test_a_stop_ends_the_child(tmp_path, monkeypatch):
    make_release(tmp_path, rows=800)
    mark = tmp_path / "pid"
    code = (
        f"import os, pathlib, time; pathlib.Path({str(mark)!r}).write_text(str(os.getpid())); time.sleep(99)"
    )
    monkeypatch.setattr(background, "_COMMAND", (sys.executable, "-c", code))

    async def story() -> None:
        async with anyio.create_task_group() as group:
            releases = ReleasesService(FolderReleases(tmp_path))
            group.start_soon(background.build_caches, releases, CacheFiles(), tmp_path)
            await until(lambda: mark.exists() and mark.read_text() != "")
            group.cancel_scope.cancel()

    anyio.run(story)
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)


@pytest.mark.parametrize(("build", "warm"), [(True, True), (False, True), (True, False)])
def test_a_setting_turns_it_off(tmp_path, monkeypatch, build, warm):
    make_release(tmp_path, rows=800)
    asked: list[bool] = []

    async def noted(*_: object) -> None:
        asked.append(True)

    monkeypatch.setattr(background, "build_caches", noted)
    settings = Settings(root=tmp_path, caches=Caches(build=build))
    app = create_app(open_house(settings), settings, warm=warm)

    async def story() -> None:
        async with app.router.lifespan_context(app):
            await anyio.sleep(0.1)

    anyio.run(story)
    assert asked == ([True] if build and warm else [])
