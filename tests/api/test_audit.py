"""What calls leave in the audit trail."""

import json
from pathlib import Path

import pytest

from audit.trails import check, opened, records
from likeness.access.scopes import Scope
from likeness.audit.records import TrailRecord
from likeness.engine.fake import fake_photo
from servers import Api, Server, b64, calling, serving, test_settings, wait_until


def recorded(server: Server, api: Api) -> list[TrailRecord]:
    wait_until(lambda: not server.deployment.trail.is_waiting)
    return [record for record in records(server.deployment) if record.tenant == api.tenant.id]


def test_calls_leave_their_records_with_client_and_request(api: Api, server: Server) -> None:
    entry = api.insert(fake_photo(1), externalId="Jane Doe", headers={"X-Request-Id": "trace-1"}).json()[
        "oneToNVerificationId"
    ]
    assert api.search(fake_photo(1)).json()["oneToNVerificationId"] == entry
    assert not api.search(fake_photo(2)).json()["oneToNVerificationMatch"]
    for person in (1, 2):
        named = {"sourceImage": b64(fake_photo(person)), "targetId": entry}
        assert api.call("POST", "/api/v1/face/match", named).json()["match"] is (person == 1)
    assert api.call("DELETE", f"/api/v1/face/one-to-n/search/{entry}").status_code == 204
    assert api.call("DELETE", f"/api/v1/face/one-to-n/{entry}", headers={"X-Request-Id": "trace-2"}).status_code == 204
    api.headers = api.with_scopes(Scope.FACE_SEARCH)
    assert api.insert(fake_photo(3)).status_code == 403
    assert api.search(fake_photo(3), insert=True).status_code == 403
    found = [record for record in recorded(server, api) if record.who == api.client_id]
    assert {record.action for record in found} == {
        *("sign-in", "enrolment", "search", "match", "photo deletion", "erasure", "refusal")
    }
    assert len([record for record in found if record.action == "match"]) == 1
    by_action = {record.action: record for record in found}
    assert {by_action[act].object for act in ("enrolment", "search", "match", "photo deletion", "erasure")} == {entry}
    assert (by_action["enrolment"].request_id, by_action["erasure"].request_id) == ("trace-1", "trace-2")
    assert (by_action["search"].outcome, by_action["refusal"].outcome) == ("hit", "refused")
    assert by_action["refusal"].object == Scope.FACE_INSERT
    assert [record.outcome for record in found if record.action == "sign-in"] == ["issued", "issued"]
    assert "Jane" not in json.dumps([record[:-1] for record in found])
    assert not check(server.deployment).faults


def test_a_wrong_secret_is_recorded_and_an_id_that_is_none_is_not_repeated(api: Api, server: Server) -> None:
    names = {api.client_id: api.client_id, "Jane Doe": "unknown"}
    for client_id, who in names.items():
        form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": "wrong"}
        headers = {"X-Request-Id": f"wrong-{who}"}
        assert api.http.post("/api/oauth/token", data=form, headers=headers).status_code == 401
    wait_until(lambda: not server.deployment.trail.is_waiting)
    found = {record.request_id: record for record in records(server.deployment) if record.action == "sign-in"}
    for who in names.values():
        assert (found[f"wrong-{who}"].who, found[f"wrong-{who}"].outcome) == (who, "refused")


def test_a_purged_session_leaves_its_record(api: Api, server: Server) -> None:
    session = api.open_session(fake_photo(1)).json()["sessionId"]
    assert api.call("DELETE", f"/api/v1/info/{session}").status_code == 204
    assert [record.object for record in recorded(server, api) if record.action == "purge"] == [session]


@pytest.mark.parametrize("postgres", [False, True])
def test_the_trail_of_a_server_is_sealed_at_its_end(
    tmp_path: Path, request: pytest.FixtureRequest, postgres: bool
) -> None:
    url = {"database_url": request.getfixturevalue("postgres_url")} if postgres else {}
    with serving(test_settings(tmp_path, **url)) as server, calling(server) as api:
        api.insert(fake_photo(1))
        api.search(fake_photo(1))
    with opened(tmp_path, **url) as deployment:
        report = check(deployment)
        assert (report.faults, report.unsealed) == ([], 0)
        assert {"enrolment", "search", "sign-in"} <= {record.action for record in records(deployment)}
