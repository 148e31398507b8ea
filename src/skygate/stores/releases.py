"""Releases in a folder: versions side by side, and one pointer that says which is in force.

    ROOT/releases/NAME/current      text: the version in force; replaced atomically
    ROOT/releases/NAME/3/           a complete version (versions count 1, 2, 3 … and are never reused)
    ROOT/releases/NAME/last         the highest number that was given when versions were last removed
    ROOT/releases/NAME/.staging/    a version being made
    ROOT/releases/NAME/.trash-…/    a version being removed

A directory named by a number is complete: it got that name, in one step, after all its files were on the
disk. What another process does is seen at the next call. Readers keep files that they have open even when
their version is removed; a reader that opens files later finds them missing, so let running queries end
before `prune` or `unpublish`.

Must not know: how rows are laid out.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import stat
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from skygate.domain.catalog import Release
from skygate.errors import BadRelease, BrokenRelease, CallerError, EngineAway, NotFound, Where
from skygate.release.audit import Finding, audit
from skygate.release.durable import replace_file, sync_folder, sync_tree
from skygate.release.manifest import MANIFEST, read_release

POINTER = "current"
_LAST = "last"
_STAGING = ".staging"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VERSION = re.compile(r"[1-9][0-9]*")


@dataclass(frozen=True, slots=True)
class FolderStaging:
    """A version being made in `.staging/`."""

    store: FolderReleases
    name: str
    version: str
    root: Path
    work: Path

    def commit(self) -> str:
        """Give the version its number, then move the pointer: two steps, each all or nothing."""
        self.store.commit(self.name, self.version, self.root)
        return self.version


class FolderReleases:
    """`ReleaseStore` and `ReleaseWorkshop` in a directory; safe for many processes and threads."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / "releases"
        self._seen = False
        self._loaded: dict[tuple[str, str], tuple[tuple[int, int], Release]] = {}
        self._lock = threading.Lock()

    # -- reading

    def names(self) -> Sequence[str]:
        """Names of releases that have a version in force, sorted; raises `EngineAway`."""
        return [name for name in self._folders() if _stands(self._folder / name / POINTER)]

    def current(self, name: str) -> str:
        """The version in force; raises `NotFound`, `BrokenRelease`."""
        path = self._home(name) / POINTER
        try:
            version = path.read_text("ascii").strip()
        except FileNotFoundError:
            raise NotFound(f"no release {name!r} is published", hint=self._others()) from None
        except (OSError, ValueError) as fault:
            raise BrokenRelease(
                f"the pointer cannot be read: {fault}", where=Where(name=str(path))
            ) from fault
        if not _VERSION.fullmatch(version):
            raise BrokenRelease(f"the pointer says {version[:40]!r}", where=Where(name=str(path)))
        return version

    def versions(self, name: str) -> Sequence[str]:
        """Complete versions, oldest first."""
        try:
            found = [entry.name for entry in os.scandir(self._home(name)) if _VERSION.fullmatch(entry.name)]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(found, key=int)

    def load(self, name: str, version: str | None = None) -> Release:
        """The described release, read once for each version; raises `NotFound`, `BrokenRelease`."""
        folder = self.directory(name, version)
        try:
            found = (folder / MANIFEST).stat()
            mark = (found.st_ino, found.st_mtime_ns)
        except OSError:
            raise BrokenRelease("has no manifest", where=Where(name=str(folder))) from None
        key = (name, folder.name)
        with self._lock:
            known = self._loaded.get(key)
        if known is not None and known[0] == mark:
            return known[1]
        release = read_release(folder)
        if release.name != name or release.version != folder.name:
            says = f"{release.name} version {release.version}"
            raise BrokenRelease(f"describes itself as {says}", where=Where(name=str(folder)))
        with self._lock:
            self._loaded[key] = (mark, release)
        return release

    def directory(self, name: str, version: str | None = None) -> Path:
        """The version's directory; raises `NotFound`."""
        home = self._home(name)
        wanted = version if version is not None else self.current(name)
        folder = home / wanted
        if not _VERSION.fullmatch(wanted) or not folder.is_dir():
            if version is None:
                raise BrokenRelease(f"version {wanted}, in force, is missing", where=Where(name=str(home)))
            known = ", ".join(self.versions(name))
            raise NotFound(
                f"release {name!r} has no version {wanted!r}",
                hint=f"versions: {known}" if known else self._others(),
            )
        return folder

    def fingerprint(self) -> str:
        """Changes whenever any pointer changes: names, inodes and times of the pointers.

        Raises `EngineAway` where the root is missing or cannot be read, and where the folder of releases
        was there before and is gone: a root without it is an empty one only until something is published.
        """
        marks: list[str] = []
        folders = self._folders(must_be=self._seen or not _is_folder(self._root))
        self._seen = self._seen or _is_folder(self._folder)
        base = os.fspath(self._folder)
        for name in folders:
            try:
                found = os.stat(f"{base}/{name}/{POINTER}")
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as fault:  # it is there, and cannot be looked at
                marks.append(f"{name}:{fault.errno}")
                continue
            marks.append(f"{name}:{found.st_ino}:{found.st_mtime_ns}:{found.st_ctime_ns}")
        return hashlib.sha256("\n".join(marks).encode()).hexdigest()[:32]

    def check(self, name: str, version: str | None = None) -> list[Finding]:
        """What is wrong with a version, every byte of it read: checksums, row counts, statistics, order."""
        return audit(self.directory(name, version))

    # -- making

    @contextmanager
    def stage(self, name: str) -> Generator[FolderStaging]:
        """Open the staging area, alone; raises `BadRelease` while another process has it."""
        home = self._home(name)
        with self._publishing(home):
            self._sweep(home)
            staging = home / _STAGING
            for folder in (staging, staging / "version", staging / "work"):
                folder.mkdir(exist_ok=True)
            version = self._next_version(home)
            try:
                yield FolderStaging(self, name, version, staging / "version", staging / "work")
            finally:
                _remove_empty(staging / "version", staging / "work", staging)

    def commit(self, name: str, version: str, root: Path) -> None:
        """Make a staged directory the version in force; only the holder of the staging area calls it."""
        home = self._home(name)
        sync_tree(root)
        with self._moving(home):
            root.rename(home / version)
            sync_folder(home)
            self._point(home, version)
        shutil.rmtree(home / _STAGING, ignore_errors=True)

    def point(self, name: str, version: str) -> None:
        """Put a complete version in force; raises `NotFound`."""
        home = self._home(name)
        with self._moving(home):
            self.directory(name, version)
            self._point(home, version)

    def rollback(self, name: str, version: str | None = None) -> str:
        """Put the version before the current one (or the one given) in force; raises `NotFound`."""
        home = self._home(name)
        self.current(name)
        with self._moving(home):
            current = self.current(name)
            if version is None:
                older = [found for found in self.versions(name) if int(found) < int(current)]
                if not older:
                    raise NotFound(f"release {name!r} has no version before {current}")
                version = older[-1]
            self.directory(name, version)
            self._point(home, version)
        return version

    def unpublish(self, name: str) -> Sequence[str]:
        """Remove a release, pointer first; returns the versions removed; raises `NotFound`.

        What a refused or interrupted publish left is removed, too. Numbers are not given again, so that
        nobody takes a new version for an old one.
        """
        home = self._home(name)
        if not any((home / left).exists() for left in (POINTER, _STAGING)) and not self.versions(name):
            raise NotFound(f"no release {name!r} is published", hint=self._others())
        with self._publishing(home), self._moving(home):
            (home / POINTER).unlink(missing_ok=True)
            sync_folder(home)
            gone = self.versions(name)
            self._discard(home, gone)
            shutil.rmtree(home / _STAGING, ignore_errors=True)
            self._sweep(home)
        return gone

    def prune(self, name: str, *, keep: int) -> Sequence[str]:
        """Remove old versions but the newest `keep` and the one in force; returns those removed."""
        if keep < 1:
            raise CallerError("at least one version must be kept", hint="use unpublish to remove a release")
        home = self._home(name)
        current = self.current(name)
        with self._publishing(home), self._moving(home):
            current = self.current(name)
            gone = [found for found in self.versions(name)[:-keep] if found != current]
            self._discard(home, gone)
            self._sweep(home)
        return gone

    # -- below the surface

    def _folders(self, *, must_be: bool = False) -> list[str]:
        try:
            with os.scandir(self._folder) as entries:
                return sorted(entry.name for entry in entries if _NAME.fullmatch(entry.name))
        except OSError as fault:
            if isinstance(fault, FileNotFoundError) and not must_be:
                return []
            raise EngineAway(
                "the directory of releases cannot be read now", hint="it is not your request's fault"
            ) from fault

    def _home(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise NotFound(f"{name!r} cannot be a release's name", hint="letters, digits and _ make a name")
        return self._folder / name

    def _next_version(self, home: Path) -> str:
        try:
            last = int((home / _LAST).read_text("ascii"))
        except (FileNotFoundError, ValueError):
            last = 0
        return str(max([last, *map(int, self.versions(home.name))]) + 1)

    def _others(self) -> str:
        known = ", ".join(self.names())
        return f"published: {known}" if known else "nothing is published here"

    def _point(self, home: Path, version: str) -> None:
        replace_file(home / POINTER, f"{version}\n".encode())

    def _discard(self, home: Path, versions: Sequence[str]) -> None:
        # renamed first: a directory named by a number is complete at any moment
        replace_file(home / _LAST, f"{int(self._next_version(home)) - 1}\n".encode())
        for version in versions:
            (home / version).rename(home / f".trash-{version}")
            with self._lock:
                self._loaded.pop((home.name, version), None)
        sync_folder(home)

    def _sweep(self, home: Path) -> None:
        for trash in home.glob(".trash-*"):
            shutil.rmtree(trash, ignore_errors=True)

    @contextmanager
    def _publishing(self, home: Path) -> Generator[None]:
        """The long lock: one publisher of a release at a time; ends with the process that holds it."""
        home.mkdir(parents=True, exist_ok=True)
        with (home / ".publishing").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise BadRelease(
                    f"release {home.name!r} is being published by {holder}",
                    hint="wait until it has finished, or stop it and try again: what is done is kept",
                ) from None
            file.truncate(0)
            file.write(f"process {os.getpid()}")
            file.flush()
            try:
                yield
            finally:
                file.truncate(0)

    @contextmanager
    def _moving(self, home: Path) -> Generator[None]:
        """The short lock around the moves of the pointer and of versions."""
        home.mkdir(parents=True, exist_ok=True)
        with (home / ".moving").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _stands(path: Path) -> bool:
    """Whether a file is there, were it one that cannot be looked at."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _is_folder(path: Path) -> bool:
    """Whether a directory is there and can be looked at."""
    with suppress(OSError):
        return path.is_dir()
    return False


def _remove_empty(*folders: Path) -> None:
    """Remove directories that nobody used."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()
