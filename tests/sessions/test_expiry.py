"""Every session ends when its time is over, whatever is stored with it. No session stops another."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import Connection, insert, select, update

from likeness.errors import ServiceUnavailable
from likeness.kit.ids import new_id
from likeness.sessions.schemas import LONGEST_URL, SessionOptions
from likeness.store.authentic.rows import row_key_of
from likeness.store.tables import face_sessions
from scripted_sessions import Checks, browsing, open_session
from servers import Api, Server, calling
from session_endings import end, opened, sessions, success, verified

OVER = 601
GROWING_URLS = {
    "a slash is added": "https://" + "a" * 2040,
    "Arabic is percent-encoded": "https://bank.example/back?customer=" + "ب" * 380,
    "a host becomes punycode": "https://" + "ü." * 500 + "example",
}
UNREADABLE = {"nonce": "n-1", "redirectUrl": "https://" + "a" * 3000, "maxAttempts": "many"}
SWEPT = 121
"""More sessions than the sweep reads at once."""

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=70)
urls = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["http", "https", "HTTPS"]),
    st.one_of(st.from_regex(r"[a-z]{1,9}(\.[a-z]{1,9}){0,3}", fullmatch=True), texts),
    st.sampled_from(["", "/", "/a/../b", "?q=", "/#", "/%zz?", "/\\"]),
    st.one_of(texts, st.integers(0, 2100).map(lambda n: "x" * n), st.integers(0, 700).map(lambda n: "ب" * n)),
)
wishes = st.fixed_dictionaries(
    {},
    optional={
        "nonce": st.none() | texts,
        "consentReference": st.none() | texts,
        "purpose": st.none() | texts,
        "maxAttempts": st.integers(0, 4),
        "minimumMatchLevel": st.integers(0, 6),
        "activeLiveness": st.none() | st.booleans(),
        "livenessMode": st.sampled_from([None, "passive", "active", "strict", "x"]),
        "oneToN": st.sampled_from(["none", "search", "insert", "x"]),
        "auditTrailImageObfuscation": st.sampled_from([None, "FILLED", "FILLED_WHITE", "BLURRED", "x"]),
        "returnDataForIncompleteSession": st.booleans(),
        "redirectUrl": st.none() | urls,
    },
)


@settings(max_examples=400, suppress_health_check=[HealthCheck.filter_too_much])
@given(wishes)
def test_accepted_options_survive_storing_and_reading(wish: dict[str, Any]) -> None:
    try:
        accepted = SessionOptions.model_validate(wish, strict=True)
    except ValidationError:
        return
    stored = json.loads(json.dumps(accepted.model_dump(mode="json", by_alias=True)))
    assert SessionOptions.model_validate(stored) == SessionOptions.stored(stored) == accepted


@given(
    st.dictionaries(
        st.sampled_from([field.alias for field in SessionOptions.model_fields.values()]),
        st.none() | st.integers() | texts,
    )
)
def test_whatever_is_stored_is_read(stored: dict[str, Any]) -> None:
    SessionOptions.stored(stored)


@pytest.mark.parametrize("url", GROWING_URLS.values(), ids=GROWING_URLS)
def test_an_address_is_measured_as_it_is_stored(caller: Api, url: str) -> None:
    assert len(url) <= LONGEST_URL
    session = caller.open_session(b"", redirectUrl=url)
    assert (session.status_code, session.json()["error"]) == (400, "INVALID_INPUT")
    assert "redirectUrl" in session.json()["message"]
    assert "aaaa" not in session.text


def with_options(server: Server, session_id: str, options: Any) -> None:
    """Store options, as another version might write them."""

    def change(connection: Connection) -> None:
        mine = face_sessions.c.id == session_id
        values = {**connection.execute(select(face_sessions).where(mine)).one()._mapping, "options": options}
        values["mac"] = row_key_of(connection).mac(face_sessions, values)
        connection.execute(update(face_sessions).where(mine).values(values))

    server.deployment.database.write_now(change)


def test_a_session_whose_options_do_not_read_is_carried_out_and_ends(caller: Api, checks: Checks) -> None:
    session = open_session(caller)
    with_options(caller.server, session.id, UNREADABLE)
    with browsing(caller, session) as browser:
        assert browser.hear_of("ready")["attemptsLeft"] == 3
    jws = end(caller.server, session.id, success())
    assert jws
    assert verified(caller, jws)["data"]["nonce"] == "n-1"


def add_copies(server: Server, session_id: str, count: int, **changes: Any) -> None:
    """Store copies of a session, with different times in the past."""

    def change(connection: Any) -> None:
        row = connection.execute(select(face_sessions).where(face_sessions.c.id == session_id)).one()
        for nth in range(count):
            copy = {**row._mapping, "id": new_id(), "expires_at": row.expires_at - 1 - nth % 7, **changes}
            copy["mac"] = row_key_of(connection).mac(face_sessions, copy)
            connection.execute(insert(face_sessions).values(copy))

    server.deployment.database.write_now(change)


def rows(server: Server) -> list[Any]:
    return server.deployment.database.read_now(lambda c: list(c.execute(select(face_sessions.c.id))))


@pytest.mark.parametrize("fault", ["options", "key"])
def test_sessions_that_fail_hold_up_no_others(own_server: Server, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service = sessions(own_server)
    with calling(own_server) as bad, calling(own_server) as good:
        add_copies(own_server, opened(bad), SWEPT, **{"options": UNREADABLE} if fault == "options" else {})
        theirs = opened(good)
        if fault == "key":  # the good tenant's key still opens
            get = service._tenants.get

            async def refuse(tenant_id: str) -> Any:
                if tenant_id == bad.tenant.id:
                    raise RuntimeError("the data key does not open")
                return await get(tenant_id)

            monkeypatch.setattr(service._tenants, "get", refuse)
        own_server.clock.move(OVER)
        asyncio.run(service.remove_expired())
        assert rows(own_server) == []
        assert good.call("GET", f"/api/v1/info/{theirs}").status_code == 200


def test_a_busy_store_leaves_a_session_for_later_and_ends_the_next(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = sessions(own_server)
    with calling(own_server) as api:
        first, second = opened(api), opened(api)
        end_session = service.end

        async def busy(session_id: str, *given: Any, **named: Any) -> Any:
            if session_id == first:
                raise ServiceUnavailable("The store is busy.")
            return await end_session(session_id, *given, **named)

        monkeypatch.setattr(service, "end", busy)
        own_server.clock.move(OVER)
        asyncio.run(service.remove_expired())
        assert [row.id for row in rows(own_server)] == [first]
        monkeypatch.undo()
        asyncio.run(service.remove_expired())
        assert rows(own_server) == []
        assert {api.call("GET", f"/api/v1/info/{each}").status_code for each in (first, second)} == {200}
