"""A real server process over a small release, on a free port of the loopback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

_ANNOUNCED = re.compile(r" at (http://\S+?)/?$", re.MULTILINE)


@dataclass(frozen=True)
class Service:
    """Where the server is, and what it has said."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self, seconds: float = 30) -> int:
        """Ask it to stop; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


@contextmanager
def serving(
    root: Path,
    *arguments: str,
    log: Path,
    seconds: float = 120,
    before: Callable[[], object] | None = None,
    **environment: str,
) -> Iterator[Service]:
    """`skygate serve` until the end of the block; a name such as `queries__running` is a setting.

    `before` is called in the new process before it becomes the server.
    """
    settings = {f"SKYGATE__{name.upper()}": value for name, value in environment.items()}
    command = [sys.executable, "-c", "from skygate.cli import main; main()", "serve", "--port", "0"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--root", str(root), *arguments],
            stderr=out,
            stdout=out,
            env={**os.environ, "SKYGATE__LOG__FORMAT": "json", **settings},
            cwd=root,
            preexec_fn=before,
        )
    try:
        yield Service(_ready(process, log, seconds), process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _ready(process: subprocess.Popen[bytes], log: Path, seconds: float) -> str:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the server stopped with {process.returncode}:\n{log.read_text()}")
        found = _ANNOUNCED.search(log.read_text())
        if found:
            try:
                if httpx2.get(f"{found[1]}/health/ready", timeout=20).status_code == 200:
                    return found[1]
            except httpx2.HTTPError:
                pass
        time.sleep(0.1)
    raise RuntimeError(f"the server is not ready after {seconds} s:\n{log.read_text()}")
