"""Calls checked against the table of functions, and the types of their results.

Must not know: engines, grammar.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

from sqlglot import exp

from skygate.adql import types
from skygate.adql.function import Function, Use
from skygate.adql.functions import INSTEAD, by_name
from skygate.adql.geometry.stcs import region_of
from skygate.adql.growth import GATHERERS
from skygate.adql.names import did_you_mean, nearest
from skygate.adql.scope import Scope
from skygate.adql.types import NULL, common, kind, plain, shown
from skygate.adql.units import factor_between
from skygate.domain.catalog import Column
from skygate.domain.sky import Circle, Position
from skygate.errors import BadQuery, BadRegion

if TYPE_CHECKING:
    from skygate.adql.values import Values

EXTRACTS = ("year", "quarter", "month", "week", "day", "doy", "dow", "hour", "minute", "second", "epoch")
TRUNCATIONS = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")
NO_AGGREGATES = frozenset({"WHERE", "ON", "GROUP BY", "FROM"})
WRITTEN_OUT = frozenset({"ROUND", "TRUNCATE", "RAND"})
"""Functions whose INTEGER argument must be a number in the text (BNF: signed_integer)."""

COUNTS = frozenset({"NTILE", "NTH_VALUE"})
"""Functions whose INTEGER argument must be such a number, and at least 1."""


class Calls:
    """Checks calls. `values` annotates their arguments."""

    values: Values

    def call(self, node: exp.Anonymous, scope: Scope, *, over: bool = False) -> Column:
        """The type of a call's result; raises `BadQuery`."""
        name = str(node.this)
        ways = by_name().get(name)
        if ways is None:
            self._unknown(node)
        use = ways[0].use
        self._check_place(node, use, scope, over=over)
        outside = scope.inside
        if use is not Use.SCALAR:
            scope.inside = name
        types_ = self._arguments(node, ways[0], scope)
        scope.inside = outside
        if use is Use.AGGREGATE and not over:
            scope.aggregated = True
        node.meta["use"] = use
        way = self._way(node, ways, types_)
        return self._result(node, way, types_)

    def window(self, node: exp.Window, scope: Scope) -> Column:
        """The type of a call with OVER."""
        call = node.this
        if scope.clause not in ("SELECT", "ORDER BY"):
            self.values.names.fail(
                f"a window function cannot stand in {scope.clause}",
                node,
                hint="put it into a sub-query or WITH",
            )
        if scope.inside:
            self.values.names.fail(f"a window function cannot stand inside {scope.inside}", node)
        if not isinstance(call, exp.Anonymous):
            self.values.names.fail("OVER stands after an aggregate or a window function", node)
        if str(call.this).upper() in GATHERERS:
            self.values.names.fail(
                f"{call.this} gathers the texts of a group, not of a window", node, hint="use GROUP BY"
            )
        found = self.call(call, scope, over=True)
        call.meta["datatype"] = found
        scope.inside = "a window"
        for part in node.args.get("partition_by") or ():
            self.values.value(part, scope)
        order = node.args.get("order")
        for item in order.expressions if order is not None else ():
            self.values.value(item.this, scope)
        scope.inside = None
        return found

    def _unknown(self, node: exp.Anonymous) -> NoReturn:
        name = str(node.meta.get("name", node.this))
        near = nearest(str(node.this), by_name())
        if near and name.islower():
            near = tuple(n.lower() for n in near)
        hint = INSTEAD.get(str(node.this).upper())
        said = "" if hint else did_you_mean(near)
        self.values.names.fail(
            f"no function `{name}`{said}", node, hint=hint, suggestions=() if hint else near
        )

    def _check_place(self, node: exp.Anonymous, use: Use, scope: Scope, *, over: bool) -> None:
        name = str(node.this)
        fail = self.values.names.fail
        if over and use is Use.SCALAR:
            fail(f"OVER stands after an aggregate or a window function, and {name} is neither", node)
        if use is Use.WINDOW and not over:
            fail(f"{name} needs a window", node, hint=f"{name}(…) OVER (ORDER BY …)")
        if use is Use.AGGREGATE and not over:
            if scope.inside and scope.inside != "a window":
                fail(f"the aggregate {name} cannot stand inside {scope.inside}", node)
            if scope.clause in NO_AGGREGATES:
                hint = "HAVING compares aggregates" if scope.clause == "WHERE" else None
                fail(f"the aggregate {name} cannot stand in {scope.clause}", node, hint=hint)

    def _arguments(self, node: exp.Anonymous, way: Function, scope: Scope) -> list[Column]:
        found: list[Column] = []
        for item in node.expressions:
            if isinstance(item, exp.Star):
                if way.name != "COUNT":
                    self.values.names.fail(f"only COUNT takes *, not {way.name}", item)
                item.meta["datatype"] = types.LONG
                found.append(types.LONG)
            elif isinstance(item, exp.Distinct):
                if way.use is not Use.AGGREGATE:
                    self.values.names.fail(
                        f"DISTINCT stands in aggregates only, and {way.name} is none", item
                    )
                if way.name == "COUNT" and len(item.expressions) > 1:
                    self.values.names.fail("COUNT(DISTINCT …) takes one value", item)
                found.extend(self.values.value(inner, scope) for inner in item.expressions)
            else:
                found.append(self.values.value(item, scope))
        return found

    def _way(self, node: exp.Anonymous, ways: tuple[Function, ...], given: list[Column]) -> Function:
        name, count = str(node.this), len(given)
        fitting = [w for w in ways if w.takes(count)]
        signatures = " or ".join(w.signature.split(" -> ")[0] for w in ways)
        if name == "POLYGON" and fitting and kind(given[0]) == "number" and count % 2:
            self.values.names.fail(
                f"POLYGON takes pairs of numbers, not {count} numbers", node, hint=signatures
            )
        if not fitting:
            arities = sorted({n for w in ways for n in (w.least, w.most or w.least)})
            wanted = " or ".join(map(str, arities)) + (
                " or more" if any(w.most is None for w in ways) else ""
            )
            self.values.names.fail(
                f"{name} takes {wanted} argument{'s' if wanted != '1' else ''}, not {count}",
                node,
                hint=signatures,
            )
        faults = [self._fault(node, way, given) for way in fitting]
        for way, fault in zip(fitting, faults, strict=True):
            if fault is None:
                self._coerce(node, way, given)
                return way
        at, message = next(f for f in faults if f is not None)
        return self.values.names.fail(message, at, hint=signatures)

    def _fault(self, node: exp.Anonymous, way: Function, given: list[Column]) -> tuple[exp.Expr, str] | None:
        """The first argument that does not fit this way to call, and why."""
        items = _flat(node)
        for i, (column, item) in enumerate(zip(given, items, strict=True)):
            wanted = way.argument(i).type
            if not accepts(wanted, column, item):
                described = self.values.describe(item)
                if wanted == "LITERAL":
                    return item, f"{way.name} needs a text between single quotes, not {described}"
                if wanted == "INTEGER" and kind(column) == "number":
                    return item, f"{way.name} needs a whole number, not {described}"
                return (
                    item,
                    f"{way.name} needs {_WANTED.get(wanted, wanted)}, and {described} is {shown(column)}",
                )
            if wanted == "INTEGER" and way.name in WRITTEN_OUT and _whole(item) is None:
                return item, f"{way.name} needs a number written out, not {self.values.describe(item)}"
            if wanted == "INTEGER" and way.name in COUNTS and (_whole(item) or 0) < 1:
                return (
                    item,
                    f"{way.name} needs a whole number of at least 1 written out, "
                    f"not {self.values.describe(item)}",
                )
        return None

    def _coerce(self, node: exp.Anonymous, way: Function, given: list[Column]) -> None:
        for i, (column, item) in enumerate(zip(given, _flat(node), strict=True)):
            if way.argument(i).type == "TIMESTAMP" and kind(column) == "text":
                self.values.as_time(item)

    def _result(self, node: exp.Anonymous, way: Function, given: list[Column]) -> Column:
        first = given[0] if given else NULL
        unit = first.unit if way.unit == "SAME" else way.unit
        if way.name == "IN_UNIT":
            return self._in_unit(node, first)
        if way.name in ("EXTRACT", "DATE_TRUNC"):
            return self._date_part(node, way)
        if way.name == "REGION":
            return _type_of_region(node)
        if way.returns == "COMMON":
            return self._common(node, given)
        if way.returns == "SAME":
            if first is NULL:
                return NULL
            if way.use is Use.SCALAR and first.datatype.is_integer:
                return replace(types.LONG, unit=unit)
            return (
                replace(first, description="", ucd=first.ucd, name="") if way.use else plain(first, unit=unit)
            )
        if way.returns == "NUMBER":
            whole = all(g.datatype.is_integer for g in given if g is not NULL)
            return replace(types.LONG if whole else types.DOUBLE, unit=unit)
        result = types.NAMED[way.returns]
        return replace(result, unit=unit) if unit else result

    def _common(self, node: exp.Anonymous, given: list[Column]) -> Column:
        found = NULL
        for column, item in zip(given, node.expressions, strict=True):
            both = common(found, column)
            if both is None:
                self.values.names.fail(
                    f"COALESCE needs values of one type, and {self.values.describe(item)} is "
                    f"{shown(column)}, not {shown(found)}",
                    item,
                )
            found = both
        return replace(found, name="", stats=None) if found is not NULL else NULL

    def _in_unit(self, node: exp.Anonymous, first: Column) -> Column:
        target = node.expressions[1]
        wanted = str(target.this)
        try:
            node.meta["factor"] = factor_between(first.unit, wanted)
        except BadQuery as fault:
            self.values.names.fail(
                fault.message, target if first.unit else node.expressions[0], hint=fault.hint
            )
        return replace(types.DOUBLE, unit=wanted)

    def _date_part(self, node: exp.Anonymous, way: Function) -> Column:
        field = node.expressions[0]
        known = EXTRACTS if way.name == "EXTRACT" else TRUNCATIONS
        if str(field.this).lower() not in known:
            near = nearest(str(field.this), known)
            self.values.names.fail(
                f"{way.name} knows no `{field.this}`{did_you_mean(near)}",
                field,
                hint="it knows " + ", ".join(known),
            )
        if way.name == "DATE_TRUNC":
            return types.TIMESTAMP
        return types.DOUBLE if str(field.this).lower() in ("second", "epoch") else types.LONG


_WANTED = {
    "NUMERIC": "a number",
    "DOUBLE": "a number",
    "INTEGER": "a whole number",
    "BIGINT": "a whole number",
    "VARCHAR": "a text",
    "TIMESTAMP": "a time",
    "POINT": "a point",
    "REGION": "a circle, box or polygon",
    "GEOMETRY": "a geometry",
    "ANY": "a value",
}
_ACCEPTED = {
    "NUMERIC": ("number",),
    "DOUBLE": ("number",),
    "VARCHAR": ("text",),
    "TIMESTAMP": ("timestamp", "text"),
    "POINT": ("point",),
    "REGION": ("circle", "polygon"),
    "GEOMETRY": ("point", "circle", "polygon"),
    "ANY": ("number", "text", "timestamp", "boolean", "point", "circle", "polygon", "array"),
}


def _type_of_region(node: exp.Anonymous) -> Column:
    """What the literal spells; one that cannot be read is refused when geometry is lowered, at its place."""
    try:
        shape = region_of(str(node.expressions[0].this))
    except BadRegion:
        return types.POLYGON
    if isinstance(shape, Position):
        return types.POINT
    return types.CIRCLE if isinstance(shape, Circle) else types.POLYGON


def accepts(wanted: str, column: Column, node: exp.Expr) -> bool:
    """Whether an argument of this type can be given this value."""
    if wanted == "LITERAL":
        return isinstance(node, exp.Literal) and bool(node.is_string)
    if column is NULL:
        return True
    if wanted in ("INTEGER", "BIGINT"):
        return kind(column) == "number" and column.datatype.is_integer
    return kind(column) in _ACCEPTED[wanted]


def _flat(node: exp.Anonymous) -> list[exp.Expr]:
    """Arguments, those after DISTINCT too."""
    items: list[exp.Expr] = []
    for item in node.expressions:
        items.extend(item.expressions if isinstance(item, exp.Distinct) else (item,))
    return items


def _whole(node: exp.Expr) -> int | None:
    """The value of a whole number in the text, with its sign."""
    bare = node.unnest()
    sign = 1
    if isinstance(bare, exp.Neg):
        sign, bare = -1, bare.this
    if isinstance(bare, exp.Literal) and str(bare.this).isdigit():
        return sign * int(bare.this)
    return None
