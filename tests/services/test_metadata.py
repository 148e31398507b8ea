"""TAP_SCHEMA's rows, against TAP 1.1, section 4."""

import pytest

from skygate import wire
from skygate.domain.catalog import CELL_COLUMN, Column, Datatype, Key, Part, Schema, SkyPosition, Table
from skygate.services import metadata
from skygate.services.names import full_name, read_name, spell

COLUMNS = (
    Column("id", Datatype.LONG, ucd="meta.id;meta.main", principal=True, description="Identifier"),
    Column("Size", Datatype.DOUBLE, unit="arcsec", principal=False),
    Column("group", Datatype.UNICODE, arraysize="8*"),
    Column("2mass name", Datatype.CHAR),
    Column("seen", Datatype.CHAR, arraysize="*", xtype="timestamp"),
    Column("flux", Datatype.FLOAT, arraysize="3", indexed=True),
)
TABLE = Table(
    "survey",
    'odd "table"',
    COLUMNS,
    position=SkyPosition("id", "Size"),
    parts=(Part("/x", 1, 1, "", 0, 1),),
)
OTHER = Table("survey", "other", COLUMNS[:1], description="Another one")
SURVEY = Schema(
    "survey",
    (TABLE, OTHER),
    title="A survey",
    keys=(
        Key("survey.other", TABLE.full_name, (("id", "id"),), "of the same star"),
        Key("survey.gone", "survey.other", ()),
    ),
)
ROWS = metadata.rows_of((SURVEY, metadata.SCHEMA))


def rows(name: str, **where: object) -> list[dict[str, object]]:
    found = ROWS[f"TAP_SCHEMA.{name}"].to_pylist()
    return [r for r in found if all(r[k] == v for k, v in where.items())]


def test_schemas():
    assert [(r["schema_name"], r["schema_index"], r["description"]) for r in rows("schemas")][:1] == [
        ("survey", 0, "A survey")
    ]
    assert rows("schemas")[1]["schema_name"] == "TAP_SCHEMA"


def test_tables_have_full_names_in_legal_adql():
    names = [r["table_name"] for r in rows("tables")]
    assert names[:2] == ['survey."odd ""table"""', "survey.other"]
    assert names[2:] == [f"TAP_SCHEMA.{n}" for n in ("schemas", "tables", "columns", "keys", "key_columns")]
    assert rows("tables")[0]["table_type"] == "table"


def test_columns():
    found = rows("columns", table_name='survey."odd ""table"""')
    assert [r["column_name"] for r in found] == ["id", '"Size"', '"group"', '"2mass name"', "seen", "flux"]
    assert [r["arraysize"] for r in found] == [None, None, "8*", "*", "*", "3"]
    assert [r["size"] for r in found] == [None, None, 8, None, None, 3]
    assert [r["principal"] for r in found] == [1, 0, 1, 1, 1, 1]
    assert [r["indexed"] for r in found] == [0, 0, 0, 0, 0, 1]
    assert [r["std"] for r in found] == [0] * 6
    assert [r["column_index"] for r in found] == list(range(6))
    assert (found[4]["datatype"], found[4]["xtype"]) == ("char", "timestamp")
    assert found[1]["unit"] == "arcsec"
    assert found[0]["ucd"] == "meta.id;meta.main"


def test_the_column_that_sorts_is_not_listed():
    assert not [r for r in rows("columns") if CELL_COLUMN in str(r["column_name"])]


def test_it_describes_itself_and_is_standard():
    found = [r for r in rows("columns") if str(r["table_name"]).startswith("TAP_SCHEMA.")]
    assert {r["std"] for r in found} == {1}
    assert '"size"' in [r["column_name"] for r in found]
    for table in metadata.SCHEMA.tables:
        said = rows("columns", table_name=full_name(table))
        assert [r["column_name"] for r in said] == [spell(c.name) for c in table.columns]
        assert ROWS[table.full_name].schema.equals(wire.arrow_schema(table.columns), check_metadata=True)


def test_keys_name_tables_and_columns_that_are_there():
    tables = {r["table_name"] for r in rows("tables")}
    columns = {(r["table_name"], r["column_name"]) for r in rows("columns")}
    keys = {r["key_id"]: r for r in rows("keys")}
    assert len(keys) == len(rows("keys")) == 1 + len(metadata.SCHEMA.keys)
    assert keys["survey_1"]["from_table"] == "survey.other"
    for key in keys.values():
        assert {key["from_table"], key["target_table"]} <= tables
    for row in rows("key_columns"):
        key = keys[row["key_id"]]
        assert (key["from_table"], row["from_column"]) in columns
        assert (key["target_table"], row["target_column"]) in columns


@pytest.mark.parametrize(
    ("name", "spelled"),
    [("ra", "ra"), ("size", '"size"'), ("_x", '"_x"'), ("a b", '"a b"'), ('a"b', '"a""b"'), ("é", '"é"')],
)
def test_names_are_delimited_where_they_must_be(name, spelled):
    assert spell(name) == spelled
    assert read_name(spelled) == (name,)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a.b", ("a", "b")),
        ('"a.b".c', ("a.b", "c")),
        ("a.", ()),
        (".a", ()),
        ('"a"b', ()),
        ("", ()),
        ('""', ()),
    ],
)
def test_names_are_read(text, parts):
    assert read_name(text) == parts
