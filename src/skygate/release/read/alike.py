"""What must be alike in all files of a table for its positions to mean one thing: frame, epoch, unit.

Must not know: which columns become the position.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from skygate.domain.catalog import Column
from skygate.errors import BadRelease
from skygate.release.coordinates import frame_name, frame_of_equinox
from skygate.release.position_names import ANGLES
from skygate.release.read.source import TableReader, entry_for, fault, regular_name
from skygate.release.recipe import TableRecipe
from skygate.release.units import is_degrees


def check_alike(
    first: Path,
    columns: Mapping[str, Column],
    metadata: Mapping[str, str],
    path: Path,
    reader: TableReader,
    recipe: TableRecipe,
) -> None:
    """Refuse a file that does not mean its positions as the files before (`columns`, `metadata`) do.

    What the recipe states for all files, and a table without a position, needs no check. Raises `BadRelease`.
    """
    if not columns or recipe.no_position:
        return
    _check_frames(first, metadata, path, reader, recipe)
    for column in reader.columns:
        _check_unit(recipe, columns.get(column.name), column, first, path)


def _check_frames(
    first: Path, known: Mapping[str, str], path: Path, reader: TableReader, recipe: TableRecipe
) -> None:
    said = recipe.position
    columns = [c.name for c in reader.columns]
    own = any(key.startswith(("frame:", "epoch:")) for key in (*known, *reader.metadata))
    for name in columns if own else [None]:
        wanted = "" if name is None else f":{name}"
        if said is None or said.frame is None:
            _same(first, path, "frame", _frame(known, wanted), _frame(reader.metadata, wanted))
        if said is None or said.epoch is None:
            _same(first, path, "epoch", _epoch(known, wanted), _epoch(reader.metadata, wanted))


def _check_unit(recipe: TableRecipe, known: Column | None, column: Column, first: Path, path: Path) -> None:
    """Refuse an angle of a position with a unit in one file and none, which means degrees, in another."""
    if known is None or bool(known.unit) == bool(column.unit) or not column.datatype.is_number:
        return
    unit = known.unit or column.unit
    entry = entry_for(recipe, column.name)
    stated = recipe.position is not None and recipe.position.format is not None
    if is_degrees(unit) or stated or (entry is not None and entry[1].unit):
        return
    asked = () if recipe.position is None else (recipe.position.ra, recipe.position.dec)
    if {column.name, regular_name(column.name), entry[0] if entry else ""} & set(asked) or _is_angle(column):
        there, bare = (first, path) if known.unit else (path, first)
        raise fault(
            path,
            f"column {column.name} is in {unit} in {there.name} and without a unit in {bare.name}",
            hint=f'state it for all files: unit = "{unit}" for the column in release.toml',
        )


def _is_angle(column: Column) -> bool:
    """Whether a column's UCD or name says that it is one angle of a position."""
    ucd = (column.ucd or "").lower()
    return ucd.startswith(("pos.eq.", "pos.galactic.l", "pos.ecliptic.l")) or (
        regular_name(column.name) in ANGLES
    )


def _frame(metadata: Mapping[str, str], of: str) -> str:
    """The frame by its usual name; ICRS where nothing is said."""
    told = metadata.get(f"frame{of}") or metadata.get("frame")
    equinox = metadata.get(f"equinox{of}") or metadata.get("equinox")
    if told is None:
        return frame_of_equinox(equinox) or "ICRS"
    try:
        return frame_name(told, equinox)
    except BadRelease:
        return told.strip()


def _epoch(metadata: Mapping[str, str], of: str) -> str:
    told = re.search(r"\d{4}(?:\.\d+)?", metadata.get(f"epoch{of}") or metadata.get("epoch") or "")
    return f"{float(told[0]):g}" if told else "none"


def _same(first: Path, path: Path, what: str, before: str, now: str) -> None:
    if before == now:
        return
    raise fault(
        path,
        f"its positions' {what} is {now}, that of {first.name} is {before}",
        hint=f"publish the files as two tables, or state position.{what} for all of them in release.toml",
    )
