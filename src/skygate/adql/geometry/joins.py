"""Joins by distance become joins of cells: each pair once, and never a cross product.

The discs of one side are spread over the cells that they may touch (a derived table with one row for each
cell), and meet the rows of the other side by the one cell that holds them; the exact test stays. A row of the
other side is in one cell only, so no pair comes twice. See docs/decisions/065.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlglot import exp

from skygate.adql.geometry import relations as rel
from skygate.adql.geometry.constants import constant, upper_bound
from skygate.adql.geometry.full import divide
from skygate.adql.geometry.lateral import look_from_outside, look_into_cells, only_inner
from skygate.adql.geometry.nearness import distance_ends, membership, nearness
from skygate.adql.geometry.relations import Condition, Relation
from skygate.adql.geometry.shapes import CircleShape, PointShape, PolygonShape, Shape, name_of, read, spelled
from skygate.adql.geometry.sql import bare, binary, both, call, clone, double, named, native, number, whole
from skygate.domain.catalog import CELL_ORDER
from skygate.sky.cells import order_for

SPREAD = 8.0
"""Cells are at least this many radii wide: a disc then touches 1 to 4 of them, mostly 1 or 2."""
FINEST_ORDER = 20
UNKNOWN_ORDER = 8
"""For radii of which nothing is known: cells of 14 arcmin."""
MANY_CELLS_RADIUS = 50.0
"""In cells: discs of about 8,000 cells, which a few rows may have."""
WIDEST_DEG = 3.0
"""Discs of this size stand in for smaller ones of unknown size; wider ones would tell nothing."""
MANY_ROWS = 20_000
"""So many rows are not spread before it is known which of them can have a partner at all."""
ASSUMED_ROWS = 10_000
"""Of sub-queries and uploads."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """One way to join by cells: rows of `spread` are repeated for their `cells`, rows of `held` have one."""

    spread: str
    held: str
    held_point: PointShape
    cells: Callable[[exp.Expr], exp.Expr]
    order: int
    center: PointShape | None = None
    """The centre of the discs that are spread."""
    back: Callable[[exp.Expr], exp.Expr] | None = None
    """The cells of discs about the held rows in which a spread centre must be, where they are known."""


def join_by_cells(select: exp.Select) -> None:
    """Rewrite each relation that a condition ties to another by distance or membership."""
    relations = rel.relations_of(select)
    outer = _outer(select)
    if len(relations) + len(outer) < 2:
        return
    conditions = rel.conditions_of(select)
    done: set[str] = set()
    for condition in conditions:
        plans = [
            plan
            for plan in _plans(condition.node)
            if {plan.spread, plan.held} <= relations.keys() | outer.keys() and plan.spread not in done
        ]
        allowed = [
            p for p in plans if p.spread in relations and _allowed(p, condition, relations | outer, select)
        ]
        if not allowed:
            name = f"_sg_cell_{len(done)}"
            if any(_look(select, condition, plan, relations, outer, name) for plan in plans):
                done.add(name)
                relations = rel.relations_of(select)
            continue
        plan = min(allowed, key=lambda p: _cost(p, relations))
        name = f"_sg_cell_{len(done)}"
        spread, held = relations[plan.spread], (relations | outer)[plan.held]
        if _spread(select, spread, held, plan, name, conditions):
            done.add(plan.spread)
            _add(condition, _same_cell(plan, spread, held, name))
            relations = rel.relations_of(select)


def _look(
    select: exp.Select,
    condition: Condition,
    plan: _Plan,
    relations: dict[str, Relation],
    outer: dict[str, Relation],
    name: str,
) -> bool:
    """Look into the cells of a shape, for each row that a LEFT JOIN keeps or that asks a sub-query."""
    held, join = relations.get(plan.held), condition.join
    if held is None:
        return False
    cells, key = plan.cells(whole(plan.order)), _key(plan, held)
    if join is not None and rel.side_of(join) == "LEFT" and held.join is join and not _natural(select):
        columns = rel.columns_used(select, plan.held)
        return columns is not None and look_into_cells(
            join, held, columns.values(), cells=cells, key=key, name=name
        )
    if plan.spread in relations or plan.spread not in outer or not only_inner(select):
        return False
    _add(condition, look_from_outside(select, cells=cells, key=key, name=name))
    return True


def divide_full(select: exp.Select) -> None:
    """Divide a FULL JOIN of two tables whose condition can go through cells."""
    relations, joins = rel.relations_of(select), select.args.get("joins") or []
    if len(relations) != 2 or len(joins) != 1 or rel.side_of(joins[0]) != "FULL" or _natural(select):
        return
    one, other = relations.values()
    conditions = [c for c in rel.conditions_of(select) if c.join is not None]
    plain = all(isinstance(r.node, exp.Table) and r.node.meta.get("sample") is None for r in (one, other))
    if not plain or any(c.node.find(exp.Query) for c in conditions):
        return
    used = {r.alias: rel.columns_used(select, r.alias) for r in (one, other)}
    known = {alias: columns for alias, columns in used.items() if columns is not None}
    if len(known) == 2 and any({p.spread, p.held} == set(known) for c in conditions for p in _plans(c.node)):
        divide(select, one, other, known)


def _plans(node: exp.Expr) -> Iterator[_Plan]:
    """The ways to join by cells that a condition allows."""
    for one, other in _pairs(bare(node)):
        for held, spread in ((one, other), (other, one)):
            plan = _plan(held, spread)
            if plan is not None:
                yield plan


def _pairs(node: exp.Expr) -> Iterator[tuple[Shape, Shape]]:
    """Shapes that must have a point in common for the condition to be true."""
    test = membership(node)
    if test is not None:
        yield read(test.expressions[0]), read(test.expressions[1])
    limited = nearness(node)
    if limited is not None and not _has_geometry(limited[1]):
        inner, radius = limited
        ends = distance_ends(inner)
        if ends is not None:
            one, other = ends
            value = constant(radius)
            size = number(float(value)) if value is not None else double(clone(radius))
            yield one, CircleShape(other, size, written_radius=radius)
            if value is None:
                yield other, CircleShape(one, size, written_radius=radius)


def _plan(held: Shape, spread: Shape) -> _Plan | None:
    """Rows of `held` by their cell, rows of `spread` by the cells they touch."""
    if isinstance(held, CircleShape) and isinstance(spread, (PointShape, CircleShape)):
        # circles meet where the centre of one is in a disc of both radii about the other
        radius = (
            binary(exp.Add, held.radius, spread.radius) if isinstance(spread, CircleShape) else held.radius
        )
        written = [s.written_radius for s in (held, spread) if isinstance(s, CircleShape)]
        center = spread.center if isinstance(spread, CircleShape) else spread
        return _disc_plan(held.center, center, radius, written)
    if isinstance(held, PointShape) and isinstance(spread, PointShape):
        return _disc_plan(held, spread, number(0.0), [])
    if isinstance(held, PointShape) and isinstance(spread, CircleShape):
        return _disc_plan(held, spread.center, spread.radius, [spread.written_radius])
    if isinstance(held, PointShape) and isinstance(spread, PolygonShape):
        sides = _alias_of([held.lon, held.lat]), _alias_of([spread.value])
        if sides[0] is None or sides[1] is None or sides[0] == sides[1]:
            return None
        value = spread
        return _Plan(
            sides[1],
            sides[0],
            held,
            lambda order: call("sg_region_cells", spelled(value), order),
            UNKNOWN_ORDER,
        )
    return None


def _disc_plan(
    held: PointShape, center: PointShape, radius: exp.Expr, written: list[exp.Expr | None]
) -> _Plan | None:
    one, other = _alias_of([held.lon, held.lat]), _alias_of([center.lon, center.lat])
    if one is None or other is None or one == other:
        return None
    bounds = [None if w is None else upper_bound(w) for w in written]
    known = [b for b in bounds if b is not None]
    order = UNKNOWN_ORDER
    widest = max(sum(known), 0.0) if len(known) == len(bounds) else None
    if widest is not None:
        order = min(FINEST_ORDER, order_for(SPREAD * widest))
        if _aliases([radius]) <= {other} and any(w is not None and _aliases([w]) for w in written):
            # most discs are far smaller than the widest, which may touch many cells, but not too many
            order = max(order, min(UNKNOWN_ORDER, order_for(widest / MANY_CELLS_RADIUS)))
    if _aliases([radius]) - {other}:
        # a radius from elsewhere: discs as wide as the widest, if that is known
        if widest is None or widest > WIDEST_DEG:
            return None
        radius = number(widest)

    def cells(at: exp.Expr) -> exp.Expr:
        # the exact test allows 1e-12 degrees beyond the radius; discs are padded by more
        return call("sg_disc_cells", clone(center.lon), clone(center.lat), clone(radius), at)

    def back(at: exp.Expr) -> exp.Expr:
        return call("sg_disc_cells", clone(held.lon), clone(held.lat), clone(radius), at)

    return _Plan(other, one, held, cells, order, center, None if _aliases([radius]) else back)


def _allowed(plan: _Plan, condition: Condition, relations: dict[str, Relation], select: exp.Select) -> bool:
    """Whether repeated rows of the spread side all vanish by this condition, and none that must stay."""
    if condition.join is None:
        return True
    side = rel.side_of(condition.join)
    if side == "":
        return True
    joins = select.args.get("joins") or []
    spread = relations[plan.spread]
    if side == "LEFT":
        return spread.join is condition.join
    earlier = spread.join is None or joins.index(spread.join) < joins.index(condition.join)
    return side == "RIGHT" and earlier and relations[plan.held].join is condition.join


def _cost(plan: _Plan, relations: dict[str, Relation]) -> tuple[float, bool]:
    """Rows to be spread; then whether the other side's cells must be computed."""
    return _rows(relations[plan.spread]), rel.alias_of_point(plan.held_point) is None


def _rows(relation: Relation) -> float:
    table = relation.table
    return float(table.rows) if table is not None and table.rows is not None else ASSUMED_ROWS


def _spread(
    select: exp.Select,
    relation: Relation,
    held: Relation,
    plan: _Plan,
    name: str,
    conditions: list[Condition],
) -> bool:
    """Put a derived table with one row for each cell in the relation's place."""
    columns = rel.columns_used(select, relation.alias)
    if columns is None or _natural(select):
        return False
    inner = exp.Select()
    projections = [named(column) for column in columns.values()]
    cells = call("unnest", plan.cells(whole(plan.order)))
    projections.append(native(exp.Alias(this=cells, alias=exp.Identifier(this=name, quoted=True))))
    inner.set("expressions", projections)
    source = clone(relation.node)
    inner.set("from_", exp.From(this=source))
    own = [clone(c.node) for c in conditions if _can_move(c, relation, select)]
    partners = _partners(plan, relation, held)
    if partners is not None:
        own.insert(0, partners)
    if own:
        inner.set("where", exp.Where(this=both(own)))
    derived = exp.Subquery(this=inner, alias=exp.TableAlias(this=rel.alias_identifier(relation)))
    relation.node.replace(derived)
    return True


def _partners(plan: _Plan, spread: Relation, held: Relation) -> exp.Expr | None:
    """Where many rows would be spread: only those whose cell a disc about some held row touches."""
    table = spread.table
    if plan.back is None or plan.center is None or table is None or not isinstance(held.node, exp.Table):
        return None
    if rel.alias_of_point(plan.center) != spread.alias or held.node.meta.get("sample") is not None:
        return None
    if _rows(spread) < MANY_ROWS or _rows(held) > _rows(spread) / 4:
        return None
    inner = exp.Select(expressions=[call("unnest", plan.back(whole(plan.order)))])
    inner.set("from_", exp.From(this=clone(held.node)))
    column = rel.cell_column(spread.alias, rel.alias_identifier(spread), table)
    key = native(exp.Paren(this=binary(exp.BitwiseRightShift, column, whole(2 * (CELL_ORDER - plan.order)))))
    return native(exp.In(this=key, query=exp.Subquery(this=inner)))


def _outer(select: exp.Select) -> dict[str, Relation]:
    """The relations of the queries around a sub-query, whose rows its conditions may name."""
    found: dict[str, Relation] = {}
    scope = select.find_ancestor(exp.Select)
    while scope is not None:
        found = rel.relations_of(scope) | found
        scope = scope.find_ancestor(exp.Select)
    return found


def _same_cell(plan: _Plan, spread: Relation, held: Relation, name: str) -> exp.Expr:
    table = rel.alias_identifier(spread)
    right = native(exp.Column(this=exp.Identifier(this=name, quoted=True), table=table))
    return native(exp.EQ(this=_key(plan, held), expression=right))


def _key(plan: _Plan, held: Relation) -> exp.Expr:
    """The cell of a row, from the column of cells where there is one."""
    table = held.table
    if rel.alias_of_point(plan.held_point) == held.alias and table is not None:
        column = rel.cell_column(held.alias, rel.alias_identifier(held), table)
        return binary(exp.BitwiseRightShift, column, whole(2 * (CELL_ORDER - plan.order)))
    point = plan.held_point
    return call("sg_cell", clone(point.lon), clone(point.lat), whole(plan.order))


def _add(condition: Condition, extra: exp.Expr) -> None:
    """Put a condition before another, in its place."""
    node = condition.node
    inner = clone(node)
    holder = exp.Paren(this=inner) if isinstance(inner, exp.Connector) else inner
    node.replace(native(exp.Paren(this=native(exp.And(this=extra, expression=holder)))))


def _can_move(condition: Condition, relation: Relation, select: exp.Select) -> bool:
    """Whether rows of the relation that fail the condition can be left out before the join."""
    node = condition.node
    if _aliases([node]) != {relation.alias} or node.find(exp.Query, exp.Window, exp.AggFunc):
        return False
    if condition.join is None:
        return all(rel.side_of(join) == "" for join in select.args.get("joins") or [])
    side = rel.side_of(condition.join)
    return side == "" or (side == "LEFT" and relation.join is condition.join)


def _natural(select: exp.Select) -> bool:
    """Whether a join finds its columns by name: such relations keep all of theirs."""
    joins = select.args.get("joins") or []
    return any(join.args.get("using") or join.args.get("method") for join in joins)


def _alias_of(nodes: list[exp.Expr]) -> str | None:
    """The one alias whose columns these are made of."""
    found = _aliases(nodes)
    return next(iter(found)) if len(found) == 1 else None


def _aliases(nodes: list[exp.Expr]) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        if node.find(exp.Query):
            found.add("")
        found |= {column.table for column in node.find_all(exp.Column)}
    return found


def _has_geometry(node: exp.Expr) -> bool:
    return any(name_of(n) == "DISTANCE" for n in node.walk())
