"""How long a joined text may become, and how much a pattern may have to compare, told from the query alone.

WITH after WITH can double a text each time. Must not know: tables, engines, which hold such texts outside of
their own limits and match a whole batch of them before they look at the clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from skygate.adql.tokens import place
from skygate.errors import BadQuery, Where

MAX_CHARACTERS = 250_000
"""Of one joined text, each column's being counted as `_COLUMN`."""
MAX_COMPARISONS = 2_500_000
"""Characters of one text times characters of a pattern that must be tried at each of them."""
_COLUMN = 100
MAX_GATHERED = 60_000
"""Characters of a text that an aggregate gathers from many rows: a longer one fails the query."""
GATHERERS = frozenset({"IVO_STRING_AGG"})
_ANY_CASE = frozenset({"IVO_NOCASEMATCH"})
_HARMFUL = re.compile(r"\|\||LIKE|IVO_NOCASEMATCH", re.IGNORECASE)
"""What a query must spell to join texts or to match them."""


@dataclass(slots=True)
class _Found:
    """What was met on the way through a query."""

    most_pieces: int = 1
    matches: list[tuple[exp.Expr, exp.Expr, exp.Expr]] = field(
        default_factory=list[tuple[exp.Expr, exp.Expr, exp.Expr]]
    )
    """Those whose pattern is tried at each character: where it stands, the text, the pattern."""
    longest: int = _COLUMN


def check_growth(tree: exp.Query, text: str) -> None:
    """Raise `BadQuery` where a text could become, or a match could take, more than is allowed."""
    if _HARMFUL.search(text) is None:
        return
    found = _Found()
    _pieces(tree, {}, found)
    patterns = {id(pattern) for _, _, pattern in found.matches}
    found.longest = max(found.longest, *_lengths(tree, besides=patterns))
    longest = found.most_pieces * found.longest
    if found.most_pieces > 1 and longest > MAX_CHARACTERS:
        raise BadQuery(
            f"texts joined to joined texts may become longer than {MAX_CHARACTERS:,} characters here",
            hint="join fewer, or shorter, texts",
            where=_where(next(tree.find_all(exp.DPipe)), text),
        )
    for node, matched, pattern in found.matches:
        sizes = [len(side.this) if _is_text(side) else longest for side in (matched, pattern)]
        if sizes[0] * sizes[1] > MAX_COMPARISONS:
            raise BadQuery(
                f"this pattern may have {sizes[1]:,} characters and be tried on texts of {sizes[0]:,}",
                hint="match a shorter pattern; a written one without _ after LIKE may be as long as you like",
                where=_where(node, text),
            )


def _pieces(query: exp.Expr, known: Mapping[str, int], found: _Found) -> int:
    """Of how many texts a value of the query may be joined, at most; `known` are those of earlier WITHs."""
    known = dict(known)
    with_ = query.args.get("with_")
    for cte in with_.expressions if with_ is not None else ():
        known[cte.alias.lower()] = _pieces(cte.this, known, found)
    if isinstance(query, exp.SetOperation):
        return max(_pieces(query.this, known, found), _pieces(query.expression, known, found))
    if isinstance(query, exp.Subquery):
        return _pieces(query.this, known, found)
    own, sources = 1, 1
    for node in _own_nodes(query):
        if isinstance(node, exp.DPipe):
            own += 1
        elif isinstance(node, exp.Table):
            sources = max(sources, known.get(node.name.lower(), 1))
        elif isinstance(node, (exp.Select, exp.SetOperation)):
            sources = max(sources, _pieces(node, known, found))
        else:
            _note(node, found)
    found.most_pieces = max(found.most_pieces, own * sources)
    return own * sources


def _note(node: exp.Expr, found: _Found) -> None:
    """Remember a match that cannot be searched for piece by piece, and texts that are gathered."""
    if isinstance(node, (exp.Like, exp.ILike)):
        pattern = node.expression.unnest()
        if isinstance(node, exp.ILike) or not _is_text(pattern) or "_" in pattern.this:
            found.matches.append((node, node.this.unnest(), pattern))
    elif isinstance(node, exp.Anonymous):
        name = str(node.this).upper()
        if name in GATHERERS:
            found.longest = max(found.longest, MAX_GATHERED)
        elif name in _ANY_CASE and len(node.expressions) == 2:
            found.matches.append((node, *(side.unnest() for side in node.expressions)))


def _lengths(tree: exp.Query, *, besides: set[int]) -> Iterable[int]:
    """Lengths of the texts written out, and 0."""
    yield 0
    for node in tree.find_all(exp.Literal):
        if node.is_string and id(node) not in besides:
            yield len(node.this)


def _is_text(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and node.is_string


def _where(node: exp.Expr, text: str) -> Where | None:
    span = node.meta.get("at")
    return place(text, *span) if span else None


def _own_nodes(query: exp.Expr) -> Iterator[exp.Expr]:
    """The nodes of a SELECT; queries inside it come as one node each, its WITH not at all."""
    todo = [child for key, child in _children(query) if key != "with_"]
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, (exp.Select, exp.SetOperation)):
            todo.extend(child for _, child in _children(node))


def _children(node: exp.Expr) -> Iterator[tuple[str, exp.Expr]]:
    for key, value in node.args.items():
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, exp.Expr):
                yield key, child
