"""Values and conditions of ADQL 2.1: a recursive descent over tokens that builds a sqlglot tree.

Must not know: tables, functions, engines. Only the node types named in this module and in `dialect` can
ever be built from a caller's text.

Every node carries `meta["at"]`, the span (start, end) of its text. Function calls are `exp.Anonymous` nodes
with an upper-case name, whatever the function.
"""

from __future__ import annotations

from typing import NoReturn

from sqlglot import exp

from skygate.adql.cursor import MAX_NESTING, Cursor
from skygate.adql.tokens import NAME, NUMBER, STRING, Token
from skygate.adql.words import CLAUSES, RESERVED

MAX_CHAIN = 100
"""Operators of one level in a row (`a + b + …`); AND and OR are not limited."""

COMPARISONS: dict[str, type[exp.Binary]] = {
    "=": exp.EQ,
    "<>": exp.NEQ,
    "!=": exp.NEQ,
    "<": exp.LT,
    ">": exp.GT,
    "<=": exp.LTE,
    ">=": exp.GTE,
}
OPERATORS: dict[str, tuple[int, type[exp.Binary]]] = {
    "||": (1, exp.DPipe),
    "+": (2, exp.Add),
    "-": (2, exp.Sub),
    "*": (3, exp.Mul),
    "/": (3, exp.Div),
}
"""Operators of values with their precedence."""
SIGNS = frozenset("+-")

NO_PARENTHESES = frozenset({"CURRENT_TIMESTAMP"})


def at(node: exp.Expr, start: int, end: int) -> exp.Expr:
    """The node, knowing its span of the text."""
    node.meta["at"] = (start, end)
    return node


def balanced(kind: type[exp.Connector], operands: list[exp.Expr]) -> exp.Expr:
    """Operands of AND or OR as a tree of least depth, so that ten thousand of them stay shallow."""
    while len(operands) > 1:
        paired: list[exp.Expr] = []
        for i in range(0, len(operands) - 1, 2):
            left, right = operands[i], operands[i + 1]
            node = kind(this=left, expression=right)
            paired.append(at(node, left.meta["at"][0], right.meta["at"][1]))
        if len(operands) % 2:
            paired.append(operands[-1])
        operands = paired
    return operands[0]


class Expressions(Cursor):
    """Reads values and conditions. `calls.Calls` adds calls, `dialect.Parser` queries."""

    # -- conditions

    def condition(self) -> exp.Expr:
        """search_condition: predicates joined by OR and AND. Values pass too; `types` tells them apart."""
        self.deeper()
        operands = [self._and()]
        while self.take("OR"):
            operands.append(self._and())
        self.depth -= 1
        return balanced(exp.Or, operands)

    def _and(self) -> exp.Expr:
        operands = [self._not()]
        while self.take("AND"):
            operands.append(self._not())
        return balanced(exp.And, operands)

    def _not(self) -> exp.Expr:
        nots: list[int] = []
        while self.key == "NOT":
            nots.append(self.tokens[self.i].start)
            if len(nots) > MAX_NESTING:
                self.fail(f"the query is nested more than {MAX_NESTING} levels deep")
            self.i += 1
        node = self._predicate()
        for start in reversed(nots):
            node = at(exp.Not(this=node), start, self.last_end)
        return node

    def _predicate(self) -> exp.Expr:
        start = self.tokens[self.i].start
        if self.key == "EXISTS":
            self.i += 1
            query = self.subquery("after EXISTS")
            return at(exp.Exists(this=query), start, self.last_end)
        left = self.value()
        kind = COMPARISONS.get(self.key)
        if kind is not None:
            self.i += 1
            if self.key in ("ANY", "ALL", "SOME") and self.peek() == "(":
                self.fail(f"{self.key} (SELECT …) is not part of ADQL", hint="write IN or EXISTS")
            right = self.value()
            if self.key in COMPARISONS:
                self.fail("comparisons cannot be chained", hint="join two comparisons by AND")
            return at(kind(this=left, expression=right), start, self.last_end)
        negated = self.key == "NOT" and self.peek() in ("BETWEEN", "IN", "LIKE", "ILIKE")
        if negated:
            self.i += 1
        node = self._range(left, start)
        if negated:
            node = at(exp.Not(this=node), start, self.last_end)
        return node

    def _range(self, left: exp.Expr, start: int) -> exp.Expr:
        if self.take("BETWEEN"):
            low = self.value()
            self.need("AND", "between the limits of BETWEEN")
            high = self.value()
            return at(exp.Between(this=left, low=low, high=high), start, self.last_end)
        if self.key in ("LIKE", "ILIKE"):
            kind = exp.Like if self.key == "LIKE" else exp.ILike
            self.i += 1
            pattern = self.value()
            return at(kind(this=left, expression=pattern), start, self.last_end)
        if self.take("IN"):
            if self.key == "(" and self.starts_query(self.i):
                return at(
                    exp.In(this=left, query=exp.Subquery(this=self.subquery("after IN"))),
                    start,
                    self.last_end,
                )
            self.need("(", "after IN")
            items = [self.value()]
            while self.take(","):
                items.append(self.value())
            self.need(")", "after the values of IN")
            return at(exp.In(this=left, expressions=items), start, self.last_end)
        if self.take("IS"):
            negated = self.take("NOT")
            if not self.take("NULL"):
                self.unexpected("expected NULL after IS")
            node = at(exp.Is(this=left, expression=exp.Null()), start, self.last_end)
            return at(exp.Not(this=node), start, self.last_end) if negated else node
        return left

    # -- values

    def value(self) -> exp.Expr:
        """value_expression: ||, then + and -, then * and /, then signs."""
        return self._binary(1)

    def _binary(self, least: int) -> exp.Expr:
        start = self.tokens[self.i].start
        node = self._signed()
        count = 0
        while (found := OPERATORS.get(self.key)) is not None and found[0] >= least:
            count += 1
            if count > MAX_CHAIN:
                self.fail(f"more than {MAX_CHAIN} operators in a row")
            self.i += 1
            right = self._binary(found[0] + 1)
            node = at(found[1](this=node, expression=right), start, self.last_end)
        return node

    def _signed(self) -> exp.Expr:
        start = self.tokens[self.i].start
        if self.take("+"):
            if self.key in SIGNS:
                self.fail("two signs in a row")
            return at(exp.Paren(this=self._primary()), start, self.last_end)
        if self.take("-"):
            if self.key in SIGNS:
                self.fail("two signs in a row")
            return at(exp.Neg(this=self._primary()), start, self.last_end)
        return self._primary()

    def _primary(self) -> exp.Expr:
        token = self.tokens[self.i]
        key = token.key
        if key == NUMBER:
            self.i += 1
            return at(exp.Literal(this=token.text, is_string=False), token.start, token.end)
        if key == STRING:
            self.i += 1
            return at(exp.Literal(this=token.text, is_string=True), token.start, token.end)
        if key == "(":
            return self._parenthesis()
        if key == "NULL":
            self.i += 1
            return at(exp.Null(), token.start, token.end)
        if key in ("TRUE", "FALSE"):
            self.i += 1
            return at(exp.Boolean(this=key == "TRUE"), token.start, token.end)
        if key == "CASE":
            return self._case()
        if key in NO_PARENTHESES:
            self.i += 1
            if self.key == "(":
                self.fail(f"{key} is written without parentheses")
            return at(exp.Anonymous(this=key, expressions=[]), token.start, token.end)
        if self.peek() == "(" and key[:1].isalpha():
            return self.call()
        if key == NAME and self.peek() == "(":
            self.fail("a function's name is not written in double quotes", token)
        if self.is_name() or (key in RESERVED and self.peek() == "."):
            return self._column()
        return self._no_value(token)

    def _no_value(self, token: Token) -> NoReturn:
        before = self.shown(self.tokens[self.i - 1]) if self.i else ""
        after = f" after {before}" if before.isalpha() else f" after `{before}`" if before else ""
        if token.key == "*":
            self.fail("* stands alone in SELECT, after a table's name, or in COUNT(*)")
        if token.key in RESERVED and token.key not in CLAUSES and self.peek() != "(":
            self.fail(
                f"expected a value{after}, found the reserved word {token.text}",
                hint=f'if it is a column, write "{token.text}"',
            )
        self.unexpected(f"expected a value{after}")

    def _parenthesis(self) -> exp.Expr:
        token = self.tokens[self.i]
        if self.starts_query(self.i):
            self.fail(
                "a sub-query cannot stand for a value in ADQL",
                hint="put it into FROM with a name, or into WITH",
            )
        self.i += 1
        inner = self.condition()
        if self.key == ",":
            self.fail("rows of values are not part of ADQL")
        self.need(")", "to close the parenthesis")
        return at(exp.Paren(this=inner), token.start, self.last_end)

    def _column(self) -> exp.Column:
        first = self.name("of a column")
        parts = [first]
        while self.take("."):
            parts.append(self.name("after the point"))
        if len(parts) > 4:
            self.fail("a column is named by at most catalog.schema.table.column", self.tokens[self.i - 1])
        if self.key == "(":
            self.fail("a function's name has no point in it", self.tokens[self.i - 1])
        node = exp.Column(
            this=parts[-1], **dict(zip(("table", "db", "catalog"), parts[-2::-1], strict=False))
        )
        node.meta["at"] = (first.meta["at"][0], self.last_end)
        return node

    def _case(self) -> exp.Expr:
        token = self.need("CASE", "")
        self.deeper()
        subject = None if self.key == "WHEN" else self.value()
        branches: list[exp.If] = []
        while self.take("WHEN"):
            start = self.last_end
            test = self.value() if subject is not None else self.condition()
            self.need("THEN", "in CASE")
            branches.append(exp.If(this=test, true=self.value()))
            branches[-1].meta["at"] = (start, self.last_end)
        if not branches:
            self.unexpected("expected WHEN in CASE")
        default = self.value() if self.take("ELSE") else None
        self.need("END", "to close CASE")
        self.depth -= 1
        return at(exp.Case(this=subject, ifs=branches, default=default), token.start, self.last_end)

    # -- supplied by those who build on this

    def call(self) -> exp.Expr:
        """A function's call."""
        raise NotImplementedError

    def starts_query(self, i: int, *, parenthesis: bool = True) -> bool:
        """Whether a query begins at token i (after its opening parentheses)."""
        raise NotImplementedError

    def subquery(self, context: str) -> exp.Query:
        """A query in parentheses."""
        raise NotImplementedError

    def order_by(self) -> exp.Order | None:
        """An ORDER BY clause, if one comes next."""
        raise NotImplementedError
