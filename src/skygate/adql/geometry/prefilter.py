"""Conditions on the positions of catalogue tables become ranges of cells beside the exact test."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlglot import exp

from skygate.adql.geometry import relations as rel
from skygate.adql.geometry.constants import constant
from skygate.adql.geometry.nearness import distance_ends, membership, nearness
from skygate.adql.geometry.relations import Condition, Relation
from skygate.adql.geometry.shapes import CircleShape, PointShape, Shape, constant_of, name_of, read
from skygate.adql.geometry.sql import bare, between, both, clone, either, number, truth, whole
from skygate.domain.catalog import Table
from skygate.domain.sky import Box, Circle, Polygon, Position
from skygate.sky import ranges as ranges_of
from skygate.sky import relate
from skygate.sky.cover import cover
from skygate.sky.outline import latitudes_deg, outline_of
from skygate.sky.ranges import Ranges

MAX_IN_SQL = 3
"""More ranges cost an engine more than the rows between them (docs/decisions/064)."""
MAX_FOR_FILES = 64
_BELT_DEG = 1e-5
"""More than the tolerance of the exact test, and than what rounding makes of a latitude at a pole, 9e-7."""

Limits = dict[str, Ranges]
"""By alias: the cells outside of which a condition cannot be true."""


@dataclass(slots=True)
class _Bounds:
    """What comparisons with constants leave of a table's coordinates, in degrees.

    A row without a position has no cell, yet a comparison of one coordinate may be true of it. So either
    the statistics say that every row has a position (`clean`), or the query bounds both coordinates on both
    sides (`asked`).
    """

    clean: tuple[float, float, float, float] | None
    asked: list[float] = field(default_factory=lambda: [-math.inf, math.inf, -math.inf, math.inf])

    @property
    def ra(self) -> tuple[float, float]:
        """West and east ends."""
        low, high = self.asked[0], self.asked[1]
        return (low, high) if self.clean is None else (max(low, self.clean[0]), min(high, self.clean[1]))

    @property
    def dec(self) -> tuple[float, float]:
        """South and north ends."""
        low, high = self.asked[2], self.asked[3]
        return (low, high) if self.clean is None else (max(low, self.clean[2]), min(high, self.clean[3]))


def limit_by_cells(select: exp.Select) -> None:
    """Add ranges of cells to WHERE and ON, and say in `meta["cells"]` to what a table is limited."""
    relations = rel.relations_of(select)
    groups: dict[int, list[Condition]] = {}
    for condition in rel.conditions_of(select):
        groups.setdefault(id(condition.join), []).append(condition)
    for conditions in groups.values():
        join = conditions[0].join
        limits = _all_of([c.node for c in conditions])
        for belt in _belts(conditions):
            _add(select, join, belt)
        for alias, cells in limits.items():
            relation = relations.get(alias)
            if relation is None or relation.table is None:
                continue
            _add(select, join, _condition(relation, cells))
            if _limits_rows(relation, join, select):
                _remember(relation, cells)


def _condition(relation: Relation, cells: Ranges) -> exp.Expr | None:
    """The cells as a condition on the column of cells; None where they are the whole sky."""
    short = ranges_of.simplify(cells, MAX_IN_SQL)
    if len(short) == 0:
        return truth(value=False)
    if short[0, 0] == 0 and short[0, 1] == ranges_of.LAST_CELL:
        return None
    table = relation.table
    assert table is not None
    name = rel.alias_identifier(relation)
    return either(
        between(rel.cell_column(relation.alias, name, table), whole(first), whole(last))
        for first, last in ranges_of.pairs_of(short)
    )


def _belts(conditions: list[Condition]) -> Iterator[exp.Expr]:
    """Declinations between which a polygon lies that must hold the point of a row: a cheap first test."""
    for condition in conditions:
        near = _test(bare(condition.node))
        if near is None or rel.alias_of_point(near[0]) is None:
            continue
        region = constant_of(near[1])
        if isinstance(region, Polygon):
            low, high = latitudes_deg(outline_of(region))
            yield between(clone(near[0].lat), number(low - _BELT_DEG), number(high + _BELT_DEG))


def _add(select: exp.Select, join: exp.Join | None, condition: exp.Expr | None) -> None:
    """Join a condition by AND to WHERE, or to a join's ON."""
    if condition is None:
        return
    holder = select.args["where"] if join is None else join
    key = "this" if join is None else "on"
    present = holder.args[key]
    holder.set(key, both([condition, exp.Paren(this=present) if isinstance(present, exp.Or) else present]))


def _limits_rows(relation: Relation, join: exp.Join | None, select: exp.Select) -> bool:
    """Whether rows of the relation outside the cells can be left out before any join.

    A condition in WHERE is never true of a row that an outer join has filled with nulls. A condition in ON
    limits the side that an outer join does not preserve.
    """
    if relation.node.meta.get("sample") is not None:
        return False
    if join is None:
        return True
    side = rel.side_of(join)
    if side == "":
        return True
    joins = select.args.get("joins") or []
    earlier = relation.join is None or joins.index(relation.join) < joins.index(join)
    if side == "LEFT":
        return relation.join is join
    return side == "RIGHT" and earlier


def _remember(relation: Relation, cells: Ranges) -> None:
    before = relation.node.meta.get("cells")
    if before is not None:
        cells = ranges_of.intersection(ranges_of.of_pairs(before), cells)
    relation.node.meta["cells"] = ranges_of.pairs_of(ranges_of.simplify(cells, MAX_FOR_FILES))


def _all_of(nodes: list[exp.Expr]) -> Limits:
    """Limits of conditions joined by AND."""
    found: Limits = {}
    bounds: dict[str, _Bounds] = {}
    for node in nodes:
        _bound(node, bounds)
        for alias, cells in _limits(node).items():
            found[alias] = ranges_of.intersection(found[alias], cells) if alias in found else cells
    for alias, bound in bounds.items():
        cells = _box_cells(bound)
        if cells is not None:
            found[alias] = ranges_of.intersection(found[alias], cells) if alias in found else cells
    return found


def _limits(node: exp.Expr) -> Limits:
    node = bare(node)
    if isinstance(node, exp.And):
        return _all_of(list(rel.conjuncts(node)))
    if isinstance(node, exp.Or):
        one, other = _limits_of_side(node.this), _limits_of_side(node.expression)
        return {alias: ranges_of.union(one[alias], other[alias]) for alias in one.keys() & other.keys()}
    near = _test(node)
    if near is None:
        return {}
    point, shape = near
    alias = rel.alias_of_point(point)
    region = constant_of(shape)
    if alias is None or region is None:
        return {}
    return {alias: _cells_of(region)}


def _limits_of_side(node: exp.Expr) -> Limits:
    """Limits of one side of OR, which may itself be joined by AND."""
    return _all_of(list(rel.conjuncts(node)))


def _cells_of(region: relate.Shape) -> Ranges:
    if isinstance(region, Position):
        region = Circle(region, 0.0)
    return cover(region, max_ranges=MAX_FOR_FILES)


def _test(node: exp.Expr) -> tuple[PointShape, Shape] | None:
    """(point, region) of a condition that is true only where the region holds the point."""
    test = membership(node)
    if test is not None:
        one, two = read(test.expressions[0]), read(test.expressions[1])
        return _point_first(one, two, symmetric=name_of(test) == "INTERSECTS")
    limited = nearness(node)
    return _near(*limited) if limited is not None else None


def _point_first(one: Shape, two: Shape, *, symmetric: bool) -> tuple[PointShape, Shape] | None:
    if isinstance(one, PointShape) and (one.fixed is None or not isinstance(two, PointShape)):
        return one, two
    if isinstance(two, PointShape) and (symmetric or isinstance(one, PointShape)):
        return two, one
    return None


def _near(inner: exp.Expr, limit: exp.Expr) -> tuple[PointShape, Shape] | None:
    """(point, circle) of a distance to a constant point that is less than a constant."""
    radius = constant(limit)
    if radius is None or radius < 0:
        return None
    ends = distance_ends(inner)
    if ends is None:
        return None
    moving, fixed = ends if ends[1].fixed is not None else (ends[1], ends[0])
    if fixed.fixed is None:
        return None
    circle = Circle(fixed.fixed, min(float(radius), 180.0))
    return moving, CircleShape(fixed, number(circle.radius_deg), circle)


def _bound(node: exp.Expr, bounds: dict[str, _Bounds]) -> None:
    """Note a comparison of a position column with constants."""
    node = bare(node)
    if isinstance(node, exp.Between):
        low, high = constant(node.args["low"]), constant(node.args["high"])
        _narrow(node.this, low, high, bounds)
    elif isinstance(node, (exp.LT, exp.LTE)):
        _narrow(node.this, None, constant(node.expression), bounds)
        _narrow(node.expression, constant(node.this), None, bounds)
    elif isinstance(node, (exp.GT, exp.GTE)):
        _narrow(node.this, constant(node.expression), None, bounds)
        _narrow(node.expression, None, constant(node.this), bounds)
    elif isinstance(node, exp.EQ):
        for side, other in ((node.this, node.expression), (node.expression, node.this)):
            value = constant(other)
            _narrow(side, value, value, bounds)


def _narrow(node: exp.Expr, low: float | None, high: float | None, bounds: dict[str, _Bounds]) -> None:
    column = bare(node)
    if not isinstance(column, exp.Column) or (low is None and high is None):
        return
    table = column.meta.get("table")
    if not isinstance(table, Table) or not table.has_cells or table.position is None:
        return
    name = rel.described_name(column)
    if name not in (table.position.ra, table.position.dec):
        return
    bound = bounds.setdefault(column.table, _Bounds(_extent(table)))
    i = 0 if name == table.position.ra else 2
    if low is not None:
        bound.asked[i] = max(bound.asked[i], float(low))
    if high is not None:
        bound.asked[i + 1] = min(bound.asked[i + 1], float(high))


def _extent(table: Table) -> tuple[float, float, float, float] | None:
    """(west, east, south, north) of all rows, when statistics show that every row has a position."""
    assert table.position is not None
    ends: list[float] = []
    for name in (table.position.ra, table.position.dec):
        column = table.column(name)
        stats = column.stats if column is not None else None
        if stats is None or stats.nulls or stats.nans or stats.infinities:
            return None
        for end in (stats.minimum, stats.maximum):
            if not isinstance(end, (int, float)):
                return None
            ends.append(float(end))
    west, east, south, north = ends
    return (west, east, south, north) if -90.0 <= south <= north <= 90.0 else None


def _box_cells(bound: _Bounds) -> Ranges | None:
    """Cells between the bounds; None where they say too little."""
    west, east = bound.ra
    south, north = bound.dec
    if west > east or south > north:
        return ranges_of.nothing()
    width, height = min(east - west, 360.0), north - south
    if (
        not all(map(math.isfinite, (west, east, south, north)))
        or south < -90.0
        or north > 90.0
        or (width >= 360.0 and height >= 180.0)
    ):
        return None
    center = Position((west + east) / 2, (south + north) / 2)
    # rounding of the centre must not move an edge inwards
    box = Box(center, min(360.0, width + 1e-9), min(180.0, height + 1e-9))
    return cover(box, max_ranges=MAX_FOR_FILES)
