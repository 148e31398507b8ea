"""The client over a made-up house in process."""

import pytest

from houses_made import MadeUpHouse, app_of
from skygate.client import Client
from skygate.inprocess import InProcess


@pytest.fixture(scope="session")
def one_house():
    return MadeUpHouse()


@pytest.fixture(scope="session")
def one_transport(one_house):
    transport = InProcess(app_of(one_house))
    yield transport
    transport.close()


@pytest.fixture
def house(one_house):
    MadeUpHouse.__init__(one_house)  # as new, for each test
    return one_house


@pytest.fixture
def client(one_transport, house):
    return Client("http://localhost", transport=one_transport)
