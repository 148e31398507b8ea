"""The demo: release `bright_sky`, made from catalogues that come as Python packages (extra `demo`).

`release.toml` beside this file is all there is to it; `python -m skygate.demo` prints where it is.
"""

from pathlib import Path


def recipe_path() -> Path:
    """Where the demo's release.toml is."""
    return Path(__file__).with_name("release.toml")
