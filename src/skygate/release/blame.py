"""A fault that the data brought to light, led back to the line of the release file that it comes from.

Must not know: what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from skygate.errors import BadRelease, Where
from skygate.release.expression import parse
from skygate.release.recipe import Recipe, TableRecipe
from skygate.release.toml_lines import Path as Keys
from skygate.release.toml_lines import place

_EXPRESSION = "expression "
_IN_EXPRESSION = re.compile(r"(?:expression|column \w+): (?=there is no column)")


def located(fault: BadRelease, recipe: Recipe, file: Path) -> BadRelease:
    """The fault at its place in `file`, from which `recipe` was read; others come back as they are."""
    where = fault.where
    name = where.name or "" if where is not None else ""
    if where is None or not (name == "release.toml" or name.startswith(_EXPRESSION)):
        return fault
    message, keys, text = fault.message, _keys(recipe, fault.message), None
    if name.startswith(_EXPRESSION) or _IN_EXPRESSION.match(message):
        for who, path, written in _expressions(recipe):
            if name == f"{_EXPRESSION}{written.strip()[:80]!r}" or (
                name == "release.toml" and where.token in parse(written).names
            ):
                message = f"{who}: {_IN_EXPRESSION.sub('', message)}"
                keys, text = path, written.strip()
                break
    at = place(recipe.text, keys)
    line, column = at if at is not None else (None, None)
    if line is not None and text is not None:
        begin = recipe.text.splitlines()[line - 1].find(text)
        column = begin + (where.column or 1) if begin >= 0 else column
    place_found = Where(name=str(file), line=line, column=column, token=where.token)
    return BadRelease(message, hint=fault.hint, where=place_found)


def _expressions(recipe: Recipe) -> Iterator[tuple[str, Keys, str]]:
    """Every expression: whose it is, its keys, its text."""
    for index, table in enumerate(recipe.tables):
        for name, entry in table.columns:
            for key, text in (("derive", entry.derive), ("null_when", entry.null_when)):
                if text:
                    yield (
                        f"table {table.name}, column {name}, {key}",
                        ("table", index, "columns", name, key),
                        text,
                    )
        for number, rule in enumerate(table.leave_out):
            yield f"table {table.name}, leave_out", ("table", index, "leave_out", number, "when"), rule.when


def _keys(recipe: Recipe, message: str) -> Keys:
    """The keys that a message speaks of: of a table, of a column, of a link between tables."""
    table = re.match(r"table (\w+)", message)
    column = re.search(r"\bcolumn (\w+)", message.partition(":")[0])
    for index, known in enumerate(recipe.tables):
        if table is not None and table[1] != known.name:
            continue
        if column is not None and known.column(column[1]) is not None:
            return ("table", index, "columns", column[1])
        if table is not None:
            return ("table", index, *_key_of(known, message))
    if table is None and column is None:
        said = set(re.findall(r"\w+", message))
        for index, key in enumerate(recipe.keys):
            if message.startswith("a key names") and said & {key.source, key.target, *sum(key.columns, ())}:
                return ("key", index)
            if message.startswith("the columns of the key") and {key.source, key.target} <= said:
                return ("key", index)
    return ()


def _key_of(table: TableRecipe, message: str) -> Keys:
    if table.identifier is not None and "identifier" in message:
        return ("identifier",)
    return ("position",) if table.position is not None and "position" in message else ()
