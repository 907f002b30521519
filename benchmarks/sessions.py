"""What face sessions cost the server: several at once over real sockets, with frames of a simulated person.

    python benchmarks/sessions.py [--quick] [--json PATH] [--mirror DIR] [--sessions N]

The server is a process of its own. The frames were rendered beforehand, so that rendering takes nothing from the server: each
session sends, for every step that it is asked for, what the simulated person did at that step. The recording does not know the
colours of the session at hand, so attempts end as failed ones; a frame costs what it would in a live one. All signals are on, also
those of injection: the page signs its frames, and tells its camera's facts and clock.
"""

import argparse
import asyncio
import base64
import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.asyncio.client import ClientConnection, connect

from figures import Report, add_mirror
from likeness.access.scopes import API_SCOPES
from likeness.cli.demo.photos import DemoPhotos, load_photos
from likeness.deployment import initialise, open_deployment
from likeness.engine.packs.identity import PackId
from likeness.engine.packs.loading import load_engine
from likeness.evaluation.liveness.simulator.portrait import Portrait
from likeness.evaluation.liveness.simulator.session import Shot, carry_out
from likeness.evaluation.liveness.simulator.subject import SimulatedSubject
from likeness.liveness.attempt.check import Check
from likeness.liveness.attempt.script import LivenessMode, draw_script
from likeness.sessions.capture.messages import pack_frame
from likeness.settings import Settings

CAMERA_SECONDS = 1 / 12
HELD_SESSIONS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="ends within a minute")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--sessions", type=int, default=HELD_SESSIONS, help="sessions at once")
    add_mirror(parser)
    options = parser.parse_args()
    seconds = 4.0 if options.quick else 12.0
    photos = load_photos()
    report = Report(f"face sessions, a server on {os.cpu_count()} cores, frames of a simulated person")
    with tempfile.TemporaryDirectory() as folder:
        for pack in ("best", "builtin") if options.mirror and not options.quick else ("builtin",):
            data = Path(folder) / pack
            shots = record(pack, photos, data / "models", options.mirror)
            with serving(data, pack, options.mirror) as server:
                for count in sorted({1, options.sessions}):
                    before = server.cpu_seconds()
                    browsers = asyncio.run(drive(server, photos, shots, count, seconds))
                    add_figures(report, f"{pack}, {count} at once", browsers, server.cpu_seconds() - before)
    if not report.publish(options.json):
        sys.exit(1)


def record(pack: str, photos: DemoPhotos, models: Path, mirror: Path | None) -> dict[str, list[bytes]]:
    """Render one attempt of a simulated live person and give its frames by what was being asked."""
    engine = load_engine(PackId(pack), models_dir=models, mirror=mirror)
    chance = np.random.default_rng(1)
    photo = engine.decode(photos.astronaut)
    subject = SimulatedSubject(Portrait.from_photo(photo, engine.detect(photo)[0].landmarks, chance), chance)
    recording: list[Shot] = []
    carry_out(subject, Check(engine, draw_script(LivenessMode.ACTIVE)), chance, recording=recording)
    shots = defaultdict(list)
    for shot in recording:
        shots[shot.status_code].append(shot.data)
    return shots


@dataclass(frozen=True)
class RunningServer:
    url: str
    headers: dict[str, str]
    process: "subprocess.Popen[bytes]"

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def serving(data: Path, pack: str, mirror: Path | None) -> Iterator[RunningServer]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = Settings(data_dir=data, port=port, pack=pack, models_mirror=mirror)
    initialise(settings)
    deployment = open_deployment(settings)
    credentials = deployment.clients.create(deployment.tenants.create("benchmark").id, "benchmark", API_SCOPES)
    deployment.close()
    given = {"data_dir": data, "port": port, "pack": pack, "log_level": "warning", "attempts_per_photo": 0}
    given |= {"models_mirror": mirror} if mirror else {}
    environment = os.environ | {f"LIKENESS_{name.upper()}": str(value) for name, value in given.items()}
    process = subprocess.Popen([sys.executable, "-m", "likeness", "serve"], env=environment)
    try:
        wait_until_ready(settings.origin)
        form = {"grant_type": "client_credentials", "client_id": credentials.client_id}
        form |= {"client_secret": credentials.client_secret}
        token = httpx.post(f"{settings.origin}/api/oauth/token", data=form).raise_for_status().json()["access_token"]
        yield RunningServer(settings.origin, {"Authorization": f"Bearer {token}"}, process)
    finally:
        process.terminate()
        process.wait(30)


def wait_until_ready(url: str) -> None:
    for _ in range(600):
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz").status_code == 200:
                return
        time.sleep(0.1)
    raise SystemExit(f"{url} did not become ready")


CAMERA = {
    "camera": "Integrated Webcam",
    "track": {"kind": "MediaStreamTrack", "listed": True, "native": True, "width": 640, "height": 480, "frameRate": 30},
}


class PageKey:
    """The key of a page, which signs its frames."""

    def __init__(self) -> None:
        self._key = generate_private_key(SECP256R1())
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public = base64.urlsafe_b64encode(point).decode().rstrip("=")

    def sign(self, nonce: str, jpeg: bytes) -> str:
        numbers = decode_dss_signature(self._key.sign(nonce.encode() + jpeg, ECDSA(SHA256())))
        return base64.urlsafe_b64encode(b"".join(one.to_bytes(32) for one in numbers)).decode().rstrip("=")


@dataclass
class Streamed:
    """One session after the other in one browser: how it went while frames were wanted."""

    judged: list[float] = field(default_factory=list)
    """Milliseconds from sending each frame to the server's answer."""
    seconds: float = 0.0


async def drive(
    server: RunningServer, photos: DemoPhotos, shots: dict[str, list[bytes]], count: int, seconds: float
) -> list[Streamed]:
    """Let ``count`` browsers run side by side; each opens the next session when one has ended."""
    end = time.monotonic() + seconds
    browsers = [Streamed() for _ in range(count)]
    async with httpx.AsyncClient(base_url=server.url, headers=server.headers, timeout=30) as http:

        async def run(streamed: Streamed) -> None:
            while time.monotonic() < end:
                await carry_through(http, photos.astronaut_again["relit"], shots, streamed, end)

        await asyncio.gather(*map(run, browsers))
    return browsers


async def carry_through(
    http: httpx.AsyncClient, id_photo: bytes, shots: dict[str, list[bytes]], streamed: Streamed, end: float
) -> None:
    """Open one session and carry one attempt out."""
    body = {"idPhoto": base64.b64encode(id_photo).decode(), "maxAttempts": 1}
    reply = (await http.post("/api/v1/face", json=body)).raise_for_status().json()
    token = parse_qs(urlsplit(reply["captureUrl"]).fragment)["token"][0]
    address = f"{str(http.base_url).replace('http', 'ws', 1)}/api/v1/capture/{reply['sessionId']}"
    key = PageKey()
    async with connect(address, compression=None) as browser:
        await browser.send(json.dumps({"type": "hello", "token": token, "key": key.public}))
        nonce = (await hear(browser, "ready"))["nonce"]
        await browser.send(json.dumps({"type": "start", **CAMERA}))
        await hear(browser, "started")
        began = time.monotonic()
        status, done, rounds = "", False, itertools.count()
        while not done and time.monotonic() < end:
            choice, number = shots.get(status) or shots[""], next(rounds)
            jpeg, now = choice[number % len(choice)], time.time() * 1000
            frame = pack_frame(jpeg, t=now, media=now, number=3 * number, signature=key.sign(nonce, jpeg))
            sent = time.monotonic()
            await browser.send(frame)
            answer = await hear(browser, "instruct")
            took = time.monotonic() - sent
            streamed.judged.append(took * 1000)
            status, done = answer["statusCode"], answer["done"]
            await asyncio.sleep(max(0.0, CAMERA_SECONDS - took))
        streamed.seconds += time.monotonic() - began


async def hear(browser: ClientConnection, kind: str) -> dict[str, Any]:
    message = json.loads(await browser.recv())
    if message["type"] != kind:
        raise SystemExit(f"the server said {message['type']} instead of {kind}")
    return dict(message)


def add_figures(report: Report, label: str, browsers: list[Streamed], cpu_seconds: float) -> None:
    frames = [one for browser in browsers for one in browser.judged]
    slowest = min(len(browser.judged) / browser.seconds for browser in browsers)
    report.at_least(f"{label}: frames a second, slowest session", slowest, "1/s", 10)
    report.at_most(f"{label}: frame judged, p95", float(np.percentile(frames, 95)), "ms", 60)
    report.add(f"{label}: frame judged, p50", float(np.percentile(frames, 50)), "ms")
    work, between = 1000 * cpu_seconds / len(frames), ("the time between two frames", 1000 * CAMERA_SECONDS)
    report.beside(f"{label}: the server's work a frame", work, "ms of a core", between)
    report.add(f"{label}: frames", len(frames), "")


if __name__ == "__main__":
    main()
