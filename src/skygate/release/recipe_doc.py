"""The reference page and the JSON schema of release.toml, written from the models that validate it.

`python -m skygate.release.recipe_doc DIRECTORY` writes release-toml.md and release.schema.json there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from skygate.release.recipe_file import recipe_schema

PAGE = "release-toml.md"
SCHEMA = "release.schema.json"

_HEAD = """\
# release.toml

What a data manager writes for `skygate publish release.toml`. Only `[release]` with a name and a
title and one `[[table]]` with a name and its files are needed: types, units, UCDs, descriptions,
the identifier and the sky position are inferred, and the validation report says what was inferred
from what. The file is never rewritten.

This page is made from the code that validates the file (`make docs`); a mistake in a file is told
with its line, what was expected and the nearest key. Editors that know JSON schemas complete and
check it with [release.schema.json](release.schema.json): put `#:schema release.schema.json` on its
first line.

```toml
[release]
name = "my_survey"
title = "My survey, first release"

[[table]]
name = "stars"
files = ["raw/stars-*.fits"]

[table.columns.g_mag]
source = "GMAG"
unit = "mag"
ucd = "phot.mag;em.opt.B"
nulls = [99.99]

[[table.leave_out]]
when = "id < 0"
because = "test sources"
```
"""

_PARTS = (
    ("ReleasePart", "[release]"),
    ("TablePart", "[[table]]"),
    ("PositionPart", "position = { … } of a table"),
    ("ColumnPart", "[table.columns.NAME]"),
    ("FixedPart", "fixed = [{ … }, …] of a table"),
    ("LeaveOutPart", "[[table.leave_out]]"),
    ("KeyPart", "[[key]]"),
)

_TAIL = """\
## Names

Releases, tables and columns are regular identifiers of ADQL: letters, digits and underscores,
beginning with a letter, at most 63 characters. A release or a table is not named like a reserved
word of ADQL; a column may be, but queries must then quote it, and the report says so. A release is
not named `tap_schema`, `tap_upload`, `ivoa` or `information_schema`. Names that differ only in case
are one name.

## Expressions

`derive`, `null_when` and `when` are expressions over one row, spelt as in Python and meaning what SQL
means: a null operand gives null, and a condition counts only when it is true. They are checked before
the first row is read.

    columns by name; an odd name in backquotes: `B-V`     numbers, "texts", true, false, null
    + - * / // % **      7 / 2 is 3.5; a division by zero is null
    == != < <= > >=      chained too: 0 <= dec <= 90      x in (1, 2)      and or not
    is_null(x) coalesce(a, b) where(condition, a, b) number(text) text(value)
    abs sqrt exp ln log10 floor ceil round(x, digits) sign power mod least greatest
    degrees(rad) radians(deg)      sin cos tan asin acos atan atan2(y, x): radians
    lower upper trim length concat substring(text, start, count) starts_with ends_with contains replace

`null_when` of several columns look at the row as it was before any of them; `when` of `leave_out` sees
columns of the file too, whether they are published or not.
"""


def page() -> str:
    """The reference page, as Markdown."""
    parts = recipe_schema()["$defs"]
    pieces = [_HEAD]
    for name, title in _PARTS:
        pieces.append("\n".join(_section(title, parts[name], parts)))
    return "\n".join([*pieces, _TAIL])


def schema_text() -> str:
    """The JSON schema, as the text of its file."""
    return json.dumps(recipe_schema(), indent=2, ensure_ascii=False) + "\n"


def write(directory: Path) -> tuple[Path, ...]:
    """Write both files; returns their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / PAGE).write_text(page(), encoding="utf-8")
    (directory / SCHEMA).write_text(schema_text(), encoding="utf-8")
    return directory / PAGE, directory / SCHEMA


def _section(title: str, part: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {title}\n"
    yield f"{part['description']}\n"
    yield "| Key | Value | Meaning |"
    yield "|---|---|---|"
    for key, item in part["properties"].items():
        kinds = dict.fromkeys(_kinds(item, parts))
        needed = " **Needed.**" if key in part.get("required", ()) else ""
        default = item.get("default")
        given = f" Default: `{json.dumps(default)}`." if default not in (None, "", [], {}) else ""
        cells = (f"`{key}`", " or ".join(kinds), f"{item['description']}{needed}{given}")
        yield "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"
    yield ""


def _kinds(item: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[str]:
    """The kinds of value that a key takes, as a person says them."""
    if "anyOf" in item:
        for choice in item["anyOf"]:
            yield from _kinds(choice, parts)
    elif "$ref" in item:
        yield "table"
    elif "enum" in item:
        yield ", ".join(f"`{v}`" for v in item["enum"])
    elif "const" in item:
        yield f"`{json.dumps(item['const'])}`"
    elif item.get("type") == "array":
        inner = [k for k in dict.fromkeys(_kinds(item["items"], parts)) if k]
        yield f"list of {' or '.join(_plural(k) for k in inner)}"
    elif item.get("type") == "object":
        inner = dict.fromkeys(_kinds(item.get("additionalProperties", {}), parts))
        yield f"table of {' or '.join(_plural(k) for k in inner)}"
    elif item.get("type") != "null":
        words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
        yield words[item["type"]]


def _plural(kind: str) -> str:
    return kind if kind.endswith("s") else f"{kind}s"


if __name__ == "__main__":
    write(Path(sys.argv[1]))
