"""Types of values and conditions: names are resolved, calls checked, and every node is annotated.

Must not know: engines. Afterwards `meta["datatype"]` of each node is its type (a `Column` template), and
columns carry `meta["column"]` and, straight from the catalogue, `meta["table"]`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace

from sqlglot import exp

from skygate.adql import types
from skygate.adql.geometry.sql import clone
from skygate.adql.scope import Merged, Names, Out, Relation, Scope, spelled
from skygate.adql.types import CONDITION, NULL, common, kind, plain, shown
from skygate.domain.catalog import Column, Datatype

TIMES = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?)?Z?")
TRUTHS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
WORDS: dict[type[exp.Expr], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.GT: ">",
    exp.LTE: "<=",
    exp.GTE: ">=",
    exp.Like: "LIKE",
    exp.ILike: "ILIKE",
}
CASTS: dict[exp.DType, Column] = {
    exp.DType.SMALLINT: types.SHORT,
    exp.DType.INT: types.INT,
    exp.DType.BIGINT: types.LONG,
    exp.DType.FLOAT: types.FLOAT,
    exp.DType.DOUBLE: types.DOUBLE,
    exp.DType.CHAR: types.TEXT,
    exp.DType.VARCHAR: types.TEXT,
    exp.DType.TIMESTAMP: types.TIMESTAMP,
}
PREDICATES = frozenset({"CONTAINS", "INTERSECTS"})

COMPARED = frozenset({"=", "<>", "<", ">", "<=", ">="})
LARGEST_REAL, SMALLEST_REAL = 3.4028234663852886e38, 1.1754943508222875e-38


class Values:
    """Annotates expressions within a scope."""

    def __init__(
        self,
        names: Names,
        *,
        query: Callable[[exp.Query, Scope], tuple[Out, ...]],
        call: Callable[[exp.Anonymous, Scope], Column],
        window: Callable[[exp.Window, Scope], Column],
    ) -> None:
        self.names = names
        self._query = query
        self._handlers: dict[type[exp.Expr], Callable[..., Column]] = {
            exp.Literal: self._literal,
            exp.Null: lambda node, scope: NULL,
            exp.Boolean: lambda node, scope: types.BOOLEAN,
            exp.Paren: lambda node, scope: self.visit(node.this, scope),
            exp.Column: self._column,
            exp.Neg: self._sign,
            **dict.fromkeys((exp.Add, exp.Sub, exp.Mul, exp.Div), self._arithmetic),
            exp.DPipe: self._joined,
            **dict.fromkeys((exp.EQ, exp.NEQ, exp.LT, exp.GT, exp.LTE, exp.GTE), self._comparison),
            **dict.fromkeys((exp.And, exp.Or), self._connector),
            exp.Not: self._not,
            exp.Between: self._between,
            exp.In: self._in,
            exp.Like: self._like,
            exp.ILike: self._like,
            exp.Is: self._is_null,
            exp.Exists: self._exists,
            exp.Case: self._case,
            exp.Cast: self._cast,
            exp.Anonymous: call,
            exp.Window: window,
        }

    def visit(self, node: exp.Expr, scope: Scope) -> Column:
        """The type of a node, which is then annotated with it."""
        handler = self._handlers.get(type(node))
        if handler is None:
            self.names.fail(f"{type(node).__name__} is not part of ADQL", node)
        found = handler(node, scope)
        node.meta["datatype"] = found
        return found

    def value(self, node: exp.Expr, scope: Scope) -> Column:
        """The type of a value; conditions are refused."""
        found = self.visit(node, scope)
        if found is CONDITION:
            self.names.fail(
                "a condition stands where a value is needed",
                node,
                hint="CASE WHEN … THEN 1 ELSE 0 END is a value",
            )
        return found

    def condition(self, node: exp.Expr, scope: Scope) -> Column:
        """Check a condition; a boolean column counts as one."""
        found = self.visit(node, scope)
        if found is CONDITION or kind(found) == "boolean":
            return CONDITION
        bare = node.unnest()
        if isinstance(bare, exp.Anonymous) and bare.this in PREDICATES:
            self.names.fail(
                f"{bare.this} gives 1 or 0 and is no condition", node, hint=f"write 1 = {bare.this}(…)"
            )
        return self.names.fail(
            f"a value ({shown(found)}) stands where a condition is needed",
            node,
            hint="compare it, as in x > 0",
        )

    def number(self, node: exp.Expr, scope: Scope, what: str) -> Column:
        """The type of a value that must be a number."""
        found = self.value(node, scope)
        if kind(found) not in ("number", "null"):
            self.names.fail(f"{what} needs numbers, and {self.describe(node)} is {shown(found)}", node)
        return found

    def describe(self, node: exp.Expr) -> str:
        """A node as the caller wrote it, short."""
        span = node.meta.get("at")
        piece = self.names.text[span[0] : span[1]] if span else str(node)
        return f"`{piece}`" if len(piece) <= 40 else f"`{piece[:39]}…`"

    # -- values

    def _literal(self, node: exp.Literal, scope: Scope) -> Column:
        if node.is_string:
            return types.TEXT
        text = str(node.this)
        if not text.isdigit():
            if not math.isfinite(float(text)):
                self.names.fail(f"{self.describe(node)} is too large a number", node)
            return types.DOUBLE
        if len(text) > 18 and (len(text) > 300 or int(text) > 2**63 - 1):
            if len(text) > 300:
                self.names.fail(f"{self.describe(node)} is too large a number", node)
            return types.DOUBLE
        return types.INT if int(text) < 2**31 else types.LONG

    def _column(self, node: exp.Column, scope: Scope) -> Column:
        if node.meta.get("bound"):
            return node.meta["datatype"]
        if isinstance(node.this, exp.Star):
            self.names.fail("* stands alone in SELECT, after a table's name, or in COUNT(*)", node)
        found = self.names.column(node, scope)
        if isinstance(found, Merged):
            return self._merged(node, found)
        relation, out = found
        bind(node, relation, out)
        return out.column

    def _merged(self, node: exp.Column, merged: Merged) -> Column:
        (relation, out), *others = merged.sides
        bind(node, relation, out)
        if others:
            rest: list[exp.Expr] = [bind(exp.Column(), r, o) for r, o in others]
            span = node.meta.get("at")
            kept = clone(node)
            whole = exp.Coalesce(this=kept, expressions=rest)
            whole.meta["datatype"] = merged.column
            if span:
                whole.meta["span"] = span
            node.replace(whole)
        return merged.column

    def _sign(self, node: exp.Neg, scope: Scope) -> Column:
        found = self.number(node.this, scope, "-")
        if found is NULL or isinstance(node.this, exp.Literal):
            return found
        if found.datatype.is_integer:
            return replace(types.LONG, unit=found.unit)
        return plain(found, unit=found.unit)

    def _arithmetic(self, node: exp.Binary, scope: Scope) -> Column:
        word = WORDS[type(node)]
        left = self.number(node.this, scope, word)
        right = self.number(node.expression, scope, word)
        if left is NULL or right is NULL:
            return types.DOUBLE
        result = types.calculated(left, right)
        unit: str | None = None
        if isinstance(node, (exp.Add, exp.Sub)):
            if left.unit == right.unit:
                unit = left.unit
            elif left.unit is None or right.unit is None:
                lone = node.this if left.unit is None else node.expression
                unit = (
                    (left.unit or right.unit) if isinstance(lone.unnest(), (exp.Literal, exp.Neg)) else None
                )
        return replace(result, unit=unit) if unit else result

    def _joined(self, node: exp.DPipe, scope: Scope) -> Column:
        for side in (node.this, node.expression):
            found = self.value(side, scope)
            if kind(found) not in ("text", "null"):
                self.names.fail(
                    f"|| joins texts, and {self.describe(side)} is {shown(found)}",
                    side,
                    hint="CAST(x AS VARCHAR) is a text",
                )
        return types.TEXT

    def _case(self, node: exp.Case, scope: Scope) -> Column:
        subject = node.args.get("this")
        if subject is not None:
            self.value(subject, scope)
        found = NULL
        for branch in node.args["ifs"]:
            if subject is None:
                self.condition(branch.this, scope)
            else:
                self.value(branch.this, scope)
                self.comparable(subject, branch.this, "CASE")
            found = self.unified(found, branch.args["true"], scope, "CASE")
            branch.meta["datatype"] = found
        default = node.args.get("default")
        if default is not None:
            found = self.unified(found, default, scope, "CASE")
        return plain(found, unit=found.unit) if found is not NULL else NULL

    def unified(self, so_far: Column, node: exp.Expr, scope: Scope, what: str) -> Column:
        """The common type of what came before and one more value."""
        found = self.value(node, scope)
        both = common(so_far, found)
        if both is None:
            self.names.fail(
                f"{what} needs values of one type, and {self.describe(node)} is {shown(found)}, "
                f"not {shown(so_far)}",
                node,
            )
        if so_far is not NULL and found is not NULL and so_far.unit != found.unit and both.unit:
            both = replace(both, unit=None)
        return both

    def _cast(self, node: exp.Cast, scope: Scope) -> Column:
        found = self.value(node.this, scope)
        target = CASTS[node.to.this]
        what = kind(found)
        allowed = {
            "number": ("number", "text", "null", "boolean"),
            "text": ("number", "text", "null", "boolean", "timestamp"),
            "timestamp": ("text", "timestamp", "null"),
        }[kind(target)]
        if what not in allowed:
            self.names.fail(f"CAST cannot make {shown(target)} of {shown(found)}", node)
        if kind(target) == "text":
            sizes = node.to.expressions
            size = int(sizes[0].this.this) if sizes else None
            return Column("", Datatype.UNICODE, f"{size}*" if size else "*")
        return replace(target, unit=found.unit) if what == "number" and kind(target) == "number" else target

    # -- conditions

    def _connector(self, node: exp.Connector, scope: Scope) -> Column:
        self.condition(node.this, scope)
        self.condition(node.expression, scope)
        return CONDITION

    def _not(self, node: exp.Not, scope: Scope) -> Column:
        return self.condition(node.this, scope)

    def _comparison(self, node: exp.Binary, scope: Scope) -> Column:
        self.value(node.this, scope)
        self.value(node.expression, scope)
        self.comparable(node.this, node.expression, WORDS[type(node)])
        return CONDITION

    def comparable(self, left: exp.Expr, right: exp.Expr, word: str) -> None:
        """Refuse the comparison of different kinds; turn texts into the times and truths that they spell."""
        a, b = left.meta["datatype"], right.meta["datatype"]
        ka, kb = kind(a), kind(b)
        for y, kx, ky in ((right, ka, kb), (left, kb, ka)):
            if kx == "timestamp" and ky == "text":
                self.as_time(y)
                return
            if kx == "boolean" and isinstance(y, exp.Literal):
                truth = TRUTHS.get(str(y.this).lower())
                if truth is not None:
                    y.meta["truth"] = truth
                    return
        if "null" in (ka, kb):
            return
        if a.datatype is Datatype.FLOAT and ka == kb:
            as_real(right)
        elif b.datatype is Datatype.FLOAT and ka == kb and word in COMPARED:
            as_real(left)
        if ka != kb or ka in ("array", *types.GEOMETRIES):
            hint = None
            if {ka, kb} == {"number", "text"}:
                hint = "numbers are written without quotes, texts between single quotes"
                column = left if kb == "text" else right
                if isinstance(column, exp.Column):
                    hint = (
                        f"{spelled(column.meta['datatype'].name)} is {shown(column.meta['datatype'])}: {hint}"
                    )
            self.names.fail(
                f"{word} cannot compare {shown(a)} with {shown(b)}", right if ka != kb else left, hint=hint
            )

    def as_time(self, node: exp.Expr) -> None:
        """Mark a text that must be read as a time; refuse a literal that is none."""
        bare = node.unnest()
        if isinstance(bare, exp.Literal) and not TIMES.fullmatch(str(bare.this)):
            self.names.fail(
                f"{self.describe(node)} is not a time", node, hint="times are written '2021-01-14T11:25:00'"
            )
        node.meta["to_time"] = True

    def _between(self, node: exp.Between, scope: Scope) -> Column:
        for part in (node.this, node.args["low"], node.args["high"]):
            self.value(part, scope)
        self.comparable(node.this, node.args["low"], "BETWEEN")
        self.comparable(node.this, node.args["high"], "BETWEEN")
        return CONDITION

    def _in(self, node: exp.In, scope: Scope) -> Column:
        left = self.value(node.this, scope)
        query = node.args.get("query")
        if query is None:
            for item in node.expressions:
                self.value(item, scope)
                self.comparable(node.this, item, "IN")
            return CONDITION
        found = self._query(query.this, scope)
        if len(found) != 1:
            self.names.fail(f"IN needs a sub-query of one column, not {len(found)}", node)
        if common(left, found[0].column) is None:
            self.names.fail(f"IN cannot compare {shown(left)} with {shown(found[0].column)}", node)
        return CONDITION

    def _like(self, node: exp.Binary, scope: Scope) -> Column:
        word = WORDS[type(node)]
        for side in (node.this, node.expression):
            found = self.value(side, scope)
            if kind(found) not in ("text", "null"):
                self.names.fail(f"{word} compares texts, and {self.describe(side)} is {shown(found)}", side)
        return CONDITION

    def _is_null(self, node: exp.Is, scope: Scope) -> Column:
        self.value(node.this, scope)
        return CONDITION

    def _exists(self, node: exp.Exists, scope: Scope) -> Column:
        self._query(node.this, scope)
        return CONDITION


def as_real(node: exp.Expr) -> None:
    """Mark a number written out that is compared with a REAL, and has a REAL beside it."""
    bare = node.unnest()
    if isinstance(bare, exp.Neg):
        bare = bare.this.unnest()
    if isinstance(bare, exp.Literal) and not bare.is_string:
        value = float(bare.this)
        if value == 0 or SMALLEST_REAL <= value <= LARGEST_REAL:
            node.meta["to_real"] = True


def bind(node: exp.Column, relation: Relation, out: Out) -> exp.Column:
    """Make a node the column `out` of a relation, in the spelling of the rendered text."""
    node.set("this", exp.Identifier(this=out.sql, quoted=True))
    node.set("table", exp.Identifier(this=relation.alias, quoted=True))
    node.set("db", None)
    node.set("catalog", None)
    meta = node.meta
    meta["column"] = meta["datatype"] = out.column
    if out.table is not None:
        meta["table"] = out.table
    return node
