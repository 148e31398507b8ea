"""Progress as an operator sees it: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from skygate.cli import terminal
from skygate.release.progress import Step


def test_lines_come_at_intervals_with_rate_and_time_to_go(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with terminal.Lines(every_s=10) as lines:
        for rows in range(0, 60_001, 1_000):
            lines.at(Step("stars", "reading", rows, 120_000))
            now[0] += 0.5
        lines.note("stars: done")
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "stars reading: 20,000 of 120,000 rows (16 %), 2,000 rows/s, 0:00:50 to go"
    assert len(said) == 4
    assert said[-1] == "stars: done"


def test_lines_without_a_total_say_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with terminal.Lines(every_s=1) as lines:
        lines.at(Step("stars", "reading", 0))
        now[0] = 4.0
        lines.at(Step("stars", "reading", 8_000))
    assert capsys.readouterr().err == "stars reading: 8,000 rows, 2,000 rows/s\n"


def test_bars_show_rows_and_vanish_with_the_table() -> None:
    out = io.StringIO()
    with terminal.Bars(Console(file=out, force_terminal=True, width=120)) as bars:
        bars.at(Step("stars", "reading", 0, 1_000))
        bars.at(Step("stars", "reading", 1_000, 1_000))
        bars.at(Step("stars", "writing", 500, None))
        bars.note("stars: 1,000 rows")
    said = out.getvalue()
    assert "stars reading" in said
    assert "1,000 rows" in said


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1_500, "1.5 kB"), (2_340_000_000, "2.3 GB"), (5e15, "5000.0 TB")],
)
def test_sizes_are_said_as_people_do(count: float, said: str) -> None:
    assert terminal.size_of(count) == said
