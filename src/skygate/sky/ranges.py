"""Sets of order-29 cells as sorted, disjoint ranges [first, last], both ends inclusive.

An array of shape (n, 2). Must not know: regions, tables.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skygate.domain.catalog import CELL_ORDER
from skygate.sky.cells import cell_count

Ranges = NDArray[np.int64]

LAST_CELL = cell_count(CELL_ORDER) - 1


def nothing() -> Ranges:
    """No cell."""
    return np.empty((0, 2), dtype=np.int64)


def everything() -> Ranges:
    """The whole sphere."""
    return np.array([[0, LAST_CELL]], dtype=np.int64)


def of_cells(cells: ArrayLike, order: int = CELL_ORDER) -> Ranges:
    """Ranges of cells of one order, in any sequence, repeated or not; negative cells are left out."""
    index = np.unique(np.asarray(cells, dtype=np.int64))
    index = index[index >= 0]
    shift = 2 * (CELL_ORDER - order)
    return normalized(np.stack([index << shift, ((index + 1) << shift) - 1], axis=1))


def of_pairs(pairs: Iterable[tuple[int, int]]) -> Ranges:
    """Ranges of (first, last) pairs in any sequence, overlapping or not."""
    return normalized(np.array(list(pairs), dtype=np.int64).reshape(-1, 2))


def pairs_of(ranges: Ranges) -> tuple[tuple[int, int], ...]:
    """The ranges as plain Python numbers."""
    return tuple((int(first), int(last)) for first, last in ranges)


def normalized(ranges: Ranges) -> Ranges:
    """The same cells sorted, disjoint, and with touching ranges joined."""
    if len(ranges) == 0:
        return nothing()
    ordered = ranges[np.argsort(ranges[:, 0], kind="stable")]
    last = np.maximum.accumulate(ordered[:, 1])
    opens = np.concatenate([[True], ordered[1:, 0] > last[:-1] + 1])
    closes = np.concatenate([opens[1:], [True]])
    return np.stack([ordered[opens, 0], last[closes]], axis=1)


def union(*parts: Ranges) -> Ranges:
    """Cells that are in any of the parts."""
    return normalized(np.concatenate([nothing(), *parts]))


def intersection(one: Ranges, other: Ranges) -> Ranges:
    """Cells that are in both."""
    if len(one) == 0 or len(other) == 0:
        return nothing()
    begin = np.searchsorted(other[:, 1], one[:, 0], side="left")
    end = np.searchsorted(other[:, 0], one[:, 1], side="right")
    counts = np.maximum(end - begin, 0)
    left = np.repeat(np.arange(len(one)), counts)
    right = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(begin, counts)
    first = np.maximum(one[left, 0], other[right, 0])
    last = np.minimum(one[left, 1], other[right, 1])
    return np.stack([first, last], axis=1)


def complement(ranges: Ranges) -> Ranges:
    """Cells that are in none of the ranges."""
    first = np.concatenate([[0], ranges[:, 1] + 1])
    last = np.concatenate([ranges[:, 0] - 1, [LAST_CELL]])
    keep = first <= last
    return np.stack([first[keep], last[keep]], axis=1).astype(np.int64)


def simplify(ranges: Ranges, max_ranges: int) -> Ranges:
    """At most `max_ranges` ranges that contain all the cells: the smallest gaps are filled."""
    if max_ranges < 1:
        raise ValueError("max_ranges must be at least 1")
    if len(ranges) <= max_ranges:
        return ranges
    gaps = ranges[1:, 0] - ranges[:-1, 1]
    kept = np.sort(np.argsort(gaps, kind="stable")[len(gaps) - (max_ranges - 1) :])
    first = np.concatenate([ranges[:1, 0], ranges[kept + 1, 0]])
    last = np.concatenate([ranges[kept, 1], ranges[-1:, 1]])
    return np.stack([first, last], axis=1)


def holds(ranges: Ranges, cells: ArrayLike) -> NDArray[np.bool_]:
    """Which order-29 cells are in the ranges."""
    index = np.asarray(cells, dtype=np.int64)
    if len(ranges) == 0:
        return np.zeros(index.shape, dtype=np.bool_)
    place = np.searchsorted(ranges[:, 0], index, side="right") - 1
    return (place >= 0) & (index <= ranges[np.maximum(place, 0), 1])


def cells_within(ranges: Ranges, order: int) -> NDArray[np.int64]:
    """The cells of an order that the ranges touch, ascending."""
    shift = 2 * (CELL_ORDER - order)
    coarse = normalized(ranges >> shift)
    counts = coarse[:, 1] - coarse[:, 0] + 1
    return np.repeat(coarse[:, 0] - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
