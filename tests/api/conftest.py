"""The API over a made-up house."""

import pytest
from starlette.testclient import TestClient

from houses_made import MadeUpHouse, app_of


@pytest.fixture(scope="session")
def one_house():
    return MadeUpHouse()


@pytest.fixture(scope="session")
def one_api(one_house):
    with TestClient(app_of(one_house), base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def house(one_house):
    MadeUpHouse.__init__(one_house)  # as new, for each test
    return one_house


@pytest.fixture
def api(one_api, house):
    return one_api
