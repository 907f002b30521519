"""``/metrics`` of a real server."""

import os
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import Connection, insert

import likeness.metrics
from likeness.engine.fake import fake_photo
from likeness.errors import LikenessError
from likeness.gallery.views import STATES
from likeness.health import Readiness
from likeness.index.base import Answer
from likeness.index.exact import ExactIndex
from likeness.kit.ids import new_id
from likeness.kit.metrics import METRICS
from likeness.settings import Settings
from likeness.store.sharing.claim import Ownership
from likeness.store.tables import photo_deletions
from likeness.webhooks.outbox import RETRY_SECONDS
from likeness.webhooks.repository import Delivery, DeliveryState, add_delivery
from processes import server_process
from scraped import Figures, counting, figures
from scripted_sessions import open_session, ready_browser, scripted
from servers import Api, Server, b64, calling, serving, test_settings, wait_until
from session_endings import end, failure, opened, success

DAY = 86_400


def read(server: Server) -> Figures:
    reply = httpx.get(server.metrics_url)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return figures(reply.text)


def requests(risen: Figures) -> Figures:
    return {name: count for name, count in risen.items() if name.startswith("likeness_requests_total")}


def test_calls_count_by_their_route_and_never_by_their_path(api: Api) -> None:
    entry = api.insert(fake_photo(1)).json()["oneToNVerificationId"]
    with counting(partial(read, api.server)) as risen:
        api.call("GET", f"/api/v1/face/one-to-n/{entry}")
        api.call("GET", f"/api/v1/face/one-to-n/{new_id()}")
        api.call("PUT", "/api/v1/face/match")
        api.http.head("/healthz")
        api.http.get("/static/no-such-file.js")
        for path in ("/wp-login.php", "/api/v1/face/one-to-n/a/b/c", "/%0a%22%7d"):
            api.http.get(path)
        api.http.request("BREW", "/healthz")
    one = "likeness_requests_total,method=GET,route=/api/v1/face/one-to-n/{entry_id},status="
    assert requests(risen) == {
        f"{one}200": 1,
        f"{one}404": 1,
        "likeness_requests_total,method=PUT,route=/api/v1/face/match,status=405": 1,
        "likeness_requests_total,method=GET,route=/healthz,status=200": 1,
        "likeness_requests_total,method=GET,route=/static,status=404": 1,
        "likeness_requests_total,method=GET,route=unknown,status=404": 3,
    }
    assert risen["likeness_request_seconds_count,method=GET,route=unknown"] == 3
    assert risen["likeness_errors_total,code=NOT_FOUND"] == 5


def test_nothing_of_a_tenant_or_of_a_caller_is_told(api: Api) -> None:
    entry = api.insert(fake_photo(1), externalId="person-0815").json()["oneToNVerificationId"]
    session = opened(api)
    api.search(fake_photo(1))
    api.call("GET", f"/api/v1/info/{session}")
    api.http.get("/no-such-path")
    text = httpx.get(api.server.metrics_url).text
    for told in (api.tenant.id, api.tenant.name, api.client_id, entry, session, "person-0815", "no-such-path"):
        assert told not in text


def test_every_metric_is_given(server: Server) -> None:
    text = httpx.get(server.metrics_url).text
    assert {name for name in METRICS if f"\n# TYPE {name} " in f"\n{text}"} == set(METRICS)


def test_the_public_port_has_no_metrics(server: Server) -> None:
    assert httpx.get(f"{server.url}/metrics").status_code == 404
    named = {"Host": urlsplit(server.metrics_url).netloc}
    assert httpx.get(f"{server.url}/metrics", headers=named).status_code == 404
    assert "/metrics" not in httpx.get(f"{server.url}/openapi.json").json()["paths"]


def test_the_port_of_the_metrics_has_nothing_else(server: Server) -> None:
    origin = server.metrics_url.removesuffix("/metrics")
    assert httpx.get(f"{origin}/healthz").status_code == 404
    assert httpx.post(f"{origin}/api/oauth/token").status_code == 404
    assert httpx.head(server.metrics_url).status_code == 200
    refused = httpx.post(server.metrics_url)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    key = {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    assert httpx.get(f"{origin}/api/v1/capture/{new_id()}", headers=upgrade | key).status_code == 403


def test_the_port_must_be_the_metrics_own(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path).metrics_address is None
    with pytest.raises(ValueError, match="must differ from LIKENESS_PORT"):
        Settings(data_dir=tmp_path, port=9000, metrics_port=9000)


def test_photos_count_by_their_outcome(api: Api) -> None:
    with counting(partial(read, api.server)) as risen:
        api.search(fake_photo(1))
        api.search(fake_photo(1, faces=0))
        api.search(fake_photo(1, faces=2))
        api.search(fake_photo(1, dim=True))
        api.search(b"GIF89a" + bytes(100))
    outcomes = {
        name.removeprefix("likeness_photos_total,outcome=").removesuffix(",use=probe"): count
        for name, count in risen.items()
        if name.startswith("likeness_photos_total")
    }
    assert outcomes == {
        "accepted": 1,
        "NO_FACE": 1,
        "MULTIPLE_FACES": 1,
        "LOW_QUALITY": 1,
        "UNSUPPORTED_MEDIA_TYPE": 1,
    }
    assert risen["likeness_low_quality_total,measure=UnderExposurePrevention"] == 1
    assert risen["likeness_wait_seconds_count"] == risen["likeness_analysis_seconds_count"] == 5
    assert risen["likeness_errors_total,code=NO_FACE"] == 1


def test_matches_and_searches_count_by_level(api: Api) -> None:
    with counting(partial(read, api.server)) as risen:
        api.match(fake_photo(1), fake_photo(1))
        api.match(fake_photo(1), fake_photo(2))
        api.insert(fake_photo(1))
        api.search(fake_photo(1))
        api.search(fake_photo(2))
    assert risen["likeness_matches_total,level=5"] == risen["likeness_matches_total,level=0"] == 1
    assert risen["likeness_searches_total,certified=true,found=true,level=5"] == 1
    assert risen["likeness_searches_total,certified=true,found=false,level=0"] == 1
    assert risen["likeness_scan_seconds_count"] == 2
    assert risen["likeness_commit_seconds_count"] >= 1
    assert "likeness_unproven_scans_total" not in risen


@pytest.mark.one_process
def test_an_answer_without_proof_counts(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    search = ExactIndex.search

    def without_proof(self: ExactIndex, *args: Any, **kwargs: Any) -> Answer:
        answer = search(self, *args, **kwargs)
        return Answer(answer.hits, certified=False, size=answer.size)

    monkeypatch.setattr(ExactIndex, "search", without_proof)
    with counting(partial(read, api.server)) as risen:
        assert api.search(fake_photo(1)).json()["certified"] is False
    assert risen["likeness_unproven_scans_total"] == 1
    assert risen["likeness_searches_total,certified=false,found=false,level=0"] == 1


def test_a_server_with_processes_counts_all_photos(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    chosen = {"pack": "fake", "engine": "processes", "workers": 2, "metrics_port": port}
    with server_process(tmp_path / "data", **chosen) as server, server.client() as client:
        for photo in (fake_photo(1), fake_photo(2), fake_photo(1, dim=True)):
            client.post("/api/v1/face/one-to-n/insert", json={"idPhoto": b64(photo)})
        found = figures(httpx.get(str(server.settings.metrics_address)).raise_for_status().text)
    assert found["likeness_photos_total,outcome=accepted,use=enrol"] == 2
    assert found["likeness_photos_total,outcome=LOW_QUALITY,use=enrol"] == 1
    assert found["likeness_low_quality_total,measure=UnderExposurePrevention"] == 1
    assert found["likeness_analysis_seconds_count"] == 3
    assert found["likeness_gallery_entries"] == 2
    assert found["likeness_photo_processes_memory_bytes"] > 20e6


def test_the_states_are_those_of_readiness() -> None:
    assert get_args(Readiness.model_fields["status"].annotation) == STATES


def test_sessions_count_by_their_outcome_and_last_step(api: Api) -> None:
    with counting(partial(read, api.server)) as risen:
        won, lost = opened(api), opened(api)
        end(api.server, won, success())
        end(api.server, won, success())
        end(api.server, lost, failure())
    assert risen["likeness_sessions_opened_total"] == 2
    assert risen["likeness_sessions_ended_total,outcome=succeeded,step=done"] == 1
    assert risen["likeness_sessions_ended_total,outcome=failed,step=opened"] == 1


def test_attempts_count_and_so_does_the_last_step_of_a_session(api: Api) -> None:
    with scripted(api.server), counting(partial(read, api.server)) as risen:
        with ready_browser(api, open_session(api, maxAttempts=1)) as browser:
            browser.attempt(fake_photo(1, attack=True))
        with ready_browser(api, open_session(api)) as browser:
            browser.attempt(fake_photo(2))
            browser.say(type="cancel")
            browser.hear_of("end")
        with ready_browser(api, open_session(api)) as browser:
            browser.start()
            browser.say(type="cancel")
            browser.hear_of("end")
        with ready_browser(api, open_session(api)) as browser:
            browser.attempt(fake_photo(1))
    attempts = {name: count for name, count in risen.items() if name.startswith("likeness_attempts_total")}
    assert attempts == {
        "likeness_attempts_total,event=begun": 4,
        "likeness_attempts_total,event=FACE_LIVENESS_FAILED": 1,
        "likeness_attempts_total,event=FACE_NO_MATCH": 1,
        "likeness_attempts_total,event=passed": 1,
    }
    ended = {name: count for name, count in risen.items() if name.startswith("likeness_sessions_ended_total")}
    assert ended == {
        "likeness_sessions_ended_total,outcome=failed,step=FACE_LIVENESS_FAILED": 1,
        "likeness_sessions_ended_total,outcome=cancelled,step=FACE_NO_MATCH": 1,
        "likeness_sessions_ended_total,outcome=cancelled,step=attempt": 1,
        "likeness_sessions_ended_total,outcome=succeeded,step=done": 1,
    }


def test_a_capture_socket_counts_when_it_ends_and_has_no_time(api: Api) -> None:
    ends = "likeness_requests_total,method=GET,route=/api/v1/capture/{session_id},status=101"
    with counting(partial(read, api.server)) as risen:
        before = read(api.server).get(ends, 0)
        with ready_browser(api, open_session(api)):
            pass
        wait_until(lambda: read(api.server).get(ends, 0) == before + 1)
    assert risen[ends] == 1
    assert not [name for name in risen if name.startswith("likeness_request_seconds") and "capture" in name]


def delivery(tenant_id: str, *, made_at: float) -> Delivery:
    return Delivery(
        id=new_id(),
        tenant_id=tenant_id,
        session_id=new_id(),
        jti=None,
        sealed_claims=None,
        state=DeliveryState.PENDING,
        tries=1,
        next_try_at=made_at + 10 * DAY,
        give_up_at=made_at + RETRY_SECONDS,
        last_status=None,
        last_error=None,
        created_at=made_at - DAY,  # this one is a replay
        delivered_at=None,
    )


def test_what_waits_and_ages_is_read_from_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likeness.metrics, "KEPT_SECONDS", 0)
    with serving(test_settings(tmp_path)) as server, calling(server) as api:
        api.insert(fake_photo(1))
        now = server.clock.now()

        def add(connection: Connection) -> None:
            add_delivery(connection, delivery(api.tenant.id, made_at=now - 100))
            add_delivery(connection, delivery(api.tenant.id, made_at=now - 700))
            values = {"image_id": "0" * 24, "tenant_id": api.tenant.id, "entry_id": new_id()}
            connection.execute(insert(photo_deletions).values(values))

        server.deployment.database.write_now(add)
        found = read(server)
        assert found["likeness_webhook_waiting"] == 2
        assert found["likeness_webhook_lag_seconds"] == pytest.approx(700, abs=1)
        assert found["likeness_photos_to_delete"] == 1
        assert found["likeness_signing_key_age_seconds"] < DAY
        assert found["likeness_gallery_entries"] == found["likeness_largest_gallery_entries"] == 1
        assert (
            found["likeness_ready"] == found["likeness_state,state=ready"] == found["likeness_database_readable"] == 1
        )
        assert 0 < found["likeness_data_folder_free_bytes"] < found["likeness_data_folder_size_bytes"]
        assert found["process_resident_memory_bytes"] > 50e6
        server.clock.move(400 * DAY)
        assert read(server)["likeness_signing_key_age_seconds"] == pytest.approx(400 * DAY, abs=60)


def test_a_server_that_may_not_answer_says_so(tmp_path: Path) -> None:
    with serving(test_settings(tmp_path)) as server, calling(server) as api:
        api.insert(fake_photo(1))
        server.galleries.ownership_changed(Ownership.LOST)
        found = read(server)
        assert (found["likeness_ready"], found["likeness_state,state=suspended"]) == (0, 1)


def test_a_database_that_does_not_answer_costs_a_scrape_its_figures_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(likeness.metrics, "DATABASE_SECONDS", 0.05)
    monkeypatch.setattr(likeness.metrics, "KEPT_SECONDS", 0)
    with serving(test_settings(tmp_path)) as server:
        asked: list[Callable[[Connection], Any]] = []
        mute, hear = socket.socketpair()

        def stuck(query: Callable[[Connection], Any]) -> Any:
            asked.append(query)
            mute.recv(1)
            return server.deployment.database.read_now(query)

        async def read_stuck(query: Callable[[Connection], Any]) -> Any:
            return await server.deployment.database._pool.run(stuck, query)

        with monkeypatch.context() as patched:
            patched.setattr(server.deployment.database, "read", read_stuck)
            found = [read(server) for _ in range(3)]
            assert all(each["likeness_database_readable"] == 0 for each in found)
            assert all(each["likeness_ready"] == 1 for each in found)
            assert not any("likeness_webhook_waiting" in each for each in found)
            assert len([query for query in asked if "ServerMetrics" in getattr(query, "__qualname__", "")]) == 1
            hear.send(b"1" * 100)
        wait_until(lambda: read(server)["likeness_database_readable"] == 1)
        mute.close()
        hear.close()


def test_a_disk_that_hangs_holds_up_one_thread_and_no_call(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, mended = [], threading.Event()

    def hang(folder: Path) -> os.statvfs_result:
        asked.append(folder)
        mended.wait(60)
        raise OSError

    with monkeypatch.context() as patched:
        patched.setattr(likeness.metrics, "ANSWER_SECONDS", 0.05)
        patched.setattr(os, "statvfs", hang)
        refused = [httpx.get(server.metrics_url) for _ in range(3)]
        assert [each.status_code for each in refused] == [503] * 3
        assert len(asked) == 1
        assert httpx.get(f"{server.url}/readyz").status_code == 200
        mended.set()
        patched.setattr(likeness.metrics, "ANSWER_SECONDS", 60)
        assert "likeness_data_folder_free_bytes" not in read(server)
    assert read(server)["likeness_data_folder_free_bytes"] > 0


def test_a_refusal_of_the_database_counts(tmp_path: Path) -> None:
    def full(_: Connection) -> None:
        from sqlalchemy.exc import OperationalError  # noqa: PLC0415

        raise OperationalError("", {}, Exception("database or disk is full"))

    with serving(test_settings(tmp_path)) as server, counting(partial(read, server)) as risen:
        for ask in (server.deployment.database.write_now, server.deployment.database.read_now):
            with pytest.raises(LikenessError):
                ask(full)
    assert risen["likeness_database_refusals_total,work=write"] == 1
    assert risen["likeness_database_refusals_total,work=read"] == 1


def test_an_overloaded_server_counts_what_it_refuses(tmp_path: Path) -> None:
    with serving(test_settings(tmp_path)) as server, calling(server) as api:
        admission = server.components.admission
        places = [admission.ask(api.tenant.id, photos=2, size=10) for _ in range(2)]
        assert read(server)["likeness_queue_photos"] == 4
        admission.seconds = 1e6
        with counting(partial(read, server)) as risen:
            places += [admission.ask(api.tenant.id, photos=2, size=10) for _ in range(2)]
            assert api.search(fake_photo(1)).status_code == 503
        for place in places:
            place.leave()
    assert risen["likeness_overload_refusals_total,full=queue"] == 1
    assert risen["likeness_errors_total,code=SERVICE_UNAVAILABLE"] == 1
