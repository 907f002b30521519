"""Every line of the log has one format, and each call has a line with its request id."""

import contextlib
import json
import logging
import os
import re
import sys
import threading

import httpx
import pytest

from likeness.access.scopes import Scope
from likeness.engine.fake import fake_photo
from likeness.kit.logs import JsonLogFormat, LogFormat, log_call, logging_on_a_thread
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


def test_a_line_of_json_tells_the_facts_of_a_call_by_name(caplog: pytest.LogCaptureFixture) -> None:
    log_call("POST", "/api/v1/face/match", 503, 0.0123, "trace-6", {"tenant": "t", "error": "SERVICE_UNAVAILABLE"})
    line = json.loads(JsonLogFormat().format(caplog.records[-1]))
    assert line.pop("time").endswith("Z")
    assert line.pop("message").startswith("POST /api/v1/face/match 503 12.3 ms")
    assert line == {
        "level": "info",
        "logger": "likeness.access",
        "method": "POST",
        "path": "/api/v1/face/match",
        "status": 503,
        "milliseconds": 12.3,
        "requestId": "trace-6",
        "tenant": "t",
        "error": "SERVICE_UNAVAILABLE",
    }


def test_a_fault_in_json_is_one_line_with_its_traceback() -> None:
    try:
        int("no\nnumber")
    except ValueError:
        record = logging.LogRecord("likeness", logging.ERROR, "", 0, "it failed", (), sys.exc_info())
    text = JsonLogFormat().format(record)
    assert "\n" not in text
    assert "ValueError" in json.loads(text)["traceback"]


def test_the_thread_writes_each_line_in_order() -> None:
    read, write = os.pipe()
    with contextlib.redirect_stderr(os.fdopen(write, "w")) as writer, logging_on_a_thread():
        for number in range(100):
            log_call("GET", f"/{number}", 200, 0, f"id-{number}", {})
        logging.getLogger("likeness").warning("%s", "the last\u2028line \udcff")
    writer.close()
    with os.fdopen(read, "rb") as reader:
        lines = reader.read().decode().split("\n")
    assert [line.split()[4] for line in lines[:100]] == [f"/{number}" for number in range(100)]
    assert "the last" in lines[100]


def test_a_reader_that_stands_still_holds_up_nobody_and_lost_lines_are_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("likeness.kit.logs.QUEUED_LINES", 100)
    log, calls = logging.getLogger("likeness"), 3000
    read, write = os.pipe()
    got: list[bytes] = []
    with os.fdopen(read, "rb") as reader:
        thread = threading.Thread(target=lambda: got.extend(reader))
        with contextlib.redirect_stderr(os.fdopen(write, "w")) as writer, logging_on_a_thread():
            for _ in range(calls):
                log.warning("x" * 1000)  # a pipe holds 64 KiB
            thread.start()
            wait_until(lambda: any(b"lines of the log are lost" in line for line in got))
        writer.close()
        thread.join()
    lost = sum(int(line.split(b": ")[1].split()[0]) for line in got if b"are lost" in line)
    assert 0 < lost < calls
    assert sum(b"xxx" in line for line in got) + lost == calls


def test_a_reader_that_has_gone_ends_nothing() -> None:
    read, write = os.pipe()
    os.close(read)
    with contextlib.redirect_stderr(os.fdopen(write, "w")) as writer, logging_on_a_thread():
        logging.getLogger("likeness").warning("into nothing")
    writer.close()


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
