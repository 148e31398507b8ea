"""Mistakes in release.toml, said so that a person can mend them: key, what was expected, nearest key."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from skygate.release.legal import nearest
from skygate.release.recipe_model import ReleaseFile
from skygate.release.toml_lines import Path


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake: its path in the data, the key as a person writes it, what is wrong, and what to do."""

    path: Path
    key: str
    message: str
    hint: str | None = None


_EXPECTED = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list [ … ]",
    "model_type": "a table { … }",
    "dict_type": "a table { … }",
    "model_attributes_type": "a table { … }",
}


def faults_of(error: ValidationError, data: Mapping[str, Any]) -> list[Fault]:
    """The mistakes that pydantic found, without the echoes that a choice of types makes."""
    found: dict[Path, list[dict[str, Any]]] = {}
    for item in error.errors(include_url=False):
        found.setdefault(_true_path(item["loc"], item["type"], data), []).append(dict(item))
    inner = {p: items for p, items in found.items() if not any(q[: len(p)] == p != q for q in found)}
    return [_fault(path, items, data) for path, items in inner.items()]


def field_at(path: Path) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """The model that holds the last key of a path, and that key's field, where the schema knows them."""
    model: type[BaseModel] | None = ReleaseFile
    field: FieldInfo | None = None
    holder = model
    free = False
    for step in path:
        if isinstance(step, int):
            continue
        if free:
            holder, field, free = model, None, False
            continue
        if model is None or step not in model.model_fields:
            return model, None
        holder, field = model, model.model_fields[step]
        model, free = _model_in(field.annotation), _is_mapping(field.annotation)
    return holder, field


def _fault(path: Path, items: list[dict[str, Any]], data: Mapping[str, Any]) -> Fault:
    key, first = written(path, data), items[0]
    kind, value = str(first["type"]), first.get("input")
    model, field = field_at(path)
    about = field.description if field is not None else None
    if kind == "extra_forbidden":
        return Fault(path, key, "there is no such key", _hint_for_unknown(str(path[-1]), model))
    if kind == "missing":
        return Fault(path, key, "is missing", about)
    if kind == "value_error":
        return Fault(path, key, str(first["ctx"]["error"]), about)
    if kind == "literal_error" and len(items) == 1 and isinstance(value, str):
        choices = _choices(str(first["ctx"]["expected"]))
        close = nearest(value, choices)
        expected = f"expected one of {', '.join(choices)}"
        return Fault(path, key, f"{shown(value)} is not known here", _meant(close, expected))
    if kind in ("too_short", "string_too_short"):
        return Fault(path, key, "is empty", about)
    if kind == "string_pattern_mismatch":
        return Fault(path, key, f"{shown(value)} is not of the expected form", about)
    names = [_EXPECTED.get(str(i["type"]), _plain(str(i["msg"]))) for i in items]
    expected = " or ".join(dict.fromkeys(names))
    return Fault(path, key, f"{shown(value)} does not fit: expected {expected}", about)


def written(path: Path, data: Mapping[str, Any]) -> str:
    """A path as a person says it: `table[gaia].columns.ra.unit`; elements are named, else counted from 1."""
    out, here = "", typing.cast(Any, data)
    for step in path:
        if isinstance(step, int):
            here = here[step] if isinstance(here, list) and step < len(here) else None
            name = here.get("name") if isinstance(here, dict) else None
            out += f"[{name if isinstance(name, str) and name else step + 1}]"
        else:
            here = here.get(step) if isinstance(here, dict) else None
            out += f".{step}" if out else step
    return out


def shown(value: Any) -> str:
    """A value of the file, short and as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value if len(value) <= 60 else value[:57] + "…"}"'
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, (list, tuple)):
        return "a list"
    return str(value)[:60]


def _true_path(loc: tuple[int | str, ...], kind: str, data: Mapping[str, Any]) -> Path:
    """A location without the names of models and types that pydantic puts between keys."""
    path: list[int | str] = []
    here: Any = data
    for index, step in enumerate(loc):
        if isinstance(here, Mapping) and step in here:
            here = here[typing.cast(str, step)]
            path.append(step)
        elif isinstance(here, list) and isinstance(step, int) and step < len(here):
            here = here[step]
            path.append(step)
        elif index == len(loc) - 1 and kind == "missing":
            path.append(step)
    return tuple(path)


def _hint_for_unknown(key: str, model: type[BaseModel] | None) -> str:
    known = list(model.model_fields) if model is not None else []
    homes = [place for place, fields in _everywhere().items() if key in fields]
    if homes:
        return f"{key} belongs under {homes[0]}"
    close = nearest(key, known)
    if close:
        return f"did you mean {close}?"
    return f"expected one of {', '.join(known)}"


def _everywhere() -> dict[str, set[str]]:
    """The keys of every part of the file, by how the part is written."""
    table = _model_in(ReleaseFile.model_fields["table"].annotation)
    parts: dict[str, type[BaseModel] | None] = {
        "[release]": _model_in(ReleaseFile.model_fields["release"].annotation),
        "[[table]]": table,
        "[[key]]": _model_in(ReleaseFile.model_fields["key"].annotation),
    }
    if table is not None:
        parts["[table.columns.NAME]"] = _model_in(table.model_fields["columns"].annotation)
        parts["position = { … }"] = _model_in(table.model_fields["position"].annotation)
        parts["[[table.leave_out]]"] = _model_in(table.model_fields["leave_out"].annotation)
    return {place: set(model.model_fields) for place, model in parts.items() if model is not None}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model somewhere inside a type (`tuple[TablePart, ...]`, `dict[str, ColumnPart]`), if any."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in typing.get_args(annotation):
        found = _model_in(inner)
        if found is not None:
            return found
    return None


def _is_mapping(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _choices(expected: str) -> list[str]:
    return [piece.strip(" '") for piece in expected.replace(" or ", ", ").split(",")]


def _meant(close: str | None, expected: str) -> str:
    return f'did you mean "{close}"? {expected}' if close else expected


def _plain(message: str) -> str:
    """Pydantic's own sentence without its habits."""
    text = message.removeprefix("Input should be ").removeprefix("Value error, ")
    return text.replace("a valid ", "a ")
