import base64
import json
import time
from dataclasses import replace
from typing import Any

import jwt as other_library
import pytest
from joserfc import jws
from joserfc import jwt as jwt_of_joserfc
from joserfc.jwk import RSAKey

from likeness.kit import jose
from likeness.kit.jose import ExpiredToken, InvalidToken, Signer
from likeness.kit.signing_key import ALGORITHM, SigningKey

OLD, NEW, STRANGER = SigningKey.generate(), SigningKey.generate(), SigningKey.generate()
SIGNER = Signer([NEW, OLD])
NOW = int(time.time())
CLAIMS: dict[str, Any] = {"iss": "us", "aud": "them", "iat": NOW, "exp": NOW + 3600, "sub": "a"}


def sign(claims: dict[str, Any] = CLAIMS, *, signer: Signer = SIGNER, typ: str = "a+jwt") -> str:
    return signer.sign(claims, typ=typ)


def verify(token: str, *, signer: Signer = SIGNER, typ: str = "a+jwt", now: float = NOW) -> dict[str, Any]:
    return signer.verify(token, typ=typ, issuer="us", audience="them", now=now)


def encode(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_a_token_carries_its_claims_and_its_key() -> None:
    token = sign()
    assert verify(token) == CLAIMS
    assert other_library.get_unverified_header(token) == {"alg": "RS256", "kid": NEW.kid, "typ": "a+jwt"}


@pytest.mark.parametrize("typ", ["b+jwt", "A+JWT", "application/a+jwt", "JWT", ""])
def test_another_kind_of_token_is_refused_whatever_its_claims_are(typ: str) -> None:
    token = sign(typ=typ)
    assert verify(token, typ=typ) == CLAIMS
    with pytest.raises(InvalidToken):
        verify(token)


def test_a_token_without_a_kind_is_refused() -> None:
    key = RSAKey.import_key(NEW.private_pem)
    token = jws.serialize_compact({"alg": ALGORITHM, "kid": NEW.kid}, json.dumps(CLAIMS), key, [ALGORITHM])
    with pytest.raises(InvalidToken):
        verify(token)


def test_another_library_verifies_with_the_public_set() -> None:
    public = SIGNER.public_set(now=NOW)
    assert {key["kid"] for key in public["keys"]} == {NEW.kid, OLD.kid}
    for key in public["keys"]:
        assert (key["kty"], key["use"], key["alg"]) == ("RSA", "sig", ALGORITHM)
        assert not key.keys() & {"d", "p", "q", "dp", "dq", "qi"}
    keys = other_library.PyJWKSet.from_dict(public)
    token = sign()
    kid = other_library.get_unverified_header(token)["kid"]
    assert other_library.decode(token, keys[kid].key, [ALGORITHM], audience="them", issuer="us") == CLAIMS


def test_a_retired_key_still_verifies_and_a_strangers_does_not() -> None:
    assert verify(sign(signer=Signer([OLD]))) == CLAIMS
    with pytest.raises(InvalidToken):
        verify(sign(signer=Signer([STRANGER])))


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "somebody"},
        {"aud": "somebody"},
        {"iss": None},
        {"aud": None},
        {"exp": None},
        {"exp": "soon"},
        {"iat": None},
        {"iat": "once"},
    ],
)
def test_claims_that_are_wrong_or_missing(change: dict[str, None] | dict[str, str]) -> None:
    claims = {name: value for name, value in (CLAIMS | change).items() if value is not None}
    with pytest.raises(InvalidToken):
        verify(sign(claims))


def test_time() -> None:
    token = sign()
    assert verify(token, now=CLAIMS["exp"] - 0.1)
    with pytest.raises(ExpiredToken):
        verify(token, now=CLAIMS["exp"] + 1)
    with pytest.raises(ExpiredToken):
        verify(token, now=CLAIMS["exp"])


@pytest.mark.parametrize("claim", ["iat", "nbf"])
def test_a_clock_that_is_behind_is_tolerated_for_a_minute(claim: str) -> None:
    assert verify(sign(CLAIMS | {claim: NOW + 59}))
    assert verify(sign(CLAIMS | {claim: NOW + 60}))
    with pytest.raises(InvalidToken):
        verify(sign(CLAIMS | {claim: NOW + 61}))


def test_what_claims_to_live_longer_than_any_token_is_refused() -> None:
    assert verify(sign(CLAIMS | {"exp": NOW + 86_400}))
    with pytest.raises(InvalidToken):
        verify(sign(CLAIMS | {"exp": NOW + 86_401}))


def test_a_key_that_has_ended_neither_verifies_nor_is_published() -> None:
    ending = Signer([NEW, replace(OLD, ends_at=NOW + 10)])
    token = sign(signer=Signer([OLD]))
    assert verify(token, signer=ending, now=NOW + 9) == CLAIMS
    assert len(ending.public_set(now=NOW + 9)["keys"]) == 2
    with pytest.raises(InvalidToken):
        verify(token, signer=ending, now=NOW + 10)
    assert [key["kid"] for key in ending.public_set(now=NOW + 10)["keys"]] == [NEW.kid]


def test_a_token_seen_before_ends_with_its_key_at_once() -> None:
    signer = Signer([NEW, OLD])
    token = sign(signer=Signer([OLD]))
    assert verify(token, signer=signer) == CLAIMS
    signer.use([NEW])
    with pytest.raises(InvalidToken):
        verify(token, signer=signer)


def test_a_token_seen_before_is_good_for_its_own_time_and_audience_alone() -> None:
    token = sign(CLAIMS | {"nbf": NOW + 30})
    assert verify(token)["sub"] == "a"
    for now in (NOW - 31, NOW - 3600, CLAIMS["exp"], CLAIMS["exp"] + 3600):
        with pytest.raises(InvalidToken):
            verify(token, now=now)
    for issuer, audience in (("us", "somebody"), ("somebody", "them")):
        with pytest.raises(InvalidToken):
            SIGNER.verify(token, typ="a+jwt", issuer=issuer, audience=audience, now=NOW)
    assert verify(token, now=NOW + 60)["sub"] == "a"


def test_a_forgery_of_a_token_seen_before_is_refused() -> None:
    token = sign()
    assert verify(token) == CLAIMS
    header, payload, signature = token.split(".")
    for forged in (f"{header}.{payload}.", f"{header}.{encode(CLAIMS | {'sub': 'b'})}.{signature}", f"{token}A"):
        with pytest.raises(InvalidToken):
            verify(forged)


def test_what_a_caller_does_with_claims_changes_no_token() -> None:
    token = sign()
    verify(token)["sub"] = "b"
    assert verify(token) == CLAIMS


def test_a_signature_is_verified_once_and_few_tokens_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []
    decode = jwt_of_joserfc.decode

    def counted(token: str, *rest: Any) -> Any:
        verified.append(token)
        return decode(token, *rest)

    monkeypatch.setattr(jwt_of_joserfc, "decode", counted)
    monkeypatch.setattr(jose, "MOST_REMEMBERED", 2)
    signer = Signer([NEW])
    first, second, third = (sign(CLAIMS | {"sub": sub}, signer=signer) for sub in "abc")
    for token in (first, first, second, first, third, third, first):
        verify(token, signer=signer)
    assert verified == [first, second, third, first]


def forgeries() -> dict[str, str]:
    token = sign()
    header, payload, signature = token.split(".")
    known = RSAKey.import_key(NEW.private_pem).as_pem(private=False)
    return {
        "no algorithm": f"{encode({'alg': 'none', 'kid': NEW.kid})}.{payload}.",
        "the public key as a secret": f"{encode({'alg': 'HS256', 'kid': NEW.kid})}.{payload}.{signature}",
        "another payload": f"{header}.{encode(CLAIMS | {'sub': 'b'})}.{signature}",
        "no signature": f"{header}.{payload}.",
        "two parts": f"{header}.{payload}",
        "four parts": f"{token}.{signature}",
        "a payload that is no object": f"{header}.{encode([1])}.{signature}",
        "a header that is no object": f"{encode([1])}.{payload}.{signature}",
        "an unknown key": f"{encode({'alg': ALGORITHM, 'kid': 'x'})}.{payload}.{signature}",
        "a key brought along": f"{encode({'alg': ALGORITHM, 'jwk': {'kty': 'RSA'}})}.{payload}.{signature}",
        "a demand nobody knows": f"{encode({'alg': ALGORITHM, 'kid': NEW.kid, 'crit': ['x'], 'x': 1})}.{payload}.{signature}",
        "nothing": "",
        "no base64": "a.b.c",
        "letters": "ä.ö.ü",
        "a key": known.decode(),
    }


@pytest.mark.parametrize(("kind", "token"), forgeries().items(), ids=forgeries())
def test_forgeries(kind: str, token: str) -> None:
    with pytest.raises(InvalidToken):
        verify(token)


def test_a_key_is_named_by_its_thumbprint() -> None:
    assert SigningKey.generate().kid != NEW.kid
    assert RSAKey.import_key(NEW.private_pem).thumbprint() == NEW.kid
