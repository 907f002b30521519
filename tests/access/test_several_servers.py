"""What a command or one server changes reaches the other server. See ``servers.serving_two`` for what is simulated."""

import asyncio
import dataclasses
from collections.abc import Iterator

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from likeness.access.assertions import ASSERTION_TYPE, read_keys
from likeness.access.clients import FRESH_SECONDS
from likeness.access.schemas import ClientSettings
from likeness.access.signing_keys import RENEW_SECONDS, SigningKeys
from likeness.kit import repeating
from likeness.kit.ids import new_id
from likeness.kit.jose import Signer
from likeness.kit.signing_key import SigningKey
from likeness.tenants.schemas import TenantSettings
from postgres import new_database
from scripted_sessions import browsing, open_session
from servers import Api, Server, calling, serving_two
from session_endings import header_of

PAGE = "/api/v1/info/img/none"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, postgres_server_url: str) -> Iterator[list[Server]]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(repeating.repeat_forever, "__kwdefaults__", {"pause": 3600})  # nothing is taken up by chance
        with serving_two(tmp_path_factory.mktemp("pair"), new_database(postgres_server_url)) as servers:
            yield servers


@pytest.fixture
def api(pair: list[Server]) -> Iterator[Api]:
    with calling(pair[0]) as caller:
        yield caller


def at(server: Server, api: Api, path: str = PAGE) -> int:
    return httpx.get(f"{server.url}{path}", headers=api.headers, timeout=60).status_code


def rotated(pair: list[Server]) -> str:
    """Make a new key, and let the first server alone sign with it."""
    one, two = pair
    two.deployment.signing_keys.rotate()
    for server in pair:
        server.clock.move(RENEW_SECONDS)
    kid = next(iter(one.deployment.signing_keys.ends()))
    httpx.get(f"{one.url}/api/.well-known/jwks.json").raise_for_status()
    assert kid not in two.components.tokens._signer.ends
    return kid


def test_a_token_of_a_new_key_is_accepted_at_once(pair: list[Server], api: Api) -> None:
    kid = rotated(pair)
    api.headers = {"Authorization": f"Bearer {api.token()}"}
    assert header_of(api.headers["Authorization"].partition(" ")[2])["kid"] == kid
    assert at(pair[1], api) == 404


def test_a_capture_token_of_a_new_key_opens_its_session_at_once(pair: list[Server], api: Api) -> None:
    kid = rotated(pair)
    session = open_session(api)
    assert header_of(session.token)["kid"] == kid
    with browsing(dataclasses.replace(api, server=pair[1]), session) as browser:
        browser.hear_of("ready")


def test_every_server_publishes_a_new_key_at_once(pair: list[Server]) -> None:
    kid = rotated(pair)
    published = httpx.get(f"{pair[1].url}/api/.well-known/jwks.json").json()
    assert kid in [key["kid"] for key in published["keys"]]


def test_unknown_keys_cause_few_queries(pair: list[Server], api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []
    take_up = SigningKeys.take_up

    async def counted(keys: SigningKeys, signer: Signer) -> None:
        reads.append(keys)
        await take_up(keys, signer)

    monkeypatch.setattr(SigningKeys, "take_up", counted)
    forged = Signer([SigningKey.generate()]).sign({}, typ="at+jwt")
    stranger = dataclasses.replace(api, headers={"Authorization": f"Bearer {forged}"})
    pair[1].clock.move(RENEW_SECONDS)
    assert [at(pair[1], stranger) for _ in range(20)] == [401] * 20
    assert len(reads) == 1


def test_a_changed_and_an_erased_tenant(pair: list[Server], api: Api) -> None:
    """The chore that runs every 15 seconds is called here."""
    one, two = (server.deployment.tenants for server in pair)
    assert asyncio.run(two.get(api.tenant.id)).settings.search_level == 4
    one.change_settings(api.tenant.id, TenantSettings(search_level=5))
    two.all()
    assert asyncio.run(two.get(api.tenant.id)).settings.search_level == 5
    assert at(pair[1], api) == 404
    one.erase(api.tenant.id)
    two.all()
    assert at(pair[1], api) == 401


def test_a_disabled_client(pair: list[Server], api: Api) -> None:
    assert at(pair[1], api) == 404
    pair[0].deployment.clients.disable(api.client_id)
    pair[1].clock.move(FRESH_SECONDS)
    assert at(pair[1], api) == 401


def test_an_assertion_is_accepted_by_one_server_once(pair: list[Server], api: Api) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    settings = ClientSettings(keys=tuple(read_keys(public)))
    pair[0].deployment.clients.change_settings(api.client_id, settings)
    for server in pair:
        server.clock.seconds = max(each.clock.now() for each in pair) + FRESH_SECONDS

    def statuses() -> list[int]:
        """Show one assertion to both servers."""
        now = int(pair[0].clock.now())
        claims = {"iss": api.client_id, "sub": api.client_id, "aud": api.server.url, "iat": now, "exp": now + 60}
        assertion = jwt.encode(claims | {"jti": new_id()}, key, "ES256")
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        return [httpx.post(f"{server.url}/api/oauth/token", data=form, timeout=60).status_code for server in pair]

    assert statuses() == [200, 401]
    pair.reverse()
    try:
        assert statuses() == [200, 401]
    finally:
        pair.reverse()
