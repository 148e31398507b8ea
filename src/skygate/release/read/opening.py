"""Opening a file with the reader of its format, which its name and first bytes tell."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from skygate.release.read.compression import first_bytes, plain_name
from skygate.release.read.source import TableReader, fault
from skygate.release.recipe import TableRecipe

_ENDINGS = {
    ".fits": "fits", ".fit": "fits", ".fts": "fits",
    ".xml": "votable", ".vot": "votable", ".votable": "votable",
    ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".ecsv": "ecsv",
    ".parquet": "parquet", ".parq": "parquet", ".pq": "parquet",
    ".h5": "hdf5", ".hdf5": "hdf5", ".hdf": "hdf5",
    ".db": "sqlite", ".sqlite": "sqlite", ".sqlite3": "sqlite",
}  # fmt: skip


def open_table(path: Path, recipe: TableRecipe) -> TableReader:
    """The table of a file; raises `BadRelease` that names the file (and for text the line)."""
    form = recipe.format or format_of(path, recipe)
    opener = OPENERS.get(form)
    if opener is None:
        raise fault(
            "release.toml",
            f"table {recipe.name}: unknown format {form!r}",
            hint="expected one of " + ", ".join(OPENERS),
        )
    return opener(path, recipe)


def format_of(path: Path, recipe: TableRecipe) -> str:
    """The format's name, from the first bytes, then from the file's name; raises `BadRelease`."""
    if recipe.fixed:
        return "fixed"
    if recipe.records:
        return "records"
    head = first_bytes(path, 4096)
    if head.startswith(b"SIMPLE  ="):
        return "fits"
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if head.startswith(b"SQLite format 3\0"):
        return "sqlite"
    if re.match(rb"\s*(\xef\xbb\xbf)?(<\?xml|<!--|<VOTABLE|<\w+:VOTABLE)", head):
        return "votable"
    if re.match(rb"# %ECSV", head):
        return "ecsv"
    ending = _ENDINGS.get(Path(plain_name(path)).suffix)
    if ending in ("csv", "tsv", "ecsv"):
        return ending
    if ending is not None:
        raise fault(path, f"is named as {ending} but does not begin as such a file")
    if not head:
        raise fault(path, "is empty")
    if b"\0" not in head:
        return "csv"
    raise fault(
        path,
        "is of an unknown format",
        hint="give `format` for the table in release.toml: " + ", ".join(OPENERS),
    )


def _fits(path: Path, recipe: TableRecipe) -> TableReader:
    from skygate.release.read.fits import open_fits

    return open_fits(path, recipe)


def _votable(path: Path, recipe: TableRecipe) -> TableReader:
    from skygate.release.read.votable import open_votable

    return open_votable(path, recipe)


def _csv(path: Path, recipe: TableRecipe) -> TableReader:
    from skygate.release.read.delimited import open_delimited

    return open_delimited(path, recipe)


def _tsv(path: Path, recipe: TableRecipe) -> TableReader:
    from skygate.release.read.delimited import open_delimited

    return open_delimited(path, recipe, delimiter="\t")


def _ecsv(path: Path, recipe: TableRecipe) -> TableReader:
    from skygate.release.read.ecsv import open_ecsv

    return open_ecsv(path, recipe)


def _fixed(path: Path, recipe: TableRecipe) -> TableReader:
    from skygate.release.read.fixed import open_fixed

    return open_fixed(path, recipe)


def _parquet(path: Path, recipe: TableRecipe) -> TableReader:
    from skygate.release.read.parquet import open_parquet

    return open_parquet(path, recipe)


def _hdf5(path: Path, recipe: TableRecipe) -> TableReader:
    from skygate.release.read.hdf5 import open_hdf5

    return open_hdf5(path, recipe)


def _sqlite(path: Path, recipe: TableRecipe) -> TableReader:
    from skygate.release.read.sqlite import open_sqlite

    return open_sqlite(path, recipe)


def _records(path: Path, recipe: TableRecipe) -> TableReader:
    from skygate.release.read.records import open_records

    return open_records(path, recipe)


OPENERS: dict[str, Callable[[Path, TableRecipe], TableReader]] = {
    "fits": _fits,
    "votable": _votable,
    "csv": _csv,
    "tsv": _tsv,
    "ecsv": _ecsv,
    "fixed": _fixed,
    "parquet": _parquet,
    "hdf5": _hdf5,
    "sqlite": _sqlite,
    "records": _records,
}
"""Each format and what opens it (loaded when first used: h5py and astropy are heavy)."""
