"""The way of a query through this room, and a memory of the last ones.

Must not know: engines.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from threading import Lock
from typing import TypeVar

from sqlglot import exp

from skygate.adql.check import check
from skygate.adql.dialect import parse
from skygate.adql.geometry import lower_geometry
from skygate.adql.growth import check_growth
from skygate.adql.lower import lower
from skygate.adql.render import render
from skygate.adql.resolve import resolve
from skygate.adql.simple import lookup_of
from skygate.adql.simple_joins import joining_of
from skygate.adql.tallied import tally_of
from skygate.adql.tokens import place
from skygate.domain.catalog import Catalog, Column, Table
from skygate.domain.query import Joining, Lookup, Plan
from skygate.domain.tally import Tally
from skygate.errors import BadQuery

DIALECTS = frozenset({"duckdb"})
REMEMBERED = 256
MAX_REMEMBERED_CHARACTERS = 20_000
REMEMBERED_LONG = 4
"""Longer texts: who checks a query asks it next, and understanding it takes seconds."""


@dataclass(frozen=True, slots=True)
class Simple:
    """A query that comes to a lookup. Its plan is made when an engine must run it after all: seldom."""

    text: str
    catalog: Catalog
    dialect: str
    columns: tuple[Column, ...]
    lookup: Lookup | Joining | Tally

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables that are looked into."""
        return self.lookup.tables

    def plan(self) -> Plan:
        """The plan; the text is read once more, since a tree takes a thousand times its memory."""
        return compile_query(self.text, self.catalog, dialect=self.dialect)


Key = tuple[str, str, str]
Found = TypeVar("Found", Plan, Plan | Simple)

_known: OrderedDict[Key, Plan | Simple] = OrderedDict()
_known_long: OrderedDict[Key, Plan | Simple] = OrderedDict()
_lock = Lock()


def understand(text: str, catalog: Catalog, *, dialect: str = "duckdb") -> Plan | Simple:
    """What an ADQL query means against a catalogue; raises `BadQuery` with the place and nearest names."""
    key = _key(text, catalog, dialect)
    return _remembered(key) or _remember(key, _understood(text, catalog, dialect))


def compile_query(text: str, catalog: Catalog, *, dialect: str = "duckdb") -> Plan:
    """The plan of an ADQL query; raises as `understand` does."""
    key = _key(text, catalog, dialect)
    known = _remembered(key)
    return known if isinstance(known, Plan) else _remember(key, compile_anew(text, catalog, dialect=dialect))


def known_query(text: str, catalog: Catalog, *, dialect: str = "duckdb") -> Plan | Simple | None:
    """What a query means that was understood a short while ago. Takes microseconds."""
    return _remembered(_key(text, catalog, dialect))


def compile_anew(text: str, catalog: Catalog, *, dialect: str = "duckdb") -> Plan:
    """The same without the memory of earlier queries."""
    found = _understood(text, catalog, dialect, simple=False)
    assert isinstance(found, Plan)
    return found


def _understood(text: str, catalog: Catalog, dialect: str, *, simple: bool = True) -> Plan | Simple:
    try:
        tree = check(parse(text), text)
        check_growth(tree, text)
        columns = resolve(tree, text, catalog)
        lookup = lookup_of(tree) or joining_of(tree) or tally_of(tree)
        if lookup is not None and simple:
            return Simple(text, catalog, dialect, columns, lookup)
        tree = lower(_with_cells(tree, text))
        return replace(render(tree, columns, dialect=dialect), lookup=lookup)
    except RecursionError:
        raise BadQuery("the query is nested too deeply", hint="split it with WITH") from None


def _key(text: str, catalog: Catalog, dialect: str) -> Key:
    if dialect not in DIALECTS:
        raise ValueError(f"no dialect {dialect}")
    return text, catalog.fingerprint, dialect


def _memory(key: Key) -> tuple[OrderedDict[Key, Plan | Simple], int]:
    """Where queries of this length are remembered, and how many."""
    if len(key[0]) <= MAX_REMEMBERED_CHARACTERS:
        return _known, REMEMBERED
    return _known_long, REMEMBERED_LONG


def _remembered(key: Key) -> Plan | Simple | None:
    memory, _ = _memory(key)
    with _lock:
        found = memory.get(key)
        if found is not None:
            memory.move_to_end(key)
        return found


def _remember(key: Key, found: Found) -> Found:
    memory, most = _memory(key)
    with _lock:
        memory[key] = found
        while len(memory) > most:
            memory.popitem(last=False)
    return found


def _with_cells(tree: exp.Query, text: str) -> exp.Query:
    """Geometry lowered; what it finds wrong is told with line and column."""
    try:
        return lower_geometry(tree)
    except BadQuery as error:
        at = error.where
        if at is None or at.start is None or at.end is None or at.line is not None:
            raise
        where = place(text, at.start, at.end)
        raise BadQuery(error.message, hint=error.hint, where=where) from error
