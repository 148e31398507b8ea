"""Names that are near a misspelt one.

Must not know: tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

CLOSE = 0.6
MAX_COMPARED = 5_000


def nearest(name: str, known: Iterable[str], *, most: int = 3) -> tuple[str, ...]:
    """The nearest of the known names, best first; none where nothing is near."""
    wanted = name.lower()[:128]
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted)
    scored: list[tuple[float, str]] = []
    for candidate in list(dict.fromkeys(known))[:MAX_COMPARED]:
        matcher.set_seq1(candidate.lower()[:128])
        if matcher.real_quick_ratio() < CLOSE or matcher.quick_ratio() < CLOSE:
            continue
        score = matcher.ratio()
        if score >= CLOSE:
            scored.append((-score, candidate))
    return tuple(candidate for _, candidate in sorted(scored)[:most])


def did_you_mean(suggestions: tuple[str, ...]) -> str:
    """`; did you mean `a` or `b`?`, or nothing."""
    if not suggestions:
        return ""
    return "; did you mean " + " or ".join(f"`{s}`" for s in suggestions) + "?"
