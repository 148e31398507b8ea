"""Calls of functions, CAST, EXTRACT and windows.

Must not know: which functions exist; `check` does.
"""

from __future__ import annotations

from sqlglot import exp

from skygate.adql.expressions import COMPARISONS, Expressions, at
from skygate.adql.tokens import NUMBER, Token

CAST_TYPES: dict[str, tuple[exp.DType, bool]] = {
    "SMALLINT": (exp.DType.SMALLINT, False),
    "INTEGER": (exp.DType.INT, False),
    "INT": (exp.DType.INT, False),
    "BIGINT": (exp.DType.BIGINT, False),
    "REAL": (exp.DType.FLOAT, False),
    "DOUBLE": (exp.DType.DOUBLE, False),
    "CHAR": (exp.DType.CHAR, True),
    "VARCHAR": (exp.DType.VARCHAR, True),
    "TIMESTAMP": (exp.DType.TIMESTAMP, False),
}
"""CAST's targets (section 4.7.1), and whether a length may follow. Geometries are read by `_cast`."""
GEOMETRIES = frozenset({"POINT", "CIRCLE", "POLYGON"})
FRAMES = frozenset({"ROWS", "RANGE"})


class Calls(Expressions):
    """Adds calls to values."""

    def call(self) -> exp.Expr:
        """A function, CAST or EXTRACT, and the window after it."""
        token = self.tokens[self.i]
        self.i += 2
        self.deeper()
        node: exp.Expr
        if token.key == "CAST":
            node = self._cast()
        elif token.key == "EXTRACT":
            node = self._extract()
        else:
            node = exp.Anonymous(this=token.key, expressions=self._arguments())
        self.need(")", f"to close {token.text}(")
        at(node, token.start, self.last_end)
        node.meta["name"] = token.text
        if self.key == "OVER":
            node = self._window(node, token)
        self.depth -= 1
        return node

    def _arguments(self) -> list[exp.Expr]:
        if self.key == ")":
            return []
        if self.key == "*" and self.peek() == ")":
            self.i += 1
            return [at(exp.Star(), self.last_end - 1, self.last_end)]
        distinct = self.take("DISTINCT")
        start = self.last_end
        if not distinct:
            self.take("ALL")
        if self.starts_query(self.i, parenthesis=False):
            self.fail("a sub-query cannot stand for a value in ADQL", hint="put it into FROM with a name")
        items = [self.value()]
        while self.take(","):
            items.append(self.value())
        if self.key == "ORDER":
            self.fail("ORDER BY inside a function is not part of ADQL")
        if self.key in COMPARISONS:
            self.fail("a comparison cannot be an argument", hint="CASE WHEN … THEN 1 ELSE 0 END is a value")
        return [at(exp.Distinct(expressions=items), start, self.last_end)] if distinct else items

    def _cast(self) -> exp.Expr:
        this = self.value()
        self.need("AS", "in CAST")
        token = self.tokens[self.i]
        if token.key in GEOMETRIES:
            self.i += 1
            return exp.Anonymous(this=f"CAST_{token.key}", expressions=[this])
        if token.key not in CAST_TYPES:
            self.fail(
                f"CAST cannot make {self.shown(token) or 'nothing'}",
                hint="types are SMALLINT, INTEGER, BIGINT, REAL, DOUBLE PRECISION, CHAR(n), VARCHAR(n), "
                "TIMESTAMP, POINT, CIRCLE, POLYGON",
            )
        self.i += 1
        kind, sized = CAST_TYPES[token.key]
        if token.key == "DOUBLE":
            self.take("PRECISION")
        sizes: list[exp.Expr] = []
        if sized and self.take("("):
            length = self.need(NUMBER, "as the length")
            if not length.text.isdigit() or not 0 < int(length.text) <= 1_000_000:
                self.fail("a length is a whole number from 1 to 1000000", length)
            sizes = [exp.DataTypeParam(this=exp.Literal(this=length.text, is_string=False))]
            self.need(")", "after the length")
        return exp.Cast(this=this, to=exp.DataType(this=kind, expressions=sizes))

    def _extract(self) -> exp.Expr:
        token = self.tokens[self.i]
        if not token.key[:1].isalpha():
            self.unexpected("expected YEAR, MONTH, DAY, HOUR … in EXTRACT")
        self.i += 1
        self.need("FROM", "in EXTRACT")
        field = at(exp.Literal(this=token.text.lower(), is_string=True), token.start, token.end)
        return exp.Anonymous(this="EXTRACT", expressions=[field, self.value()])

    def _window(self, call: exp.Expr, token: Token) -> exp.Expr:
        self.i += 1
        if self.key != "(":
            self.fail("named windows are not part of ADQL", hint="write OVER ( … )")
        self.i += 1
        parts: list[exp.Expr] = []
        if self.take("PARTITION", "BY"):
            parts.append(self.value())
            while self.take(","):
                parts.append(self.value())
        order = self.order_by()
        spec = self._frame()
        self.need(")", "to close OVER(")
        window = exp.Window(this=call, partition_by=parts, order=order, spec=spec, over="OVER")
        return at(window, token.start, self.last_end)

    def _frame(self) -> exp.WindowSpec | None:
        if self.key not in FRAMES:
            return None
        kind = self.key
        self.i += 1
        if self.take("BETWEEN"):
            start, start_side = self._bound()
            self.need("AND", "between the ends of the frame")
            end, end_side = self._bound()
        else:
            (start, start_side), (end, end_side) = self._bound(), ("CURRENT ROW", None)
        return exp.WindowSpec(kind=kind, start=start, start_side=start_side, end=end, end_side=end_side)

    def _bound(self) -> tuple[exp.Expr | str, str | None]:
        if self.take("CURRENT", "ROW"):
            return "CURRENT ROW", None
        size: exp.Expr | str
        if self.take("UNBOUNDED"):
            size = "UNBOUNDED"
        else:
            token = self.need(NUMBER, "rows of the frame")
            if not token.text.isdigit():
                self.fail("a frame counts whole rows", token)
            if len(token.text) > 18:
                self.fail("a frame has at most 999,999,999,999,999,999 rows", token, hint="write UNBOUNDED")
            size = at(exp.Literal(this=token.text, is_string=False), token.start, token.end)
        side = self.key
        if side not in ("PRECEDING", "FOLLOWING"):
            self.unexpected("expected PRECEDING or FOLLOWING")
        self.i += 1
        return size, side
