"""FULL OUTER JOINs by distance: a LEFT JOIN, and the rows of the other table that have no partner.

Must not know: engines. Joined as it is written, such a join would compare every row with every other; each of
the two parts goes through cells (see `joins`).
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from skygate.adql.geometry import relations as rel
from skygate.adql.geometry.relations import Relation
from skygate.adql.geometry.sql import clone, named, native, negation, quoted, whole

NAME = "_sg_full"
Used = dict[str, dict[str, exp.Column]]


def divide(select: exp.Select, one: Relation, other: Relation, used: Used) -> None:
    """Put both parts in the place of `one FULL JOIN other`, the only relations of a SELECT.

    `used` has the columns that the SELECT names of each alias. They get names of their own in the parts.
    """
    assert other.join is not None
    condition = other.join.args["on"]
    places = {(alias, name): f"_sg_{n}" for n, (alias, name) in enumerate(_pairs(used))}
    joined = _part(used, places, (one.alias, other.alias), one)
    joined.set("joins", [exp.Join(this=clone(other.node), side="LEFT", on=clone(condition))])
    alone = _part(used, places, (other.alias,), other)
    partner = exp.Select(expressions=[native(exp.Alias(this=whole(1), alias=quoted(NAME)))])
    partner.set("from_", exp.From(this=clone(one.node)))
    partner.set("where", exp.Where(this=clone(condition)))
    alone.set("where", exp.Where(this=negation(native(exp.Exists(this=partner)))))
    for item in list(select.expressions):
        if isinstance(item, exp.Column) and (item.table, item.name) in places:
            new = named(item)
            new.meta.update({k: v for k, v in item.meta.items() if k != "table"})
            item.replace(new)
    for column in list(select.find_all(exp.Column)):
        place = places.get((column.table, column.name))
        if place is not None and not rel.hidden(column, select, column.table):
            new = exp.Column(this=quoted(place), table=quoted(NAME))
            new.meta.update({k: v for k, v in column.meta.items() if k != "table"})
            column.replace(new)
    both = exp.Union(this=joined, expression=alone, distinct=False)
    relation = exp.Subquery(this=both, alias=exp.TableAlias(this=quoted(NAME)))
    select.set("from_", exp.From(this=relation))
    select.set("joins", None)


def _part(
    used: Used, places: dict[tuple[str, str], str], known: Iterable[str], first: Relation
) -> exp.Select:
    """A SELECT of all columns that are used; those of relations that it has not are null."""
    items: list[exp.Expr] = []
    for (alias, name), place in places.items():
        value = clone(used[alias][name]) if alias in known else native(exp.Null())
        items.append(native(exp.Alias(this=value, alias=quoted(place))))
    part = exp.Select(expressions=items or [native(exp.Alias(this=whole(1), alias=quoted(NAME)))])
    part.set("from_", exp.From(this=clone(first.node)))
    return part


def _pairs(used: Used) -> Iterable[tuple[str, str]]:
    return ((alias, name) for alias, columns in used.items() for name in columns)
