"""CONTAINS, INTERSECTS and DISTANCE in engine SQL: native for points and circles, kernels for polygons."""

from __future__ import annotations

import math

from sqlglot import exp

from skygate.adql.geometry.shapes import CircleShape, PointShape, Shape, constant_of, spelled
from skygate.adql.geometry.sql import binary, call, clone, number, truth
from skygate.domain.sky import Position
from skygate.sky import relate
from skygate.sky.exact import separation_deg
from skygate.sky.outline import TOLERANCE_DEG

_HALF_DEGREE = math.pi / 360.0
_DEGREE = math.pi / 180.0


def contains(outer: Shape, inner: Shape) -> exp.Expr:
    """A condition: whether all of `inner` is in, or on the boundary of, `outer`."""
    a, b = constant_of(outer), constant_of(inner)
    if a is not None and b is not None:
        return truth(relate.holds(a, b))
    if isinstance(inner, PointShape):
        return _holds_point(outer, inner)
    if isinstance(outer, CircleShape) and isinstance(inner, CircleShape):
        reach = binary(exp.Add, distance(outer.center, inner.center), clone(inner.radius))
        return binary(exp.LTE, reach, _with_tolerance(outer.radius))
    return call("sg_contains", spelled(outer), spelled(inner))


def intersects(one: Shape, other: Shape) -> exp.Expr:
    """A condition: whether two shapes have a point in common. A point intersects what contains it."""
    a, b = constant_of(one), constant_of(other)
    if a is not None and b is not None:
        return truth(relate.meets(a, b))
    if isinstance(one, PointShape):
        return _holds_point(other, one)
    if isinstance(other, PointShape):
        return _holds_point(one, other)
    if isinstance(one, CircleShape) and isinstance(other, CircleShape):
        reach = binary(exp.Add, clone(one.radius), clone(other.radius))
        return binary(exp.LTE, distance(one.center, other.center), _with_tolerance(reach))
    return call("sg_intersects", spelled(one), spelled(other))


def distance(one: PointShape, other: PointShape) -> exp.Expr:
    """Degrees between two points (Vincenty 1975, on a sphere): exact from 0 to 180."""
    if one.fixed is not None and other.fixed is not None:
        a, b = one.fixed, other.fixed
        return number(float(separation_deg(a.ra_deg, a.dec_deg, b.ra_deg, b.dec_deg)))
    turn = call("radians", binary(exp.Sub, clone(other.lon), clone(one.lon)))
    sin1, cos1, sin2, cos2 = (f(p) for p in (one, other) for f in (_sin_lat, _cos_lat))
    across = call(
        "sqrt",
        binary(
            exp.Add,
            _squared(binary(exp.Mul, cos2, call("sin", turn))),
            _squared(
                binary(
                    exp.Sub,
                    binary(exp.Mul, clone(cos1), clone(sin2)),
                    binary(exp.Mul, binary(exp.Mul, clone(sin1), clone(cos2)), call("cos", clone(turn))),
                )
            ),
        ),
    )
    along = binary(
        exp.Add,
        binary(exp.Mul, sin1, sin2),
        binary(exp.Mul, binary(exp.Mul, cos1, clone(cos2)), call("cos", clone(turn))),
    )
    return call("degrees", call("atan2", across, along))


def within(one: PointShape, other: PointShape, radius_deg: float, *, strict: bool = False) -> exp.Expr:
    """A condition: whether two points are at most (strictly: less than) a constant angle apart."""
    limit = radius_deg if strict else radius_deg + TOLERANCE_DEG
    if not 0 < limit < 180:
        return binary(exp.LT if strict else exp.LTE, distance(one, other), number(limit))
    kind: type[exp.Binary] = exp.LT if strict else exp.LTE
    if limit > 90:
        fixed, moving = (one, other) if one.fixed is not None else (other, one)
        if fixed.fixed is None:
            return binary(kind, distance(one, other), number(limit))
        at = fixed.fixed
        opposite = Position(at.ra_deg + 180.0, -at.dec_deg)
        away = PointShape(number(opposite.ra_deg), number(opposite.dec_deg), opposite)
        turned: type[exp.Binary] = exp.GT if strict else exp.GTE
        return binary(turned, _haversine(away, moving), number(math.sin((180.0 - limit) * _HALF_DEGREE) ** 2))
    return binary(kind, _haversine(one, other), number(math.sin(limit * _HALF_DEGREE) ** 2))


def _holds_point(region: Shape, point: PointShape) -> exp.Expr:
    if isinstance(region, PointShape):
        return within(region, point, 0.0)
    if isinstance(region, CircleShape):
        radius = region.fixed.radius_deg if region.fixed is not None else _number_of(region.radius)
        if radius is not None:
            return within(region.center, point, radius)
        return binary(exp.LTE, distance(region.center, point), _with_tolerance(region.radius))
    return call("sg_in_region", clone(point.lon), clone(point.lat), clone(region.value))


def _haversine(one: PointShape, other: PointShape) -> exp.Expr:
    """sin²(d / 2) of the angle d between two points."""
    up = _squared(_half_sine(one.lat, other.lat))
    sideways = _squared(_half_sine(one.lon, other.lon))
    factors = binary(exp.Mul, _cos_lat(one), _cos_lat(other))
    return binary(exp.Add, up, binary(exp.Mul, factors, sideways))


def _half_sine(one: exp.Expr, other: exp.Expr) -> exp.Expr:
    return call("sin", binary(exp.Mul, binary(exp.Sub, clone(one), clone(other)), number(_HALF_DEGREE)))


def _squared(value: exp.Expr) -> exp.Expr:
    return binary(exp.Mul, value, clone(value))


def _sin_lat(point: PointShape) -> exp.Expr:
    if point.fixed is not None:
        return number(math.sin(point.fixed.dec_deg * _DEGREE))
    return call("sin", call("radians", clone(point.lat)))


def _cos_lat(point: PointShape) -> exp.Expr:
    if point.fixed is not None:
        return number(math.cos(point.fixed.dec_deg * _DEGREE))
    return call("cos", call("radians", clone(point.lat)))


def _with_tolerance(radius: exp.Expr) -> exp.Expr:
    return binary(exp.Add, clone(radius), number(TOLERANCE_DEG))


def _number_of(node: exp.Expr) -> float | None:
    """The value of a constant that `sql.number` made (radii are not negative)."""
    return float(node.this) if isinstance(node, exp.Literal) else None


def shape_condition(name: str, first: Shape, second: Shape) -> exp.Expr:
    """The condition that CONTAINS(first, second) or INTERSECTS(first, second) is 1."""
    return contains(second, first) if name == "CONTAINS" else intersects(first, second)
