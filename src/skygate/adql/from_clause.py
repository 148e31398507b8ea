"""FROM: tables, sub-queries, joins and samples.

Must not know: which tables exist.
"""

from __future__ import annotations

from sqlglot import exp

from skygate.adql.calls import Calls
from skygate.adql.expressions import at
from skygate.adql.tokens import END, NAME, NUMBER
from skygate.adql.words import CLAUSES

MAX_JOINS = 50
JOIN_STARTS = frozenset({"NATURAL", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "JOIN"})
ENDS_QUERY = frozenset({"UNION", "EXCEPT", "INTERSECT", "ORDER", "OFFSET", "LIMIT", ")"})
EXTENSIONS = frozenset({"LIMIT", "TABLESAMPLE"})
JOIN_PREFIXES = frozenset({"ASOF", "POSITIONAL", "SEMI", "ANTI"})
AFTER_ALIAS = frozenset({END, ",", ")", "FROM", "WHERE", "JOIN", "ON", "ORDER", "GROUP"})
SAMPLING = frozenset({"BERNOULLI", "SYSTEM"})


class FromClause(Calls):
    """Adds tables to values and calls."""

    def is_alias(self) -> bool:
        """Whether a name follows that is not the beginning of a clause of some dialect."""
        if not self.is_name():
            return False
        if self.key == NAME or not (self.key in CLAUSES or self.key in EXTENSIONS):
            return True
        after = self.peek()
        return after in AFTER_ALIAS and not (after == "JOIN" and self.key in JOIN_PREFIXES)

    def from_clause(self, select: exp.Select) -> None:
        """The tables after FROM, set on the SELECT."""
        first, joins = self._table_reference()
        select.set("from_", exp.From(this=first))
        while self.take(","):
            table, more = self._table_reference()
            joins.append(exp.Join(this=table))
            joins += more
        if len(joins) > MAX_JOINS:
            self.fail(f"more than {MAX_JOINS} joins in one FROM")
        if joins:
            select.set("joins", joins)

    def _table_reference(self) -> tuple[exp.Expr, list[exp.Expr]]:
        """A table and the joins that follow it. Parentheses around the first joins are dropped."""
        if self.key == "(" and not self._derived():
            first, joins = self._parenthesised()
            if self.is_alias() or self.peek(0) == "AS":
                self.fail("a joined table in parentheses has no name of its own")
        else:
            first, joins = self._table(), []
        while self.key in JOIN_STARTS:
            joins.append(self._join())
            if len(joins) > MAX_JOINS:
                self.fail(f"more than {MAX_JOINS} joins in one FROM")
        return first, joins

    def _parenthesised(self) -> tuple[exp.Expr, list[exp.Expr]]:
        self.i += 1
        self.deeper()
        first, joins = self._table_reference()
        self.depth -= 1
        self.need(")", "to close the joined tables")
        return first, joins

    def _derived(self) -> bool:
        """Whether the parenthesis here holds a query, and not joined tables."""
        if not self.starts_query(self.i):
            return False
        inner = self.i
        while self.tokens[inner + 1].key == "(":
            inner += 1
        for level in range(inner, self.i, -1):
            after = self._after(level)
            if after not in ENDS_QUERY:
                return False
        return True

    def _after(self, i: int) -> str:
        """Key of the token after the parenthesis that opens at token i."""
        level = 0
        for j in range(i, len(self.tokens)):
            key = self.tokens[j].key
            if key == "(":
                level += 1
            elif key == ")":
                level -= 1
                if level == 0:
                    return self.tokens[j + 1].key
        return ")"

    def _table(self) -> exp.Expr:
        token = self.tokens[self.i]
        if self.key == "(":
            query = self.subquery("in FROM")
            node: exp.Expr = exp.Subquery(this=query)
        else:
            node = self._table_name()
        named = self.take("AS") or self.is_alias()
        alias = self.name("of the table") if named else None
        if self.key == "(" and alias is not None:
            self.fail("column lists are not part of ADQL", hint="name the columns with AS in the sub-query")
        if alias is None and isinstance(node, exp.Subquery):
            self.fail("a sub-query in FROM needs a name", token, hint="(SELECT …) AS name")
        if alias is not None:
            node.set("alias", exp.TableAlias(this=alias))
        at(node, token.start, self.last_end)
        if self.key == "TABLESAMPLE":
            self._sample(node)
        return node

    def _table_name(self) -> exp.Table:
        if self.key == "'":
            self.fail(
                "a file cannot be queried", hint='tables are named without single quotes: schema."table"'
            )
        if self.key in ("UNNEST", "VALUES", "LATERAL", "TABLE") and self.peek() in ("(", "VALUES", "SELECT"):
            self.fail(f"{self.key} in FROM is not part of ADQL")
        parts = [self.name("of a table")]
        while self.take("."):
            parts.append(self.name("after the point"))
        if self.key == "(":
            self.fail(
                "table functions are not part of ADQL", self.tokens[self.i - 1], hint="FROM names tables"
            )
        if len(parts) > 3:
            self.fail("a table is named by at most catalog.schema.table", self.tokens[self.i - 1])
        return exp.Table(**dict(zip(("this", "db", "catalog"), parts[::-1], strict=False)))

    def _sample(self, node: exp.Expr) -> None:
        """TABLESAMPLE method (percent) [REPEATABLE (seed)], kept in `meta["sample"]`."""
        token = self.tokens[self.i]
        self.i += 1
        if not isinstance(node, exp.Table):
            self.fail("TABLESAMPLE stands after the name of a table", token)
        if self.key not in SAMPLING:
            self.unexpected("expected BERNOULLI or SYSTEM after TABLESAMPLE")
        self.i += 1
        self.need("(", "before the percentage")
        percent = self.need(NUMBER, "as the percentage")
        if not 0 <= float(percent.text) <= 100:
            self.fail("a percentage is a number from 0 to 100", percent)
        self.need(")", "after the percentage")
        seed: int | None = None
        if self.take("REPEATABLE"):
            self.need("(", "before the seed")
            seed = int(self.count("as the seed").this)
            self.need(")", "after the seed")
        node.meta["sample"] = (float(percent.text), seed)

    def _join(self) -> exp.Join:
        token = self.tokens[self.i]
        natural = self.take("NATURAL")
        side: str | None = None
        kind: str | None = None
        if self.take("CROSS"):
            kind = "CROSS"
        elif self.key in ("LEFT", "RIGHT", "FULL"):
            side = self.key
            self.i += 1
            self.take("OUTER")
        elif self.take("INNER"):
            kind = "INNER"
        self.need("JOIN", "in FROM")
        if natural and kind == "CROSS":
            self.fail("a join is either NATURAL or CROSS", token)
        if self.key == "LATERAL":
            self.fail("LATERAL is not part of ADQL")
        right = self._right_side(bare=natural or kind == "CROSS")
        join = exp.Join(this=right, side=side, kind=kind, method="NATURAL" if natural else None)
        join.meta["at"] = (token.start, token.end)
        if natural or kind == "CROSS":
            if self.key in ("ON", "USING"):
                self.fail(f"a {'NATURAL' if natural else 'CROSS'} JOIN has no {self.key}")
            return join
        if self.take("ON"):
            join.set("on", self.condition())
        elif self.take("USING"):
            self.need("(", "after USING")
            columns = [self.name("of a column")]
            while self.take(","):
                columns.append(self.name("of a column"))
            self.need(")", "after the columns of USING")
            join.set("using", columns)
        else:
            self.unexpected("expected ON or USING after a joined table")
        return join

    def _right_side(self, *, bare: bool) -> exp.Expr:
        """The right operand of a join; its own joins become an `exp.Subquery` without name."""
        self.deeper()
        if self.key == "(" and not self._derived():
            first, joins = self._parenthesised()
        else:
            first, joins = self._table(), []
        while not bare and self.key in JOIN_STARTS:
            joins.append(self._join())
        self.depth -= 1
        if not joins:
            return first
        first.set("joins", joins)
        return exp.Subquery(this=first)

    def count(self, context: str) -> exp.Literal:
        """An unsigned whole number."""
        raise NotImplementedError
