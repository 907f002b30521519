"""Deliveries: made once if accepted, repeated for two hours if not, replayed, forgotten."""

import itertools
from typing import Any

import pytest

from likeness.errors import NotFound
from likeness.store.tables import webhook_deliveries
from likeness.tenants.service import Tenant
from likeness.webhooks import repository
from likeness.webhooks.courier import LEASE_SECONDS, LONGEST_WAIT_SECONDS, next_wait_seconds
from likeness.webhooks.outbox import Outbox
from likeness.webhooks.sender import DeliveryOutcome, Sender
from likeness.webhooks.signature import verify_body
from likeness.webhooks.signing import RESULT_TYPE
from scraped import counting
from webhooks.house import House
from webhooks.receiver import Receiver

TWO_HOURS = 7200


def verified(house: House, jws: str, *, now: float | None = None) -> dict[str, Any]:
    return house.signer.verify(
        jws, typ=RESULT_TYPE, issuer="us", audience="c", now=house.clock.now() if now is None else now
    )


def test_a_delivery_is_signed_and_made_once(house: House, receiver: Receiver) -> None:
    target = house.webhooks.put(house.tenant, f"{receiver.url}/hook?a=1", {"X-Key": "k"})
    session_id = house.put_out()
    assert house.deliver() == 1
    assert house.deliver() == 0
    (body,), (headers,), (jws,) = receiver.bodies, receiver.headers, receiver.results
    assert receiver.paths == ["/hook?a=1"]
    assert verified(house, jws)["data"]["sessionId"] == session_id
    assert headers["X-Key"] == "k"
    assert headers["Content-Type"] == "application/json"
    assert headers["Likeness-Delivery"] == house.log[0].id
    assert verify_body(target.secret, body, headers["Likeness-Signature"], now=house.clock.now())
    assert (house.log[0].state, house.log[0].last_status, house.log[0].tries) == ("delivered", 200, 1)


def test_without_a_webhook_nothing_is_put_out(house: House) -> None:
    house.put_out()
    assert house.log == []


@pytest.mark.parametrize("status", [300, 301, 302, 307, 400, 404, 410, 429, 500, 503])
def test_any_other_answer_is_tried_again(house: House, receiver: Receiver, status: int) -> None:
    house.webhooks.put(house.tenant, receiver.url, {})
    receiver.answers = [status]
    house.put_out()
    house.deliver()
    assert (house.log[0].state, house.log[0].last_status) == ("pending", status)
    assert len(receiver.bodies) == 1  # a redirect is not followed
    house.clock.move(6)
    house.deliver()
    assert (house.log[0].state, house.log[0].tries) == ("delivered", 2)
    assert receiver.headers[0]["Likeness-Delivery"] == receiver.headers[1]["Likeness-Delivery"]


def test_tries_count_by_the_state_after_them(house: House, receiver: Receiver) -> None:
    house.webhooks.put(house.tenant, receiver.url, {})
    receiver.answers = [500, 200, 500]
    with counting() as risen:
        house.put_out()
        house.deliver()
        house.clock.move(6)
        house.deliver()
        house.put_out()
        house.clock.move(TWO_HOURS)
        house.deliver()
    tries = {name: count for name, count in risen.items() if name.startswith("likeness_webhook_tries_total")}
    assert tries == {f"likeness_webhook_tries_total,state={state}": 1 for state in ("pending", "delivered", "failed")}


def test_tries_end_after_two_hours(house: House, receiver: Receiver) -> None:
    house.webhooks.put(house.tenant, receiver.url, {})
    receiver.answers = [500] * 1000
    house.put_out()
    began = house.clock.now()
    times = []
    while house.log[0].state == "pending":
        due = house.log[0].next_try_at
        assert due is not None
        house.clock.seconds = max(due, house.clock.now())
        times.append(house.clock.now() - began)
        house.deliver()
    assert house.log[0].state == "failed"
    assert times[-1] == pytest.approx(TWO_HOURS)
    assert 12 <= len(times) <= 24
    assert times[0] == 0
    waits = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert 4 < waits[0] < 6
    assert max(waits) <= LONGEST_WAIT_SECONDS * 1.1


def test_a_fault_of_ours_ends_after_two_hours_too(
    house: House, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_given: object, **_named: object) -> DeliveryOutcome:
        raise UnicodeError("something nobody thought of")

    house.webhooks.put(house.tenant, receiver.url, {})
    monkeypatch.setattr(Sender, "send", fail)
    house.put_out()
    house.deliver()
    assert (house.log[0].state, house.log[0].tries) == ("pending", 1)
    assert "a fault of the server" in str(house.log[0].last_error)
    house.clock.move(TWO_HOURS)
    house.deliver()
    assert house.log[0].state == "failed"


def test_a_late_try_carries_a_result_that_is_still_good(house: House, receiver: Receiver) -> None:
    house.webhooks.put(house.tenant, receiver.url, {})
    receiver.answers = [500]
    house.put_out()
    house.deliver()
    house.clock.move(3600)
    house.deliver()
    first, second = (
        verified(house, jws, now=house.clock.now() - (3600 if not n else 0)) for n, jws in enumerate(receiver.results)
    )
    assert second["exp"] == int(house.clock.now()) + 600
    assert {**second, "exp": 0} == {**first, "exp": 0}


def test_a_receiver_that_is_not_there(house: House, receiver: Receiver) -> None:
    house.webhooks.put(house.tenant, "http://127.0.0.1:9/", {})
    house.put_out()
    house.deliver()
    assert house.log[0].state == "pending"
    assert "not reached" in (house.log[0].last_error or "")


def test_private_addresses_are_judged_at_every_try(house: House, receiver: Receiver) -> None:
    house.webhooks.put(house.tenant, receiver.url.replace("127.0.0.1", "localhost"), {})
    house.put_out()
    house.deliver(private_addresses=False)
    assert receiver.bodies == []
    assert house.log[0].last_error == "the host leads to a private address"


def test_what_a_dead_server_had_taken_up_is_taken_up_again(house: House, receiver: Receiver) -> None:
    house.webhooks.put(house.tenant, receiver.url, {})
    house.put_out()
    now = house.clock.now()
    claimed = house.deployment.database.write_now(
        lambda c: repository.claim_due(c, now=now, lease_until=now + LEASE_SECONDS, limit=4, skip=[])
    )
    assert len(claimed) == 1
    assert house.deliver() == 0
    house.clock.move(LEASE_SECONDS + 1)
    assert house.deliver() == 1
    assert len(receiver.bodies) == 1


def test_replay(house: House, receiver: Receiver) -> None:
    house.webhooks.put(house.tenant, receiver.url, {})
    house.put_out()
    house.deliver()
    house.webhooks.replay(house.tenant, house.log[0].id)
    assert house.log[0].state == "pending"
    house.deliver()
    assert len(receiver.bodies) == 2
    assert house.log[0].state == "delivered"
    with pytest.raises(NotFound):
        house.webhooks.replay(house.tenant, "unknown")
    other = house.deployment.tenants.create("somebody else")
    with pytest.raises(NotFound):
        house.webhooks.replay(other, house.log[0].id)


def test_purging_a_session_stops_and_erases_its_delivery(house: House, receiver: Receiver) -> None:
    house.webhooks.put(house.tenant, receiver.url, {})
    session_id = house.put_out()
    house.deployment.database.write_now(lambda c: Outbox.forget(c, house.tenant, session_id))
    assert house.deliver() == 0
    assert (house.log[0].state, house.log[0].sealed_claims) == ("forgotten", None)
    with pytest.raises(NotFound):
        house.webhooks.replay(house.tenant, house.log[0].id)


def test_a_result_that_is_gone_still_names_its_deliveries(house: House) -> None:
    house.webhooks.put(house.tenant, "http://127.0.0.1:9/", {})
    session_id = house.put_out()
    jti, other = house.log[0].jti, house.deployment.tenants.create("another one")
    assert jti

    def session_of(tenant: Tenant, name: str) -> str | None:
        return house.deployment.database.read_now(lambda c: Outbox.session_of(c, tenant, name))

    assert (session_of(house.tenant, jti), session_of(other, jti), session_of(house.tenant, session_id)) == (
        session_id,
        None,
        None,
    )


def test_content_goes_after_a_day_and_the_line_after_a_month(house: House, receiver: Receiver) -> None:
    house.webhooks.put(house.tenant, receiver.url, {})
    house.put_out()
    house.deliver()
    house.clock.move(23 * 3600)
    house.remove_old()
    [kept] = house.log
    assert kept.sealed_claims is not None
    house.clock.move(2 * 3600)
    house.remove_old()
    [emptied] = house.log
    assert emptied.sealed_claims is None
    house.clock.move(30 * 86400)
    house.remove_old()
    assert house.log == []


def test_nothing_readable_is_stored(house: House, receiver: Receiver) -> None:
    house.webhooks.put(house.tenant, receiver.url + "/very-secret-path", {"X-Key": "very-secret-value"})
    session_id = house.put_out()
    rows = house.deployment.database.read_now(
        lambda c: c.execute(webhook_deliveries.select().where(webhook_deliveries.c.session_id == session_id)).one()
    )
    assert b"match" not in rows.sealed_claims
    stored = b"".join(p.read_bytes() for p in house.deployment.settings.data_dir.rglob("*") if p.is_file())
    assert b"very-secret" not in stored


@pytest.mark.parametrize(("tries", "seconds"), [(0, 5), (1, 10), (2, 20), (7, 640), (8, 900), (5000, 900)])
def test_waits_double_up_to_a_quarter_of_an_hour(tries: int, seconds: float) -> None:
    assert next_wait_seconds(tries) == pytest.approx(seconds, rel=0.11)
