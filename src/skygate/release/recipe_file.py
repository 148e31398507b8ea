"""Reads release.toml, or makes one for `publish NAME FILE…`; every mistake is named at its line.

Must not know: what is inside the data files.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from skygate.errors import BadRelease, Where
from skygate.release.felis import merge_felis, read_felis
from skygate.release.legal import fault_of_name, legal_name, nearest
from skygate.release.recipe import Recipe, TableRecipe
from skygate.release.recipe_faults import Fault, faults_of
from skygate.release.recipe_model import ReleaseFile
from skygate.release.toml_lines import place

SCHEMA_ID = "urn:skygate:release.toml:1"
LARGEST = 16 * 1024 * 1024
"""Bytes of a release.toml at most."""

_SUFFIXES = re.compile(
    r"(\.(fits?|fit|vot|votable|xml|csv|tsv|tab|ecsv|dat|txt|parquet|parq|pq|hdf5|h5|hdf|sqlite3?|db|gz|zst|bz2|fz))+\Z",
    re.IGNORECASE,
)


def read_recipe(path: Path) -> Recipe:
    """The recipe in a release.toml; raises `BadRelease` with key, line, what was expected and a hint."""
    text = _text_of(path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as fault:
        raise _not_toml(fault, path) from None
    try:
        file = ReleaseFile.model_validate(data)
    except ValidationError as error:
        raise _mistakes(faults_of(error, data), text, path) from None
    faults = list(_faults_between(file))
    if faults:
        raise _mistakes(faults, text, path)
    part = file.release
    recipe = Recipe(
        name=part.name,
        title=part.title,
        tables=tuple(t.recipe() for t in file.table),
        base=str(path.resolve().parent),
        description=part.description.strip(),
        creators=part.creators,
        licence=part.licence,
        citation=part.citation,
        doi=part.doi,
        url=part.url,
        keys=tuple(k.recipe() for k in file.key),
        text=text,
    )
    return merge_felis(recipe, read_felis(path.parent / part.felis)) if part.felis else recipe


def recipe_of_files(name: str, files: Sequence[Path | str]) -> Recipe:
    """A recipe with a table per file, named after the files; raises `BadRelease`.

    Files of the same stem (`stars.csv`, `stars.fits`) are refused: queries could not tell them apart.
    """
    fault = fault_of_name(name, "release")
    if fault:
        hint = f"for instance {legal_name(name, 'release')}"
        raise BadRelease(f"{name!r} cannot be a release's name: {fault}", hint=hint, where=Where(token=name))
    if not files:
        raise BadRelease("no files to publish", hint="skygate publish NAME FILE…")
    tables: dict[str, TableRecipe] = {}
    for file in files:
        path = Path(file)
        table = legal_name(_SUFFIXES.sub("", path.name))
        if table in tables:
            raise BadRelease(
                f"{tables[table].files[0]} and {path} would both become table {table}",
                hint="rename one, or write a release.toml that names the tables",
                where=Where(name=str(path)),
            )
        where = str(file) if str(file).startswith("package:") else str(path.absolute())
        tables[table] = TableRecipe(name=table, files=(where,))
    return Recipe(
        name=name,
        title=name.replace("_", " "),
        tables=tuple(tables.values()),
        base=str(Path.cwd()),
        text=_written(name, tables),
    )


def recipe_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of release.toml, for editors and other programs."""
    schema = ReleaseFile.model_json_schema()
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "release.toml",
    }
    return {**head, **{k: v for k, v in schema.items() if k not in head}}


def _text_of(path: Path) -> str:
    where = Where(name=str(path))
    try:
        if path.stat().st_size > LARGEST:
            raise BadRelease(
                f"is larger than {LARGEST // 1024**2} MiB",
                hint="is this release.toml, or a data file?",
                where=where,
            )
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise BadRelease(
            "is not UTF-8 text", hint="is this release.toml, or a data file?", where=where
        ) from None
    except IsADirectoryError:
        raise BadRelease("is a directory", hint=f"try {path / 'release.toml'}", where=where) from None
    except OSError as fault:
        reason = fault.strerror or "cannot be read"
        raise BadRelease(f"cannot be read: {reason}", hint="check the path", where=where) from None


def _not_toml(fault: tomllib.TOMLDecodeError, path: Path) -> BadRelease:
    message = str(fault)
    found = re.search(r"\(at line (\d+), column (\d+)\)", message)
    line, column = (int(found[1]), int(found[2])) if found else (None, None)
    said = re.sub(r"\s*\(at [^)]*\)", "", message)
    said = said[:1].lower() + said[1:]
    hint = "texts stand in quotes, lists in [ ], each key on its own line; see https://toml.io"
    return BadRelease(
        f"is not TOML: {said}", hint=hint, where=Where(name=str(path), line=line, column=column)
    )


def _mistakes(faults: Sequence[Fault], text: str, path: Path) -> BadRelease:
    first = faults[0]
    at = place(text, first.path)
    where = Where(
        name=str(path), line=at[0] if at else None, column=at[1] if at else None, token=first.key or None
    )
    hint = first.hint
    if len(faults) > 1:
        more = ", ".join(f"{f.key or 'the file'}: {f.message}" for f in faults[1:6])
        left = f" and {len(faults) - 6} more" if len(faults) > 6 else ""
        hint = f"{hint}; also wrong: {more}{left}" if hint else f"also wrong: {more}{left}"
    message = f"{first.key}: {first.message}" if first.key else first.message
    return BadRelease(message, hint=hint, where=where)


def _faults_between(file: ReleaseFile) -> list[Fault]:
    """Mistakes that no key makes alone: keys between tables that are not there."""
    names = [t.name for t in file.table]
    faults: list[Fault] = []
    for index, key in enumerate(file.key):
        for member in ("source", "target"):
            name: str = getattr(key, member)
            if name not in names:
                close = nearest(name, names)
                hint = f"did you mean {close}?" if close else f"expected one of {', '.join(names)}"
                faults.append(
                    Fault(("key", index, member), f"key[{index + 1}].{member}", f"no table {name}", hint)
                )
    return faults


def _written(name: str, tables: dict[str, TableRecipe]) -> str:
    """The release.toml that says the same as `publish NAME FILE…`, to begin a better one from."""
    lines = ["[release]", f"name = {_quoted(name)}", f"title = {_quoted(name.replace('_', ' '))}", ""]
    for table in tables.values():
        lines += ["[[table]]", f"name = {_quoted(table.name)}", f"files = [{_quoted(table.files[0])}]", ""]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """A TOML basic string."""
    return json.dumps(text, ensure_ascii=True)
