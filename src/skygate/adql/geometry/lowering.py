"""One pass over a resolved tree: cells for conditions and joins, then every geometry call in engine SQL."""

from __future__ import annotations

import math
from collections.abc import Callable

from sqlglot import exp

from skygate.adql.geometry.constants import constant
from skygate.adql.geometry.joins import divide_full, join_by_cells
from skygate.adql.geometry.pixels import lower_pixels
from skygate.adql.geometry.predicates import distance, shape_condition, within
from skygate.adql.geometry.prefilter import limit_by_cells
from skygate.adql.geometry.shapes import (
    CONSTRUCTORS,
    MEASURES,
    CircleShape,
    PointShape,
    is_shape,
    name_of,
    point_at,
    read,
    read_point,
    spelled,
)
from skygate.adql.geometry.sql import (
    bad,
    bare,
    binary,
    call,
    clone,
    integer,
    native,
    negation,
    number,
    outermost,
    when,
    whole,
    wrapped,
)
from skygate.adql.geometry.sql import known as is_known
from skygate.sky import exact
from skygate.sky.exact import SQUARE_DEGREES

WHOLE_SKY_DEG2 = 41253.0
FRAME = "ICRS"
"""What COORDSYS says of every geometry."""

_MIRRORED: dict[type[exp.Expr], type[exp.Binary]] = {
    exp.LT: exp.GT,
    exp.LTE: exp.GTE,
    exp.GT: exp.LT,
    exp.GTE: exp.LTE,
}


def lower_geometry(tree: exp.Query) -> exp.Query:
    """The tree without geometry calls; raises `BadQuery` where a geometry is none.

    Conditions on the positions of catalogue tables gain ranges of their cells; joins by distance become
    joins of cells with an exact test. `exp.Table.meta["cells"]` says to which ranges a table is limited.
    """
    for select in list(tree.find_all(exp.Select)):
        limit_by_cells(select)
    for select in list(tree.find_all(exp.Select)):
        divide_full(select)
    for select in list(tree.find_all(exp.Select)):
        join_by_cells(select)
    for node in reversed(list(tree.walk())):
        if name_of(node) in MEASURES:
            _lower_measure(node)
    lower_pixels(tree)
    for node in _outermost_shapes(tree):
        _replace(node, spelled(read(node)))
    return tree


def _outermost_shapes(tree: exp.Expr) -> list[exp.Expr]:
    """Constructors that are no part of another."""
    found: list[exp.Expr] = []
    todo = [tree]
    while todo:
        node = todo.pop()
        if name_of(node) in CONSTRUCTORS:
            found.append(node)
        else:
            todo += node.iter_expressions()
    return found


def _lower_measure(node: exp.Expr) -> None:
    name = name_of(node)
    if name in ("CONTAINS", "INTERSECTS"):
        _lower_condition(node, name)
    elif name == "DISTANCE":
        _lower_distance(node)
    else:
        _arity(node, 1)
        _replace(node, _limited(_MEASURES[name](node)))


def _lower_condition(node: exp.Expr, name: str) -> None:
    """CONTAINS and INTERSECTS: a condition where they are compared with 0 or 1, else the number."""
    _arity(node, 2)
    condition = shape_condition(name, read(node.expressions[0]), read(node.expressions[1]))
    outer = outermost(node)
    compared = outer.parent
    if isinstance(compared, (exp.EQ, exp.NEQ)):
        other = compared.expression if compared.this is outer else compared.this
        value = constant(other)
        if value in (0, 1):
            positive = (value == 1) == isinstance(compared, exp.EQ)
            _replace(compared, _in_place(compared, condition if positive else negation(condition)))
            return
    _replace(node, integer(condition))


def _lower_distance(node: exp.Expr) -> None:
    """DISTANCE: compared with a constant it is a test without arcs, else the number."""
    one, other = _ends(node)
    outer = outermost(node)
    compared = outer.parent
    if isinstance(compared, (exp.LT, exp.LTE, exp.GT, exp.GTE)):
        left = compared.this is outer
        radius = constant(compared.expression if left else compared.this)
        if radius is not None:
            kind = type(compared) if left else _MIRRORED[type(compared)]
            near = within(one, other, float(radius), strict=kind in (exp.LT, exp.GTE))
            positive = kind in (exp.LT, exp.LTE)
            _replace(compared, _in_place(compared, near if positive else negation(near)))
            return
    _replace(node, _limited(distance(one, other)))


def _limited(value: exp.Expr) -> exp.Expr:
    """A number of degrees or square degrees, which knows that it cannot be large."""
    if not isinstance(bare(value), exp.Column):
        value.meta["most"] = WHOLE_SKY_DEG2
    return value


def _ends(node: exp.Expr) -> tuple[PointShape, PointShape]:
    arguments = node.expressions
    if len(arguments) == 4:
        return point_at(arguments[0], arguments[1], node), point_at(arguments[2], arguments[3], node)
    _arity(node, 2)
    return read_point(arguments[0]), read_point(arguments[1])


def _area(node: exp.Expr) -> exp.Expr:
    shape = read(node.expressions[0])
    if isinstance(shape, PointShape):
        return number(0.0) if shape.fixed is not None else when(is_known(spelled(shape)), number(0.0))
    if shape.fixed is not None:
        return number(exact.area_deg2(shape.fixed))
    if isinstance(shape, CircleShape):
        sine = call("sin", call("radians", binary(exp.Mul, clone(shape.radius), number(0.5))))
        area = binary(exp.Mul, number(4 * math.pi * SQUARE_DEGREES), binary(exp.Mul, sine, clone(sine)))
        return when(is_known(spelled(shape)), area)
    return call("sg_area", spelled(shape))


def _coordinate(which: int) -> Callable[[exp.Expr], exp.Expr]:
    def lower(node: exp.Expr) -> exp.Expr:
        point = read_point(node.expressions[0])
        if point.fixed is not None:
            return number(point.fixed.dec_deg if which else point.fixed.ra_deg)
        return call("list_extract", spelled(point), whole(which + 1))

    return lower


def _coordsys(node: exp.Expr) -> exp.Expr:
    if not is_shape(node.expressions[0]):
        raise bad(node.expressions[0], "a geometry is expected here")
    shape = read(node.expressions[0])
    text = native(exp.Literal.string(FRAME))
    return text if shape.fixed is not None else when(is_known(spelled(shape)), text)


_MEASURES: dict[str, Callable[[exp.Expr], exp.Expr]] = {
    "AREA": _area,
    "COORD1": _coordinate(0),
    "COORD2": _coordinate(1),
    "COORDSYS": _coordsys,
}


def _arity(node: exp.Expr, count: int) -> None:
    if len(node.expressions) != count:
        raise bad(node, f"{node.this} takes {count} arguments, not {len(node.expressions)}")


def _in_place(compared: exp.Expr, condition: exp.Expr) -> exp.Expr:
    """The condition, in parentheses where its new neighbours could tear it apart."""
    return wrapped(condition) if compared.parent is not None else condition


def _replace(node: exp.Expr, by: exp.Expr) -> None:
    """Put finished SQL where a node stands, keeping what is known of its value."""
    if not isinstance(bare(by), exp.Column):
        by.meta.update({k: v for k, v in node.meta.items() if k in ("datatype", "at")})
    node.replace(by)
