"""1:N over real HTTP."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from likeness.access.scopes import Scope
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.tenants.schemas import TenantSettings
from servers import Api, Server, calling, serving, test_settings

ROOT = "/api/v1/face/one-to-n"


def enrol(api: Api, person: int, **fields: Any) -> str:
    reply = api.insert(fake_photo(person), **fields)
    assert reply.status_code == 200, reply.text
    assert set(reply.json()) == {"oneToNVerificationId"}
    return str(reply.json()["oneToNVerificationId"])


def found(api: Api, person: int) -> str | None:
    body = api.search(fake_photo(person, variation=1)).json()
    assert body["oneToNVerificationMatch"] is (body["oneToNVerificationId"] is not None)
    return body["oneToNVerificationId"]


def test_an_enrolled_person_is_found_and_a_stranger_is_not(api: Api) -> None:
    entry = enrol(api, 1)
    body = api.search(fake_photo(1, variation=1)).json()
    assert (body["oneToNVerificationId"], body["oneToNVerificationMatch"]) == (entry, True)
    assert (body["matchLevel"], body["decisionLevel"], body["gallerySize"], body["certified"]) == (5, 4, 1, True)
    stranger = api.search(fake_photo(2))
    assert stranger.status_code == 200
    assert (stranger.json()["oneToNVerificationId"], stranger.json()["oneToNVerificationMatch"]) == (None, False)


@pytest.mark.parametrize("call", ["insert", "search"])
def test_an_entry_keeps_the_consent_and_the_purpose_of_the_call_that_enrols(api: Api, call: str) -> None:
    grounds = {"consentReference": "consent-7", "purpose": "فتح حساب"}
    if call == "insert":
        entry = enrol(api, 1, **grounds)
    else:
        entry = api.search(fake_photo(1), insert=True, **grounds).json()["oneToNVerificationId"]
        again = api.search(fake_photo(1), insert=True, purpose="another").json()
        assert again["oneToNVerificationId"] == entry
    (listed,) = api.call("GET", ROOT).json()["entries"]
    assert {name: listed[name] for name in grounds} == grounds
    assert api.call("GET", f"{ROOT}/{entry}").json() == listed
    bare = api.call("GET", f"{ROOT}/{enrol(api, 2)}").json()
    assert (bare["consentReference"], bare["purpose"]) == (None, None)


@pytest.mark.parametrize("member", ["consentReference", "purpose"])
@pytest.mark.parametrize("text", ["", "x" * 257, "line\nfeed", "bell\a", "\u202eturned", 7])
def test_a_consent_or_a_purpose_that_is_no_plain_short_text_is_refused(api: Api, member: str, text: object) -> None:
    photo = fake_photo(1)
    given: dict[str, Any] = {member: text}
    for reply in (
        api.insert(photo, **given),
        api.search(photo, insert=True, **given),
        api.open_session(photo, **given),
    ):
        assert (reply.status_code, reply.json()["error"]) == (400, "INVALID_INPUT")
        assert member in reply.json()["message"]
    assert api.call("GET", ROOT).json()["entries"] == []


@pytest.mark.parametrize(
    "time", ["", "tomorrow", "2030-01-01", "2030-01-01T00:00:00", "9999-12-31T23:59:59Z", "2001-01-01T00:00:00Z", 7]
)
def test_a_time_that_no_entry_can_end_at_is_refused(api: Api, time: object) -> None:
    given: dict[str, Any] = {"expiresAt": time}
    for reply in (api.insert(fake_photo(1), **given), api.search(fake_photo(1), insert=True, **given)):
        assert (reply.status_code, reply.json()["error"]) == (400, "INVALID_INPUT")
        assert "expiresAt" in reply.json()["message"]
    assert api.call("GET", ROOT).json()["entries"] == []


def test_an_entry_says_when_it_ends_and_a_hold_keeps_it(api: Api, server: Server) -> None:
    entry = enrol(api, 1, expiresAt="2500-01-01T02:00:00+02:00")
    path, hold = f"{ROOT}/{entry}", f"/api/v1/admin/entries/{entry}/legal-hold"
    before = api.call("GET", path).json()
    assert (before["expiresAt"], before["legalHold"]) == ("2500-01-01T00:00:00.000+00:00", None)
    with calling(server, scopes=frozenset(Scope) - {Scope.ADMIN}) as other:
        assert other.call("PUT", hold, {"reference": "case-17"}).status_code == 403
        assert other.call("DELETE", hold).status_code == 403
    for body in ({}, {"reference": ""}, {"reference": "x" * 257}, {"reference": "a\nb"}):
        assert api.call("PUT", hold, body).json()["error"] == "INVALID_INPUT"
    held = api.call("PUT", hold, {"reference": "case-17"})
    assert (held.status_code, held.json()) == (200, {**before, "legalHold": "case-17"})
    assert api.call("GET", ROOT).json()["entries"] == [held.json()]
    for call in (path, f"{ROOT}/search/{entry}"):
        reply = api.call("DELETE", call)
        assert (reply.status_code, reply.json()["error"]) == (409, "CONFLICT")
    assert found(api, 1) == entry
    assert [api.call("DELETE", hold).status_code for _ in range(2)] == [204, 204]
    assert api.call("DELETE", path).status_code == 204
    assert api.call("PUT", hold, {"reference": "case-17"}).status_code == 404


def test_a_repeated_insert_must_have_the_same_consent(api: Api) -> None:
    headers = {"Idempotency-Key": "once"}
    first, again, other = (
        api.insert(fake_photo(1), consentReference=consent, headers=headers) for consent in ("a", "a", "b")
    )
    assert first.json() == again.json()
    assert (other.status_code, other.json()["error"]) == (409, "CONFLICT")


def test_an_empty_gallery_finds_nobody(api: Api) -> None:
    body = api.search(fake_photo(1)).json()
    assert (body["oneToNVerificationId"], body["oneToNVerificationMatch"], body["score"]) == (None, False, None)


def test_search_with_insert_enrols_the_one_not_found(api: Api) -> None:
    first = api.search(fake_photo(1), insert=True).json()
    assert first["oneToNVerificationMatch"] is False
    again = api.search(fake_photo(1, variation=1), insert=True).json()
    assert (again["oneToNVerificationId"], again["oneToNVerificationMatch"]) == (first["oneToNVerificationId"], True)


def test_insert_always_makes_a_new_entry(api: Api) -> None:
    assert enrol(api, 1) != enrol(api, 1)


def test_the_same_face_sent_many_times_at_once_ends_in_one_entry(api: Api) -> None:
    barrier = threading.Barrier(16)

    def send(variation: int) -> str:
        barrier.wait()
        return str(api.search(fake_photo(7, variation=variation), insert=True).json()["oneToNVerificationId"])

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(send, range(16)))) == 1
    assert len(api.call("GET", ROOT).json()["entries"]) == 1


def test_deleting_the_photo_keeps_the_person_searchable(api: Api) -> None:
    entry = enrol(api, 1)
    assert api.call("GET", f"{ROOT}/{entry}").json()["imageStored"] is True
    for _ in range(2):  # a repetition is no error
        reply = api.call("DELETE", f"{ROOT}/search/{entry}")
        assert (reply.status_code, reply.content) == (204, b"")
    assert api.call("GET", f"{ROOT}/{entry}").json()["imageStored"] is False
    assert found(api, 1) == entry


def test_erasing_removes_everything(api: Api, server: Server) -> None:
    entry = enrol(api, 1)
    assert api.call("DELETE", f"{ROOT}/{entry}").status_code == 204
    assert found(api, 1) is None
    for method, path in (
        ("GET", f"{ROOT}/{entry}"),
        ("DELETE", f"{ROOT}/{entry}"),
        ("DELETE", f"{ROOT}/search/{entry}"),
    ):
        reply = api.call(method, path)
        assert (reply.status_code, reply.json()["error"]) == (404, "NOT_FOUND")
    assert not list((server.deployment.settings.data_dir / "images").glob(f"{api.tenant.id}/*"))


def test_tenants_are_apart(api: Api, server: Server) -> None:
    entry = enrol(api, 1)
    with calling(server) as other:
        assert found(other, 1) is None
        for method, path in (
            ("GET", f"{ROOT}/{entry}"),
            ("DELETE", f"{ROOT}/search/{entry}"),
            ("DELETE", f"{ROOT}/{entry}"),
        ):
            assert other.call(method, path).status_code == 404
    assert found(api, 1) == entry


def test_what_was_enrolled_outlives_a_restart(tmp_path: Path) -> None:
    settings = test_settings(tmp_path)
    with serving(settings) as server, calling(server) as api:
        kept, image_deleted, erased = (enrol(api, person) for person in (1, 2, 3))
        api.call("DELETE", f"{ROOT}/search/{image_deleted}")
        api.call("DELETE", f"{ROOT}/{erased}")
        credentials = (api.tenant, api.client_id, api.client_secret)
    with serving(settings) as server, calling(server) as other:
        api = Api(server, *credentials, other.http)
        api.headers = {"Authorization": f"Bearer {api.token()}"}
        assert [found(api, person) for person in (1, 2, 3)] == [kept, image_deleted, None]


def test_nothing_biometric_lies_in_the_open(tmp_path: Path) -> None:
    photo = fake_photo(1)
    template = FakeEngine().analyse(photo, use="enrol").template  # type: ignore[arg-type]
    with serving(test_settings(tmp_path)) as server, calling(server) as api:
        api.insert(photo)
        api.open_session(photo)
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert photo[100:200] not in stored
    assert template.tobytes()[:64] not in stored


def test_candidates_are_ranked(api: Api) -> None:
    near, far = enrol(api, 1, externalId="near"), enrol(api, 2)
    body = api.search(fake_photo(1, variation=1), candidates=5).json()
    assert [candidate["oneToNVerificationId"] for candidate in body["candidates"]] == [near, far]
    assert body["candidates"][0]["externalId"] == "near"
    assert body["candidates"][0]["score"] > body["candidates"][1]["score"]
    assert api.search(fake_photo(1)).json()["candidates"] is None
    assert api.search(fake_photo(1), candidates=51).status_code == 400


def test_the_level_of_decision_is_the_tenants_or_the_calls(server: Server) -> None:
    thresholds = FakeEngine().calibration.thresholds
    at_level_3 = fake_photo(1, score=(thresholds[2] + thresholds[3]) / 2)
    with calling(server) as strict, calling(server, settings=TenantSettings(search_level=3)) as lenient:
        for api, expected in ((strict, False), (lenient, True)):
            enrol(api, 1)
            assert api.search(at_level_3).json()["oneToNVerificationMatch"] is expected
        assert strict.search(at_level_3, minimumMatchLevel=2).json()["oneToNVerificationMatch"] is True


def test_external_ids_are_unique_in_their_tenant(api: Api, server: Server) -> None:
    enrol(api, 1, externalId="customer 1")
    reply = api.insert(fake_photo(2), externalId="customer 1")
    assert (reply.status_code, reply.json()["error"]) == (409, "CONFLICT")
    assert found(api, 2) is None
    with calling(server) as other:
        enrol(other, 1, externalId="customer 1")


def test_an_idempotency_key_enrols_once(api: Api) -> None:
    def insert(person: int, key: str) -> tuple[int, str | None]:
        reply = api.insert(fake_photo(person), headers={"Idempotency-Key": key})
        return reply.status_code, reply.json().get("oneToNVerificationId")

    first = insert(1, "a")
    assert insert(1, "a") == first
    assert insert(1, "b") != first
    assert insert(2, "a") == (409, None)
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: insert(3, "c"), range(8)))) == 1


def test_metadata_and_pages(api: Api, server: Server) -> None:
    entries = [enrol(api, person, metadata={"branch": str(person)}) for person in range(5)]
    first = api.call("GET", ROOT, params={"limit": 3}).json()
    rest = api.call("GET", ROOT, params={"limit": 3, "cursor": first["next"]}).json()
    listed = first["entries"] + rest["entries"]
    assert [entry["oneToNVerificationId"] for entry in listed] == entries
    assert [entry["metadata"] for entry in listed] == [{"branch": str(person)} for person in range(5)]
    assert rest["next"] is None
    with calling(server) as other:
        for cursor in (first["next"], "forged", "AAAA"):
            assert other.call("GET", ROOT, params={"cursor": cursor}).status_code == 400


def test_an_entry_is_found_by_its_external_id_in_its_tenant_alone(api: Api, server: Server) -> None:
    entry = enrol(api, 1, externalId="customer & 1")
    enrol(api, 2, externalId="customer & 10")
    enrol(api, 3)

    def listed(caller: Api, external_id: str) -> list[str]:
        page = caller.call("GET", ROOT, params={"externalId": external_id}).json()
        assert page["next"] is None
        return [entry["oneToNVerificationId"] for entry in page["entries"]]

    assert listed(api, "customer & 1") == [entry]
    assert listed(api, "customer & 2") == []
    with calling(server) as other:
        assert listed(other, "customer & 1") == []
        own = enrol(other, 1, externalId="customer & 1")
        assert listed(other, "customer & 1") == [own] != [entry]
    for no_reference in ("", "a" * 257, "a\nb"):
        assert api.call("GET", ROOT, params={"externalId": no_reference}).status_code == 400


def test_a_form_carries_metadata_as_json(api: Api) -> None:
    def insert(metadata: str) -> httpx.Response:
        photo = {"idPhoto": ("photo", fake_photo(1))}
        return api.http.post(f"{ROOT}/insert", data={"metadata": metadata}, files=photo, headers=api.headers)

    made = insert('{"branch": "Dubai"}').json()["oneToNVerificationId"]
    assert api.call("GET", f"{ROOT}/{made}").json()["metadata"] == {"branch": "Dubai"}
    for refused in ("Dubai", "[]", '{"branch": 7}', "[" * 60_000):
        reply = insert(refused)
        assert (reply.status_code, reply.json()["error"]) == (400, "INVALID_INPUT")
        assert "metadata" in reply.json()["message"]


@pytest.mark.parametrize("path", [ROOT, f"{ROOT}/search", "/api/v1/info/img"])
@pytest.mark.parametrize("named", ["nobody", "%00", "x" * 500, "%F0%9F%99%82", "00000000-0000-4000-8000-000000000000"])
def test_what_is_nobodys_id_is_not_found(api: Api, path: str, named: str) -> None:
    method = "GET" if path.endswith("img") else "DELETE"
    reply = api.call(method, f"{path}/{named}")
    assert (reply.status_code, reply.json()["error"]) == (404, "NOT_FOUND")


def test_ids_are_distinguished_without_regard_to_case(api: Api) -> None:
    entry = enrol(api, 1)
    assert api.call("GET", f"{ROOT}/{entry.upper()}").json()["oneToNVerificationId"] == entry


def test_the_gallery_has_a_limit(server: Server) -> None:
    with calling(server, settings=TenantSettings(gallery_limit=1)) as api:
        enrol(api, 1)
        reply = api.insert(fake_photo(2))
        assert (reply.status_code, reply.json()["error"]) == (429, "TOO_MANY_REQUESTS")


@pytest.mark.parametrize(
    ("scope", "insert", "status"),
    [
        (Scope.FACE_SEARCH, False, 200),
        (Scope.FACE_SEARCH, True, 403),
        (Scope.FACE_INSERT, False, 403),
        (Scope.FACE_INSERT, True, 200),
        (Scope.FACE_MATCH, False, 403),
    ],
)
def test_the_permission_follows_insert(api: Api, scope: Scope, insert: bool, status: int) -> None:
    api.headers = api.with_scopes(scope)
    assert api.search(fake_photo(1), insert=insert).status_code == status


@pytest.mark.parametrize("character", ["\x1b", "\x9b", "\u202e", "\u2066", "\u200f"], ids=ascii)
def test_a_reference_that_forges_what_a_terminal_shows_is_refused(api: Api, character: str) -> None:
    reply = api.insert(fake_photo(1), externalId=f"customer {character}1")
    assert (reply.status_code, reply.json()["error"]) == (400, "INVALID_INPUT")
    assert "externalId" in reply.json()["message"]
