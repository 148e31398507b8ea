"""Caches that are missing, built beside a running server by a child process that yields to everybody.

Must not know: what a cache is made of, HTTP. No query waits for it.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from pathlib import Path

import anyio
from anyio import CancelScope, to_thread

from skygate.domain.account import ANONYMOUS
from skygate.domain.catalog import Release
from skygate.errors import EngineAway, SkygateError
from skygate.ports import CacheBuilder
from skygate.services.releases import ReleasesService

log = logging.getLogger("skygate.caches")

LOOK_S = 10.0
"""Time between two looks for new versions."""
AGAIN_S = 900.0
"""What could not be built is tried again after this time, or when a version comes or goes."""
_NICE = 15
_STOP_S = 5.0
_COMMAND = (
    sys.executable,
    "-c",
    "from skygate.cli import main; main()",
    "warm",
    "--nice",
    str(_NICE),
    "--json",
)


async def build_caches(releases: ReleasesService, builder: CacheBuilder, root: Path) -> None:
    """Look for missing caches and have them built, until cancelled."""
    tried: tuple[object, float] | None = None
    while True:
        await anyio.sleep(LOOK_S)
        try:
            missing = await to_thread.run_sync(_missing, releases, builder)
        except (SkygateError, OSError) as fault:  # a directory that may not be written, for one
            log.warning("caches are not built in the background: %s", fault)
            await anyio.sleep(AGAIN_S)
            continue
        if not missing or (tried is not None and tried[0] == missing and time.monotonic() < tried[1]):
            continue
        if await _built(root):
            tried = (missing, time.monotonic() + AGAIN_S)


def _missing(releases: ReleasesService, builder: CacheBuilder) -> frozenset[tuple[str, str, str]]:
    """(release, version, table) of what is missing; nothing while another process builds.

    Nor is anything missing while the releases are away.
    """
    try:
        found: list[Release] = list(releases.catalog(ANONYMOUS).releases())
    except EngineAway:
        return frozenset()
    lacking = frozenset((r.name, r.version, t.name) for r in found for t in builder.missing(r))
    return frozenset() if lacking and any(builder.busy(r) for r in found[:1]) else lacking


async def _built(root: Path) -> bool:
    """Run the builder to its end and log what it did; False when another process had begun before it."""
    try:
        child = await anyio.open_process(
            [*_COMMAND, "--root", str(root)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except OSError:
        log.warning("caches cannot be built in the background", exc_info=True)
        return True
    began, said = time.monotonic(), b""
    try:
        assert child.stdout is not None
        async for piece in child.stdout:
            said += piece
        status = await child.wait()
    except BaseException:
        with CancelScope(shield=True):
            child.terminate()
            with anyio.move_on_after(_STOP_S):
                await child.wait()
            if child.returncode is None:
                child.kill()
        raise
    fields = {"seconds": round(time.monotonic() - began, 1), "status": status, "said": said.decode()[:2000]}
    if status:
        level, message = logging.WARNING, "caches could not be built"
    elif b'"built"' in said:
        level, message = logging.INFO, "caches were built"
    else:
        level, message = logging.DEBUG, "another process builds caches"
    log.log(level, message, extra={"fields": fields})
    return b'"left"' not in said
