"""The connection goes to the checked address. The certificate must still be the host's."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from socket import AddressFamily, SocketKind
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from likeness.errors import SetupError
from likeness.kit.clock import MovableClock
from likeness.webhooks.addresses import LOOKUPS_PER_NAME, Names
from likeness.webhooks.sender import DeliveryOutcome, Sender
from likeness.webhooks.target import Target
from servers import test_settings, wait_until
from webhooks.receiver import Receiver, receiving


def certificate(folder: Path, name: str) -> Path:
    """Write a self-signed certificate with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture(params=["localhost", "elsewhere.example"])
def secured(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Receiver, ssl.SSLContext, str]]:
    file = certificate(tmp_path, request.param)
    with receiving(file) as receiver:
        trust = ssl.create_default_context(cafile=file)
        yield receiver, trust, request.param


def send(receiver: Receiver, trust: ssl.SSLContext | None) -> DeliveryOutcome:
    async def run() -> DeliveryOutcome:
        sender = Sender(MovableClock(), private_addresses=True, trust=trust)
        try:
            url = receiver.url.replace("127.0.0.1", "localhost")
            return await sender.send(Target(url, {}, "s"), "jws", delivery_id="d")
        finally:
            await sender.close()

    return asyncio.run(run())


def test_the_certificate_must_be_the_hosts(secured: tuple[Receiver, ssl.SSLContext, str]) -> None:
    receiver, trust, name = secured
    outcome = send(receiver, trust)
    if name == "localhost":
        assert outcome.delivered
        assert receiver.headers[0]["Host"] == receiver.url.removeprefix("https://").replace("127.0.0.1", "localhost")
    else:
        assert outcome.error == "not reached (ConnectError)"
        assert receiver.bodies == []


def test_a_certificate_that_nobody_vouches_for_is_refused(secured: tuple[Receiver, ssl.SSLContext, str]) -> None:
    receiver, _, _ = secured
    assert send(receiver, None).error == "not reached (ConnectError)"
    assert receiver.bodies == []


def test_an_address_that_does_not_answer_leaves_time_for_the_next(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    post_to, asked = Sender._post_to, []

    async def mute_first(sender: Sender, address: str, *rest: Any) -> Any:
        asked.append(address)
        if address == "192.0.2.1":
            raise httpx.ConnectTimeout("no answer")
        return await post_to(sender, address, *rest)

    async def both(_names: Names, _host: str, _port: int, *, private_addresses: bool) -> list[str]:
        return ["192.0.2.1", "127.0.0.1"]

    monkeypatch.setattr(Sender, "_post_to", mute_first)
    monkeypatch.setattr("likeness.webhooks.sender.resolve", both)
    assert send(receiver, None).delivered
    assert asked == ["192.0.2.1", "127.0.0.1"]


def test_names_without_an_answer_hold_up_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()

    def mute(host: str, *_: int, **__: Any) -> list[tuple[AddressFamily, SocketKind, int, str, tuple[str, int]]] | None:
        if host == "mute.example":
            answers.wait(30)
            raise socket.gaierror("no answer")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 443))]

    monkeypatch.setattr(socket, "getaddrinfo", mute)

    async def main() -> None:
        names = Names()
        for _ in range(LOOKUPS_PER_NAME):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await names.find("mute.example", 443)
        with pytest.raises(TimeoutError):
            await names.find("mute.example", 443)  # at once, because the earlier look-ups have no answer yet
        assert await names.find("heard.example", 443) == ["192.0.2.7"]
        answers.set()
        await asyncio.to_thread(wait_until, lambda: not names._under_way)
        with pytest.raises(OSError, match="no answer"):
            await names.find("mute.example", 443)
        names.close()

    asyncio.run(main())


def send_as_set(url: str, folder: Path, **settings: Any) -> DeliveryOutcome:
    async def run() -> DeliveryOutcome:
        chosen = test_settings(folder, **{"webhook_private_addresses": True} | settings)
        sender = Sender.of(chosen, MovableClock())
        try:
            return await sender.send(Target(url, {}, "s"), "jws", delivery_id="d")
        finally:
            await sender.close()

    return asyncio.run(run())


def test_the_settings_name_an_authority_and_a_certificate_to_show(tmp_path: Path) -> None:
    theirs, ours = certificate(tmp_path, "localhost"), certificate(tmp_path, "likeness.example")
    with receiving(theirs, callers=ours) as receiver:
        url = receiver.url.replace("127.0.0.1", "localhost")
        assert not send_as_set(url, tmp_path).delivered
        assert not send_as_set(url, tmp_path, webhook_ca_file=theirs).delivered
        assert not send_as_set(url, tmp_path, webhook_certificate_file=ours).delivered
        assert receiver.bodies == []
        assert send_as_set(url, tmp_path, webhook_ca_file=theirs, webhook_certificate_file=ours).delivered


@pytest.mark.parametrize("setting", ["webhook_ca_file", "webhook_certificate_file"])
def test_a_file_without_a_certificate_is_named(tmp_path: Path, setting: str) -> None:
    (tmp_path / "empty").write_bytes(b"")
    for file in (tmp_path / "empty", tmp_path / "missing"):
        with pytest.raises(SetupError, match="LIKENESS_WEBHOOK_CA_FILE"):
            send_as_set("https://receiver.example", tmp_path, **{setting: file})


def test_a_sender_without_egress_connects_to_nothing(receiver: Receiver, tmp_path: Path) -> None:
    assert send_as_set(receiver.url, tmp_path, egress="none").error == "LIKENESS_EGRESS forbids webhooks"
    assert receiver.bodies == []
    assert send_as_set(receiver.url, tmp_path, egress="webhooks").delivered


@contextlib.contextmanager
def proxy() -> Iterator[tuple[str, list[bytes]]]:
    """Run an HTTP proxy that sends every name to the loopback address. Give its address, and the first line of each call."""
    calls: list[bytes] = []

    async def carry(read: asyncio.StreamReader, write: asyncio.StreamWriter) -> None:
        while piece := await read.read(65536):
            write.write(piece)
            await write.drain()
        write.close()

    async def serve(read: asyncio.StreamReader, write: asyncio.StreamWriter) -> None:
        head = await read.readuntil(b"\r\n\r\n")
        calls.append(head.split(b"\r\n")[0])
        assert b"Proxy-Authorization: Basic dXNlcjpwYXNz" in head
        port = int(calls[-1].split(b" ")[1].rpartition(b":")[2])
        there_read, there_write = await asyncio.open_connection("127.0.0.1", port)
        write.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        await asyncio.gather(carry(read, there_write), carry(there_read, write), return_exceptions=True)

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://user:pass@127.0.0.1:{server.sockets[0].getsockname()[1]}", calls
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        server.close()
        loop.run_until_complete(asyncio.sleep(0.05))
        loop.close()


def test_a_proxy_resolves_the_name_and_sees_no_content(tmp_path: Path) -> None:
    theirs = certificate(tmp_path, "receiver.example")
    with receiving(theirs) as receiver, proxy() as (address, calls):
        port = receiver.url.rpartition(":")[2]
        url = f"https://receiver.example:{port}/face"
        ways = {"webhook_proxy": address, "webhook_ca_file": theirs, "webhook_private_addresses": False}
        assert send_as_set(url, tmp_path, **ways).delivered
        assert calls == [f"CONNECT receiver.example:{port} HTTP/1.1".encode()]
        assert receiver.headers[0]["Host"] == f"receiver.example:{port}"
        outcome = send_as_set(f"https://127.0.0.1:{port}/face", tmp_path, **ways)
        assert outcome.error == "the host leads to a private address"
        assert len(calls) == 1
