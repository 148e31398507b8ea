"""What a data manager should be told of a table's position: unused, contradicted, guessed or turned.

Must not know: how findings are shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from skygate.domain.catalog import Column, Table
from skygate.release.angles import Angles
from skygate.release.describe import position_of
from skygate.release.findings import Finding
from skygate.release.position import looks_like_hours, looks_like_radians, unused_pair
from skygate.release.read.source import entry_for
from skygate.release.recipe import TableRecipe, reasons_of
from skygate.release.shape import WRAPPED, WRAPPED_FAR
from skygate.release.units import normal_unit


def doubts_of_sample(
    table: Table,
    recipe: TableRecipe,
    columns: tuple[Column, ...],
    sample: pa.Table,
    metadata: Mapping[str, str],
) -> Iterator[Finding]:
    """What the first rows, the recipe and the file's own words leave in doubt."""
    if recipe.no_position:
        return
    raw, found = position_of(recipe, columns, sample, metadata)
    if found is None:
        yield from _unused(table, raw, sample, metadata)
        return
    lon, lat = found.ra[0], found.dec[0]
    if found.against is not None:
        yield Finding(
            "warning",
            "frame_contradicted",
            f"release.toml says that {lon}, {lat} are {found.frame}, the file says {found.against}",
            "release.toml was followed; leave position.frame out to follow the file",
            table.name,
        )
    if looks_like_hours(found, raw, sample):
        yield Finding(
            "warning",
            "hours",
            f"{lon} has no unit, and its values fill just the range of hours; read as degrees",
            'position = { …, format = "hours" } if they are; unit = "deg" for the column if not',
            table.name,
        )
    if looks_like_radians(found, sample):
        yield Finding(
            "warning",
            "radians",
            f"{lon}, {lat} have no unit, and their values fill just the range of radians; read as degrees",
            'position = { …, format = "radians" } if they are; unit = "deg" for the column if not',
            table.name,
        )


def doubts_of_units(table: Table, recipe: TableRecipe, columns: tuple[Column, ...]) -> Iterator[Finding]:
    """Units that the recipe gives otherwise than the file does: values are never converted."""
    for column in columns:
        entry = entry_for(recipe, column.name)
        if entry is None or entry[1].unit is None or not column.unit or entry[1].drop:
            continue
        said, own = (normal_unit(unit)[0] for unit in (entry[1].unit, column.unit))
        if said != own:
            yield Finding(
                "warning",
                "unit_contradicted",
                f"release.toml says that {column.name} is in {said or 'no unit'}, the file says {own}",
                "the values stay as they are: leave the unit out to follow the file, or `derive` to convert",
                table.name,
                entry[0],
            )


def doubts_of_rules(
    table: Table, recipe: TableRecipe, left_out: Mapping[str, int], changes: Mapping[str, int]
) -> Iterator[Finding]:
    """Rules of the recipe that no row met."""
    for rule, reason in zip(recipe.leave_out, reasons_of(recipe.leave_out), strict=True):
        if not left_out.get(reason):
            yield _idle(table, f"leave_out when {rule.when.strip()}", None)
    for name, said in recipe.columns:
        if (
            said.null_when
            and not said.drop
            and not changes.get(f"{name}: null where {said.null_when.strip()}")
        ):
            yield _idle(table, f"null_when {said.null_when.strip()}", name)


def _idle(table: Table, rule: str, column: str | None) -> Finding:
    hint = "look at the values in the report: is the condition what was meant?"
    return Finding("warning", "idle_rule", f"no row meets the rule {rule}", hint, table.name, column)


def doubts_of_rows(table: Table, changes: Mapping[str, int], angles: Angles, rows: int) -> Iterator[Finding]:
    """What all rows showed: texts that are no angle, right ascensions a turn away."""
    for source, misfits in angles.misfits.items():
        several = "values are" if misfits.count > 1 else "value is"
        value = misfits.value
        yield Finding(
            "warning" if misfits.count * 100 <= rows else "error",
            "no_angle",
            f"{misfits.count:,} {several} no angle in {source}, first {value!r} in row {misfits.row}; "
            "these rows are published without a position",
            f'nulls = ["{value}"] for the column if it means “missing”; else mend it, or leave_out the rows',
            table.name,
            table.position.ra if table.position is not None and len(angles.misfits) == 1 else None,
            misfits.count,
        )
    name = table.position.ra if table.position is not None else ""
    for what, severity in ((WRAPPED, "info"), (WRAPPED_FAR, "warning")):
        count = changes.get(f"{name}: {what}")
        if count:
            said = "right ascensions were" if count > 1 else "right ascension was"
            hint = "is the unit right? leave_out, or null_when, removes what is no position"
            message = f"{count:,} {said} {what} degrees".replace("degrees degrees", "degrees")
            yield Finding(severity, "wrapped", message, hint, table.name, name, count)


def _unused(
    table: Table, raw: Sequence[Column], sample: pa.Table, metadata: Mapping[str, str]
) -> Iterator[Finding]:
    unused = unused_pair(raw, sample, metadata=metadata)
    if unused is None:
        return
    pair, writing = unused
    lon, lat = pair.lon.name, pair.lat.name
    say = f'position = {{ ra = "{lon}", dec = "{lat}", format = "…" }}, or position = false if they are none'
    yield Finding(
        "warning",
        "position_unused",
        f"{lon} and {lat} look like a sky position but are not used: first misfit: {writing.misfit}",
        f"{writing.hint}; {say}" if writing.hint else say,
        table.name,
    )
