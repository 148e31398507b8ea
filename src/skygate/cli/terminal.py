"""What verbs show while they work, and where they find the releases.

Must not know: what the work is.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from skygate.release.progress import Step
from skygate.stores.releases import FolderReleases

LINE_SECONDS = 10.0
"""Time between two lines where there is no terminal."""
F = TypeVar("F", bound=Callable[..., Any])


def root_option(verb: F) -> F:
    """`--root DIR` of a verb."""
    return click.option(
        "--root",
        type=click.Path(file_okay=False, path_type=Path),
        help="Directory that holds the releases [$SKYGATE_ROOT, else ./skygate-data].",
    )(verb)


def json_option(verb: F) -> F:
    """`--json` of a verb."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(verb)


def root_of(root: Path | None) -> Path:
    """The directory that was given, else the one of the settings; raises `BadParameter`."""
    if root is not None:
        return root
    from skygate.settings import read_settings

    return read_settings().root


def store_at(root: Path | None) -> FolderReleases:
    """The releases of a directory."""
    return FolderReleases(root_of(root))


def say_json(data: Any) -> None:
    """Print JSON on standard output."""
    click.echo(json.dumps(data, indent=1, ensure_ascii=False))


def size_of(count: float) -> str:
    """Bytes as people say them."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


class Bars:
    """Progress on a terminal: a bar for each step of a table, with rate and time to go."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[rows]} rows  {task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._tasks: dict[tuple[str, str], tuple[TaskID, float]] = {}

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def at(self, step: Step) -> None:
        """Move the step's bar."""
        key = (step.table, step.step)
        if key not in self._tasks:
            task = self._bars.add_task(f"{step.table} {step.step}", total=None, rows="0", rate="")
            self._tasks[key] = (task, time.monotonic())
        task, began = self._tasks[key]
        seconds = time.monotonic() - began
        rate = f"{step.rows / seconds:,.0f}/s" if seconds > 0.5 else ""
        self._bars.update(task, completed=step.rows, total=step.rows_total, rows=f"{step.rows:,}", rate=rate)

    def note(self, text: str) -> None:
        """Print above the bars; the bars of finished steps go."""
        for task, _ in self._tasks.values():
            self._bars.remove_task(task)
        self._tasks.clear()
        self._bars.print(text)


class Lines:
    """Progress where there is no terminal: one plain line now and then."""

    def __init__(self, *, every_s: float = LINE_SECONDS) -> None:
        self._every = every_s
        self._key = ("", "")
        self._began = self._said = 0.0

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def at(self, step: Step) -> None:
        """Say where the step is, if the last line is long enough ago."""
        now = time.monotonic()
        if (step.table, step.step) != self._key:
            self._key = (step.table, step.step)
            self._began = self._said = now
        if now - self._said >= self._every:
            self._said = now
            click.echo(_line(step, now - self._began), err=True)

    def note(self, text: str) -> None:
        """Say it."""
        click.echo(text, err=True)


def _line(step: Step, seconds: float) -> str:
    rate = step.rows / max(seconds, 1e-9)
    text = f"{step.table} {step.step}: {step.rows:,}"
    if step.rows_total:
        text += f" of {step.rows_total:,} rows ({100 * step.rows // step.rows_total} %)"
    else:
        text += " rows"
    text += f", {rate:,.0f} rows/s"
    if step.rows_total and step.rows:
        left = int((step.rows_total - step.rows) / rate)
        text += f", {left // 3600}:{left // 60 % 60:02}:{left % 60:02} to go"
    return text


def watcher() -> Bars | Lines:
    """Bars on a terminal, else lines; on standard error."""
    return Bars(Console(stderr=True)) if sys.stderr.isatty() else Lines()
