"""A small picture of counts on the sky: Mollweide projection, inline SVG, and the same in words.

Must not know: tables. Colours are the page's (`--accent`, `--line`, `--sunken`, `--quiet`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skygate.release.findings import counted
from skygate.sky.cells import cell_of, center_of

WIDTH, HEIGHT = 160, 80
LEVELS = 7
CENTRE_RA_DEG = 180.0


@dataclass(frozen=True, slots=True)
class SkyMap:
    """The drawing, and the same in words."""

    svg: str
    words: str


def sky_map(counts: Sequence[int], order: int) -> SkyMap | None:
    """Draw rows per cell (NESTED, of `order`); None where there is nothing to draw."""
    numbers = np.asarray(counts, dtype=np.int64)
    total = int(numbers.sum())
    if not total:
        return None
    words = _words(numbers, order)
    numbers, order = _coarse_enough(numbers, order)
    inside, cells = _pixels(order)
    shades = np.zeros((HEIGHT, WIDTH), dtype=np.int64)
    levels = _levels(numbers)
    shades[inside] = levels[cells]
    # A cell may lie between the centres of pixels: every filled one marks the pixel of its own centre too.
    filled = np.flatnonzero(levels)
    x, y = _project(*_from_centre(filled, order))
    row, column = np.minimum(y.astype(int), HEIGHT - 1), np.minimum(x.astype(int), WIDTH - 1)
    np.maximum.at(shades, (row, column), levels[filled])
    paths = "".join(
        f'<path fill-opacity="{0.16 + 0.84 * (level - 1) / (LEVELS - 1):.2f}" d="{_runs(shades == level)}"/>'
        for level in range(1, LEVELS + 1)
        if (shades == level).any()
    )
    edge = f'cx="{WIDTH / 2:g}" cy="{HEIGHT / 2:g}" rx="{WIDTH / 2:g}" ry="{HEIGHT / 2:g}"'
    svg = (
        f'<svg class="sky" viewBox="-1 -1 {WIDTH + 2} {HEIGHT + 2}" role="img" aria-label="{words}">'
        f'<ellipse {edge} fill="var(--sunken)"/>'
        f'<g fill="var(--accent)" shape-rendering="crispEdges">{paths}</g>'
        f'<path d="{_grid()}" fill="none" stroke="var(--quiet)" stroke-opacity=".45" stroke-width=".2"/>'
        f'<ellipse {edge} fill="none" stroke="var(--quiet)" stroke-width=".4"/></svg>'
    )
    return SkyMap(svg, words)


def _words(numbers: NDArray[np.int64], order: int) -> str:
    """What the picture shows, in a sentence."""
    area = 41252.96 / len(numbers)
    share = np.count_nonzero(numbers) / len(numbers)
    most = int(numbers.argmax())
    ra, dec = center_of(np.array([most]), order)
    covered = f"{share:.0%}" if share >= 0.01 else f"{share:.1%}"
    position = f"right ascension {ra[0]:.0f}°, declination {dec[0]:+.0f}°".replace("-", "−")
    return (
        f"{counted(int(numbers.sum()), 'row')} over {covered} of the sky; densest near "
        f"{position} with {numbers[most] / area:,.3g} per square degree"
    )


def _coarse_enough(numbers: NDArray[np.int64], order: int) -> tuple[NDArray[np.int64], int]:
    """Larger cells for few rows, so that a map is not a scatter of ones."""
    while order > 3 and numbers.sum() / max(np.count_nonzero(numbers), 1) < 4:
        numbers, order = numbers.reshape(-1, 4).sum(axis=1), order - 1
    return numbers, order


def _levels(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Shades 1 to LEVELS by the logarithm of the counts, 0 for none; the extreme percents share the ends."""
    filled = numbers > 0
    logs = np.log(numbers[filled])
    low, high = np.percentile(logs, [1, 99])
    shades = np.zeros(len(numbers), dtype=np.int64)
    scaled = (logs - low) / (high - low) if high > low else np.ones(len(logs))
    shades[filled] = 1 + np.clip(scaled * LEVELS, 0, LEVELS - 1).astype(np.int64)
    return shades


def _pixels(order: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which pixels are on the sky, and their cells."""
    x = (np.arange(WIDTH) + 0.5) / WIDTH * 2 - 1
    y = 1 - (np.arange(HEIGHT) + 0.5) / HEIGHT * 2
    grid_x, grid_y = np.meshgrid(x, y)
    inside = grid_x**2 + grid_y**2 < 1
    theta = np.arcsin(grid_y[inside])
    dec = np.degrees(np.arcsin((2 * theta + np.sin(2 * theta)) / math.pi))
    ra = (CENTRE_RA_DEG - 180 * grid_x[inside] / np.cos(theta)) % 360
    return inside, cell_of(ra, dec, order)


def _runs(mask: NDArray[np.bool_]) -> str:
    """Rows of neighbouring pixels as one path."""
    pieces: list[str] = []
    for y, row in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], row.astype(np.int8), [0]))))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            pieces.append(f"M{start} {y}h{stop - start}v1h-{stop - start}z")
    return "".join(pieces)


def _grid() -> str:
    """Meridians every 60 and parallels every 30 degrees."""
    pieces: list[str] = []
    for lon in (-120, -60, 0, 60, 120):
        pieces.append(_line([(lon, lat) for lat in range(-90, 91, 10)]))
    for lat in (-60, -30, 0, 30, 60):
        pieces.append(_line([(-180, lat), (180, lat)]))
    return "".join(pieces)


def _line(points: Sequence[tuple[float, float]]) -> str:
    lon, lat = np.array(points, dtype=np.float64).T
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(*_project(lon, lat), strict=True))


def _from_centre(cells: NDArray[np.int64], order: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(longitude from the middle of the map in (-180, 180], latitude) of cells' centres, degrees."""
    ra, dec = center_of(cells, order)
    return (ra - CENTRE_RA_DEG + 180.0) % 360.0 - 180.0, dec


def _project(
    lon_deg: NDArray[np.float64], lat_deg: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixel coordinates in Mollweide's projection, by Newton's method (Snyder 1987, p. 251)."""
    wanted = np.pi * np.sin(np.radians(lat_deg))
    theta = np.radians(lat_deg)
    for _ in range(30):
        slope = np.maximum(2 + 2 * np.cos(2 * theta), 1e-9)
        theta = np.clip(theta - (2 * theta + np.sin(2 * theta) - wanted) / slope, -np.pi / 2, np.pi / 2)
    x = -lon_deg / 180 * np.cos(theta)
    return (x + 1) * WIDTH / 2, (1 - np.sin(theta)) * HEIGHT / 2
