"""The tree as a plan: text in one engine's spelling, cut where tables stand.

Must not know: how an engine reads a table. The cuts are made at names between two NUL characters; a
caller's text cannot contain NUL, so no caller can forge one.
"""

from __future__ import annotations

import re

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from skygate.adql.kernels import KERNELS
from skygate.adql.spelling import is_aggregate
from skygate.domain.catalog import CELL_COLUMN, Column, Table
from skygate.domain.query import Mark, Plan, Source

_RUN = "run"
_CUT = re.compile(f'"\0([0-9]+|{_RUN})\0"')
_KERNELS = frozenset(k.name for k in KERNELS)
_FEW_SUMS = 6


def render(tree: exp.Query, columns: tuple[Column, ...], *, dialect: str) -> Plan:
    """The plan of a lowered tree, which is used up."""
    limit = tree.args.get("limit")
    top = int(limit.expression.this) if limit is not None else None
    ordered = tree.args.get("order") is not None
    tables = [(node, node.meta["table"]) for node in tree.find_all(exp.Table) if "table" in node.meta]
    read: dict[str, set[str]] = {node.alias: set() for node, _ in tables}
    for column in tree.find_all(exp.Column):
        if column.table in read:
            read[column.table].add(column.name)
    dense = _few_sums(tree)
    sources: list[Source] = []
    for node, table in tables:
        sources.append(_source(node, table, read[node.alias]))
        _cut(node, len(sources) - 1)
    for call in tree.find_all(exp.Anonymous):
        if call.name.lower() in _KERNELS:
            call.set("expressions", [_mark(_RUN), *call.expressions])
    text = Dialect.get_or_raise(dialect).generator(identify=True, comments=False).generate(tree, copy=False)
    return Plan(dialect, _pieces(text, sources), columns, top, ordered, dense=dense)


def _few_sums(tree: exp.Query) -> bool:
    """Whether rows are grouped once, by one value, for a few aggregates."""
    groups = list(tree.find_all(exp.Group))
    if len(groups) != 1 or len(groups[0].expressions) != 1 or not isinstance(groups[0].parent, exp.Select):
        return False
    return sum(is_aggregate(node) for node in tree.walk()) <= _FEW_SUMS


def _source(node: exp.Table, table: Table, read: set[str]) -> Source:
    sample = node.meta.get("sample")
    if sample is not None and sample[1] is not None:
        read = read | set(identity(table))
    columns = tuple(c.name for c in table.columns if c.name in read)
    if CELL_COLUMN in read:
        columns += (CELL_COLUMN,)
    return Source(table, columns, node.meta.get("cells"))


def identity(table: Table) -> tuple[str, ...]:
    """Columns that tell a table's rows apart: its identifier, else its position, else all."""
    if table.identifier and table.column(table.identifier) is not None:
        return (table.identifier,)
    if table.position is not None:
        return (table.position.ra, table.position.dec)
    return tuple(c.name for c in table.columns if not c.is_array)


def _cut(node: exp.Table, number: int) -> None:
    """Put a mark in place of the table; a sample becomes a filter around it."""
    mark = _mark(str(number))
    sample = node.meta.get("sample")
    table: Table = node.meta["table"]
    node.set("db", None)
    node.set("catalog", None)
    if sample is None:
        node.set("this", mark)
        return
    alias, joins = node.args.get("alias"), node.args.get("joins")
    inner = exp.Table(this=mark, alias=exp.TableAlias(this=exp.Identifier(this="s", quoted=True)))
    select = exp.Select(expressions=[exp.Star()], where=exp.Where(this=_chosen(table, *sample)))
    select.set("from_", exp.From(this=inner))
    node.replace(exp.Subquery(this=select, alias=alias, joins=joins))


def _mark(what: str) -> exp.Identifier:
    return exp.Identifier(this=f"\0{what}\0", quoted=True)


def _chosen(table: Table, percent: float, seed: int | None) -> exp.Expr:
    """The condition of a sample: by chance, or with a seed by a hash of what tells rows apart."""
    share = exp.Literal(
        this=f"{percent / 100!r}e0" if "e" not in repr(percent / 100) else repr(percent / 100),
        is_string=False,
    )
    if seed is None:
        return exp.LT(this=exp.Anonymous(this="RANDOM", expressions=[]), expression=share)
    columns: list[exp.Expr] = [
        exp.Column(this=exp.Identifier(this=name, quoted=True), table=exp.Identifier(this="s", quoted=True))
        for name in identity(table)
    ]
    hashed = exp.Anonymous(this="HASH", expressions=[exp.Literal(this=str(seed), is_string=False), *columns])
    whole = exp.Literal(this="18446744073709551616e0", is_string=False)
    return exp.LT(
        this=exp.Div(this=exp.Cast(this=hashed, to=exp.DataType(this=exp.DType.DOUBLE)), expression=whole),
        expression=share,
    )


def _pieces(text: str, sources: list[Source]) -> tuple[str | Source | Mark, ...]:
    pieces: list[str | Source | Mark] = []
    for i, part in enumerate(_CUT.split(text)):
        if i % 2:
            pieces.append(Mark.RUN_NUMBER if part == _RUN else sources[int(part)])
        else:
            pieces.append(part)
    return tuple(pieces)
