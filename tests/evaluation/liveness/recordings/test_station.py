"""The recording station: a real server and a client of its sockets."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from likeness.access.scopes import API_SCOPES
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.evaluation.liveness.recordings.recording import Label, RecordingFolder
from likeness.evaluation.liveness.recordings.replay import replay
from likeness.evaluation.liveness.recordings.station import RecordingStation
from likeness.sessions.schemas import SessionOptions
from scripted_sessions import Session, ready_browser
from servers import Server, calling, serving, test_settings, wait_until

WANTED = {
    "consent": True,
    "kind": "print",
    "subject": "P07",
    "device": "Pixel 8",
    "photo": base64.b64encode(fake_photo(1)).decode(),
}


@dataclass
class SteppedClock:
    """Each look at the clock is a second later."""

    seconds: float = 100.0

    def __call__(self) -> float:
        self.seconds += 1.0
        return self.seconds


@dataclass
class Place:
    server: Server
    station: RecordingStation
    folder: RecordingFolder

    def open(self, **changes: Any) -> httpx.Response:
        return httpx.post(f"{self.server.url}/record/sessions", json=WANTED | changes, timeout=30)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = RecordingFolder.open(tmp_path_factory.mktemp("station") / "recordings", make=True)
    with serving(test_settings(tmp_path_factory.mktemp("server"))) as server:
        tenant = server.deployment.tenants.create("recordings")
        client = server.deployment.clients.create(tenant.id, "recordings", API_SCOPES)
        captures = server.components.captures
        captures.services = replace(captures.services, monotonic=SteppedClock())
        options = SessionOptions(max_attempts=1)
        station = RecordingStation(server.app, tenant, client.client_id, options, Label("bona_fide"), folder.add)
        station.install()
        yield Place(server, station, folder)


def test_an_attempt_with_consent_is_recorded_and_replays(place: Place) -> None:
    reply = place.open()
    assert reply.status_code == 201, reply.text
    url = urlsplit(reply.json()["captureUrl"])
    session = Session(url.path.rsplit("/", 1)[1], parse_qs(url.fragment)["token"][0], reply.json()["captureUrl"])
    with calling(place.server) as api, ready_browser(api, session) as browser:
        browser.start(camera="HD Webcam")
        told = browser.stream(fake_photo(1), frames=1)
        while not told[-1]["done"]:
            told += browser.stream(fake_photo(1, variation=len(told)), frames=1)
        assert told[-1]["statusCode"] == "FACE_TIMEOUT"
    wait_until(lambda: place.station.recorded == 1)
    (kept,) = place.folder
    assert kept.label == Label("print", "P07", device="Pixel 8")
    assert kept.consent is not None
    assert kept.camera.label == "HD Webcam"
    assert replay(FakeEngine(), kept).same
    assert ">1</b>" in httpx.get(f"{place.server.url}/record").text


@pytest.mark.parametrize(
    "changes", [{"consent": False}, {"kind": "Print!"}, {"subject": " "}, {"photo": "no"}, {"unknown": 1}]
)
def test_without_consent_or_labels_nothing_begins(place: Place, changes: dict[str, Any]) -> None:
    reply = place.open(**changes)
    assert reply.status_code == 400
    assert next(iter(changes)) in reply.json()["message"]


def test_the_page_shows_the_consent_and_loads_its_files(place: Place) -> None:
    page = httpx.get(f"{place.server.url}/record")
    assert "I agree that this station records my face" in page.text
    assert "unsafe-inline" not in page.headers["Content-Security-Policy"]
    for name, status in (("station.js", 200), ("station.css", 200), ("recording.py", 404)):
        assert httpx.get(f"{place.server.url}/record/{name}").status_code == status
