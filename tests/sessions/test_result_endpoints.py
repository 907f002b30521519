"""The signed result and the audit image over HTTP: their form, lifetimes, purge and permissions."""

import asyncio
import hashlib
import uuid

import pytest
from httpx import Response
from sqlalchemy import select

from likeness.access.scopes import Scope
from likeness.sessions.service import Conclusion
from likeness.sessions.states import EndError, SessionState
from likeness.store.tables import face_sessions, session_results
from likeness.webhooks.service import Webhooks
from servers import Api, Server, calling
from session_endings import ALICE, OneToN, end, failure, header_of, opened, sessions, success, verified

NOT_OVER = 599
OVER = 601


def result(api: Api, session_id: str, **options: object) -> Response:
    return api.call("GET", f"/api/v1/info/{session_id}", **options)


def renew(api: Api) -> None:
    """Get a new access token, because the old one expires when the clock is moved far."""
    api.headers = {"Authorization": f"Bearer {api.token()}"}


def test_a_success_is_signed_and_its_image_has_the_stated_checksum(caller: Api) -> None:
    session_id = opened(caller, nonce="n-1", consentReference="consent-7", purpose="opening an account")
    jws = end(caller.server, session_id, success())
    reply = result(caller, session_id)
    assert (reply.status_code, reply.text) == (200, jws)
    assert reply.headers["content-type"] == "application/jwt"
    assert reply.headers["cache-control"] == "no-store"
    claims = verified(caller, reply.text)
    header = header_of(reply.text)
    assert header.keys() == {"alg", "kid", "typ"}
    assert (header["alg"], header["typ"]) == ("RS256", "JWT")
    assert claims["exp"] - claims["iat"] == 600
    assert uuid.UUID(claims["jti"]).version == 4
    assert claims["data"]["sessionId"] == session_id
    repeated = {name: claims["data"][name] for name in ("nonce", "consentReference", "purpose")}
    assert repeated == {"nonce": "n-1", "consentReference": "consent-7", "purpose": "opening an account"}
    face = claims["data"]["face"]
    assert (face["match"], face["matchLevel"], face["error"], face["model"]) == (True, 5, None, "fake@1")
    image = caller.call("GET", f"/api/v1/info/img/{face['auditTrailImageId']}")
    assert (image.status_code, image.headers["content-type"]) == (200, "image/jpeg")
    assert image.headers["cache-control"] == "no-store"
    assert f"sha256:{hashlib.sha256(image.content).hexdigest()}" == face["auditTrailImageIdChecksum"]


@pytest.mark.parametrize("by", ["session", "jti"])
def test_a_result_is_named_by_its_session_or_its_jti_in_path_and_header(caller: Api, by: str) -> None:
    session_id = opened(caller)
    jws = end(caller.server, session_id, success())
    assert jws
    name = session_id if by == "session" else verified(caller, jws)["jti"]
    for spelt in (name, name.upper()):
        assert result(caller, spelt).text == jws
        assert caller.call("GET", "/api/v1/info", headers={"UQ-Session-ID": spelt}).text == jws
    with calling(caller.server) as other:
        assert result(other, name).status_code == 404
    assert caller.call("GET", "/api/v1/info", headers={"UQ-Session-ID": "x"}).status_code == 400
    assert caller.call("GET", "/api/v1/info").status_code == 400


def test_a_session_that_has_not_ended_has_no_result(caller: Api) -> None:
    reply = result(caller, opened(caller))
    assert (reply.status_code, reply.json()["error"]) == (404, "SESSION_EXPIRED_OR_NOT_FOUND")


@pytest.mark.parametrize("name", ["x", "1234", "g" * 36, "%00"])
def test_a_name_that_is_no_uuid_is_400(caller: Api, name: str) -> None:
    assert result(caller, name).status_code == 400
    assert caller.call("DELETE", f"/api/v1/info/{name}").status_code == 400


def test_unknown_is_404(caller: Api) -> None:
    assert result(caller, str(uuid.uuid4())).status_code == 404
    assert caller.call("GET", f"/api/v1/info/img/{'a' * 24}").status_code == 404
    assert caller.call("GET", "/api/v1/info/img/..").status_code in {400, 404}


def test_another_tenants_result_is_as_unknown(caller: Api) -> None:
    session_id = opened(caller)
    jws = end(caller.server, session_id, success())
    assert jws
    image_id = verified(caller, jws)["data"]["face"]["auditTrailImageId"]
    with calling(caller.server) as other:
        assert result(other, session_id).status_code == 404
        assert other.call("GET", f"/api/v1/info/img/{image_id}").status_code == 404
        assert other.call("DELETE", f"/api/v1/info/{session_id}").status_code == 204
    assert result(caller, session_id).status_code == 200


def test_result_10_minutes_image_30_minutes(caller: Api) -> None:
    session_id = opened(caller)
    jws = end(caller.server, session_id, success())
    assert jws
    path = f"/api/v1/info/img/{verified(caller, jws)['data']['face']['auditTrailImageId']}"
    clock = caller.server.clock
    clock.move(NOT_OVER)
    assert (result(caller, session_id).status_code, caller.call("GET", path).status_code) == (200, 200)
    clock.move(OVER - NOT_OVER)
    assert (result(caller, session_id).status_code, caller.call("GET", path).status_code) == (404, 200)
    clock.move(1199 - OVER + NOT_OVER)
    renew(caller)
    assert caller.call("GET", path).status_code == 200
    clock.move(2)
    assert caller.call("GET", path).status_code == 404


@pytest.mark.parametrize("by", ["session", "jti"])
def test_purge(caller: Api, by: str) -> None:
    session_id = opened(caller)
    jws = end(caller.server, session_id, success())
    assert jws
    claims = verified(caller, jws)
    name = session_id if by == "session" else claims["jti"]
    for _ in range(2):
        assert caller.call("DELETE", f"/api/v1/info/{name}").status_code == 204
    assert result(caller, session_id).status_code == 404
    assert caller.call("GET", f"/api/v1/info/img/{claims['data']['face']['auditTrailImageId']}").status_code == 404


def test_a_purge_by_jti_erases_what_waits_for_the_webhook_though_the_result_is_gone(caller: Api) -> None:
    deployment = caller.server.deployment
    webhooks = Webhooks(deployment.database, caller.server.clock, private_addresses=True)
    webhooks.put(caller.tenant, "http://127.0.0.1:9/", {})
    jws = end(caller.server, session_id := opened(caller), success())
    assert jws
    caller.server.clock.move(1801)
    asyncio.run(sweep(caller.server))
    renew(caller)

    def is_held() -> bool:
        (delivery,) = (each for each in webhooks.deliveries(caller.tenant) if each.session_id == session_id)
        return delivery.sealed_claims is not None

    assert is_held()
    assert caller.call("DELETE", f"/api/v1/info/{verified(caller, jws)['jti']}").status_code == 204
    assert not is_held()
    webhooks.remove(caller.tenant)


def test_purging_a_session_under_way_ends_it_without_a_trace(caller: Api) -> None:
    session_id = opened(caller)
    assert caller.call("DELETE", f"/api/v1/info/{session_id}").status_code == 204
    assert end(caller.server, session_id, success()) is None
    assert result(caller, session_id).status_code == 404


def test_a_session_that_nobody_used_ends_with_a_result_too(caller: Api) -> None:
    session_id = opened(caller)
    caller.server.clock.move(OVER)
    claims = verified(caller, result(caller, session_id).text)
    face = claims["data"]["face"]
    assert (face["match"], face["error"], face["auditTrailImageId"]) == (False, "SESSION_EXPIRED_OR_NOT_FOUND", None)


def test_a_session_ends_once(caller: Api) -> None:
    session_id = opened(caller)
    first = end(caller.server, session_id, failure())
    assert first
    assert end(caller.server, session_id, success()) is None
    assert result(caller, session_id).text == first


def test_of_two_endings_at_once_one_counts(caller: Api) -> None:
    session_id = opened(caller)
    service = sessions(caller.server)

    async def race() -> list[str | None]:
        return list(
            await asyncio.gather(*(service.end(session_id, each) for each in (success(), failure(), success())))
        )

    outcomes = [jws for jws in asyncio.run(race()) if jws]
    assert outcomes == [result(caller, session_id).text]


def test_cancelled(caller: Api) -> None:
    session_id = opened(caller)
    end(caller.server, session_id, Conclusion(SessionState.CANCELLED, EndError.USER_CANCEL))
    face = verified(caller, result(caller, session_id).text)["data"]["face"]
    assert (face["match"], face["error"]) == (False, "USER_CANCEL")


def test_one_to_n_members_only_with_one_to_n(caller: Api) -> None:
    found = OneToN("the-entry", found=True)
    without, with_search = opened(caller), opened(caller, oneToN="search")
    end(caller.server, without, success(one_to_n=found))
    end(caller.server, with_search, success(one_to_n=found))
    assert "oneToNVerificationId" not in verified(caller, result(caller, without).text)["data"]["face"]
    face = verified(caller, result(caller, with_search).text)["data"]["face"]
    assert (face["oneToNVerificationId"], face["oneToNVerificationMatch"]) == ("the-entry", True)


@pytest.mark.parametrize(
    ("scope", "reads_result", "reads_image_and_purges"),
    [(Scope.INFO_SDK, True, True), (Scope.FACE_FLOW, True, False), (Scope.FACE_MATCH, False, False)],
)
def test_scopes(caller: Api, scope: Scope, reads_result: bool, reads_image_and_purges: bool) -> None:
    headers = caller.with_scopes(scope)
    unknown = str(uuid.uuid4())
    assert result(caller, unknown, headers=headers).status_code == (404 if reads_result else 403)
    image = caller.call("GET", f"/api/v1/info/img/{'a' * 24}", headers=headers)
    assert image.status_code == (404 if reads_image_and_purges else 403)
    purge = caller.call("DELETE", f"/api/v1/info/{unknown}", headers=headers)
    assert purge.status_code == (204 if reads_image_and_purges else 403)


def test_the_sweep_leaves_nothing(own_server: Server) -> None:
    with calling(own_server) as api:
        session_id = opened(api)
        end(own_server, session_id, success())
        opened(api)
        own_server.clock.move(601)
        asyncio.run(sweep(own_server))
        rows = own_server.deployment.database.read_now(
            lambda c: c.execute(
                select(session_results.c.sealed_jws, session_results.c.sealed_image).where(
                    session_results.c.session_id == session_id
                )
            ).one()
        )
        assert rows.sealed_jws is None
        assert rows.sealed_image is not None
        own_server.clock.move(1801)
        asyncio.run(sweep(own_server))
        for table in (session_results, face_sessions):
            assert own_server.deployment.database.read_now(lambda c, t=table: c.execute(select(t)).all()) == []  # type: ignore[misc]


async def sweep(server: Server) -> None:

    await sessions(server).remove_expired()
    await server.components.results.remove_expired()


def test_nothing_readable_is_stored(own_server: Server) -> None:
    with calling(own_server) as api:
        session_id = opened(api)
        jws = end(own_server, session_id, success())
        assert jws
        files = [path for path in own_server.deployment.settings.data_dir.rglob("*") if path.is_file()]
        stored = b"".join(path.read_bytes() for path in files)
        assert jws.split(".")[1].encode() not in stored
        assert ALICE[:64] not in stored
        assert b"\xff\xd8\xff\xe0\x00\x10JFIF" not in stored
