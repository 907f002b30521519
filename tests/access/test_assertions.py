"""Clients that prove themselves by a signed assertion (private_key_jwt)."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from pydantic import ValidationError

from likeness.access import assertions, repository
from likeness.access.assertions import ASSERTION_TYPE, Assertions, read_keys, subject_of
from likeness.access.clients import FRESH_SECONDS
from likeness.access.repository import ClientRow
from likeness.access.schemas import ClientSettings
from likeness.access.scopes import Scope
from likeness.errors import InvalidInput, TooManyRequests
from likeness.kit.clock import MovableClock
from likeness.kit.ids import new_id
from servers import Api, Server, calling

Private = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
OURS, OTHER_RSA = (rsa.generate_private_key(65537, 2048) for _ in range(2))
CURVE = ec.generate_private_key(ec.SECP256R1())
ISSUER, NOW = "https://face.example", 1_000_000


def pem(key: Private | ed25519.Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def client_with(*keys: Private) -> ClientRow:
    settings = ClientSettings(keys=tuple(key for each in keys for key in read_keys(pem(each))))
    return ClientRow(new_id(), new_id(), "c", (Scope.FACE_MATCH,), (), settings)


BANK = client_with(OURS, CURVE)


def claims(**changes: Any) -> dict[str, Any]:
    usual = {"iss": BANK.id, "sub": BANK.id, "aud": ISSUER, "iat": NOW, "exp": NOW + 60, "jti": new_id()}
    return {name: value for name, value in (usual | changes).items() if value is not None}


def signed(key: Private = OURS, algorithm: str = "RS256", typ: str | None = "JWT", **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm, headers={"typ": typ})


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(NOW)


@pytest.fixture
def judge(clock: MovableClock) -> Assertions:
    return Assertions(clock, issuer=ISSUER)


@pytest.mark.parametrize(("key", "algorithm"), [(OURS, "RS256"), (OURS, "PS256"), (CURVE, "ES256")])
@pytest.mark.parametrize("typ", [None, "JWT", "client-authentication+jwt"])
def test_the_clients_own_keys(judge: Assertions, key: Private, algorithm: str, typ: str | None) -> None:
    assert judge.accepts(BANK, signed(key, algorithm, typ))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"aud": f"{ISSUER}/api/oauth/token"},
        {"aud": ["https://other.example", ISSUER]},
        {"exp": NOW + 360},
        {"iat": NOW + 60, "exp": NOW + 120},
        {"nbf": NOW + 60},
        {"exp": NOW - 59},
    ],
)
def test_claims_that_are_right(judge: Assertions, changes: dict[str, Any]) -> None:
    assert judge.accepts(BANK, signed(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "somebody"},
        {"sub": "somebody"},
        {"iss": "somebody", "sub": "somebody"},
        {"aud": "https://other.example"},
        {"aud": ["https://other.example"]},
        {"aud": None},
        {"aud": {"https://face.example": 1}},
        {"exp": NOW - 60},
        {"exp": NOW + 361},
        {"exp": None},
        {"iat": NOW + 61},
        {"iat": NOW - 1},  # made before this server began
        {"iat": None},
        {"nbf": NOW + 61},
        {"jti": None},
        {"jti": ""},
        {"jti": "x" * 257},
    ],
)
def test_claims_that_are_wrong_or_missing(judge: Assertions, changes: dict[str, Any]) -> None:
    assert not judge.accepts(BANK, signed(**changes))


@pytest.mark.parametrize("claim", ["iat", "exp", "nbf"])
@pytest.mark.parametrize("value", ["soon", True, [NOW], {}])
def test_times_are_numbers(judge: Assertions, claim: str, value: object) -> None:
    payload = json.dumps(claims() | {claim: value}).encode()
    assert not judge.accepts(BANK, jwt.PyJWS().encode(payload, OURS, "RS256"))


def test_an_assertion_is_accepted_once(judge: Assertions, clock: MovableClock) -> None:
    assertion, other = signed(), signed()
    assert judge.accepts(BANK, assertion)
    assert not judge.accepts(BANK, assertion)
    assert judge.accepts(BANK, other)
    clock.move(119)
    assert not judge.accepts(BANK, assertion)
    restarted = Assertions(clock, issuer=ISSUER)
    assert not restarted.accepts(BANK, assertion)
    assert restarted.accepts(BANK, signed(iat=NOW + 119, exp=NOW + 179))


def test_a_jti_is_a_clients_own(judge: Assertions) -> None:
    other = replace(BANK, id=new_id())
    assert judge.accepts(BANK, signed(jti="1"))
    assert judge.accepts(other, signed(jti="1", iss=other.id, sub=other.id))


def test_few_assertions_are_remembered(judge: Assertions, clock: MovableClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assertions, "MOST_REMEMBERED", 2)
    assert judge.accepts(BANK, signed())
    assert judge.accepts(BANK, signed())
    with pytest.raises(TooManyRequests):
        judge.accepts(BANK, signed())
    clock.move(120)
    assert judge.accepts(BANK, signed(iat=NOW + 120, exp=NOW + 180))
    assert len(judge._seen[BANK.id]) == 1


def forgeries() -> dict[str, str]:
    def encode(part: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()

    header, payload, signature = signed().split(".")
    return {
        "another key": signed(OTHER_RSA),
        "no algorithm": f"{encode({'alg': 'none'})}.{payload}.",
        "the public key as a secret": jwt.encode(claims(), pem(OURS).encode().replace(b"-", b"_"), "HS256"),
        "an algorithm for another key": f"{encode({'alg': 'ES256'})}.{payload}.{signature}",
        "an algorithm that is not listed": jwt.encode(claims(), OURS, "RS512"),
        "another payload": f"{header}.{encode(claims())}.{signature}",
        "no signature": f"{header}.{payload}.",
        "an access token": signed(typ="at+jwt"),
        "another spelling of the kind": signed(typ="jwt"),
        "a demand nobody knows": f"{encode({'alg': 'RS256', 'crit': ['x'], 'x': 1})}.{payload}.{signature}",
        "a payload that is no object": jwt.PyJWS().encode(b"[1]", OURS, "RS256"),
        "a header that is no object": f"{encode([1])}.{payload}.{signature}",
        "nothing": "",
        "no token": "a.b.c",
        "letters": "ä.ö.ü",
    }


@pytest.mark.parametrize(("kind", "assertion"), forgeries().items(), ids=forgeries())
def test_forgeries(judge: Assertions, kind: str, assertion: str) -> None:
    assert not judge.accepts(BANK, assertion)
    assert isinstance(subject_of(assertion), str)


FOREIGN = replace(
    BANK, settings=BANK.settings.model_copy(update={"issuer": "https://login.bank.example", "subject": "job:match"})
)
THEIRS: dict[str, Any] = {"iss": "https://login.bank.example", "sub": "job:match"}


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({}, True),
        ({"jti": None}, True),
        ({"iat": NOW - 3600, "exp": NOW + 3600}, True),
        ({"iat": NOW - 3600, "exp": NOW - 3600 + 86_400}, True),
        ({"iat": NOW - 3600, "exp": NOW - 3600 + 86_401}, False),
        ({"iss": "https://login.other.example"}, False),
        ({"sub": "job:other"}, False),
        ({"iss": BANK.id, "sub": BANK.id}, False),
        ({"aud": "https://other.example"}, False),
        ({"aud": None}, False),
        ({"exp": NOW - 60}, False),
        ({"iat": NOW + 61}, False),
        ({"iat": None}, False),
        ({"nbf": NOW + 61}, False),
    ],
)
def test_a_jwt_of_the_clients_issuer(judge: Assertions, changes: dict[str, Any], accepted: bool) -> None:
    assertion = signed(**THEIRS | changes)
    assert judge.accepts(FOREIGN, assertion) == accepted
    assert judge.accepts(FOREIGN, assertion) == accepted  # it may be shown again
    assert not judge.accepts(BANK, assertion) or changes.get("iss") == BANK.id


def test_only_the_issuers_keys_sign_for_it(judge: Assertions) -> None:
    assert not judge.accepts(FOREIGN, signed(OTHER_RSA, **THEIRS))
    assert not judge.accepts(FOREIGN, signed(typ="at+jwt", **THEIRS))


@pytest.mark.parametrize("half", [{"issuer": "a"}, {"subject": "a"}, {"issuer": "", "subject": "a"}])
def test_an_issuer_and_a_subject_come_together(half: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ClientSettings.model_validate(half)


def test_a_client_without_keys_makes_no_assertion(judge: Assertions) -> None:
    assert not judge.accepts(replace(BANK, settings=ClientSettings()), signed())


def test_a_key_is_found_by_its_name_or_by_its_kind(judge: Assertions) -> None:
    keys = tuple(key | {"kid": name} for key, name in zip(BANK.settings.keys, ("a", "b"), strict=True))
    named = replace(BANK, settings=ClientSettings(keys=keys))
    for kid in ("a", "b", "unknown"):
        assert judge.accepts(named, jwt.encode(claims(), OURS, "RS256", headers={"kid": kid}))


def test_keys_come_from_a_pem_a_jwk_or_a_set() -> None:
    (key,) = read_keys(pem(OURS))
    (curve,) = read_keys(pem(CURVE))
    assert key.keys() == {"kty", "n", "e"}
    assert curve.keys() == {"kty", "crv", "x", "y"}
    assert read_keys(json.dumps(key)) == [key]
    keys = [key | {"kid": "k", "use": "sig"}, curve, key | {"use": "enc"}]
    assert read_keys(json.dumps({"keys": keys})) == [key | {"kid": "k"}, curve]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing",
        "{}",
        '{"keys": 1}',
        '{"keys": ["a"]}',
        '{"kty": "oct", "k": "AAAA"}',
        "{",
        pem(ed25519.Ed25519PrivateKey.generate()),
        pem(ec.generate_private_key(ec.SECP384R1())),
        '{"kty": "RSA", "n": "AQAB", "e": "AQAB"}',
        '{"kty": "EC", "crv": "P-256", "x": "AQAB", "y": "AQAB"}',
        '{"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AQAB"}',
        pem(rsa.generate_private_key(65537, 1024)),  # noqa: S505  too short on purpose
        OURS.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    ],
)
def test_what_is_no_public_key_of_ours_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_keys(text)


# --- The call


@pytest.fixture
def bank(server: Server) -> Iterator[Api]:
    with calling(server) as api:
        settings = ClientSettings(keys=tuple(read_keys(pem(CURVE))))
        server.deployment.clients.change_settings(api.client_id, settings)
        server.deployment.clients._with_keys = None
        yield api


def ask(api: Api, assertion: str, **changes: str) -> httpx.Response:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        **changes,
    }
    return api.http.post("/api/oauth/token", data=form)


def assertion_of(api: Api, key: Private = CURVE, algorithm: str = "ES256", **changes: Any) -> str:
    now = int(api.server.clock.now()) + 1
    own: dict[str, Any] = {"iss": api.client_id, "sub": api.client_id, "aud": api.server.url}
    return signed(key, algorithm, **own | {"iat": now, "exp": now + 60} | changes)


def test_a_client_gets_a_token_by_an_assertion_as_by_a_secret(bank: Api) -> None:
    reply = ask(bank, assertion_of(bank), scope="KYC_FACE_SEARCH", client_id=bank.client_id)
    assert reply.status_code == 200, reply.text
    assert reply.json()["scope"] == "KYC_FACE_SEARCH"
    headers = {"Authorization": f"Bearer {reply.json()['access_token']}"}
    assert bank.call("GET", "/api/v1/face/one-to-n", headers=headers).status_code == 200
    assert ask(bank, assertion_of(bank)).json()["scope"].split() == list(Scope)
    assert ask(bank, assertion_of(bank), scope="NOTHING").json()["error"] == "invalid_scope"


def test_a_client_of_another_issuer_names_itself_beside_the_jwt(own_server: Server) -> None:
    with calling(own_server) as api:
        settings = ClientSettings(keys=tuple(read_keys(pem(CURVE))), issuer=THEIRS["iss"], subject=THEIRS["sub"])
        own_server.deployment.clients.change_settings(api.client_id, settings)
        own_server.clock.move(FRESH_SECONDS)
        assertion = assertion_of(api, **THEIRS)
        assert [ask(api, assertion, client_id=api.client_id).status_code for _ in range(2)] == [200, 200]
        for reply in (ask(api, assertion), ask(api, assertion_of(api)), ask(api, assertion, client_id=new_id())):
            assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")


def test_what_does_not_prove_the_client_is_401(bank: Api) -> None:
    used = assertion_of(bank)
    assert ask(bank, used).status_code == 200
    for reply in (
        ask(bank, used),
        ask(bank, assertion_of(bank, OURS, "RS256")),
        ask(bank, assertion_of(bank), client_id=new_id()),
        ask(bank, assertion_of(bank, iss=new_id(), sub=new_id())),
        ask(bank, bank.token()),
        ask(bank, ""),
    ):
        assert (reply.status_code, reply.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("changes", "auth"),
    [
        ({"client_assertion_type": "urn:other"}, None),
        ({"client_secret": "x"}, None),
        ({}, ("a", "b")),
    ],
)
def test_a_client_proves_itself_in_one_way(bank: Api, changes: dict[str, str], auth: Any) -> None:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion_of(bank),
    }
    reply = bank.http.post("/api/oauth/token", data=form | changes, auth=auth)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_request")


def test_a_flood_of_invented_clients_asks_the_database_once(bank: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    clients = bank.server.deployment.clients
    read = clients._database.read

    async def counted(query: Any) -> Any:
        asked.append(query)
        return await read(query)

    monkeypatch.setattr(clients._database, "read", counted)
    for _ in range(20):
        stranger = new_id()
        assert ask(bank, assertion_of(bank, iss=stranger, sub=stranger)).status_code == 401
    assert asked.count(repository.clients_with_keys) == 1
    assert repository.find_client not in asked
    assert ask(bank, assertion_of(bank)).status_code == 200


def test_a_disabled_client_and_a_removed_key_prove_nothing(own_server: Server) -> None:
    with calling(own_server) as api, calling(own_server) as other:
        clients, settings = own_server.deployment.clients, ClientSettings(keys=tuple(read_keys(pem(CURVE))))
        for each in (api, other):
            clients.change_settings(each.client_id, settings)
        own_server.clock.move(FRESH_SECONDS)
        assert [ask(each, assertion_of(each)).status_code for each in (api, other)] == [200, 200]
        clients.disable(api.client_id)
        clients.change_settings(other.client_id, ClientSettings())
        own_server.clock.move(FRESH_SECONDS)
        assert [ask(each, assertion_of(each)).status_code for each in (api, other)] == [401, 401]


def test_wrong_assertions_in_a_row_are_stopped_and_lock_nobody_out(bank: Api) -> None:
    statuses = [ask(bank, assertion_of(bank, OURS, "RS256")).status_code for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    assert ask(bank, assertion_of(bank)).status_code == 200
