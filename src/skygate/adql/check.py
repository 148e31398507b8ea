"""The wall between a caller's tree and everything behind it: node types, depth, size and coordinate systems.

Must not know: tables, engines. The grammar builds nothing else; this proves it for each tree.
"""

from __future__ import annotations

import re

from sqlglot import exp

from skygate.adql.tokens import place
from skygate.errors import BadQuery

MAX_DEPTH = 160
MAX_PARTS = 20_000
"""Nodes but for written values, of which a list may have many: what it takes to understand a query."""
WRITTEN = (exp.Literal, exp.Neg, exp.Identifier)
MAX_REGIONS = 300
"""Regions and distances: each is many operations of the engine in every row, and cells to be found."""
MAX_CORNERS = 64
"""Corners of polygons that are not the same in each row: each is a page of the engine's language."""
MAX_POINTS = 1_000
"""Points, and corners of polygons."""

QUERIES = (exp.Select, exp.Union, exp.Except, exp.Intersect, exp.Subquery, exp.With, exp.CTE)
CLAUSES = (
    exp.From,
    exp.Join,
    exp.Where,
    exp.Group,
    exp.Having,
    exp.Order,
    exp.Ordered,
    exp.Limit,
    exp.Offset,
)
NAMES = (exp.Table, exp.TableAlias, exp.Column, exp.Identifier, exp.Alias, exp.Star)
VALUES = (
    *(exp.Literal, exp.Null, exp.Boolean, exp.Paren, exp.Neg, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.DPipe),
    *(exp.Case, exp.If, exp.Cast, exp.DataType, exp.DataTypeParam, exp.Anonymous, exp.Distinct),
    *(exp.Window, exp.WindowSpec),
)
CONDITIONS = (
    *(exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.LT, exp.GT, exp.LTE, exp.GTE, exp.Between, exp.In),
    *(exp.Like, exp.ILike, exp.Is, exp.Exists),
)
WHITELIST: frozenset[type[exp.Expr]] = frozenset((*QUERIES, *CLAUSES, *NAMES, *VALUES, *CONDITIONS))

CONSTRUCTORS = frozenset({"POINT", "CIRCLE", "BOX", "POLYGON"})
REGIONS = frozenset({"CIRCLE", "BOX", "POLYGON", "REGION", "DISTANCE"})
MANY = (
    "many positions go better as a table of positions: upload it and join by distance, or use the crossmatch"
)
SYSTEM = re.compile(
    r"\s*(ICRS(\s+(GEOCENTER|BARYCENTER|HELIOCENTER|TOPOCENTER|UNKNOWNREFPOS))?(\s+SPHERICAL2)?)?\s*",
    re.IGNORECASE,
)
CASTS = {"CAST_POINT": "POINT", "CAST_CIRCLE": "CIRCLE", "CAST_POLYGON": "POLYGON"}
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


def check(tree: exp.Query, text: str) -> exp.Query:
    """The same tree, without coordinate systems and geometry casts; raises `BadQuery`."""
    if not isinstance(tree, (exp.Select, exp.SetOperation)):
        raise BadQuery(f"{type(tree).__name__} is not a query of ADQL")
    todo: list[tuple[exp.Expr, int]] = [(tree, 1)]
    count, regions, points, corners = 0, 0, 0, 0
    while todo:
        node, depth = todo.pop()
        kind = type(node)
        count += kind not in WRITTEN
        if kind not in WHITELIST:
            raise _bad(f"{kind.__name__} is not part of ADQL", node, text)
        if depth > MAX_DEPTH:
            raise _bad(f"the query is nested more than {MAX_DEPTH} levels deep", node, text)
        if kind is exp.Anonymous:
            _geometry(node, text)
            regions += node.this in REGIONS
            points += _points(node)
            corners += _moving_corners(node)
            if corners > MAX_CORNERS:
                said = f"more than {MAX_CORNERS} corners of polygons in a query depend on columns"
                raise _bad(said, node, text)
            if regions > MAX_REGIONS:
                raise _bad(f"more than {MAX_REGIONS} regions and distances in a query", node, text, hint=MANY)
            if points > MAX_POINTS:
                raise _bad(f"more than {MAX_POINTS:,} points and corners in a query", node, text, hint=MANY)
        depth += 1
        for value in node.args.values():
            if isinstance(value, exp.Expr):
                todo.append((value, depth))
            elif isinstance(value, list):
                todo += [(child, depth) for child in value if isinstance(child, exp.Expr)]
    if count > MAX_PARTS:
        raise BadQuery(
            f"the query has {count:,} names, conditions and operations; at most {MAX_PARTS:,} are run",
            hint="a long list of values is written x IN (1, 2, …); positions go better as a table",
        )
    return tree


def _moving_corners(node: exp.Expr) -> int:
    """Corners of a polygon that is another one in each row."""
    if node.this != "POLYGON" or next(node.find_all(exp.Column), None) is None:
        return 0
    return len(node.expressions) // 2


def _points(node: exp.Expr) -> int:
    """Points that a call spells: one, or the corners of a polygon that are given as numbers."""
    name, arguments = node.this, node.expressions
    if name == "POINT":
        return 1
    if name == "POLYGON":
        return len(arguments) // 2
    if name == "REGION" and arguments and isinstance(arguments[0], exp.Literal):
        return len(str(arguments[0].this).split()) // 2
    return 0


def _geometry(node: exp.Expr, text: str) -> None:
    name = node.this
    if name in CASTS:
        _cast(node, text)
        return
    if name not in CONSTRUCTORS or not node.expressions:
        return
    first = node.expressions[0]
    if not (isinstance(first, exp.Literal) and first.is_string):
        return
    if not SYSTEM.fullmatch(str(first.this)):
        raise _bad(
            f"the coordinate system '{first.this}' is not known: all positions are ICRS",
            first,
            text,
            hint="leave it out, or write 'ICRS'",
        )
    node.set("expressions", node.expressions[1:])


def _cast(node: exp.Expr, text: str) -> None:
    """CAST('12.3 45.6' AS POINT): a literal in DALI's spelling becomes the constructor's call."""
    name = CASTS[node.this]
    literal = node.expressions[0].unnest()
    if not (isinstance(literal, exp.Literal) and literal.is_string):
        raise _bad(f"CAST makes a {name} of a written text only", node, text, hint=f"write {name}(…)")
    words = str(literal.this).split()
    fits = {
        "POINT": len(words) == 2,
        "CIRCLE": len(words) == 3,
        "POLYGON": len(words) >= 6 and len(words) % 2 == 0,
    }
    if not fits[name] or not all(NUMBER.fullmatch(w) for w in words):
        raise _bad(
            f"'{literal.this}' is no {name}",
            literal,
            text,
            hint="numbers in degrees, separated by spaces (DALI)",
        )
    numbers: list[exp.Expr] = []
    for word in words:
        number: exp.Expr = exp.Literal(this=word.lstrip("+-"), is_string=False)
        number.meta["at"] = literal.meta["at"]
        if word.startswith("-"):
            number = exp.Neg(this=number)
            number.meta["at"] = literal.meta["at"]
        numbers.append(number)
    node.set("this", name)
    node.set("expressions", numbers)


def _bad(message: str, node: exp.Expr, text: str, *, hint: str | None = None) -> BadQuery:
    span = node.meta.get("at")
    return BadQuery(message, hint=hint, where=place(text, *span) if span else None)
