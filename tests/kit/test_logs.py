"""Every line of the log has one format, and each call has a line with its request id."""

import logging
import re

import httpx
import pytest

from likeness.access.scopes import Scope
from likeness.engine.fake import fake_photo
from likeness.kit.logs import LogFormat
from servers import Api, Server, wait_until

PHOTO = fake_photo(1)


def lines_with(caplog: pytest.LogCaptureFixture, text: str) -> list[str]:
    return [line for line in map(logging.LogRecord.getMessage, list(caplog.records)) if text in line]


def line_of(caplog: pytest.LogCaptureFixture, request_id: str) -> str:
    wait_until(lambda: bool(lines_with(caplog, request_id)))
    (line,) = lines_with(caplog, request_id)
    return line


@pytest.fixture(autouse=True)
def _calls_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "likeness.access")


def test_a_line_tells_time_severity_and_place() -> None:
    record = logging.LogRecord("likeness.store", logging.WARNING, "", 0, "%s is full", ("the disk",), None)
    record.created = 1_700_000_000.25
    assert LogFormat().format(record) == "2023-11-14T22:13:20.250Z WARNING likeness.store: the disk is full"


def test_a_call_is_found_by_the_id_that_its_answer_carries(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    reply = api.match(PHOTO, PHOTO)
    line = line_of(caplog, reply.headers["x-request-id"])
    pattern = rf"POST /api/v1/face/match 200 [0-9.]+ ms id=\S+ tenant={api.tenant.id} client={api.client_id}"
    assert re.fullmatch(pattern, line)


def test_a_refusal_is_found_with_its_code(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    nobody = httpx.post(f"{api.server.url}/api/v1/face/match", headers={"X-Request-Id": "trace-1"})
    assert nobody.status_code == 401
    assert re.fullmatch(
        r"POST /api/v1/face/match 401 [0-9.]+ ms id=trace-1 error=UNAUTHORIZED", line_of(caplog, "trace-1")
    )
    headers = api.with_scopes(Scope.INFO_SDK) | {"X-Request-Id": "trace-2"}
    assert api.call("POST", "/api/v1/face/match", {}, headers=headers).status_code == 403
    assert line_of(caplog, "trace-2").endswith(f"tenant={api.tenant.id} client={api.client_id} error=FORBIDDEN")
    api.call("GET", "/api/v1/nothing", headers={"X-Request-Id": "trace-3"})
    assert line_of(caplog, "trace-3").endswith("error=NOT_FOUND")


def test_a_query_string_is_in_no_line(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    headers = {"X-Request-Id": "trace-4"}
    httpx.get(f"{server.url}/healthz", params={"access_token": "hidden"}, headers=headers)
    assert line_of(caplog, "trace-4").startswith("GET /healthz 200 ")
    ours = [record for record in caplog.records if record.name.startswith(("likeness", "uvicorn"))]
    assert not [record for record in ours if "hidden" in record.getMessage()]


def test_a_path_without_end_leaves_a_line_of_some_length(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    httpx.get(f"{server.url}/{'a' * 5000}", headers={"X-Request-Id": "trace-5"})
    assert len(line_of(caplog, "trace-5")) < 300
