"""A DuckDB database with every door locked: what it may read, call and set, and how much it may use.

Must not know: plans. docs/decisions/070 says why each wall stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import Parameter, Signature
from typing import Any

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType

from skygate.adql.kernels import Kernel
from skygate.engines.duck_files import PREFIX, PartFiles

_MIB = 1 << 20
_SQL_TYPES = {pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.string(): "VARCHAR", pa.bool_(): "BOOLEAN"}


def open_database(
    files: PartFiles,
    *,
    spill: str,
    spill_bytes: int,
    memory_bytes: int,
    threads: int,
    kernels: Sequence[Kernel],
) -> duckdb.DuckDBPyConnection:
    """An empty database in memory that can read `files`, call `kernels` and spill to `spill`; locked."""
    database = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
            "memory_limit": f"{max(64, memory_bytes // _MIB)}MiB",
            "threads": threads,
        },
    )
    for kernel in kernels:
        _register(database, kernel)
    database.register_filesystem(files)
    _lock(database, spill, spill_bytes)
    return database


def quoted(value: str) -> str:
    """A text literal."""
    return "'" + value.replace("'", "''") + "'"


def _lock(database: duckdb.DuckDBPyConnection, spill: str, spill_bytes: int) -> None:
    """The sandbox: after this nothing can be reached but leased parts, and nothing can be set but limits."""
    for statement in (
        "SET allow_persistent_secrets=false",
        "SET GLOBAL TimeZone='UTC'",
        "SET GLOBAL error_on_division_by_zero=false",
        "SET GLOBAL parquet_metadata_cache=true",
        f"SET temp_directory={quoted(spill)}",
        f"SET max_temp_directory_size='{max(1, spill_bytes // _MIB)}MiB'",
        f"SET allowed_directories=[{quoted(PREFIX)}]",
        "SET allowed_configs=['max_execution_time', 'operator_memory_limit']",
        "SET enable_external_access=false",
        "SET lock_configuration=true",
    ):
        database.execute(statement)


def _register(database: duckdb.DuckDBPyConnection, kernel: Kernel) -> None:
    """Give DuckDB one of our vectorised functions; nulls are the function's own business."""

    def call(*columns: Any) -> Any:
        return kernel.function(
            *(c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for c in columns)
        )

    # DuckDB counts the parameters
    parameters = [Parameter(f"a{i}", Parameter.POSITIONAL_ONLY) for i in range(len(kernel.arguments))]
    call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    database.create_function(
        kernel.name,
        call,
        [_sql_type(t) for t in kernel.arguments],
        _sql_type(kernel.returns),
        type=PythonUDFType.ARROW,
        null_handling=FunctionNullHandling.SPECIAL,
    )


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return _sql_type(kind.value_type) + "[]"
    return _SQL_TYPES[kind]
