"""Queries of ADQL 2.1, from text to a sqlglot tree.

Must not know: tables, functions, engines. The grammar is written out by hand and not derived from sqlglot's:
what it does not spell cannot be built, so the whole language that a caller can reach is in `expressions`,
`calls`, `from_clause` and here. Source: ADQL 2.1, appendix A. Extensions: LIMIT, CASE, CROSS JOIN,
TABLESAMPLE, windows, EXTRACT, TRUE and FALSE.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from skygate.adql.expressions import at
from skygate.adql.from_clause import FromClause
from skygate.adql.tokens import END, NUMBER, tokenize
from skygate.adql.words import STATEMENTS
from skygate.errors import BadQuery

MAX_COUNT = 2**63 - 1
MAX_OPERATIONS = 50
MAX_TABLES = 100
SET_OPERATORS: dict[str, type[exp.SetOperation]] = {
    "UNION": exp.Union,
    "EXCEPT": exp.Except,
    "INTERSECT": exp.Intersect,
}


def parse(text: str) -> exp.Query:
    """The tree of one query; raises `BadQuery`."""
    if "\0" in text:
        raise BadQuery("the query contains the character NUL")
    parser = Parser(text, tokenize(text))
    return parser.whole()


class Parser(FromClause):
    """Adds queries to calls, values and conditions."""

    def whole(self) -> exp.Query:
        """query_specification: one query and nothing else."""
        if self.key == END:
            raise BadQuery("the query is empty", hint="for example: SELECT TOP 10 * FROM table")
        if self.key in STATEMENTS:
            self.fail(
                f"{self.key} is not part of ADQL: it {STATEMENTS[self.key]}",
                hint="a query begins with SELECT",
            )
        ctes = self._with() if self.key == "WITH" else None
        query = self.query()
        while self.take(";"):
            pass
        if self.key != END:
            if self.tokens[self.i - 1].key == ";":
                self.fail("only one statement can be run: text follows after ;")
            self.unexpected("expected the end of the query")
        if ctes is not None:
            query.set("with_", ctes)
        return query

    def _with(self) -> exp.With:
        self.i += 1
        if self.key == "RECURSIVE":
            self.fail("recursive WITH is not part of ADQL")
        ctes = [self._with_query()]
        while self.take(","):
            if len(ctes) == MAX_TABLES:
                self.fail(f"more than {MAX_TABLES} tables in one WITH")
            ctes.append(self._with_query())
        if self.key in STATEMENTS:
            self.fail(f"{self.key} is not part of ADQL: it {STATEMENTS[self.key]}")
        return exp.With(expressions=ctes)

    def _with_query(self) -> exp.CTE:
        name = self.name("in WITH")
        if self.key == "(":
            self.fail("column lists are not part of ADQL", hint="name the columns inside, with AS")
        self.need("AS", "in WITH")
        if self.key in ("MATERIALIZED", "NOT"):
            self.fail("MATERIALIZED is not part of ADQL")
        query = self.subquery("in WITH")
        return exp.CTE(this=query, alias=exp.TableAlias(this=name))

    # -- queries

    def starts_query(self, i: int, *, parenthesis: bool = True) -> bool:
        """Whether a query begins at token i; with `parenthesis`, after one or more opening ones."""
        j = i
        while self.tokens[j].key == "(":
            j += 1
        if parenthesis and j == i:
            return False
        return self.tokens[j].key in ("SELECT", "WITH") or (
            self.tokens[j].key in STATEMENTS and self.tokens[j + 1].key[:1].isalpha() and j == i + 1
        )

    def subquery(self, context: str) -> exp.Query:
        """A query in parentheses, as it stands in WITH, FROM, IN and EXISTS."""
        self.need("(", context)
        if self.key in STATEMENTS:
            self.fail(f"{self.key} is not part of ADQL: it {STATEMENTS[self.key]}")
        if self.key == "WITH":
            self.fail("WITH stands only at the very beginning of a query")
        self.deeper()
        query = self.query()
        self.depth -= 1
        self.need(")", "to close the sub-query")
        return query

    def query(self) -> exp.Query:
        """select_expression: set operations, then ORDER BY, OFFSET (and LIMIT) of the whole."""
        query = self._set_expression()
        order = self.order_by()
        offset, limit = self._offset_limit()
        if order is None and offset is None and limit is None:
            return _unwrapped(query)
        if isinstance(query, exp.Subquery):
            self.fail(
                "ORDER BY, OFFSET and LIMIT cannot follow a query in parentheses", hint="write them inside"
            )
        if limit is not None and query.args.get("limit"):
            self.fail("TOP and LIMIT cannot both be given")
        if order is not None:
            query.set("order", order)
        if offset is not None:
            query.set("offset", offset)
        if limit is not None:
            query.set("limit", limit)
        return query

    def _set_expression(self) -> exp.Query:
        query = self._set_term()
        count = 0
        while self.key in ("UNION", "EXCEPT"):
            count += 1
            query = self._set_operation(query, self._set_term, count)
        return query

    def _set_term(self) -> exp.Query:
        query = self._set_primary()
        count = 0
        while self.key == "INTERSECT":
            count += 1
            query = self._set_operation(query, self._set_primary, count)
        return query

    def _set_operation(self, left: exp.Query, operand: Callable[[], exp.Query], count: int) -> exp.Query:
        token = self.tokens[self.i]
        if count > MAX_OPERATIONS:
            self.fail(f"more than {MAX_OPERATIONS} set operations in a row")
        self.i += 1
        distinct = not self.take("ALL")
        if self.key == "DISTINCT" or self.key == "CORRESPONDING" or self.key == "BY":
            self.fail(f"{token.key} {self.key} is not part of ADQL", hint=f"{token.key} removes duplicates")
        right = operand()
        node = SET_OPERATORS[token.key](this=_operand(left), expression=_operand(right), distinct=distinct)
        node.meta["at"] = (token.start, token.end)
        return node

    def _set_primary(self) -> exp.Query:
        if self.key != "(":
            return self._select()
        query = self.subquery("before a query")
        return exp.Subquery(this=query)

    def _select(self) -> exp.Select:
        token = self.tokens[self.i]
        if self.key == "WITH":
            self.fail("WITH stands only at the very beginning of a query")
        if self.key in STATEMENTS:
            self.fail(f"{self.key} is not part of ADQL: it {STATEMENTS[self.key]}")
        self.need("SELECT", "to begin a query")
        select = exp.Select()
        select.meta["at"] = (token.start, token.end)
        if self.take("DISTINCT"):
            if self.key == "ON" and self.peek() == "(":
                self.fail("DISTINCT ON is not part of ADQL")
            select.set("distinct", exp.Distinct())
        else:
            self.take("ALL")
        if self.take("TOP"):
            select.set("limit", exp.Limit(expression=self.count("after TOP")))
            if self.key in ("DISTINCT", "ALL"):
                self.fail(f"{self.key} stands before TOP", hint=f"SELECT {self.key} TOP n …")
        select.set("expressions", self._select_list())
        self.need("FROM", "after the selected columns")
        self.from_clause(select)
        if self.take("WHERE"):
            select.set("where", exp.Where(this=self.condition()))
        if self.take("GROUP", "BY"):
            select.set("group", exp.Group(expressions=self._group_by()))
        if self.take("HAVING"):
            select.set("having", exp.Having(this=self.condition()))
        return select

    def _group_by(self) -> list[exp.Expr]:
        if self.key in ("ALL", "GROUPING", "ROLLUP", "CUBE") or (self.key == "(" and self.peek() == ")"):
            self.fail(f"GROUP BY {self.key} is not part of ADQL", hint="name the columns")
        items = [self.value()]
        while self.take(","):
            items.append(self.value())
        return items

    def _select_list(self) -> list[exp.Expr]:
        items = [self._select_item()]
        while self.take(","):
            items.append(self._select_item())
        return items

    def _select_item(self) -> exp.Expr:
        token = self.tokens[self.i]
        if self.take("*"):
            node = at(exp.Star(), token.start, token.end)
            self._no_star_words()
            return node
        ahead = 0
        while self.is_name(ahead) and self.peek(ahead + 1) == ".":
            ahead += 2
            if self.peek(ahead) == "*":
                return self._qualified_star()
        value = self.value()
        if self.key in (
            "<",
            ">",
            "=",
            "<>",
            "!=",
            "<=",
            ">=",
            "BETWEEN",
            "IN",
            "LIKE",
            "ILIKE",
            "IS",
            "AND",
            "OR",
        ):
            self.fail("a condition cannot be selected", hint="CASE WHEN … THEN 1 ELSE 0 END is a value")
        name: exp.Identifier | None = None
        if self.take("AS"):
            name = self.name("after AS")
        elif self.is_alias():
            name = self.name("of the column")
        return at(exp.Alias(this=value, alias=name), token.start, self.last_end) if name else value

    def _qualified_star(self) -> exp.Expr:
        start = self.tokens[self.i].start
        parts = [self.name("of a table")]
        while self.take("."):
            if self.take("*"):
                break
            parts.append(self.name("after the point"))
        self._no_star_words()
        if len(parts) > 3:
            self.fail("a table is named by at most catalog.schema.table")
        names = dict(zip(("table", "db", "catalog"), parts[::-1], strict=False))
        return at(exp.Column(this=exp.Star(), **names), start, self.last_end)

    def _no_star_words(self) -> None:
        if self.key in ("EXCLUDE", "REPLACE", "RENAME", "EXCEPT", "LIKE", "ILIKE") and (
            self.peek() == "(" or self.key != "EXCEPT"
        ):
            self.fail(f"SELECT * {self.key} is not part of ADQL", hint="name the columns")

    # -- ends

    def order_by(self) -> exp.Order | None:
        """ORDER BY, if it comes next."""
        if not self.take("ORDER", "BY"):
            return None
        items = [self._ordered()]
        while self.take(","):
            items.append(self._ordered())
        return exp.Order(expressions=items)

    def _ordered(self) -> exp.Ordered:
        start = self.tokens[self.i].start
        if self.key == "ALL":
            self.fail("ORDER BY ALL is not part of ADQL")
        value = self.value()
        desc = self.take("DESC")
        if not desc:
            self.take("ASC")
        node = exp.Ordered(this=value, desc=desc)
        node.meta["at"] = (start, self.last_end)
        return node

    def _offset_limit(self) -> tuple[exp.Offset | None, exp.Limit | None]:
        offset: exp.Offset | None = None
        limit: exp.Limit | None = None
        while self.key in ("OFFSET", "LIMIT"):
            if self.take("OFFSET"):
                if offset is not None:
                    self.fail("OFFSET is given twice")
                offset = exp.Offset(expression=self.count("after OFFSET"))
            elif self.take("LIMIT"):
                if limit is not None:
                    self.fail("LIMIT is given twice")
                limit = exp.Limit(expression=self.count("after LIMIT"))
        return offset, limit

    def count(self, context: str) -> exp.Literal:
        """An unsigned whole number."""
        token = self.tokens[self.i]
        if token.key != NUMBER or not token.text.isdigit():
            self.unexpected(f"expected a whole number {context}")
        if len(token.text) > 19 or int(token.text) > MAX_COUNT:
            self.fail(f"{self.shown(token)} is too large a number")
        self.i += 1
        node = exp.Literal(this=str(int(token.text)), is_string=False)
        node.meta["at"] = (token.start, token.end)
        return node


def _unwrapped(query: exp.Query) -> exp.Query:
    """A query without the parentheses around the whole of it."""
    while isinstance(query, exp.Subquery):
        query = query.this
    return query


def _operand(query: exp.Query) -> exp.Query:
    """An operand of a set operation: in parentheses wherever its own clauses or precedence need them."""
    if isinstance(query, exp.Subquery):
        return query
    if isinstance(query, exp.SetOperation) or query.args.get("limit") or query.args.get("order"):
        return exp.Subquery(this=query)
    return query
