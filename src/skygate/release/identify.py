"""Which column is a table's main identifier."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pyarrow as pa

from skygate.domain.catalog import Column
from skygate.release.compute import pc
from skygate.release.read.source import fault
from skygate.release.recipe import TableRecipe
from skygate.release.ucds import has_words

_NAMES = (
    r"source_?id", r"obj_?id", r"object_?id", r"coadd_objects?_id", r"coadd_object_id", r"diaobject_?id",
    r"main_id", r"id", r"hip", r"designation", r"iau_?name", r"star_?id", r"target_?id", r"cat(?:alog)?_?id",
    r"tilename", r"name", r"object_?name", r"source_?name", r"recno", r"nr", r"number",
)  # fmt: skip
"""Names of identifiers, best first."""
_PROPER = (r"main_id", r"id", r"star_?id", r"target_?id", r"cat(?:alog)?_?id")
"""Of these, the ones that hardly mean anything else, beside the first six."""
_BY_NAME = "name rule"


def choose_identifier(
    recipe: TableRecipe, columns: Sequence[Column], sample: pa.Table, names: Mapping[str, str]
) -> tuple[str | None, str]:
    """(published name of the identifier or None, why); raises `BadRelease` for a recipe's unknown one.

    `names` gives published names by source names. A column chosen by its name must be without nulls and
    repetitions in the sample.
    """
    if recipe.identifier is not None:
        published = {c.name for c in columns}
        name = recipe.identifier
        if name not in published:
            name = names.get(recipe.identifier, name)
        if name not in published:
            raise fault(
                "release.toml",
                f"table {recipe.name}: there is no column {recipe.identifier!r} for the identifier",
                hint="there are " + ", ".join(sorted(published)[:40]),
            )
        return name, "recipe"
    for column in columns:
        if has_words(column.ucd, "meta.id", "meta.main"):
            return column.name, f"UCD {column.ucd}"
    sources = {published: source for source, published in names.items()}
    table = recipe.name.lower().rstrip("s")
    for pattern in (*_NAMES[:6], rf"{re.escape(table)}s?_?id", *_NAMES[6:]):
        for column in columns:
            if not re.fullmatch(pattern, column.name) or column.is_array or column.datatype.is_real:
                continue
            if _names_rows(sample, sources.get(column.name, column.name)):
                return column.name, f"{_BY_NAME} {pattern}"
    return None, ""


def suspected_identifier(recipe: TableRecipe, columns: Sequence[Column]) -> str | None:
    """The column of a table without identifier that is one by its name but for repeated or missing values."""
    table = recipe.name.lower().rstrip("s")
    for pattern in (*_NAMES[:6], rf"{re.escape(table)}s?_?id", *_PROPER):
        for column in columns:
            if re.fullmatch(pattern, column.name) and not column.is_array and not column.datatype.is_real:
                return column.name
    return None


def is_guessed(column: Column) -> bool:
    """Whether only its name made the column the identifier: neither the recipe nor the file says so."""
    return column.inferred.get("identifier", "").startswith(_BY_NAME)


def _names_rows(sample: pa.Table, source: str) -> bool:
    """Whether the sample's values are all there and all different."""
    if sample.schema.get_field_index(source) < 0:
        return False
    values = sample.column(source)
    return values.null_count == 0 and pc.count_distinct(values).as_py() == len(values)
