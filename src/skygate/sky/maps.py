"""Maps of counts on the sky as HEALPix FITS files, as `hats` and other tools read them.

Must not know: tables, releases. cdshealpix is loaded on first use.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def write_counts(path: Path, counts: NDArray[np.int64]) -> None:
    """Write rows per HEALPix pixel (NESTED, all 12 · 4^order of them); sparse maps in the explicit form."""
    from cdshealpix.skymap import SkymapImplicit

    sky = SkymapImplicit(counts.astype(np.int32), null_value=0)
    sparse = 0 < np.count_nonzero(counts) < counts.size / 2
    (sky.to_explicit() if sparse else sky).to_fits(os.fspath(path))
