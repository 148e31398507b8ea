"""A file's columns become a table's: names, types, units, UCDs, position, identifier, each with its evidence.

The recipe comes first, then the file's own metadata, then the rules of `names`; values decide last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from skygate.domain.catalog import CELL_COLUMN, Column, Datatype, SkyPosition, Table
from skygate.release import position as positions
from skygate.release.angles import TEXT_FORMS
from skygate.release.coordinates import axes_of
from skygate.release.derived import derived_column, no_column, type_of
from skygate.release.identify import choose_identifier
from skygate.release.names import told_by_name, unit_by_suffix
from skygate.release.position import Found, find_position
from skygate.release.read.source import entry_for, fault, is_published, regular_name
from skygate.release.recipe import ColumnRecipe, TableRecipe
from skygate.release.ucds import DEC, ID, RA, normal_ucd, without_main
from skygate.release.units import normal_unit

_UNITS = {"radians": "rad", "degrees": "deg", "hours": "h", "arcmin": "arcmin", "arcsec": "arcsec"}
_TEXT_UCDS = ("meta.", "src.", "pos.eq", "time.", "instr.", "pos")


@dataclass(frozen=True, slots=True)
class _Draft:
    """A column on its way: `source` None for derived ones."""

    source: str | None
    column: Column
    published: bool
    named: bool
    """Whether the recipe chose the name."""


def describe_table(
    schema: str,
    recipe: TableRecipe,
    reader_columns: tuple[Column, ...],
    sample: pa.Table,
    metadata: Mapping[str, str],
) -> Table:
    """The table that these columns make; no parts, rows not counted. Raises `BadRelease`."""
    drafts = _drafts(recipe, reader_columns, sample)
    found = find_position(recipe, _raw(drafts), sample, metadata=metadata)
    _check_entries(recipe, reader_columns, found)
    drafts = _placed(recipe, drafts, found)
    drafts = _named(drafts, found)
    names = {d.source or d.column.name: d.column.name for d in drafts}
    columns = [d.column for d in drafts if d.published]
    if recipe.only_listed:
        order = {name: n for n, (name, _) in enumerate(recipe.columns)}
        columns.sort(key=lambda c: order.get(c.name, -1))
    if not columns:
        raise fault("release.toml", f"table {recipe.name} has no column left")
    place, columns = _with_position(columns, found, names)
    identifier, why = choose_identifier(recipe, columns, sample, names)
    columns = [_identified(c, identifier, why) for c in columns]
    return Table(
        schema=schema,
        name=recipe.name,
        columns=tuple(columns),
        description=recipe.description or metadata.get("description", ""),
        position=place,
        identifier=identifier,
        notes=(*recipe.notes, *_notes(found, place, sample)),
    )


def position_of(
    recipe: TableRecipe, reader_columns: tuple[Column, ...], sample: pa.Table, metadata: Mapping[str, str]
) -> tuple[list[Column], Found | None]:
    """(the columns under their names in the file, with units; the position among them or None)."""
    raw = _raw(_drafts(recipe, reader_columns, sample))
    return raw, find_position(recipe, raw, sample, metadata=metadata)


def _drafts(recipe: TableRecipe, reader_columns: tuple[Column, ...], sample: pa.Table) -> list[_Draft]:
    drafts = [_from_source(recipe, c) for c in reader_columns]
    for name, entry in recipe.columns:
        if entry.derive:
            column = derived_column(recipe, name, entry, reader_columns, sample)
            drafts.append(_Draft(None, properties(column, entry), not entry.drop, named=True))
    return drafts


def _raw(drafts: list[_Draft]) -> list[Column]:
    return [replace(d.column, name=d.source or d.column.name) for d in drafts]


def _from_source(recipe: TableRecipe, column: Column) -> _Draft:
    """A file's column with what the recipe, the file and the name rules say of it."""
    entry = entry_for(recipe, column.name)
    name = entry[0] if entry else regular_name(column.name)
    said = entry[1] if entry else ColumnRecipe()
    own = replace(column, name=name, source_name=None if name == column.name else column.name)
    return _Draft(
        column.name, properties(own, said), is_published(recipe, column.name), named=entry is not None
    )


def properties(column: Column, said: ColumnRecipe) -> Column:
    """The column with type, unit, UCD and description: the recipe's, the file's or the name's."""
    why = dict(column.inferred)
    if said.type is not None:
        datatype, arraysize, xtype = type_of(column.name, said.type)
        if datatype.is_text and column.datatype.is_text and not xtype:
            datatype = column.datatype
        why["datatype"] = "recipe"
        if not (column.is_array and not datatype.is_text):
            column = replace(column, arraysize=arraysize, xtype=xtype)
        column = replace(column, datatype=datatype)
    elif "datatype" not in why:
        why["datatype"] = "file"
    plain = regular_name(column.source_name or column.name)
    told = told_by_name(regular_name(column.name)) or told_by_name(plain)
    unit = _unit(column, said, plain, why, told.unit if told else None, told.rule if told else "")
    ucd, problem = normal_ucd(said.ucd if said.ucd is not None else column.ucd)
    if ucd is not None:
        why["ucd"] = ("recipe" if said.ucd is not None else "file") + (f"; {problem}" if problem else "")
    elif said.ucd is None and told and _suits(column, told.ucd):
        ucd, why["ucd"] = told.ucd, told.rule
    description = said.description if said.description is not None else column.description
    if description:
        why["description"] = "recipe" if said.description is not None else "file"
    elif told and (ucd == told.ucd or said.ucd is None):
        description, why["description"] = told.description, told.rule
    null = ", ".join(str(n) for n in said.nulls) or column.null
    return replace(
        column,
        unit=unit,
        ucd=ucd,
        utype=said.utype or column.utype,
        description=" ".join((description or "").split()),
        null=null,
        principal=column.principal if said.principal is None else said.principal,
        inferred=why,
    )


def _unit(
    column: Column, said: ColumnRecipe, plain: str, why: dict[str, str], told: str | None, rule: str
) -> str | None:
    given = said.unit if said.unit is not None else column.unit
    unit, problem = normal_unit(given)
    if given is not None:
        by = "recipe" if said.unit is not None else "file"
        changed = f" ({given})" if unit != given else ""
        why["unit"] = by + changed + (f"; {problem}, kept as it is" if problem else "")
        return unit
    if not column.datatype.is_number:
        return None
    suffix = unit_by_suffix(plain) or unit_by_suffix(column.name)
    if suffix is not None:
        why["unit"] = f"name ends in {suffix[1]}"
        return suffix[0]
    if told is not None and column.datatype.is_real:
        why["unit"] = rule
        return told
    return None


def _suits(column: Column, ucd: str) -> bool:
    """Whether a name rule's UCD can be true of such values."""
    if column.datatype.is_text:
        return ucd.startswith(_TEXT_UCDS)
    return not ucd.startswith(("meta.note", "meta.bib", "src.spType", "src.morph"))


def _check_entries(recipe: TableRecipe, columns: Sequence[Column], found: Found | None) -> None:
    """Refuse what the recipe says of columns that do not exist, or says twice."""
    used: dict[str, str] = {}
    for column in columns:
        entry = entry_for(recipe, column.name)
        if entry is not None:
            used[entry[0]] = column.name
    converted = {"ra", "dec"} if found is not None and not found.is_plain else set[str]()
    for name, entry in recipe.columns:
        if name == CELL_COLUMN:
            raise fault("release.toml", f"table {recipe.name}: the name {name} is the house's own")
        if entry.derive or entry.drop or name in used or (name in converted and entry.source is None):
            continue
        asked = entry.source or name
        if asked in used.values():
            first = next(n for n, source in used.items() if source == asked)
            said = f"table {recipe.name}, column {name}: {asked!r} is published as {first!r} already"
            raise fault("release.toml", said, hint=f'give {name} `derive = "{first}"` for a copy')
        raise no_column(f"table {recipe.name}, column {name}", asked, [c.name for c in columns])


def _placed(recipe: TableRecipe, drafts: list[_Draft], found: Found | None) -> list[_Draft]:
    """The drafts with the new columns `ra` and `dec` before the originals, when these are converted."""
    if found is None or found.is_plain:
        return drafts
    originals = {*found.ra, *found.dec}
    out: list[_Draft] = []
    for draft in drafts:
        name = draft.source or draft.column.name
        if name in originals and not any(d.column.name == "ra" and d.source is None for d in out):
            out += [_converted(recipe, "ra", found.ra, found), _converted(recipe, "dec", found.dec, found)]
        out.append(_original(recipe, draft, found) if name in originals else draft)
    return out


def _converted(recipe: TableRecipe, name: str, sources: tuple[str, ...], found: Found) -> _Draft:
    said = recipe.column(name) or ColumnRecipe()
    how = f"from {' '.join(sources)} ({found.form}, {found.frame})"
    full = "Right ascension" if name == "ra" else "Declination"
    column = Column(
        name,
        Datatype.DOUBLE,
        unit="deg",
        ucd=RA if name == "ra" else DEC,
        utype=said.utype,
        description=said.description or f"{full}, ICRS, {how}",
        source_name=" ".join(sources),
        inferred={"position": f"{found.why}; {how}", "datatype": "positions are double"},
    )
    return _Draft(None, column, published=True, named=True)


def _original(recipe: TableRecipe, draft: _Draft, found: Found) -> _Draft:
    """The kept original: under another name where it was called `ra` or `dec`, its unit as it is written."""
    column, published, named = draft.column, draft.published, draft.named
    if column.name in ("ra", "dec"):
        column = replace(column, name=f"{column.name}_orig", source_name=draft.source)
        # The recipe's entry speaks of the new column; the original is kept unless only listed ones are.
        published, named = published and not recipe.only_listed, False
    unit = column.unit
    if found.form not in TEXT_FORMS:
        axis = axes_of(found.form)[0 if draft.source in found.ra else 1]
        unit = _UNITS.get(axis, unit) if found.form != "parts" else unit
    why = dict(column.inferred)
    if unit != column.unit:
        why["unit"] = f"position written in {found.form}"
    return replace(
        draft,
        column=replace(column, unit=unit, ucd=without_main(column.ucd), inferred=why),
        published=published,
        named=named,
    )


def _named(drafts: list[_Draft], found: Found | None) -> list[_Draft]:
    """Every column under a name of its own: the recipe's names first, `_2` … for the others."""
    taken: set[str] = set()
    for draft in drafts:
        if draft.named and draft.published:
            if draft.column.name in taken:
                hint = "give the file's column another name in release.toml"
                raise fault("release.toml", f"two columns are called {draft.column.name}", hint=hint)
            taken.add(draft.column.name)
    out: list[_Draft] = []
    for draft in drafts:
        if (draft.named and draft.published) or not draft.published:
            out.append(draft)
            continue
        base = name = draft.column.name
        count = 1
        while name in taken:
            count += 1
            name = f"{base}_{count}"
        taken.add(name)
        column = draft.column
        if name != base:
            why = {**column.inferred, "name": f"{base} is taken"}
            column = replace(column, name=name, source_name=draft.source, inferred=why)
        out.append(replace(draft, column=column))
    return out


def _with_position(
    columns: list[Column], found: Found | None, names: Mapping[str, str]
) -> tuple[SkyPosition | None, list[Column]]:
    """(the position, the columns with exactly one main right ascension and declination)."""
    if found is None:
        return None, columns
    if found.is_plain:
        ra, dec, kept = names[found.ra[0]], names[found.dec[0]], ()
    else:
        ra, dec = "ra", "dec"
        shown = {c.name for c in columns}
        kept = tuple(names[s] for s in (*found.ra, *found.dec) if names.get(s) in shown)
    if {ra, dec} - {c.name for c in columns}:
        return None, columns
    out: list[Column] = []
    for column in columns:
        if column.name in (ra, dec):
            why = {**column.inferred, "position": column.inferred.get("position", found.why)}
            if column.datatype is not Datatype.DOUBLE:
                why["datatype"] = "positions are double"
            if column.unit is None:
                why["unit"] = "positions without a unit are degrees"
            column = replace(
                column,
                datatype=Datatype.DOUBLE,
                arraysize=None,
                unit="deg",
                ucd=RA if column.name == ra else DEC,
                inferred=why,
            )
        elif column.ucd and column.ucd.startswith("pos."):
            column = replace(column, ucd=without_main(column.ucd))
        out.append(column)
    place = SkyPosition(ra, dec, found.epoch, found.frame, kept, found.form)
    return place, out


def _identified(column: Column, identifier: str | None, why: str) -> Column:
    if column.name == identifier:
        return replace(column, ucd=ID, inferred={**column.inferred, "identifier": why})
    if column.ucd and column.ucd.lower().startswith("meta.") and "meta.main" in column.ucd.lower():
        return replace(column, ucd=without_main(column.ucd))
    return column


def _notes(found: Found | None, place: SkyPosition | None, sample: pa.Table) -> list[str]:
    if found is None or place is None:
        return []
    epoch = f" at epoch J{place.epoch:g}" if place.epoch is not None else ""
    if found.is_plain:
        said = [f"Positions are ICRS degrees{epoch} ({place.ra}, {place.dec}; found by {found.why})."]
    else:
        kept = (
            f"; the originals are kept as {', '.join(place.source_columns)}" if place.source_columns else ""
        )
        said = [
            f"Positions ra, dec are ICRS degrees{epoch}, converted from {' '.join((*found.ra, *found.dec))} "
            f"({found.form}, {found.frame}; found by {found.why}){kept}."
        ]
    if positions.looks_like_radians(found, sample):
        said.append(
            "The values of the position fill the range of radians: if they are, say "
            'position.format = "radians" in release.toml.'
        )
    return said
