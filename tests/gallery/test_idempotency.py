"""A repeated request gets its answer for a day that no clock shortens. Keys of the two kinds never collide."""

import asyncio
import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, select

from composition import empty_database
from likeness.engine.fake import fake_photo
from likeness.gallery.enrolment import EnrolmentRequest, EnrolOnce
from likeness.gallery.idempotency import (
    HOUR_SECONDS,
    REMEMBERED_HOURS,
    AnswerAges,
    Repeatable,
    recall_answer,
    remember_answer,
)
from likeness.store.database import Database
from likeness.store.tables import idempotency_keys, metadata, tenants
from servers import Api, Server, calling

DAY = 86_400.0


def test_a_clock_that_jumps_by_days_forgets_no_answer(own_server: Server) -> None:
    with calling(own_server) as api:
        first = insert_under(api, "key")
        for days in (2, -5, 400):
            own_server.clock.move(days * DAY)
            api.headers = {"Authorization": f"Bearer {api.token()}"}
            assert insert_under(api, "key") == first
        own_server.clock.move(-397 * DAY)


def insert_under(api: Api, key: str) -> str:
    reply = api.insert(fake_photo(1, size=(160, 120)), headers={"Idempotency-Key": key})
    assert reply.status_code == 200, reply.text
    return str(reply.json()["oneToNVerificationId"])


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 30 * HOUR_SECONDS), st.floats(-10 * DAY, 10 * DAY), st.booleans()), max_size=12))
def test_an_answer_is_remembered_for_a_day_of_running_whatever_the_wall_clock_says(
    tmp_path_factory: pytest.TempPathFactory, history: list[tuple[float, float, bool]]
) -> None:
    """Each step lets the server run, moves the wall clock, and may restart the server. The wall clock has no effect."""
    database = Database(empty_database(tmp_path_factory.mktemp("ages") / "db.sqlite3"))
    database.write_now(metadata.create_all)
    database.write_now(tenant)
    monotonic = 1000.0

    def started() -> AnswerAges:
        return AnswerAges(database, monotonic=lambda: monotonic)

    ages = started()
    request = Repeatable.occasion("first")
    database.write_now(lambda c: remember_answer(c, "t", request, {"id": "1"}))
    ran = counted = 0.0
    for seconds, _, restart in history:
        monotonic += seconds
        ran += seconds
        counted += seconds
        asyncio.run(ages.advance())
        remembered = database.read_now(lambda c: recall_answer(c, "t", request.key))
        if ran < REMEMBERED_HOURS * HOUR_SECONDS:
            assert remembered
        if counted >= (REMEMBERED_HOURS + 2) * HOUR_SECONDS:
            assert not remembered
        if restart:  # the incomplete hour is not counted, so the answer is kept longer
            counted -= counted % HOUR_SECONDS
            monotonic = 5.0
            ages = started()
    database.close()


def tenant(connection: Connection) -> None:
    values = {"id": "t", "name": "t", "settings": {}, "created_at": 0}
    connection.execute(insert(tenants).values(values))


def test_an_answer_is_as_old_as_the_running_since_it_was_given(tmp_path: Path) -> None:
    now = 0.0
    database = Database(empty_database(tmp_path / "db.sqlite3"))
    database.write_now(metadata.create_all)
    database.write_now(tenant)
    ages = AnswerAges(database, monotonic=lambda: now)
    known = []
    for day in range(3):
        request = Repeatable.occasion(str(day))
        database.write_now(lambda c, request=request: remember_answer(c, "t", request, {"id": "1"}))  # type: ignore[misc]
        now += 10 * HOUR_SECONDS
        asyncio.run(ages.advance())
        keys = database.read_now(lambda c: c.execute(select(idempotency_keys.c.key)).scalars().all())
        known.append(sorted(keys))
    assert known == [["occasion 0"], ["occasion 0", "occasion 1"], ["occasion 1", "occasion 2"]]
    database.close()


def test_a_callers_key_is_never_taken_for_an_occasion(own_server: Server) -> None:
    with calling(own_server) as api:
        service = own_server.components.gallery
        theirs = insert_under(api, "face session 1")

        async def enrol_on(name: str) -> str:
            request = EnrolmentRequest(occasion=EnrolOnce(name, lambda _: None))
            return str(await service.insert(api.tenant, fake_photo(2, size=(160, 120)), request))

        assert asyncio.run(enrol_on("face session 1")) != theirs


def test_a_stored_digest_tells_nobody_without_the_key_which_photo_was_sent(own_server: Server) -> None:
    photo = fake_photo(1, size=(160, 120))
    with calling(own_server) as first, calling(own_server) as second:
        digests = [Repeatable.call(api.tenant, "key", photo, [None, {}]).digests[0] for api in (first, second)]
        assert insert_under(first, "key") == insert_under(first, "key")
        reply = first.insert(photo, headers={"Idempotency-Key": "key"}, externalId="other")
        assert reply.status_code == 409
    assert digests[0] != digests[1]
    assert hashlib.sha256(photo).hexdigest() not in digests
