"""IVO_HEALPIX_INDEX of a table's own position is a shift of the column of cells that it is sorted by."""

from __future__ import annotations

from sqlglot import exp

from skygate.adql.geometry.constants import constant
from skygate.adql.geometry.relations import cell_column, position_alias, relations_of
from skygate.adql.geometry.shapes import name_of, read_point
from skygate.adql.geometry.sql import bare, binary, clone, native, whole
from skygate.domain.catalog import CELL_ORDER

INDEX = "IVO_HEALPIX_INDEX"


def lower_pixels(tree: exp.Query) -> None:
    """Every IVO_HEALPIX_INDEX with longitude and latitude; of a table's own position by its cells."""
    for node in list(tree.find_all(exp.Anonymous)):
        if name_of(node) != INDEX:
            continue
        own = own_index(node)
        if len(node.expressions) == 2:
            point = read_point(node.expressions[1])
            node.set("expressions", [node.expressions[0], clone(point.lon), clone(point.lat)])
        cells = _shifted(node, *own) if own is not None else None
        if cells is not None:
            cells.meta.update({k: v for k, v in node.meta.items() if k in ("datatype", "at")})
            node.replace(cells)


def own_index(node: exp.Expr) -> tuple[int, exp.Column, exp.Column] | None:
    """Order and position columns of an IVO_HEALPIX_INDEX of a table's own position; None for other nodes.

    Raises `BadQuery` where its position is none.
    """
    if name_of(node) != INDEX:
        return None
    order, *position = node.expressions
    columns = read_point(position[0]).columns if len(position) == 1 else tuple(bare(e) for e in position)
    fixed = constant(order)
    if fixed is None or not float(fixed).is_integer() or not 0 <= fixed <= CELL_ORDER or columns is None:
        return None
    lon, lat = columns
    if not isinstance(lon, exp.Column) or not isinstance(lat, exp.Column) or position_alias(lon, lat) is None:
        return None
    return int(fixed), lon, lat


def _shifted(node: exp.Anonymous, order: int, lon: exp.Column, lat: exp.Column) -> exp.Expr | None:
    select = _select_around(node)
    if select is None or _grouped(select, lon, lat):
        return None
    relation = relations_of(select).get(lon.table)
    if relation is None or relation.table is None:
        return None
    column = cell_column(lon.table, lon.args["table"], lon.meta["table"])
    steps = 2 * (CELL_ORDER - order)
    return native(exp.Paren(this=binary(exp.BitwiseRightShift, column, whole(steps)))) if steps else column


def _select_around(node: exp.Expr) -> exp.Select | None:
    """The SELECT that a node is part of; None in an ORDER BY, which may stand apart from it."""
    inside = node.parent
    while inside is not None and not isinstance(inside, (exp.Select, exp.Order)):
        inside = inside.parent
    return inside if isinstance(inside, exp.Select) else None


def _grouped(select: exp.Select, lon: exp.Column, lat: exp.Column) -> bool:
    """Whether the columns are grouped by themselves: then they, not the cell, have one value in a group."""
    group = select.args.get("group")
    keys = [bare(key) for key in group.expressions] if group is not None else []
    return any(isinstance(key, exp.Column) and key.name in (lon.name, lat.name) for key in keys)
