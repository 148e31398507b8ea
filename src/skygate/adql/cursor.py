"""A place in a list of tokens, and the ways to step on or to refuse what stands there.

Must not know: grammar beyond names.
"""

from __future__ import annotations

from typing import NoReturn

from sqlglot import exp

from skygate.adql.tokens import END, NAME, Token, place
from skygate.adql.words import CLAUSES, RESERVED
from skygate.errors import BadQuery

MAX_NESTING = 48
"""Parentheses, calls, CASEs and sub-queries inside one another."""


class Cursor:
    """Where the parser stands."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self.text = text
        self.tokens = tokens
        self.i = 0
        self.depth = 0

    @property
    def key(self) -> str:
        """Key of the present token."""
        return self.tokens[self.i].key

    @property
    def last_end(self) -> int:
        """Where the token before the present one ends."""
        return self.tokens[self.i - 1].end if self.i else 0

    def peek(self, ahead: int = 1) -> str:
        """Key of a token further on."""
        i = self.i + ahead
        return self.tokens[i].key if i < len(self.tokens) else END

    def take(self, *keys: str) -> bool:
        """Step over these tokens if they come next."""
        if self.tokens[self.i].key != keys[0]:
            return False
        for ahead, key in enumerate(keys):
            if self.peek(ahead) != key:
                return False
        self.i += len(keys)
        return True

    def need(self, key: str, context: str) -> Token:
        """Step over this token; refuse the query where another stands."""
        token = self.tokens[self.i]
        if token.key != key:
            self.unexpected(f"expected {key} {context}")
        self.i += 1
        return token

    def fail(self, message: str, token: Token | None = None, *, hint: str | None = None) -> NoReturn:
        """Refuse the query at a token (the present one by default)."""
        token = token or self.tokens[self.i]
        raise BadQuery(message, hint=hint, where=place(self.text, token.start, token.end))

    def unexpected(self, expected: str) -> NoReturn:
        """Refuse the present token, saying what could have stood there."""
        token = self.tokens[self.i]
        if token.key in CLAUSES:
            self.fail(f"{token.key} is not part of ADQL", hint=CLAUSES[token.key])
        if token.key == ";":
            self.fail("only one statement can be run: text follows after ;")
        found = "the end of the query" if token.key == END else self.shown(token)
        self.fail(f"{expected}, found {found}")

    def shown(self, token: Token) -> str:
        """A token as the caller wrote it."""
        piece = self.text[token.start : token.end]
        return piece if len(piece) <= 40 else piece[:39] + "…"

    def deeper(self) -> None:
        """One level further in; refuse what is nested too deeply."""
        self.depth += 1
        if self.depth > MAX_NESTING:
            self.fail(f"the query is nested more than {MAX_NESTING} levels deep")

    # -- names

    def is_name(self, ahead: int = 0) -> bool:
        """Whether an identifier that is no reserved word comes next."""
        key = self.peek(ahead)
        return key == NAME or (key[:1].isalpha() and key not in RESERVED)

    def name(self, context: str) -> exp.Identifier:
        """An identifier; `quoted` tells whether it was delimited."""
        token = self.tokens[self.i]
        if token.key != NAME:
            if not token.key[:1].isalpha():
                self.unexpected(f"expected a name {context}")
            if token.key in RESERVED:
                self.fail(
                    f"{token.text} is a reserved word and cannot be a name here",
                    hint=f'a name would be written "{token.text}"',
                )
        self.i += 1
        node = exp.Identifier(this=token.text, quoted=token.key == NAME)
        node.meta["at"] = (token.start, token.end)
        return node
