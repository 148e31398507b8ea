"""A small release published from CSV files, as people publish: with a report and everything else."""

from releases_made import positions
from skygate.release.recipe_file import recipe_of_files
from skygate.services.publishing import publish
from skygate.stores.releases import FolderReleases


def publish_stars(root, files):
    """Release `mini` of 12,000 stars and 3 notes, published from CSV as people do."""
    ra, dec = positions(12_000)
    lines = ["id,ra,dec,mag_g,name"]
    lines += [f"{i},{a!r},{d!r},{10 + i % 14},s{i}" for i, (a, d) in enumerate(zip(ra, dec, strict=True), 1)]
    (files / "stars.csv").write_text("\n".join(lines))
    (files / "notes.csv").write_text("star_id,note\n1,bright\n2,<b>double</b>\n3,\n")
    recipe = recipe_of_files("mini", [files / "stars.csv", files / "notes.csv"])
    publish(FolderReleases(root), recipe)
