"""The pages in a real browser, light, dark and on a phone: readable, not too wide, nothing fetched."""

import shutil

import pytest

from served import serving
from stars_published import publish_stars

CHROMIUM = shutil.which("chromium")
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
VIEWS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 900}},
    "phone": {"color_scheme": "light", "viewport": {"width": 360, "height": 780}},
}
PAGES = ("/", "/query", "/services", "/tables/mini.stars", "/releases/mini/report", "/nowhere")

pytestmark = [
    pytest.mark.system,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (Debian package chromium)"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    root = tmp_path_factory.mktemp("browser")
    publish_stars(root, tmp_path_factory.mktemp("files"))
    with serving(root, log=tmp_path_factory.mktemp("log") / "serve.log") as service:
        yield service.url.rstrip("/")


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(params=VIEWS)
def view(request, browser, site):
    """A page of a fresh browser window; what it asks for and logs is kept."""
    window = browser.new_context(**VIEWS[request.param])
    tab = window.new_page()
    tab.asked, tab.logged = [], []
    tab.on("request", lambda r: tab.asked.append(r.url))
    tab.on("console", lambda m: tab.logged.append(m.text))
    yield tab
    window.close()


CONTRAST = """() => {
  const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b };
  const ground = e => { for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor; if (!/, 0\\)$/.test(c) && c !== 'transparent') return c }
    return 'rgb(255,255,255)' };
  const poor = [];
  for (const e of document.querySelectorAll('main *, header *, footer *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || e.closest('svg')) continue;
    if (e.disabled) continue;
    const a = light(getComputedStyle(e).color), b = light(ground(e));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(e.tagName + ' ' + e.textContent.trim().slice(0, 30) + ' ' + ratio.toFixed(2));
  }
  return poor }"""


def test_pages_fit_are_readable_and_keep_to_themselves(view, site):
    for path in PAGES:
        view.goto(site + path)
        width = view.evaluate("document.documentElement.scrollWidth")
        assert width <= view.viewport_size["width"], f"{path} is {width} wide"
        assert view.evaluate(CONTRAST) == [], path
        small = view.evaluate(
            "[...document.querySelectorAll('button')]"
            ".filter(b => b.getBoundingClientRect().height < 24).length"
        )
        assert small == 0, path
    assert all(url.startswith(site + "/") for url in view.asked)
    assert [m for m in view.logged if "404" not in m] == []


def test_a_query_is_mended_run_leafed_through_and_taken_home(view, site):
    view.goto(site + "/query")
    view.fill("textarea", "SELECT id, mag_gg FROM stars")
    view.click("button:text-is('Check')")
    assert view.locator("#fault mark").inner_text() == "mag_gg"
    view.fill("textarea", "SELECT id, mag_g FROM stars ORDER BY id")
    view.click("button:text-is('Run')")
    assert view.locator("tbody tr").count() == 50
    assert "not the whole answer" in view.locator(".note.warn").inner_text()
    view.click("button:text-is('Next')")
    assert view.locator("tbody tr").first.locator("td").nth(1).inner_text() == "51"
    with view.expect_download() as waiting:
        view.click("button:text-is('CSV')")
    assert waiting.value.suggested_filename == "result.csv"
    lines = waiting.value.path().read_text().splitlines()
    assert len(lines) == 12_001
    view.go_back()
    assert view.locator("textarea").input_value().startswith("SELECT id")


def test_the_keyboard_is_enough(view, site):
    view.goto(site + "/query")
    view.keyboard.press("Tab")
    assert view.evaluate("document.activeElement.textContent") == "Skip to the content"
    view.focus("textarea")
    view.keyboard.type("SELECT COUNT(*) AS n FROM stars")
    while view.evaluate("document.activeElement.textContent") != "Run":
        view.keyboard.press("Tab")
    view.keyboard.press("Enter")
    view.wait_for_selector("#result")
    assert "12000" in view.locator("tbody").inner_text()
