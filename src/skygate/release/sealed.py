"""Tables that are finished while their release is not: how an interrupted publish goes on.

A seal is written after the table's files are on the disk. It names the digest of the table's inputs; with
other inputs, or with a file missing, the table is made again.

Must not know: how tables are built.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from skygate.domain.catalog import Table
from skygate.release.built import Built, TableOnDisk
from skygate.release.durable import sync_folder
from skygate.release.manifest import write_json
from skygate.release.report import TableReport
from skygate.release.stored import FileEntry, table_folder
from skygate.wire import from_json, to_json


class Seals:
    """The seals of a staging area: `root` is the version's directory, `folder` holds the seals."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root = root
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def find(self, table: str, digest: str) -> Built | None:
        """A finished table of these very inputs."""
        try:
            data: dict[str, Any] = json.loads((self._folder / f"{table}.json").read_bytes())
            if data["digest"] != digest:
                return None
            files = tuple(from_json(FileEntry, entry) for entry in data["files"])
            if any((self._root / file.path).stat().st_size != file.size_bytes for file in files):
                return None
            on_disk = TableOnDisk(from_json(Table, data["table"]), files)
            return Built(on_disk, from_json(TableReport, data["report"]))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None

    def put(self, built: Built, digest: str) -> None:
        """Seal a table whose files are on the disk."""
        data = {
            "digest": digest,
            "table": to_json(built.on_disk.table),
            "files": to_json(built.on_disk.files),
            "report": to_json(built.report),
        }
        name = built.on_disk.table.name
        fresh = self._folder / f"{name}.new"
        write_json(fresh, data)
        fresh.replace(self._folder / f"{name}.json")
        sync_folder(self._folder)

    def clear(self, table: str) -> None:
        """Remove what is there of a table, finished or not."""
        (self._folder / f"{table}.json").unlink(missing_ok=True)
        shutil.rmtree(self._root / table_folder(table), ignore_errors=True)
        (self._root / "moc" / f"{table}.fits").unlink(missing_ok=True)

    def keep_only(self, tables: Collection[str]) -> None:
        """Remove everything but these tables."""
        for seal in self._folder.glob("*.json"):
            if seal.stem not in tables:
                self.clear(seal.stem)
        for folder in self._root.glob("tables/*"):
            if folder.name not in tables:
                self.clear(folder.name)
        for entry in self._root.iterdir():
            if entry.name not in ("tables", "moc"):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
