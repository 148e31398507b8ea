"""The pages over a real house: what they say, what they link to, and that they hold up to bad input."""

import re
from urllib.parse import unquote

import pytest
from lxml import html
from starlette.testclient import TestClient

from skygate.app import create_app
from skygate.assembly import open_house
from skygate.settings import Settings
from stars_published import publish_stars


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    root = tmp_path_factory.mktemp("pages")
    publish_stars(root, tmp_path_factory.mktemp("files"))
    settings = Settings(root=root)
    with TestClient(create_app(open_house(settings), settings), base_url="http://sky.example") as client:
        yield client


def page(site, path, **more):
    answer = site.get(path, **more)
    assert answer.status_code == 200, answer.text[-500:]
    assert answer.headers["content-type"].startswith("text/html")
    return html.fromstring(answer.text)


def asked(site, query, action="run", **more):
    return site.post("/query", data={"query": query, "action": action, **more})


def test_every_link_of_the_site_leads_somewhere(site):
    todo, seen = ["/"], set()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        answer = site.get(path)
        assert answer.status_code == 200, path
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        tree = html.fromstring(answer.text)
        for link in tree.xpath("//a/@href | //link/@href"):
            if link.startswith("#"):
                assert tree.xpath(f"//*[@id='{link[1:]}']"), f"{path}: nothing is called {link}"
            elif link.startswith(("/", "http://sky.example/")):
                todo.append(link.removeprefix("http://sky.example"))
    assert {"/", "/query", "/services", "/releases/mini/report", "/tables/mini.stars"} <= seen


def test_pages_have_no_scripts_and_ask_no_third_party(site):
    for path in ("/", "/query", "/services", "/tables/mini.stars", "/releases/mini/report"):
        text = site.get(path).text
        assert "<script" not in text
        assert not re.findall(r"(?:src|srcset)=", text)
        assert " style=" not in text, "the content security policy forbids inline styles"
        tree = html.fromstring(text)
        assert tree.get("lang") == "en"
        assert len(tree.xpath("//h1")) == 1
        assert len(tree.xpath("//main")) == 1


def test_the_home_page_of_a_release_says_what_it_is(site):
    text = page(site, "/").text_content()
    assert "mini.stars" in text
    assert "12,000" in text
    assert "How to cite" in text


def test_a_table_shows_its_columns_and_rows(site):
    tree = page(site, "/tables/mini.stars")
    names = [n.split()[0] for n in tree.xpath("//td[@class='name']/text()")]
    assert names[:3] == ["id", "ra", "dec"]
    assert "_healpix_29" not in tree.text_content()
    assert len(tree.xpath("//h2[@id='sample']/following::table[1]/tbody/tr")) == 10


def test_a_bare_table_name_leads_to_the_full_one(site):
    answer = site.get("/tables/stars", follow_redirects=False)
    assert answer.status_code == 307
    assert answer.headers["location"] == "http://sky.example/tables/mini.stars"


def test_what_is_not_there_is_a_page_that_says_so(site):
    for path in (
        "/tables/mini.star",
        "/releases/nope",
        "/nowhere",
        "/static/../app.py",
        "/static/style.css2",
    ):
        answer = site.get(path)
        assert answer.status_code == 404
        assert "There is nothing here" in answer.text


def test_check_says_what_the_query_reads(site):
    answer = asked(site, "SELECT id, mag_g FROM stars", "check")
    assert answer.status_code == 200
    assert "The query is in order" in answer.text
    assert (
        "mini.stars" in html.fromstring(answer.text).xpath("//div[contains(@class,'good')]")[0].text_content()
    )


def test_a_fault_is_shown_where_it_is(site):
    answer = asked(site, "SELECT id,\n  mag_gg\nFROM stars")
    assert answer.status_code == 400
    tree = html.fromstring(answer.text)
    fault = tree.xpath("//div[@id='fault']")[0]
    assert fault.xpath(".//mark")[0].text == "mag_gg"
    assert "Line 2, column 3" in fault.text_content()
    assert "mag_g" in fault.text_content()
    assert tree.xpath("//textarea")[0].get("aria-invalid") == "true"
    assert "mag_gg" in tree.xpath("//textarea")[0].text


def test_a_result_is_leafed_through(site):
    query = "SELECT id FROM stars ORDER BY id"
    tree = html.fromstring(asked(site, query).text)
    assert "page 1 of" in tree.text_content()
    first = [int(x) for x in tree.xpath("//table//td[2]/text()")]
    assert first == list(range(1, 51))
    tree = html.fromstring(site.post("/query", data={"query": query, "page": "3"}).text)
    assert [int(x) for x in tree.xpath("//table//td[2]/text()")] == list(range(101, 151))
    last = html.fromstring(site.post("/query", data={"query": query, "page": "999999"}).text)
    assert last.xpath("//button[@name='page'][last()]/@disabled")


def test_what_is_not_the_whole_answer_says_so(site):
    text = asked(site, "SELECT id FROM stars").text
    assert "This is not the whole answer" in text
    assert "More than 10,000 rows" in text
    assert "This is not the whole answer" not in asked(site, "SELECT TOP 10000 id FROM stars").text
    assert "10,000 rows" in asked(site, "SELECT TOP 10000 id FROM stars").text


def test_the_link_to_a_query_runs_it(site):
    tree = html.fromstring(asked(site, "SELECT COUNT(*) AS n FROM stars").text)
    link = tree.xpath("//a[text()='Link to this query']/@href")[0]
    assert (
        "12000"
        in page(site, unquote(link).replace(" ", "%20").removeprefix("http://sky.example")).text_content()
    )


def test_an_example_only_prefills(site):
    link = page(site, "/query").xpath("//ul[@class='examples']//a/@href")[0]
    tree = page(site, link)
    assert "SELECT" in tree.xpath("//textarea")[0].text
    assert not tree.xpath("//h2[@id='result']")


@pytest.mark.parametrize(
    "form", ["votable", "votable/td", "csv", "tsv", "json", "fits", "parquet", "hdf5", "arrow"]
)
def test_every_button_downloads_the_whole_answer(site, form):
    query = "SELECT id, mag_g, name FROM stars"
    buttons = html.fromstring(asked(site, query).text).xpath("//button[@name='download']/@value")
    assert form in buttons
    answer = site.post("/query/download", data={"query": query, "download": form})
    assert answer.status_code == 200
    assert "attachment" in answer.headers["content-disposition"]
    if form == "csv":
        assert len(answer.text.splitlines()) == 12_001


@pytest.mark.parametrize(
    "sent",
    [
        {"query": "SELECT id FROM stars", "page": "-1"},
        {"query": "SELECT id FROM stars", "page": "1e9"},
        {"query": "SELECT <script>alert(1)</script> FROM stars", "action": "run"},
        {"query": "'", "action": "check"},
        {"query": "SELECT id FROM stars", "action": "explode", "page": "x"},
    ],
)
def test_bad_input_is_a_clear_page(site, sent):
    answer = site.post("/query", data=sent)
    assert answer.status_code == 400
    assert "<script" not in answer.text
    assert "Traceback" not in answer.text


def test_nothing_published_says_how_to_publish(tmp_path):
    settings = Settings(root=tmp_path)
    with TestClient(create_app(open_house(settings), settings)) as client:
        answer = client.get("/")
        assert answer.status_code == 200
        assert "skygate publish" in answer.text


def test_a_release_without_its_report_still_has_a_page(tmp_path):
    from releases_made import make_release

    make_release(tmp_path)
    settings = Settings(root=tmp_path)
    with TestClient(create_app(open_house(settings), settings)) as client:
        assert client.get("/").status_code == 200
        assert client.get("/tables/mini.stars").status_code == 200
