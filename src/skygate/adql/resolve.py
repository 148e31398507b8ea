"""A parsed query against a catalogue: every name bound, every `*` written out, every value typed.

Must not know: engines. In the tree afterwards all tables have an alias that is unique in the whole text,
columns are `alias.name` in the catalogue's spelling, NATURAL and USING are ON, output names are unique.
"""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from skygate.adql import types
from skygate.adql.geometry.sql import clone
from skygate.adql.grouping import check_distinct_order, check_grouped
from skygate.adql.joins import Joins
from skygate.adql.scope import Names, Out, Relation, Scope, same
from skygate.adql.signatures import Calls
from skygate.adql.spelling import SQL_TYPES
from skygate.adql.types import NULL, common, kind, shown
from skygate.adql.values import Values
from skygate.domain.catalog import Catalog, Column, Table

CTE_PREFIX = "cte_"
MAX_COLUMNS = 5_000


def resolve(tree: exp.Query, text: str, catalog: Catalog) -> tuple[Column, ...]:
    """Annotate the tree in place; return the columns of the answer. Raises `BadQuery`."""
    return Resolver(text, catalog).whole(tree)


class Resolver:
    """Walks queries, innermost tables first."""

    def __init__(self, text: str, catalog: Catalog) -> None:
        self.names = Names(text, catalog)
        self.calls = Calls()
        self.values = Values(self.names, query=self.inner, call=self.calls.call, window=self.calls.window)
        self.calls.values = self.values
        self.joins = Joins(self.names, self.values)
        self.ctes: list[tuple[exp.Identifier, str, tuple[Out, ...]]] = []

    def whole(self, tree: exp.Query) -> tuple[Column, ...]:
        """The outermost query, with its WITH."""
        with_ = tree.args.get("with_")
        if with_ is not None:
            for cte in with_.expressions:
                self._cte(cte)
        return tuple(replace(o.column, name=o.sql) for o in self.query(tree, None))

    def _cte(self, cte: exp.CTE) -> None:
        name = cte.args["alias"].this
        outs = self.query(cte.this, None)
        if any(same(name, str(other.this)) for other, _, _ in self.ctes):
            self.names.fail(f"WITH names `{name.this}` twice", name)
        sql = self.names.free_alias(CTE_PREFIX + str(name.this))
        self.ctes.append((name, sql, outs))
        cte.set("alias", exp.TableAlias(this=exp.Identifier(this=sql, quoted=True)))

    def inner(self, node: exp.Query, scope: Scope) -> tuple[Out, ...]:
        """A query inside an expression, which sees the columns around it."""
        outer = scope.inside
        outs = self.query(node, scope)
        scope.inside = outer
        return outs

    def query(self, node: exp.Query, parent: Scope | None) -> tuple[Out, ...]:
        """The columns of any query."""
        if isinstance(node, exp.Subquery):
            return self.query(node.this, parent)
        if isinstance(node, exp.SetOperation):
            return self._set_operation(node, parent)
        if isinstance(node, exp.Select):
            return self._select(node, parent)
        return self.names.fail(f"{type(node).__name__} is not part of ADQL", node)

    # -- set operations

    def _set_operation(self, node: exp.SetOperation, parent: Scope | None) -> tuple[Out, ...]:
        left = self.query(node.this, parent)
        right = self.query(node.expression, parent)
        word = type(node).__name__.upper()
        if len(left) != len(right):
            self.names.fail(f"{word} needs queries of as many columns: {len(left)} and {len(right)}", node)
        outs: list[Out] = []
        for i, (a, b) in enumerate(zip(left, right, strict=True), start=1):
            both = common(a.column, b.column)
            if both is None:
                self.names.fail(
                    f"{word} cannot combine {shown(a.column)} with {shown(b.column)} "
                    f"in column {i}, `{a.name}`",
                    node,
                )
            if both is NULL:
                both = types.TEXT
            if a.column is NULL:
                both = replace(both, name=a.sql)
            # what was measured of the left side does not hold for the right one
            outs.append(Out(a.name, a.sql, replace(both, stats=None)))
        order = node.args.get("order")
        for item in order.expressions if order is not None else ():
            self._order_by_output(item, outs, word)
        return tuple(outs)

    def _order_by_output(self, item: exp.Ordered, outs: list[Out], word: str) -> None:
        item.set("nulls_first", False)
        node = item.this
        if isinstance(node, exp.Literal):
            self._ordinal(node, len(outs), "ORDER BY")
            return
        if isinstance(node, exp.Column) and not node.args.get("table"):
            for i, out in enumerate(outs, start=1):
                if same(node.this, out.name):
                    item.set("this", exp.Literal(this=str(i), is_string=False))
                    return
        self.names.fail(f"ORDER BY after {word} takes names or numbers of its columns", node)

    def _ordinal(self, node: exp.Literal, most: int, clause: str) -> int:
        text = str(node.this)
        if node.is_string or not text.isdigit():
            self.names.fail(f"{clause} takes columns, values or the numbers of columns", node)
        if not 1 <= int(text) <= most:
            self.names.fail(f"{clause} {text}: columns are numbered from 1 to {most}", node)
        return int(text)

    # -- SELECT

    def _select(self, node: exp.Select, parent: Scope | None) -> tuple[Out, ...]:
        scope = Scope(parent)
        self._from(node, scope)
        where = node.args.get("where")
        if where is not None:
            scope.clause = "WHERE"
            self.values.condition(where.this, scope)
        scope.clause = "SELECT"
        named = self._expand(node, scope)
        items = [item for _, item in named]
        node.set("expressions", items)
        columns: list[Column] = []
        for item in items:
            self.values.value(item, scope)
        items = node.expressions
        columns = [item.meta["datatype"] for item in items]
        outs = self._outputs(node, named, items, columns)
        group = node.args.get("group")
        if group is not None:
            self._group_by(group, outs, items, scope)
        having = node.args.get("having")
        if having is not None:
            scope.clause = "HAVING"
            self.values.condition(having.this, scope)
        order = node.args.get("order")
        if order is not None:
            scope.clause = "ORDER BY"
            self._order_by(order, outs, items, scope)
        if group is not None or scope.aggregated or having is not None:
            check_grouped(self.names, node, scope)
        if node.args.get("distinct") is not None and order is not None:
            check_distinct_order(self.names, node)
        self._name_outputs(node, outs)
        return outs

    def _expand(self, node: exp.Select, scope: Scope) -> list[tuple[exp.Identifier | None, exp.Expr]]:
        """Select items with their own names, stars written out."""
        found: list[tuple[exp.Identifier | None, exp.Expr]] = []
        for item in node.expressions:
            if isinstance(item, exp.Star):
                found.extend((None, column) for column in self.joins.star(item, scope))
            elif isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
                found.extend((None, column) for column in self._qualified_star(item, scope))
            elif isinstance(item, exp.Alias):
                found.append((item.args["alias"], item.this))
            else:
                found.append((None, item))
            if len(found) > MAX_COLUMNS:
                self.names.fail(f"more than {MAX_COLUMNS} columns are selected", node)
        return found

    def _qualified_star(self, item: exp.Column, scope: Scope) -> list[exp.Column]:
        parts = [p for p in (item.args.get("table"), item.args.get("db"), item.args.get("catalog")) if p]
        named = [r for r in scope.relations if r.answers(parts)]
        if not named:
            shown_name = ".".join(str(p.this) for p in reversed(parts))
            known = ", ".join(sorted({r.shown for r in scope.relations})[:8])
            self.names.fail(f"no table `{shown_name}` in FROM", item, hint=f"here are {known}")
        if len(named) > 1:
            self.names.fail(f"`{parts[0].this}` is the name of several tables here", item)
        return [self.joins.star_column(item, named[0], out) for out in named[0].columns]

    def _outputs(
        self,
        node: exp.Select,
        named: list[tuple[exp.Identifier | None, exp.Expr]],
        items: list[exp.Expr],
        columns: list[Column],
    ) -> tuple[Out, ...]:
        """Output columns: the caller's names, else the column's, else the function's, else column_N."""
        natural: list[str] = []
        for i, ((name, _), item, column) in enumerate(zip(named, items, columns, strict=True), start=1):
            if name is not None:
                natural.append(str(name.this))
            elif isinstance(item, (exp.Column, exp.Coalesce)) and column.name:
                natural.append(column.name)
            else:
                call = item.this if isinstance(item, exp.Window) else item
                natural.append(str(call.this).lower() if isinstance(call, exp.Anonymous) else f"column_{i}")
        operand = isinstance(node.parent, exp.SetOperation) or isinstance(
            node.parent and node.parent.parent, exp.SetOperation
        )
        taken = {n.lower() for n in natural}
        used: set[str] = set()
        outs: list[Out] = []
        for name, item, column in zip(natural, items, columns, strict=True):
            sql, n = name, 1
            while sql.lower() in used or (n > 1 and sql.lower() in taken):
                n += 1
                sql = f"{name}_{n}"
            used.add(sql.lower())
            kept = types.TEXT if column is NULL and not operand else column
            table = item.meta.get("table") if isinstance(item, exp.Column) else None
            if kept is not NULL and kept.name != sql:
                kept = replace(kept, name=sql)
            outs.append(Out(name, sql, kept, table))
        return tuple(outs)

    def _name_outputs(self, node: exp.Select, outs: tuple[Out, ...]) -> None:
        """Give select items their names in the rendered text, where they differ."""
        renamed: list[exp.Expr] = []
        for item, out in zip(node.expressions, outs, strict=True):
            if isinstance(item, exp.Column) and item.this.this == out.sql:
                renamed.append(item)
            else:
                typed = item
                if item.meta.get("datatype") is NULL and out.column is not NULL:
                    typed = exp.Cast(this=item, to=exp.DataType(this=exp.DType.VARCHAR))
                alias = exp.Alias(this=typed, alias=exp.Identifier(this=out.sql, quoted=True))
                alias.meta["datatype"] = out.column
                renamed.append(alias)
        node.set("expressions", renamed)

    # -- FROM

    def _from(self, node: exp.Select, scope: Scope) -> None:
        from_ = node.args["from_"]
        first = self.joins.begin(self._relations(from_.this, scope))
        groups = [first]
        for join in node.args.get("joins") or ():
            comma = not any(join.args.get(k) for k in ("on", "using", "method", "kind", "side"))
            right = self.joins.begin(self._relations(join.this, scope))
            if comma:
                groups.append(right)
            else:
                groups[-1] = self.joins.join(join, groups[-1], right, scope.parent)
        self.joins.finish(groups, scope)

    def _relations(self, node: exp.Expr, scope: Scope) -> Scope:
        """The scope of one operand of FROM: a table, a sub-query, or joins in parentheses."""
        found = Scope(scope.parent)
        named = node.args.get("alias") is not None
        if isinstance(node, exp.Subquery) and not (named and isinstance(node.this, exp.Query)):
            self._nested(node, found)
        elif isinstance(node, exp.Subquery):
            name = node.args["alias"].this
            outs = self.query(node.this, None)
            self._add(found, node, name, outs)
        else:
            assert isinstance(node, exp.Table)
            self._table(node, found)
        return found

    def _nested(self, node: exp.Subquery, found: Scope) -> None:
        first = node.this
        joins = first.args.get("joins") or ()
        so_far = self.joins.begin(self._relations(first, found))
        for join in joins:
            right = self.joins.begin(self._relations(join.this, found))
            so_far = self.joins.join(join, so_far, right, found.parent)
        self.joins.finish([so_far], found)

    def _table(self, node: exp.Table, found: Scope) -> None:
        alias = node.args.get("alias")
        name = alias.this if alias is not None else None
        if not node.args.get("db"):
            for cte, sql, outs in reversed(self.ctes):
                if same(node.this, str(cte.this)):
                    if node.meta.get("sample"):
                        self.names.fail("TABLESAMPLE stands after a table of the catalogue", node)
                    node.set("this", exp.Identifier(this=sql, quoted=True))
                    self._add(found, node, name or cte, outs)
                    return
        table = self.names.table(node)
        node.set("this", exp.Identifier(this=table.name, quoted=True))
        node.set("db", exp.Identifier(this=table.schema, quoted=True))
        node.meta["table"] = table
        outs = tuple(Out(c.name, c.name, c, table) for c in table.columns)
        self._add(found, node, name or table, outs)

    def _add(self, found: Scope, node: exp.Expr, name: exp.Identifier | Table, outs: tuple[Out, ...]) -> None:
        alias = self.names.free_alias(name.name if isinstance(name, Table) else str(name.this))
        node.set("alias", exp.TableAlias(this=exp.Identifier(this=alias, quoted=True)))
        found.relations.append(Relation(name, alias, outs))

    # -- GROUP BY and ORDER BY

    def _group_by(self, group: exp.Group, outs: tuple[Out, ...], items: list[exp.Expr], scope: Scope) -> None:
        scope.clause = "GROUP BY"
        terms: list[exp.Expr] = []
        for term in group.expressions:
            if isinstance(term, exp.Literal):
                chosen = items[self._ordinal(term, len(items), "GROUP BY") - 1]
                terms.append(self._repeat(chosen, term, "GROUP BY"))
                continue
            found = self._output_named(term, outs, items, scope)
            terms.append(self._repeat(found, term, "GROUP BY") if found is not None else term)
        group.set("expressions", terms)
        for given, term in zip(list(terms), group.expressions, strict=True):
            if "datatype" not in given.meta:
                self.values.value(term, scope)
                if not _varies(term):
                    self.names.fail("GROUP BY takes columns, values or the numbers of columns", term)

    def _repeat(self, item: exp.Expr, term: exp.Expr, clause: str) -> exp.Expr:
        if any(n.meta.get("use") in ("aggregate", "window") for n in item.find_all(exp.Anonymous)):
            self.names.fail(f"{clause} cannot name an aggregate", term)
        return clone(item) if _varies(item) else _no_ordinal(clone(item))

    def _output_named(
        self, term: exp.Expr, outs: tuple[Out, ...], items: list[exp.Expr], scope: Scope
    ) -> exp.Expr | None:
        """The select item that a bare name means, where no column of FROM has that name."""
        if not isinstance(term, exp.Column) or term.args.get("table"):
            return None
        if str(term.this.this).lower() in scope.merged or any(r.find(term.this) for r in scope.relations):
            return None
        return next((item for out, item in zip(outs, items, strict=True) if same(term.this, out.name)), None)

    def _order_by(self, order: exp.Order, outs: tuple[Out, ...], items: list[exp.Expr], scope: Scope) -> None:
        for item in order.expressions:
            item.set("nulls_first", False)
            node = item.this
            place: int | None = None
            if isinstance(node, exp.Literal):
                place = self._ordinal(node, len(outs), "ORDER BY")
            elif isinstance(node, exp.Column) and not node.args.get("table"):
                named = [i for i, out in enumerate(outs, start=1) if same(node.this, out.name)]
                place = named[0] if len(named) == 1 else None
            if place is None:
                self.values.value(node, scope)
                if not _varies(item.this):
                    self.names.fail("ORDER BY takes columns, values or the numbers of columns", node)
                place = next((i for i, other in enumerate(items, start=1) if other == item.this), None)
            if place is not None:
                if kind(outs[place - 1].column) in ("array", *types.GEOMETRIES):
                    self.names.fail(f"ORDER BY cannot compare {shown(outs[place - 1].column)}", node)
                item.set("this", exp.Literal(this=str(place), is_string=False))


def _no_ordinal(node: exp.Expr) -> exp.Expr:
    """A constant that no engine takes for the number of a column."""
    found = node.meta.get("datatype")
    if not isinstance(found, Column) or kind(found) != "number":
        return node
    new = exp.Cast(this=node, to=exp.DataType(this=SQL_TYPES[found.datatype]))
    new.meta.update(node.meta)
    return new


def _varies(node: exp.Expr) -> bool:
    """Whether a value is more than constants: engines take these for numbers of columns."""
    return next(node.find_all(exp.Column, exp.Anonymous, exp.Window), None) is not None
