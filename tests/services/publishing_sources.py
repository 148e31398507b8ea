"""Source files and recipes for tests of publishing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

RECIPE = """\
[release]
name = "small"
title = "A small survey"
description = "Made for tests."
creators = ["A. Tester"]
licence = "CC0-1.0"

[[table]]
name = "objects"
files = ["objects.csv"]
identifier = "id"

[[table]]
name = "visits"
files = ["visits-*.csv"]

[[key]]
source = "visits"
target = "objects"
columns = { object_id = "id" }
"""


def write_sources(folder: Path, *, rows: int = 2_000, seed: int = 1, recipe: str = RECIPE) -> Path:
    """Write the files of a small survey; returns the recipe's path. Another seed is another content."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(0, 360, rows), np.degrees(np.arcsin(rng.uniform(-1, 1, rows)))
    mags = rng.uniform(15, 24, rows)
    lines = [f"{i},{ra[i]:.7f},{dec[i]:.7f},{mags[i]:.4f},S{i % 5}" for i in range(rows)]
    lines[7] = "7,,,20.0,S2"
    (folder / "objects.csv").write_text("id,ra,dec,mag_g,kind\n" + "\n".join(lines) + "\n")
    for number in range(2):
        visits = [f"{number},{int(rng.integers(0, rows))},{rng.uniform(0, 1):.5f}" for _ in range(rows // 4)]
        text = "visit,object_id,flux\n" + "\n".join(visits) + "\n"
        (folder / f"visits-{number}.csv").write_text(text)
    path = folder / "release.toml"
    path.write_text(recipe)
    return path
