"""One real server for all of these tests."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from releases_made import make_release
from served import Service, serving


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("conformance"))


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("root")
    make_release(root)
    log = tmp_path_factory.mktemp("log") / "serve.log"
    with serving(root, log=log, queries__default_maxrec="1500", queries__hard_maxrec="100000") as service:
        yield service


@pytest.fixture(scope="session")
def stilts() -> str:
    found = shutil.which("stilts")
    if found is None:
        pytest.skip("stilts is not installed (Debian package stilts)")
    return found
