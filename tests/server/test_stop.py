"""SIGTERM and SIGINT: work in progress is answered, waiting work is refused, and the main file has all data."""

import contextlib
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from likeness.engine.fake import FakeEngine, fake_photo
from processes import server_process
from servers import Api, b64, calling, serving, test_settings, wait_until

SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)


def entries_in(database: Path, copy: Path) -> set[str]:
    """Give the entries in a copy of the database's main file."""
    shutil.copy(database, copy)
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM gallery_entries")}


@SIGNALS
@pytest.mark.faults
@pytest.mark.long
@pytest.mark.timeout(200)
def test_a_signal_in_the_middle_of_work(tmp_path: Path, number: signal.Signals) -> None:
    with server_process(tmp_path / "data", pack="fake", workers=2) as server:
        acknowledged: set[str] = set()
        answers: list[httpx.Response] = []
        stopped = threading.Event()

        def insert(first: int) -> None:
            with server.client() as http, contextlib.suppress(httpx.TransportError):
                for person in range(first, first + 500):
                    reply = http.post("/api/v1/face/one-to-n/insert", json={"idPhoto": b64(fake_photo(person))})
                    answers.append(reply)
                    if reply.status_code == 200:
                        acknowledged.add(reply.json()["oneToNVerificationId"])
                    elif stopped.is_set():
                        return

        threads = [threading.Thread(target=insert, args=(number * 1000,)) for number in range(6)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(acknowledged) >= 30)
        assert server.process is not None
        server.process.send_signal(number)
        stopped.set()
        assert server.process.wait(60) == 0
        for thread in threads:
            thread.join()
        assert {reply.status_code for reply in answers} <= {200, 503}
        for reply in answers:
            assert reply.status_code == 200 or is_refusal(reply)
    database = tmp_path / "data" / "likeness.sqlite3"
    assert not list(database.parent.glob("likeness.sqlite3-*"))
    assert entries_in(database, tmp_path / "copy.sqlite3") == acknowledged


@SIGNALS
@pytest.mark.faults
def test_a_signal_while_the_server_starts(tmp_path: Path, number: signal.Signals) -> None:
    with server_process(tmp_path / "data", start=False, pack="fake") as server:
        process = server.launch()
        database = tmp_path / "data" / "likeness.sqlite3"
        wait_until(lambda: Path(f"{database}-wal").exists() or process.poll() is not None, seconds=60)
        process.send_signal(number)
        assert process.wait(60) == 0
        assert not list(database.parent.glob("likeness.sqlite3-*"))


class SlowEngine(FakeEngine):
    """Needs a second for each photo."""

    seconds = 1.0

    def __init__(self) -> None:
        self.begun = 0

    def analyse(self, photo: bytes, **options: Any) -> Any:
        self.begun += 1
        time.sleep(self.seconds)
        return super().analyse(photo, **options)


@contextlib.contextmanager
def stopping(folder: Path, engine: SlowEngine, *, stop_seconds: float) -> Iterator[list[httpx.Response]]:
    """Stop a server in the middle of ten searches on two workers. Give their answers."""
    with serving(test_settings(folder), engine) as server, calling(server) as api, ThreadPoolExecutor(10) as callers:
        running = server.app.state.server
        running.config.timeout_graceful_shutdown = stop_seconds
        asked: list[Future[httpx.Response]] = [callers.submit(search, api) for _ in range(10)]
        wait_until(lambda: engine.begun == 2 and len(running.server_state.tasks) == 10)
        running.should_exit = True
        yield [each.result() for each in asked]


def search(api: Api) -> httpx.Response:
    with httpx.Client(base_url=api.server.url, timeout=60, headers=api.headers) as http:
        return http.post("/api/v1/face/one-to-n/search", json={"idPhoto": b64(fake_photo(1))})


def is_refusal(reply: httpx.Response) -> bool:
    """Whether the reply is the contract's 503."""
    return bool(
        reply.status_code == 503
        and reply.json()["error"] == "SERVICE_UNAVAILABLE"
        and int(reply.headers["retry-after"]) > 0
        and reply.json()["requestId"] == reply.headers["x-request-id"]
    )


def test_what_is_under_way_is_answered_and_what_waits_is_refused(tmp_path: Path) -> None:
    engine = SlowEngine()
    with stopping(tmp_path, engine, stop_seconds=10) as answers:
        assert sorted(reply.status_code for reply in answers) == [200] * 2 + [503] * 8
        assert all(is_refusal(reply) for reply in answers if reply.status_code != 200)
        assert engine.begun == 2


def test_what_takes_longer_than_a_stop_may_is_refused_in_the_contracts_shape(tmp_path: Path) -> None:
    engine = SlowEngine()
    engine.seconds = 5
    with stopping(tmp_path, engine, stop_seconds=0.5) as answers:
        assert all(is_refusal(reply) for reply in answers)
