"""A server is killed in the middle of an attempt of a face session: the attempt counts once, and is signed once."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.sync.client import connect

from clusters import ALONE, shared_servers
from likeness.engine.fake import fake_photo
from postgres import new_database
from processes import ServerProcess
from scripted_sessions import PERSON_FRAME, Browser
from servers import b64, wait_until

pytestmark = [ALONE, pytest.mark.faults, pytest.mark.long, pytest.mark.timeout(400)]


@contextmanager
def connected(server: ServerProcess, session_id: str, token: str) -> Iterator[Browser]:
    address = f"{server.url.replace('http', 'ws', 1)}/api/v1/capture/{session_id}"
    with connect(address, compression=None, close_timeout=2) as socket:
        browser = Browser(socket)
        browser.say(type="hello", token=token, device="d" * 20)
        yield browser


def result(server: ServerProcess, session_id: str) -> str:
    with server.client() as client:
        wait_until(lambda: client.get(f"/api/v1/info/{session_id}").status_code == 200)
        return client.get(f"/api/v1/info/{session_id}").text


def test_an_attempt_whose_server_is_killed_counts_once_and_is_signed_once(
    tmp_path: Path, postgres_server_url: str
) -> None:
    url = new_database(postgres_server_url)
    one_address = {"LIKENESS_BASE_URL": "https://face.example.com"}
    with shared_servers(tmp_path / "data", url, nodes=1, parts=1, replicas=1, launched_with=one_address) as shared:
        first, second = shared.servers
        with first.client() as client:
            opened = client.post("/api/v1/face", json={"idPhoto": b64(fake_photo(1)), "maxAttempts": 1}).json()
        session_id = opened["sessionId"]
        token = parse_qs(urlsplit(opened["captureUrl"]).fragment)["token"][0]
        with connected(first, session_id, token) as browser:
            browser.hear_of("ready")
            browser.start()
            browser.send_frame(PERSON_FRAME)
            browser.hear_of("instruct")
            first.kill()
        with connected(second, session_id, token) as browser:
            ended = browser.hear_of("end")
        signed = result(second, session_id)
        face = json.loads(base64.urlsafe_b64decode(signed.split(".")[1] + "=="))["data"]["face"]
        assert face["failedAttempts"] == ["FACE_TIMEOUT"]
        assert ended["code"] is not None
        with connected(second, session_id, token) as browser:
            assert browser.hear_of("end") == ended
        first.start()
        assert result(first, session_id) == signed
