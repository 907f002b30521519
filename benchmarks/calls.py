"""What a call costs beside the engine: HTTP, parsing, authorisation, the answer.

    python benchmarks/calls.py [--quick] [--json PATH]

`likeness serve` runs in a process of its own, with an engine that looks at no photo. Clients with tokens make matches and searches in
another process, on connections that stay open: two photos of 250 kB, or one and a gallery of 20. A processor's time is what counts, since other
work on the machine does not change it much; a rate holds for a machine with nothing else to do. Two peers run in turns with the server:

- a FastAPI application as its handbook has it, that takes the same JSON and asks for no token;
- a bare ASGI application that reads the body and answers: what uvicorn alone costs.

The engine's own time is that of `builtin` for two photos of 640 x 480, in the same run, on one thread. Needs the group `demo` (photos).
"""

import argparse
import base64
import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import numpy as np

from figures import Curves, Report
from likeness.access.scopes import API_SCOPES
from likeness.deployment import initialise, open_deployment
from likeness.engine.base import Face, Use
from likeness.engine.fake import FAKES, FakeEngine, fake_photo
from likeness.engine.policy import FacePolicy
from likeness.settings import Settings

PHOTO_BYTES = 250_000
ENTRIES = 20
WORKERS = 2
CLIENTS = (1, 8, 64)
FEW = 8
CURVE = (1, 2, 4, 8, 16, 32, 64)
"""Clients of the plot: of one kind of call, and of the peers that answer it."""
CURVED = "match, JSON"
FASTAPI, BARE_ASGI = "FastAPI alone", "bare ASGI"
MOST_LOOP_MS = 1.0
LEAST_MATCHES, LEAST_SEARCHES = 600, 900
MOST_OF_ENGINE = 10.0
MATCH, SEARCH, INSERT = "/api/v1/face/match", "/api/v1/face/one-to-n/search", "/api/v1/face/one-to-n/insert"
BOUNDARY = "5f0c3c9e3f0e4a539a550f3ad2f8f1c2"
FORM, JSON = f"multipart/form-data; boundary={BOUNDARY}", "application/json"
BARE = "/bare"


class NullEngine(FakeEngine):
    """Looks at no photo: it decodes nothing, and takes each for that of the person whose number is the photo's last byte."""

    def __init__(self) -> None:
        face = super().analyse(fake_photo(1), use=Use.PROBE)
        numbers = np.random.default_rng(1).standard_normal((256, self.pack.template_size)).astype(np.float32)
        templates = numbers / np.linalg.norm(numbers, axis=1, keepdims=True)
        self._faces = [replace(face, template=template) for template in templates]

    def analyse(self, photo: bytes, *, use: Use, policy: FacePolicy = FacePolicy.LARGEST) -> Face:  # noqa: ARG002
        return self._faces[photo[-1]]


def photo_of(person: int) -> bytes:
    """Give bytes of a photo's size, as random as a photo's, that begin as a JPEG and end with the person's number."""
    return b"\xff\xd8\xff\xe0" + np.random.default_rng(person).bytes(PHOTO_BYTES - 5) + bytes([person])


# --- Servers


def serve() -> None:
    """Be `likeness serve` with the null engine."""
    FAKES[NullEngine.pack.id] = NullEngine
    from likeness.cli import main as likeness

    sys.argv = ["likeness", "serve"]
    likeness()


def serve_peers(port: int) -> None:
    """Be the peers."""
    import uvicorn
    from fastapi import FastAPI
    from pydantic import Base64Bytes, BaseModel, Field

    class Photos(BaseModel):
        source_image: Annotated[Base64Bytes, Field(alias="sourceImage")]
        target_image: Annotated[Base64Bytes, Field(alias="targetImage")]

    class Reply(BaseModel):
        match: bool
        score: float

    application = FastAPI()

    @application.post(MATCH)
    async def match(photos: Photos) -> Reply:
        return Reply(match=photos.source_image[-1] == photos.target_image[-1], score=0.5)

    async def either(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan" or scope["path"] != BARE:
            await application(scope, receive, send)
            return
        body = bytearray()
        while True:
            message = await receive()
            body += message["body"]
            if not message["more_body"]:
                break
        headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})

    uvicorn.run(either, port=port, log_level="error")


Process = subprocess.Popen[bytes]


@contextlib.contextmanager
def process_of(*command: str, script: str = __file__, environment: dict[str, str] | None = None) -> Iterator[Process]:
    with tempfile.TemporaryFile() as log:  # a log is written as any server's is
        command = (sys.executable, script, *command)
        process = subprocess.Popen(command, env=os.environ | (environment or {}), stderr=log, stdout=log)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Spent:
    """Seconds of a processor, of the thread that has the event loop and of the whole process."""

    loop: float
    process: float

    @classmethod
    def until_now(cls, process: Process) -> "Spent":
        times = {
            task.name: int((task / "schedstat").read_text().split()[0]) / 1e9
            for task in Path(f"/proc/{process.pid}/task").iterdir()
        }
        return cls(times[str(process.pid)], sum(times.values()))


# --- Clients


class Connection:
    """One caller's connection."""

    def __init__(self, port: int) -> None:
        end = time.monotonic() + 60
        while True:
            try:
                self._socket = socket.create_connection(("127.0.0.1", port))
                break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self, request: bytes) -> tuple[int, bytes]:
        with contextlib.suppress(BrokenPipeError):  # a refusal may come before all is sent
            self._socket.sendall(request)
        answer = b""
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self._more()
        length = int(answer[:end].lower().split(b"content-length:")[1].split(b"\r\n")[0])
        while len(answer) < end + 4 + length:
            answer += self._more()
        return int(answer[9:12]), answer[end + 4 :]

    def _more(self) -> bytes:
        chunk = self._socket.recv(65536)
        if not chunk:
            raise SystemExit("the server closed a connection")
        return chunk

    def close(self) -> None:
        self._socket.close()


def request_of(path: str, content_type: str, body: bytes, token: str = "") -> bytes:
    lines = (
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        f"Content-Type: {content_type}",
        *([f"Authorization: Bearer {token}"] if token else []),
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join([*lines, "", ""]).encode() + body


def body_of(content_type: str, **photos: bytes) -> bytes:
    if content_type == JSON:
        return json.dumps({name: base64.b64encode(photo).decode() for name, photo in photos.items()}).encode()
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="%s"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    parts = [(head % name).encode() + photo + b"\r\n" for name, photo in photos.items()]
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


@dataclass
class Run:
    """What some callers did: calls, seconds, and the server's processor time per call, in milliseconds."""

    calls: int = 0
    seconds: float = 0.0
    loop_ms: float = 0.0
    process_ms: float = 0.0


def run(process: Process, port: int, request: bytes, clients: int, seconds: float) -> Run:
    """Let some callers call, each again as soon as it has its answer."""
    connections = [Connection(port) for _ in range(clients)]
    counts = [0] * clients
    for connection in connections:
        expect(connection.call(request))
    end = time.monotonic() + seconds

    def go_on(nth: int) -> None:
        while time.monotonic() < end:
            expect(connections[nth].call(request))
            counts[nth] += 1

    threads = [threading.Thread(target=go_on, args=(nth,)) for nth in range(clients)]
    before, began = Spent.until_now(process), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after, took = Spent.until_now(process), time.monotonic() - began
    for connection in connections:
        connection.close()
    calls = sum(counts)
    per_call = 1000 / max(calls, 1)
    return Run(calls, took, (after.loop - before.loop) * per_call, (after.process - before.process) * per_call)


def expect(answer: tuple[int, bytes]) -> bytes:
    status, content = answer
    if status != 200:
        raise SystemExit(f"answered {status}: {content[:200]!r}")
    return content


# --- The run


def engine_ms() -> float:
    """Give the least time that `builtin` takes of a thread for the two photos of a match."""
    import cv2

    from engine import load, portrait
    from likeness.cli.demo.photos import load_photos

    cv2.setNumThreads(1)
    photo = portrait(load_photos(), (640, 480))
    took = []
    with tempfile.TemporaryDirectory() as folder:
        engine = load(Path(folder), "builtin", None)
        for _ in range(12):
            began = time.thread_time()
            engine.analyse(photo, use=Use.ID_PHOTO)
            engine.analyse(photo, use=Use.PROBE)
            took.append(time.thread_time() - began)
    return min(took) * 1000


@contextlib.contextmanager
def serving(
    *command: str,
    script: str = __file__,
    pack: str = "fake",
    workers: int = WORKERS,
    entries: int = ENTRIES,
    **more: str,
) -> Iterator[tuple[Process, int, str]]:
    """Run the server with a gallery; gives its process, its port and a client's token. ``more`` is its environment."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), port=port, pack=pack, workers=workers)
        initialise(settings)
        with contextlib.closing(open_deployment(settings)) as deployment:
            client = deployment.clients.create(deployment.tenants.create("benchmark").id, "benchmark", API_SCOPES)
        environment = {
            "LIKENESS_DATA_DIR": folder,
            "LIKENESS_PORT": str(port),
            "LIKENESS_PACK": pack,
            "LIKENESS_WORKERS": str(workers),
            "LIKENESS_QUEUE_SECONDS": "60",
            "LIKENESS_REQUESTS_PER_MINUTE": "0",
            "LIKENESS_TENANT_REQUESTS_PER_MINUTE": "0",
            **more,
        }
        with process_of(*(command or ("--serve",)), script=script, environment=environment) as process:
            connection = Connection(port)
            form = urlencode(
                {
                    "grant_type": "client_credentials",
                    "client_id": client.client_id,
                    "client_secret": client.client_secret,
                }
            )
            reply = expect(
                connection.call(request_of("/api/oauth/token", "application/x-www-form-urlencoded", form.encode()))
            )
            token = str(json.loads(reply)["access_token"])
            for person in range(entries):
                expect(connection.call(request_of(INSERT, FORM, body_of(FORM, idPhoto=photo_of(person)), token)))
            connection.close()
            yield process, port, token


class Best:
    """The least time and the highest rate of several runs: other work on the machine only adds."""

    def __init__(self) -> None:
        self._runs: dict[tuple[str, int], list[Run]] = {}

    def add(self, name: str, clients: int, found: Run) -> None:
        self._runs.setdefault((name, clients), []).append(found)

    def rate(self, name: str, clients: int = FEW) -> float:
        return max(run.calls / run.seconds for run in self._runs[name, clients])

    def loop_ms(self, name: str, clients: int = FEW) -> float:
        return min(run.loop_ms for run in self._runs[name, clients])

    def process_ms(self, name: str, clients: int = FEW) -> float:
        return min(run.process_ms for run in self._runs[name, clients])


def measure(report: Report, *, seconds: float, turns: int) -> None:
    of_engine = engine_ms()
    report.add("builtin's own time for a match, one thread", of_engine, "ms")
    one, pair = {"idPhoto": photo_of(1)}, {"sourceImage": photo_of(1), "targetImage": photo_of(1)}
    calls = {
        "match, multipart": (MATCH, FORM, body_of(FORM, **pair)),
        "match, JSON": (MATCH, JSON, body_of(JSON, **pair)),
        "search, multipart": (SEARCH, FORM, body_of(FORM, **one)),
        "search, JSON": (SEARCH, JSON, body_of(JSON, **one)),
    }
    to_peers = {
        (CURVED, FASTAPI): request_of(*calls[CURVED]),
        (CURVED, BARE_ASGI): request_of(BARE, *calls[CURVED][1:]),
        ("match, multipart", BARE_ASGI): request_of(BARE, *calls["match, multipart"][1:]),
    }
    best, peer_port = Best(), free_port()
    with serving() as (process, port, token), process_of("--serve-peers", str(peer_port)) as peers:
        for _, clients in itertools.product(range(turns), CURVE):
            for name, call in calls.items():
                if name == CURVED or clients in CLIENTS:
                    best.add(name, clients, run(process, port, request_of(*call, token), clients, seconds))
            for (name, peer), request in to_peers.items():
                if name == CURVED or clients == FEW:
                    best.add(f"{name}: {peer}", clients, run(peers, peer_port, request, clients, seconds))
    for name in calls:
        add_figures(report, best, name, of_engine)
    for name, peer in to_peers:
        add_peer(report, best, name, peer)
    lines = {"Likeness": CURVED, **{peer: f"{name}: {peer}" for name, peer in to_peers if name == CURVED}}
    report.curves.append(
        Curves(
            "Matches by JSON, two photos of 250 kB",
            "clients at once",
            "answers a second",
            {line: [(float(clients), best.rate(name, clients)) for clients in CURVE] for line, name in lines.items()},
        )
    )


def add_figures(report: Report, best: Best, name: str, of_engine: float) -> None:
    for clients in CLIENTS:
        title = f"{name}: {clients} client{'s' * (clients > 1)}"
        rate, loop = best.rate(name, clients), best.loop_ms(name, clients)
        if clients == FEW:
            report.at_least(title, rate, "/s", LEAST_MATCHES if name.startswith("match") else LEAST_SEARCHES)
            report.at_most(f"{title}, event loop's thread", loop, "ms of CPU", MOST_LOOP_MS)
        else:
            report.add(title, rate, "/s")
            report.add(f"{title}, event loop's thread", loop, "ms of CPU")
        bound = 100 / MOST_OF_ENGINE if clients == FEW and name.startswith("match") else None
        builtin = "builtin's own time", of_engine if name.startswith("match") else of_engine / 2
        report.beside(f"{title}, whole server", best.process_ms(name, clients), "ms of CPU", builtin, bound=bound)


def add_peer(report: Report, best: Best, name: str, peer: str) -> None:
    """Add the rate and the processor's time of a call beside a peer's."""
    theirs = f"{name}: {peer}"
    for clients in CURVE if name == CURVED else (FEW,):
        title, rate = f"{name}: {clients} client{'s' * (clients > 1)}", best.rate(name, clients)
        report.beside(title, rate, "/s", (peer, best.rate(theirs, clients)), more_is_better=True)
    title = f"{name}: {FEW} clients, whole server"
    report.beside(title, best.process_ms(name), "ms of CPU", (peer, best.process_ms(theirs)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="half a second each, a minute in all")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--serve-peers", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return
    if options.serve_peers:
        serve_peers(options.serve_peers)
        return
    report = Report(f"the served path, without the engine: photos of {PHOTO_BYTES / 1000:g} kB, {WORKERS} workers")
    if options.quick:
        measure(report, seconds=0.5, turns=1)
    else:
        measure(report, seconds=1.5, turns=3)
    if not report.publish(options.json):
        sys.exit(1)


if __name__ == "__main__":
    main()
