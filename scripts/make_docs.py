"""Writes the reference pages that are made from the code: `make docs`."""

import sys
from pathlib import Path

from skygate.adql import reference
from skygate.cli import settings_page
from skygate.release import recipe_doc

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"

PAGES = (reference.write, recipe_doc.write, settings_page.write)
"""Functions that write their pages into the directory they are given and return the paths."""


def main() -> None:
    """Write every page."""
    for write in PAGES:
        for path in write(REFERENCE):
            sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
