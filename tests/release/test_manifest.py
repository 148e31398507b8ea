"""The manifest, the description, and the audit that finds what was damaged."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from releases_made import make_release
from skygate.errors import BrokenRelease
from skygate.release import manifest as craft
from skygate.release.audit import audit
from skygate.release.durable import sha256_of
from skygate.release.stored import DISK_FORMAT


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(make_release(tmp_path_factory.mktemp("whole")).path)


@pytest.fixture
def version(whole: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(whole, tmp_path / "1"))


def test_every_file_is_listed_with_size_and_checksum(whole: Path) -> None:
    manifest, checksum = craft.read_manifest(whole)
    on_disk = {p.relative_to(whole).as_posix() for p in whole.rglob("*") if p.is_file()}
    assert {entry.path for entry in manifest.files} == on_disk - {"manifest.json"}
    for entry in manifest.files:
        content = (whole / entry.path).read_bytes()
        assert (entry.size_bytes, entry.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert checksum == hashlib.sha256((whole / "manifest.json").read_bytes()).hexdigest()
    assert manifest.disk_format == DISK_FORMAT
    assert set(manifest.software) == {"skygate", "pyarrow", "numpy"}


def test_a_release_reads_back_as_it_was_written(whole: Path) -> None:
    release = craft.read_release(whole)
    assert (release.name, release.version, release.path) == ("mini", "1", str(whole))
    assert [table.rows for table in release.tables] == [5_000, 500]
    assert all(Path(part.path).is_file() for table in release.tables for part in table.parts)
    assert release.keys[0].columns == (("star_id", "id"),)
    assert release.checksum == craft.read_manifest(whole)[1]
    assert "/" + "mini" not in (whole / "described.json").read_text(), "paths on disk are relative"


def test_a_whole_version_has_no_findings(whole: Path) -> None:
    assert audit(whole) == []
    assert craft.missing_files(whole) == []


def test_the_cache_is_not_part_of_the_release(version: Path) -> None:
    (version / "cache").mkdir()
    (version / "cache" / "anything.duckdb").write_bytes(b"x")
    assert audit(version) == []


def part_of(version: Path) -> Path:
    return next((version / "tables/stars/dataset").rglob("Npix=*.parquet"))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


DAMAGES: list[tuple[str, Callable[[Path], object], str]] = [
    ("a bit of a part", lambda v: flip(part_of(v)), "another checksum"),
    ("a part cut short", lambda v: cut(part_of(v)), "bytes instead of"),
    ("a part removed", lambda v: part_of(v).unlink(), "is missing"),
    (
        "a file added",
        lambda v: (v / "tables" / "notes" / "more.parquet").write_bytes(b""),
        "not in the manifest",
    ),
    ("properties", lambda v: flip(v / "tables/stars/hats.properties"), "another checksum"),
    ("the description", lambda v: flip(v / "described.json"), "another checksum"),
    ("the manifest gone", lambda v: (v / "manifest.json").unlink(), "cannot be read"),
    ("the manifest cut", lambda v: cut(v / "manifest.json") or cut(v / "manifest.json"), "not JSON"),
]


@pytest.mark.parametrize(("damage", "says"), [d[1:] for d in DAMAGES], ids=[d[0] for d in DAMAGES])
def test_damage_is_found(version: Path, damage: Callable[[Path], object], says: str) -> None:
    damage(version)
    findings = audit(version)
    assert findings
    assert any(says in finding.problem for finding in findings), findings


def rewrite(version: Path, path: Path, table: pa.Table) -> None:
    """Replace a part by other rows and make the sums agree: only the rows' order is wrong then."""
    pq.write_table(table, path)
    digest, size = sha256_of(path), path.stat().st_size
    name = path.relative_to(version).as_posix()
    described = json.loads((version / "described.json").read_text())
    for stored in described["tables"]:
        for part in stored["parts"]:
            if part["path"] == name:
                part.update(sha256=digest, size_bytes=size)
    (version / "described.json").write_text(json.dumps(described))
    manifest = json.loads((version / "manifest.json").read_text())
    for entry in manifest["files"]:
        changed = version / entry["path"]
        if entry["path"] in (name, "described.json"):
            entry.update(sha256=sha256_of(changed), size_bytes=changed.stat().st_size)
    (version / "manifest.json").write_text(json.dumps(manifest))


def test_rows_out_of_order_are_found_though_the_checksums_agree(version: Path) -> None:
    path = max((version / "tables/stars/dataset").rglob("*.parquet"), key=lambda p: p.stat().st_size)
    rows = pq.ParquetFile(path).read()
    turned = rows.take(pa.array([0, *range(rows.num_rows - 2, 0, -1), rows.num_rows - 1]))
    rewrite(version, path, turned)
    assert [finding.problem for finding in audit(version)] == ["is not sorted by cell"]


def test_rows_missing_are_found_though_the_checksums_agree(version: Path) -> None:
    path = part_of(version)
    rewrite(version, path, pq.ParquetFile(path).read().slice(1))
    assert any("rows instead of" in finding.problem for finding in audit(version))


def test_a_newer_disk_format_is_refused_with_a_hint(version: Path) -> None:
    manifest = json.loads((version / "manifest.json").read_text())
    manifest["disk_format"] = "99"
    (version / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BrokenRelease, match="newer Skygate"):
        craft.read_release(version)


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"files": 3, "disk_format": "1"}', '{"disk_format": "1"}', "\0"]
)
def test_a_manifest_that_is_none_is_a_broken_release(version: Path, content: str) -> None:
    (version / "manifest.json").write_text(content)
    with pytest.raises(BrokenRelease):
        craft.read_release(version)
