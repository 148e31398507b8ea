"""Counts in equal bins over a range that is not known before the last value.

Bins are as wide as a power of two and begin at multiples of it, so that widening merges neighbours exactly:
one pass, fixed memory, and the same counts whatever the order of the values.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 4096
SHOWN = 48
"""At most so many bins are kept for people."""
_NARROWEST = -1000


@dataclass(frozen=True, slots=True)
class Bins:
    """Counts in equal bins between `low` and `high`; `outside` values lie beyond and are not counted."""

    counts: tuple[int, ...]
    low: float
    high: float
    outside: int = 0


class Histogram:
    """Takes finite values as they come. `whole` values never get bins narrower than 1."""

    def __init__(self, *, whole: bool = False) -> None:
        self._floor = 0 if whole else _NARROWEST
        self._exponent = self._floor
        self._base = 0
        self._counts: NDArray[np.int64] | None = None

    def add(self, values: NDArray[np.float64], low: float, high: float) -> None:
        """Count finite values, of which `low` and `high` are the least and the greatest."""
        if not len(values):
            return
        self._make_room(low, high)
        scaled = values * math.ldexp(1.0, -self._exponent)
        np.floor(scaled, out=scaled)
        scaled -= self._base
        counts = np.bincount(scaled.astype(np.intp), minlength=BINS)
        assert self._counts is not None
        self._counts += counts

    def shown(self, bins: int = SHOWN) -> Bins | None:
        """At most `bins` equal bins for a picture; far outliers are cut off and told. None when empty."""
        if self._counts is None:
            return None
        first, last = self._central()
        group = 1
        while last // group - first // group >= bins:
            group *= 2
        start, stop = first // group * group, (last // group + 1) * group
        padded = np.zeros(stop - start, dtype=np.int64)
        lowest, highest = max(start, self._base), min(stop, self._base + BINS)
        padded[lowest - start : highest - start] = self._counts[lowest - self._base : highest - self._base]
        counts = padded.reshape(-1, group).sum(axis=1)
        width = math.ldexp(1.0, self._exponent)
        total = int(self._counts.sum())
        outside = total - int(counts.sum())
        largest = sys.float_info.max
        low, high = max(start * width, -largest), min(stop * width, largest)
        return Bins(tuple(int(c) for c in counts), low, high, outside)

    def gap_beside(self, value: float) -> float:
        """How far other values are from `value`, as a share of the range of these others (0 when none)."""
        if self._counts is None:
            return 0.0
        own = math.floor(math.ldexp(value, -self._exponent))
        others = np.flatnonzero(self._counts) + self._base
        others = others[others != own]
        if not len(others):
            return 0.0
        return float(np.abs(others - own).min() / max(int(others[-1] - others[0]), 1))

    def _central(self) -> tuple[int, int]:
        """First and last bin to show: all, but where a few values stretch the range eightfold the bulk."""
        assert self._counts is not None
        used = np.flatnonzero(self._counts)
        first, last = int(used[0]), int(used[-1])
        running = np.cumsum(self._counts)
        total = int(running[-1])
        if total >= 1000:
            low = int(np.searchsorted(running, total * 0.002, side="right"))
            high = int(np.searchsorted(running, total * 0.998, side="left"))
            width = max(high - low, 1)
            if last - first > 8 * width:
                first, last = max(first, low - width // 4), min(last, high + width // 4)
        return first + self._base, last + self._base

    def _make_room(self, low: float, high: float) -> None:
        """Widen and move the bins until `low` and `high` have one; counts go along."""
        if self._counts is None:
            used, counts = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
            self._exponent = max(self._floor, _finest(low, high))
        else:
            wide_enough = self._exponent >= _finest_exact(low, high)
            if wide_enough and self._fits(low) and self._fits(high):
                return
            full = np.flatnonzero(self._counts)
            used, counts = full + self._base, self._counts[full]
        before = self._exponent
        self._exponent = max(before, _finest_exact(low, high))
        while True:
            ends = [self._bin(low), self._bin(high)]
            if len(used):
                ends += [
                    int(used[0]) >> (self._exponent - before),
                    int(used[-1]) >> (self._exponent - before),
                ]
            if max(ends) - min(ends) < BINS:
                break
            self._exponent += 1
        self._base = min(ends) - (BINS - (max(ends) - min(ends) + 1)) // 2
        self._counts = np.zeros(BINS, dtype=np.int64)
        np.add.at(self._counts, (used >> (self._exponent - before)) - self._base, counts)

    def _fits(self, value: float) -> bool:
        return self._base <= self._bin(value) < self._base + BINS

    def _bin(self, value: float) -> int:
        return math.floor(math.ldexp(value, -self._exponent))


def _finest(low: float, high: float) -> int:
    """The exponent of bins narrow enough for a first look at a range."""
    spread = high / 1024 - low / 1024
    exact = _finest_exact(low, high)
    return max(exact, math.frexp(spread)[1] if spread > 0 else exact)


def _finest_exact(low: float, high: float) -> int:
    """The exponent of the narrowest bins whose numbers a float64 holds exactly."""
    return max(math.frexp(max(abs(low), abs(high)))[1] - 50, _NARROWEST)
