"""The reference page of every setting, written from the settings themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from skygate.settings import Settings

_HEAD = """# Settings

This page is written from the code by `make docs`.

A setting comes from the command line, else from the environment, else from `skygate.toml` in the working
directory (or the file that `SKYGATE_CONFIG` names), else it has its default. A name or value that is not
understood stops the start with a sentence.

```toml
# skygate.toml
root = "/srv/skygate"

[server]
port = 8080
base_url = "https://data.example.org/sky"

[queries]
sync_seconds = 120
```
"""
_TYPES = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false", "Path": "path"}


def settings_page() -> str:
    """The page, as Markdown."""
    plain = [(n, f) for n, f in Settings.model_fields.items() if _group(f) is None]
    groups = [(n, g) for n, f in Settings.model_fields.items() if (g := _group(f)) is not None]
    parts = [_HEAD, "## Top level\n", *_table("", plain)]
    for name, group in groups:
        parts += [f"\n## [{name}]\n", f"{_sentence(group)}\n", *_table(name, group.model_fields.items())]
    return "\n".join(parts) + "\n"


def write(directory: Path) -> list[Path]:
    """Write `settings.md` into a directory."""
    page = directory / "settings.md"
    page.write_text(settings_page())
    return [page]


def _group(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _sentence(group: type[BaseModel]) -> str:
    return (group.__doc__ or "").strip().splitlines()[0]


def _table(group: str, fields: Any) -> Iterator[str]:
    yield "| Setting | Environment | Value | Default | Meaning |"
    yield "| --- | --- | --- | --- | --- |"
    for name, field in fields:
        variable = "SKYGATE__" + "__".join(part.upper() for part in (group, name) if part)
        cells = (f"`{name}`", f"`{variable}`", _value(field), _default(field), field.description or "")
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _value(field: FieldInfo) -> str:
    """What may stand there, with its bounds."""
    kind = field.annotation
    if get_origin(kind) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(kind))
    kinds = [k for k in get_args(kind) if k is not type(None)] or [kind]
    text = _TYPES.get(getattr(kinds[0], "__name__", ""), "text")
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [
        f"{sign} {getattr(rule, name)}"
        for rule in field.metadata
        for name, sign in signs.items()
        if getattr(rule, name, None) is not None
    ]
    return ", ".join([text, *bounds])


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "see meaning"
    if field.default is None:
        return "none"
    return f"`{field.default}`"
