from collections.abc import Callable
from typing import Any

import pytest

from likeness.errors import SetupError
from likeness.sessions.attestation.base import AttestationRefused
from likeness.sessions.attestation.play_integrity import OLDEST_SECONDS, PlayIntegrity
from simulated_apps import SimulatedApp

NOW = 1_800_000_000.0
NONCE = "n" * 43

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def app() -> SimulatedApp:
    return SimulatedApp()


def test_a_genuine_app_on_a_genuine_device_is_believed(app: SimulatedApp) -> None:
    facts = PlayIntegrity(app.options).verify(app.token(NONCE, NOW - 5), nonce=NONCE, now=NOW)
    assert facts == {
        "packageName": "com.example.bank",
        "deviceRecognitionVerdict": "MEETS_BASIC_INTEGRITY MEETS_DEVICE_INTEGRITY",
    }


def test_a_nonce_may_have_padding(app: SimulatedApp) -> None:
    assert PlayIntegrity(app.options).verify(app.token(NONCE + "=", NOW), nonce=NONCE, now=NOW)


CHANGES: dict[str, Change] = {
    "another session": lambda it: it["requestDetails"].update(nonce="m" * 43),
    "another app asked": lambda it: it["requestDetails"].update(requestPackageName="com.other"),
    "not made now": lambda it: it["requestDetails"].update(timestampMillis=str(int((NOW - OLDEST_SECONDS - 1) * 1000))),
    "not made": lambda it: it["requestDetails"].update(timestampMillis=str(int((NOW + 120) * 1000))),
    "does not recognise": lambda it: it["appIntegrity"].update(appRecognitionVerdict="UNRECOGNIZED_VERSION"),
    "about another app": lambda it: it["appIntegrity"].update(packageName="com.other"),
    "not a genuine one": lambda it: it["deviceIntegrity"].update(deviceRecognitionVerdict=["MEETS_BASIC_INTEGRITY"]),
    "is not a": lambda it: it["deviceIntegrity"].clear(),
    "no token": lambda it: it.pop("requestDetails"),
}


@pytest.mark.parametrize(("reason", "change"), CHANGES.items(), ids=list(CHANGES))
def test_every_part_of_the_verdict_counts(app: SimulatedApp, reason: str, change: Change) -> None:
    verdict = app.verdict(NONCE, NOW)
    change(verdict)
    with pytest.raises(AttestationRefused, match=reason.replace("is not a", "not a genuine")):
        PlayIntegrity(app.options).verify(app.seal(verdict), nonce=NONCE, now=NOW)


def test_only_this_apps_keys_count(app: SimulatedApp) -> None:
    other = SimulatedApp()
    same_secret = SimulatedApp(secret=app.secret)
    same_key = SimulatedApp(key=app.key)
    for stranger in (other, same_secret, same_key):
        with pytest.raises(AttestationRefused, match="keys"):
            PlayIntegrity(app.options).verify(stranger.token(NONCE, NOW), nonce=NONCE, now=NOW)


def test_no_other_algorithm_counts(app: SimulatedApp) -> None:
    verdict = app.verdict(NONCE, NOW)
    tokens = [
        app.seal(verdict, signature="HS256"),
        app.seal(verdict, encryption={"alg": "A256GCMKW", "enc": "A256GCM"}),
        app.seal(verdict, encryption={"alg": "A256KW", "enc": "A256GCM", "zip": "DEF"}),
    ]
    for token in tokens:
        with pytest.raises(AttestationRefused, match="keys"):
            PlayIntegrity(app.options).verify(token, nonce=NONCE, now=NOW)


@pytest.mark.parametrize("verdict", [[], "text", None, {"requestDetails": []}, [[[[]]]]])
def test_a_verdict_of_another_form_is_refused(app: SimulatedApp, verdict: Any) -> None:
    with pytest.raises(AttestationRefused):
        PlayIntegrity(app.options).verify(app.seal(verdict), nonce=NONCE, now=NOW)


@pytest.mark.parametrize("token", ["", ".", "....", "a.b.c.d.e", "é.é.é.é.é", "\x00", "x" * 10_000])
def test_nonsense_is_refused(app: SimulatedApp, token: str) -> None:
    with pytest.raises(AttestationRefused):
        PlayIntegrity(app.options).verify(token, nonce=NONCE, now=NOW)


def test_the_apps_certificate_may_be_fixed(app: SimulatedApp) -> None:
    right, wrong = (app.options | {"certificate_sha256": [one]} for one in ("6a6a1474b5cbbb2b1aa57e0bc3", "AAAA"))
    token = app.token(NONCE, NOW)
    assert PlayIntegrity(right).verify(token, nonce=NONCE, now=NOW)
    with pytest.raises(AttestationRefused, match="certificate"):
        PlayIntegrity(wrong).verify(token, nonce=NONCE, now=NOW)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"decryption_key": "AAAA"}, "32 bytes"),
        ({"decryption_key": "?"}, "base64"),
        ({"verification_key": "AAAA"}, "Play Console"),
        ({"package_name": ""}, "package_name"),
        ({"other": 1}, "other"),
    ],
)
def test_wrong_options_are_told(app: SimulatedApp, change: dict[str, Any], fault: str) -> None:
    with pytest.raises(SetupError, match=fault):
        PlayIntegrity(app.options | change)
