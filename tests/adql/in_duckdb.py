"""Plans in a DuckDB of the test's own: its kernels, and what stands in a plan for tables and marks."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature

import duckdb
import pyarrow as pa

from skygate.adql.kernels import KERNELS
from skygate.domain.catalog import Table
from skygate.domain.query import Mark, Plan

SQL_TYPES = {pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.string(): "VARCHAR", pa.bool_(): "BOOLEAN"}


def spelled(plan: Plan, name_of: Callable[[Table], str]) -> str:
    """A plan's text; its run has the number 0."""
    return "".join(
        p if isinstance(p, str) else "0" if isinstance(p, Mark) else name_of(p.table) for p in plan.pieces
    )


def register_kernels(connection: duckdb.DuckDBPyConnection) -> None:
    for kernel in KERNELS:
        connection.create_function(
            kernel.name,
            _as_udf(kernel.function, len(kernel.arguments)),
            ["BIGINT", *map(_sql_type, kernel.arguments)],
            _sql_type(kernel.returns),
            type="arrow",
            null_handling="special",
        )


def _as_udf(function: Callable, count: int) -> Callable:
    def call(run, *columns):
        return function(*(c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for c in columns))

    call.__signature__ = Signature([Parameter(f"a{i}", Parameter.POSITIONAL_ONLY) for i in range(count + 1)])
    return call


def _sql_type(kind: pa.DataType) -> str:
    return _sql_type(kind.value_type) + "[]" if pa.types.is_list(kind) else SQL_TYPES[kind]
