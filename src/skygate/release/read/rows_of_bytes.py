"""The rows of a delimited file as bytes: comment lines dropped and counted, quotes followed as Arrow does.

A quote opens a value only at the beginning of a field, as in RFC 4180; lines end in LF or CR LF only.
Must not know: types, columns.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from skygate.errors import BadRelease
from skygate.release.read.compression import open_plain
from skygate.release.read.lines import STRAY_CR, STRAY_CR_HINT, Head
from skygate.release.read.source import fault

_BLOCK = 4 << 20
_LF, _CR, _QUOTE, _SPACE = 10, 13, 34, 32
_LONE_CR = re.compile(rb"\r(?=[^\r\n])")
_HINT = 'a quote that is part of a value is doubled, in a value that stands in quotes: """5 arcsec"""'


@dataclass(slots=True)
class Seen:
    """What was met on the way through the rows; line numbers are 1-based and count from the file's first."""

    dropped: int = 0
    """Comment lines below the header."""
    row_like: int = 0
    """Those among them that would be rows but for their mark."""
    first_dropped: int | None = None
    first_row_like: int | None = None
    broken: int = 0
    """Values that hold line breaks."""
    first_broken: int | None = None
    not_utf8: bool = False
    """Whether bytes were met that are no UTF-8 (fixed-width text only: others know before)."""
    fault: BadRelease | None = None

    def forget(self) -> None:
        """Begin anew."""
        self.dropped = self.row_like = self.broken = 0
        self.not_utf8 = False
        self.first_dropped = self.first_row_like = self.first_broken = self.fault = None


class WithoutComments(io.RawIOBase):
    """A byte stream without a file's first lines and without the comment lines between its rows.

    A line inside a quoted value that begins with the mark is no comment. Reading raises `BadRelease` for
    quotes that never close or that close in the middle of a later line, and for lone carriage returns.
    """

    def __init__(self, path: Path, head: Head, seen: Seen, *, wanted_row: int | None = None) -> None:
        """`wanted_row` (0-based) makes `found_line` its line once it was read."""
        self._path = path
        self._source: BinaryIO = open_plain(path)
        self._mark = head.comment.encode() if head.comment else None
        self._delimiter = head.delimiter.encode()
        self._fields = len(head.names)
        self._seen = seen
        self._line = head.skip_lines
        self._inside = False
        self._opened = 0
        self._open_bytes = 0
        self._rows = 0
        self._wanted = wanted_row
        self.found_line: int | None = None
        self._chunks = self._cleaned(head.skip_lines)
        self._rest = b""

    def readable(self) -> bool:
        """True: it is there to be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill `buffer` from the cleaned stream; 0 at the end."""
        while not self._rest:
            try:
                chunk = next(self._chunks, None)
            except BadRelease as error:
                self._seen.fault = error
                raise
            if chunk is None:
                return 0
            self._rest = chunk
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        """Close the file below too."""
        self._source.close()
        super().close()

    def _cleaned(self, skip_lines: int) -> Iterator[bytes]:
        for _ in range(skip_lines):
            self._source.readline()
        held: list[bytes] = []
        while block := self._source.read(_BLOCK):
            cut = block.rfind(b"\n") + 1
            if not cut:
                held.append(block)
                continue
            whole = b"".join((*held, block[:cut]))
            held = [block[cut:]]
            yield self._clean(whole)
        last = b"".join(held)
        if last:
            yield self._clean(last)
        if self._inside:
            raise fault(
                self._path, "a quote that opens in this line is never closed", hint=_HINT, line=self._opened
            )

    def _clean(self, block: bytes) -> bytes:
        """The block (whole lines) without its comment lines; notes what there is to note."""
        marked = self._mark is not None and (block.startswith(self._mark) or b"\n" + self._mark in block)
        quoted = self._inside or b'"' in block
        lone = block.count(b"\r") != block.count(b"\r\n")
        if not (marked or quoted or lone or self._wanted is not None):
            self._line += block.count(b"\n")
            return block
        data = np.frombuffer(block, np.uint8)
        newlines = np.flatnonzero(data == _LF)
        edges = _edges(block, data, self._delimiter, inside=self._inside) if quoted else newlines[:0]
        within = (np.searchsorted(edges, newlines) + self._inside) % 2 == 1
        starts = np.concatenate(([0], newlines + 1))
        open_at = np.concatenate(([self._inside], within))
        if len(newlines) and starts[-1] == len(data):
            starts, open_at = starts[:-1], open_at[:-1]
        comments = self._comments(block, data, starts[~open_at]) if marked else newlines[:0]
        if quoted:
            self._follow(data, newlines, edges, within)
        if lone:
            self._refuse_lone(block, newlines, edges, comments)
        if self._wanted is not None:
            self._look_for_row(data, starts, open_at, comments)
        self._inside = bool((len(edges) + self._inside) % 2)
        kept = self._without(block, starts, comments)
        self._line += len(newlines)
        return kept

    def _comments(
        self, block: bytes, data: NDArray[np.uint8], starts: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Where comment lines begin."""
        mark = cast(bytes, self._mark)
        near = starts[data[starts] == mark[0]]
        return np.array([s for s in near.tolist() if block.startswith(mark, s)], np.int64)

    def _without(self, block: bytes, starts: NDArray[np.int64], comments: NDArray[np.int64]) -> bytes:
        if not len(comments):
            return block
        seen, mark = self._seen, cast(bytes, self._mark)
        kept: list[bytes] = []
        before = 0
        for start, number in zip(comments.tolist(), np.searchsorted(starts, comments).tolist(), strict=True):
            end = block.find(b"\n", start) + 1 or len(block)
            line = self._line + number + 1
            seen.dropped += 1
            seen.first_dropped = seen.first_dropped or line
            text = block[start + len(mark) : end]
            if text.count(self._delimiter) + 1 == self._fields and self._fields > 1:
                seen.row_like += 1
                seen.first_row_like = seen.first_row_like or line
            kept.append(block[before:start])
            before = end
        kept.append(block[before:])
        return b"".join(kept)

    def _follow(
        self,
        data: NDArray[np.uint8],
        newlines: NDArray[np.int64],
        edges: NDArray[np.int64],
        within: NDArray[np.bool_],
    ) -> None:
        """Count the values that hold line breaks; refuse those whose quotes are no pairs."""
        spans = np.unique(np.searchsorted(edges, newlines[within]))
        harmless = {self._delimiter[-1], _LF, _CR, _SPACE}
        if self._inside and len(edges) and 0 not in spans:
            spans = np.concatenate(([0], spans))
        for span in spans.tolist():
            carried = self._inside and span == 0
            opened = self._opened if carried else self._line_at(newlines, int(edges[span - 1]))
            if not carried:
                self._seen.broken += 1
                self._seen.first_broken = self._seen.first_broken or opened
            if span < len(edges):
                closing = int(edges[span])
                if closing + 1 < len(data) and int(data[closing + 1]) not in harmless:
                    message = (
                        "a quote that opens in this line closes in the middle of a field of line "
                        f"{self._line_at(newlines, closing)}, so that rows would run together"
                    )
                    raise fault(self._path, message, hint=_HINT, line=opened)
        ends_open = bool((len(edges) + self._inside) % 2)
        if ends_open and len(edges):
            self._opened, self._open_bytes = (
                self._line_at(newlines, int(edges[-1])),
                len(data) - int(edges[-1]),
            )
        elif ends_open:
            self._open_bytes += len(data)
        if ends_open and self._open_bytes > _BLOCK:
            message = f"a quote that opens in this line is not closed within {_BLOCK >> 20} MiB"
            raise fault(self._path, message, hint=_HINT, line=self._opened)

    def _line_at(self, newlines: NDArray[np.int64], position: int) -> int:
        return self._line + int(np.searchsorted(newlines, position)) + 1

    def _refuse_lone(
        self,
        block: bytes,
        newlines: NDArray[np.int64],
        edges: NDArray[np.int64],
        comments: NDArray[np.int64],
    ) -> None:
        commented = set(np.searchsorted(newlines, comments).tolist())
        for match in _LONE_CR.finditer(block):
            position = match.start()
            number = int(np.searchsorted(newlines, position))
            if (int(np.searchsorted(edges, position)) + self._inside) % 2 or number in commented:
                continue
            raise fault(self._path, STRAY_CR, hint=STRAY_CR_HINT, line=self._line + number + 1)

    def _look_for_row(
        self,
        data: NDArray[np.uint8],
        starts: NDArray[np.int64],
        open_at: NDArray[np.bool_],
        comments: NDArray[np.int64],
    ) -> None:
        if self.found_line is not None:
            return
        first = data[starts]
        blank = ((first == _LF) | (first == _CR)) & (self._fields > 1)
        numbers = np.flatnonzero(~open_at & ~blank & ~np.isin(starts, comments))
        index = cast(int, self._wanted) - self._rows
        if index < len(numbers):
            self.found_line = self._line + int(numbers[index]) + 1
        self._rows += len(numbers)


def line_of_row(path: Path, head: Head, row: int) -> int | None:
    """The line in which a row (0-based) begins."""
    stream = WithoutComments(path, head, Seen(), wanted_row=row)
    try:
        buffer = memoryview(bytearray(_BLOCK))
        while stream.found_line is None and stream.readinto(buffer):
            pass
        return stream.found_line
    finally:
        stream.close()


def _edges(block: bytes, data: NDArray[np.uint8], delimiter: bytes, *, inside: bool) -> NDArray[np.int64]:
    """Where quoted values open and close, in turn (the first closes when the block begins inside one)."""
    quotes = np.flatnonzero(data == _QUOTE)
    opens = quotes[int(inside) :: 2]
    before = np.where(opens > 0, data[np.maximum(opens - 1, 0)], _LF)
    doubled = before == _QUOTE
    if not np.all(np.isin(before, (delimiter[-1], _LF, _CR)) | doubled):
        return _edges_one_by_one(block, quotes, delimiter, inside=inside)
    if not doubled.any():
        return quotes
    keep = np.ones(len(quotes), np.bool_)
    again = np.flatnonzero(doubled) * 2 + int(inside)
    keep[again] = False
    keep[again - 1] = False
    return quotes[keep]


def _edges_one_by_one(
    block: bytes, quotes: NDArray[np.int64], delimiter: bytes, *, inside: bool
) -> NDArray[np.int64]:
    """The same where some quotes stand within fields and mean nothing."""
    begins = {delimiter[-1], _LF, _CR}
    edges: list[int] = []
    second = -1
    for position in quotes.tolist():
        if position == second:
            continue
        if inside:
            if block[position + 1 : position + 2] == b'"':
                second = position + 1
                continue
            inside = False
            edges.append(position)
        elif position == 0 or block[position - 1] in begins:
            inside = True
            edges.append(position)
    return np.array(edges, np.int64)
