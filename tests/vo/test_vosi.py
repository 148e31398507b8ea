"""VOSI documents, by their content; their schemas are checked by taplint in tests/conformance."""

import pytest
from lxml import etree

from skygate.errors import BrokenRelease
from skygate.formats.media import FORMATS

XSI = "{http://www.w3.org/2001/XMLSchema-instance}type"


def document(reply):
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith("text/xml")
    return etree.fromstring(reply.content)


def test_capabilities_have_absolute_addresses(client):
    top = document(client.get("/tap/capabilities", headers={"Host": "sky.example:8443"}))
    urls = [e.text for e in top.iter("accessURL")]
    assert len(urls) == 4
    assert all(u.startswith("http://sky.example:8443/tap") for u in urls)
    [tap] = [c for c in top if c.get("standardID") == "ivo://ivoa.net/std/TAP"]
    assert tap.get(XSI) == "tr:TableAccess"
    assert tap.find("interface").get("version") == "1.1"
    assert tap.find("uploadMethod") is None


def test_capabilities_say_every_format_and_the_limits(client):
    [tap] = [c for c in document(client.get("/tap/capabilities")) if c.find("language") is not None]
    mimes = {e.text for e in tap.iter("mime")}
    assert mimes == {m for f in FORMATS for m in f.media_types}
    assert tap.findtext("outputLimit/hard") == "1000"
    assert tap.findtext("outputLimit/default") == "1000"
    assert [v.text for v in tap.iter("version")] == ["2.0", "2.1"]
    forms = [f.findtext("form") for f in tap.iter("feature")]
    assert "POINT" in forms
    assert any(form.startswith("ivo_healpix_index(") for form in forms)


def test_tables_in_both_details(client):
    top = document(client.get("/tap/tables"))
    assert [n.text for n in top.iterfind("schema/table/name")] == [
        "mini.stars",
        "mini.nameless",
        "mini.notes",
    ]
    stars = top.find("schema/table")
    assert [n.text for n in stars.iterfind("column/name")] == [
        "id",
        "ra",
        "dec",
        "ra_old",
        "name",
        '"Class Name"',
    ]
    assert stars.findtext("nrows") == "3"
    assert stars.findtext("column/dataType") == "long"
    assert top.findtext(".//foreignKey/targetTable") == "mini.stars"
    top = document(client.get("/tap/tables?DETAIL=min"))
    assert not list(top.iter("column"))
    assert not list(top.iter("foreignKey"))
    assert client.get("/tap/tables?detail=some").status_code == 400


def test_a_single_table(client):
    top = document(client.get("/tap/tables/mini.stars"))
    assert etree.QName(top).localname == "table"
    assert top.findtext("name") == "mini.stars"
    assert len(top.findall("column")) == 6
    assert client.get("/tap/tables/mini.none").status_code == 404


@pytest.mark.parametrize("fault", [None, BrokenRelease("/srv/x is damaged")])
def test_availability(client, asked, fault):
    asked.fault = fault
    top = document(client.get("/tap/availability"))
    available = top.findtext("{http://www.ivoa.net/xml/VOSIAvailability/v1.0}available")
    assert available == ("true" if fault is None else "false")
    assert "/srv" not in etree.tostring(top, encoding="unicode")


def test_all_are_answered_to_head(client):
    for path in ("/tap/capabilities", "/tap/availability", "/tap/tables", "/tap/tables/mini.stars"):
        reply = client.head(path)
        assert reply.status_code == 200
        assert reply.content == b""
