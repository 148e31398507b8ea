"""Columns that an expression gives: what type they have, judged on a sample."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from skygate.domain.catalog import Column, Datatype
from skygate.errors import BadRelease
from skygate.release.expression import parse
from skygate.release.read.numeric import raw_column
from skygate.release.read.source import entry_for, fault, regular_name
from skygate.release.recipe import ColumnRecipe, TableRecipe
from skygate.wire import arrow_type

TYPES: dict[str, tuple[Datatype, str | None, str | None]] = {
    "boolean": (Datatype.BOOLEAN, None, None),
    "unsignedByte": (Datatype.UNSIGNED_BYTE, None, None),
    "short": (Datatype.SHORT, None, None),
    "int": (Datatype.INT, None, None),
    "long": (Datatype.LONG, None, None),
    "float": (Datatype.FLOAT, None, None),
    "double": (Datatype.DOUBLE, None, None),
    "string": (Datatype.UNICODE, "*", None),
    "timestamp": (Datatype.CHAR, "*", "timestamp"),
}


def type_of(name: str, text: str) -> tuple[Datatype, str | None, str | None]:
    """(datatype, arraysize, xtype) of a recipe's type; raises `BadRelease` for unknown ones."""
    if text not in TYPES:
        raise fault(
            "release.toml",
            f"column {name}: unknown type {text!r}",
            hint="expected one of " + ", ".join(TYPES),
        )
    return TYPES[text]


def derived_column(
    recipe: TableRecipe,
    name: str,
    entry: ColumnRecipe,
    columns: Sequence[Column],
    sample: pa.Table,
) -> Column:
    """A column that an expression gives; its type is what the expression gives on the sample."""
    assert entry.derive is not None
    if entry.type is not None:
        datatype, arraysize, xtype = type_of(name, entry.type)
        column = Column(name, datatype, arraysize=arraysize, xtype=xtype)
    else:
        kind = _derived_array(recipe, name, columns, sample, busy=()).type
        if pa.types.is_null(kind):
            raise fault("release.toml", f"column {name}: give it a `type`, its expression gives none")
        column = raw_column(pa.field(name, kind))
    return replace(column, inferred={"datatype": f"derived: {entry.derive}"})


def _derived_array(
    recipe: TableRecipe, name: str, columns: Sequence[Column], sample: pa.Table, *, busy: tuple[str, ...]
) -> Any:
    if name in busy:
        raise fault("release.toml", f"column {name} is derived from itself")
    entries = dict(recipe.columns)
    published: dict[str, str] = {}
    sources: dict[str, str] = {}
    for column in columns:
        entry = entry_for(recipe, column.name)
        own = entry[0] if entry else regular_name(column.name)
        published.setdefault(own, column.name)
        sources[column.name] = own

    def value(asked: str) -> Any:
        entry = entries.get(asked) or entries.get(sources.get(asked, asked))
        if entry is not None and entry.derive:
            return _derived_array(recipe, asked, columns, sample, busy=(*busy, name))
        source = published.get(asked, asked)
        if sample.schema.get_field_index(source) >= 0:
            values = sample.column(source).combine_chunks()
            if entry is None or entry.type is None or entry.drop:
                return values
            datatype, arraysize, xtype = type_of(asked, entry.type)
            kind = arrow_type(Column(asked, datatype, arraysize=arraysize, xtype=xtype))
            return values if values.type == kind else pa.nulls(sample.num_rows, kind)
        if asked in ("ra", "dec"):
            return pa.nulls(sample.num_rows, pa.float64())
        raise no_column(f"column {name}", asked, [*published, *entries, *sample.schema.names])

    derive = entries[name].derive
    assert derive is not None
    return parse(derive).evaluate(value, sample.num_rows)


def no_column(what: str, name: str, known: Sequence[str]) -> BadRelease:
    """The refusal of a name that is no column, with the nearest ones."""
    near = difflib.get_close_matches(name, list(dict.fromkeys(known)), n=3)
    different = {k.lower(): k for k in reversed(known)}  # a name published is not told again as in the file
    listed = [k for k in dict.fromkeys(known) if different.get(k.lower()) == k]
    hint = f"did you mean {' or '.join(near)}?" if near else "there are " + ", ".join(listed[:40])
    return fault("release.toml", f"{what}: there is no column {name!r}", hint=hint, token=name)
