"""Points in as many small polygons, each in its own, all at once: what is plain is decided, the rest left.

Must not know: cells, tables. `exact` decides what is left: boundaries, and polygons that are no plain ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skygate.sky.outline import Floats, vectors_of

_MARGIN_RAD = 1e-9
"""Nearer to an edge than this is not plain; far more than `TOLERANCE_RAD` and all rounding."""
_WIDEST_COS = 0.5
"""Of the angle from the middle to the corners: wider polygons are not plain."""


def inside_each(corners_deg: Floats, ra_deg: Floats, dec_deg: Floats) -> NDArray[np.int8]:
    """1 where a point is in the polygon of its row, 0 where it is not, -1 where that is not plain.

    `corners_deg` has the shape (rows, corners, 2). Plain are strictly convex polygons within a cap of 60
    degrees, whichever way round, and points that are not near their edges.
    """
    corners = vectors_of(corners_deg[..., 0], corners_deg[..., 1])
    following = np.roll(corners, -1, axis=1)
    normals = np.cross(corners, following - corners)
    lengths = np.linalg.norm(normals, axis=2, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        normals /= lengths
        plain = (lengths[..., 0] > _MARGIN_RAD).all(axis=1)
        plain &= _in_cap(corners)
        # each edge has all other corners on one and the same side
        heights = np.einsum("nic,njic->nij", normals, corners[:, :, None, :] - corners[:, None, :, :])
        count = corners.shape[1]
        others = ~(np.eye(count, dtype=np.bool_) | np.roll(np.eye(count, dtype=np.bool_), 1, axis=1))
        left, right = (
            side[:, others].all(axis=1) for side in (heights > _MARGIN_RAD, heights < -_MARGIN_RAD)
        )
        plain &= left | right
        points = vectors_of(ra_deg, dec_deg)
        depth = np.einsum("nic,nic->ni", normals, points[:, None, :] - corners)
        depth = np.where(right[:, None], -depth, depth).min(axis=1)
        plain &= np.abs(depth) > _MARGIN_RAD
    return np.where(plain, (depth > 0).astype(np.int8), np.int8(-1))


def _in_cap(corners: Floats) -> NDArray[np.bool_]:
    middle = corners.mean(axis=1)
    middle = middle / np.linalg.norm(middle, axis=1, keepdims=True)
    return np.asarray((np.einsum("nc,nkc->nk", middle, corners) > _WIDEST_COS).all(axis=1))
