"""Clients' secrets over time, and what a running server knows of them."""

import asyncio
import ipaddress
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import update

from likeness.access.clients import FRESH_SECONDS, MOST_SECRETS, ClientCredentials, Clients
from likeness.access.schemas import ClientSettings
from likeness.access.scopes import Scope
from likeness.deployment import initialise, open_deployment
from likeness.errors import Conflict, NotFound, ServiceUnavailable, SetupError
from likeness.kit.clock import MovableClock
from likeness.kit.ids import new_id
from likeness.store.tables import clients as table
from servers import test_settings

DAY = 86_400.0


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(1_000_000.0)


@pytest.fixture
def clients(tmp_path: Path, clock: MovableClock) -> Iterator[Clients]:
    settings = test_settings(tmp_path)
    initialise(settings)
    with closing(open_deployment(settings, clock)) as deployment:
        deployment.tenants.create("acme")
        yield deployment.clients


@pytest.fixture
def first(clients: Clients, tenant_id: str) -> ClientCredentials:
    return clients.create(tenant_id, "first", [Scope.FACE_MATCH])


@pytest.fixture
def tenant_id(clients: Clients) -> str:
    return clients._database.read_now(lambda c: str(c.exec_driver_sql("SELECT id FROM tenants").scalar_one()))


def works(clients: Clients, *credentials: ClientCredentials) -> list[bool]:
    return [asyncio.run(clients.verify_secret(each.client_id, each.client_secret)) is not None for each in credentials]


def test_two_secrets_work_while_they_overlap(clients: Clients, first: ClientCredentials, clock: MovableClock) -> None:
    second = clients.rotate_secret(first.client_id, overlap_seconds=DAY)
    assert works(clients, first, second) == [True, True]
    clock.move(DAY - 1)
    assert works(clients, first, second) == [True, True]
    clock.move(1)
    assert works(clients, first, second) == [False, True]
    third = clients.rotate_secret(first.client_id)
    assert works(clients, first, second, third) == [False, False, True]
    assert len(clients.get(first.client_id).secrets) == 1


def test_a_secret_ends_when_it_was_made_to(clients: Clients, tenant_id: str, clock: MovableClock) -> None:
    brief = clients.create(tenant_id, "brief", [Scope.FACE_MATCH], secret_seconds=DAY)
    clock.move(DAY / 2)
    longer = clients.rotate_secret(brief.client_id, overlap_seconds=30 * DAY, secret_seconds=2 * DAY)
    clock.move(DAY / 2)
    assert works(clients, brief, longer) == [False, True]  # the overlap made the first no longer
    clock.move(2 * DAY)
    assert works(clients, brief, longer) == [False, False]


def test_one_secret_is_ended_alone(clients: Clients, first: ClientCredentials) -> None:
    second = clients.rotate_secret(first.client_id, overlap_seconds=DAY)
    older, newer = clients.get(first.client_id).secrets
    clients.end_secret(first.client_id, newer.id)
    assert works(clients, first, second) == [True, False]
    with pytest.raises(NotFound, match="client secrets"):
        clients.end_secret(first.client_id, newer.id)
    clients.end_secret(first.client_id, older.id)
    assert works(clients, first, second) == [False, False]
    assert works(clients, clients.rotate_secret(first.client_id)) == [True]


def test_a_client_has_few_secrets_at_once(clients: Clients, first: ClientCredentials, clock: MovableClock) -> None:
    for _ in range(MOST_SECRETS - 1):
        clients.rotate_secret(first.client_id, overlap_seconds=DAY)
    with pytest.raises(Conflict, match="end-secret"):
        clients.rotate_secret(first.client_id, overlap_seconds=DAY)
    clock.move(DAY)
    clients.rotate_secret(first.client_id, overlap_seconds=DAY)
    assert len(clients.get(first.client_id).secrets) == 2


def test_who_is_unknown_has_no_secrets_and_no_settings(clients: Clients) -> None:
    for change in (
        lambda: clients.rotate_secret(new_id()),
        lambda: clients.end_secret(new_id(), "first"),
        lambda: clients.change_settings(new_id(), ClientSettings()),
        lambda: clients.get(new_id()),
    ):
        with pytest.raises(NotFound):
            change()


def test_a_change_works_at_once_here_and_within_half_a_minute_elsewhere(
    clients: Clients, first: ClientCredentials, clock: MovableClock
) -> None:
    elsewhere = Clients(clients._database, clients._secrets, clock)
    assert asyncio.run(clients.enabled(first.client_id))
    assert asyncio.run(elsewhere.enabled(first.client_id))
    clients.disable(first.client_id)
    assert asyncio.run(clients.enabled(first.client_id)) is None
    assert asyncio.run(elsewhere.enabled(first.client_id))
    clock.move(FRESH_SECONDS)
    assert asyncio.run(elsewhere.enabled(first.client_id)) is None


def test_a_client_that_was_read_is_known_while_the_database_is_away(
    clients: Clients, first: ClientCredentials, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = clients.create(clients.get(first.client_id).tenant_id, "second", [Scope.FACE_MATCH])
    assert asyncio.run(clients.enabled(first.client_id))
    clock.move(FRESH_SECONDS)

    async def away(_query: object) -> None:
        raise ServiceUnavailable("The database gives no answer.")

    monkeypatch.setattr(clients._database, "read", away)
    assert asyncio.run(clients.enabled(first.client_id))
    with pytest.raises(ServiceUnavailable):
        asyncio.run(clients.enabled(second.client_id))


def test_a_client_whose_settings_were_altered_may_do_nothing(clients: Clients, first: ClientCredentials) -> None:
    damage = update(table).where(table.c.id == first.client_id).values(settings={"networks": ["everywhere"]})
    clients._database.write_now(lambda c: c.execute(damage))
    assert asyncio.run(clients.enabled(first.client_id)) is None
    assert works(clients, first) == [False]
    with pytest.raises(SetupError, match="was altered"):  # it would make the rest of the row authentic
        clients.change_settings(first.client_id, ClientSettings())
    clients.disable(first.client_id)
    assert not clients.get(first.client_id).authentic


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        (None, "203.0.113.9", True),
        (None, None, True),
        ((), "203.0.113.9", False),
        (("10.0.0.0/8", "2001:db8::/32"), "10.255.0.1", True),
        (("10.0.0.0/8", "2001:db8::/32"), "2001:db8::1", True),
        (("10.0.0.0/8", "2001:db8::/32"), "11.0.0.1", False),
        (("10.0.0.0/8",), "::1", False),
        (("10.0.0.0/8",), None, False),
        (("203.0.113.9",), "203.0.113.9", True),
    ],
)
def test_a_client_calls_from_its_networks(networks: tuple[str, ...] | None, address: str | None, allowed: bool) -> None:
    settings = ClientSettings.model_validate({"networks": networks})
    assert settings.allows(None if address is None else ipaddress.ip_address(address)) == allowed


def test_settings_are_stored_as_they_were_given(clients: Clients, first: ClientCredentials) -> None:
    settings = ClientSettings.model_validate({"networks": ["10.0.0.0/8"]})
    clients.change_settings(first.client_id, settings)
    assert clients.get(first.client_id).settings == settings
