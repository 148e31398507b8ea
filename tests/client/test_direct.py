"""A client in the house's own process asks the services without HTTP: the same answers and faults."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pyarrow as pa
import pytest

import skygate
from releases_made import make_release
from skygate.client import Client, TruncatedWarning
from skygate.engines.caches import Caches
from skygate.errors import HouseError, SkygateError


class Counted:
    """What was asked of a transport."""

    def __init__(self, client: Client) -> None:
        self.paths: list[str] = []
        self._send = client._http.send
        client._http.send = self.send

    def send(self, request, **more):
        self.paths.append(request.url.path)
        return self._send(request, **more)


@pytest.fixture(scope="module", params=["cached", "bare"])
def gates(request, tmp_path_factory):
    """(a client that goes the short way, one that goes by HTTP)."""
    root = tmp_path_factory.mktemp("root")
    release = make_release(root, rows=4_000)
    if request.param == "cached":
        assert Caches(native=False).build(release, release.tables[0], lambda rows: None)
    with skygate.connect(root) as short, skygate.connect(root) as long:
        long._inside = None
        yield short, long


QUESTIONS = {
    "cone": lambda c: c.cone("stars", 0.0, 90.0, 0.4),
    "cone with columns": lambda c: c.cone("mini.stars", 210.8, 54.35, 0.01, columns=("name", "id")),
    "cone of nothing": lambda c: c.cone("stars", 100.0, 33.0, 1e-6),
    "wide cone": lambda c: c.cone("stars", 370.0, 10.0, 60.0),
    "whole cone": lambda c: c.cone("stars", -10.0, 10.0, 180.0),
    "cut cone": lambda c: c.cone("stars", 0.0, 90.0, 1.0, maxrec=5),
    "no row of a cone": lambda c: c.cone("stars", 0.0, 90.0, 1.0, maxrec=0),
    "identifier": lambda c: c.query("SELECT * FROM stars WHERE id = 77"),
    "disc": lambda c: c.query("SELECT id FROM stars WHERE DISTANCE(ra, dec, 0, 90) < 0.2"),
    "count": lambda c: c.query("SELECT COUNT(*) AS n FROM stars"),
    "tables": lambda c: c.query("SELECT table_name FROM tap_schema.tables"),
    "empty": lambda c: c.query("SELECT * FROM stars WHERE 1 = 0"),
    "match": lambda c: c.crossmatch(
        "stars", {"ra": [0.0, 210.8], "dec": [90.0, 54.35], "x": ["a", None]}, 0.3
    ),
    "nearest": lambda c: c.crossmatch(
        "stars", {"ra": [0.0], "dec": [90.0]}, 0.5, nearest=True, columns=["id"]
    ),
    "no positions": lambda c: c.crossmatch(
        "stars", {"ra": pa.array([], pa.float64()), "dec": pa.array([], pa.float64())}, 1
    ),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_are_the_same(gates, question):
    short = gates[0]
    asked = Counted(short)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncatedWarning)
        one, other = (QUESTIONS[question](c) for c in gates)
    short._http.send = asked._send
    assert asked.paths == []
    assert (one.overflow, one.query, one.columns) == (other.overflow, other.query, other.columns)
    told = [dict(r.rows.schema.metadata) for r in (one, other)]
    infos, others = (json.loads(t.pop(b"skygate.infos")) for t in told)
    assert others.pop("request").startswith("http://localhost")
    assert infos.pop("request_date")[:10] == others.pop("request_date")[:10]
    assert infos == others
    assert told[0] == told[1]
    for mine, theirs in zip(one.rows.schema, other.rows.schema, strict=True):
        assert mine.equals(theirs, check_metadata=True)
    if not one.overflow:
        assert sorted(map(repr, one.rows.to_pylist())) == sorted(map(repr, other.rows.to_pylist()))
    assert len(one) == len(other)


FAULTS = {
    "unknown table": lambda c: c.cone("nothing", 0, 0, 1),
    "no positions": lambda c: c.cone("notes", 0, 0, 1),
    "unknown column": lambda c: c.cone("stars", 0, 0, 1, columns=["mag_gg"]),
    "no column": lambda c: c.cone("stars", 0, 0, 1, columns=[]),
    "pole": lambda c: c.cone("stars", 0, 91, 1),
    "ra": lambda c: c.cone("stars", 1e6, 0, 1),
    "radius": lambda c: c.cone("stars", 0, 0, 181),
    "negative": lambda c: c.cone("stars", 0, 0, 1, maxrec=-1),
    "huge": lambda c: c.query("SELECT 1 AS x FROM stars", maxrec=2**70),
    "nan": lambda c: c.cone("stars", float("nan"), 0, 1),
    "name": lambda c: c.cone("st\x00ars", 0, 0, 1),
    "long name": lambda c: c.cone("s" * 501, 0, 0, 1),
    "control character": lambda c: c.query("SELECT \x07 FROM stars"),
    "bad query": lambda c: c.query("SELECT mag_gg FROM stars"),
    "no query": lambda c: c.query("DROP TABLE stars"),
    "long query": lambda c: c.query("SELECT id FROM stars -- " + "x" * 300_000),
    "match radius": lambda c: c.crossmatch("stars", {"ra": [1.0], "dec": [1.0]}, 181),
    "match nan": lambda c: c.crossmatch("stars", {"ra": [1.0], "dec": [1.0]}, float("nan")),
    "match dec": lambda c: c.crossmatch("stars", {"ra": [1.0], "dec": [91.0]}, 1),
    "match columns": lambda c: c.crossmatch("stars", {"ra": [1.0], "dec": [1.0], "row": [1]}, 1),
    "match table": lambda c: c.crossmatch("notes", {"ra": [1.0], "dec": [1.0]}, 1),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_the_same(gates, fault):
    told = []
    for client in gates:
        with pytest.raises(SkygateError) as caught:
            FAULTS[fault](client)
        told.append(caught.value)
    one, other = told
    assert type(one) is type(other)
    assert (one.message, one.hint, one.where) == (other.message, other.hint, other.where)


def test_an_overflow_warns_as_ever(gates):
    with pytest.warns(TruncatedWarning, match="first 3 rows"):
        gates[0].cone("stars", 0.0, 90.0, 1.0, maxrec=3)


def test_what_goes_wrong_inside_is_told_as_a_door_tells_it(gates, monkeypatch):
    short = gates[0]
    monkeypatch.setattr(
        type(short._inside._house.queries), "_cone", lambda *_: (_ for _ in ()).throw(HouseError("secret"))
    )
    for client in gates:
        with pytest.raises(HouseError) as caught:
            client.cone("stars", 0.0, 0.0, 1.0)
        assert "secret" not in str(caught.value)


def test_a_closed_client_holds_no_house(tmp_path):
    make_release(tmp_path, rows=300)
    client = skygate.connect(tmp_path)
    assert len(client.cone("stars", 0.0, 0.0, 180.0)) == 294
    client.close()
    assert client._inside._house is None
    with pytest.raises(RuntimeError, match="closed"):
        client.cone("stars", 0.0, 0.0, 1.0)


def test_an_answer_is_no_view_of_more_than_its_rows(gates):
    import pickle

    rows = gates[0].cone("stars", 210.8, 54.35, 0.002).rows
    assert rows.num_rows > 0
    assert len(pickle.dumps(rows)) < 50_000 + 2_000 * rows.num_rows


def test_a_new_version_is_taken_up_at_once(tmp_path):
    make_release(tmp_path, rows=300)
    with skygate.connect(tmp_path) as client:
        assert len(client.cone("stars", 0.0, 0.0, 180.0)) == 294
        second = make_release(tmp_path, rows=400)
        assert len(client.cone("stars", 0.0, 0.0, 180.0)) == 394
        Caches(native=False).build(second, second.tables[0], lambda rows: None)
        np.testing.assert_array_equal(client.query("SELECT id FROM stars WHERE id = 7")["id"].to_numpy(), [7])
