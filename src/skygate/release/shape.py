"""Batches as the file gives them become batches as the table is described: the one place where values change.

Renames, type conversion, values that mean "missing", derived columns, rows left out, positions and cells.
No value becomes null but where the recipe or the file says so; what does not fit its type is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from skygate.domain.catalog import CELL_COLUMN, Column, Table
from skygate.release.angles import TEXT_FORMS, Angles
from skygate.release.compute import pc
from skygate.release.coordinates import in_degrees, normalised, to_icrs
from skygate.release.derived import no_column
from skygate.release.expression import Expression, parse
from skygate.release.position import PARTS
from skygate.release.read.source import changes_in, entry_for, fault, regular_name
from skygate.release.recipe import ColumnRecipe, TableRecipe, reasons_of
from skygate.release.values import convert, is_sentinel
from skygate.sky.cells import cell_of
from skygate.wire import arrow_schema, arrow_type

WRAPPED = "below 0, brought into 0 to 360 degrees"
WRAPPED_FAR = "beyond 360, brought into 0 to 360 degrees"
"""Notes of right ascensions that were a turn away."""


@dataclass(frozen=True, slots=True)
class Shaped:
    """Rows ready for disk, and what happened to them.

    `batch` has the table's columns, then `CELL_COLUMN` (int64, -1 without a position) when the table has a
    position. `left_out` counts rows by reason, `notes` values or rows by what was done to them.
    """

    batch: pa.RecordBatch
    left_out: dict[str, int]
    notes: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Plan:
    """How one published column is made."""

    column: Column
    source: str | None
    said: ColumnRecipe
    derive: Expression | None
    null_when: Expression | None


class Shaper:
    """Shapes the batches of one table, in order (row numbers in messages count from its first batch)."""

    def __init__(self, table: Table, recipe: TableRecipe, source_schema: pa.Schema) -> None:
        """Raises `BadRelease` for expressions that cannot be read."""
        self._table = table
        self._sources = set(source_schema.names)
        self._schema = arrow_schema(table.columns)
        self._leave_out = [
            (parse(rule.when), reason)
            for rule, reason in zip(recipe.leave_out, reasons_of(recipe.leave_out), strict=True)
        ]
        self._plans = {c.name: _plan(c, table, recipe) for c in table.columns}
        self._names = _names(table, recipe, source_schema, self._plans)
        form = table.position.source_format if table.position is not None else ""
        self.angles = Angles(form, strict=recipe.position is not None)
        self._rows = 0

    def apply(self, batch: pa.RecordBatch) -> Shaped:
        """The rows of `batch` as published; raises `BadRelease` naming column, value and row."""
        work = _Batch(self._table, self._plans, self._names, self.angles, batch, self._rows)
        self._rows += batch.num_rows
        work.note_reading()
        arrays = [work.numbered(name) for name in self._plans]
        keep: Any = None
        left_out: dict[str, int] = {}
        for when, because in self._leave_out:
            hit = when.holds(work.after, batch.num_rows)
            if keep is not None:
                hit = pc.and_(hit, keep)
            count = int(pc.sum(hit).as_py() or 0)
            if count:
                left_out[because] = left_out.get(because, 0) + count
                keep = pc.invert(hit) if keep is None else pc.and_(keep, pc.invert(hit))
        shaped = pa.record_batch(arrays, schema=self._schema)
        if keep is not None:
            shaped = shaped.filter(keep)
        notes = dict(work.notes)
        if self._table.position is not None:
            shaped = _with_cells(shaped, self._table, notes)
        return Shaped(shaped, left_out, notes)


def _plan(column: Column, table: Table, recipe: TableRecipe) -> _Plan:
    place = table.position
    if place is not None and place.source_columns and column.name in place.source_columns:
        said = (entry_for(recipe, column.source_name or column.name) or ("", ColumnRecipe()))[1]
        return _Plan(column, column.source_name or column.name, said, None, None)
    said = recipe.column(column.name) or ColumnRecipe()
    derive = parse(said.derive) if said.derive else None
    null_when = parse(said.null_when) if said.null_when else None
    source = None if derive is not None else column.source_name or column.name
    return _Plan(column, source, said, derive, null_when)


@dataclass(frozen=True, slots=True)
class _Names:
    """What a name in an expression may mean beside a published column's own name."""

    published: dict[str, str]
    """Published names by their columns' names in the file, as they are and as regular identifiers."""
    hidden: dict[str, str]
    """The file's names of columns that are read but not published, by the names that mean them."""
    nulls: dict[str, tuple[str | float | int, ...]]
    """What means "missing", by the file's name of the column."""


def _names(table: Table, recipe: TableRecipe, schema: pa.Schema, plans: dict[str, _Plan]) -> _Names:
    place = table.position
    converted = place is not None and (place.source_format, place.source_frame) != ("degrees", "ICRS")
    made = (place.ra, place.dec) if place is not None and converted else ()
    # Positions that are calculated are not the file's columns of their name.
    published = {p.source: n for n, p in plans.items() if p.source is not None and n not in made}
    hidden: dict[str, str] = {}
    aliases: dict[str, str] = {}
    nulls: dict[str, tuple[str | float | int, ...]] = {}
    for name in schema.names:
        entry = entry_for(recipe, name)
        if entry is not None and entry[1].nulls:
            nulls[name] = entry[1].nulls
        for alias in (name, regular_name(name), *([entry[0]] if entry else ())):
            if name in published:
                aliases.setdefault(alias, published[name])
            elif alias not in hidden:
                hidden[alias] = name
    hidden = {alias: name for alias, name in hidden.items() if alias not in published}
    return _Names({**aliases, **published}, hidden, nulls)


class _Batch:
    """One batch while it is shaped: each column is made when first asked for."""

    def __init__(
        self,
        table: Table,
        plans: dict[str, _Plan],
        names: _Names,
        angles: Angles,
        batch: pa.RecordBatch,
        rows_before: int,
    ) -> None:
        self.notes: Counter[str] = Counter()
        self._table = table
        self._plans = plans
        self._names = names
        self._angles = angles
        self._batch = batch
        self._rows_before = rows_before
        self._before: dict[str, pa.Array] = {}
        self._after: dict[str, pa.Array] = {}
        self._busy: set[str] = set()

    def after(self, name: str) -> pa.Array:
        """The column as published, by either of its names, or a source column that is not published."""
        plan = self._plan_for(name)
        if plan is None:
            return self._source_or_refuse(name)
        name = plan.column.name
        if name not in self._after:
            values = self._once(name)
            if plan.null_when is not None:
                values = self._nulled(plan, plan.null_when, values)
            self._after[name] = values
        return self._after[name]

    def numbered(self, name: str) -> pa.Array:
        """The column as published, NaN being null: an engine would rank NaN above every number."""
        values = self.after(name)
        if not pa.types.is_floating(values.type):
            return values
        hit = pc.is_nan(values)
        count = int(pc.sum(hit).as_py() or 0)
        if not count:
            return values
        self.notes[f"{name}: NaN made null"] += count
        return pc.if_else(hit, pa.scalar(None, values.type), values)

    def note_reading(self) -> None:
        """Take over what the reader did to values that are published."""
        changes = changes_in(self._batch)
        for name, plan in self._plans.items():
            if plan.source in changes:
                what, count = changes[plan.source]
                self.notes[f"{name}: {what}"] += count

    def _nulled(self, plan: _Plan, when: Expression, values: pa.Array) -> pa.Array:
        hit = pc.and_(when.holds(self._unnulled, self._batch.num_rows), pc.is_valid(values))
        count = int(pc.sum(hit).as_py() or 0)
        if not count:
            return values
        self.notes[f"{plan.column.name}: null where {when.text.strip()}"] += count
        return pc.if_else(hit, pa.scalar(None, values.type), values)

    def _unnulled(self, name: str) -> pa.Array:
        """The column before any `null_when` (which all look at the same state)."""
        plan = self._plan_for(name)
        return self._source_or_refuse(name) if plan is None else self._once(plan.column.name)

    def _plan_for(self, name: str) -> _Plan | None:
        if name in self._plans:
            return self._plans[name]
        own = self._names.published.get(name)
        if own is None and name not in self._names.hidden:
            own = name.lower()
        return self._plans.get(own) if own is not None else None

    def _once(self, name: str) -> pa.Array:
        if name not in self._before:
            if name in self._busy:
                raise fault("release.toml", f"column {name} is derived from itself")
            self._busy.add(name)
            self._before[name] = self._made(self._plans[name])
            self._busy.discard(name)
        return self._before[name]

    def _made(self, plan: _Plan) -> pa.Array:
        place = self._table.position
        column = plan.column
        if place is not None and column.name in (place.ra, place.dec):
            self._make_position(place.ra, place.dec)
            return self._before[column.name]
        if plan.derive is not None:
            values = plan.derive.evaluate(self.after, self._batch.num_rows)
            return self._convert(values, plan)
        return self._convert(self._raw(plan.source or column.name), plan)

    def _raw(self, source: str) -> pa.Array:
        index = self._batch.schema.get_field_index(source)
        if index < 0:
            raise no_column(f"table {self._table.name}", source, self._batch.schema.names)
        return self._batch.column(index)

    def _source_or_refuse(self, name: str) -> pa.Array:
        source = self._names.hidden.get(name, name)
        if self._batch.schema.get_field_index(source) >= 0:
            return self._read(source)
        raise no_column("expression", name, [*self._plans, *self._batch.schema.names])

    def _read(self, source: str) -> pa.Array:
        """A column of the file that is not published as it is, without what means "missing"."""
        values = self._raw(source)
        nulls = self._names.nulls.get(source)
        return (
            pc.if_else(is_sentinel(values, nulls), pa.scalar(None, values.type), values) if nulls else values
        )

    def _convert(self, values: pa.Array, plan: _Plan, kind: pa.DataType | None = None) -> pa.Array:
        if plan.said.nulls:
            hit = is_sentinel(values, plan.said.nulls)
            count = int(pc.sum(hit).as_py() or 0)
            if count:
                shown = ", ".join(str(n) for n in plan.said.nulls)
                self.notes[f"{plan.column.name}: {shown} made null"] += count
                values = pc.if_else(hit, pa.scalar(None, values.type), values)
        wanted = arrow_type(plan.column) if kind is None else kind
        return convert(values, wanted, name=plan.column.name, rows_before=self._rows_before)

    def _make_position(self, ra_name: str, dec_name: str) -> None:
        """Fill in both columns of the position."""
        place = self._table.position
        assert place is not None
        plans = self._plans[ra_name], self._plans[dec_name]
        if place.source_format == "parts":
            lon, lat = self._of_parts()
        else:
            lon, lat = (self._angle(p, place.source_format) for p in plans)
        values = [a.to_numpy(zero_copy_only=False) for a in (lon, lat)]
        lon_deg, lat_deg = in_degrees(values[0], values[1], place.source_format)
        ra, dec = to_icrs(lon_deg, lat_deg, place.source_frame, epoch=place.epoch)
        wrapped, good = normalised(ra, dec)
        there = pc.and_(pc.is_valid(lon), pc.is_valid(lat)).to_numpy(zero_copy_only=False)
        for what, hit in ((WRAPPED, lon_deg < 0.0), (WRAPPED_FAR, lon_deg > 360.0)):
            count = int(np.count_nonzero(hit & good))
            if count:
                self.notes[f"{ra_name}: {what}"] += count
        off = int(np.count_nonzero(there & ~good))
        if off:
            self.notes[f"{ra_name}, {dec_name}: no position on the sky"] += off
        frame_lost = place.source_frame != "ICRS"
        for name, new, original in ((ra_name, wrapped, lon), (dec_name, dec, lat)):
            missing = ~good if frame_lost else pc.is_null(original).to_numpy(zero_copy_only=False)
            self._before[name] = pa.array(new, pa.float64(), mask=missing if missing.any() else None)

    def _angle(self, plan: _Plan, form: str) -> pa.Array:
        """One coordinate as doubles, in the unit of its format."""
        if plan.derive is not None:
            return self._convert(plan.derive.evaluate(self.after, self._batch.num_rows), plan, pa.float64())
        source = plan.source or plan.column.name
        if self._batch.schema.get_field_index(source) < 0 and source in self._plans:
            raw = self.after(source)
        else:
            raw = self._read(source)
        if form not in TEXT_FORMS:
            return self._convert(raw, plan, pa.float64())
        if not pa.types.is_string(raw.type):
            raise fault(
                "release.toml",
                f"column {source} holds {raw.type}, not sexagesimal texts",
                hint="give position.format = degrees, radians or hours",
            )
        texts = self._convert(raw, plan, pa.string())
        place = self._table.position
        is_longitude = place is not None and plan.column.name == place.ra
        return self._angles.read(texts, source, is_longitude=is_longitude, rows_before=self._rows_before)

    def _of_parts(self) -> tuple[pa.Array, pa.Array]:
        def number(name: str) -> Any:
            raw = self._read(name)
            return convert(raw, pa.float64(), name=name, rows_before=self._rows_before)

        def sexagesimal(first: Any, minutes: Any, seconds: Any) -> Any:
            rest = pc.add(
                pc.divide(pc.fill_null(minutes, 0.0), 60.0), pc.divide(pc.fill_null(seconds, 0.0), 3600.0)
            )
            return pc.add(first, rest)

        ra = pc.multiply(sexagesimal(*(number(n) for n in PARTS[0])), 15.0)
        size = sexagesimal(*(number(n) for n in PARTS[1][1:]))
        sign = pc.utf8_trim_whitespace(pc.cast(self._raw(PARTS[1][0]), pa.string()))
        negative = pc.fill_null(pc.equal(sign, "-"), fill_value=False)
        return ra, pc.if_else(negative, pc.negate(size), size)


def _with_cells(batch: pa.RecordBatch, table: Table, notes: dict[str, int]) -> pa.RecordBatch:
    """The batch with the column of cells: -1 for rows without a position."""
    place = table.position
    assert place is not None
    number: Callable[[str], Any] = lambda name: batch.column(name).to_numpy(zero_copy_only=False)  # noqa: E731
    ra, dec = number(place.ra), number(place.dec)
    _, good = normalised(ra, dec)
    cells = cell_of(np.where(good, ra, np.nan), np.where(good, dec, np.nan))
    missing = int(np.count_nonzero(cells < 0))
    if missing:
        notes["rows without a position"] = notes.get("rows without a position", 0) + missing
    field = pa.field(CELL_COLUMN, pa.int64(), nullable=False)
    return pa.record_batch([*batch.columns, pa.array(cells, pa.int64())], schema=batch.schema.append(field))
