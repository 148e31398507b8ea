"""ADQL text to tokens, each knowing where it stands.

Must not know: grammar, tables. What no ADQL text can contain is refused here, by name.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from skygate.errors import BadQuery, Where

MAX_CHARACTERS = 1_000_000
MAX_TOKENS = 200_000

_SPACE = re.compile(r"(?:\s++|--[^\n]*+)*+")
_TOKEN = re.compile(
    r"""
    (?:\s++|--[^\n]*+)*+
    (?: (?P<word>[A-Za-z][A-Za-z0-9_]*)
  | (?P<number>(?:[0-9]+(?:\.(?!\.)[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
  | (?P<string>'(?:[^']|'')*')
  | (?P<name>"(?:[^"]|"")*")
  | (?P<foreign>/\*|->>?|=>|::|:=|==|\*\*|<=>|<<|>>|!~|[\[\]{}?$@#&|^~`%:\\!](?!=|\|))
  | (?P<op><>|!=|<=|>=|\|\||[(),.;*+\-/=<>])
  | (?P<end>\Z))
    """,
    re.VERBOSE,
)

FOREIGN: dict[str, tuple[str, str | None]] = {
    "/*": ("comments in /* */ are not part of ADQL", "a comment starts with -- and ends with its line"),
    "->": ("lambda functions and JSON arrows are not part of ADQL", None),
    "->>": ("JSON arrows are not part of ADQL", None),
    "=>": ("named arguments are not part of ADQL", None),
    "::": ("the cast operator :: is not part of ADQL", "write CAST(value AS type)"),
    ":=": ("assignments are not part of ADQL", None),
    "==": ("== is not part of ADQL", "write ="),
    "**": ("** is not part of ADQL", "write POWER(x, y)"),
    "<=>": ("<=> is not part of ADQL", None),
    "<<": ("bitwise operators are not part of ADQL 2.1", None),
    ">>": ("bitwise operators are not part of ADQL 2.1", None),
    "&": ("bitwise operators are not part of ADQL 2.1", None),
    "|": ("bitwise operators are not part of ADQL 2.1", "text is joined by ||"),
    "^": ("bitwise operators are not part of ADQL 2.1", "a power is POWER(x, y)"),
    "~": ("bitwise and pattern operators are not part of ADQL 2.1", "patterns are matched by LIKE or ILIKE"),
    "!~": ("pattern operators are not part of ADQL 2.1", "patterns are matched by LIKE or ILIKE"),
    "#": ("bitwise operators are not part of ADQL 2.1", "a comment starts with --"),
    "%": ("the operator % is not part of ADQL", "write MOD(x, y)"),
    "[": ("array literals and subscripts are not part of ADQL", None),
    "]": ("array literals and subscripts are not part of ADQL", None),
    "{": ("struct literals are not part of ADQL", None),
    "}": ("struct literals are not part of ADQL", None),
    "?": ("parameters are not part of ADQL", "write the value itself"),
    "$": ("parameters are not part of ADQL", "write the value itself"),
    "@": ("parameters are not part of ADQL", "write the value itself"),
    ":": ("parameters are not part of ADQL", "write the value itself"),
    "`": ("names are not quoted by `", 'write "name"'),
    "\\": ("a backslash has no meaning in ADQL", None),
    "!": ("! is not part of ADQL", "write NOT, or <> for unequal"),
}
"""Marks of other languages: what to say, and what to write instead."""


class Token(NamedTuple):
    """A piece of text. `key` is what the grammar compares: upper-case word, operator, or kind of literal."""

    key: str
    text: str
    start: int
    end: int


STRING, NUMBER, NAME, END = "'", "0", '"', ""
"""Keys of literals, delimited identifiers and the end of the text."""


def place(text: str, start: int, end: int) -> Where:
    """The 1-based line and column of a span of the text."""
    before = text.rfind("\n", 0, start)
    return Where(
        line=text.count("\n", 0, start) + 1,
        column=start - before,
        token=text[start:end][:60] or None,
        start=start,
        end=end,
    )


def tokenize(text: str) -> list[Token]:
    """Tokens of the text, closed by one of key `END`; raises `BadQuery`."""
    if len(text) > MAX_CHARACTERS:
        raise BadQuery(
            f"the query has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read",
            hint="upload long lists as a table and join it",
        )
    tokens: list[Token] = []
    add, match, position = tokens.append, _TOKEN.match, 0
    while True:
        found = match(text, position)
        if found is None:
            raise _unreadable(text, len(text) - len(_SPACE.sub("", text[position:], count=1)))
        kind = found.lastgroup
        if kind is None or kind == "end":
            break
        piece = found.group(kind)
        position, end = found.span(kind)
        if kind == "word":
            add(Token(piece.upper(), piece, position, end))
        elif kind == "op":
            add(Token(piece, piece, position, end))
        elif kind == "number":
            _check_number(text, position, end)
            add(Token(NUMBER, piece, position, end))
        elif kind == "string":
            add(Token(STRING, piece[1:-1].replace("''", "'"), position, end))
        elif kind == "name":
            add(_delimited(text, piece, position, end))
        else:
            message, hint = FOREIGN[piece]
            raise BadQuery(message, hint=hint, where=place(text, position, end))
        position = end
    if len(tokens) > MAX_TOKENS:
        raise BadQuery(
            f"the query has {len(tokens):,} words; at most {MAX_TOKENS:,} are read",
            hint="upload long lists as a table and join it",
        )
    tokens.append(Token(END, "", len(text), len(text)))
    return tokens


def _delimited(text: str, quoted: str, start: int, end: int) -> Token:
    name = quoted[1:-1].replace('""', '"')
    if not name:
        raise BadQuery("a name between double quotes is empty", where=place(text, start, end))
    if "\0" in name:
        raise BadQuery("a name cannot contain the character NUL", where=place(text, start, end))
    return Token(NAME, name, start, end)


def _check_number(text: str, start: int, end: int) -> None:
    if end < len(text) and (text[end].isalnum() or text[end] == "_"):
        last = end
        while last < len(text) and (text[last].isalnum() or text[last] == "_"):
            last += 1
        token = text[start:last]
        if token[:2].lower() == "0x":
            raise BadQuery(
                "hexadecimal numbers are not part of ADQL 2.1",
                hint="write the number in decimal digits",
                where=place(text, start, last),
            )
        raise BadQuery(
            f"{token[:40]} is neither a number nor a name",
            hint='a name begins with a letter, or is written in double quotes: "2mass"',
            where=place(text, start, last),
        )


def _unreadable(text: str, position: int) -> BadQuery:
    char = text[position]
    where = place(text, position, position + 1)
    if char == "'":
        return BadQuery("a text is not closed", hint="texts stand between single quotes: 'M 31'", where=where)
    if char == '"':
        return BadQuery("a delimited name is not closed", hint='names: "My column"', where=where)
    if char in FOREIGN:
        message, hint = FOREIGN[char]
        return BadQuery(message, hint=hint, where=where)
    if char == "_" or char.isalpha():
        return BadQuery(
            f"a name cannot begin with {char!r}",
            hint="names begin with a Latin letter; others are written in double quotes",
            where=where,
        )
    return BadQuery(f"the character {char!r} has no place in ADQL", where=where)
