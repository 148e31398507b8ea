"""Which plug is in which socket: the only place that knows."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

from skygate.adql import known_query, understand
from skygate.engines.caches import Caches
from skygate.engines.duck import DuckEngine
from skygate.engines.mapped import MappedColumns
from skygate.engines.pyramid import Pyramids
from skygate.ports import CacheBuilder
from skygate.services.bounds import Bounds
from skygate.services.densities import DensitiesService
from skygate.services.house import House
from skygate.services.leaves import Leaves
from skygate.services.places import Places
from skygate.services.queries import QueriesService
from skygate.services.releases import ReleasesService
from skygate.settings import Settings
from skygate.stores.releases import FolderReleases

_MIB = 1 << 20
_GIB = 1 << 30
_SPILL_SHARE = 0.4
"""Of the free space of the temporary directory, what queries may use for what does not fit in memory, and
again what answers may use that wait for their readers."""


def open_house(settings: Settings) -> House:
    """Everything over the releases in `settings.root`. Blocking and quick; close it when done."""
    root = settings.root.resolve()
    running = places_of(settings)
    memory = memory_of(settings)
    engine = DuckEngine(root / "releases", memory_bytes=memory, threads=cores(), spill_bytes=_spill_bytes())
    releases = ReleasesService(FolderReleases(root))
    queries = QueriesService(
        releases,
        engine,
        Places(running, waiting=settings.queries.waiting, wait_s=settings.queries.wait_seconds),
        bounds=bounds_of(settings, memory_bytes=memory, running=running),
        compiler=understand,
        known=known_query,
        accelerator=MappedColumns(cores()),
        tallies=Pyramids(),
    )

    def close() -> None:
        queries.close()
        engine.close()

    densities = DensitiesService(releases, queries)
    leaves = Leaves(_pages(root))
    return House(releases, queries, leaves, densities, closing=close, builder=cache_builder(settings))


def cache_builder(settings: Settings) -> CacheBuilder:
    """What makes the caches of releases, without a house."""
    return Caches(native=settings.caches.native, pyramids=settings.caches.pyramids)


def bounds_of(settings: Settings, *, memory_bytes: int, running: int) -> Bounds:
    """What one query may use."""
    asked = settings.queries
    return Bounds(
        seconds=asked.sync_seconds,
        default_maxrec=min(asked.default_maxrec, asked.hard_maxrec),
        hard_maxrec=asked.hard_maxrec,
        memory_bytes=memory_bytes if running == 1 else memory_bytes // 2,
        spool_memory_bytes=asked.spool_memory_mib * _MIB,
        spool_disk_bytes=int(asked.spool_disk_gib * _GIB),
        room_memory_bytes=asked.spools_memory_mib * _MIB // settings.server.workers,
        room_disk_bytes=(int(asked.spools_disk_gib * _GIB) or _spill_bytes()) // settings.server.workers,
        max_query_bytes=asked.max_query_kib * 1024,
        max_positions=settings.uploads.max_rows,
    )


def places_of(settings: Settings) -> int:
    """Queries that this process runs at once: its share of all, one at least."""
    return max(1, (settings.queries.running or cores()) // settings.server.workers)


def memory_of(settings: Settings) -> int:
    """Bytes that the engine of this process may use: as set, else its share of a third of the machine."""
    if settings.queries.memory_gib:
        return int(settings.queries.memory_gib * _GIB)
    return max(256 * _MIB, machine_bytes() // 3 // settings.server.workers)


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0))


def machine_bytes() -> int:
    """Memory of the machine, or of the control group that this process lives in, when that is less."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(path).read_text("ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total


def _pages(root: Path) -> Path | None:
    """Where every process over this root keeps answers for leafing; None when it is not ours alone."""
    mark = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
    path = Path(tempfile.gettempdir()) / f"skygate-pages-{os.getuid()}-{mark}"
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError:
        return None
    private = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return path if private else None


def _spill_bytes() -> int:
    return int(shutil.disk_usage(tempfile.gettempdir()).free * _SPILL_SHARE)
