"""How often one ID photo may be tried."""

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import Connection, create_engine, select

from likeness.engine.base import Use
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.errors import TooManyRequests
from likeness.kit.ids import new_id
from likeness.sessions.velocity import WINDOW_SECONDS, PhotoAttempts, forget_attempts
from likeness.settings import Settings
from likeness.store.tables import metadata, photo_attempts
from servers import Api, Server, calling, serving, serving_two, test_settings

ALICE, BOB = fake_photo(1), fake_photo(2)
NOW = 1_000_000.0


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(test_settings(tmp_path_factory.mktemp("data"), attempts_per_photo=6)) as server:
        yield server


@pytest.fixture
def api(limited: Server) -> Iterator[Api]:
    with calling(limited) as api:
        yield api


def assert_used_up(reply: httpx.Response, *, wait: int) -> None:
    assert (reply.status_code, reply.json()["error"]) == (429, "TOO_MANY_REQUESTS")
    assert reply.headers["ratelimit-policy"] == '"photo";q=6;w=3600'
    assert wait - 5 <= int(reply.headers["retry-after"]) <= wait


def test_a_photo_has_so_many_attempts_an_hour_in_all_sessions(api: Api) -> None:
    assert [api.open_session(ALICE).status_code for _ in range(2)] == [201, 201]
    assert_used_up(api.open_session(ALICE, maxAttempts=1), wait=3600)
    assert api.open_session(BOB).status_code == 201
    with calling(api.server) as other:
        assert other.open_session(ALICE).status_code == 201


def test_it_may_be_tried_again_after_an_hour(api: Api) -> None:
    clock = api.server.clock
    assert api.open_session(ALICE, maxAttempts=1).status_code == 201
    clock.move(600)
    assert api.open_session(ALICE).status_code == 201
    assert api.open_session(ALICE, maxAttempts=2).status_code == 201
    assert_used_up(api.open_session(ALICE, maxAttempts=1), wait=3000)
    assert_used_up(api.open_session(ALICE, maxAttempts=2), wait=3600)
    clock.move(3001)
    api.headers = {"Authorization": f"Bearer {api.token()}"}
    assert api.open_session(ALICE, maxAttempts=1).status_code == 201
    assert_used_up(api.open_session(ALICE, maxAttempts=1), wait=600)


def test_a_copy_of_the_photo_counts_with_it(api: Api) -> None:
    """A byte more, another description in the file, or another client of the tenant makes no other photo."""
    assert api.open_session(ALICE).status_code == 201
    assert api.open_session(ALICE + b"\x00").status_code == 201
    assert_used_up(api.open_session(ALICE[:2] + b"\xff\xfe\x00\x04ab" + ALICE[2:]), wait=3600)


def test_a_purge_gives_no_attempt_back(api: Api) -> None:
    for _ in range(2):
        session = api.open_session(ALICE).json()["sessionId"]
        assert api.call("DELETE", f"/api/v1/info/{session}").status_code == 204
    assert_used_up(api.open_session(ALICE), wait=3600)


def test_a_photo_that_opens_no_session_costs_nothing(api: Api) -> None:
    for _ in range(4):
        assert api.open_session(fake_photo(1, faces=0)).status_code == 400
    assert api.open_session(ALICE).status_code == 201


def test_there_is_a_limit_without_any_setting(tmp_path: Path) -> None:
    with serving(test_settings(tmp_path, attempts_per_photo=Settings().attempts_per_photo)) as server:
        limit = server.deployment.settings.attempts_per_photo
        assert 0 < limit <= 300
        with calling(server) as api:
            service = server.components.sessions
            digest = service._photo_attempts.digest(
                api.tenant.id, FakeEngine().analyse(ALICE, use=Use.ID_PHOTO).template
            )
            now = server.clock.now()
            server.deployment.database.write_now(
                lambda c: service._photo_attempts.count(c, api.tenant.id, digest, limit, now=now)
            )
            assert api.open_session(ALICE).status_code == 429


@pytest.mark.parametrize("most", [-1, 1, 2])
def test_a_limit_is_enough_for_a_session(most: int) -> None:
    with pytest.raises(ValidationError, match="attempts_per_photo"):
        Settings(attempts_per_photo=most)


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(1, 3), st.floats(0, 2000)), max_size=30))
def test_no_hour_has_more_attempts_and_who_waits_as_told_is_let_in(
    connection: Connection, sessions: list[tuple[int, float]]
) -> None:
    limit, tenant, now = PhotoAttempts(b"k" * 32, 6), new_id(), NOW
    made: list[tuple[float, int]] = []
    for attempts, pause in sessions:
        now += pause
        try:
            limit.count(connection, tenant, "d", attempts, now=now)
        except TooManyRequests as refused:
            assert recent(made, now) + attempts > 6
            now += int(refused.headers["Retry-After"])
            limit.count(connection, tenant, "d", attempts, now=now)
        made.append((now, attempts))
        assert recent(made, now) <= 6
    forget_attempts(connection, now=now)
    kept = connection.execute(select(photo_attempts.c.attempts).where(photo_attempts.c.tenant_id == tenant)).scalars()
    assert sum(kept) == recent(made, now)


def recent(made: list[tuple[float, int]], now: float) -> int:
    return sum(attempts for opened_at, attempts in made if opened_at > now - WINDOW_SECONDS)


def test_a_digest_tells_nothing_without_the_key() -> None:
    template = FakeEngine().analyse(ALICE, use=Use.ID_PHOTO).template
    digests = {
        PhotoAttempts(key, 6).digest(tenant, template) for key in (b"k" * 32, b"l" * 32) for tenant in ("a", "b")
    }
    assert len(digests) == 4
    assert all(len(digest) == 64 for digest in digests)


def test_two_servers_count_one_photo_together(tmp_path: Path, postgres_url: str) -> None:
    with serving_two(tmp_path, postgres_url, attempts_per_photo=9, workers=4) as servers, calling(servers[0]) as api:

        def open_one(number: int) -> int:
            at = dataclasses.replace(api, http=httpx.Client(base_url=servers[number % 2].url, timeout=60))
            with at.http:
                return at.open_session(ALICE).status_code

        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(open_one, range(24)))
    assert (statuses.count(201), statuses.count(429)) == (3, 21)
