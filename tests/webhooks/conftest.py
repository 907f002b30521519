"""A new deployment, a tenant, and a receiver."""

from collections.abc import Iterator

import pytest

from likeness.deployment import Deployment, initialise, open_deployment
from likeness.kit.clock import MovableClock
from likeness.kit.ids import new_id
from likeness.kit.jose import Signer
from likeness.store.tables import webhook_deliveries
from servers import test_settings
from webhooks.house import House
from webhooks.receiver import Receiver, receiving


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployment, MovableClock, Signer]]:
    settings = test_settings(tmp_path_factory.mktemp("webhooks"))
    initialise(settings)
    clock = MovableClock()
    opened = open_deployment(settings, clock)
    yield opened, clock, opened.signing_keys.signer()
    opened.close()


@pytest.fixture
def house(deployment: tuple[Deployment, MovableClock, Signer]) -> House:
    opened, clock, signer = deployment
    opened.database.write_now(lambda c: c.execute(webhook_deliveries.delete()))
    return House(opened, clock, opened.tenants.create(new_id()), signer)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running
