"""Which files a table is made of: paths, globs and files inside installed Python packages."""

from __future__ import annotations

import glob
import importlib.util
from pathlib import Path

from skygate.errors import BadRelease
from skygate.release.read.source import fault
from skygate.release.recipe import TableRecipe

_PACKAGE = "package:"


def expand_files(recipe: TableRecipe, base: Path) -> tuple[Path, ...]:
    """The table's files, each once, sorted within each glob; raises `BadRelease` where one matches nothing.

    Relative paths start at `base`; `package:NAME/PATH` lies in the installed Python package NAME.
    """
    found: dict[Path, None] = {}
    for pattern in recipe.files:
        for path in _expand(pattern, recipe.name, base):
            found.setdefault(path)
    if not found:
        raise fault("release.toml", f"table {recipe.name} names no file", hint="give it `files`")
    return tuple(found)


def _expand(pattern: str, table: str, base: Path) -> list[Path]:
    if pattern.startswith(_PACKAGE):
        root, rest = _inside_package(pattern, table)
    else:
        root, rest = base, str(Path(pattern).expanduser())
    whole = Path(root, rest)
    if whole.is_file():
        return [whole.absolute()]
    if whole.is_dir():
        raise fault(
            "release.toml",
            f"table {table}: {pattern!r} is a directory",
            hint=f"name files, for instance {pattern.rstrip('/')}/*.fits",
        )
    hits = glob.glob(rest, root_dir=root, recursive=True)
    paths = sorted(p for p in (Path(root, h).absolute() for h in hits) if p.is_file())
    if not paths:
        raise fault(
            "release.toml",
            f"table {table}: no file matches {pattern!r}",
            hint=f"paths start at {base.absolute()}",
        )
    return paths


def _inside_package(pattern: str, table: str) -> tuple[Path, str]:
    name, _, rest = pattern.removeprefix(_PACKAGE).partition("/")
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    places = list(spec.submodule_search_locations or []) if spec else []
    if not places or not rest or ".." in Path(rest).parts:
        raise _no_package(pattern, name, table, installed=bool(places))
    return Path(places[0]), rest


def _no_package(pattern: str, name: str, table: str, *, installed: bool) -> BadRelease:
    if installed:
        return fault("release.toml", f"table {table}: {pattern!r} is not `package:NAME/PATH`")
    return fault(
        "release.toml",
        f"table {table}: there is no installed Python package {name!r}",
        hint=f"install it, for instance: pip install {name.replace('_', '-')}",
    )
