"""With the parser bypassed: neither the gate nor, behind it, the sandbox lets more than a SELECT through."""

import contextlib
import os
from pathlib import Path

import pytest
from tests.engines.conftest import PLENTY, plan

from skygate.domain.catalog import Column, Datatype, Table
from skygate.domain.query import Limits, Plan, Source
from skygate.engines import duck, duck_gate
from skygate.engines.duck import DuckEngine
from skygate.errors import SkygateError

ONE = (Column("n", Datatype.LONG),)

READS = (
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_blob('{secret}')",
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM read_csv_auto('{secret}')",
    "SELECT * FROM read_json('{secret}')",
    "SELECT * FROM read_parquet('{part}')",
    "SELECT * FROM parquet_scan('{part}')",
    "SELECT * FROM parquet_metadata('{part}')",
    "SELECT * FROM parquet_kv_metadata('{part}')",
    "SELECT * FROM read_duckdb('{secret}')",
    "SELECT * FROM sniff_csv('{secret}')",
    "SELECT * FROM '{secret}'",
    "SELECT * FROM '{part}'",
    "SELECT * FROM glob('{root}/*')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM glob('ro://parts/*')",
    "SELECT * FROM read_parquet('ro://parts/*.parquet')",
    "SELECT * FROM read_parquet('ro:///etc/passwd')",
    "SELECT * FROM read_text('ro://parts/../../etc/passwd')",
    "SELECT getenv('HOME')",
    "SELECT * FROM query('SELECT * FROM read_text(''{secret}'')')",
    "SELECT * FROM query_table('{secret}')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT * FROM read_text(''{secret}'')'))",
    "SELECT 1 WHERE EXISTS (SELECT * FROM read_text('{secret}'))",
    "SELECT (SELECT content FROM read_text('{secret}'))",
    "WITH q AS (SELECT * FROM read_text('{secret}')) SELECT * FROM q",
    "SELECT * FROM (SELECT 1) a, LATERAL (SELECT * FROM read_text('{secret}')) b",
    "SELECT * FROM read_text('http://127.0.0.1:9/x')",
    "SELECT * FROM read_csv('https://127.0.0.1:9/x.csv')",
    "SELECT * FROM 's3://bucket/x.parquet'",
)
"""What would read a file, the environment or the network."""

WRITES = (
    "COPY (SELECT 42) TO '{new}'",
    "COPY (SELECT 42) TO '{new}' (FORMAT parquet)",
    "COPY (SELECT 42) TO '{part}' (USE_TMP_FILE false)",
    "COPY (SELECT 42) TO 'ro://parts/x.parquet' (USE_TMP_FILE false)",
    "WITH a AS (COPY (SELECT 42) TO '{new}') SELECT 1",
    "WITH a AS (COPY (SELECT 42) TO '{part}' (USE_TMP_FILE false)) SELECT 1",
    "WITH a AS (COPY (SELECT 42) TO 'ro://parts/x.parquet' (USE_TMP_FILE false)) SELECT 1",
    "EXPORT DATABASE '{new}'",
    "ATTACH '{new}' AS z",
    "ATTACH '{part}' AS z (READ_ONLY)",
    "ATTACH 'ro://parts/z.db' AS z",
    "INSTALL httpfs",
    "LOAD '{new}'",
    "LOAD httpfs",
    "SET threads=1",
    "SET enable_external_access=true",
    "SET lock_configuration=false",
    "SET allowed_directories=['/']",
    "SET temp_directory='{new}'",
    "SET memory_limit='100GB'",
    "SET log_query_path='{new}'",
    "RESET memory_limit",
    "PRAGMA enable_profiling",
    "SET profile_output='{new}'",
    "CREATE PERSISTENT SECRET s (TYPE http)",
    "IMPORT DATABASE '{root}'",
)
"""What would write a file, load code or open a lock."""

SCHEMES = (
    "SELECT 1; SELECT 2",
    "SELECT 1; COPY (SELECT 42) TO '{new}'",
    "SELECT 1) TO '{new}'; SELECT * FROM (SELECT 1",
    "SELECT 1) UNION ALL (SELECT 2",
    "CREATE TABLE zz AS SELECT 1",
    "CREATE TEMP VIEW zz AS SELECT 1",
    "CREATE MACRO zz() AS 1",
    "DROP VIEW IF EXISTS zz",
    "PRAGMA version",
    "PRAGMA database_list",
    "CALL pragma_version()",
    "DESCRIBE SELECT 1",
    "SHOW TABLES",
    "SUMMARIZE SELECT 1",
    "EXPLAIN ANALYZE SELECT 1",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "USE memory",
    "BEGIN",
    "CHECKPOINT",
    "VACUUM",
    "WITH a AS (INSERT INTO zz VALUES (1) RETURNING *) SELECT * FROM a",
    "WITH a AS (DELETE FROM zz RETURNING *) SELECT * FROM a",
    "WITH a AS MATERIALIZED (UPDATE zz SET a = 1 RETURNING *) SELECT * FROM a",
    "WITH RECURSIVE a AS (SELECT 1 UNION ALL SELECT 1 FROM a) SELECT * FROM a",
    "WITH duckdb_settings AS (SELECT * FROM duckdb_settings) SELECT * FROM duckdb_settings",
    "SELECT * FROM duckdb_views, (WITH duckdb_views AS (SELECT 1) SELECT * FROM duckdb_views) q",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_logs()",
    "SELECT * FROM duckdb_temporary_files()",
    "SELECT * FROM pragma_table_info('x')",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM pg_catalog.pg_settings",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM main.t",
    "SELECT * FROM test_all_types()",
    "SELECT * FROM repeat_row(1, num_rows=10)",
    "SELECT * FROM nowhere",
    "SELECT current_setting('temp_directory')",
    "SELECT getvariable('x')",
    "SELECT current_query()",
    "SELECT nextval('s')",
    "SELECT sleep_ms(10)",
    "SELECT pg_sleep(1)",
    "SELECT write_log('x')",
    "SELECT error('x')",
    "SELECT ?",
    "SELECT $1",
    "SELECT COLUMNS('x') FROM {stars} AS s",
    "SELECT * FROM {stars} AT (VERSION => 1) AS s",
    "SELECT 1 --",
    "",
    ";",
)
"""What touches no file and is refused all the same. `{stars}` stands for a source of the plan."""


@pytest.fixture
def places(releases: Path, stars: Table, tmp_path: Path) -> dict[str, str]:
    secret = tmp_path / "secret.txt"
    secret.write_text("do not read\n")
    return {
        "secret": str(secret),
        "part": stars.parts[0].path,
        "new": str(tmp_path / "new"),
        "root": str(releases),
    }


def trees(*roots: Path) -> dict[str, tuple[int, int, int]]:
    """Everything below, with sizes and times of change."""
    found: dict[str, tuple[int, int, int]] = {}
    for root in roots:
        for folder, _, names in os.walk(root):
            for name in names:
                status = os.stat(os.path.join(folder, name))
                found[os.path.join(folder, name)] = (status.st_size, status.st_mtime_ns, status.st_ino)
    return found


def raw(text: str) -> Plan:
    return Plan("duckdb", (text,), ONE)


@pytest.mark.parametrize("text", READS + WRITES)
def test_the_gate_refuses(engine, places, releases, tmp_path, text):
    before = trees(releases, tmp_path)
    with pytest.raises(SkygateError) as caught:
        list(engine.run(raw(text.format(**places)), PLENTY, {}))
    assert trees(releases, tmp_path) == before
    assert "do not read" not in str(caught.value)


@pytest.mark.parametrize("text", SCHEMES)
def test_the_gate_refuses_what_is_not_a_plain_select(engine, stars, places, text):
    made = plan(text.replace("{new}", places["new"]).replace("{stars}", "{}"), stars, ONE)
    if text == "SELECT 1 --":
        assert sum(b.num_rows for b in engine.run(made, PLENTY, {})) == 1
        return
    with pytest.raises(SkygateError):
        list(engine.run(made, PLENTY, {}))
    assert engine._files.leased == 0


def test_the_gate_remembers_what_passed_and_nothing_else(engine, stars, monkeypatch):
    looked_at: list[str] = []
    check = duck_gate.check

    def watched(connection, text, **more):
        looked_at.append(text)
        check(connection, text, **more)

    monkeypatch.setattr(duck_gate, "check", watched)
    good = plan("SELECT COUNT(*) AS n FROM {} AS remembered", stars, ONE)
    for _ in range(3):
        assert sum(b.num_rows for b in engine.run(good, PLENTY, {})) == 1
    assert len(looked_at) == 1
    bad = plan("SELECT COUNT(*) AS n FROM {} AS refused, duckdb_settings()", stars, ONE)
    for _ in range(2):
        with pytest.raises(SkygateError):
            engine.run(bad, PLENTY, {})
    assert len(looked_at) == 3


def test_the_gate_forgets_the_oldest(engine, stars, monkeypatch):
    monkeypatch.setattr(duck_gate, "_REMEMBERED_CHARACTERS", 1_000)
    for i in range(30):
        list(engine.run(plan(f"SELECT {i} AS n FROM {{}} AS forgotten", stars, ONE), PLENTY, {}))
        assert engine._gate._size <= 1_000
    assert 5 < len(engine._gate._passed) < 30


@pytest.mark.parametrize("text", READS + WRITES)
def test_behind_the_gate_the_sandbox_holds(releases, places, tmp_path, monkeypatch, text):
    """Not even the wrapping in a row limit: the text runs as it is, on a connection of the engine."""
    monkeypatch.setattr(duck_gate, "check", lambda *_, **__: None)
    monkeypatch.setattr(duck, "_limited", lambda text, _: text)
    monkeypatch.setattr(duck, "_only_statement", lambda _, text: text)
    monkeypatch.chdir(tmp_path)
    engine = DuckEngine(releases, memory_bytes=64 << 20, threads=1)
    before = trees(releases, tmp_path)
    try:
        rows: list[object] = []
        try:
            for batch in engine.run(raw(text.format(**places)), PLENTY, {}):
                rows += batch.to_pylist()
        except SkygateError:
            pass
        assert trees(releases, tmp_path) == before
        assert not rows or text.startswith("PRAGMA"), rows
        settings = dict(
            engine._databases._now.database.cursor()
            .execute(
                "SELECT name, value FROM duckdb_settings() WHERE name IN ('threads','enable_external_access')"
            )
            .fetchall()
        )
        assert settings == {"threads": "1", "enable_external_access": "false"}
    finally:
        engine.close()


CHANGES = (
    "CREATE TABLE zz AS SELECT 1 AS n",
    "SELECT 1 AS n; CREATE TABLE zz AS SELECT 1 AS n",
    "SELECT 1 AS n) LIMIT 1; CREATE TABLE zz AS SELECT 1 AS n; SELECT * FROM (SELECT 2 AS n",
    "SELECT 1 AS n) LIMIT 1; SET max_execution_time=0; SELECT * FROM (SELECT 2 AS n",
    "SELECT 1 AS n) LIMIT 1; SET operator_memory_limit='100GB'; SELECT * FROM (SELECT 2 AS n",
    "SELECT 1 AS n) LIMIT 1; SET GLOBAL max_execution_time=0; SELECT * FROM (SELECT 2 AS n",
    "SELECT 1 AS n) LIMIT 1; DROP TABLE kept; SELECT * FROM (SELECT 2 AS n",
    "SELECT 1 AS n) LIMIT 1; INSERT INTO kept VALUES (2); SELECT * FROM (SELECT 2 AS n",
    "SET max_execution_time=0",
    "SET operator_memory_limit='100GB'",
    "SET VARIABLE x = 1",
    "CREATE OR REPLACE MACRO abs(x) AS 42",
    "CREATE SCHEMA zz",
    "COMMENT ON TABLE kept IS 'x'",
    "ALTER TABLE kept RENAME TO zz",
    "DROP TABLE kept",
    "INSERT INTO kept VALUES (2)",
    "UPDATE kept SET n = 2",
    "BEGIN",
)
"""What would change the database in memory, or a connection."""
_STATE = """SELECT list(t.table_name || t.estimated_size || coalesce(t.comment, '')),
    (SELECT count(*) FROM duckdb_views()), (SELECT count(*) FROM duckdb_functions()),
    (SELECT list(schema_name) FROM duckdb_schemas()),
    (SELECT list(name || value ORDER BY name) FROM duckdb_settings() WHERE name NOT LIKE '%threads%'),
    (SELECT list(n) FROM kept) FROM duckdb_tables() t"""


@pytest.mark.parametrize("text", CHANGES + SCHEMES + WRITES)
def test_behind_the_gate_nothing_is_changed(releases, stars, places, tmp_path, monkeypatch, text):
    """The gate alone is taken away: what runs is one SELECT, wrapped, and the database stays what it was."""
    monkeypatch.setattr(duck_gate, "check", lambda *_, **__: None)
    monkeypatch.chdir(tmp_path)
    engine = DuckEngine(releases, memory_bytes=64 << 20, threads=1)
    try:
        engine._databases._now.database.execute("CREATE TABLE kept AS SELECT 1 AS n")
        before = engine._databases._now.database.cursor().execute(_STATE).fetchall()
        spelled = text
        for name, place in places.items():
            spelled = spelled.replace(f"{{{name}}}", place)
        made = plan(spelled.replace("{stars}", "{}"), stars, ONE)
        with contextlib.suppress(SkygateError):
            list(engine.run(made, Limits(maxrec=10, seconds=2, memory_bytes=64 << 20), {}))
        assert engine._databases._now.database.cursor().execute(_STATE).fetchall() == before
    finally:
        engine.close()


@pytest.mark.parametrize("verb", ["INSERT INTO kept VALUES (2)", "DELETE FROM kept", "UPDATE kept SET n = 2"])
def test_behind_the_gate_there_is_nothing_that_a_with_could_change(releases, verb):
    """DuckDB calls such a text a SELECT; but the engine's database has no table of its own, ever."""
    engine = DuckEngine(releases, memory_bytes=64 << 20, threads=1)
    try:
        assert not engine._databases._now.database.execute("SELECT * FROM duckdb_tables()").fetchall()
        with pytest.raises(SkygateError):
            list(engine.run(raw(f"WITH a AS ({verb} RETURNING n) SELECT n FROM a"), PLENTY, {}))
    finally:
        engine.close()


def test_names_of_parts_mean_nothing_to_another_plan(engine, stars, monkeypatch):
    first = engine.run(plan("SELECT id FROM {} AS s", stars, ONE), PLENTY, {})
    leased = first._lease.names[0]
    first.close()
    monkeypatch.setattr(duck_gate, "check", lambda *_, **__: None)
    with pytest.raises(SkygateError):
        list(engine.run(raw(f"SELECT id FROM read_parquet('{leased}')"), PLENTY, {}))


def test_a_source_inside_a_text_literal_is_refused(engine, stars):
    """Else the scan's own quotes would end the literal."""
    source = Source(stars, ("id",))
    made = Plan("duckdb", ("SELECT '", source, "' , 'x' FROM ", source, " AS s"), ONE)
    with pytest.raises(SkygateError, match="tables are not where they should be"):
        engine.run(made, PLENTY, {})


def test_a_query_nested_too_deeply_is_an_error_and_not_a_crash(engine):
    for depth in (400, 5000):
        for text in ("SELECT " + "(" * depth + "1" + ")" * depth, "SELECT 1" + " + 1" * depth):
            with contextlib.suppress(SkygateError):
                list(engine.run(raw(text), PLENTY, {}))


def test_parts_are_read_only(engine, stars):
    lease = engine._files.lease(stars.parts)
    try:
        for mode in ("wb", "ab", "r+b", "xb", "w"):
            with pytest.raises(PermissionError):
                engine._files.open(lease.names[0], mode)
        for change in ("rm_file", "touch", "mv", "rm", "cp_file"):
            with contextlib.suppress(NotImplementedError, TypeError, OSError):
                getattr(engine._files, change)(lease.names[0])
    finally:
        lease.give_back()
    assert all(Path(p.path).stat().st_size == p.size_bytes for p in stars.parts)
