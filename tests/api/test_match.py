"""1:1 over real HTTP."""

from typing import Any

import httpx
import pytest

from likeness.access.scopes import Scope
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.engine.levels import TARGET_FMR
from likeness.kit.ids import new_id
from servers import Api, b64

ALICE, ALICE_AGAIN, BOB = fake_photo(1), fake_photo(1, variation=1), fake_photo(2)


def test_the_same_person_matches_at_the_highest_level(api: Api) -> None:
    reply = api.match(ALICE, ALICE_AGAIN)
    assert reply.status_code == 200
    body = reply.json()
    assert body["match"] is True
    assert body["matchLevel"] == 5
    assert body["falseMatchRate"] <= TARGET_FMR[-1]
    assert body["model"].startswith("fake@")
    assert set(body["source"]) == {"box", "quality"}


def test_different_people_do_not_match(api: Api) -> None:
    body = api.match(ALICE, BOB).json()
    assert (body["match"], body["matchLevel"], body["falseMatchRate"]) == (False, 0, 1.0)


@pytest.mark.parametrize(("minimum", "match"), [(1, True), (2, True), (3, True), (4, False), (5, False)])
def test_match_is_the_level_reached_against_the_level_asked_for(api: Api, minimum: int, match: bool) -> None:
    thresholds = FakeEngine().calibration.thresholds
    middle_of_level_3 = (thresholds[2] + thresholds[3]) / 2
    body = api.match(ALICE, fake_photo(1, score=middle_of_level_3), minimumMatchLevel=minimum).json()
    assert body["matchLevel"] == 3
    assert body["match"] is match


def test_multipart_with_two_files(api: Api) -> None:
    files = {"sourceImage": ("a.txt", ALICE, "text/plain"), "targetImage": ("b.jpg", ALICE_AGAIN)}
    reply = api.call("POST", "/api/v1/face/match", files=files, data={"minimumMatchLevel": "5"})
    assert reply.status_code == 200, reply.text
    assert reply.json()["match"] is True


def test_base64_may_have_white_space_and_a_data_url_prefix(api: Api) -> None:
    text = b64(ALICE)
    broken = "data:image/jpeg;base64," + "\r\n".join(text[i : i + 76] for i in range(0, len(text), 76))
    body = {"sourceImage": broken, "targetImage": text}
    assert api.call("POST", "/api/v1/face/match", body).json()["match"] is True


@pytest.mark.parametrize("level", [0, 6, -1, "3", 3.5, True])
def test_a_level_out_of_range_is_refused(api: Api, level: object) -> None:
    reply = api.match(ALICE, BOB, minimumMatchLevel=level)
    assert (reply.status_code, reply.json()["error"]) == (400, "INVALID_INPUT")
    assert "minimumMatchLevel" in reply.json()["message"]


def test_the_scope_is_demanded(api: Api) -> None:
    reply = api.call("POST", "/api/v1/face/match", {}, headers=api.with_scopes(Scope.FACE_SEARCH))
    assert (reply.status_code, reply.json()["error"]) == (403, "FORBIDDEN")


def enrol(api: Api, photo: bytes) -> str:
    return str(api.insert(photo).json()["oneToNVerificationId"])


def match_with(api: Api, photo: bytes, entry: object, **options: Any) -> httpx.Response:
    return api.call("POST", "/api/v1/face/match", {"sourceImage": b64(photo), "targetId": entry}, **options)


def test_a_photo_is_compared_with_an_enrolled_person(api: Api) -> None:
    entry = enrol(api, ALICE)
    body = match_with(api, ALICE_AGAIN, entry.upper()).json()
    assert (body["match"], body["matchLevel"], body["target"]) == (True, 5, None)
    assert body["source"] == api.match(ALICE_AGAIN, BOB).json()["source"]
    assert body["score"] == api.match(ALICE_AGAIN, ALICE).json()["score"]
    assert match_with(api, BOB, entry).json()["match"] is False
    form = {"targetId": entry, "minimumMatchLevel": "5"}
    reply = api.call("POST", "/api/v1/face/match", files={"sourceImage": ALICE_AGAIN}, data=form)
    assert reply.json()["match"] is True, reply.text


def test_a_comparison_with_an_entry_outlives_its_photo_and_ends_with_its_erasure(api: Api) -> None:
    entry = enrol(api, ALICE)
    assert api.call("DELETE", f"/api/v1/face/one-to-n/search/{entry}").status_code == 204
    assert match_with(api, ALICE_AGAIN, entry).json()["match"] is True
    assert api.call("DELETE", f"/api/v1/face/one-to-n/{entry}").status_code == 204
    reply = match_with(api, ALICE_AGAIN, entry)
    assert (reply.status_code, reply.json()["error"]) == (404, "NOT_FOUND")


def test_a_comparison_with_an_entry_needs_both_permissions(api: Api) -> None:
    entry = enrol(api, ALICE)
    for scopes in ((Scope.FACE_MATCH,), (Scope.FACE_SEARCH,)):
        assert match_with(api, ALICE, entry, headers=api.with_scopes(*scopes)).status_code == 403
        assert match_with(api, ALICE, new_id(), headers=api.with_scopes(*scopes)).status_code == 403
    both = api.with_scopes(Scope.FACE_MATCH, Scope.FACE_SEARCH)
    assert match_with(api, ALICE, entry, headers=both).status_code == 200


def test_either_a_photo_or_an_id_is_the_target(api: Api) -> None:
    entry = enrol(api, ALICE)
    both = api.match(ALICE, ALICE_AGAIN, targetId=entry)
    neither = api.call("POST", "/api/v1/face/match", {"sourceImage": b64(ALICE)})
    for reply in (both, neither):
        assert (reply.status_code, reply.json()["error"]) == (400, "INVALID_INPUT")
        assert "either targetImage or targetId" in reply.json()["message"]
    for wrong in ("alice", "", 7, f"{{{entry}}}"):
        reply = match_with(api, ALICE, wrong)
        assert (reply.status_code, reply.json()["error"]) == (400, "INVALID_INPUT"), wrong
    assert api.match(ALICE, ALICE_AGAIN, targetId=None).status_code == 200
