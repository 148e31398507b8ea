"""What the JSON API answers: domain values without addresses on our disk, and their names in OpenAPI."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from skygate import wire
from skygate.domain.catalog import Catalog, Column, Release, Schema, Table
from skygate.domain.density import Axis, Seen


@dataclass(frozen=True, slots=True)
class Releases:
    """Every release that can be queried. Their tables come without columns."""

    releases: tuple[Release, ...]


@dataclass(frozen=True, slots=True)
class Tables:
    """Every table that can be queried."""

    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query would give and look at, at most."""

    columns: tuple[Column, ...]
    tables: tuple[str, ...]
    rows: int | None = None
    """Rows to look at, where that can be told."""
    bytes: int | None = None
    files: int | None = None


def public_table(table: Table) -> Table:
    """A table without the files that it lies in."""
    return replace(table, parts=())


def public_release(release: Release, *, columns: bool) -> Release:
    """A release without its place on disk; without `columns` its tables are only named and counted."""
    tables = (public_table(t) for t in release.tables)
    return replace(
        release,
        path="",
        tables=tuple(t if columns else replace(t, columns=(), coverage=None) for t in tables),
    )


def releases_json(releases: Sequence[Release]) -> dict[str, Any]:
    """`Releases` as JSON."""
    return wire.to_json(Releases(tuple(public_release(r, columns=False) for r in releases)))


def tables_json(catalog: Catalog) -> dict[str, Any]:
    """`Tables` as JSON, releases first, in the order in which they were published in."""
    ordered = sorted(catalog.schemas, key=_not_a_release)
    return wire.to_json(Tables(tuple(public_table(t) for s in ordered for t in s.tables)))


def density_infos(seen: Seen, axes: tuple[Axis, Axis] | None) -> tuple[tuple[str, str], ...]:
    """Remarks that go with a density: rows looked at, rows in a bin, and where the bins of a plane lie."""
    found = [("density_rows", str(seen.rows)), ("density_inside", str(seen.inside))]
    for name, axis in zip("xy", axes or (), strict=False):
        told = (("low", repr(axis.low)), ("high", repr(axis.high)), ("bins", str(axis.bins)))
        found += [(f"density_{name}", axis.expression), *((f"density_{name}_{k}", v) for k, v in told)]
    return tuple(found)


def _not_a_release(schema: Schema) -> bool:
    return schema.release is None
