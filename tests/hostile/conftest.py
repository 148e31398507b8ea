"""One real server for all of these tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from published import publish_mini
from served import Service, serving


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("hostile"))


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("root")
    publish_mini(root)
    log = tmp_path_factory.mktemp("log") / "serve.log"
    with serving(root, log=log, queries__sync_seconds="5", uploads__max_mib="1") as service:
        yield service
