"""Geometry values of a query: read from the tree, known at once where constant, and spelled in engine SQL.

A null, infinite or impossible coordinate in a row makes the whole value null; in a constant it is an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlglot import exp

from skygate.adql.geometry.constants import constant
from skygate.adql.geometry.sql import bad, bare, binary, both, call, clone, double, known, number, when, whole
from skygate.adql.geometry.sql import between as sql_between
from skygate.adql.geometry.stcs import region_of
from skygate.domain.catalog import Column
from skygate.domain.sky import Circle, Polygon, Position
from skygate.errors import BadRegion
from skygate.sky import exact
from skygate.sky import relate as relations
from skygate.sky.outline import box_polygon, outline_of

T = TypeVar("T")

CONSTRUCTORS = frozenset({"POINT", "CIRCLE", "BOX", "POLYGON", "REGION", "CENTROID"})
MEASURES = frozenset({"CONTAINS", "INTERSECTS", "DISTANCE", "AREA", "COORD1", "COORD2", "COORDSYS"})


@dataclass(frozen=True, slots=True)
class PointShape:
    """A point: guarded longitude and latitude in degrees, null where there is none."""

    lon: exp.Expr
    lat: exp.Expr
    fixed: Position | None = None
    columns: tuple[exp.Column, exp.Column] | None = None
    """The two plain columns that it is made of, if it is."""
    whole: exp.Expr | None = None
    """The one value that it is taken from, if it is."""


@dataclass(frozen=True, slots=True)
class CircleShape:
    """A circle: its centre and guarded radius in degrees."""

    center: PointShape
    radius: exp.Expr
    fixed: Circle | None = None
    whole: exp.Expr | None = None
    written_radius: exp.Expr | None = None
    """The radius as the caller wrote it."""


@dataclass(frozen=True, slots=True)
class PolygonShape:
    """A polygon, or a box: a list of coordinates."""

    value: exp.Expr
    fixed: Polygon | None = None


Shape = PointShape | CircleShape | PolygonShape


def name_of(node: exp.Expr) -> str:
    """The upper-case name of a call, '' for anything else and for finished SQL."""
    if isinstance(node, exp.Anonymous) and not node.meta.get("native"):
        return str(node.this).upper()
    return ""


def is_shape(node: exp.Expr) -> bool:
    """Whether a node has a geometry as its value."""
    node = bare(node)
    return name_of(node) in CONSTRUCTORS or _xtype(node) is not None


def read(node: exp.Expr) -> Shape:
    """The geometry that a node stands for; raises `BadQuery` where it is none."""
    node = bare(node)
    name = name_of(node)
    if name in CONSTRUCTORS:
        return _READERS[name](node)
    kind = _xtype(node)
    if kind == "point":
        return _point_in(node)
    if kind == "circle":
        center = _point_in(node)
        return CircleShape(
            PointShape(center.lon, center.lat),
            guarded_radius(call("list_extract", clone(node), whole(3))),
            whole=node,
        )
    if kind == "polygon":
        return PolygonShape(node)
    raise bad(
        node, "a geometry is expected here", "POINT, CIRCLE, BOX, POLYGON or REGION, or a column of that type"
    )


def written_polygon(node: exp.Expr) -> Polygon | None:
    """The polygon that a call of POLYGON spells with numbers alone; raises `BadRegion` where it is none."""
    node = bare(node)
    numbers = [constant(argument) for argument in node.expressions]
    known = [float(number) for number in numbers if number is not None]
    if name_of(node) != "POLYGON" or len(known) != len(numbers) or len(known) % 2:
        return None
    polygon = Polygon(tuple(map(Position, known[::2], known[1::2])))
    outline_of(polygon)
    return polygon


def read_point(node: exp.Expr) -> PointShape:
    """The point that a node stands for; raises `BadQuery` where it is none."""
    shape = read(node)
    if not isinstance(shape, PointShape):
        raise bad(node, "a POINT is expected here")
    return shape


def point_at(lon: exp.Expr, lat: exp.Expr, at: exp.Expr) -> PointShape:
    """The point at two coordinates."""
    a, d = constant(lon), constant(lat)
    if d is not None and abs(d) > 90:
        raise bad(lat, f"latitude {d:g} is beyond the poles", "expected -90 to 90 degrees")
    if a is not None and d is not None:
        return _fixed_point(_region(at, lambda: Position(float(a), float(d))))
    plain = (bare(lon), bare(lat))
    columns = (
        (plain[0], plain[1])
        if isinstance(plain[0], exp.Column) and isinstance(plain[1], exp.Column)
        else None
    )
    return PointShape(
        number(float(a)) if a is not None else _guarded_longitude(lon),
        number(float(d)) if d is not None else _guarded(lat, -90.0, 90.0),
        columns=columns,
    )


def guarded_radius(radius: exp.Expr) -> exp.Expr:
    """A radius from a row: null where it is no angle."""
    return _guarded(radius, 0.0, 180.0)


def constant_of(shape: Shape) -> relations.Shape | None:
    """The shape itself, where no row is needed to know it."""
    return shape.fixed


def spelled(shape: Shape) -> exp.Expr:
    """The shape as a list of numbers in SQL; null where it is none."""
    if isinstance(shape, PolygonShape):
        return clone(shape.value)
    if shape.whole is not None:
        return clone(shape.whole)
    if isinstance(shape, PointShape):
        if shape.fixed is not None:
            return _list(shape.fixed.ra_deg, shape.fixed.dec_deg)
        return when(
            both([known(clone(shape.lon)), known(clone(shape.lat))]),
            call("list_value", _turned(shape.lon), clone(shape.lat)),
        )
    center = shape.center
    if shape.fixed is not None:
        c = shape.fixed
        return _list(c.center.ra_deg, c.center.dec_deg, c.radius_deg)
    parts = (center.lon, center.lat, shape.radius)
    return when(
        both(known(clone(p)) for p in parts),
        call("list_value", _turned(center.lon), clone(center.lat), clone(shape.radius)),
    )


def _read_point(node: exp.Expr) -> Shape:
    _arity(node, 2)
    return point_at(*node.expressions, at=node)


def _read_circle(node: exp.Expr) -> Shape:
    center, (radius,) = _center(node, 1)
    value = constant(radius)
    if value is not None:
        if not 0 <= value <= 180:
            raise bad(radius, f"radius {value:g} is not an angle", "expected 0 to 180 degrees")
        fixed = Circle(center.fixed, float(value)) if center.fixed is not None else None
        return CircleShape(center, number(float(value)), fixed, written_radius=radius)
    return CircleShape(center, guarded_radius(radius), written_radius=radius)


def _read_box(node: exp.Expr) -> Shape:
    center, (width, height) = _center(node, 2)
    w, h = constant(width), constant(height)
    if center.fixed is not None and w is not None and h is not None:
        at = center.fixed
        return _fixed_polygon(node, lambda: box_polygon(at, float(w), float(h)))
    return PolygonShape(
        call("sg_box", clone(center.lon), clone(center.lat), double(clone(width)), double(clone(height)))
    )


def _read_polygon(node: exp.Expr) -> Shape:
    arguments = node.expressions
    if arguments and is_shape(arguments[0]):
        points = [read_point(a) for a in arguments]
    else:
        if len(arguments) % 2:
            raise bad(
                node, "POLYGON needs pairs of numbers", "longitude and latitude of each corner, in degrees"
            )
        points = [point_at(a, d, node) for a, d in zip(arguments[::2], arguments[1::2], strict=True)]
    if len(points) < 3:
        raise bad(node, f"a polygon needs at least 3 corners, not {len(points)}")
    fixed = [p.fixed for p in points if p.fixed is not None]
    if len(fixed) == len(points):
        return _fixed_polygon(node, lambda: Polygon(tuple(fixed)))
    numbers = [part for p in points for part in (p.lon, p.lat)]
    open_parts = [p for p in numbers if not isinstance(p, (exp.Literal, exp.Paren))]
    return PolygonShape(
        when(both(known(clone(p)) for p in open_parts), call("list_value", *(clone(p) for p in numbers)))
    )


def _read_region(node: exp.Expr) -> Shape:
    _arity(node, 1)
    text = bare(node.expressions[0])
    if not (isinstance(text, exp.Literal) and text.is_string):
        raise bad(text, "REGION takes one text literal", "for example: REGION('CIRCLE ICRS 10.5 -3 0.2')")
    shape = _region(text, lambda: region_of(str(text.this)))
    if isinstance(shape, Position):
        return _fixed_point(shape)
    if isinstance(shape, Circle):
        return CircleShape(_fixed_point(shape.center), number(shape.radius_deg), shape)
    return PolygonShape(_polygon_list(shape), shape)


def _read_centroid(node: exp.Expr) -> Shape:
    _arity(node, 1)
    shape = read(node.expressions[0])
    if isinstance(shape, PointShape):
        return shape
    if isinstance(shape, CircleShape):
        return shape.center
    if shape.fixed is not None:
        polygon = shape.fixed
        return _fixed_point(_region(node, lambda: exact.centroid(polygon)))
    return _point_in(call("sg_centroid", spelled(shape)))


_READERS: dict[str, Callable[[exp.Expr], Shape]] = {
    "POINT": _read_point,
    "CIRCLE": _read_circle,
    "BOX": _read_box,
    "POLYGON": _read_polygon,
    "REGION": _read_region,
    "CENTROID": _read_centroid,
}


def _center(node: exp.Expr, sizes: int) -> tuple[PointShape, list[exp.Expr]]:
    """The centre, given as a point or as two numbers, and the sizes that follow it."""
    arguments = node.expressions
    if len(arguments) == sizes + 1:
        return read_point(arguments[0]), arguments[1:]
    _arity(node, sizes + 2)
    return point_at(arguments[0], arguments[1], node), arguments[2:]


def _arity(node: exp.Expr, count: int) -> None:
    if len(node.expressions) != count:
        raise bad(node, f"{node.this} takes {count} arguments, not {len(node.expressions)}")


def _region(node: exp.Expr, make: Callable[[], T]) -> T:
    """What is made; a `BadRegion` becomes a `BadQuery` at the node."""
    try:
        return make()
    except BadRegion as error:
        raise bad(node, error.message, error.hint) from error


def _fixed_point(position: Position) -> PointShape:
    return PointShape(number(position.ra_deg), number(position.dec_deg), position)


def _fixed_polygon(node: exp.Expr, make: Callable[[], Polygon]) -> PolygonShape:
    polygon = _region(node, make)
    _region(node, lambda: outline_of(polygon))
    return PolygonShape(_polygon_list(polygon), polygon)


def _polygon_list(polygon: Polygon) -> exp.Expr:
    return _list(*(v for c in polygon.corners for v in (c.ra_deg, c.dec_deg)))


def _list(*numbers: float) -> exp.Expr:
    return call("list_value", *(number(n) for n in numbers))


def _point_in(node: exp.Expr) -> PointShape:
    """The point that a list in a column (or a value) begins with."""
    return PointShape(
        _guarded_longitude(call("list_extract", clone(node), whole(1))),
        _guarded(call("list_extract", clone(node), whole(2)), -90.0, 90.0),
        whole=node,
    )


def _measured(value: exp.Expr, low: float, high: float) -> bool:
    """Whether statistics show that all values of a column (but nulls) are within a range."""
    column = value.meta.get("column")
    stats = column.stats if isinstance(value, exp.Column) and isinstance(column, Column) else None
    if stats is None or stats.nans or stats.infinities:
        return False
    least, most = stats.minimum, stats.maximum
    return isinstance(least, (int, float)) and isinstance(most, (int, float)) and low <= least <= most <= high


def _guarded_longitude(value: exp.Expr) -> exp.Expr:
    value = bare(value)
    if _measured(value, -math.inf, math.inf):
        return double(clone(value))
    return when(call("isfinite", double(clone(value))), double(clone(value)))


def _guarded(value: exp.Expr, low: float, high: float) -> exp.Expr:
    value = bare(value)
    if _measured(value, low, high):
        return double(clone(value))
    return when(sql_between(double(clone(value)), number(low), number(high)), double(clone(value)))


def _turned(lon: exp.Expr) -> exp.Expr:
    """A longitude between 0 and 360 (DALI 1.1, section 3.3.5)."""
    if isinstance(lon, exp.Literal) or _measured(lon, 0.0, 360.0):
        return clone(lon)
    value = clone(lon)
    inside = sql_between(value, number(0.0), number(360.0))
    turned = call(
        "fmod", binary(exp.Add, call("fmod", clone(lon), number(360.0)), number(360.0)), number(360.0)
    )
    case = when(inside, clone(lon))
    case.set("default", turned)
    return case


def _xtype(node: exp.Expr) -> str | None:
    described = node.meta.get("datatype") or node.meta.get("column")
    xtype = getattr(described, "xtype", None)
    return xtype if xtype in ("point", "circle", "polygon") and not node.meta.get("native") else None
