"""Publishing: a recipe and its files become a new version of a release, or nothing changes at all.

Every table is built in the staging area and sealed there; at the end come the report, the description and
the manifest, and one step makes the version whole and another puts it in force. A publish that was killed
goes on where it stopped. The same input again changes nothing.

Must not know: folders, pointers, terminals.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from skygate import __version__
from skygate.domain.catalog import Key, Release, Table
from skygate.errors import BadRelease, BrokenRelease
from skygate.ports import ReleaseWorkshop, Staging
from skygate.release.built import Built, described
from skygate.release.durable import sync_folder, write_file
from skygate.release.inputs import INPUTS, Inputs, read_inputs, survey, unchanged
from skygate.release.keys import check_key, keys_of
from skygate.release.manifest import describe_file, missing_files, write_described, write_json, write_manifest
from skygate.release.progress import Progress, Quiet
from skygate.release.read.files import expand_files
from skygate.release.recipe import Recipe
from skygate.release.report import TableReport, has_errors, make_report
from skygate.release.report_page import standalone
from skygate.release.sealed import Seals
from skygate.wire import to_json

REPORT = "report/report.json"
REPORT_PAGE = "report/index.html"


@dataclass(frozen=True, slots=True)
class Published:
    """How a publish ended.

    `action`: "published" a new version; "unchanged" the version in force has the same input; "restored" an
    older version has it and is in force again. `resumed` are tables that an interrupted publish had finished.
    """

    release: Release
    action: str
    resumed: tuple[str, ...] = ()


def publish(
    store: ReleaseWorkshop,
    recipe: Recipe,
    *,
    strict: bool = False,
    again: bool = False,
    progress: Progress | None = None,
) -> Published:
    """Publish what the recipe says; raises `BadRelease`, with `strict` also when the report has errors.

    `again` makes a new version even of the input that a version was made from (which may be damaged).
    """
    watcher = progress if progress is not None else Quiet()
    files = {table.name: expand_files(table, Path(recipe.base)) for table in recipe.tables}
    with store.stage(recipe.name) as staging:
        before = _versions(store, recipe.name)
        left = read_inputs(staging.work)
        known = [inputs for _, inputs in before] + ([left] if left is not None else [])
        inputs = survey(recipe, files, known=known)
        same = [version for version, found in before if found.fingerprint == inputs.fingerprint]
        whole = None if again else next((v for v in same if _is_legible(store, recipe.name, v)), None)
        if whole is not None:
            done = _again(store, recipe.name, whole, strict=strict)
            _clear(staging)
            return done
        write_json(staging.work / INPUTS, to_json(inputs))
        built, resumed = _tables(recipe, files, inputs, staging, watcher)
        release, reports = _release(recipe, built, staging)
        _finish(release, reports, recipe, inputs, built, staging, strict=strict)
        version = staging.commit()
    return Published(store.load(recipe.name, version), "published", resumed)


def read_report(folder: Path) -> dict[str, Any]:
    """The validation report of a version; raises `BrokenRelease`."""
    try:
        report: dict[str, Any] = json.loads((folder / REPORT).read_bytes())
    except (OSError, ValueError) as fault:
        raise BrokenRelease(f"the report cannot be read: {fault}") from fault
    return report


def _versions(store: ReleaseWorkshop, name: str) -> list[tuple[str, Inputs]]:
    """Versions with their inputs, newest first; damaged ones are left out, so that they are made anew."""
    found: list[tuple[str, Inputs]] = []
    for version in reversed(store.versions(name)):
        folder = store.directory(name, version)
        inputs = read_inputs(folder)
        try:
            if inputs is not None and not missing_files(folder):
                found.append((version, inputs))
        except BrokenRelease:
            continue
    return found


def _is_legible(store: ReleaseWorkshop, name: str, version: str) -> bool:
    """Whether a version's description and report can be read (quick: no row is)."""
    try:
        store.load(name, version)
        read_report(store.directory(name, version))
    except BrokenRelease:
        return False
    return True


def _again(store: ReleaseWorkshop, name: str, version: str, *, strict: bool) -> Published:
    """A version of this very input is there already."""
    release = store.load(name, version)
    report = read_report(store.directory(name, version))
    if strict and has_errors(report):
        raise _refusal(report, str(store.directory(name, version) / REPORT_PAGE))
    if name in store.names() and store.current(name) == version:
        return Published(release, "unchanged")
    store.point(name, version)
    return Published(release, "restored")


def _clear(staging: Staging) -> None:
    """Remove what an interrupted publish of other input left, or one killed at its very end."""
    for folder in (staging.root, staging.work):
        for entry in folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _tables(
    recipe: Recipe, files: dict[str, tuple[Path, ...]], inputs: Inputs, staging: Staging, watcher: Progress
) -> tuple[list[Built], tuple[str, ...]]:
    """Every table, built now or found finished; and the names of those found."""
    seals = Seals(staging.root, staging.work / "sealed")
    seals.keep_only([table.name for table in recipe.tables])
    built: list[Built] = []
    resumed: list[str] = []
    for table, sources in zip(recipe.tables, inputs.tables, strict=True):
        found = seals.find(table.name, sources.digest)
        if found is not None:
            watcher.note(f"{table.name}: finished before the interruption, kept")
            resumed.append(table.name)
            built.append(found)
            continue
        seals.clear(table.name)
        from skygate.release.build import build_table  # loads every reader: only where there is work

        work = staging.work / "build"
        shutil.rmtree(work, ignore_errors=True)
        fresh = build_table(
            recipe.name,
            table,
            files[table.name],
            root=staging.root,
            work=work,
            properties=_properties(recipe, table.name),
            progress=watcher,
        )
        _same_files(files[table.name], inputs, table.name)
        seals.put(fresh, sources.digest)
        watcher.note(described(fresh.on_disk.table))
        built.append(fresh)
    return built, tuple(resumed)


def _same_files(paths: Sequence[Path], inputs: Inputs, table: str) -> None:
    """Refuse a file that changed between its checksum and its end."""
    sources = next(found.files for found in inputs.tables if found.table == table)
    for path, source in zip(paths, sources, strict=True):
        if not unchanged(path, source):
            raise BadRelease(
                f"{path} changed while it was being read", hint="publish again when it is complete"
            )


def _properties(recipe: Recipe, table: str) -> dict[str, str]:
    """What the recipe says that HATS has a property for."""
    said = {
        "obs_title": f"{recipe.title}: {table}",
        "obs_description": recipe.description,
        "hats_creator": ", ".join(recipe.creators),
        "obs_copyright": recipe.licence or "",
        "bib_reference": recipe.citation or "",
        "bib_reference_url": f"https://doi.org/{recipe.doi}" if recipe.doi else (recipe.url or ""),
        "hats_builder": f"skygate {__version__}",
    }
    return {key: value for key, value in said.items() if value}


def _release(recipe: Recipe, built: Sequence[Built], staging: Staging) -> tuple[Release, list[TableReport]]:
    """The described release, and the tables' reports with what was found between tables."""
    tables: dict[str, Table] = {item.on_disk.table.name: item.on_disk.table for item in built}
    keys = keys_of(recipe.name, recipe.keys, tables)
    release = Release(
        name=recipe.name,
        version=staging.version,
        title=recipe.title,
        description=recipe.description,
        creators=recipe.creators,
        licence=recipe.licence,
        citation=recipe.citation,
        doi=recipe.doi,
        url=recipe.url,
        published_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        tables=tuple(tables.values()),
        keys=keys,
    )
    reports = [_with_keys(item.report, keys, tables, staging.root) for item in built]
    return release, reports


def _with_keys(report: TableReport, keys: Sequence[Key], tables: dict[str, Table], root: Path) -> TableReport:
    findings = [
        finding
        for key in keys
        for finding in check_key(
            key, *(tables[end.partition(".")[2]] for end in (key.source, key.target)), root=root
        )
        if finding.table == report.table.name
    ]
    return replace(report, profile=replace(report.profile, findings=(*report.profile.findings, *findings)))


def _finish(
    release: Release,
    reports: Sequence[TableReport],
    recipe: Recipe,
    inputs: Inputs,
    built: Sequence[Built],
    staging: Staging,
    *,
    strict: bool,
) -> None:
    """Write what stands beside the tables; the manifest comes last."""
    report = make_report(release, reports)
    root = staging.root
    (root / "report").mkdir(exist_ok=True)
    write_json(root / REPORT, report)
    write_file(root / REPORT_PAGE, standalone(report).encode())
    sync_folder(root / "report")
    if strict and has_errors(report):
        raise _refusal(report, str(root / REPORT_PAGE))
    write_file(root / "release.toml", recipe.text.encode())
    write_json(root / INPUTS, to_json(inputs))
    files = [entry for item in built for entry in item.on_disk.files]
    files += [describe_file(root, root / name) for name in (REPORT, REPORT_PAGE, "release.toml", INPUTS)]
    files.append(write_described(root, release))
    write_manifest(root, files)


def _refusal(report: dict[str, Any], page: str) -> BadRelease:
    errors = [finding["message"] for finding in report["findings"] if finding["severity"] == "error"]
    shown = "; ".join(errors[:3]) + (f" … and {len(errors) - 3} more" if len(errors) > 3 else "")
    faults = "an error" if len(errors) == 1 else f"{len(errors)} errors"
    return BadRelease(f"the report has {faults}: {shown}", hint=f"read {page}; nothing was published")
