"""A server whose clock these tests move."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers import Api, Server, calling, serving, test_settings

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(test_settings(tmp_path_factory.mktemp("sessions"))) as running:
        yield running


@pytest.fixture
def caller(own_server: Server) -> Iterator[Api]:
    """Give a caller in a tenant of its own on the server of this module."""
    with calling(own_server) as api:
        yield api
