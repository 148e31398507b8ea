"""`skygate publish`: files become a release, or a new version of one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from skygate.cli.terminal import json_option, root_option, say_json, store_at, watcher
from skygate.cli.warm import as_json_of, sentence, warm_release
from skygate.errors import BadParameter, BadRelease, Where
from skygate.release.findings import counted


@click.command()
@click.argument("what", metavar="RELEASE.toml | NAME")
@click.argument("files", nargs=-1, metavar="[FILE]…")
@root_option
@click.option("--felis", type=click.Path(path_type=Path), help="Felis YAML that describes columns, too.")
@click.option("--strict", is_flag=True, help="Refuse when the validation report has errors.")
@click.option("--again", is_flag=True, help="Make a new version of the same input: the last is damaged.")
@click.option("--no-warm", is_flag=True, help="Build no caches: queries are right without, and slower.")
@json_option
def publish(
    what: str,
    files: Sequence[str],
    root: Path | None,
    felis: Path | None,
    strict: bool,
    again: bool,
    no_warm: bool,
    as_json: bool,
) -> None:
    """Publish a release: RELEASE.toml says what, or NAME and files (a table for each file).

    The same input again changes nothing (but with --again); a changed one becomes a new version beside
    the old, which stays in force until the new one is complete. An interrupted publish goes on where it
    stopped. Caches are built last, when the version is in force already.
    """
    from skygate.release.felis import merge_felis, read_felis
    from skygate.release.recipe_file import read_recipe, recipe_of_files
    from skygate.services import publishing

    path = Path(what)
    source: Path | None = None
    if files:
        recipe = recipe_of_files(what, files)
    elif path.suffix == ".toml" or path.is_file():
        recipe = read_recipe(source := path)
    elif path.is_dir():
        recipe = read_recipe(source := path / "release.toml")
    else:
        raise BadParameter(
            f"{what} is no file",
            hint="give a release.toml, or a name and the files to publish: skygate publish NAME FILE…",
            where=Where(name="RELEASE.toml"),
        )
    if felis is not None:
        recipe = merge_felis(recipe, read_felis(felis))
    store = store_at(root)
    try:
        with watcher() as progress:
            done = publishing.publish(store, recipe, strict=strict, again=again, progress=progress)
    except BadRelease as fault:
        if source is None:
            raise
        from skygate.release.blame import located

        raise located(fault, recipe, source) from fault
    folder = Path(done.release.path)
    report = publishing.read_report(folder)
    if as_json:
        warmed = () if no_warm else warm_release(done.release)
        say_json(_as_json(done, report) | {"caches": [as_json_of(one) for one in warmed]})
        return
    release = done.release
    rows = sum(table.rows or 0 for table in release.tables)
    said = {
        "published": "published",
        "unchanged": "unchanged: the version in force was made from the same input",
        "restored": "in force again: it was made from the same input",
    }[done.action]
    click.echo(f"{release.name} version {release.version} {said}")
    what = f"{counted(len(release.tables), 'table')}, {counted(rows, 'row')}"
    click.echo(f"  {what}, checksum {release.checksum[:16]}…")
    click.echo(f"  report: {_counted(report)} {folder / publishing.REPORT_PAGE}")
    for one in () if no_warm else warm_release(release):
        click.echo(f"  cache: {sentence(one)}")


def _counted(report: dict[str, Any]) -> str:
    counts: dict[str, int] = {word: report["counts"][word] for word in ("error", "warning")}
    return ", ".join(counted(count, word) for word, count in counts.items()) + ";"


def _as_json(done: Any, report: dict[str, Any]) -> dict[str, Any]:
    release = done.release
    return {
        "name": release.name,
        "version": release.version,
        "action": done.action,
        "resumed": list(done.resumed),
        "checksum": release.checksum,
        "path": release.path,
        "tables": {table.name: table.rows for table in release.tables},
        "errors": report["counts"]["error"],
        "warnings": report["counts"]["warning"],
    }
