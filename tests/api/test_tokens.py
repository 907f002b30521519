"""Tokens over real HTTP: issue, refusal, verification."""

import asyncio
import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jwt
import pytest
from sqlalchemy import Connection, select

from likeness.access import repository
from likeness.access.clients import FRESH_SECONDS
from likeness.access.schemas import ClientSettings
from likeness.access.scopes import Scope
from likeness.access.tokens import TYPE
from likeness.engine.fake import fake_photo
from likeness.errors import NotFound
from likeness.kit.ids import new_id
from likeness.kit.jose import Signer
from likeness.kit.signing_key import SigningKey
from likeness.sessions.service import CAPTURE_TYPE
from likeness.settings import Settings
from likeness.store.tables import signing_keys
from likeness.webhooks.signing import RESULT_TYPE
from servers import Api, Server, calling, serving, test_settings

PATH = "/api/oauth/token"


def form(api: Api, **changes: Any) -> dict[str, Any]:
    fields = {"grant_type": "client_credentials", "client_id": api.client_id, "client_secret": api.client_secret}
    return {name: value for name, value in (fields | changes).items() if value is not None}


def test_the_reply_and_the_token_are_what_the_contract_says(api: Api) -> None:
    reply = api.http.post(PATH, data=form(api))
    assert reply.status_code == 200
    assert reply.headers["cache-control"] == "no-store"
    body = reply.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "scope", "jti"}
    assert (body["token_type"], body["expires_in"]) == ("bearer", 1800)
    assert body["scope"].split() == list(Scope)
    keys = jwt.PyJWKSet.from_dict(api.http.get("/api/.well-known/jwks.json").json())
    header = jwt.get_unverified_header(body["access_token"])
    assert (header["alg"], header["typ"]) == ("RS256", "at+jwt")
    key = next(key for key in keys.keys if key.key_id == header["kid"])
    claims = jwt.decode(body["access_token"], key, ["RS256"], audience="likeness-api", issuer=api.server.url)
    assert claims["client_id"] == claims["sub"] == api.client_id
    assert claims["scope"] == body["scope"].split()
    assert claims["jti"] == body["jti"]
    assert claims["exp"] - claims["iat"] == 1800


def test_the_public_keys_are_public_only(api: Api) -> None:
    keys = api.http.get("/api/.well-known/jwks.json").json()["keys"]
    assert keys
    for key in keys:
        assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", "RS256")
        assert set(key) <= {"kty", "use", "alg", "kid", "n", "e"}


def test_http_basic(api: Api) -> None:
    reply = api.http.post(PATH, data={"grant_type": "client_credentials"}, auth=(api.client_id, api.client_secret))
    assert reply.status_code == 200


def test_a_secret_is_sent_once(api: Api) -> None:
    form = {"grant_type": "client_credentials", "client_secret": api.client_secret}
    reply = api.http.post("/api/oauth/token", data=form, auth=(api.client_id, api.client_secret))
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request")


def test_a_scope_narrows_the_token(api: Api) -> None:
    reply = api.http.post(PATH, data=form(api, scope="KYC_FACE_MATCH KYC_FACE_SEARCH"))
    assert reply.json()["scope"] == "KYC_FACE_MATCH KYC_FACE_SEARCH"


def test_a_scope_that_the_client_does_not_hold_is_refused(api: Api) -> None:
    with calling(api.server, scopes=frozenset({Scope.FACE_MATCH})) as narrow:
        reply = narrow.http.post(PATH, data=form(narrow, scope="ADMIN"))
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "nobody"}, 401, "invalid_client"),
        ({"client_id": "\x00"}, 401, "invalid_client"),
        ({"client_id": "00000000-0000-4000-8000-000000000000"}, 401, "invalid_client"),
        ({"client_secret": None}, 401, "invalid_client"),
        ({"grant_type": None}, 400, "invalid_request"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_faults_follow_rfc_6749(api: Api, changes: dict[str, Any], status: int, error: str) -> None:
    reply = api.http.post(PATH, data=form(api, **changes))
    assert reply.status_code == status
    assert reply.json()["error"] == error
    assert reply.json()["error_description"]


def test_a_form_is_demanded_and_its_size_is_bounded(api: Api) -> None:
    assert api.http.post(PATH, json=form(api)).json()["error"] == "invalid_request"
    reply = api.http.post(PATH, data=form(api, padding="x" * 20_000))
    assert_oauth_error(reply, 413, "invalid_request")


def test_a_compressed_form_is_415(api: Api) -> None:
    assert_oauth_error(
        api.http.post(PATH, data=form(api), headers={"Content-Encoding": "gzip"}), 415, "invalid_request"
    )


def assert_oauth_error(reply: httpx.Response, status: int, error: str) -> None:
    """Every refusal of this call has the form of RFC 6749 §5.2, so that OAuth libraries read it."""
    assert (reply.status_code, reply.json()["error"]) == (status, error), reply.text
    assert reply.json().keys() == {"error", "error_description"}
    assert reply.headers["cache-control"] == "no-store"


def test_wrong_secrets_in_a_row_are_stopped_and_lock_nobody_out(tmp_path: Any) -> None:
    settings = test_settings(tmp_path, token_failures_per_minute=3)
    with serving(settings) as server, calling(server) as api:

        def guess() -> httpx.Response:
            return api.http.post(PATH, data=form(api, client_secret="wrong"))

        assert [guess().status_code for _ in range(4)] == [401, 401, 401, 429]
        assert_oauth_error(guess(), 429, "temporarily_unavailable")
        assert 1 <= int(guess().headers["retry-after"]) <= 61
        assert api.http.post(PATH, data=form(api)).status_code == 200
        server.clock.move(61)
        assert guess().status_code == 401


def test_a_made_up_secret_reaches_no_database_and_keeps_nobody_waiting(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each client id: known, unknown, malformed, or above its limit of failures."""
    with serving(test_settings(tmp_path, token_failures_per_minute=3)) as server, calling(server) as api:
        asked: list[str] = []

        def noted(connection: Connection, client_id: str) -> repository.ClientRow | None:
            asked.append(client_id)
            return find_client(connection, client_id)

        find_client = repository.find_client
        monkeypatch.setattr(repository, "find_client", noted)
        made_up = server.deployment.clients._secrets.new("somebody else")
        statuses = [
            api.http.post(PATH, data=form(api, client_id=client_id, client_secret=secret)).status_code
            for client_id in (api.client_id, new_id(), "nobody")
            for secret in ("wrong", made_up, "x" * 64, "ü", "wrong")
        ]
        assert statuses == 3 * [401, 401, 401, 429, 429]
        assert asked == []
        assert api.http.post(PATH, data=form(api)).status_code == 200
        assert asked == [api.client_id]


def test_a_flood_of_unknown_clients_denies_nobody_a_token(tmp_path: Any) -> None:
    with serving(test_settings(tmp_path)) as server, calling(server) as api:
        stop = threading.Event()

        def flood() -> set[int]:
            seen = set()
            with httpx.Client(base_url=server.url, timeout=60) as http:
                while not stop.is_set():
                    seen.add(http.post(PATH, data=form(api, client_id=new_id())).status_code)
            return seen

        with ThreadPoolExecutor(40) as attackers:
            floods = [attackers.submit(flood) for _ in range(40)]
            rightful = [api.http.post(PATH, data=form(api)).status_code for _ in range(10)]
            stop.set()
        assert rightful == 10 * [200]
        assert set().union(*(flood.result() for flood in floods)) == {401}


def test_a_client_calls_only_from_its_networks(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    with serving(test_settings(tmp_path)) as server, calling(server) as api:
        elsewhere = ClientSettings.model_validate({"networks": ["10.0.0.0/8"]})
        server.deployment.clients.change_settings(api.client_id, elsewhere)
        server.clock.move(FRESH_SECONDS)
        claimed = {"X-Forwarded-For": "10.0.0.1", "Forwarded": "for=10.0.0.1", "X-Real-IP": "10.0.0.1"}
        for headers in ({}, claimed):
            assert_oauth_error(api.http.post(PATH, data=form(api), headers=headers), 401, "invalid_client")
            refused = api.call("GET", "/api/v1/face/one-to-n", headers=headers)
            assert (refused.status_code, refused.json()["error"]) == (403, "FORBIDDEN")
        assert f"client {api.client_id} was refused a token: it may not call from 127.0.0.1" in caplog.text
        here = ClientSettings.model_validate({"networks": ["10.0.0.0/8", "127.0.0.1"]})
        server.deployment.clients.change_settings(api.client_id, here)
        server.clock.move(FRESH_SECONDS)
        assert list_entries(api, api.token()) == 200


def test_a_proxy_of_ours_names_the_callers_address(tmp_path: Any) -> None:
    with serving(test_settings(tmp_path, proxies="127.0.0.0/8, 10.9.0.0/16")) as server, calling(server) as api:
        inside = ClientSettings.model_validate({"networks": ["10.0.0.0/16"]})
        server.deployment.clients.change_settings(api.client_id, inside)
        server.clock.move(FRESH_SECONDS)
        statuses = {
            forwarded: api.call("GET", "/api/v1/face/one-to-n", headers={"X-Forwarded-For": forwarded}).status_code
            for forwarded in (
                "10.0.0.1",
                "::ffff:10.0.0.1",
                "203.0.113.9, 10.0.0.1",
                "10.0.0.1, 10.9.0.1",
                "10.0.0.1, 203.0.113.9",
                "10.1.0.1",
                "nobody",
                "",
            )
        }
        assert list(statuses.values()) == [200, 200, 200, 200, 403, 403, 403, 403]


@pytest.fixture(scope="module")
def behind_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = test_settings(tmp_path_factory.mktemp("data"), proxies="127.0.0.1", certificate_header="X-Client-Cert")
    with serving(settings) as server:
        yield server


def presenting(content: bytes) -> dict[str, str]:
    """Give the header of a proxy whose caller has a certificate with this content."""
    return {"X-Client-Cert": f":{base64.b64encode(content).decode()}:"}


def thumbprint(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def require_certificates(api: Api, *contents: bytes) -> None:
    settings = ClientSettings(certificates=tuple(map(thumbprint, contents)))
    api.server.deployment.clients.change_settings(api.client_id, settings)
    api.server.clock.move(FRESH_SECONDS)


def test_a_clients_certificate_is_its_proof_and_its_token_is_bound_to_it(behind_proxy: Server) -> None:
    with calling(behind_proxy) as api, calling(behind_proxy) as other:
        require_certificates(api, b"one", b"two")
        by_id = {"grant_type": "client_credentials", "client_id": api.client_id}
        reply = api.http.post(PATH, data=by_id, headers=presenting(b"one"))
        assert reply.status_code == 200, reply.text
        token = reply.json()["access_token"]
        assert claims_of(token)["cnf"] == {"x5t#S256": thumbprint(b"one")}
        statuses = {}
        for name, shown in {"its own": presenting(b"one"), "its other": presenting(b"two"), "none": {}}.items():
            headers = {"Authorization": f"Bearer {token}", **shown}
            statuses[name] = api.call("GET", "/api/v1/face/one-to-n", headers=headers).status_code
        assert statuses == {"its own": 200, "its other": 401, "none": 401}
        for refused in (
            api.http.post(PATH, data=by_id, headers=presenting(b"three")),
            api.http.post(PATH, data=by_id),
            api.http.post(PATH, data=form(api)),  # the secret alone
            api.http.post(PATH, data=form(api), headers=presenting(b"three")),
            other.http.post(PATH, data=by_id | {"client_id": other.client_id}, headers=presenting(b"one")),
        ):
            assert_oauth_error(refused, 401, "invalid_client")
        assert api.http.post(PATH, data=form(api), headers=presenting(b"two")).status_code == 200
        # A client without certificates may have one all the same.
        token = other.http.post(PATH, data=form(other), headers=presenting(b"one")).json()["access_token"]
        assert "cnf" not in claims_of(token)
        assert list_entries(other, token) == 200


def test_a_token_ends_with_its_certificate(behind_proxy: Server) -> None:
    with calling(behind_proxy) as api:
        unbound = api.token()
        require_certificates(api, b"one")
        by_id = {"grant_type": "client_credentials", "client_id": api.client_id}
        token = api.http.post(PATH, data=by_id, headers=presenting(b"one")).json()["access_token"]

        def status(token: str) -> int:
            headers = {"Authorization": f"Bearer {token}"} | presenting(b"one")
            return api.call("GET", "/api/v1/face/one-to-n", headers=headers).status_code

        assert (status(token), status(unbound)) == (200, 401)
        require_certificates(api, b"two")
        assert status(token) == 401
        require_certificates(api)
        assert (status(token), status(unbound)) == (401, 200)


def test_a_disabled_clients_token_opens_nothing(tmp_path: Any) -> None:
    with serving(test_settings(tmp_path)) as server, calling(server) as api:
        token = api.token()
        server.deployment.clients.disable(api.client_id)
        server.clock.move(FRESH_SECONDS)
        assert list_entries(api, token) == 401


def test_a_disabled_client_gets_no_token(api: Api) -> None:
    api.server.deployment.clients.disable(api.client_id)
    assert api.http.post(PATH, data=form(api)).json()["error"] == "invalid_client"


def test_a_rotated_secret_replaces_the_old(api: Api) -> None:
    fresh = api.server.deployment.clients.rotate_secret(api.client_id)
    assert api.http.post(PATH, data=form(api)).status_code == 401
    assert api.http.post(PATH, data=form(api, client_secret=fresh.client_secret)).status_code == 200


def forged(token: str) -> dict[str, str]:
    head, body, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["tenant_id"] = "another"
    other = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    return {
        "changed claims": f"{head}.{other}.{signature}",
        "alg none": f"{unsigned}.{body}.",
        "cut short": f"{head}.{body}",
        "hmac with the public key": jwt.encode(claims, "x" * 32, "HS256"),
        "not a token": "abc",
    }


def test_tokens_that_are_not_ours_are_401(api: Api) -> None:
    headers = [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {api.token()}"},
        *({"Authorization": f"Bearer {token}"} for token in forged(api.token()).values()),
    ]
    for header in headers:
        reply = httpx.post(f"{api.server.url}/api/v1/face/match", headers=header, json={})
        assert (reply.status_code, reply.json()["error"]) == (401, "UNAUTHORIZED")
        assert reply.headers["www-authenticate"] == "Bearer"


def test_a_token_ends(tmp_path: Any) -> None:
    with serving(test_settings(tmp_path)) as server, calling(server) as api:
        assert api.match(fake_photo(1), fake_photo(1)).status_code == 200
        server.clock.move(Settings().token_ttl_seconds + 1)
        assert api.match(fake_photo(1), fake_photo(1)).status_code == 401


def test_a_token_outlives_a_clock_that_is_set_back_by_less_than_a_minute(tmp_path: Any) -> None:
    with serving(test_settings(tmp_path)) as server, calling(server) as api:
        server.clock.move(-59)
        assert api.call("GET", "/api/v1/face/one-to-n").status_code == 200
        server.clock.move(-10)
        assert api.call("GET", "/api/v1/face/one-to-n").status_code == 401


def published(api: Api) -> list[str]:
    return [key["kid"] for key in api.http.get("/api/.well-known/jwks.json").json()["keys"]]


def list_entries(api: Api, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{api.server.url}/api/v1/face/one-to-n", headers=headers).status_code


def take_up_keys(server: Server) -> None:
    asyncio.run(server.deployment.signing_keys.take_up(server.components.tokens._signer))


def test_a_retired_key_ends_when_all_that_it_signed_has_ended(tmp_path: Any) -> None:
    """It happens in the running server, without a restart and without another rotation."""
    with serving(test_settings(tmp_path, token_ttl_seconds=86_400)) as server, calling(server) as api:
        (old,), token = published(api), api.token()
        new = server.deployment.signing_keys.rotate()
        take_up_keys(server)
        assert published(api) == [new, old]
        assert jwt.get_unverified_header(api.token())["kid"] == new
        server.clock.move(86_399)
        assert list_entries(api, token) == 200
        assert published(api) == [new, old]
        server.clock.move(121)
        last = api.server.components.tokens._signer
        forged = Signer([server_key(server, old)]).sign(claims_of(token) | lifetime(server), typ=TYPE)
        assert published(api) == [new]
        assert list_entries(api, forged) == 401
        assert list_entries(api, last.sign(claims_of(token) | lifetime(server), typ=TYPE)) == 200
        take_up_keys(server)
        assert list(server.deployment.signing_keys.ends()) == [new]
        assert rows_of(server) == [new]


def claims_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def lifetime(server: Server) -> dict[str, int]:
    now = int(server.clock.now())
    return {"iat": now, "nbf": now, "exp": now + 600}


def server_key(server: Server, kid: str) -> SigningKey:
    """Open a signing key as a thief would have it."""
    sealed = server.deployment.database.read_now(
        lambda c: c.execute(select(signing_keys.c.sealed_private_key).where(signing_keys.c.kid == kid)).scalar_one()
    )
    return SigningKey(kid, server.deployment.keys.unwrap(sealed, kid))


def rows_of(server: Server) -> list[str]:
    return list(server.deployment.database.read_now(lambda c: c.execute(select(signing_keys.c.kid)).scalars().all()))


def test_only_an_access_token_is_one_whatever_our_key_signed(api: Api) -> None:
    claims, signer = claims_of(api.token()), api.server.components.tokens._signer
    statuses = {typ: list_entries(api, signer.sign(claims, typ=typ)) for typ in (TYPE, CAPTURE_TYPE, RESULT_TYPE)}
    assert statuses == {TYPE: 200, CAPTURE_TYPE: 401, RESULT_TYPE: 401}


def test_what_a_revoked_key_signed_is_refused(tmp_path: Any) -> None:
    with serving(test_settings(tmp_path)) as server, calling(server) as api:
        keys, token = server.deployment.signing_keys, api.token()
        (first,) = published(api)
        second = keys.revoke(first)
        take_up_keys(server)
        assert second is not None
        assert published(api) == [second]
        assert list_entries(api, token) == 401
        assert list_entries(api, api.token()) == 200
        third = keys.rotate()
        assert keys.revoke(second) is None
        take_up_keys(server)
        assert published(api) == [third]
        with pytest.raises(NotFound, match="keys list"):
            keys.revoke(second)
