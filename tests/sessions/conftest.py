"""A server whose clock these tests move."""

from collections.abc import Iterator

import pytest

from scripted_sessions import Checks, scripted
from servers import Api, Server, calling

HALF_A_TOKENS_LIFE = 900.0


@pytest.fixture(scope="module")
def module_caller(own_server: Server) -> Iterator[Api]:
    with calling(own_server) as api:
        yield api


@pytest.fixture
def caller(module_caller: Api, last_token: dict[str, float]) -> Api:
    """Give a caller in this module's tenant. It gets a new token only after tests have moved the clock far.

    The hash of a client's secret is slow on purpose.
    """
    now = module_caller.server.clock.now()
    if now - last_token.setdefault("at", now) > HALF_A_TOKENS_LIFE:
        module_caller.headers = {"Authorization": f"Bearer {module_caller.token()}"}
        last_token["at"] = now
    return module_caller


@pytest.fixture(scope="module")
def last_token() -> dict[str, float]:
    return {}


@pytest.fixture
def checks(own_server: Server) -> Iterator[Checks]:
    with scripted(own_server, grace_seconds=0.4) as made:
        yield made
