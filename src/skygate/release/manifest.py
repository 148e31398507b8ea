"""What a version on disk says of itself: every file with its checksum, and the described release.

The manifest's own checksum is the release's: it names exactly these bytes.

Must not know: pointers, other versions.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from skygate import __version__
from skygate.domain.catalog import Release, Table
from skygate.errors import BrokenRelease, Where
from skygate.release.durable import sha256_of, write_file
from skygate.release.stored import DISK_FORMAT, FileEntry
from skygate.wire import from_json, to_json

MANIFEST = "manifest.json"
DESCRIBED = "described.json"
CACHE = "cache"
"""Directory of a version that engines may fill and anybody may delete; not part of the release."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """Every file of a version, and what made them."""

    files: tuple[FileEntry, ...]
    disk_format: str = DISK_FORMAT
    software: Mapping[str, str] = field(default_factory=dict)

    def entry(self, path: str) -> FileEntry | None:
        """The file of this path."""
        return next((entry for entry in self.files if entry.path == path), None)


def software() -> dict[str, str]:
    """The software that writes a release, with versions."""
    return {"skygate": __version__, "pyarrow": version("pyarrow"), "numpy": version("numpy")}


def describe_file(root: Path, path: Path) -> FileEntry:
    """Size and checksum of a file below `root`."""
    return FileEntry(path.relative_to(root).as_posix(), path.stat().st_size, sha256_of(path))


def write_json(path: Path, data: Any) -> None:
    """Write JSON that people can read, in one stable order, and flush it."""
    text = json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False)
    write_file(path, (text + "\n").encode())


def write_described(root: Path, release: Release) -> FileEntry:
    """Write `described.json`; the parts' paths must already be relative."""
    write_json(root / DESCRIBED, to_json(replace(release, checksum="", path="")))
    return describe_file(root, root / DESCRIBED)


def write_manifest(root: Path, files: Iterable[FileEntry]) -> str:
    """Write `manifest.json`; returns the release's checksum."""
    ordered = tuple(sorted(files, key=lambda entry: entry.path))
    write_json(
        root / MANIFEST, to_json(Manifest(ordered, software=software())) | {"disk_format": DISK_FORMAT}
    )
    return sha256_of(root / MANIFEST)


def read_manifest(root: Path) -> tuple[Manifest, str]:
    """The manifest and its checksum; raises `BrokenRelease`."""
    path = root / MANIFEST
    data, checksum = _read_json(path)
    disk_format = str(data.get("disk_format", ""))
    if not re.fullmatch(r"\d+", disk_format) or int(disk_format) > int(DISK_FORMAT):
        raise BrokenRelease(
            f"disk format {disk_format or 'unknown'} is not understood",
            hint=f"this software reads up to {DISK_FORMAT}: use a newer Skygate",
            where=Where(name=str(path)),
        )
    return _built(Manifest, data, path), checksum


def read_release(root: Path) -> Release:
    """The described release with absolute paths; raises `BrokenRelease`.

    Compares the description with the manifest, the sizes of the parts too; their checksums are for `check`.
    """
    manifest, checksum = read_manifest(root)
    path = root / DESCRIBED
    data, found = _read_json(path)
    entry = manifest.entry(DESCRIBED)
    if entry is None or entry.sha256 != found:
        raise BrokenRelease("the description is not the one in the manifest", where=Where(name=str(path)))
    release = _built(Release, data, path)
    tables = tuple(_absolute(root, table) for table in release.tables)
    return replace(release, tables=tables, checksum=checksum, path=str(root.resolve()))


def missing_files(root: Path) -> list[str]:
    """Files of the manifest that are missing or have another size (quick: reads no content)."""
    manifest, _ = read_manifest(root)
    return [entry.path for entry in manifest.files if _size(root / entry.path) != entry.size_bytes]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _absolute(root: Path, table: Table) -> Table:
    base = root.resolve()
    return replace(table, parts=tuple(replace(part, path=str(base / part.path)) for part in table.parts))


def _read_json(path: Path) -> tuple[dict[str, Any], str]:
    try:
        content = path.read_bytes()
        data = json.loads(content)
    except OSError as fault:
        raise BrokenRelease(f"cannot be read: {fault.strerror}", where=Where(name=str(path))) from fault
    except ValueError as fault:
        raise BrokenRelease(f"is not JSON: {fault}", where=Where(name=str(path))) from fault
    if not isinstance(data, dict):
        raise BrokenRelease("is not a JSON object", where=Where(name=str(path)))
    return data, hashlib.sha256(content).hexdigest()


def _built(cls: type[Any], data: dict[str, Any], path: Path) -> Any:
    try:
        return from_json(cls, data)
    except (TypeError, ValueError, KeyError, AttributeError) as fault:
        raise BrokenRelease(f"does not hold what it should: {fault}", where=Where(name=str(path))) from fault
