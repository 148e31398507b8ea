"""Where a table's rows are on the sky: a MOC, and a map of counts, gathered from a stream of cells.

Must not know: files of rows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skygate.domain.catalog import CELL_ORDER
from skygate.release.durable import sync_file, sync_folder
from skygate.sky import moc
from skygate.sky.ranges import Ranges

ASCII_BYTES = 32 * 1024
"""Longest coverage in the release's description; sparse catalogues get coarser cells there."""
MAP_ROWS = 1_000_000
"""Tables of fewer rows get a map of counts of a lower order."""


class Coverage:
    """Gathers ascending cells of order 29; the results always cover every row."""

    def __init__(self, rows: int) -> None:
        self._map_order = 8 if rows >= MAP_ROWS else 6
        self.counts: NDArray[np.int64] = np.zeros(12 * 4**self._map_order, np.int64)
        """Rows per pixel (NESTED) of a low order."""
        self._parts: list[Ranges] = []

    def add(self, cells: NDArray[np.int64]) -> None:
        """Count rows."""
        if not cells.size:
            return
        self._parts.append(moc.coverage(cells))
        pixels, counts = np.unique(cells >> 2 * (CELL_ORDER - self._map_order), return_counts=True)
        self.counts[pixels] += counts

    @property
    def ranges(self) -> Ranges:
        """What is covered, in cells of `moc.COVERAGE_ORDER`."""
        self._parts = [moc.total(self._parts)] if self._parts else [moc.coverage([])]
        return self._parts[0]

    @property
    def sky_fraction(self) -> float:
        """Covered part of the sky, 0 to 1."""
        return moc.sky_fraction(self.ranges)

    def ascii(self) -> str:
        """The coverage as an ASCII MOC of at most `ASCII_BYTES`, as fine as that allows."""
        text = ""
        for order in range(moc.COVERAGE_ORDER, -1, -1):
            text = " ".join(moc.to_ascii(self.ranges, order).split())
            if len(text) <= ASCII_BYTES:
                break
        return text

    def write(self, path: Path) -> None:
        """Write the coverage as a FITS file and flush it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        moc.write_fits(self.ranges, path)
        sync_file(path)
        sync_folder(path.parent)
