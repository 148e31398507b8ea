import datetime

import pyarrow as pa
import pytest

from skygate.domain.catalog import Column, Datatype, Stats
from skygate.web.render import Cell, cells, count, labelled_formats, number, percent, spark, type_of


def one(column, values):
    return [row[0] for row in cells([column], pa.table({"0": values}))]


def test_a_null_is_told_from_an_empty_text():
    column = Column("name", Datatype.UNICODE, arraysize="*")
    assert one(column, pa.array([None, "", "x" * 300])) == [
        Cell("null", "null"),
        Cell(""),
        Cell("x" * 200 + "…"),
    ]


def test_numbers_keep_what_they_say():
    double = Column("x", Datatype.DOUBLE)
    values = pa.array([0.1, 12345678.123456789, float("nan"), float("-inf")])
    assert [c.text for c in one(double, values)] == ["0.1", "12345678.12345679", "NaN", "-∞"]
    single = Column("x", Datatype.FLOAT)
    assert one(single, pa.array([16.7], pa.float32()))[0].text == "16.7"
    assert one(Column("n", Datatype.LONG), pa.array([2**62]))[0].text == str(2**62)


def test_other_values_are_readable():
    assert one(Column("b", Datatype.BOOLEAN), pa.array([True]))[0].text == "true"
    when = Column("t", Datatype.CHAR, arraysize="*", xtype="timestamp")
    assert one(when, pa.array([datetime.datetime(2016, 1, 2, 3)]))[0].text == "2016-01-02 03:00:00"
    many = Column("a", Datatype.INT, arraysize="*")
    assert one(many, pa.array([[1, None, 3]]))[0].text == "[1, null, 3]"
    assert one(many, pa.array([list(range(20))]))[0].text.endswith("15, …]")


@pytest.mark.parametrize(
    ("part", "whole", "said"),
    [
        (0, 10, ""),
        (5, 10, "50 %"),
        (1, 10**7, "<0.1 %"),
        (10**7 - 1, 10**7, ">99.9 %"),
        (7, 7, "100 %"),
        (3, None, ""),
    ],
)
def test_a_share_is_never_rounded_to_none_or_all(part, whole, said):
    assert percent(part, whole) == said


def test_a_histogram_has_a_text_alternative():
    stats = Stats(10, 0, histogram=(1, 0, 9), histogram_low=-1.5, histogram_high=2.0)
    picture = str(spark(stats))
    assert 'aria-label="histogram from -1.5 to 2"' in picture
    assert picture.count("M") == 2
    assert spark(Stats(10, 10)) is None


def test_types_and_counts_read_well():
    assert type_of(Column("a", Datatype.CHAR, arraysize="8")) == "text(8)"
    assert type_of(Column("a", Datatype.FLOAT, arraysize="3")) == "float[3]"
    assert type_of(Column("a", Datatype.CHAR, arraysize="*", xtype="timestamp")) == "timestamp"
    assert (count(1234567), count(None)) == ("1,234,567", "unknown")
    assert (number(3), number(0.1 + 0.2), number(None)) == ("3", "0.3", "")
    assert all(f["label"] != f["name"] for f in labelled_formats())
