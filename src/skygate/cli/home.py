"""A home directory for libraries that want one: astropy keeps settings and caches there and fails without.

Must not know: which verb is run.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_KEPT = ("XDG_CONFIG_HOME", "XDG_CACHE_HOME")
"""Where astropy looks before it looks into the home directory."""


def settle_home() -> Path | None:
    """Give astropy a temporary directory where the home directory cannot be used; it ends with the process.

    To be called before astropy is imported. Variables that are set to usable directories are left alone.
    """
    try:
        usable = _is_usable(Path.home())
    except RuntimeError:  # no HOME, and no entry for the user
        usable = False
    unset = [name for name in _KEPT if not _is_usable(Path(os.environ.get(name) or "/nowhere"))]
    if usable or not unset:
        return None
    folder = Path(tempfile.mkdtemp(prefix="skygate-home-"))
    (folder / "astropy").mkdir()
    for name in unset:
        os.environ[name] = str(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _is_usable(folder: Path) -> bool:
    return os.access(folder, os.R_OK | os.W_OK | os.X_OK)
