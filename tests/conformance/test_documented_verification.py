"""The verification that docs/sessions.md tells integrators to copy, as it stands there."""

import base64
import datetime as dt
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jwt
import jwt.api_jwt
import pytest

from servers import Api, Server, calling
from session_endings import ALICE, end, failure, success

SESSIONS = (Path(__file__).resolve().parents[2] / "docs" / "sessions.md").read_text()
PLACEHOLDERS = {"server": "https://face.example.com", "client": '"..."'}
NONCE = "order-17"
Verification = Callable[[str, str, str], bool]


def snippet(language: str, holding: str) -> str:
    (found,) = [text for text in re.findall(rf"```{language}\n(.*?)```", SESSIONS, re.DOTALL) if holding in text]
    return str(found)


@pytest.fixture(params=[0, 2], ids=["python", "python -O"])
def verification(request: pytest.FixtureRequest, own_server: Server) -> Iterator[tuple[Api, Verification]]:
    own_server.clock.move(time.time() - own_server.clock.now())
    with calling(own_server) as api:
        source = snippet("python", "PyJWKClient")
        assert all(source.count(each) == 1 for each in PLACEHOLDERS.values())
        source = source.replace(PLACEHOLDERS["server"], own_server.url).replace(
            PLACEHOLDERS["client"], repr(api.client_id)
        )
        names: dict[str, Verification] = {}
        exec(compile(source, "docs/sessions.md", "exec", optimize=request.param), names)  # noqa: S102  it is our own
        yield api, names["is_the_person"]


def opened(api: Api) -> str:
    return str(api.open_session(ALICE, nonce=NONCE).json()["sessionId"])


def result(api: Api, session_id: str) -> str:
    return api.call("GET", f"/api/v1/info/{session_id}").text


@pytest.mark.parametrize("behind_seconds", [0, 1, 30, 59])
def test_it_holds_on_a_clock_that_is_up_to_a_minute_behind(
    verification: tuple[Api, Verification], monkeypatch: pytest.MonkeyPatch, behind_seconds: int
) -> None:
    class Behind(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> "Behind":
            return super().now(tz) - dt.timedelta(seconds=behind_seconds)

    api, is_the_person = verification
    session_id = opened(api)
    end(api.server, session_id, success())
    monkeypatch.setattr(jwt.api_jwt, "datetime", Behind)
    assert is_the_person(result(api, session_id), session_id, NONCE) is True


def test_it_tells_an_ending_without_success(verification: tuple[Api, Verification]) -> None:
    api, is_the_person = verification
    session_id = opened(api)
    end(api.server, session_id, failure())
    assert is_the_person(result(api, session_id), session_id, NONCE) is False


def test_it_refuses_what_is_no_result_of_the_session(verification: tuple[Api, Verification]) -> None:
    api, is_the_person = verification
    session_id = opened(api)
    end(api.server, session_id, success())
    jws = result(api, session_id)
    for other in ((opened(api), NONCE), (session_id, "order-18")):
        with pytest.raises(ValueError, match="another session"):
            is_the_person(jws, *other)
    header, _, signature = jws.split(".")
    claims = jwt.decode(jws, options={"verify_signature": False})
    claims["data"]["nonce"] = "order-18"
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    for forged in (f"{header}.{body}.{signature}", api.token()):
        with pytest.raises(jwt.PyJWTError):
            is_the_person(forged, session_id, "order-18")


def test_the_public_keys_come_as_pem(own_server: Server) -> None:
    line = snippet("sh", "as_pem").replace(PLACEHOLDERS["server"], own_server.url).replace("python3", sys.executable)
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("-----BEGIN PUBLIC KEY-----\n")
    with calling(own_server) as api:
        claims = jwt.decode(
            api.token(),
            done.stdout,
            ["RS256"],
            audience="likeness-api",
            options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
    assert claims["client_id"] == api.client_id
