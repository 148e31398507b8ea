"""Densities of a real release, equal to numpy's own binning of the same rows."""

import numpy as np
import pytest

import skygate
from releases_made import make_release
from skygate.errors import BadParameter, NotFound, TooCostly


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    make_release(root)
    return root


@pytest.fixture(scope="module")
def gate(root):
    with skygate.connect(str(root)) as gate:
        yield gate


@pytest.fixture(scope="module")
def stars(gate):
    return gate.query("SELECT * FROM mini.stars").to_pandas()


def binned(values, low, high, bins):
    """By the rule of `domain.density.Axis`; -1 for what is in no bin."""
    with np.errstate(invalid="ignore"):
        number = np.floor((values - low) * (bins / (high - low)))
        inside = (values >= low) & (values <= high)
    return np.where(inside, np.minimum(number, bins - 1), -1).astype(int)


def truth(x, y, ends, bins):
    i, j = binned(x, *ends[0], bins[0]), binned(y, *ends[1], bins[1])
    both = (i >= 0) & (j >= 0)
    counts = np.zeros(bins, dtype=int)
    np.add.at(counts, (i[both], j[both]), 1)
    return counts, i, j


def test_two_columns_with_their_own_ends(gate, stars):
    found = gate.density("stars", "ra", "dec", bins=(36, 18))
    ra, dec = stars["ra"].to_numpy(float), stars["dec"].to_numpy(float)
    ends = ((np.nanmin(ra), np.nanmax(ra)), (np.nanmin(dec), np.nanmax(dec)))
    counts, _, _ = truth(ra, dec, ends, (36, 18))
    assert found.counts.tolist() == counts.tolist()
    assert found.rows == len(stars)
    assert found.inside == np.isfinite(ra).sum()
    assert (found.x_edges[0], found.x_edges[-1]) == ends[0]
    assert found.mean is None
    assert "36 x 18 bins" in repr(found)


@pytest.mark.parametrize("seed", range(5))
def test_expressions_ranges_conditions_and_means(gate, stars, seed):
    rng = np.random.default_rng(seed)
    low, high = sorted(rng.uniform(0, 360, 2))
    bins = tuple(int(b) for b in rng.integers(1, 300, 2))
    condition = "mag_g IS NOT NULL AND dec > -30 -- not south"
    found = gate.density(
        "mini.stars", "ra", "2 * dec - 1", bins=bins, range=((low, high), None), where=condition, mean="mag_g"
    )
    kept = stars[(stars["dec"] > -30) & stars["mag_g"].notna()]
    ra, y = kept["ra"].to_numpy(float), 2 * kept["dec"].to_numpy(float) - 1
    counts, i, j = truth(ra, y, ((low, high), (y.min(), y.max())), bins)
    assert found.counts.tolist() == counts.tolist()
    assert found.rows == len(kept)
    sums = np.zeros(bins)
    both = (i >= 0) & (j >= 0)
    np.add.at(sums, (i[both], j[both]), kept["mag_g"].to_numpy(float)[both])
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(found.mean, np.where(counts, sums / counts, np.nan), rtol=1e-12)


def test_reals_are_counted_as_doubles(gate, stars):
    """Ends that no REAL can hold: the difference shows in rows that lie on an edge."""
    values = stars["mag_g"].to_numpy(float)
    low, high = np.nanmin(values) + 1e-9, np.nanmax(values) + 1e-9
    found = gate.density("stars", "mag_g", "1", bins=(64, 1), range=((low, high), (0, 2)))
    counts, _, _ = truth(values, np.ones(len(values)), ((low, high), (0, 2)), (64, 1))
    assert found.counts.tolist() == counts.tolist()


def test_the_least_and_greatest_reals_are_counted(gate, stars):
    found = gate.density("stars", "mag_g", "dec", bins=7)
    assert found.inside == (stars["mag_g"].notna() & stars["dec"].notna()).sum()


def test_one_value_is_the_middle_of_a_bin(gate):
    found = gate.density("stars", "5", "ra", bins=(3, 1))
    assert found.x_edges.tolist() == pytest.approx([4.5, 4.5 + 1 / 3, 4.5 + 2 / 3, 5.5])
    assert found.counts[1, 0] == found.inside


def test_the_sky(gate, stars):
    found = gate.sky_density("stars", 3, mean="mag_g")
    cells = gate.query(
        "SELECT ivo_healpix_index(3, ra + 0, dec) AS c, COUNT(*) AS n, AVG(mag_g) AS m FROM mini.stars "
        "WHERE ra IS NOT NULL GROUP BY c"
    ).to_pandas()
    counts = np.zeros(768, dtype=int)
    counts[cells["c"].astype(int)] = cells["n"]
    assert found.counts.tolist() == counts.tolist()
    assert (found.nside, found.rows, found.inside) == (8, len(stars), counts.sum())
    np.testing.assert_allclose(found.mean[cells["c"].astype(int)], cells["m"].astype(float))
    some = gate.sky_density("stars", 0, where="dec > 0")
    assert some.inside == (stars["dec"] > 0).sum()


@pytest.mark.parametrize(
    ("asked", "name", "told"),
    [
        ({"x": "mag_gg"}, "x", "did you mean"),
        ({"x": "ra, dec"}, "x", "rows of values"),
        ({"x": "ra) AS a, (dec"}, "x", "closes nothing"),
        ({"y": "name"}, "y", "no number of each row"),
        ({"y": ""}, "y", "found"),
        ({"x": "COUNT(*)"}, "x", "aggregate"),
        ({"where": "dec >"}, "where", "found"),
        ({"where": "dec > 0) OR (1 = 1"}, "where", "closes nothing"),
        ({"mean": "name"}, "mean", "no number of each row"),
        ({"x": "ra", "where": "ra > 1000"}, "x", "no row has a value"),
        ({"range": ((5, 5), None)}, "range", "empty"),
        ({"range": ((5, 1), None)}, "range", "empty"),
        ({"range": ((0, float("nan")), None)}, "range", "finite"),
        ({"bins": 0}, "x_bins", "greater"),
        ({"bins": (4097, 1)}, "x_bins", "less"),
        ({"bins": (4096, 4096)}, "bins", "2048 x 2048"),
    ],
)
def test_what_is_wrong_is_named(gate, asked, name, told):
    with pytest.raises(BadParameter, match=told) as caught:
        gate.density("stars", **{"x": "ra", "y": "dec", "bins": 4, **asked})
    assert caught.value.where is not None
    assert caught.value.where.name == name


def test_the_place_of_a_fault_is_that_within_the_expression(gate):
    with pytest.raises(BadParameter) as caught:
        gate.density("stars", "ra", "dec", where="dec > 0 AND\n mag_gg < 3")
    where = caught.value.where
    assert (where.name, where.line, where.column) == ("where", 2, 2)


def test_no_such_table_and_no_positions(gate):
    with pytest.raises(NotFound):
        gate.density("nowhere", "ra", "dec")
    with pytest.raises(NotFound, match="no sky positions"):
        gate.sky_density("mini.notes", 3)
    with pytest.raises(BadParameter):
        gate.sky_density("stars", 10)


def test_a_service_that_cuts_says_so(root, monkeypatch):
    monkeypatch.setenv("SKYGATE__QUERIES__HARD_MAXREC", "5")
    with skygate.connect(str(root)) as gate, pytest.raises(TooCostly, match="fewer bins"):
        gate.density("stars", "ra", "dec", bins=20)


def test_every_format_carries_it(gate):
    import httpx2

    for name in ("json", "csv", "votable", "fits", "parquet"):
        body = {"table": "stars", "x": "ra", "y": "dec", "x_bins": 4, "y_bins": 4, "format": name}
        reply = gate._http.post("api/density", json=body)
        assert isinstance(reply, httpx2.Response)
        assert reply.status_code == 200
        assert len(reply.content) > 50
