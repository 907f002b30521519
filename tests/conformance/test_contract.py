"""What a strict real client checks (contract §7), by clients that share no code with the server."""

import base64
import hashlib
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from conformance.relying_parties import Expected, Refused, RelyingParty, node_party, python_party
from servers import Api, Server, calling
from session_endings import ALICE, end, failure, success

GONE = {404, 410}
LARGEST_PHOTO = 5 * 1024 * 1024
parties = pytest.mark.parametrize("party", [python_party, node_party], ids=["python", "node"])


@pytest.fixture
def client(own_server: Server) -> Iterator[Api]:
    """Give a client whose server's clock shows the time of the world, as relying parties have it."""
    set_clock(own_server)
    with calling(own_server) as api:
        yield api


def set_clock(server: Server, *, ahead_seconds: float = 0) -> None:
    server.clock.move(time.time() + ahead_seconds - server.clock.now())


def renew_token(client: Api) -> None:
    client.headers = {"Authorization": f"Bearer {client.token()}"}


def open_session(client: Api) -> str:
    reply = client.call("POST", "/api/v1/face", {"idPhoto": base64.b64encode(ALICE).decode()})
    assert reply.status_code == 201, reply.text
    session_id = reply.json()["sessionId"]
    assert isinstance(session_id, str)
    return session_id


def ended(client: Api, **fields: Any) -> tuple[str, Expected]:
    """Carry out a session and fetch its result: the JWS and what is expected of it."""
    session_id = open_session(client)
    end(client.server, session_id, success(**fields))
    url = client.server.url
    return fetch(client, session_id).text, Expected(
        f"{url}/api/.well-known/jwks.json", url, client.client_id, session_id
    )


def fetch(client: Api, session_id: str) -> httpx.Response:
    return client.call("GET", f"/api/v1/info/{session_id}")


def fetch_image(client: Api, image_id: str) -> httpx.Response:
    return client.call("GET", f"/api/v1/info/img/{image_id}")


def test_the_token_reply(client: Api) -> None:
    form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.client_secret}
    reply = client.http.post("/api/oauth/token", data=form)
    assert reply.is_success
    assert isinstance(reply.json()["access_token"], str)
    assert type(reply.json()["expires_in"]) in {int, float}


@pytest.mark.parametrize(
    ("photo", "status"), [(b"GIF89a" + bytes(64), 415), (ALICE + bytes(LARGEST_PHOTO), 413)], ids=["a GIF", "too large"]
)
def test_too_large_and_unsupported_are_distinguished(client: Api, photo: bytes, status: int) -> None:
    reply = client.http.post("/api/v1/face", files={"idPhoto": ("photo.jpg", photo)}, headers=client.headers)
    assert reply.status_code == status


@parties
def test_a_result_is_accepted(client: Api, party: RelyingParty) -> None:
    jws, expected = ended(client)
    claims = party(jws, expected)
    face = claims["data"]["face"]
    assert (face["match"], face["matchLevel"]) == (True, 5)
    assert claims["exp"] == claims["iat"] + 600
    assert str(uuid.UUID(claims["jti"])) == claims["jti"] != expected.sessionId


@parties
def test_a_result_without_success_is_accepted_and_says_so(client: Api, party: RelyingParty) -> None:
    session_id = open_session(client)
    end(client.server, session_id, failure())
    url = client.server.url
    expected = Expected(f"{url}/api/.well-known/jwks.json", url, client.client_id, session_id)
    face = party(fetch(client, session_id).text, expected)["data"]["face"]
    assert face["match"] is False


@parties
@pytest.mark.parametrize("member", ["issuer", "audience", "sessionId"])
def test_a_result_for_somebody_else_is_refused(client: Api, party: RelyingParty, member: str) -> None:
    jws, expected = ended(client)
    with pytest.raises(Refused):
        party(jws, replace(expected, **{member: "somebody else"}))


@parties
@pytest.mark.parametrize("ahead_seconds", [-610, 90], ids=["expired", "from the future"])
def test_a_result_of_another_time_is_refused(client: Api, party: RelyingParty, ahead_seconds: float) -> None:
    set_clock(client.server, ahead_seconds=ahead_seconds)
    renew_token(client)
    jws, expected = ended(client)
    with pytest.raises(Refused):
        party(jws, expected)


@parties
@pytest.mark.parametrize("forgery", ["changed", "unsigned", "another key", "signed with the public key"])
def test_a_forged_result_is_refused(client: Api, party: RelyingParty, forgery: str) -> None:
    jws, expected = ended(client)
    with pytest.raises(Refused):
        party(forge(client, jws, forgery), expected)


def forge(client: Api, jws: str, forgery: str) -> str:
    header, claims = jwt.get_unverified_header(jws), jwt.decode(jws, options={"verify_signature": False})
    claims["data"]["face"]["matchLevel"] = 4
    kid = {"kid": header["kid"]}
    match forgery:
        case "changed":
            first, _, signature = jws.split(".")
            body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
            return f"{first}.{body}.{signature}"
        case "unsigned":
            return jwt.encode(claims, None, "none", headers=kid)  # type: ignore[arg-type]
        case "another key":
            return jwt.encode(claims, rsa.generate_private_key(65537, 2048), "RS256", headers=kid)
        case _:
            modulus = client.http.get("/api/.well-known/jwks.json").json()["keys"][0]["n"]
            return jwt.encode(claims, modulus, "HS256", headers=kid)


def test_every_result_has_its_own_jti(client: Api) -> None:
    claims = [python_party(*ended(client)) for _ in range(3)]
    assert len({one["jti"] for one in claims}) == 3


def test_the_keys_are_public_and_for_signatures_only(client: Api) -> None:
    keys = client.http.get("/api/.well-known/jwks.json").json()["keys"]
    assert {(key["kty"], key["use"]) for key in keys} == {("RSA", "sig")}
    assert len({key["kid"] for key in keys}) == len(keys)
    assert not {"d", "p", "q", "dp", "dq", "qi"} & {member for key in keys for member in key}


def test_the_images_checksum_is_the_one_signed(client: Api) -> None:
    face = python_party(*ended(client))["data"]["face"]
    image = fetch_image(client, face["auditTrailImageId"])
    assert image.is_success
    assert f"sha256:{hashlib.sha256(image.content).hexdigest()}" == face["auditTrailImageIdChecksum"]


def test_the_result_goes_after_10_minutes_and_the_image_after_30(client: Api) -> None:
    jws, expected = ended(client)
    image_id = python_party(jws, expected)["data"]["face"]["auditTrailImageId"]
    set_clock(client.server, ahead_seconds=590)
    assert fetch(client, expected.sessionId).text == jws
    set_clock(client.server, ahead_seconds=610)
    assert fetch(client, expected.sessionId).status_code in GONE
    assert fetch_image(client, image_id).is_success
    set_clock(client.server, ahead_seconds=1810)
    renew_token(client)
    assert fetch_image(client, image_id).status_code in GONE


@pytest.mark.parametrize("by", ["session", "jti"])
def test_an_early_purge_leaves_neither_result_nor_image(client: Api, by: str) -> None:
    jws, expected = ended(client)
    claims = python_party(jws, expected)
    purged = client.call("DELETE", f"/api/v1/info/{expected.sessionId if by == 'session' else claims['jti']}")
    assert purged.status_code == 204
    assert fetch(client, expected.sessionId).status_code in GONE
    assert fetch_image(client, claims["data"]["face"]["auditTrailImageId"]).status_code in GONE
