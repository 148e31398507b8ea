"""Duplicates among identifiers, counted exactly in bounded memory.

Numbers are themselves; texts are hashed to 128 bits. What does not fit is written to 256 files by a mix of
its bits, so that equal values meet in one file, and each file is sorted alone at the end.
"""

# pyright: reportAttributeAccessIssue=false
# pyarrow makes its compute functions when it is imported, where no type checker sees them.

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

HELD = 4_000_000
"""Values kept in memory before they go to files."""
_FILES = 256
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True, slots=True)
class Repeats:
    """How many different identifiers there are, how many rows repeat an earlier one, and some of these."""

    distinct: int
    repeated: int
    examples: tuple[int, ...] = ()


class Identifiers:
    """Takes the values of one column as they come; `scratch` is where files may go."""

    def __init__(self, *, scratch: Path | None = None, held: int = HELD) -> None:
        self._scratch = scratch
        self._limit = held
        self._held: list[NDArray[np.uint64]] = []
        self._count = 0
        self._folder: Path | None = None
        self._numbers = True

    def add(self, values: pa.Array) -> None:
        """Note a batch without nulls: whole numbers, reals or texts."""
        if not len(values):
            return
        keys = _keys(values)
        self._numbers = pa.types.is_integer(values.type)
        self._held.append(keys)
        self._count += len(keys)
        if self._count >= self._limit:
            self._spill()

    def finish(self) -> Repeats:
        """Count; files are removed."""
        try:
            if self._folder is None:
                return self._repeats(np.concatenate(self._held)) if self._held else Repeats(0, 0)
            self._spill()
            distinct, repeated, examples = 0, 0, []
            for number in range(_FILES):
                path = self._folder / f"{number:03d}"
                if not path.exists():
                    continue
                found = self._repeats(np.fromfile(path, dtype=np.uint64).reshape(-1, 2))
                distinct, repeated = distinct + found.distinct, repeated + found.repeated
                examples += found.examples
            return Repeats(distinct, repeated, tuple(sorted(examples)[:5]))
        finally:
            self.close()

    def close(self) -> None:
        """Forget everything and remove the files."""
        self._held = []
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _repeats(self, keys: NDArray[np.uint64]) -> Repeats:
        first = keys[:, 0]
        if self._numbers:
            ordered = np.sort(first)
            same = ordered[1:] == ordered[:-1]
        else:
            order = np.lexsort((keys[:, 1], first))
            ordered = first[order]
            same = (ordered[1:] == ordered[:-1]) & (keys[order[1:], 1] == keys[order[:-1], 1])
        repeated = int(np.count_nonzero(same))
        examples: tuple[int, ...] = ()
        if repeated and self._numbers:
            values = np.unique(ordered[1:][same].view(np.int64))[:5]
            examples = tuple(int(v) for v in values)
        return Repeats(len(first) - repeated, repeated, examples)

    def _spill(self) -> None:
        if not self._held:
            return
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="identifiers-", dir=self._scratch))
        keys = np.concatenate(self._held)
        self._held, self._count = [], 0
        place = (_mixed(keys[:, 0]) >> np.uint64(56)).astype(np.uint8)
        order = np.argsort(place, kind="stable")
        ends = np.cumsum(np.bincount(place, minlength=_FILES))
        keys = keys[order]
        start = 0
        for number, end in enumerate(ends):
            if end > start:
                with (self._folder / f"{number:03d}").open("ab") as out:
                    keys[start:end].tofile(out)
            start = int(end)


def _keys(values: pa.Array) -> NDArray[np.uint64]:
    """Two words a value, shape (n, 2): the number itself and 0, or the two halves of a text's hash."""
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        kind = pa.int64() if pa.types.is_integer(values.type) else pa.float64()
        words = values.cast(kind).to_numpy(zero_copy_only=False).view(np.uint64)
        return np.column_stack((words, np.zeros_like(words)))
    return hash_texts(values)


def hash_texts(values: pa.Array) -> NDArray[np.uint64]:
    """128-bit hashes of texts, shape (n, 2), eight bytes of every text at a time."""
    texts = values.cast(pa.large_binary()) if not pa.types.is_large_binary(values.type) else values
    if texts.null_count:
        texts = pc.drop_null(texts)
    buffers = texts.buffers()
    offsets = np.frombuffer(buffers[1], dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    used = np.frombuffer(buffers[2], dtype=np.uint8) if buffers[2] is not None else np.empty(0, np.uint8)
    start, end = int(offsets[0]), int(offsets[-1])
    data = np.zeros(end - start + 8, dtype=np.uint8)
    data[: end - start] = used[start:end]
    words: NDArray[np.uint64] = np.ndarray((len(data) - 7,), np.dtype("<u8"), data, strides=(1,))
    begins, lengths = offsets[:-1] - start, np.diff(offsets)
    one = lengths.astype(np.uint64) * _MIX_1 + np.uint64(1)
    two = lengths.astype(np.uint64) * _MIX_2 + np.uint64(2)
    rows = np.arange(len(lengths))
    done = 0
    while len(rows := rows[lengths[rows] > done]):
        left = np.minimum(lengths[rows] - done, 8)
        mask = np.where(
            left >= 8,
            np.uint64(2**64 - 1),
            (np.uint64(1) << (left * 8 % 64).astype(np.uint64)) - np.uint64(1),
        )
        word = words[begins[rows] + done] & mask
        one[rows] = _mixed(one[rows] ^ word)
        two[rows] = _mixed(two[rows] * _MIX_1 + word)
        done += 8
    return np.column_stack((one, two))


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Every bit of a word spread over all of it, reversibly (the finaliser of SplitMix64)."""
    words = (words ^ (words >> np.uint64(30))) * _MIX_1
    words = (words ^ (words >> np.uint64(27))) * _MIX_2
    return words ^ (words >> np.uint64(31))
