"""Simple Cone Search 1.03."""

import io

import pytest
from astropy.io.votable import parse
from lxml import etree

VOT = "{http://www.ivoa.net/xml/VOTable/v1.3}"
UCDS = ("meta.id;meta.main", "pos.eq.ra;meta.main", "pos.eq.dec;meta.main")
HERE = {"RA": "10", "DEC": "-5", "SR": "0.5"}


def fields(reply):
    return list(etree.fromstring(reply.content).iter(f"{VOT}FIELD"))


@pytest.mark.parametrize("verbosity", [None, "1", "2", "3"])
@pytest.mark.parametrize("name", ["mini.stars", "mini.nameless", "stars"])
def test_exactly_one_column_for_each_mandatory_ucd(client, name, verbosity):
    reply = client.get(f"/cone/{name}", params={**HERE, **({"VERB": verbosity} if verbosity else {})})
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].split(";")[0] == "text/xml"
    for ucd in UCDS:
        assert len([f for f in fields(reply) if f.get("ucd") == ucd]) == 1
    for field in fields(reply):
        if field.get("ucd") in UCDS[1:]:
            assert field.get("datatype") == "double"
        if field.get("ucd") == UCDS[0]:
            assert field.get("datatype") in ("char", "unicodeChar", "long", "int", "short")
    table = parse(io.BytesIO(reply.content)).get_first_table().to_table()
    assert list(table["ra"]) == [10.0, 10.1, 359.9]


def test_verbosity_chooses_columns(client, asked):
    for verbosity in ("1", "2", "3"):
        client.get("/cone/mini.stars", params={**HERE, "VERB": verbosity})
    assert [call[3] for call in asked.of("cone")] == [
        ("id", "ra", "dec"),
        ("id", "ra", "dec", "Class Name"),
        ("id", "ra", "dec", "ra_old", "name", "Class Name"),
    ]


def test_a_table_without_identifier_gets_one(client):
    reply = client.get("/cone/mini.nameless", params=HERE)
    table = parse(io.BytesIO(reply.content)).get_first_table().to_table()
    assert list(table["skygate_id"]) == [
        "ICRS 010.0000000-05.0000000",
        "ICRS 010.1000000-05.1000000",
        "ICRS 359.9000000+89.0000000",
    ]


def test_radius_zero_gives_columns_without_overflow(client, asked):
    reply = client.get("/cone/mini.stars", params={**HERE, "SR": "0"})
    assert reply.status_code == 200
    assert asked.of("cone")[0][4] == 0
    assert len(parse(io.BytesIO(reply.content)).get_first_table().to_table()) == 0
    assert b"OVERFLOW" not in reply.content
    assert b"OVERFLOW" in client.get("/cone/mini.stars", params={**HERE, "MAXREC": "0"}).content


@pytest.mark.parametrize(("ra", "stands"), [("-0.5", 359.5), ("370", 10.0), ("360", 0.0)])
def test_right_ascension_wraps(client, asked, ra, stands):
    client.get("/cone/mini.stars", params={**HERE, "RA": ra})
    assert asked.of("cone")[0][2].center.ra_deg == pytest.approx(stands)


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"DEC": "1", "SR": "1"}, "RA"),
        ({"RA": "1", "SR": "1"}, "DEC"),
        ({"RA": "1", "DEC": "1"}, "SR"),
        ({**HERE, "DEC": "91"}, "DEC"),
        ({**HERE, "RA": "1e9"}, "RA"),
        ({**HERE, "RA": "10:00:00"}, "RA"),
        ({**HERE, "RA": "nan"}, "RA"),
        ({**HERE, "RA": "1_0"}, "RA"),
        ({**HERE, "SR": "-1"}, "SR"),
        ({**HERE, "SR": "inf"}, "SR"),
        ({**HERE, "VERB": "4"}, "VERB"),
        ({**HERE, "RA": ["1", "2"]}, "RA"),
    ],
)
def test_errors_are_the_stub_votable_of_the_standard(client, asked, params, name):
    reply = client.get("/cone/mini.stars", params=params)
    assert reply.status_code == 200
    assert reply.headers["content-type"].split(";")[0] == "text/xml"
    top = etree.fromstring(reply.content)
    [error] = [i for i in top if i.get("name") == "Error"]
    assert error.get("value").startswith(f"{name}: ")
    assert not asked.calls


@pytest.mark.parametrize("name", ["mini.notes", "mini.nothing", "%00", "..%2f..%2fetc%2fpasswd"])
def test_tables_without_positions_or_existence_are_not_found(client, name):
    reply = client.get(f"/cone/{name}", params=HERE)
    assert reply.status_code == 404
    assert b'name="Error"' in reply.content


def test_a_trailing_mark_in_the_base_url_is_harmless(client):
    assert client.get("/cone/mini.stars?&RA=10&DEC=-5&SR=1&").status_code == 200


def test_response_format_and_head(client, asked):
    reply = client.get("/cone/mini.stars", params={**HERE, "RESPONSEFORMAT": "csv"})
    assert reply.headers["content-type"].startswith("text/csv")
    assert client.head("/cone/mini.stars", params=HERE).status_code == 200
    assert len(asked.of("cone")) == 1
