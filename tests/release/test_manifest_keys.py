"""Keys between tables: every value found, or counted as missing."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from skygate.domain.catalog import Column, Datatype, Key, Table
from skygate.errors import BadRelease
from skygate.release.keys import check_key, keys_of
from skygate.release.layout import TableWriter
from skygate.release.recipe import KeyRecipe
from skygate.wire import arrow_schema

A = Column("a", Datatype.LONG)
B = Column("b", Datatype.UNICODE, arraysize="*")
SHORT = Column("a", Datatype.SHORT)


def written(root: Path, name: str, columns: tuple[Column, ...], rows: list[list[object]]) -> Table:
    writer = TableWriter(Table("s", name, columns), root, scratch=root / "x")
    arrays = [pa.array(values, field.type) for values, field in zip(rows, arrow_schema(columns), strict=True)]
    writer.add(pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(columns)))
    return writer.finish().table


def found(root: Path, source: Table, target: Table, *columns: str) -> list[tuple[str, str, int | None]]:
    key = Key(source.full_name, target.full_name, tuple((name, name) for name in columns))
    return [(f.severity, f.code, f.count) for f in check_key(key, source, target, root=root)]


def test_every_value_found_is_nothing_to_say(tmp_path: Path) -> None:
    target = written(tmp_path, "t", (A,), [[3, 1, 2]])
    source = written(tmp_path, "f", (A,), [[1, 1, 3, None, 2]])
    assert found(tmp_path, source, target, "a") == []


def test_missing_and_repeated_targets_are_counted(tmp_path: Path) -> None:
    target = written(tmp_path, "t", (A,), [[3, 1, 3, 3]])
    source = written(tmp_path, "f", (A,), [[1, 4, -5, 3, None, 2**62]])
    assert found(tmp_path, source, target, "a") == [
        ("error", "key_without_target", 3),
        ("warning", "key_target_repeated", 2),
    ]


def test_an_empty_target_misses_all(tmp_path: Path) -> None:
    target = written(tmp_path, "t", (A,), [[]])
    source = written(tmp_path, "f", (A,), [[1, None, 2]])
    assert found(tmp_path, source, target, "a") == [("error", "key_without_target", 2)]


def test_integers_of_different_width_and_texts_are_compared(tmp_path: Path) -> None:
    target = written(tmp_path, "t", (A, B), [[3, 1], ["x", "y"]])
    source = written(tmp_path, "f", (SHORT, B), [[1, 7], ["y", "z"]])
    assert found(tmp_path, source, target, "a") == [("error", "key_without_target", 1)]
    assert found(tmp_path, source, target, "b") == [("error", "key_without_target", 1)]


def test_several_columns_are_one_key(tmp_path: Path) -> None:
    target = written(tmp_path, "t", (A, B), [[1, 1, 2, 2], ["x", "y", "x", "x"]])
    source = written(tmp_path, "f", (A, B), [[1, 2, 2, None], ["y", "x", "y", "x"]])
    assert found(tmp_path, source, target, "a", "b") == [
        ("error", "key_without_target", 1),
        ("warning", "key_target_repeated", 1),
    ]


def test_columns_that_cannot_be_compared_are_a_mistake(tmp_path: Path) -> None:
    target = written(tmp_path, "t", (A,), [[1]])
    source = written(tmp_path, "f", (Column("a", Datatype.UNICODE, arraysize="*"),), [["one"]])
    with pytest.raises(BadRelease, match="cannot be compared"):
        found(tmp_path, source, target, "a")


def test_names_are_resolved_with_and_without_the_schema(tmp_path: Path) -> None:
    tables = {"f": Table("s", "f", (A,)), "t": Table("s", "t", (A,))}
    (key,) = keys_of("s", [KeyRecipe("s.f", "t", (("a", "a"),), "why")], tables)
    assert (key.source, key.target, key.description) == ("s.f", "s.t", "why")
    with pytest.raises(BadRelease, match="column 'c'"):
        keys_of("s", [KeyRecipe("f", "t", (("a", "c"),))], tables)
    with pytest.raises(BadRelease, match="tables: f, t"):
        keys_of("s", [KeyRecipe("f", "u", (("a", "a"),))], tables)
