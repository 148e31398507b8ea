"""The only files that DuckDB can read: parts of running plans, under made-up names, never for writing.

Must not know: SQL, tables. A name is given out by `PartFiles.lease` and means nothing once it is given back.
"""

from __future__ import annotations

import hashlib
import os
import resource
import secrets
import stat
import threading
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec

from skygate.domain.catalog import Part
from skygate.errors import BrokenRelease

PROTOCOL = "ro"
PREFIX = f"{PROTOCOL}://parts/"


class _Descriptor:
    """An open file; closed when nobody holds it any more."""

    __slots__ = ("__weakref__", "fd", "modified", "size")

    def __init__(self, fd: int, *, size: int, modified: float) -> None:
        self.fd = fd
        self.size = size
        self.modified = modified

    def __del__(self) -> None:
        os.close(self.fd)


class PartHandle:
    """What DuckDB reads.

    It seeks and reads one handle from several threads, so each thread has its own place.
    """

    def __init__(self, descriptor: _Descriptor) -> None:
        self._descriptor: _Descriptor | None = descriptor
        self._place = threading.local()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the calling thread's place."""
        if whence == os.SEEK_CUR:
            offset += self.tell()
        elif whence == os.SEEK_END:
            offset += self._open().size
        self._place.offset = max(0, offset)
        return max(0, offset)

    def tell(self) -> int:
        """The place of the calling thread."""
        place: int = getattr(self._place, "offset", 0)
        return place

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes from the calling thread's place; all of the rest when negative."""
        opened, offset = self._open(), self.tell()
        wanted = opened.size - offset if size < 0 else size
        pieces: list[bytes] = []
        while wanted > 0 and (piece := os.pread(opened.fd, wanted, offset)):
            pieces.append(piece)
            offset += len(piece)
            wanted -= len(piece)
        self._place.offset = offset
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Let go of the file."""
        self._descriptor = None

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._descriptor is None

    def _open(self) -> _Descriptor:
        if self._descriptor is None:
            raise ValueError("the file is closed")
        return self._descriptor


@dataclass(slots=True)
class _Entry:
    """A part that somebody has leased."""

    part: Part
    leases: int = 0
    kept: _Descriptor | None = None
    """Held open for the whole lease, so that a pruned version can still be read to its end."""
    seen: weakref.ref[_Descriptor] | None = None


@dataclass(slots=True)
class Lease:
    """Names under which the parts can be read until `give_back`."""

    names: tuple[str, ...]
    _files: PartFiles
    _tokens: list[str] = field(default_factory=list)

    def give_back(self) -> None:
        """The names mean nothing from now on; files being read stay open for their readers."""
        tokens, self._tokens = self._tokens, []
        self._files.end(tokens)


class PartFiles(fsspec.AbstractFileSystem):
    """A read-only file system of leased parts below one directory.

    `kept_open` is the number of files that leases may hold open; further ones are opened when read.
    """

    protocol = PROTOCOL
    cachable = False

    def __init__(self, root: Path, *, kept_open: int | None = None) -> None:
        super().__init__()
        self._root = os.path.realpath(root)
        self._secret = secrets.token_bytes(16)
        self._entries: dict[str, _Entry] = {}
        self._guard = threading.Lock()
        self._may_keep = _default_kept_open() if kept_open is None else kept_open
        self._kept = 0

    def lease(self, parts: Iterable[Part]) -> Lease:
        """Make `parts` readable; raises `BrokenRelease` where a file is not what the manifest says."""
        tokens: list[str] = []
        try:
            with self._guard:
                for part in parts:
                    token = self._token(part)
                    entry = self._entries.setdefault(token, _Entry(part))
                    entry.leases += 1
                    tokens.append(token)
                    if entry.kept is None and self._kept < self._may_keep:
                        entry.kept = self._descriptor(entry)
                        self._kept += 1
        except BaseException:
            self.end(tokens)
            raise
        return Lease(tuple(PREFIX + t for t in tokens), self, tokens)

    def end(self, tokens: Iterable[str]) -> None:
        """Take back one lease of each of these tokens."""
        with self._guard:
            for token in tokens:
                entry = self._entries[token]
                entry.leases -= 1
                if entry.leases == 0:
                    self._kept -= entry.kept is not None
                    del self._entries[token]

    @property
    def leased(self) -> int:
        """How many parts are readable now."""
        return len(self._entries)

    # What DuckDB calls. Everything else that a file system has (write, move, delete …) refuses by default.

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return path

    def unstrip_protocol(self, name: str) -> str:
        """The name as it is: names always carry their protocol."""
        return name

    def open(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, path: str, mode: str = "rb", **_: Any
    ) -> PartHandle:
        """A handle for reading; every other mode raises PermissionError."""
        if mode != "rb":
            raise PermissionError("parts are read only")
        return PartHandle(self._opened(path))

    def size(self, path: str) -> int:
        """Length in bytes."""
        return self._opened(path).size

    def modified(self, path: str) -> datetime:
        """When the file was last changed."""
        return datetime.fromtimestamp(self._opened(path).modified, UTC)

    def exists(self, path: str, **_: Any) -> bool:
        """Whether the name is leased."""
        with self._guard:
            return path.removeprefix(PREFIX) in self._entries

    def isfile(self, path: str) -> bool:
        """Whether the name is leased."""
        return self.exists(path)

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Name, size and kind."""
        opened = self._opened(path)
        return {"name": path, "size": opened.size, "type": "file", "mtime": opened.modified}

    def glob(self, path: str, **_: Any) -> list[str]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The name itself when it is leased: there is nothing to discover here."""
        return [path] if self.exists(path) else []

    def _opened(self, path: str) -> _Descriptor:
        with self._guard:
            entry = self._entries.get(path.removeprefix(PREFIX))
            if entry is None or not path.startswith(PREFIX):
                raise FileNotFoundError("no such part")
            return self._descriptor(entry)

    def _descriptor(self, entry: _Entry) -> _Descriptor:
        if entry.kept is not None:
            return entry.kept
        opened = entry.seen() if entry.seen is not None else None
        if opened is None:
            opened = _open_part(entry.part, self._root)
            entry.seen = weakref.ref(opened)
        return opened

    def _token(self, part: Part) -> str:
        """The same for the same bytes (DuckDB may remember a footer by it), but not to be guessed."""
        text = f"{part.path}\0{part.size_bytes}\0{part.sha256}".encode(errors="surrogateescape")
        return hashlib.blake2b(text, key=self._secret, digest_size=16).hexdigest() + ".parquet"


def _open_part(part: Part, root: str) -> _Descriptor:
    """Open a part; raises `BrokenRelease` unless it is a Parquet file below `root`, of the right size."""
    real = os.path.realpath(part.path)
    if not real.startswith(root + os.sep) or not real.endswith(".parquet"):
        raise BrokenRelease("a data file lies outside the releases directory")
    try:
        fd = os.open(real, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as fault:
        raise BrokenRelease(f"a data file cannot be opened: {fault.strerror}") from fault
    status = os.fstat(fd)
    opened = _Descriptor(fd, size=status.st_size, modified=status.st_mtime)
    if not stat.S_ISREG(status.st_mode):
        raise BrokenRelease("a data file is no regular file")
    if status.st_size != part.size_bytes:
        raise BrokenRelease(
            f"a data file has {status.st_size} bytes, its manifest says {part.size_bytes}",
            hint="run `skygate check`",
        )
    return opened


def _default_kept_open() -> int:
    """A quarter of the files that this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 16_384 if soft == resource.RLIM_INFINITY else min(16_384, max(64, soft // 4))
