"""A tenant's administrators see its usage, its audit trail and its sessions."""

from likeness.engine.fake import fake_photo
from servers import Api, Server, calling, wait_until
from session_endings import end, failure, opened, success

ALICE = fake_photo(1)
ADMIN = "/api/v1/admin"


def test_calls_levels_and_sessions_are_counted(server: Server) -> None:
    with calling(server) as api:
        api.match(ALICE, ALICE)
        api.match(ALICE, fake_photo(2))
        api.match(ALICE, fake_photo(1, faces=0))
        api.search(ALICE)
        api.insert(ALICE)
        api.search(ALICE)
        end(server, opened(api), success())
        end(server, opened(api), failure())
        counts = api.call("GET", f"{ADMIN}/usage").json()["counts"]
        found = {(each["kind"], each["name"]): each["count"] for each in counts}
        assert found["call", "POST /api/v1/face/match"] == 3
        assert (found["refusal", "NO_FACE"], found["level", "5"], found["level", "0"]) == (1, 1, 1)
        assert (found["search", "found"], found["search", "not found"]) == (1, 1)
        assert (found["session", "opened"], found["session", "succeeded"], found["session", "failed"]) == (2, 1, 1)
        assert found["step", "opened"] == 1
        (matching,) = [each for each in counts if each["name"] == "POST /api/v1/face/match"]
        assert 0 < matching["seconds"] < 60
        assert api.call("GET", f"{ADMIN}/usage?hours=0").json()["error"] == "INVALID_INPUT"
        with calling(server) as other:
            assert ("level", "5") not in {
                (each["kind"], each["name"]) for each in other.call("GET", f"{ADMIN}/usage").json()["counts"]
            }


def test_the_audit_trail_comes_page_by_page(server: Server) -> None:
    with calling(server) as api:
        ids = [api.insert(fake_photo(person)).json()["oneToNVerificationId"] for person in range(5)]
        api.call("DELETE", f"/api/v1/face/one-to-n/{ids[0]}")

        def everything(limit: int) -> list[dict[str, object]]:
            records: list[dict[str, object]] = []
            cursor: str | None = ""
            while cursor is not None:
                page = api.call("GET", f"{ADMIN}/audit?limit={limit}{cursor and '&cursor=' + cursor}").json()
                records += page["records"]
                cursor = page["next"]
            return records

        wait_until(lambda: [each["action"] for each in everything(1000)].count("sign-in") == 1)
        records = everything(1000)
        assert records[0] | {"time": "", "requestId": ""} == {
            "time": "",
            "who": api.client_id,
            "action": "erasure",
            "object": ids[0],
            "outcome": "done",
            "requestId": "",
        }
        assert [each["object"] for each in records if each["action"] == "enrolment"] == ids[::-1]
        assert everything(1) == everything(2) == everything(3) == records
        with calling(server) as other:
            assert ids[0] not in other.call("GET", f"{ADMIN}/audit").text
            page = api.call("GET", f"{ADMIN}/audit?limit=1").json()
            assert other.call("GET", f"{ADMIN}/audit?cursor={page['next']}").json()["error"] == "INVALID_INPUT"


def test_sessions_are_listed_newest_first(api: Api) -> None:
    first, second = opened(api, maxAttempts=2), opened(api)
    end(api.server, first, failure())
    (newest, oldest) = api.call("GET", f"{ADMIN}/sessions").json()["sessions"]
    assert {newest["sessionId"], oldest["sessionId"]} == {first, second}
    shown = {each["sessionId"]: each for each in (newest, oldest)}
    assert (shown[first]["state"], shown[first]["maxAttempts"], shown[second]["state"]) == ("failed", 2, "open")
    assert len(api.call("GET", f"{ADMIN}/sessions?limit=1").json()["sessions"]) == 1
