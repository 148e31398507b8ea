"""The second wall: DuckDB's own parse of a text is walked, and whatever is not a plain SELECT over given
relations is refused.

Must not know: ADQL, files. The first wall is `skygate.adql`, which makes every text; this one holds when
that one does not. Data-modifying CTEs call themselves SELECT in DuckDB 2: a statement's kind is not enough.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb

from skygate.domain.query import Mark, Plan
from skygate.errors import BadQuery, HouseError

_QUERIES = {"SELECT_NODE", "SET_OPERATION_NODE"}
_RELATIONS = {"BASE_TABLE", "SUBQUERY", "JOIN", "EMPTY", "EXPRESSION_LIST", "TABLE_FUNCTION"}
_MODIFIERS = {"ORDER_MODIFIER", "LIMIT_MODIFIER", "DISTINCT_MODIFIER"}
_ORDERS = {"ASCENDING", "DESCENDING", "ORDER_DEFAULT"}
_NODES = _QUERIES | _RELATIONS | _MODIFIERS | _ORDERS
_EXPRESSIONS = {
    *("BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT"),
    *("FUNCTION", "LAMBDA", "LAMBDA_REF", "OPERATOR", "STAR", "SUBQUERY", "TYPE", "WINDOW"),
}
_TABLE_FUNCTIONS = {"unnest", "range", "generate_series"}
_MACROS = {"fdiv", "fmod", "nullif", "split_part", "list_sum", "list_max", "list_min", "list_append"}
_SYNTAX = {"coalesce", "row", "struct_pack", "unnest", "error", "grouping", "grouping_id", "if", "ifnull"}
_VOLATILE = {"random", "setseed", "uuid", "gen_random_uuid"}
_CLOCK = {"today", "now", "current_date", "get_current_timestamp", "get_current_time"}
_REMEMBERED_CHARACTERS = 4_000_000
_NEVER = ("__internal", "json_serialize", "json_deserialize", "parse_duckdb", "write_log")


def safe_functions(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Names of functions that only calculate: no files, no settings, no clock but the query's own."""
    rows = connection.execute(
        "SELECT DISTINCT function_name FROM duckdb_functions() "
        "WHERE function_type IN ('scalar', 'aggregate', 'window') AND stability = 'CONSISTENT'"
    ).fetchall()
    found = {str(name).lower() for (name,) in rows}
    return frozenset({n for n in found if not n.startswith(_NEVER)} | _MACROS | _SYNTAX | _VOLATILE | _CLOCK)


class Gate:
    """Checks the texts of plans, and remembers the plans that have passed.

    One passes again whatever its relations and its run are called this time: nothing else is different, and
    no text can know of them.
    """

    def __init__(self, functions: frozenset[str]) -> None:
        self.functions = functions
        self._passed: OrderedDict[tuple[str | Mark | None, ...], int] = OrderedDict()
        self._size = 0
        self._guard = threading.Lock()

    def check(
        self, connection: duckdb.DuckDBPyConnection, plan: Plan, text: str, relations: Sequence[str]
    ) -> None:
        """Raise as `check` does, unless the plan, whose text this is, has passed before."""
        key = tuple([piece if isinstance(piece, (str, Mark)) else None for piece in plan.pieces])
        with self._guard:
            if key in self._passed:
                self._passed.move_to_end(key)
                return
        check(connection, text, relations=dict.fromkeys(relations, 1), functions=self.functions)
        with self._guard:
            self._size += len(text) - self._passed.pop(key, 0)
            self._passed[key] = len(text)
            while self._size > _REMEMBERED_CHARACTERS:
                self._size -= self._passed.popitem(last=False)[1]


def check(
    connection: duckdb.DuckDBPyConnection,
    text: str,
    *,
    relations: Mapping[str, int],
    functions: frozenset[str],
) -> None:
    """Raise unless `text` is one SELECT that reads `relations` and nothing else.

    `relations` says how often each given name must stand as a relation. A text that fails is our own fault
    (`HouseError`): the caller's was refused long before.
    """
    try:
        statements = connection.extract_statements(text)
    except duckdb.Error as fault:
        raise HouseError("the query was translated into something that the engine cannot read") from fault
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise _refused("it is not one SELECT")
    rows = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [text]).fetchall()
    try:
        tree = json.loads(rows[0][0])
    except RecursionError:
        raise BadQuery("the query is nested too deeply", hint="split it with WITH") from None
    if tree.get("error"):
        raise _refused("its parse cannot be looked at")
    counts = _walk(tree["statements"], frozenset(relations), functions)
    if counts != dict(relations):
        raise _refused("its tables are not where they should be")


def _walk(statements: list[Any], given: frozenset[str], functions: frozenset[str]) -> dict[str, int]:
    """Visit everything once; return how often each given relation stands."""
    counts = dict.fromkeys(given, 0)
    todo: list[tuple[Any, frozenset[str]]] = [(statement, frozenset[str]()) for statement in statements]
    while todo:
        thing, scope = todo.pop()
        if isinstance(thing, list):
            todo.extend((item, scope) for item in thing)
        elif isinstance(thing, dict):
            if "class" in thing:
                _check_expression(thing, functions)
            elif isinstance(thing.get("type"), str):
                kind = thing["type"]
                if kind not in _NODES:
                    raise _refused(f"it has a {kind}")
                if kind == "BASE_TABLE":
                    _check_relation(thing, given, scope, counts)
                elif kind == "TABLE_FUNCTION":
                    _check_table_function(thing, functions)
                    todo.extend((v, scope) for k, v in thing.items() if k != "function")
                    todo.append((thing["function"].get("arguments"), scope))
                    continue
            if "cte_map" in thing:
                todo.extend(_common_tables(thing["cte_map"], scope))
                scope = scope | _names(thing["cte_map"])
            inner = [v for k, v in thing.items() if k != "cte_map" and isinstance(v, (dict, list))]
            todo.extend((v, scope) for v in inner)
    return counts


def _names(cte_map: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(str(entry["key"]).lower() for entry in cte_map.get("map", []))


def _common_tables(cte_map: Mapping[str, Any], scope: frozenset[str]) -> Iterable[tuple[Any, frozenset[str]]]:
    """Each common table sees only those before it: its own name inside it would be somebody else's table."""
    for entry in cte_map.get("map", []):
        node = entry["value"].get("query_node")
        if not isinstance(node, dict) or node.get("type") not in _QUERIES:
            raise _refused("a common table is not a SELECT")
        yield entry["value"], scope
        scope = scope | {str(entry["key"]).lower()}


def _check_relation(
    thing: Mapping[str, Any], given: frozenset[str], scope: frozenset[str], counts: dict[str, int]
) -> None:
    path = thing.get("qualified_name", {}).get("path", [])
    if len(path) != 1 or thing.get("at_clause") is not None or thing.get("catalog_name"):
        raise _refused("it names a table that it was not given")
    name = str(path[0])
    if name in given:
        counts[name] += 1
    elif name.lower() not in scope:
        raise _refused("it names a table that it was not given")


def _check_expression(thing: Mapping[str, Any], functions: frozenset[str]) -> None:
    kind = thing["class"]
    if kind not in _EXPRESSIONS:
        raise _refused(f"it has a {kind}")
    if kind == "STAR" and (thing.get("columns") or thing.get("expr") is not None):
        raise _refused("it has COLUMNS()")
    if kind in ("FUNCTION", "WINDOW"):
        _check_function(thing, functions)


def _check_function(thing: Mapping[str, Any], functions: frozenset[str]) -> None:
    path = thing.get("qualified_name", {}).get("path", [])
    name = str(path[-1] if path else thing.get("function_name", "")).lower()
    if len(path) > 1 or thing.get("schema") or thing.get("catalog") or name not in functions:
        raise _refused(f"it calls {name}")


def _check_table_function(thing: Mapping[str, Any], functions: frozenset[str]) -> None:
    call = thing.get("function", {})
    path = call.get("qualified_name", {}).get("path", [])
    if call.get("class") != "FUNCTION" or len(path) != 1 or str(path[0]).lower() not in _TABLE_FUNCTIONS:
        raise _refused("it reads from a function")
    _check_expression({**call, "qualified_name": {"path": ["unnest"]}}, functions | {"unnest"})


def _refused(why: str) -> HouseError:
    return HouseError(f"the engine refused a translated query: {why}")
