"""What every reader gives: named columns and a stream of record batches, whatever the file's format.

Must not know: what a column will be called when it is published, or whether it is a position.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from skygate.domain.catalog import Column
from skygate.errors import BadRelease, Where
from skygate.release.expression import parse
from skygate.release.findings import Finding
from skygate.release.recipe import ColumnRecipe, TableRecipe

BATCH_ROWS = 131_072


class TableReader(Protocol):
    """One table of one file (or of many files that are one table), read as a stream."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns under the file's own names, with what the file says of them."""
        ...

    @property
    def schema(self) -> pa.Schema:
        """The Arrow types of the batches (same names, same order)."""
        ...

    @property
    def rows(self) -> int | None:
        """Number of rows, when the file tells it."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]:
        """What the file says of the table: name, description, frame, equinox, epoch, `frame:COLUMN` …"""
        ...

    @property
    def findings(self) -> Sequence[Finding]:
        """What a data manager should know of the files; complete once the rows were read.

        A finding's column is the file's own name of it; its table is not said.
        """
        ...

    def batches(self, max_rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The rows in file order, from the first; may be called again. Raises `BadRelease`."""
        ...

    def close(self) -> None:
        """Free what is held (temporary files, handles)."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """A `TableReader` made of values and two functions."""

    columns: tuple[Column, ...]
    schema: pa.Schema
    read: Callable[[int], Iterator[pa.RecordBatch]] = field(repr=False)
    rows: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    release: Callable[[], object] = field(default=lambda: None, repr=False)
    findings: list[Finding] = field(default_factory=list[Finding], repr=False)

    def batches(self, max_rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The rows in file order."""
        return self.read(max_rows)

    def close(self) -> None:
        """Free what is held."""
        self.release()


def fault(
    path: Path | str,
    message: str,
    *,
    hint: str | None = None,
    line: int | None = None,
    column: int | None = None,
    token: str | None = None,
) -> BadRelease:
    """A `BadRelease` that names the file (and for text the line and the character in it)."""
    place = Where(name=str(path), line=line, column=(column or 1) if line is not None else None, token=token)
    return BadRelease(message, hint=hint, where=place)


def regular_name(name: str) -> str:
    """`name` as a regular identifier: lower case, odd characters as `_`, a letter first.

    The Greek letters and signs that catalogues use are spelt out; leading underscores (VizieR's computed
    columns) go.
    """
    text = name.strip().translate(_SPELT).lower()
    text = re.sub(r"[^0-9a-z_]+", "_", text)
    text = re.sub(r"__+", "_", text).strip("_")
    if not text:
        return "column"
    return text if text[0].isalpha() else f"c_{text}"


_SPELT = str.maketrans(
    {
        "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "λ": "lambda", "μ": "mu", "µ": "mu",
        "σ": "sigma", "χ": "chi", "Δ": "delta_", "'": "_prime", "*": "_star", "%": "_percent", "+": "_plus_",
    }
)  # fmt: skip


def entry_for(recipe: TableRecipe, source_name: str) -> tuple[str, ColumnRecipe] | None:
    """What the recipe says of the file's column `source_name`: (published name, entry), or None.

    An entry that names its `source` wins; else the entry's own name is the file's name, or its regular form.
    """
    for name, entry in recipe.columns:
        if entry.source == source_name:
            return name, entry
    plain = [(n, e) for n, e in recipe.columns if e.source is None and e.derive is None]
    taken = {e.source for _, e in recipe.columns if e.source is not None}
    if source_name in taken:
        return None
    for name, entry in plain:
        if name == source_name:
            return name, entry
    regular = regular_name(source_name)
    return next(((n, e) for n, e in plain if n == regular), None)


def is_published(recipe: TableRecipe, source_name: str) -> bool:
    """Whether the recipe lets the column be published: not dropped, and listed where only listed ones are."""
    entry = entry_for(recipe, source_name)
    if entry is not None:
        return not entry[1].drop
    return not recipe.only_listed


def is_wanted(recipe: TableRecipe, source_name: str) -> bool:
    """Whether the column must be read: it is published, or a position or an expression needs it."""
    if is_published(recipe, source_name):
        return True
    return source_name in needed_names(recipe) or regular_name(source_name) in needed_names(recipe)


@lru_cache(maxsize=64)
def needed_names(recipe: TableRecipe) -> frozenset[str]:
    """The names that the position and the expressions of the recipe mention; raises `BadRelease`."""
    texts = [t for _, e in recipe.columns for t in (e.null_when, e.derive) if t]
    texts += [rule.when for rule in recipe.leave_out]
    names = {n for t in texts for n in parse(t).names}
    if recipe.position is not None:
        asked = (recipe.position.ra, recipe.position.dec)
        names |= {*asked, *(e.source for n, e in recipe.columns if n in asked and e.source)}
    return frozenset(names)


def unique_names(names: list[str]) -> list[str]:
    """The names with `_2`, `_3` … added where one was there already, and `column_N` for empty ones."""
    seen: set[str] = set()
    out: list[str] = []
    for number, raw in enumerate(names, start=1):
        base = raw if raw else f"column_{number}"
        name, count = base, 1
        while name in seen:
            count += 1
            name = f"{base}_{count}"
        seen.add(name)
        out.append(name)
    return out


def rebatch(table: pa.Table | pa.RecordBatch, max_rows: int) -> Iterator[pa.RecordBatch]:
    """The rows in batches of at most `max_rows` (and never none: an empty table has no batch)."""
    if isinstance(table, pa.RecordBatch):
        for start in range(0, table.num_rows, max_rows):
            yield table.slice(start, max_rows)
        return
    for batch in table.to_batches(max_chunksize=max_rows):
        if batch.num_rows:
            yield batch


_CHANGES = b"skygate.changes"


def with_changes(schema: pa.Schema, changes: Mapping[str, tuple[str, int]]) -> pa.Schema:
    """The schema of a batch that tells what reading did to its values: (what, how many) by column."""
    return schema.with_metadata({_CHANGES: json.dumps(changes).encode()}) if changes else schema


def changes_in(batch: pa.RecordBatch) -> dict[str, tuple[str, int]]:
    """What a reader says that it did to the values of a batch: (what, how many) by column."""
    told = (batch.schema.metadata or {}).get(_CHANGES)
    return json.loads(told) if told else {}


def unreadable(path: Path | str, error: Exception, *, what: str, hint: str | None = None) -> BadRelease:
    """A library's complaint about a file, as a `BadRelease` with its first line."""
    text = (str(error) or type(error).__name__).strip().splitlines()[0]
    return fault(path, f"cannot be read as {what}: {text}", hint=hint)


def text_of(value: Any) -> str:
    """A header's value as text: bytes decoded, blanks trimmed."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    return str(value).strip()
