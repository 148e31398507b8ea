"""Prints the path of the demo's release.toml: `skygate publish $(python -m skygate.demo)`."""

import sys

from skygate.demo import recipe_path

sys.stdout.write(f"{recipe_path()}\n")
