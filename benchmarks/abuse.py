"""What strangers may do to a server, and whether it stays there for everybody else.

    python benchmarks/abuse.py [--quick] [--json PATH] [--only NAME ...]

A real ``likeness serve`` is attacked from another process, one abuse after the other. All the while ``/healthz`` is asked on
fresh connections, and a rightful client gets tokens and makes calls. Three figures hold for each abuse: the slowest ``/healthz``,
the share of the client's calls that succeeded, and the server's greatest resident memory.

To add an abuse, write ``async def my_abuse(target: Target) -> int`` that does its worst until ``target.over()`` and gives the number
of its rounds (``attack_with`` runs one round again and again on several tasks), and put ``@abuse("what it does")`` on it.
"""

import argparse
import asyncio
import base64
import contextlib
import http.client
import io
import json
import math
import os
import random
import resource
import secrets
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from PIL import Image as Pillow

from figures import Report
from likeness.access.scopes import API_SCOPES
from likeness.deployment import initialise, open_deployment
from likeness.engine.fake import fake_photo
from likeness.settings import Settings
from reporting.memory import ProcessMemory

WORST_HEALTH_MS = 250
LARGEST_RESIDENT_MB = 600
QUICK_SECONDS, FULL_SECONDS = 2.0, 20.0
HEALTH_EVERY, CALL_EVERY = 0.05, 0.2
SESSION_SECONDS, SWEEPS_WITHIN = 30, 16
GIVE_UP_SECONDS = 30
"""A call that takes longer has failed."""


@dataclass(frozen=True)
class Target:
    """The server under attack; ``token`` opens everything in a tenant of its own, for abuses of those who are let in."""

    host: str
    port: int
    client_id: str
    client_secret: str
    token: str
    ends_at: float

    def over(self) -> bool:
        return time.time() >= self.ends_at

    def head(self, method: str, path: str, *headers: str) -> bytes:
        """Give a request's head; without the empty line when the last header is ''."""
        return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}", *headers, ""]).encode()


Attack = Callable[[Target], Coroutine[Any, Any, int]]
ABUSES: dict[str, Attack] = {}


def abuse(name: str) -> Callable[[Attack], Attack]:
    """Put an attack on the list, under the name that its figures carry."""

    def enlist(attack: Attack) -> Attack:
        ABUSES[name] = attack
        return attack

    return enlist


# --- Means of attack


Round = Callable[[Target, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def attack_with(target: Target, tasks: int, one_round: Round, *, pause: float = 0) -> int:
    """Run a round on a fresh connection again and again, on so many tasks at once; gives the number of rounds begun."""
    rounds = 0

    async def go_on() -> None:
        nonlocal rounds
        while not target.over():
            rounds += 1
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                reader, writer = await asyncio.open_connection(target.host, target.port)
                try:
                    async with asyncio.timeout(max(0.1, target.ends_at - time.time())):
                        await one_round(target, reader, writer)
                finally:
                    writer.transport.abort()
            await asyncio.sleep(pause)

    await asyncio.gather(*(go_on() for _ in range(tasks)))
    return rounds


async def pour(writer: asyncio.StreamWriter, chunk: bytes) -> None:
    """Send a chunk again and again until the other side will have no more."""
    while True:
        writer.write(chunk)
        await writer.drain()


# --- The abuses, those of nobody's client first


@abuse("a header without end")
async def endless_header(target: Target) -> int:
    async def one_round(target: Target, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(target.head("GET", "/healthz") + b"X-Long: ")
        await pour(writer, b"a" * 65536)

    return await attack_with(target, 6, one_round)


@abuse("headers without number")
async def headers_without_number(target: Target) -> int:
    async def one_round(target: Target, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(target.head("GET", "/healthz"))
        await pour(writer, b"X: a\r\n" * 10_000)

    return await attack_with(target, 6, one_round)


@abuse("connections that say nothing")
async def silent_connections(target: Target) -> int:
    async def one_round(_: Target, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await reader.read()

    return await attack_with(target, 2000, one_round, pause=0.5)


@abuse("heads that never end")
async def unfinished_heads(target: Target) -> int:
    async def one_round(target: Target, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(target.head("GET", "/healthz"))
        while True:
            await asyncio.sleep(1)
            writer.write(b"X: a\r\n")
            await writer.drain()

    return await attack_with(target, 1500, one_round, pause=0.5)


@abuse("bodies by the drop")
async def slow_bodies(target: Target) -> int:
    """Half of them token calls of nobody, half uploads of a client that is let in."""

    async def one_round(target: Target, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if random.random() < 0.5:
            form = ("Content-Type: application/x-www-form-urlencoded", "Content-Length: 16000", "")
            writer.write(target.head("POST", "/api/oauth/token", *form))
        else:
            body = (
                f"Authorization: Bearer {target.token}",
                "Content-Type: application/json",
                "Content-Length: 9000000",
            )
            writer.write(target.head("POST", "/api/v1/face/match", *body, ""))
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(1)

    return await attack_with(target, 300, one_round, pause=0.5)


@abuse("uploads that go on after the refusal")
async def endless_uploads(target: Target) -> int:
    async def one_round(target: Target, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(target.head("POST", "/api/v1/face/match", "Transfer-Encoding: chunked", ""))
        await pour(writer, b"10000\r\n" + bytes(65536) + b"\r\n")

    return await attack_with(target, 8, one_round)


def token_call(target: Target, client_id: str, client_secret: str) -> bytes:
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
    body = urlencode(form).encode()
    headers = (
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}",
        "Connection: close",
        "",
    )
    return target.head("POST", "/api/oauth/token", *headers) + body


@abuse("token calls of unknown clients")
async def unknown_clients(target: Target) -> int:
    async def one_round(target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(token_call(target, str(uuid.uuid4()), secrets.token_urlsafe(48)))
        await reader.read()

    return await attack_with(target, 40, one_round)


@abuse("wrong secrets of a client that is known")
async def wrong_secrets(target: Target) -> int:
    async def one_round(target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(token_call(target, target.client_id, secrets.token_urlsafe(48)))
        await reader.read()

    return await attack_with(target, 40, one_round)


@abuse("chunks of one byte")
async def tiny_chunks(target: Target) -> int:
    async def one_round(target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        form = ("Content-Type: application/x-www-form-urlencoded", "Transfer-Encoding: chunked", "")
        writer.write(target.head("POST", "/api/oauth/token", *form) + b"1\r\na\r\n" * 40_000)
        await writer.drain()
        await reader.read()

    return await attack_with(target, 8, one_round)


@abuse("answers that nobody reads")
async def unread_answers(target: Target) -> int:
    async def one_round(target: Target, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await pour(writer, target.head("GET", "/openapi.json", "") * 100)

    return await attack_with(target, 50, one_round)


# --- The abuses of a client that is let in


def call_with_token(target: Target, path: str, content_type: str, body: bytes) -> bytes:
    headers = (
        f"Authorization: Bearer {target.token}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        "",
    )
    return target.head("POST", path, *headers) + body


def a_call(path: str, content_type: str, *bodies: bytes) -> Round:
    """Give a round of one call, with one of the bodies."""

    async def one_round(target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(call_with_token(target, path, content_type, random.choice(bodies)))
        await reader.read()

    return one_round


def form_of(photo: bytes, *names: str) -> bytes:
    part = b'--cut\r\nContent-Disposition: form-data; name="%b"; filename="a"\r\n\r\n%b\r\n'
    return b"".join(part % (name.encode(), photo) for name in names) + b"--cut--\r\n"


FORM, JSON = "multipart/form-data; boundary=cut", "application/json"


def png_bomb(width: int, height: int, depth: int, colour: int, *extra: tuple[bytes, bytes]) -> bytes:
    """Give a PNG of one colour, in the filter that costs most: some kilobytes that unfold to much."""
    row = b"\x04" + bytes((width * depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour] + 7) // 8)
    packed = zlib.compressobj(9)
    rows = max(1, (1 << 16) // len(row))
    body = b"".join(packed.compress(row * min(rows, height - first)) for first in range(0, height, rows))
    body += packed.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), *extra, (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def large_jpeg(width: int, height: int) -> bytes:
    """Give a progressive JPEG, which is decoded as a whole."""
    stored = io.BytesIO()
    Pillow.new("RGB", (width, height), (120, 120, 120)).save(stored, "JPEG", progressive=True, subsampling=2)
    return stored.getvalue()


@cache
def bombs() -> list[bytes]:
    clear = (b"tRNS", bytes(6))
    photos = [
        png_bomb(7071, 7071, 1, 0),
        png_bomb(7071, 7071, 8, 3, (b"PLTE", bytes(6)), (b"tRNS", b"\0\xff")),
        png_bomb(7071, 7071, 8, 2, clear),
        png_bomb(1, 50_000_000, 1, 0),
        # the most that is let in
        png_bomb(6144, 4096, 8, 2),
        png_bomb(4096, 3072, 8, 2, clear),
        large_jpeg(6000, 4000),
    ]
    return [form_of(photo, "sourceImage", "targetImage") for photo in photos]


@abuse("photos that unfold to gigabytes")
async def unfolding_photos(target: Target) -> int:
    return await attack_with(target, 16, a_call("/api/v1/face/match", FORM, *bombs()))


@abuse("JSON of brackets")
async def brackets(target: Target) -> int:
    bodies = [b'{"a":[' + b"[]," * 4_600_000 + b"[]]}", b"[" * 13_000_000, b'{"a":' * 2_000_000, b'"' * 13_000_000]
    return await attack_with(target, 8, a_call("/api/v1/face/match", JSON, *bodies))


@abuse("the largest bodies that are let in")
async def large_bodies(target: Target) -> int:
    photo = fake_photo(1)
    padded = photo + bytes(5 * 1024 * 1024 - len(photo))
    text = base64.b64encode(padded)
    body = b'{"sourceImage":"%b","targetImage":"%b"}' % (text, text)
    return await attack_with(target, 30, a_call("/api/v1/face/match", JSON, body))


@abuse("sessions whose redirectUrl grows")
async def growing_addresses(target: Target) -> int:
    """Kept as they come, they could not be read again, and would stop the expiry of everybody's sessions."""
    photo = base64.b64encode(fake_photo(1)).decode()
    urls = [
        "https://a/" + "é" * 1000,
        "https://a/" + " " * 2000,
        "https://a/?" + "ü" * 340,
        "https://" + "ß" * 60 + ".de",
    ]
    bodies = [json.dumps({"idPhoto": photo, "redirectUrl": url}, ensure_ascii=False).encode() for url in urls]
    return await attack_with(target, 8, a_call("/api/v1/face", JSON, *bodies))


# --- Those who must not notice


@dataclass
class Observed:
    """What the health check and the rightful client saw while one abuse went on."""

    health_ms: list[float] = field(default_factory=list)
    calls: list[bool] = field(default_factory=list)
    sessions: list[tuple[float, str]] = field(default_factory=list)
    """What the client opened: when, and the id."""


def ask(target: Target, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    """Make a call on a fresh connection, as those do who come in the middle of it; status 0 when there was no answer."""
    connection = http.client.HTTPConnection(target.host, target.port, timeout=GIVE_UP_SECONDS)
    try:
        connection.request(method, path, body, headers={name.replace("_", "-"): text for name, text in headers.items()})
        reply = connection.getresponse()
        return reply.status, reply.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def watch_health(target: Target, seen: Observed) -> None:
    while not target.over():
        began = time.perf_counter()
        status, _ = ask(target, "GET", "/healthz")
        took = (time.perf_counter() - began) * 1000
        seen.health_ms.append(took if status == 200 else GIVE_UP_SECONDS * 1000)
        time.sleep(HEALTH_EVERY)


def get_token(target: Target) -> str | None:
    form = {"grant_type": "client_credentials", "client_id": target.client_id, "client_secret": target.client_secret}
    body = urlencode(form).encode()
    status, reply = ask(target, "POST", "/api/oauth/token", body, Content_Type="application/x-www-form-urlencoded")
    return json.loads(reply)["access_token"] if status == 200 else None


def live_as_a_client(target: Target, seen: Observed) -> None:
    """Get a token, match, search and open a session, as a bank's backend does."""
    photo = base64.b64encode(fake_photo(1)).decode()
    calls = {
        "/api/v1/face/match": {"sourceImage": photo, "targetImage": photo},
        "/api/v1/face/one-to-n/search": {"idPhoto": photo},
        "/api/v1/face": {"idPhoto": photo},
    }
    while not target.over():
        token = get_token(target)
        seen.calls.append(token is not None)
        for path, fields in calls.items():
            body = json.dumps(fields).encode()
            headers = {"Authorization": f"Bearer {token}", "Content_Type": "application/json"}
            status, reply = ask(target, "POST", path, body, **headers)
            seen.calls.append(status in {200, 201})
            if status == 201:
                seen.sessions.append((time.time(), json.loads(reply)["sessionId"]))
        time.sleep(CALL_EVERY)


def share_ended(bank: Target, sessions: list[tuple[float, str]]) -> float:
    """Give the share of the sessions past their time, in percent, that the server ended: each then has a result."""
    due = [session for opened, session in sessions if opened < time.time() - SESSION_SECONDS - SWEEPS_WITHIN]
    token = f"Bearer {get_token(bank)}"
    ended = [ask(bank, "GET", f"/api/v1/info/{session}", Authorization=token)[0] == 200 for session in due]
    return 100 * sum(ended) / len(ended) if ended else math.nan


# --- The server, and the run


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple["subprocess.Popen[bytes]", Target, Target]]:
    """Run a server; gives its process, and it as a target of the attacker and of the rightful client."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = Settings(data_dir=folder, port=port, pack="fake", workers=2)
    initialise(settings)
    deployment = open_deployment(settings)
    credentials = [
        deployment.clients.create(deployment.tenants.create(name).id, name, API_SCOPES) for name in ("attacker", "bank")
    ]
    deployment.close()
    chosen = {"DATA_DIR": str(folder), "PORT": str(port), "PACK": "fake", "WORKERS": "2", "LOG_LEVEL": "warning"}
    chosen["ATTEMPTS_PER_PHOTO"] = "0"  # the bank opens all its sessions with one photo
    chosen["SESSION_TTL_SECONDS"] = str(SESSION_SECONDS)
    environment = os.environ | {f"LIKENESS_{name}": value for name, value in chosen.items()}
    process = subprocess.Popen([sys.executable, "-m", "likeness", "serve"], env=environment)
    try:
        targets = [Target("127.0.0.1", port, one.client_id, one.client_secret, "", 0) for one in credentials]
        end = time.monotonic() + 60
        while ask(targets[0], "GET", "/readyz")[0] != 200:
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit("the server did not start")
            time.sleep(0.1)
        attacked, bank = (Target(**asdict(one) | {"token": get_token(one) or ""}) for one in targets)
        yield process, attacked, bank
    finally:
        process.terminate()
        process.wait(60)


def resident_mb(process: "subprocess.Popen[bytes]") -> tuple[float, float]:
    """Give the resident memory, now and the greatest since the last look, and begin anew."""
    memory = ProcessMemory(process.pid)
    now, most = memory.resident(), memory.peak()
    memory.forget_peak()
    return now, most


class Attacker:
    """The attacker: a process of its own, which takes one order after the other."""

    def __init__(self) -> None:
        # It would bring a machine of its own: this one's processors are the server's first.
        command = ["nice", "-n", "5", sys.executable, __file__, "--attacker"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._hear()  # it is up

    def begin(self, name: str, target: Target) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"name": name, "target": asdict(target)}) + "\n")
        self._process.stdin.flush()

    def end(self) -> int:
        """Give the number of rounds that the abuse had."""
        return int(self._hear())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _hear(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()


def attack_as_ordered() -> None:
    """Be the attacker."""
    least, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(least, min(most, 16384)), most))
    bombs()  # making them takes a while
    print("up", flush=True)
    for order in sys.stdin:
        wanted = json.loads(order)
        print(asyncio.run(ABUSES[wanted["name"]](Target(**wanted["target"]))), flush=True)


def observe(
    attacker: Attacker, name: str | None, attacked: Target, bank: Target, seconds: float
) -> tuple[Observed, int]:
    """Let one abuse go on (or none) while the others live on; gives what they saw and the attacker's rounds."""
    seen, ends_at = Observed(), time.time() + seconds
    attacked, bank = (Target(**asdict(one) | {"ends_at": ends_at}) for one in (attacked, bank))
    if name:
        attacker.begin(name, attacked)
    threads = [threading.Thread(target=part, args=(bank, seen)) for part in (watch_health, live_as_a_client)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen, attacker.end() if name else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few seconds an abuse")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--only", nargs="+", choices=list(ABUSES), help="some abuses alone")
    parser.add_argument("--attacker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.attacker:
        attack_as_ordered()
        return
    report = Report("abuse: what others notice of it")
    seconds = QUICK_SECONDS if options.quick else FULL_SECONDS
    with (
        contextlib.closing(Attacker()) as attacker,
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder)) as (process, attacked, bank),
    ):
        sessions, first_ended = list[tuple[float, str]](), 0.0
        # First the sessions that grow: they, and the bank's of that time, are past their end after the other abuses.
        names = options.only or sorted(ABUSES, key=lambda name: ABUSES[name] is not growing_addresses)
        for name in (names[0], None, *names[1:]):
            seen, rounds = observe(attacker, name, attacked, bank, seconds)
            sessions += seen.sessions
            first_ended = first_ended or time.time()
            title = name or "nobody attacks"
            report.at_most(f"{title}: slowest /healthz", max(seen.health_ms), "ms", WORST_HEALTH_MS)
            report.at_least(f"{title}: calls that succeed", 100 * sum(seen.calls) / len(seen.calls), "%", 100)
            report.at_most(f"{title}: resident memory", resident_mb(process)[1], "MB", LARGEST_RESIDENT_MB)
            if name:
                # No speed of ours, so nothing to compare with the last release.
                report.add(f"{title}: rounds of the attacker", rounds, "", target=">= 1", ok=rounds >= 1)
        report.add("afterwards: resident memory", resident_mb(process)[0], "MB")
        if not options.only:
            time.sleep(max(0.0, first_ended + SESSION_SECONDS + SWEEPS_WITHIN - time.time()))
            report.at_least("sessions past their time that were ended", share_ended(bank, sessions), "%", 100)
    if not report.publish(options.json):
        sys.exit(1)


if __name__ == "__main__":
    main()
