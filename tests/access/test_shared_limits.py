"""Several servers keep the limits on calls in a minute together. Here a server is its limits and its exchange."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import select, text, update

from likeness.access import shared_limits
from likeness.access.shared_limits import FORGET_SECONDS, SharedLimits
from likeness.errors import TooManyRequests
from likeness.kit.clock import MovableClock
from likeness.settings import Settings
from likeness.store import migrations
from likeness.store.database import Database
from likeness.store.tables import call_limits
from likeness.web.quota import Limits
from servers import Server, calling, serving_two, wait_until

LIMIT = 60


class OneServer:
    def __init__(self, url: str) -> None:
        settings = Settings(requests_per_minute=LIMIT, tenant_requests_per_minute=2 * LIMIT)
        self.limits = Limits.of(settings, MovableClock())  # its own clock gives nobody anything back
        self.shared = SharedLimits(self.limits, url)

    def exchange(self) -> None:
        asyncio.run(self.shared.exchange())

    def accepted(self, calls: int, client: str = "client", tenant: str = "tenant") -> int:
        """Make calls, and give how many were let through."""
        passed = 0
        for _ in range(calls):
            try:
                self.limits.enter(tenant, client)()
            except TooManyRequests:
                continue
            passed += 1
        return passed


@pytest.fixture
def url(postgres_url: str) -> str:
    migrations.upgrade(postgres_url)
    return postgres_url


@pytest.fixture
def pair(url: str) -> Iterator[tuple[OneServer, OneServer]]:
    with ExitStack() as stack:
        made = OneServer(url), OneServer(url)
        for each in made:
            stack.callback(each.shared.close)
        yield made


def give_time(url: str, seconds: float) -> None:
    """Let the database believe that time has passed."""
    database = Database(url)
    database.write_now(lambda c: c.execute(update(call_limits).values(noted_at=call_limits.c.noted_at - seconds)))
    database.close()


def test_what_one_server_let_through_is_gone_at_the_other(pair: tuple[OneServer, OneServer]) -> None:
    one, two = pair
    assert one.accepted(LIMIT - 1) == LIMIT - 1
    one.exchange()
    assert two.accepted(1) == 1
    two.exchange()
    # The database's clock may have given a call or two back.
    assert two.accepted(LIMIT) <= LIMIT // 2
    assert two.accepted(LIMIT, client="another") == LIMIT


def test_a_tenant_has_one_limit_at_all_servers(pair: tuple[OneServer, OneServer]) -> None:
    one, two = pair
    assert one.accepted(LIMIT, client="a") + one.accepted(LIMIT, client="b") == 2 * LIMIT
    one.exchange()
    assert two.accepted(1, client="c") == 1
    two.exchange()
    assert two.accepted(LIMIT // 2, client="c") <= LIMIT // 4
    assert two.accepted(LIMIT // 2, client="d", tenant="another") == LIMIT // 2


def test_what_was_let_through_beyond_a_limit_is_taken_off_the_next_minute(
    url: str, pair: tuple[OneServer, OneServer]
) -> None:
    one, two = pair
    assert one.accepted(LIMIT) + two.accepted(LIMIT) == 2 * LIMIT  # both at once, before they hear of each other
    one.exchange()
    two.exchange()
    give_time(url, 30)
    one.limits.client.put_back({"client": 0})
    one.exchange()
    assert one.accepted(LIMIT) == 0
    give_time(url, 60)
    one.limits.client.put_back({"client": 0})
    one.exchange()
    assert LIMIT // 2 <= one.accepted(LIMIT) < LIMIT


def test_a_server_that_does_not_reach_the_database_tells_it_later(
    pair: tuple[OneServer, OneServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = pair
    with monkeypatch.context() as patched:
        patched.setattr("likeness.access.shared_limits._SPEND", text("not a statement"))
        assert one.accepted(10) == 10
        one.exchange()
        assert one.accepted(LIMIT) == LIMIT - 10
    one.exchange()
    two.accepted(1)
    two.exchange()
    assert two.accepted(LIMIT) <= LIMIT // 2


def test_full_buckets_are_forgotten(
    url: str, pair: tuple[OneServer, OneServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = pair
    one.accepted(1, client="early")
    one.exchange()
    give_time(url, 3600)
    one.accepted(1, client="late")
    monkeypatch.setattr(one.shared, "_forgot_at", one.shared._forgot_at - FORGET_SECONDS)
    one.exchange()
    database = Database(url)
    owners = database.read_now(lambda c: c.execute(select(call_limits.c.owner)).scalars().all())
    database.close()
    assert set(owners) == {"late", "tenant"}


def test_the_end_waits_for_the_connection_of_an_exchange(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(*_: object) -> dict[str, float]:
        begun.set()
        go.wait()
        return {}

    async def main() -> None:
        server = OneServer(url)
        server.accepted(1)
        following = asyncio.create_task(server.shared.follow())
        await asyncio.to_thread(begun.wait)
        following.cancel()
        await asyncio.sleep(0.05)
        ended_early = following.done()
        go.set()
        await asyncio.gather(following, return_exceptions=True)
        assert not ended_early
        assert following.cancelled()

    monkeypatch.setattr(shared_limits, "_spend", slow)
    asyncio.run(main())


def test_two_servers_keep_a_limit(tmp_path: Path, postgres_url: str) -> None:
    with serving_two(tmp_path, postgres_url, requests_per_minute=LIMIT) as (one, two), calling(one) as api:

        def call(server: Server) -> int:
            return api.http.get(f"{server.url}/api/v1/info/img/none", headers=api.headers).status_code

        def left() -> float:
            found = select(call_limits.c.remaining).where(call_limits.c.owner == api.client_id)
            return one.deployment.database.read_now(lambda c: c.execute(found).scalar_one())

        assert [call(one) for _ in range(LIMIT - 1)] == [404] * (LIMIT - 1)  # the token was a call, too
        wait_until(lambda: left() < LIMIT // 4)
        for _ in range(LIMIT // 2):
            if call(two) == 429:
                return
            time.sleep(0.2)
    raise AssertionError("the second server knows nothing of the calls at the first")
