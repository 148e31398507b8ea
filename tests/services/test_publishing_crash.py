"""Drills: a publish is killed, and always the old version is in force or the new one is complete."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from services.publishing_sources import write_sources
from skygate.release.recipe_file import read_recipe
from skygate.services.publishing import publish
from skygate.stores.releases import FolderReleases

DRIVER = Path(__file__).with_name("publishing_driver.py")


def drive(recipe: Path, root: Path, fatal: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DRIVER), str(recipe), str(root), str(fatal)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@contextmanager
def reading(root: Path) -> Iterator[list[str]]:
    """Somebody who reads the release in force all the time; the versions that were seen."""
    stop = threading.Event()
    seen: list[str] = []
    faults: list[Exception] = []

    def read() -> None:
        store = FolderReleases(root)
        while not stop.is_set():
            try:
                release = store.load("small")
                for table in release.tables:
                    rows = sum(
                        pq.ParquetFile(part.path).read(["id"] if table.name == "objects" else None).num_rows
                        for part in table.parts
                    )
                    assert rows == table.rows
                if release.version not in seen:
                    seen.append(release.version)
            except Exception as fault:  # noqa: BLE001 - whatever it is, the drill shows it
                faults.append(fault)
            time.sleep(0.01)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
    assert faults == []


def after_a_crash(root: Path, recipe: Path, old: str) -> None:
    """The old version is in force or the new one complete; a further publish completes."""
    store = FolderReleases(root)
    for version in store.versions("small"):
        assert store.check("small", version) == []
    survivor = store.load("small")
    assert survivor.version in (old, str(int(old) + 1))
    done = publish(store, read_recipe(recipe))
    assert done.release.version == str(int(old) + 1)
    assert store.current("small") == done.release.version
    assert store.check("small") == []
    assert publish(store, read_recipe(recipe)).action == "unchanged"
    left = [p.name for p in (root / "releases/small").iterdir() if p.name.startswith((".staging", ".trash"))]
    assert left == []


@pytest.fixture(scope="module")
def moments(tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many durable steps a second version takes."""
    folder = tmp_path_factory.mktemp("moments")
    publish(FolderReleases(folder / "root"), read_recipe(write_sources(folder / "raw")))
    done = drive(write_sources(folder / "raw", seed=2), folder / "root")
    assert done.returncode == 0, done.stderr
    action, version, _, count = done.stdout.split(" ")
    assert (action, version) == ("published", "2")
    return int(count)


def drill(tmp_path: Path, fatal: int) -> None:
    root = tmp_path / "root"
    publish(FolderReleases(root), read_recipe(write_sources(tmp_path / "raw")))
    recipe = write_sources(tmp_path / "raw", seed=2)
    with reading(root) as seen:
        killed = drive(recipe, root, fatal)
        assert killed.returncode == -9, killed.stderr
        after_a_crash(root, recipe, "1")
    assert seen[0] == "1"


# the last steps are the commit: name the version, flush, write the pointer anew, move it, flush
@pytest.mark.parametrize("back", [0, 1, 4])
def test_killed_in_the_commit(tmp_path: Path, moments: int, back: int) -> None:
    drill(tmp_path, moments - back)


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_killed_on_the_way(tmp_path: Path, moments: int, share: float) -> None:
    drill(tmp_path, max(1, int(moments * share)))


def test_two_publishers_are_kept_apart(tmp_path: Path) -> None:
    recipe = write_sources(tmp_path / "raw", rows=5_000)
    command = [sys.executable, str(DRIVER), str(recipe), str(tmp_path / "root")]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [process.communicate() for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes[0] == 0, said
    # the slower one either found the lock taken, or came after the end and had nothing to do
    assert codes[1] == 0 or any("is being published by" in err for _, err in said), said
    assert FolderReleases(tmp_path / "root").versions("small") == ["1"]


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
def test_killed_at_a_random_moment(tmp_path: Path, seed: int) -> None:
    root = tmp_path / "root"
    publish(FolderReleases(root), read_recipe(write_sources(tmp_path / "raw", rows=20_000)))
    recipe = write_sources(tmp_path / "raw", rows=20_000, seed=2)
    began = time.monotonic()
    copy = tmp_path / "copy"
    assert drive(recipe, copy).returncode == 0
    seconds = time.monotonic() - began
    with reading(root):
        child = subprocess.Popen(
            [sys.executable, str(DRIVER), str(recipe), str(root)], stdout=subprocess.DEVNULL
        )
        time.sleep(random.Random(seed).uniform(0, seconds * 1.1))
        child.kill()
        child.wait()
        after_a_crash(root, recipe, "1")


@pytest.mark.soak
def test_killed_at_every_durable_step(tmp_path: Path, moments: int) -> None:
    for fatal in range(1, moments + 1):
        drill(tmp_path / str(fatal), fatal)
