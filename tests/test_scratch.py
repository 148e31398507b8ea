"""The private directory for what does not fit in memory or must lie in a file for a while."""

import fcntl
import os
import tempfile
from pathlib import Path

import pytest

from skygate.scratch import Scratch


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_is_private_and_goes_away(elsewhere):
    spill = Scratch("spill")
    assert Path(spill.path).parent == elsewhere
    assert os.stat(spill.path).st_mode & 0o777 == 0o700
    Path(spill.path, "x").write_bytes(b"1")
    spill.close()
    spill.close()
    assert list(elsewhere.iterdir()) == []


def test_what_a_killed_process_left_is_swept_and_what_lives_stays(elsewhere):
    living = Scratch("spill")
    dead = Path(tempfile.mkdtemp(prefix="skygate-spill-"))
    (dead / "duckdb_temp_0").write_bytes(b"1")
    strange = elsewhere / "skygate-spill-link"
    strange.symlink_to(elsewhere)
    fresh = Scratch("spill")
    assert not dead.exists()
    assert strange.is_symlink()
    assert Path(living.path).is_dir()
    living.close()
    fresh.close()


def test_a_directory_held_by_its_process_is_not_swept(elsewhere):
    held = Path(tempfile.mkdtemp(prefix="skygate-spill-"))
    lock = os.open(held, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_SH)
    Scratch("spill").close()
    assert held.is_dir()
    os.close(lock)
