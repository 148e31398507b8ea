"""The way of a query through this room, and a memory of the last ones.

Must not know: engines.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from threading import Lock

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
from skygate.adql.tokens import place
from skygate.domain.catalog import Catalog
from skygate.domain.query import Plan
from skygate.errors import BadQuery

DIALECTS = frozenset({"duckdb"})
REMEMBERED = 256
MAX_REMEMBERED_CHARACTERS = 20_000
REMEMBERED_LONG = 4
"""Longer texts: who checks a query asks it next, and understanding it takes seconds."""

_plans: OrderedDict[tuple[str, str, str], Plan] = OrderedDict()
_long_plans: OrderedDict[tuple[str, str, str], Plan] = OrderedDict()
_lock = Lock()


def compile_query(text: str, catalog: Catalog, *, dialect: str = "duckdb") -> Plan:
    """The plan of an ADQL query against a catalogue; raises `BadQuery` with the place and nearest names."""
    if dialect not in DIALECTS:
        raise ValueError(f"no dialect {dialect}")
    plan = known_plan(text, catalog, dialect=dialect)
    if plan is not None:
        return plan
    plan = compile_anew(text, catalog, dialect=dialect)
    known, most = _memory_of(text)
    with _lock:
        known[text, catalog.fingerprint, dialect] = plan
        while len(known) > most:
            known.popitem(last=False)
    return plan


def known_plan(text: str, catalog: Catalog, *, dialect: str = "duckdb") -> Plan | None:
    """The plan of a query that was understood a short while ago. Takes microseconds."""
    key, (known, _) = (text, catalog.fingerprint, dialect), _memory_of(text)
    with _lock:
        plan = known.get(key)
        if plan is not None:
            known.move_to_end(key)
    return plan


def _memory_of(text: str) -> tuple[OrderedDict[tuple[str, str, str], Plan], int]:
    """Where the plan of a text is remembered, and how many plans are there at most."""
    if len(text) <= MAX_REMEMBERED_CHARACTERS:
        return _plans, REMEMBERED
    return _long_plans, REMEMBERED_LONG


def compile_anew(text: str, catalog: Catalog, *, dialect: str = "duckdb") -> Plan:
    """The same without the memory of earlier queries."""
    try:
        tree = check(parse(text), text)
        check_growth(tree, text)
        columns = resolve(tree, text, catalog)
        lookup = lookup_of(tree) or joining_of(tree)
        tree = lower(_with_cells(tree, text))
        return replace(render(tree, columns, dialect=dialect), lookup=lookup)
    except RecursionError:
        raise BadQuery("the query is nested too deeply", hint="split it with WITH") from None


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
