"""Compressed files: a plain stream of their bytes, or a plain temporary file where seeking is needed.

Must not know: what is inside.
"""

from __future__ import annotations

import gzip
import io
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from skygate.errors import BadRelease
from skygate.release.read.source import fault, unreadable
from skygate.scratch import Scratch

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPED = b"\x2a\x4d\x18"
"""Behind a byte of 0x50 to 0x5f: a frame that is no data (RFC 8878, section 3.1.2), as pzstd writes first."""
_CHUNK = 4 << 20
BROKEN = (EOFError, OSError, zlib.error, pa.ArrowException)
"""What libraries raise for damaged compressed files."""


def compression_of(path: Path) -> str | None:
    """`gzip`, `zstd` or None, from the file's first bytes; raises `BadRelease` when it cannot be opened."""
    try:
        with path.open("rb") as file:
            first = file.read(4)
    except OSError as error:
        raise fault(path, f"cannot be opened: {error.strerror or error}") from error
    if first.startswith(_GZIP):
        return "gzip"
    skipped = first[1:] == _ZSTD_SKIPPED and first[0] & 0xF0 == 0x50
    return "zstd" if first == _ZSTD or skipped else None


def plain_name(path: Path) -> str:
    """The file's name in lower case without `.gz`, `.gzip`, `.zst`, `.zstd`."""
    name = path.name.lower()
    for ending in (".gz", ".gzip", ".zst", ".zstd"):
        name = name.removesuffix(ending)
    return name


def open_plain(path: Path) -> BinaryIO:
    """The uncompressed bytes as a stream (seekable only when the file is not compressed)."""
    kind = compression_of(path)
    if kind == "gzip":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if kind == "zstd":
        # Arrow's stream notices a file that is cut short; zstandard's would end quietly.
        stream = cast(io.RawIOBase, pa.input_stream(str(path), compression="zstd"))
        return cast(BinaryIO, io.BufferedReader(stream, _CHUNK))
    return path.open("rb")


def first_bytes(path: Path, count: int) -> bytes:
    """The first uncompressed bytes (fewer when the file is shorter); raises `BadRelease`."""
    try:
        with open_plain(path) as file:
            parts: list[bytes] = []
            missing = count
            while missing > 0 and (part := file.read(missing)):
                parts.append(part)
                missing -= len(part)
            return b"".join(parts)
    except BadRelease:
        raise
    except BROKEN as error:
        raise unreadable(path, error, what="a compressed file") from error


def seekable(path: Path) -> tuple[Path, Callable[[], None]]:
    """A path of the uncompressed file, and what frees it; the file itself when it is not compressed.

    The copy lies in the directory for temporary files (`TMPDIR`). Raises `BadRelease` for damaged files.
    """
    if compression_of(path) is None:
        return path, lambda: None
    try:
        with open_plain(path) as source:
            return spooled(source, plain_name(path))
    except BROKEN as error:
        raise unreadable(path, error, what="a compressed file") from error


def spooled(source: BinaryIO, name: str) -> tuple[Path, Callable[[], None]]:
    """A temporary file of this name with all that `source` gives, and what frees it.

    What a killed process leaves is removed when the next file is spooled.
    """
    scratch = Scratch("read")
    try:
        path = Path(scratch.path, name)
        with path.open("wb") as target:
            shutil.copyfileobj(source, target, _CHUNK)
    except BaseException:
        scratch.close()
        raise
    return path, scratch.close
