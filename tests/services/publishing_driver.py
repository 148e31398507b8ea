"""Run in a process of its own by the drills: publish a recipe, and kill this process at a given durable step.

    python publishing_driver.py RECIPE ROOT [N]

N counts flushes and renames, the moments at which something becomes lasting; just before the Nth the process
is killed. Without N the publish runs through and the number of such moments is printed.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from skygate.release.recipe_file import read_recipe
from skygate.services.publishing import publish
from skygate.stores.releases import FolderReleases

steps = 0
fatal = int(sys.argv[3]) if len(sys.argv) > 3 else 0


def counted(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, killing the process when its turn has come."""

    def call(*args: Any, **kwargs: Any) -> Any:
        global steps
        steps += 1
        if steps == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)

    return call


for name in ("fsync", "rename", "replace"):
    setattr(os, name, counted(getattr(os, name)))
done = publish(FolderReleases(Path(sys.argv[2])), read_recipe(Path(sys.argv[1])))
print(done.action, done.release.version, ",".join(done.resumed), steps)
