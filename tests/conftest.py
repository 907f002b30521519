"""What every test may ask for."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from servers import Api, Server, calling, serving, test_settings

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data() -> Path:
    """Give the folder of test photos and models, which a newcomer's clone does not have."""
    folder = Path(os.environ.get("LIKENESS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not (folder / "faces").is_dir():
        pytest.skip(f"no test photos at {folder}; set LIKENESS_TEST_DATA to the folder that holds faces/ and hostile/")
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run one server with the fake engine for the whole run; a test that moves its clock or stops it starts its own."""
    with serving(test_settings(tmp_path_factory.mktemp("server"))) as running:
        yield running


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    """Give a caller in a tenant of its own on the shared server."""
    with calling(server) as caller:
        yield caller
