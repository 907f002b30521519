"""1:1 over real HTTP."""

import pytest

from likeness.access.scopes import Scope
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.engine.levels import TARGET_FMR
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
