"""A DuckDB database with every door locked: what it may read, call and set, and how much it may use.

Must not know: plans. docs/decisions/070 says why each wall stands.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from inspect import Parameter, Signature
from typing import Any

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType

from skygate.adql.kernels import Kernel
from skygate.engines.duck_files import PREFIX, PartFiles

WRONG_OPTIMIZERS = "outer_join_simplification"
"""Passes of DuckDB 2.0.0 that change answers: this one loses conditions of a WITH that is used twice
(docs/decisions/073)."""
STOPPED = "skygate: stopped"
"""What a kernel raises when its query was cancelled or is overdue."""
_MIB = 1 << 20
_STEP_S = 0.05
_FIRST_ROWS, _FEWEST_ROWS, _MOST_ROWS = 64, 16, 1 << 20
_SQL_TYPES = {pa.int64(): "BIGINT", pa.float64(): "DOUBLE", pa.string(): "VARCHAR", pa.bool_(): "BOOLEAN"}


def open_database(
    files: PartFiles,
    *,
    spill: str,
    spill_bytes: int,
    memory_bytes: int,
    threads: int,
    kernels: Sequence[Kernel],
    stopped: Callable[[int], bool],
    attach: Callable[[duckdb.DuckDBPyConnection], None],
) -> duckdb.DuckDBPyConnection:
    """An empty database in memory that can read `files`, call `kernels` and spill to `spill`; locked.

    `attach` is called before it is locked: afterwards no file can be opened but `files`.

    A kernel asks `stopped` of its run's number as it goes on, since DuckDB cannot interrupt it.
    """
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
        _register(database, kernel, stopped)
    database.register_filesystem(files)
    attach(database)
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
        f"SET disabled_optimizers='{WRONG_OPTIMIZERS}'",
        f"SET temp_directory={quoted(spill)}",
        f"SET max_temp_directory_size='{max(1, spill_bytes // _MIB)}MiB'",
        f"SET allowed_directories=[{quoted(PREFIX)}]",
        "SET allowed_configs=['max_execution_time', 'operator_memory_limit', 'perfect_ht_threshold']",
        "SET enable_external_access=false",
        "SET lock_configuration=true",
    ):
        database.execute(statement)


def _register(database: duckdb.DuckDBPyConnection, kernel: Kernel, stopped: Callable[[int], bool]) -> None:
    """Give DuckDB one of our vectorised functions; nulls are the function's own business."""
    call = _in_steps(kernel, stopped)

    # DuckDB counts the parameters
    parameters = [Parameter(f"a{i}", Parameter.POSITIONAL_ONLY) for i in range(1 + len(kernel.arguments))]
    call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    database.create_function(
        kernel.name,
        call,
        ["BIGINT", *(_sql_type(t) for t in kernel.arguments)],
        _sql_type(kernel.returns),
        type=PythonUDFType.ARROW,
        null_handling=FunctionNullHandling.SPECIAL,
    )


def _in_steps(kernel: Kernel, stopped: Callable[[int], bool]) -> Any:
    """The function, taking so many rows at once as it did in a twentieth of a second before."""
    at_once = _FIRST_ROWS

    def call(runs: Any, *columns: Any) -> Any:
        nonlocal at_once
        run = runs[0].as_py() if len(runs) else 0
        arrays = [c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for c in columns]
        rows = len(arrays[0])
        found: list[Any] = []
        done = 0
        while done < rows or not found:
            if stopped(run):
                raise RuntimeError(STOPPED)
            step = min(at_once, rows - done)
            began = time.monotonic()
            found.append(kernel.function(*(a.slice(done, step) for a in arrays)))
            done += step
            if step:
                speed = step / max(time.monotonic() - began, 1e-6)
                at_once = int(min(max(speed * _STEP_S, _FEWEST_ROWS), _MOST_ROWS))
        return found[0] if len(found) == 1 else pa.concat_arrays(found)

    return call


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return _sql_type(kind.value_type) + "[]"
    return _SQL_TYPES[kind]
