"""The client: what it asks, what it gives back, and what it never mistakes for an answer."""

import math
import subprocess
import sys
import warnings

import httpx2
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table

from houses_made import COLUMNS, STARS
from skygate.client import Client, TruncatedWarning
from skygate.errors import (
    BadParameter,
    BadQuery,
    Busy,
    HouseError,
    NeighbourError,
    NotFound,
    SkygateError,
    TooCostly,
)


def test_query_gives_rows_with_their_description(client, house):
    result = client.query("SELECT * FROM stars", maxrec=5)
    assert house.calls[-1] == ("run", "SELECT * FROM stars", 5)
    assert len(result) == 3
    assert result.overflow is False
    assert [c.name for c in result.columns] == [c.name for c in COLUMNS]
    assert result.columns[1].unit == "deg"
    assert result.to_arrow()["id"].to_pylist() == [1, 2**62 + 1, None]
    assert result["ra"].to_pylist()[:2] == [10.5, 359.9]


def test_a_cut_answer_warns_where_one_sees_it(client, house):
    house.overflow = True
    with pytest.warns(TruncatedWarning, match="first 3 rows") as told:
        result = client.query("SELECT * FROM stars")
    assert result.overflow
    assert told[0].filename == __file__
    assert "more exist" in repr(result)


def test_a_whole_answer_does_not_warn(client):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.query("SELECT * FROM stars")


def test_astropy_table_has_units_masks_and_metadata(client):
    table = client.query("SELECT * FROM stars").to_table()
    assert table["ra"].unit == u.deg
    assert table["flux"].unit == u.mJy
    assert table["id"].tolist() == [1, 2**62 + 1, None]
    assert table["name"].tolist() == ["Ωa", None, ""]
    assert table["flux"].tolist() == [[1.0, 2.0], [None, None], [3.5, 4.5]]
    assert table["id"].description == "Identifier"
    assert table["id"].meta["ucd"] == "meta.id;meta.main"
    assert QTable(table)["ra"][0] == 10.5 * u.deg


def test_pandas_keeps_long_integers_next_to_nulls(client):
    frame = client.query("SELECT * FROM stars").to_pandas()
    assert frame["id"].tolist()[:2] == [1, 2**62 + 1]
    assert frame["id"].isna().tolist() == [False, False, True]
    assert frame.attrs["units"]["ra"] == "deg"


def test_polars(client):
    frame = client.query("SELECT * FROM stars").to_polars()
    assert frame["id"].to_list() == [1, 2**62 + 1, None]


def test_repr_is_a_table(client):
    lines = repr(client.query("SELECT * FROM stars")).splitlines()
    assert lines[0].split() == ["id", "ra", "dec", "name", "flux"]
    assert "deg" in lines[1]
    assert lines[-1] == "3 rows"


def test_an_empty_answer_has_columns(client, house):
    house.batches = 0
    result = client.query("SELECT * FROM stars WHERE 1 = 0")
    assert len(result) == 0
    assert len(result.to_table().colnames) == len(result.to_pandas().columns) == 5
    assert "0 rows" in repr(result)


def test_check(client, house):
    assert client.check("SELECT * FROM stars") == COLUMNS
    with pytest.raises(BadQuery):
        client.check("SELECT mag_gg FROM stars")


def test_cone(client, house):
    client.cone("stars", 10.5, -5.0, 0.25, columns=["id", "ra"], maxrec=3)
    kind, table, circle, columns, maxrec = house.calls[0]
    assert (kind, table, list(columns), maxrec) == ("cone", "stars", ["id", "ra"], 3)
    assert (circle.center.ra_deg, circle.center.dec_deg, circle.radius_deg) == (10.5, -5.0, 0.25)


@pytest.mark.parametrize(
    "positions",
    [
        pa.table({"ra": [1.5, 2.0], "dec": [3, 4]}),
        pa.record_batch({"RA": pa.array([1.5, 2.0]), "Dec": pa.array([3, 4])}),
        pd.DataFrame({"ra": [1.5, 2.0], "dec": [3.0, 4.0]}, index=[7, 9]),
        pl.DataFrame({"ra": [1.5, 2.0], "dec": [3.0, 4.0]}),
        Table({"ra": [1.5, 2.0], "dec": [3.0, 4.0]}),
        QTable({"ra": [1.5, 2.0] * u.deg, "dec": [180.0, 240.0] * u.arcmin}),
        SkyCoord([1.5, 2.0], [3.0, 4.0], unit="deg"),
        {"ra": np.array([1.5, 2.0]), "dec": [3.0, 4.0]},
    ],
    ids=["arrow", "batch", "pandas", "polars", "astropy", "units", "SkyCoord", "dict"],
)
def test_crossmatch_takes_positions_of_any_library(client, house, positions):
    client.crossmatch("stars", positions, 0.001, nearest=True, maxrec=10)
    kind, table, sent, radius_deg, more = house.calls[0]
    assert (kind, table, radius_deg, more["nearest"], more["maxrec"]) == (
        "crossmatch",
        "stars",
        0.001,
        True,
        10,
    )
    assert sent.column_names == ["ra", "dec"]
    assert sent["ra"].to_pylist() == [1.5, 2.0]
    expected = [3.0, 4.0]
    assert sent["dec"].to_pylist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("positions", "said"),
    [({"ra": [1.0]}, "no column dec"), ({"ra": ["x"], "dec": [1.0]}, "no number"), (5, "cannot be used")],
)
def test_what_is_no_positions_is_said_before_anything_is_sent(client, house, positions, said):
    with pytest.raises(BadParameter, match=said):
        client.crossmatch("stars", positions, 1)
    assert house.calls == []


@pytest.mark.parametrize(("ra", "dec", "radius_deg"), [(math.nan, 0, 1), (0, math.inf, 1), (0, 0, "wide")])
def test_a_cone_needs_finite_numbers(client, ra, dec, radius_deg):
    with pytest.raises(BadParameter, match="not a finite number"):
        client.cone("stars", ra, dec, radius_deg)


def test_a_cone_takes_any_number(client):
    assert len(client.cone("stars", np.float32(10), np.int64(0), np.float64(1))) >= 0


def test_tables_and_releases(client):
    (table,) = client.tables()
    assert (table.full_name, table.columns) == ("mini.stars", STARS.columns)
    (release,) = client.releases()
    assert (release.name, release.citation) == ("mini", "Doe 2020")


@pytest.mark.parametrize(
    "fault", [TooCostly("ran for 60 s", hint="narrow it"), Busy("full", retry_after_s=9), NotFound("none")]
)
def test_a_fault_comes_back_as_the_class_that_it_was(client, house, fault):
    house.fault = fault
    with pytest.raises(type(fault)) as told:
        client.query("SELECT 1")
    assert type(told.value) is type(fault)
    assert (told.value.message, told.value.hint) == (fault.message, fault.hint)
    if isinstance(fault, Busy):
        assert told.value.retry_after_s == 9


def test_a_bad_query_keeps_its_place(client):
    with pytest.raises(BadQuery) as told:
        client.query("SELECT\n mag_gg FROM stars")
    assert (told.value.where.line, told.value.where.column, told.value.suggestions) == (2, 2, ("mag_g",))


def test_our_own_fault_has_an_id(client, house):
    house.fault = RuntimeError("secret")
    with pytest.raises(HouseError) as told:
        client.query("SELECT 1")
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("fault", [TooCostly("ran for 60 s"), RuntimeError("oops")])
def test_an_answer_that_breaks_off_is_an_error_never_a_part(client, house, fault):
    house.batches, house.late_fault = 2_000, fault
    with pytest.raises(SkygateError):
        client.query("SELECT * FROM stars")


def served(handler) -> Client:
    return Client("http://elsewhere.example", transport=httpx2.MockTransport(handler))


def arrow_bytes(*, ending: bool) -> bytes:
    sink = pa.BufferOutputStream()
    batch = pa.record_batch({"a": pa.array([1, 2])})
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
        if ending:
            told = {"skygate.rows": "2", "skygate.overflow": "false"}
            writer.write_batch(batch.slice(0, 0), custom_metadata=told)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("kept", [0, 3, 50, 200, None])
def test_a_stream_without_its_end_is_refused_wherever_it_was_cut(kept):
    headers = {"content-type": "application/vnd.apache.arrow.stream"}
    body = arrow_bytes(ending=kept is not None)
    client = served(lambda request: httpx2.Response(200, headers=headers, content=body[:kept]))
    with pytest.raises(NeighbourError, match="broke off"):
        client.query("SELECT 1")


@pytest.mark.parametrize("size", [1, 7, 100, 4096])
def test_a_stream_may_come_in_pieces_of_any_size(size):
    whole = arrow_bytes(ending=True)
    pieces = [whole[i : i + size] for i in range(0, len(whole), size)]
    headers = {"content-type": "application/vnd.apache.arrow.stream"}
    client = served(lambda request: httpx2.Response(200, headers=headers, content=iter(pieces)))
    assert client.query("SELECT 1")["a"].to_pylist() == [1, 2]


def test_every_cut_of_a_stream_is_noticed_before_its_end_mark():
    headers = {"content-type": "application/vnd.apache.arrow.stream"}
    whole = arrow_bytes(ending=True)
    outcomes = []
    for kept in range(0, len(whole), 7):
        cut = whole[:kept]
        client = served(lambda request, cut=cut: httpx2.Response(200, headers=headers, content=cut))
        try:
            outcomes.append(len(client.query("SELECT 1")))
        except NeighbourError:
            outcomes.append(None)
    assert len(served(lambda r: httpx2.Response(200, headers=headers, content=whole)).query("SELECT 1")) == 2
    # only a cut behind the last batch, with everything there, may pass
    assert set(outcomes) <= {None, 2}
    assert outcomes.count(2) <= 3


def broken(request):
    raise httpx2.ReadError("connection reset")


def absent(request):
    raise httpx2.ConnectError("refused")


@pytest.mark.parametrize(
    ("handler", "kind", "said"),
    [
        (absent, NeighbourError, "cannot be reached"),
        (broken, NeighbourError, "broke off"),
        (lambda r: httpx2.Response(404, text="<html>"), NotFound, "no Skygate"),
        (lambda r: httpx2.Response(502, text="bad gateway"), NeighbourError, "away"),
        (lambda r: httpx2.Response(418, text="tea"), HouseError, "418"),
        (lambda r: httpx2.Response(200, text="hello"), NotFound, "instead of rows"),
        (lambda r: httpx2.Response(500, json=["no"]), HouseError, "500"),
    ],
)
def test_what_is_no_skygate_is_told_apart(handler, kind, said):
    with pytest.raises(kind, match=said):
        served(handler).query("SELECT 1")


def test_json_from_elsewhere(client):
    with pytest.raises(NotFound, match="does not answer as a Skygate"):
        served(lambda r: httpx2.Response(200, text="hello")).tables()


def test_the_client_is_light():
    code = (
        "import sys, skygate.client; "
        "heavy = {'duckdb', 'fastapi', 'starlette', 'astropy', 'sqlglot', 'pandas', 'polars', 'h5py'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
