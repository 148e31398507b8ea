"""Documentation that cannot rot: what it links to and names is there; it speaks of the project alone."""

import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from skygate.cli import verbs

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in link and not link.startswith("mailto:"):
            assert (page.parent / link).exists(), f"{link} is not there"


def test_every_file_that_the_tour_names_is_there() -> None:
    text = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
    for path in re.findall(r"`([a-z_]+(?:/[a-z_]+)*\.(?:py|css))`", text):
        found = [ROOT / path, ROOT / "src" / "skygate" / path, *(ROOT / "src" / "skygate").rglob(path)]
        assert any(f.exists() for f in found), f"{path} is not there"


def test_every_verb_says_what_it_does() -> None:
    for verb in verbs.list_commands(None):  # type: ignore[arg-type]
        shown = CliRunner().invoke(verbs, [verb, "--help"])
        assert shown.exit_code == 0, shown.output
        assert len(shown.output.splitlines()[2].strip()) > 10


def test_the_project_speaks_of_itself_alone() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    machine = re.compile(r"(?<![\w.$}])/(?:work|root|home/\w+|Users/\w+)/|\.\./shared(?!/data)")
    for path in listed.stdout.splitlines():
        file = ROOT / path
        if file.suffix in {".py", ".md", ".toml", ".html", ".css", ".sh", ".txt", ".in"} and file.exists():
            found = machine.findall(file.read_text(encoding="utf-8"))
            assert not found or path == "tests/rules/test_docs.py", f"{path}: {found}"
