"""The tables of one SELECT as geometry sees them: aliases, joins, conditions, position columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from skygate.adql.geometry.shapes import PointShape
from skygate.domain.catalog import CELL_COLUMN, Column, Datatype, Table

CELLS = Column(CELL_COLUMN, Datatype.LONG)


@dataclass(frozen=True, slots=True)
class Relation:
    """One table or sub-query in FROM. `join` is None for the first."""

    alias: str
    node: exp.Table | exp.Subquery
    join: exp.Join | None

    @property
    def table(self) -> Table | None:
        """The catalogue table, when it is one."""
        found = self.node.meta.get("table")
        return found if isinstance(found, Table) else None


@dataclass(frozen=True, slots=True)
class Condition:
    """One of the conditions that a SELECT joins by AND. `join` is the join whose ON it is part of."""

    node: exp.Expr
    join: exp.Join | None


def relations_of(select: exp.Select) -> dict[str, Relation]:
    """The relations of FROM by alias; those inside parenthesised joins are left out."""
    found: dict[str, Relation] = {}
    first = select.args.get("from_")
    places: list[tuple[exp.Expr | None, exp.Join | None]] = [(first.this if first else None, None)]
    places += [(join.this, join) for join in select.args.get("joins") or []]
    for node, join in places:
        if isinstance(node, (exp.Table, exp.Subquery)) and node.alias and not node.args.get("joins"):
            found[node.alias] = Relation(node.alias, node, join)
    return found


def conditions_of(select: exp.Select) -> list[Condition]:
    """The conditions of WHERE and of every ON, divided at AND."""
    where = select.args.get("where")
    found = [Condition(c, None) for c in conjuncts(where.this)] if where else []
    for join in select.args.get("joins") or []:
        on = join.args.get("on")
        if on is not None:
            found += [Condition(c, join) for c in conjuncts(on)]
    return found


def conjuncts(node: exp.Expr) -> Iterator[exp.Expr]:
    """The conditions that a condition joins by AND."""
    todo = [node]
    while todo:
        one = todo.pop()
        inner = one
        while isinstance(inner, exp.Paren):
            inner = inner.this
        if isinstance(inner, exp.And):
            todo += [inner.expression, inner.this]
        else:
            yield one


def side_of(join: exp.Join | None) -> str:
    """'' for inner joins and commas, else LEFT, RIGHT or FULL."""
    return str(join.args.get("side") or "").upper() if join is not None else ""


def alias_of_point(point: PointShape) -> str | None:
    """The alias of the catalogue table whose position columns a point is made of, if it is."""
    return None if point.columns is None else position_alias(*point.columns)


def position_alias(lon: exp.Column, lat: exp.Column) -> str | None:
    """The alias of the catalogue table whose position these two columns are, if they are."""
    table = lon.meta.get("table")
    if (
        not isinstance(table, Table)
        or lon.table != lat.table
        or not table.has_cells
        or table.position is None
    ):
        return None
    names = (described_name(lon), described_name(lat))
    return lon.table if names == (table.position.ra, table.position.dec) else None


def described_name(column: exp.Column) -> str:
    """The catalogue's name of a column."""
    described = column.meta.get("column")
    return described.name if isinstance(described, Column) else column.name


def cell_column(alias: str, like: exp.Expr, table: Table) -> exp.Column:
    """The column of cells of a table."""
    quoted = isinstance(like, exp.Identifier) and bool(like.args.get("quoted"))
    node = exp.Column(
        this=exp.Identifier(this=CELL_COLUMN, quoted=True), table=exp.Identifier(this=alias, quoted=quoted)
    )
    node.meta.update({"column": CELLS, "table": table, "native": True, "datatype": CELLS})
    return node


def alias_identifier(relation: Relation) -> exp.Identifier:
    """The identifier under which FROM names a relation."""
    alias = relation.node.args["alias"]
    found = alias.this if isinstance(alias, exp.TableAlias) else alias
    return exp.Identifier(this=found.name, quoted=bool(found.args.get("quoted")))


def columns_used(select: exp.Select, alias: str) -> dict[str, exp.Column] | None:
    """The relation's columns that the SELECT names, here or in sub-queries; None where they are not sure."""
    found: dict[str, exp.Column] = {}
    for column in select.find_all(exp.Column):
        if column.table != alias or hidden(column, select, alias):
            continue
        if isinstance(column.this, exp.Star):
            return None
        found.setdefault(column.name, column)
    return found


def hidden(column: exp.Column, select: exp.Select, alias: str) -> bool:
    """Whether a sub-query between the column and the SELECT has a relation of the same alias."""
    scope = column.find_ancestor(exp.Select)
    while scope is not None and scope is not select:
        if alias in relations_of(scope):
            return True
        scope = scope.find_ancestor(exp.Select)
    return False
