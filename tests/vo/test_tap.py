"""`/tap/sync` as DALI 1.1 and TAP 1.1 want it."""

import io

import pytest
from astropy.io.votable import parse
from lxml import etree

from skygate.errors import BadQuery, Busy, Where

VOT = "{http://www.ivoa.net/xml/VOTable/v1.3}"
GOOD = {"LANG": "ADQL", "QUERY": "SELECT * FROM stars"}


def status_info(reply):
    top = etree.fromstring(reply.content)
    return [i for i in top.iter(f"{VOT}INFO") if i.get("name") == "QUERY_STATUS"]


@pytest.mark.parametrize("how", ["get", "form", "multipart"])
def test_a_query_comes_by_get_form_and_multipart(client, asked, how):
    if how == "get":
        reply = client.get("/tap/sync", params={"lang": "ADQL-2.1", "query": "Q", "MaxRec": "2"})
    elif how == "form":
        reply = client.post("/tap/sync", data={"lang": "ADQL-2.0", "query": "Q", "MaxRec": "2"})
    else:
        reply = client.post("/tap/sync?MAXREC=2", files={"LANG": (None, "ADQL"), "QUERY": (None, "Q")})
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/x-votable+xml"
    [(what, query)] = asked.of("run")
    assert (what, query.text, query.maxrec) == ("run", "Q", 2)
    table = parse(io.BytesIO(reply.content)).get_first_table().to_table()
    assert list(table["id"]) == [1, 2]
    assert reply.headers["x-skygate-overflow"] == "true"
    assert [i.get("value") for i in status_info(reply)] == ["OK", "OVERFLOW"]
    assert asked.given[0].closed


def test_maxrec_beyond_the_limit_is_clipped(client, asked):
    assert client.get("/tap/sync", params={**GOOD, "MAXREC": "9" * 5000}).status_code == 200
    assert asked.of("run")[0][1].maxrec == 1000
    assert client.get("/tap/sync", params={**GOOD, "MAXREC": "0"}).status_code == 200
    assert asked.of("run")[1][1].maxrec == 0
    assert client.get("/tap/sync", params=GOOD).status_code == 200
    assert asked.of("run")[2][1].maxrec is None


@pytest.mark.parametrize(
    ("form", "content_type"),
    [
        ({"RESPONSEFORMAT": "csv"}, "text/csv"),
        ({"FORMAT": "text/csv"}, "text/csv"),
        ({"RESPONSEFORMAT": "text/xml"}, "text/xml"),
        ({"RESPONSEFORMAT": "tsv", "FORMAT": "fits"}, "text/tab-separated-values"),
        (
            {"RESPONSEFORMAT": "application/x-votable+xml;serialization=TABLEDATA"},
            "application/x-votable+xml;",
        ),
        ({"RESPONSEFORMAT": "json"}, "application/json"),
        ({"RESPONSEFORMAT": "parquet"}, "application/vnd.apache.parquet"),
        ({"RESPONSEFORMAT": "arrow"}, "application/vnd.apache.arrow.stream"),
        ({"RESPONSEFORMAT": "fits"}, "application/fits"),
        ({"RESPONSEFORMAT": ""}, "application/x-votable+xml"),
    ],
)
def test_formats(client, form, content_type):
    reply = client.get("/tap/sync", params={**GOOD, **form})
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith(content_type)


BAD = [
    ({"QUERY": "Q"}, "LANG"),
    ({"LANG": "ADQL"}, "QUERY"),
    ({"LANG": "ADQL", "QUERY": " "}, "QUERY"),
    ({"LANG": "PQL", "QUERY": "Q"}, "LANG"),
    ({**GOOD, "MAXREC": "-1"}, "MAXREC"),
    ({**GOOD, "MAXREC": "1e3"}, "MAXREC"),
    ({**GOOD, "MAXREC": "٣"}, "MAXREC"),
    ({**GOOD, "RESPONSEFORMAT": "image/png"}, "RESPONSEFORMAT"),
    ({**GOOD, "REQUEST": "getCapabilities"}, "REQUEST"),
    ({**GOOD, "UPLOAD": "t,http://example.org/t.xml"}, "UPLOAD"),
    ({**GOOD, "query": ["a", "b"]}, "QUERY"),
    ({**GOOD, "MAXREC": ["1", "1"]}, "MAXREC"),
    ({**GOOD, "RUNID": ["1", "1"]}, "RUNID"),
]


@pytest.mark.parametrize(("params", "name"), BAD)
def test_wrong_parameters_are_named_in_a_votable(client, asked, params, name):
    reply = client.get("/tap/sync", params=params)
    assert reply.status_code == 400
    assert reply.headers["content-type"] == "application/x-votable+xml"
    [info] = status_info(reply)
    assert info.get("value") == "ERROR"
    assert name in info.text
    assert not asked.of("run")


def test_unknown_parameters_are_ignored(client):
    assert client.get("/tap/sync", params={**GOOD, "REQUEST": "doQuery", "colour": "red"}).status_code == 200


def test_a_faulty_query_says_where(client, asked):
    asked.fault = BadQuery("no column <mag_gg>", hint="did you mean mag_g?", where=Where(line=2, column=7))
    reply = client.get("/tap/sync", params=GOOD)
    assert reply.status_code == 400
    [info] = status_info(reply)
    assert info.text == "line 2, column 7: no column <mag_gg> (did you mean mag_g?)"


def test_a_full_queue_is_503_with_a_time(client, asked):
    asked.fault = Busy("every place is taken", retry_after_s=3)
    reply = client.get("/tap/sync", params=GOOD)
    assert reply.status_code == 503
    assert reply.headers["retry-after"] == "3"
    assert status_info(reply)[0].get("value") == "ERROR"


def test_our_own_fault_is_a_votable_with_an_id(client, asked):
    asked.fault = RuntimeError("/srv/secret")
    reply = client.get("/tap/sync", params=GOOD)
    assert reply.status_code == 500
    assert "/srv" not in reply.text
    assert reply.headers["x-request-id"] in status_info(reply)[0].text


def test_head_checks_and_does_not_run(client, asked):
    reply = client.head("/tap/sync", params={**GOOD, "RESPONSEFORMAT": "csv"})
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/csv")
    assert [c[0] for c in asked.calls] == ["check"]
    assert client.head("/tap/sync", params={"LANG": "ADQL"}).status_code == 400


def test_an_answer_names_its_address_as_the_outside_knows_it(client):
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example", "X-Forwarded-Prefix": "/sky"}
    for path in ("/tap/sync", "/sky/tap/sync"):
        reply = client.get(path, params=GOOD, headers={**forwarded})
        infos = {i.get("name"): i.get("value") for i in etree.fromstring(reply.content).iter(f"{VOT}INFO")}
        assert infos["request"] == "https://a.example/sky/tap/sync"


def test_async_is_not_offered(client):
    for path in ("/tap/async", "/tap/async/1/phase", "/tap/nothing"):
        reply = client.get(path)
        assert reply.status_code == 404
        assert status_info(reply)[0].get("value") == "ERROR"


def test_the_base_leads_to_the_capabilities(client):
    reply = client.get("/tap", follow_redirects=False)
    assert reply.status_code == 303
    assert reply.headers["location"] == "http://testserver/tap/capabilities"
