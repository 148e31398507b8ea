"""The rules of the house that import-linter and ruff cannot hold."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "skygate"
MODULES = sorted(SOURCE.rglob("*.py"))
LONGEST = 400

OWNERS = {
    "duckdb": ("engines/duck",),
    "sqlglot": ("adql/",),
    "fastapi": ("api/", "app.py", "doorway/"),
    "starlette": ("doorway/", "vo/", "api/", "web/", "app.py"),
    "uvicorn": ("cli/serve.py", "cli/connections.py"),
    "httptools": ("cli/connections.py",),
    "astropy": ("release/", "formats/", "sky/", "adql/units.py", "client/"),
    "mocpy": ("sky/",),
    "cdshealpix": ("sky/",),
    "hpgeom": ("sky/",),
    "h5py": ("release/", "formats/"),
    "jinja2": ("web/", "release/"),
    "httpx2": ("client/", "inprocess.py"),
    "rich": ("cli/",),
    "click": ("cli/",),
    "lxml": ("vo/", "formats/", "release/"),
    "fsspec": ("engines/duck_files.py",),
    "pydantic_settings": ("settings.py",),
}
"""Libraries, and the only rooms that may speak to them."""


def relative(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(a.name.split(".")[0] for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_says_what_it_is_for_and_is_read_in_one_sitting(path: Path) -> None:
    text = path.read_text()
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), "no module docstring"
    assert len(text.splitlines()) <= LONGEST
    assert path.name not in {"utils.py", "helpers.py", "common.py", "misc.py"}


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_library_is_spoken_to_in_its_own_room(path: Path) -> None:
    where = relative(path)
    strangers = {
        library
        for library in imported(path) & OWNERS.keys()
        if not any(where.startswith(room) for room in OWNERS[library])
    }
    assert not strangers


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("skygate", ("pyarrow", "duckdb", "fastapi", "astropy", "sqlglot", "pydantic")),
        ("skygate.client", ("duckdb", "fastapi", "astropy", "sqlglot", "sqlalchemy", "pandas", "polars")),
        ("skygate.cli", ("duckdb", "fastapi", "astropy", "sqlglot", "pyarrow", "rich")),
    ],
)
def test_importing_loads_no_more_than_is_used(module: str, unwanted: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print([m for m in {unwanted!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_lock_files_carry_hashes_and_no_addresses() -> None:
    for lock in (ROOT / "requirements").glob("*.txt"):
        text = lock.read_text()
        assert "://" not in text
        assert "--index" not in text
        assert text.count("--hash=sha256:") > text.count("==")


def test_the_lock_files_know_every_dependency() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = dict(project["optional-dependencies"])
    beside = extras.pop("bench")
    wanted = [*project["dependencies"], *(r for extra in extras.values() for r in extra)]
    for lock, requirements in (("dev.txt", wanted), ("bench.txt", [*wanted, *beside])):
        locked = (ROOT / "requirements" / lock).read_text().lower()
        for requirement in requirements:
            name = requirement.split(">")[0].split("=")[0].split("[")[0].strip().lower().replace("_", "-")
            assert f"\n{name}==" in "\n" + locked, f"{name} is not in {lock}: run `make lock`"
