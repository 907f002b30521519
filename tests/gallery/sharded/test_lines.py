"""Lines between servers and shards: answers are not mixed up, strangers get none, and a broken line is told."""

import asyncio
import datetime as dt
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from likeness.gallery.sharded import lines
from likeness.gallery.sharded.lines import BROKEN, Line, LinePort


@contextmanager
def port_of(answer: Callable[[bytes], bytes]) -> Iterator[LinePort]:
    with ThreadPoolExecutor(8) as threads, closing(LinePort("127.0.0.1", answer, threads)) as port:
        yield port


def echo(message: bytes) -> bytes:
    return b"answer to " + message


def test_answers_come_back_to_those_who_asked() -> None:
    first_may_go = threading.Event()

    def answer(message: bytes) -> bytes:
        if message == b"0":
            first_may_go.wait()  # the first answer comes last
        elif message == b"49":
            first_may_go.set()
        return echo(message)

    async def ask(port: LinePort) -> list[bytes]:
        line = await Line.open(port.address)
        return list(await asyncio.gather(*(line.ask(str(number).encode()) for number in range(50))))

    with port_of(answer) as port:
        assert asyncio.run(ask(port)) == [echo(str(number).encode()) for number in range(50)]


def test_a_caller_with_another_key_is_not_heard() -> None:
    heard = []
    with port_of(lambda message: heard.append(message) or b"") as port:  # type: ignore[func-returns-value]
        with pytest.raises(BROKEN):
            asyncio.run(Line.open(replace(port.address, key=bytes(32))))
        with socket.create_connection((port.address.host, port.address.port)) as stranger:
            stranger.sendall(bytes(32) + bytes(32) + bytes(8) + b"\0\0\0\x04" + b"abcd")
            while stranger.recv(1024):
                pass  # until the shard hangs up
    assert not heard


def test_a_stranger_who_says_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "PROOF_SECONDS", 0.1)
    with port_of(echo) as port, socket.create_connection((port.address.host, port.address.port)) as stranger:
        assert len(stranger.recv(1024)) == 32
        assert stranger.recv(1024) == b""


def test_a_shard_that_does_not_know_the_key_gets_no_message() -> None:
    """A proof must not be a caller's own, sent back."""

    async def mirror(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            while heard := await reader.read(1024):
                writer.write(heard)

    async def ask() -> None:
        async with await asyncio.start_server(mirror, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(ConnectionError, match="does not know the key"):
                await Line.open(lines.LineAddress("127.0.0.1", port, bytes(32)))

    asyncio.run(ask())


def test_a_line_that_breaks_fails_what_was_asked_and_all_later_calls() -> None:
    asked, may_end = threading.Event(), threading.Event()

    def answer(message: bytes) -> bytes:
        asked.set()
        may_end.wait()
        return message

    async def ask(port: LinePort) -> None:
        line = await Line.open(port.address)
        waiting = asyncio.create_task(line.ask(b"a"))
        await asyncio.to_thread(asked.wait)
        await asyncio.to_thread(port.close)
        with pytest.raises(ConnectionError):
            await waiting
        assert not line.is_open
        with pytest.raises(ConnectionError):
            await line.ask(b"b")
        may_end.set()

    with ThreadPoolExecutor(1) as threads:
        asyncio.run(ask(LinePort("127.0.0.1", answer, threads)))


def test_with_rays_tls_a_line_needs_a_certificate_of_the_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in certificates(tmp_path).items():
        monkeypatch.setenv(name, value)

    async def ask(port: LinePort) -> bytes:
        line = await Line.open(port.address)
        return await line.ask(b"a")

    with port_of(echo) as port:
        assert asyncio.run(ask(port)) == echo(b"a")
        for name, value in certificates(tmp_path).items():  # of another authority
            monkeypatch.setenv(name, value)
        with pytest.raises(BROKEN):
            asyncio.run(ask(port))
        monkeypatch.setenv("RAY_USE_TLS", "0")
        with pytest.raises(BROKEN):
            asyncio.run(ask(port))


def certificates(folder: Path) -> dict[str, str]:
    """Make an authority and its certificate for this machine. Give them as Ray's settings."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shard")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / str(certificate.serial_number)
    files.mkdir()
    (files / "certificate").write_bytes(certificate.public_bytes(Encoding.PEM))
    (files / "key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return {
        "RAY_USE_TLS": "1",
        "RAY_TLS_CA_CERT": str(files / "certificate"),
        "RAY_TLS_SERVER_CERT": str(files / "certificate"),
        "RAY_TLS_SERVER_KEY": str(files / "key"),
    }
