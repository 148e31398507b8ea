"""Where a server's CPU goes, as `benchmarks.sampled` counts it: sorted by rooms of the house, and drawn.

A stack belongs to the innermost of its functions that a part names. Threads that are not Python's have no
stack: those of polars write, the others are the engine's. The picture is an SVG without scripts: each box is
as wide as the CPU of its function and all that it calls; functions of libraries are shown only below ours.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

ENGINE = "engine"
REST = "HTTP and the rest"
PARTS = ("understanding", "gate and bind", ENGINE, "writing", REST)
_ROOMS: tuple[tuple[str, str], ...] = (
    (r"skygate/adql/compiler|skygate/adql/(?!kernels)", "understanding"),
    (r"skygate/engines/duck_gate|duck\.py:(_check_statement|DuckEngine\.run)", "gate and bind"),
    (r"duckdb/_seam\.py:(bind|prepare)", "gate and bind"),
    (r"skygate/(engines|sky|adql/kernels)|duckdb/", ENGINE),
    (r"skygate/(formats|vo/cone_columns)", "writing"),
    (r"skygate/", REST),
    (r"thread:(polars|async-executor|tokio)", "writing"),
    (r"thread:", ENGINE),
)
"""Which part a function `file:name` belongs to, the first that fits; others belong to whoever calls them."""
_COLOURS = ("#4f7a28", "#8f6514", "#b3432b", "#2f6fb3", "#6a5f96")
_WIDTH, _ROW, _LEFT, _GAP = 1200, 17, 8, 30
_LETTER = 6.3
"""Width of a letter in pixels, about."""
_LEAST = 1.0
"""Pixels of the narrowest box that is drawn."""
_DEEPEST = 14
_LEFT_OUT = re.compile(
    r"skygate/doorway/(requests|urls|bodies)\.py:(?!Requests\.__call__$)|<\w+>$|skygate/cli/(?!conn)"
)
"""Functions that only call the next one."""

Stack = tuple[str, ...]


@dataclass
class Profile:
    """Milliseconds of a request by stack (outermost function first), each function as `file:name`."""

    stacks: Counter[Stack] = field(default_factory=Counter)

    @property
    def total_ms(self) -> float:
        """CPU of a request, as it was counted: looking made it slower."""
        return sum(self.stacks.values())

    def parts_ms(self, cpu_ms: float) -> dict[str, float]:
        """The CPU of a request that was not looked at, in the same proportions."""
        seen = dict.fromkeys(PARTS, 0.0)
        for stack, ms in self.stacks.items():
            seen[part_of(stack)] += ms
        total = self.total_ms or 1.0
        return {part: ms * cpu_ms / total for part, ms in seen.items()}


def part_of(stack: Stack) -> str:
    """The part that a stack belongs to."""
    for function in reversed(stack):
        for pattern, part in _ROOMS:
            if re.search(pattern, function):
                return part
    return REST


def read(path: Path, requests: int) -> Profile:
    """What was counted while so many requests were answered."""
    found = Profile()
    for line in path.read_text().splitlines():
        ns, _, stack = line.partition(" ")
        found.stacks[tuple(stack.split(";"))] += int(ns) / 1e6 / requests
    return found


@dataclass
class _Box:
    """A function where it was called from."""

    name: str
    part: str
    ms: float = 0.0
    below: dict[str, _Box] = field(default_factory=dict)


def _shown(stack: Stack) -> Iterable[tuple[str, str]]:
    """What is drawn of a stack, and the part of each: our functions, and one of a library below."""
    ours = [i for i, f in enumerate(stack) if f.startswith("skygate/") and not _LEFT_OUT.search(f)]
    last = ours[-1] if ours else -1
    part = REST
    for i in ours:
        part = part_of(stack[: i + 1])
        yield stack[i].removeprefix("skygate/"), part
    if len(stack) > last + 1:
        yield _library(stack[-1]), part_of(stack)


def _library(function: str) -> str:
    path, _, name = function.partition(":")
    room = path.split("/", 1)[0].removesuffix(".py").removeprefix("_")
    return f"{room}: {name}"


def _tree(profile: Profile, name: str) -> _Box:
    top = _Box(name, REST)
    for stack, ms in profile.stacks.items():
        box = top
        box.ms += ms
        for function, part in _shown(stack):
            box = box.below.setdefault(function, _Box(function, part))
            box.ms += ms
    return top


def drawn(profiles: Sequence[tuple[str, float, Profile]]) -> str:
    """The SVG of several kinds of requests (name, CPU in ms, what was counted), one below the other."""
    body: list[str] = []
    y = 34
    for name, cpu_ms, profile in profiles:
        parts = profile.parts_ms(cpu_ms)
        told = ", ".join(f"{part} {ms:.2f}" for part, ms in parts.items() if ms >= 0.005)
        body.append(f'<text class="head" x="{_LEFT}" y="{y + 12}">{escape(name)}</text>')
        body.append(f'<text class="told" x="{_LEFT}" y="{y + 27}">CPU {cpu_ms:.2f} ms: {escape(told)}</text>')
        y += 34
        tree = _tree(profile, name)
        scale = (_WIDTH - 2 * _LEFT) / (tree.ms or 1.0)
        depth = _draw(tree, _LEFT, y, scale, cpu_ms / (tree.ms or 1.0), body, _DEEPEST)
        y += max(1, depth) * _ROW + _GAP
    legend = "".join(
        f'<rect class="p{i}" x="{_LEFT + 190 * i}" y="8" width="12" height="12"/>'
        f'<text class="told" x="{_LEFT + 190 * i + 17}" y="18">{part}</text>'
        for i, part in enumerate(PARTS)
    )
    colours = "".join(f".p{i}{{fill:{colour}}}" for i, colour in enumerate(_COLOURS))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" height="{y}"'
        ' role="img" aria-label="Where the CPU of requests goes, function by function">\n<style>'
        "text{font:11px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#fff}"
        ".head{font:bold 14px system-ui,sans-serif;fill:#1d2733}"
        ".told{font:12px system-ui,sans-serif;fill:#4a5866}"
        f"rect{{stroke:#fff;stroke-width:.5}}.ground{{fill:#fff;stroke:none}}{colours}"
        "@media(prefers-color-scheme:dark){.ground{fill:#12181f}.head{fill:#e8edf2}.told{fill:#a9b6c3}"
        "rect{stroke:#12181f}}</style>\n"
        f'<rect class="ground" width="{_WIDTH}" height="{y}"/>\n{legend}\n' + "\n".join(body) + "\n</svg>\n"
    )


def _draw(box: _Box, x: float, y: int, scale: float, told: float, body: list[str], rows: int) -> int:
    """Draw what a box calls, the widest first, and return how many rows that took."""
    depth = 0
    for inner in sorted(box.below.values(), key=lambda b: -b.ms):
        width = inner.ms * scale
        if width >= _LEAST and rows:
            title = f"{inner.name}: {inner.ms * told:.3f} ms"
            body.append(_box(x, y, width, inner.name, title, PARTS.index(inner.part)))
            depth = max(depth, 1 + _draw(inner, x, y + _ROW, scale, told, body, rows - 1))
        x += width
    return depth


def _box(x: float, y: int, width: float, name: str, title: str, part: int) -> str:
    letters = int((width - 6) / _LETTER)
    short = name if len(name) <= letters else re.sub(r"^.*[:.]", "", name)
    label = short if len(short) <= letters else short[: letters - 1] + "…" if letters > 4 else ""
    text = f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(label)}</text>' if label else ""
    return (
        f'<g><title>{escape(title)}</title><rect class="p{part}" x="{x:.1f}" y="{y}" width="{width:.1f}"'
        f' height="{_ROW - 1}"/>{text}</g>'
    )
