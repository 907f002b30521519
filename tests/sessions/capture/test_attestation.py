"""An app's attestation in the hello, and the statement about it in the signed result."""

import base64
import json
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from likeness.sessions.attestation.base import expected_nonce
from scripted_sessions import PERSON_FRAME, face_of, open_session, ready_browser, scripted
from servers import Server, calling, serving, test_settings
from simulated_apps import SimulatedApp

APP = SimulatedApp()


@pytest.fixture(scope="module")
def attesting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("attestation")
    (folder / "attestation.json").write_text(json.dumps({"verifier": "play-integrity", **APP.options}))
    with serving(test_settings(folder / "data", attestation=folder / "attestation.json")) as running:
        yield running


@pytest.mark.parametrize("whose", ["this session", "another session", "none"])
def test_the_result_states_what_the_platform_vouches_for(attesting: Server, whose: str) -> None:
    point = generate_private_key(SECP256R1()).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    key = base64.urlsafe_b64encode(point).decode().rstrip("=")
    with scripted(attesting), calling(attesting) as api:
        session = open_session(api)
        named = session.id if whose == "this session" else "another"
        token = APP.token(expected_nonce(named, key), attesting.clock.now())
        hello = {"key": key} if whose == "none" else {"key": key, "attestation": token}
        with ready_browser(api, session, **hello) as browser:
            browser.attempt(PERSON_FRAME)
        face = face_of(api, session)
    assert face["match"] is True
    reasons = {
        "this session": "the attestation is genuine",
        "another session": "it was made for another session or another key",
        "none": "the app handed over no attestation",
    }
    stated = face["liveness"]["attestation"]
    assert (stated["verifier"], stated["passed"], stated["reason"]) == (
        "play-integrity",
        whose == "this session",
        reasons[whose],
    )
