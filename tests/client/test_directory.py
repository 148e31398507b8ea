"""`skygate.connect(directory)`: the client, the app, the services and the engine in one process."""

from __future__ import annotations

import math
import threading

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import skygate
from releases_made import STARS, make_release
from skygate.client import TruncatedWarning
from skygate.errors import BadParameter, BadQuery, NotFound


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path = tmp_path_factory.mktemp("root")
    make_release(path)
    return path


@pytest.fixture(scope="module")
def gate(root):
    with skygate.connect(root) as client:
        yield client


@pytest.fixture(scope="module")
def stars(gate) -> pa.Table:
    return gate.query("SELECT id, ra, dec FROM stars ORDER BY id").to_arrow()


def distance_deg(ra, dec, ra0, dec0):
    """Haversine: exact enough for any distance."""
    ra, dec, ra0, dec0 = map(np.radians, (ra, dec, ra0, dec0))
    a = np.sin((dec - dec0) / 2) ** 2 + np.cos(dec) * np.cos(dec0) * np.sin((ra - ra0) / 2) ** 2
    return np.degrees(2 * np.arcsin(np.sqrt(a)))


def test_what_there_is(gate):
    tables = {t.full_name: t for t in gate.tables()}
    assert tables["mini.stars"].columns[0].name == "id"
    assert [c.name for c in tables["mini.stars"].columns] == [c.name for c in STARS]
    assert tables["mini.stars"].parts == ()
    assert "mini.stars (5,000 rows" in repr(gate.tables())
    assert [r.name for r in gate.releases()] == ["mini"]
    assert "mini (version 1)" in repr(gate.releases())


def test_every_type_comes_through(gate):
    result = gate.query("SELECT * FROM stars ORDER BY id")
    assert len(result) == 5000
    assert [c.name for c in result.columns] == [c.name for c in STARS]
    assert [c.unit for c in result.columns] == [c.unit for c in STARS]
    table = result.to_table()
    assert table["flux"].shape == (5000, 3)
    assert str(table["flux"].unit) == "nJy"
    assert table["name"].mask.any()
    frame = result.to_pandas()
    assert frame["id"].tolist() == list(range(1, 5001))
    assert result.to_polars().height == 5000


def test_maxrec_cuts_and_says_so(gate):
    with pytest.warns(TruncatedWarning):
        assert len(gate.query("SELECT id FROM stars", maxrec=7)) == 7
    assert gate.query("SELECT TOP 7 id FROM stars", maxrec=7).overflow is False


@pytest.mark.parametrize(
    ("ra", "dec", "radius"), [(0.0, 0.0, 1.0), (210.8, 54.35, 0.01), (10.0, 90.0, 0.5), (180.0, -89.9, 0.3)]
)
def test_a_cone_is_what_brute_force_finds(gate, stars, ra, dec, radius):
    found = gate.cone("stars", ra, dec, radius, columns=["id"])
    near = distance_deg(stars["ra"].to_numpy(), stars["dec"].to_numpy(), ra, dec) <= radius
    assert sorted(found["id"].to_pylist()) == stars["id"].to_numpy()[near].tolist()
    assert len(found) > 0


def test_a_crossmatch_brings_your_columns_along(gate, stars):
    mine = stars.slice(100, 50).rename_columns(["my_id", "ra", "dec"])
    found = gate.crossmatch("mini.stars", mine, 1e-6, nearest=True).to_arrow()
    assert found["my_id"].to_pylist() == found["id"].to_pylist()
    assert found["row"].to_pylist() == [i for i, ra in enumerate(mine["ra"].to_pylist()) if ra is not None]


@pytest.mark.parametrize("turns", [1, -1, 7])
@pytest.mark.parametrize("nearest", [True, False])
def test_right_ascension_wraps_in_a_crossmatch(gate, stars, turns, nearest):
    known = stars.filter(pc.is_valid(stars["ra"])).slice(0, 20)
    turned = pc.add(known["ra"], 360.0 * turns)
    found = gate.crossmatch("mini.stars", {"ra": turned, "dec": known["dec"]}, 1e-6, nearest=nearest)
    assert set(known["id"].to_pylist()) <= set(found.to_arrow()["id"].to_pylist())


@pytest.mark.parametrize(("ra", "dec"), [(math.inf, 0.0), (-math.inf, 0.0), (0.0, 90.1), (0.0, math.inf)])
def test_what_is_no_position_is_refused(gate, ra, dec):
    with pytest.raises(BadParameter, match="of position 0 is"):
        gate.crossmatch("mini.stars", {"ra": [ra], "dec": [dec]}, 0.1)


def test_faults_are_those_of_the_house(gate):
    with pytest.raises(BadQuery) as told:
        gate.query("SELECT mag_gg FROM stars")
    assert told.value.where.column == 8
    assert "mag_g" in told.value.suggestions
    with pytest.raises(NotFound):
        gate.cone("nothing", 0, 0, 1)
    with pytest.raises(NotFound):
        gate.cone("notes", 0, 0, 1)
    with pytest.raises(BadParameter):
        gate.cone("stars", 0, 91, 1)
    with pytest.raises(BadParameter):
        gate.crossmatch("stars", {"ra": [1.0], "dec": [91.0]}, 1)
    with pytest.raises(BadQuery):
        gate.check("DROP TABLE stars")


def test_check_does_not_run(gate):
    columns = gate.check("SELECT id, mag_g - mag_r AS colour FROM stars")
    assert [c.name for c in columns] == ["id", "colour"]


def test_streamed_batches_can_be_left(gate):
    with gate.stream("SELECT a.id FROM stars AS a CROSS JOIN notes AS b") as rows:
        assert next(iter(rows)).num_rows > 0
    assert rows.outcome is None
    assert len(gate.query("SELECT TOP 3 id FROM stars")) == 3


def test_many_threads_ask_at_once(gate):
    found: list[int] = []

    def ask() -> None:
        found.append(len(gate.query("SELECT TOP 100 id, ra FROM stars")))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [100] * 6


def test_a_closed_client_says_so_and_its_house_can_be_opened_again(root):
    gate = skygate.connect(root)
    assert len(gate.query("SELECT TOP 1 id FROM stars")) == 1
    gate.close()
    with pytest.raises(RuntimeError, match="closed"):
        gate.query("SELECT TOP 1 id FROM stars")
    with skygate.connect(root) as again:
        assert len(again.query("SELECT TOP 1 id FROM stars")) == 1


def test_a_wrong_setting_is_one_sentence(tmp_path, monkeypatch):
    make_release(tmp_path)
    monkeypatch.setenv("SKYGATE__QUERIES__SYNC_SECONDS", "long")
    with pytest.raises(BadParameter, match="sync_seconds"):
        skygate.connect(tmp_path)
