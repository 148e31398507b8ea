"""Tables of positions as they are sent: whatever stands in them, a table or a sentence."""

import numpy as np
import pyarrow as pa
import pytest

from skygate.errors import BadParameter
from skygate.services.questions import upload

PLACES = {"ra": pa.array([1.0, 2.0]), "dec": pa.array([0.0, 0.0])}


def sent(**columns: pa.Field) -> pa.Table:
    """Two positions with more columns of numbers, under these fields."""
    fields = [pa.field("ra", pa.float64()), pa.field("dec", pa.float64()), *columns.values()]
    return pa.table([*PLACES.values(), *(pa.array([1, 2]) for _ in columns)], schema=pa.schema(fields))


def test_units_and_descriptions_come_along():
    told = {"unit": "mag", "ucd": "phot.mag", "description": "as I see it"}
    schema, _ = upload(sent(x=pa.field("x", pa.int64(), metadata=told)), max_rows=10)
    column = schema.tables[0].column("x")
    assert (column.unit, column.ucd, column.description) == ("mag", "phot.mag", "as I see it")


@pytest.mark.parametrize(
    "told",
    [
        {"arraysize": "99999999999999"},
        {"datatype": "char"},
        {"datatype": "x", "arraysize": "-1"},
        {"arraysize": "*"},
    ],
)
def test_types_are_not_taken_from_metadata(told):
    schema, rows = upload(sent(x=pa.field("x", pa.int64(), metadata=told)), max_rows=10)
    assert schema.tables[0].column("x").arraysize is None
    assert rows["x"].to_pylist() == [1, 2]


def test_a_dictionary_of_long_values_is_not_spread_out():
    count = 20_000
    coded = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), pa.array(["x" * 100_000]))
    table = pa.table({"ra": np.zeros(count), "dec": np.zeros(count), "tile": coded})
    with pytest.raises(BadParameter, match="tile"):
        upload(table, max_rows=count)
    short = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), pa.array(["x" * 100]))
    _, rows = upload(table.set_column(2, "tile", short), max_rows=count)
    assert rows["tile"][0].as_py() == "x" * 100
