"""How long a joined text may become, told from the query alone: WITH after WITH can double it each time.

Must not know: tables, engines, which hold such texts outside of their own limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlglot import exp

from skygate.adql.tokens import place
from skygate.errors import BadQuery

MAX_CHARACTERS = 250_000
"""Of one joined text, each column's being counted as `_COLUMN`."""
_COLUMN = 100


def check_growth(tree: exp.Query, text: str) -> None:
    """Raise `BadQuery` where `||` upon `||` could make a text of more than `MAX_CHARACTERS`."""
    pieces = _pieces(tree, {})
    if pieces == 1:
        return
    longest = max((len(n.this) for n in tree.find_all(exp.Literal) if n.is_string), default=0)
    if pieces * max(longest, _COLUMN) > MAX_CHARACTERS:
        first = next(tree.find_all(exp.DPipe))
        span = first.meta.get("at")
        where = place(text, *span) if span else None
        raise BadQuery(
            f"texts joined to joined texts may become longer than {MAX_CHARACTERS:,} characters here",
            hint="join fewer, or shorter, texts",
            where=where,
        )


def _pieces(query: exp.Expr, known: Mapping[str, int]) -> int:
    """Of how many texts a value of the query may be joined, at most; `known` are those of earlier WITHs."""
    known = dict(known)
    with_ = query.args.get("with_")
    for cte in with_.expressions if with_ is not None else ():
        known[cte.alias.lower()] = _pieces(cte.this, known)
    if isinstance(query, exp.SetOperation):
        return max(_pieces(query.this, known), _pieces(query.expression, known))
    if isinstance(query, exp.Subquery):
        return _pieces(query.this, known)
    own, sources = 1, 1
    for node in _own_nodes(query):
        if isinstance(node, exp.DPipe):
            own += 1
        elif isinstance(node, exp.Table):
            sources = max(sources, known.get(node.name.lower(), 1))
        elif isinstance(node, (exp.Select, exp.SetOperation)):
            sources = max(sources, _pieces(node, known))
    return own * sources


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
