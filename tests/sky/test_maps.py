"""Maps of counts: written and read back by the library that HATS readers use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from skygate.sky import maps


@pytest.mark.parametrize("filled", [0, 3, 700, 768])
def test_a_map_reads_back(tmp_path: Path, filled: int) -> None:
    from cdshealpix.skymap.skymap import Scheme, Skymap

    counts = np.zeros(12 * 4**3, np.int64)
    counts[:filled] = np.arange(1, filled + 1)
    maps.write_counts(tmp_path / "map.fits", counts)
    sky = Skymap.from_fits(str(tmp_path / "map.fits"))
    if sky.scheme == Scheme.EXPLICIT:
        sky = sky.skymap.to_implicit(null_value=0)
        np.testing.assert_array_equal(sky.values, counts)
    else:
        np.testing.assert_array_equal(sky.skymap.values, counts)
