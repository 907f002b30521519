"""TLS in the server itself, on a real port."""

import contextlib
import json
import ssl
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from likeness.errors import SetupError
from likeness.server.running import make_server
from likeness.settings import Settings
from processes import ServerProcess, server_process
from servers import test_settings, wait_until
from webhooks.test_sender import certificate


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    file = certificate(tmp_path_factory.mktemp("tls"), "localhost")
    return file, ssl.create_default_context(cafile=file)


@pytest.fixture(scope="module")
def secure(trust: tuple[Path, ssl.SSLContext], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    file, context = trust
    with server_process(
        tmp_path_factory.mktemp("data"),
        start=False,
        pack="fake",
        workers=1,
        host="localhost",
        tls_certificate_file=file,
    ) as server:
        server.launch()
        wait_until(partial(is_ready, server, context), seconds=120)
        yield server


def is_ready(server: ServerProcess, context: ssl.SSLContext) -> bool:
    assert server.process is not None
    assert server.process.poll() is None
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{server.url}/readyz", verify=context).status_code == 200
    return False


def test_calls_are_encrypted_and_know_it(secure: ServerProcess, trust: tuple[Path, ssl.SSLContext]) -> None:
    assert secure.url.startswith("https://localhost:")
    form = {"grant_type": "client_credentials", "client_id": secure.credentials.client_id}
    form |= {"client_secret": secure.credentials.client_secret}
    with httpx.Client(base_url=secure.url, verify=trust[1]) as http:
        token = http.post("/api/oauth/token", data=form)
        assert token.status_code == 200
        headers = {"Authorization": f"Bearer {token.json()['access_token']}"}
        assert http.get("/api/v1/face/one-to-n", headers=headers).json()["entries"] == []
        assert http.get("/docs").status_code == 200


def test_the_capture_socket_is_encrypted(secure: ServerProcess, trust: tuple[Path, ssl.SSLContext]) -> None:
    address = secure.url.replace("https:", "wss:") + "/api/v1/capture/00000000-0000-4000-8000-000000000000"
    with connect(address, ssl=trust[1]) as browser:
        browser.send("no hello")
        assert json.loads(browser.recv(timeout=20))["type"] == "error"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_of_today_are_spoken(
    secure: ServerProcess, trust: tuple[Path, ssl.SSLContext], version: ssl.TLSVersion
) -> None:
    context = ssl.create_default_context(cafile=trust[0])
    context.minimum_version = context.maximum_version = version
    assert httpx.get(f"{secure.url}/healthz", verify=context).status_code == 200


def test_plain_http_gets_nothing(secure: ServerProcess) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{secure.url.replace('https:', 'http:')}/healthz")


def test_a_caller_that_trusts_others_is_not_served(secure: ServerProcess) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{secure.url}/healthz")


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_without_a_certificate_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SetupError, match="LIKENESS_TLS_CERTIFICATE_FILE"):
        make_server(None, test_settings(tmp_path, tls_certificate_file=file), begin_stop=())


def test_a_key_without_its_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs LIKENESS_TLS_CERTIFICATE_FILE"):
        Settings(data_dir=tmp_path, tls_key_file=tmp_path / "key")
