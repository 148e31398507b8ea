"""Many small polygons at once: what is decided is what the exact test decides; the rest is left to it."""

import numpy as np
import pytest

from skygate.domain.sky import Polygon, Position
from skygate.errors import BadRegion
from skygate.sky import exact, many


def one_by_one(corners, ra, dec):
    out = []
    for row, a, d in zip(corners, ra, dec, strict=True):
        try:
            polygon = Polygon(tuple(Position(*pair) for pair in row.tolist()))
            out.append(bool(exact.contains(polygon, a, d)))
        except BadRegion:
            out.append(None)
    return out


@pytest.mark.parametrize("count", [3, 4, 5, 7])
@pytest.mark.parametrize("size_deg", [1e-5, 0.1, 20.0, 100.0])
def test_what_is_decided_is_right(count, size_deg):
    rng = np.random.default_rng(count)
    rows = 400
    centers = np.column_stack([rng.uniform(0, 360, rows), np.degrees(np.arcsin(rng.uniform(-1, 1, rows)))])
    centers[:20, 1] = np.where(rng.uniform(size=20) < 0.5, 90.0, -90.0)
    if size_deg > 1:  # any order of corners: many cross themselves
        corners = centers[:, None, :] + rng.uniform(-size_deg, size_deg, (rows, count, 2))
    else:  # regular, both ways round, and some with a corner twice
        turn = np.linspace(0, 2 * np.pi, count, endpoint=False) + rng.uniform(0, 6, (rows, 1))
        turn *= np.where(rng.uniform(size=(rows, 1)) < 0.5, 1, -1)
        wide = size_deg / np.maximum(0.05, np.cos(np.radians(centers[:, 1:])))
        corners = np.stack(
            [centers[:, :1] + wide * np.cos(turn), centers[:, 1:] + size_deg * np.sin(turn)], axis=2
        )
        corners[30:40, 1] = corners[30:40, 0]
    corners[..., 1] = np.clip(corners[..., 1], -90, 90)
    ra = centers[:, 0] + rng.uniform(-2, 2, rows) * size_deg
    dec = np.clip(centers[:, 1] + rng.uniform(-2, 2, rows) * size_deg, -90, 90)
    ra[40:60], dec[40:60] = corners[40:60, 0, 0], corners[40:60, 0, 1]  # on a corner
    found = many.inside_each(corners, ra, dec)
    for told, truth in zip(found.tolist(), one_by_one(corners, ra, dec), strict=True):
        assert told == -1 or (truth is not None and bool(told) == truth)
    assert (found[40:60] == -1).all()
    if size_deg < 1:
        assert (found >= 0).mean() > 0.8
        assert set(found.tolist()) == {-1, 0, 1}
