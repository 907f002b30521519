"""Fixtures for every test."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from likeness.audit.actor import ACTOR, SERVER

if TYPE_CHECKING:  # the import of the application takes seconds, and only tests with a server need it
    from servers import Api, Server

REPOSITORY = Path(__file__).resolve().parents[1]
# The time of an example depends on the load of the machine, not on the code.
settings.register_profile("patient", settings.default, deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Undo a command's log configuration, so that the next test gets all log lines."""
    root, ours = logging.getLogger(), logging.getLogger("likeness")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    logging.captureWarnings(capture=False)


@pytest.fixture(autouse=True)
def _own_actor() -> Iterator[None]:
    """Let each test act as the server. A command acts as the operator, to the end of its process."""
    ACTOR.set(SERVER)
    yield
    ACTOR.set(SERVER)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Give the folder where the test photos and models are, if they exist."""
    return Path(os.environ.get("LIKENESS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def data(data_folder: Path) -> Path:
    """Give the folder of test photos and models, which a new clone does not have. Skip without it."""
    if not (data_folder / "faces").is_dir():
        pytest.skip(
            f"no test photos at {data_folder}; set LIKENESS_TEST_DATA to the folder that holds faces/ and hostile/"
        )
    return data_folder


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[str]:
    from postgres import postgres_server

    with postgres_server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server_url: str) -> str:
    """Give an empty PostgreSQL database. Skip if PostgreSQL is not installed."""
    from postgres import new_database

    return new_database(postgres_server_url)


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """Run an S3 server that has the bucket ``photos``. Give its address."""
    from s3_server import s3_server

    with s3_server() as address:
        yield address


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, s3_url: str) -> str:
    """Let clients call the S3 server. Give its address."""
    from s3_server import use_s3

    use_s3(monkeypatch, s3_url)
    return s3_url


IN_SHARDS = os.environ.get("LIKENESS_TEST_GALLERY") == "ray"
"""Whether the common server has its galleries in shards on PostgreSQL. Then only tests that use it run."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if IN_SHARDS:
        left_out = [
            item
            for item in items
            if "server" not in getattr(item, "fixturenames", ()) or item.get_closest_marker("one_process")
        ]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> "Iterator[Server]":
    """Run one server with the fake engine for all tests. A test must start its own to move its clock or to stop it."""
    from servers import serving, test_settings

    folder = tmp_path_factory.mktemp("server")
    if IN_SHARDS:
        from clusters import serving_in_shards

        with serving_in_shards(folder, request.getfixturevalue("postgres_server_url")) as running:
            yield running
        return
    with serving(test_settings(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Server]":
    """Run a server with the fake engine for one module, which may move its clock."""
    from servers import serving, test_settings

    with serving(test_settings(tmp_path_factory.mktemp("own-server"))) as running:
        yield running


@pytest.fixture
def api(server: "Server") -> "Iterator[Api]":
    """Give a caller in a new tenant on the shared server."""
    from servers import calling

    with calling(server) as caller:
        yield caller
