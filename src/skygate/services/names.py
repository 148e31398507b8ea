"""Names as a query must write them.

Must not know: which names there are.
"""

from __future__ import annotations

import re

from skygate.adql.words import RESERVED
from skygate.domain.catalog import Table

_REGULAR = re.compile("[A-Za-z][A-Za-z0-9_]*")
_PART = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')


def spell(name: str) -> str:
    """A name in legal ADQL: delimited where it is no regular identifier (ADQL 2.1, section 2.1.2)."""
    if _REGULAR.fullmatch(name) and name.upper() not in RESERVED:
        return name
    return delimit(name)


def delimit(name: str) -> str:
    """A name between double quotes, which means exactly these characters."""
    return '"' + name.replace('"', '""') + '"'


def delimited(table: Table) -> str:
    """`"schema"."table"`, for texts that people do not read."""
    return f"{delimit(table.schema)}.{delimit(table.name)}"


def full_name(table: Table) -> str:
    """`schema.table`, each in legal ADQL."""
    return f"{spell(table.schema)}.{spell(table.name)}"


def read_name(text: str) -> tuple[str, ...]:
    """The parts of a name as somebody wrote it (`a.b`, `"A b".c`), without quotes; empty when it is none."""
    parts: list[str] = []
    place = 0
    text = text.strip()
    while found := _PART.match(text, place):
        parts.append(found[1].replace('""', '"') if found[1] else found[2])
        place = found.end()
        if place == len(text):
            return tuple(parts)
        if text[place] != ".":
            break
        place += 1
    return ()
