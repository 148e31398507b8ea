"""Nonsense and malice in raw plans: refused or answered, never a crash, a file or a foreign error."""

import os
import random
import subprocess
import sys

import pytest
from tests.engines.test_duck_wall import READS, SCHEMES, WRITES, trees

from skygate.domain.catalog import Column, Datatype
from skygate.domain.query import Limits, Plan
from skygate.engines.duck import DuckEngine
from skygate.errors import SkygateError

WORDS = """SELECT|FROM|WHERE|WITH|AS|(|)|,|*|1|'x'|"t"|UNION ALL|COPY|TO|;|--|/*|*/
read_text('/etc/passwd')|glob('/*')|ATTACH 'x'|SET threads=1|a|JOIN|ON|1=1|LATERAL|VALUES|LIMIT
RETURNING *|INSERT INTO t|DELETE FROM t|PIVOT|UNPIVOT|DESCRIBE|SHOW|$1|?|::INT|[1,2]|{'a':1}
x -> x + 1|ORDER BY|GROUP BY ALL|QUALIFY|TABLESAMPLE 1%|MATERIALIZED|RECURSIVE|\x00|é|0xFF|1e999""".replace(
    "\n", "|"
).split("|")
ONE = (Column("n", Datatype.UNICODE, arraysize="*"),)


def answer(engine: DuckEngine, text: str) -> str:
    """The rows, or what was said instead."""
    try:
        run = engine.run(Plan("duckdb", (text,), ONE), Limits(10, 5, 1 << 28), {})
        return str([row for batch in run for row in batch.to_pylist()])
    except SkygateError as fault:
        return str(fault)


@pytest.mark.parametrize("seed", range(4))
def test_random_and_spliced_texts(engine, releases, tmp_path, monkeypatch, seed):
    monkeypatch.chdir(tmp_path)
    rng = random.Random(seed)
    corpus = [*READS, *WRITES, *SCHEMES, "SELECT 1", "SELECT a.range FROM range(3) a"]
    before = trees(releases, tmp_path)
    for _ in range(150):
        if rng.random() < 0.5:
            text = " ".join(rng.choice(WORDS) for _ in range(rng.randrange(1, 25)))
        else:
            one, two = rng.choice(corpus), rng.choice(corpus)
            text = one[: rng.randrange(len(one) + 1)] + rng.choice(WORDS) + two[rng.randrange(len(two) + 1) :]
        said = answer(engine, text)
        assert "root:" not in said, text
        assert "/etc/passwd" not in said, text
        assert str(releases) not in said, text
    assert trees(releases, tmp_path) == before
    assert engine._files.leased == 0
    assert not engine._runs


def test_an_engine_that_was_closed_leaves_nothing_on_standard_error(tmp_path):
    code = (
        "from pathlib import Path; from skygate.engines.duck import DuckEngine\n"
        "e = DuckEngine(Path('.'), memory_bytes=64 << 20, threads=1)\n"
        "e.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []
