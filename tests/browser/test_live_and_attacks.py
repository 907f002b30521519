"""The capture page in a real Chromium, before it a simulated live person, strangers and attacks."""

from typing import Any

import jwt
import pytest
from playwright.sync_api import BrowserContext, Page

from browser.album import Album
from browser.people import People
from browser.scene_clock import SceneClock
from likeness.evaluation.liveness.injection_suite.scene import SceneCamera
from likeness.evaluation.liveness.simulator.attacks import AttackKind
from likeness.evaluation.liveness.simulator.subject import Presentation
from servers import Api, b64

ENDED = "[data-screen=success], [data-screen=failure], [data-screen=cancelled], [data-screen=camera]"
ATTEMPT_MILLISECONDS = 300_000

pytestmark = pytest.mark.long


def open_session(api: Api, people: People, **fields: Any) -> dict[str, Any]:
    reply = api.call("POST", "/api/v1/face", {"idPhoto": b64(people.id_photo), **fields})
    assert reply.status_code == 201, reply.text
    return dict(reply.json())


def stand_before(context: BrowserContext, clock: SceneClock, presentation: Presentation) -> None:
    SceneCamera(clock, presentation).install(context)


def carry_out(page: Page, album: Album) -> None:
    """Press start and see the attempt through, with a picture of every new instruction."""
    page.click("[data-action=start]")
    page.wait_for_selector(".stage:not([hidden])")
    seen: set[str] = set()
    while page.locator(ENDED).count() == 0:
        status = page.evaluate(
            "document.querySelector('face-session').shadowRoot.querySelector('.stage:not([hidden])')?.dataset.status"
        )
        if status and status not in seen and len(seen) < 12:
            seen.add(status)
            album.add(page, status.lower())
        page.wait_for_timeout(150)


def claims_of(api: Api, session_id: str) -> dict[str, Any]:
    """Fetch the result and verify it as a stranger to this code would: PyJWT and the published keys."""
    reply = api.call("GET", f"/api/v1/info/{session_id}")
    assert reply.status_code == 200, reply.text
    key = jwt.PyJWKClient(f"{api.server.url}/api/.well-known/jwks.json").get_signing_key_from_jwt(reply.text)
    claims = jwt.decode(reply.text, key, algorithms=["RS256"], issuer=api.server.url, audience=api.client_id)
    assert claims["data"]["sessionId"] == session_id
    return dict(claims)


def test_a_live_person(
    context: BrowserContext, caller: Api, people: People, scene_clock: SceneClock, album: Album
) -> None:
    session = open_session(caller, people, nonce="browser", maxAttempts=1)
    stand_before(context, scene_clock, people.live())
    page = context.new_page()
    page.goto(session["captureUrl"])
    page.wait_for_selector("[data-action=start]")
    album.add(page, "intro")
    carry_out(page, album)
    album.add(page, "end")
    claims = claims_of(caller, session["sessionId"])
    face = claims["data"]["face"]
    assert (face["match"], face["error"], claims["data"]["nonce"]) == (True, None, "browser")
    assert all(signal["passed"] for signal in face["liveness"]["signals"] if signal["required"])


def test_a_stranger(
    context: BrowserContext, caller: Api, people: People, scene_clock: SceneClock, album: Album
) -> None:
    session = open_session(caller, people, maxAttempts=1)
    stand_before(context, scene_clock, people.stranger())
    page = context.new_page()
    page.goto(session["captureUrl"])
    carry_out(page, album)
    album.add(page, "end")
    face = claims_of(caller, session["sessionId"])["data"]["face"]
    assert (face["match"], face["failedAttempts"]) == (False, ["FACE_NO_MATCH"])


@pytest.mark.parametrize("kind", AttackKind)
def test_an_attack(
    context: BrowserContext, caller: Api, people: People, scene_clock: SceneClock, album: Album, kind: AttackKind
) -> None:
    session = open_session(caller, people, maxAttempts=1)
    stand_before(context, scene_clock, people.attack(kind))
    page = context.new_page()
    page.goto(session["captureUrl"])
    carry_out(page, album)
    album.add(page, "end")
    face = claims_of(caller, session["sessionId"])["data"]["face"]
    assert face["match"] is False
    assert len(face["failedAttempts"]) == 1
