"""`skygate releases`, `info`, `check`, `rollback`, `unpublish`, `prune`: the releases of a directory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table as Sheet

from skygate.cli.terminal import json_option, root_option, say_json, size_of, store_at
from skygate.domain.catalog import Release, Table
from skygate.errors import SkygateError
from skygate.release.findings import counted
from skygate.stores.releases import FolderReleases
from skygate.wire import error_to_json, to_json

_MEND = "to mend it, publish its release.toml with --again: the same files become a new, sound version"


@click.command()
@root_option
@json_option
def releases(root: Path | None, as_json: bool) -> None:
    """List the releases, with the version in force."""
    store = store_at(root)
    known = [_line_of(store, name) for name in store.names()]
    if as_json:
        say_json(known)
        return
    if not known:
        click.echo("nothing is published here", err=True)
        return
    sheet = Sheet("release", "version", "published", "tables", "rows", "title", box=None, pad_edge=False)
    for line in known:
        title = f"BROKEN: {line['fault']['message']}" if "fault" in line else line["title"]
        rows = "" if "fault" in line else f"{line['rows']:,}"
        sheet.add_row(
            line["name"],
            line["version"],
            line.get("published_at", ""),
            str(line.get("tables", "")),
            rows,
            title,
        )
    _show(sheet)


@click.command()
@click.argument("name")
@click.option("--version", help="A version other than the one in force.")
@root_option
@json_option
def info(name: str, version: str | None, root: Path | None, as_json: bool) -> None:
    """Say what a release is: tables, rows, columns, versions, how to cite it."""
    store = store_at(root)
    release = store.load(name, version)
    if as_json:
        say_json(to_json(release) | {"versions": list(store.versions(name)), "current": store.current(name)})
        return
    _tell(store, release)


@click.command()
@click.argument("name", required=False)
@click.option("--version", help="A version other than the one in force.")
@click.option("--all", "everything", is_flag=True, help="Every version.")
@root_option
@json_option
def check(name: str | None, version: str | None, everything: bool, root: Path | None, as_json: bool) -> None:
    """Verify every byte of a release (or of all): checksums, rows, order, statistics.

    Exit status 1 when something is wrong.
    """
    store = store_at(root)
    wanted: list[tuple[str, str]] = []
    for release in [name] if name is not None else store.names():
        versions = store.versions(release) if everything else [version or store.current(release)]
        wanted.extend((release, one) for one in versions)
    wrong = {(release, one): store.check(release, one) for release, one in wanted}
    if as_json:
        say_json(
            [
                {"name": release, "version": one, "findings": to_json(tuple(findings))}
                | ({"hint": _MEND} if findings else {})
                for (release, one), findings in wrong.items()
            ]
        )
    else:
        for (release, one), findings in wrong.items():
            for finding in findings:
                click.echo(f"{release} version {one}: {finding.path} {finding.problem}")
            click.echo(f"{release} version {one}: {_MEND if findings else 'sound'}")
    if any(wrong.values()):
        sys.exit(1)


@click.command()
@click.argument("name")
@click.argument("version", required=False)
@root_option
def rollback(name: str, version: str | None, root: Path | None) -> None:
    """Put the version before the current one (or VERSION) in force."""
    click.echo(f"{name} version {store_at(root).rollback(name, version)} is in force")


@click.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@root_option
def unpublish(name: str, yes: bool, root: Path | None) -> None:
    """Remove a release with all its versions."""
    store = store_at(root)
    versions = len(store.versions(name))
    if versions and not yes:
        question = f"Remove release {name} and its {counted(versions, 'version')} from disk?"
        click.confirm(question, abort=True, err=True)
    gone = store.unpublish(name)
    click.echo(f"{name} is removed ({counted(len(gone), 'version')})")


@click.command()
@click.argument("name")
@click.option("--keep", default=2, show_default=True, help="How many of the newest versions stay.")
@root_option
def prune(name: str, keep: int, root: Path | None) -> None:
    """Remove old versions; the one in force always stays.

    A query that runs on a removed version and opens further files of it fails: prune when nobody asks.
    """
    gone = store_at(root).prune(name, keep=keep)
    what = (
        f"removed version{'' if len(gone) == 1 else 's'} {', '.join(gone)}" if gone else "nothing to remove"
    )
    click.echo(f"{name}: {what}")


def _line_of(store: FolderReleases, name: str) -> dict[str, Any]:
    try:
        release = store.load(name)
    except SkygateError as fault:
        return {"name": name, "version": "", "fault": error_to_json(fault)}
    return {
        "name": release.name,
        "version": release.version,
        "title": release.title,
        "published_at": release.published_at,
        "tables": len(release.tables),
        "rows": sum(table.rows or 0 for table in release.tables),
        "checksum": release.checksum,
        "path": release.path,
    }


def _tell(store: FolderReleases, release: Release) -> None:
    click.echo(f"{release.name} version {release.version}: {release.title}")
    if release.description:
        click.echo(release.description.strip())
    current = store.current(release.name)
    pairs = {
        "published": release.published_at,
        "versions": ", ".join(f"{v} (in force)" if v == current else v for v in store.versions(release.name)),
        "creators": ", ".join(release.creators),
        "licence": release.licence,
        "citation": release.citation,
        "DOI": release.doi,
        "checksum": release.checksum,
        "on disk": release.path,
    }
    for label, value in pairs.items():
        if value:
            click.echo(f"  {label}: {value}")
    sheet = Sheet(
        "table", "rows", "columns", "files", "size", "position", "description", box=None, pad_edge=False
    )
    for table in release.tables:
        size = size_of(sum(part.size_bytes for part in table.parts))
        sheet.add_row(
            table.name,
            f"{table.rows or 0:,}",
            str(len(table.columns)),
            str(len(table.parts)),
            size,
            _position(table),
            table.description,
        )
    _show(sheet)


def _position(table: Table) -> str:
    if table.position is None:
        return ""
    epoch = f" at {table.position.epoch:g}" if table.position.epoch is not None else ""
    return f"{table.position.ra}, {table.position.dec}{epoch}"


def _show(sheet: Sheet) -> None:
    """Print a table; a pipe gets as many characters as it needs."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=400)
    console.print(sheet)
