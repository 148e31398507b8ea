"""A small release that went the whole way: CSV files, `publish`, report and all."""

from pathlib import Path

import numpy as np

from releases_made import positions
from skygate.domain.catalog import Release
from skygate.release.recipe_file import recipe_of_files
from skygate.services.publishing import publish
from skygate.stores.releases import FolderReleases


def publish_mini(root: Path, *, rows: int = 2000) -> Release:
    """Release `mini` with tables `stars` (positions) and `notes` (none)."""
    source = root / "source"
    source.mkdir(parents=True)
    ra, dec = positions(rows)
    magnitude = np.random.default_rng(3).normal(15, 2, rows)
    stars = [
        f"{i},{r:.9f},{d:.9f},{m:.3f},star {i}"
        for i, (r, d, m) in enumerate(zip(ra, dec, magnitude, strict=True))
    ]
    (source / "stars.csv").write_text("\n".join(["id,ra,dec,mag_g,name", *stars]) + "\n")
    notes = [f"{i},note {i}" for i in range(0, rows, 7)]
    (source / "notes.csv").write_text("\n".join(["star_id,note", *notes]) + "\n")
    recipe = recipe_of_files("mini", [source / "stars.csv", source / "notes.csv"])
    return publish(FolderReleases(root), recipe).release
