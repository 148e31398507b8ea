"""The folder of releases: pointers, versions, locks, and what a crash leaves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from releases_made import make_release
from skygate.errors import BadRelease, BrokenRelease, CallerError, NotFound
from skygate.stores.releases import FolderReleases


@pytest.fixture
def store(tmp_path: Path) -> FolderReleases:
    return FolderReleases(tmp_path)


def make(tmp_path: Path, *, versions: int = 1, name: str = "mini") -> FolderReleases:
    for seed in range(versions):
        make_release(tmp_path, name, rows=60, seed=seed)
    return FolderReleases(tmp_path)


def test_an_empty_root_holds_nothing(store: FolderReleases, tmp_path: Path) -> None:
    assert store.names() == []
    assert store.versions("mini") == []
    for ask in (store.current, store.load, store.directory, store.rollback, store.unpublish):
        with pytest.raises(NotFound, match="nothing is published here"):
            ask("mini")
    with pytest.raises(NotFound):
        store.prune("mini", keep=1)
    assert list(tmp_path.iterdir()) == [], "asking makes nothing"


def test_versions_count_up_and_the_newest_is_in_force(tmp_path: Path) -> None:
    store = make(tmp_path, versions=11)
    assert store.names() == ["mini"]
    assert store.versions("mini") == [str(n) for n in range(1, 12)]
    assert store.current("mini") == "11"
    assert store.load("mini").version == "11"
    assert store.load("mini", "2").version == "2"
    assert store.directory("mini", "2") == tmp_path / "releases/mini/2"


def test_loading_is_cached_and_two_versions_differ(tmp_path: Path) -> None:
    store = make(tmp_path, versions=2)
    assert store.load("mini") is store.load("mini", "2")
    assert store.load("mini", "1").checksum != store.load("mini").checksum


def test_the_fingerprint_changes_with_every_pointer(tmp_path: Path) -> None:
    store = make(tmp_path, versions=2)
    seen = [store.fingerprint()]
    assert store.fingerprint() == seen[0]
    store.rollback("mini")
    seen.append(store.fingerprint())
    make_release(tmp_path, "other", rows=60)
    seen.append(store.fingerprint())
    store.unpublish("other")
    seen.append(store.fingerprint())
    store.point("mini", "1")
    seen.append(store.fingerprint())
    assert len({*seen}) >= 4
    assert len(set(seen[:3])) == 3


def test_rollback_goes_back_one_or_to_a_version(tmp_path: Path) -> None:
    store = make(tmp_path, versions=3)
    assert store.rollback("mini") == "2"
    assert store.rollback("mini") == "1"
    with pytest.raises(NotFound, match="no version before 1"):
        store.rollback("mini")
    assert store.rollback("mini", "3") == "3"
    with pytest.raises(NotFound, match="versions: 1, 2, 3"):
        store.rollback("mini", "7")
    assert store.current("mini") == "3"


def test_prune_keeps_the_newest_and_the_one_in_force(tmp_path: Path) -> None:
    store = make(tmp_path, versions=5)
    store.rollback("mini", "2")
    assert store.prune("mini", keep=1) == ["1", "3", "4"]
    assert store.versions("mini") == ["2", "5"]
    assert store.load("mini").version == "2"
    with pytest.raises(CallerError, match="at least one"):
        store.prune("mini", keep=0)


def test_unpublish_removes_all_and_never_gives_a_number_twice(tmp_path: Path) -> None:
    store = make(tmp_path, versions=2)
    assert store.unpublish("mini") == ["1", "2"]
    assert store.names() == []
    assert not list((tmp_path / "releases/mini").glob("*/manifest.json"))
    make_release(tmp_path, rows=60)
    assert store.current("mini") == "3"


def test_an_open_reader_finishes_on_what_it_opened(tmp_path: Path) -> None:
    store = make(tmp_path)
    part = store.load("mini").tables[0].parts[0]
    with pq.ParquetFile(part.path) as file:
        store.unpublish("mini")
        assert not Path(part.path).exists()
        assert file.read().num_rows == part.rows


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "1a", ".staging", "x\0", "é"])
def test_a_name_never_leaves_the_folder(tmp_path: Path, name: str) -> None:
    store = make(tmp_path)
    for ask in (store.current, store.load, store.versions, store.directory, store.unpublish):
        with pytest.raises(NotFound):
            ask(name)
    with pytest.raises(NotFound), store.stage(name):
        pass


@pytest.mark.parametrize("version", ["..", "0", "01", "1/..", "", "current", ".staging", "x"])
def test_a_version_is_a_number(tmp_path: Path, version: str) -> None:
    with pytest.raises(NotFound):
        make(tmp_path).load("mini", version)


def test_a_damaged_pointer_or_version_is_the_houses_fault(tmp_path: Path) -> None:
    store = make(tmp_path)
    pointer = tmp_path / "releases/mini/current"
    for content in ("", "9\n", "../x\n", "\xff"):
        pointer.write_text(content, "latin-1")
        with pytest.raises(BrokenRelease):
            store.load("mini")
    pointer.write_text("1\n")
    assert store.load("mini").version == "1"
    (tmp_path / "releases/mini/1/manifest.json").unlink()
    with pytest.raises(BrokenRelease, match="no manifest"):
        FolderReleases(tmp_path).load("mini")


def test_a_version_copied_to_another_place_is_not_taken_for_it(tmp_path: Path) -> None:
    make(tmp_path)
    shutil.copytree(tmp_path / "releases/mini/1", tmp_path / "releases/mini/2")
    with pytest.raises(BrokenRelease, match="describes itself as mini version 1"):
        FolderReleases(tmp_path).load("mini", "2")


def test_a_staging_area_is_for_one_publisher(tmp_path: Path, store: FolderReleases) -> None:
    with store.stage("mini") as staging:
        (staging.root / "left").write_text("behind")
        with (
            pytest.raises(BadRelease, match=f"being published by process {os.getpid()}"),
            FolderReleases(tmp_path).stage("mini"),
        ):
            pass
        with store.stage("other"):
            pass
    with store.stage("mini") as staging:
        assert (staging.root / "left").read_text() == "behind", "what an interrupted publish left is there"


def test_a_killed_publisher_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from skygate.stores.releases import FolderReleases\n"
        "with FolderReleases(Path(sys.argv[1])).stage('mini') as s: print('in', flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"in\n"
    store = FolderReleases(tmp_path)
    with pytest.raises(BadRelease, match=f"process {child.pid}"), store.stage("mini"):
        pass
    child.kill()
    child.wait()
    child.stdout.close()
    with store.stage("mini"):
        pass


def test_unpublish_and_prune_wait_for_no_publisher(tmp_path: Path) -> None:
    store = make(tmp_path)
    with store.stage("mini"):
        for act in (lambda: store.unpublish("mini"), lambda: store.prune("mini", keep=1)):
            with pytest.raises(BadRelease, match="being published"):
                act()
        assert store.current("mini") == "1"


def test_trash_of_a_killed_removal_is_swept(tmp_path: Path) -> None:
    store = make(tmp_path, versions=2)
    (tmp_path / "releases/mini/1").rename(tmp_path / "releases/mini/.trash-1")
    assert store.versions("mini") == ["2"]
    with store.stage("mini"):
        pass
    assert not (tmp_path / "releases/mini/.trash-1").exists()


def test_readers_see_the_old_version_or_the_new_never_neither(tmp_path: Path) -> None:
    store = make(tmp_path, versions=2)
    stop = threading.Event()
    seen: set[str] = set()
    faults: list[Exception] = []

    def read() -> None:
        mine = FolderReleases(tmp_path)
        while not stop.is_set():
            try:
                seen.add(mine.load("mini").version)
            except Exception as fault:  # noqa: BLE001 - whatever it is, the test shows it
                faults.append(fault)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for turn in range(60):
        store.point("mini", "1" if turn % 2 else "2")
    stop.set()
    for reader in readers:
        reader.join()
    assert faults == []
    assert seen == {"1", "2"}


def test_a_staging_area_that_nobody_used_is_gone(tmp_path: Path, store: FolderReleases) -> None:
    with store.stage("mini"):
        pass
    assert not (tmp_path / "releases/mini/.staging").exists()


def test_unpublish_removes_what_a_refused_publish_left(tmp_path: Path, store: FolderReleases) -> None:
    with store.stage("mini") as staging:
        (staging.root / "left").write_text("behind")
    assert store.unpublish("mini") == []
    assert not (tmp_path / "releases/mini/.staging").exists()
    with pytest.raises(NotFound):
        store.unpublish("mini")
