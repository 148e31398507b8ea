"""Queries that come to numbers of groups: counts, sums, means and ends in HEALPix cells, or of a whole table.

Read off the resolved tree, before geometry is lowered. Must not know: engines, texts.
"""

from __future__ import annotations

from sqlglot import exp

from skygate.adql.geometry.pixels import own_index
from skygate.adql.geometry.relations import conjuncts
from skygate.adql.geometry.sql import bare
from skygate.adql.simple import only_table, whole_number
from skygate.adql.types import kind as kind_of
from skygate.domain.tally import Cells, Number, Tally, What
from skygate.errors import BadQuery

_PARTS = frozenset({"expressions", "from_", "where", "group", "order", "limit"})
_MOST_NUMBERS = 200
_MOST_RANGES = 10_000
_LARGEST = 2**62
"""More than any cell."""
_OF_VALUES = {
    "COUNT": What.KNOWN,
    "SUM": What.SUM,
    "AVG": What.MEAN,
    "MIN": What.LEAST,
    "MAX": What.GREATEST,
}
_MIRRORED: dict[type[exp.Expr], type[exp.Expr]] = {
    exp.EQ: exp.EQ,
    exp.LT: exp.GT,
    exp.LTE: exp.GTE,
    exp.GT: exp.LT,
    exp.GTE: exp.LTE,
}
Ranges = tuple[tuple[int, int], ...]


def tally_of(tree: exp.Query) -> Tally | None:
    """The numbers that a resolved query asks for; None where it asks for anything else, or is faulty."""
    if type(tree) is not exp.Select or any(value and key not in _PARTS for key, value in tree.args.items()):
        return None
    table = only_table(tree)
    if table is None or len(tree.expressions) > _MOST_NUMBERS:
        return None
    group, where, limit = (tree.args.get(key) for key in ("group", "where", "limit"))
    try:
        order = _order_of_groups(group) if group is not None else None
        numbers = _numbers(tree, order)
        if numbers is None or (group is not None and order is None):
            return None
        within = _within(where.this) if where is not None else None
    except BadQuery:
        return None  # lowering says what is wrong, and where
    sorting = _sorting(tree)
    if sorting is None or (where is not None and within is None):
        return None
    top = int(limit.expression.this) if limit is not None else None
    return Tally(table, numbers, order, within, sorting, top)


def _order_of_groups(group: exp.Expr) -> int | None:
    if len(group.expressions) != 1:
        return None
    own = own_index(bare(group.expressions[0]))
    return None if own is None else own[0]


def _numbers(tree: exp.Select, order: int | None) -> tuple[Number, ...] | None:
    found: list[Number] = []
    for item in tree.expressions:
        number = _number(item.this if isinstance(item, exp.Alias) else item, order)
        if number is None:
            return None
        found.append(number)
    return tuple(found)


def _number(item: exp.Expr, order: int | None) -> Number | None:
    """What a selected value says of its group."""
    node = bare(item)
    if not isinstance(node, exp.Anonymous):
        return None
    own = own_index(node)
    if own is not None:
        return Number(What.CELL) if own[0] == order else None
    what = _OF_VALUES.get(str(node.this))
    if what is None or len(node.expressions) != 1:
        return None
    value = bare(node.expressions[0])
    if what is What.KNOWN and isinstance(value, (exp.Star, exp.Literal)):
        return Number(What.ROWS)
    if isinstance(value, exp.Cast) and value.to.this is exp.DType.DOUBLE:
        value = bare(value.this)
    if (
        not isinstance(value, exp.Column)
        or "table" not in value.meta
        or kind_of(value.meta["datatype"]) != "number"
    ):
        return None
    return Number(what, value.name)


def _sorting(tree: exp.Select) -> tuple[tuple[int, bool], ...] | None:
    """Selected values in ORDER BY, by place; None where anything else stands there."""
    order = tree.args.get("order")
    found: list[tuple[int, bool]] = []
    for item in order.expressions if order is not None else ():
        if not isinstance(item.this, exp.Literal):
            return None
        found.append((int(item.this.this) - 1, bool(item.args.get("desc"))))
    return tuple(found)


def _within(condition: exp.Expr) -> Cells | None:
    """The cells of one order that conditions leave."""
    order: int | None = None
    left: Ranges = ((0, _LARGEST),)
    for node in conjuncts(condition):
        found = _cells(bare(node))
        if found is None or order not in (None, found.order):
            return None
        order = found.order
        left = _common(left, found.ranges)
    return None if order is None else Cells(order, left)


def _cells(node: exp.Expr) -> Cells | None:
    """The cells that a condition names by their numbers."""
    if isinstance(node, exp.In):
        values = [whole_number(bare(item)) for item in node.expressions]
        known = sorted({value for value in values if value is not None})
        if node.args.get("query") is not None or None in values or len(known) > _MOST_RANGES:
            return None
        return _limited(node.this, tuple((value, value) for value in known))
    if isinstance(node, exp.Between):
        low, high = (whole_number(bare(node.args[end])) for end in ("low", "high"))
        return None if low is None or high is None else _limited(node.this, ((low, high),))
    if type(node) not in _MIRRORED:
        return None
    kind, side, value = type(node), node.this, whole_number(bare(node.expression))
    if value is None:
        kind, side, value = _MIRRORED[kind], node.expression, whole_number(bare(node.this))
    if value is None:
        return None
    low = value if kind in (exp.EQ, exp.GTE) else value + 1 if kind is exp.GT else 0
    high = value if kind in (exp.EQ, exp.LTE) else value - 1 if kind is exp.LT else _LARGEST
    return _limited(side, ((low, high),))


def _limited(side: exp.Expr, ranges: Ranges) -> Cells | None:
    own = own_index(bare(side))
    return None if own is None else Cells(own[0], _common(ranges, ((0, _LARGEST),)))


def _common(one: Ranges, other: Ranges) -> Ranges:
    """What both have; each is ascending and apart, and so is what is left."""
    found: list[tuple[int, int]] = []
    i = j = 0
    while i < len(one) and j < len(other):
        low, high = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if low <= high:
            found.append((low, high))
        if one[i][1] <= other[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)
