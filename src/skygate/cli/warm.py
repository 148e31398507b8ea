"""`skygate warm`: build the caches that are missing, and say what was built.

Must not know: what a cache is made of.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skygate.cli.terminal import json_option, root_option, say_json, store_at, watcher
from skygate.release.findings import counted

if TYPE_CHECKING:
    from skygate.domain.catalog import Release
    from skygate.services.warming import Warmed


@click.command()
@click.argument("names", metavar="[RELEASE]…", nargs=-1)
@root_option
@click.option("--nice", type=click.IntRange(0, 19), default=0, help="Lower the priority of this process [0].")
@json_option
def warm(names: Sequence[str], root: Path | None, nice: int, as_json: bool) -> None:
    """Build the caches of releases (of all of them by default) that are missing.

    Without caches every answer is the same, and cones, identifiers, matches and counts take longer. A cache
    lies in the version's directory under cache/ and may be deleted at any time. Exit status 1 when one
    cannot be built.
    """
    if nice:
        os.nice(nice)
    store = store_at(root)
    done = [one for name in names or store.names() for one in warm_release(store.load(name))]
    if as_json:
        say_json([as_json_of(one) for one in done])
    else:
        for one in done:
            click.echo(f"{one.release.name} version {one.release.version}: {sentence(one)}")
        if not done:
            click.echo("nothing is missing")
    if any(one.action == "failed" for one in done):
        sys.exit(1)


def warm_release(release: Release) -> list[Warmed]:
    """Build what a release lacks, with progress; a failure is part of what is returned."""
    from skygate import assembly
    from skygate.services import warming
    from skygate.settings import read_settings

    with watcher() as progress:
        return list(warming.warm(assembly.cache_builder(read_settings()), release, progress))


def sentence(one: Warmed) -> str:
    """What became of a cache."""
    name = one.table.name
    if one.action == "built":
        return f"{name}, {counted(one.table.rows or 0, 'row')} in {one.seconds:.1f} s"
    if one.action == "left":
        return f"{name} is left to the process that builds caches here now"
    return f"{name} could not be built: {one.fault} (every query works without it)"


def as_json_of(one: Warmed) -> dict[str, Any]:
    """The same for programs."""
    told = {
        "release": one.release.name,
        "version": one.release.version,
        "table": one.table.name,
        "action": one.action,
        "seconds": round(one.seconds, 2),
    }
    return told if one.fault is None else {**told, "fault": str(one.fault)}
