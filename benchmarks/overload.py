"""What a server does with four times as much as it can do, on a simulated engine: a photo is 50 ms of sleep.

    python benchmarks/overload.py [--quick] [--neighbours] [--json PATH]

So the capacity is known (two workers: 20 matches or 40 searches a second) and the machine's own speed hardly matters. A server of
its own process is called in an open loop: calls come at random times, whether or not those before them are answered. One tenant
makes them; another tenant asks beside it, five times a second and one call at a time, and counts as part of the load. "At capacity" is a closed
loop whose callers always have sixteen photos in the line: every worker is busy, and nobody is refused.

On a machine that is busy otherwise, run it with `chrt -r 1`: it needs a third of one processor, but at once.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import numpy as np

from figures import Report
from likeness.access.scopes import API_SCOPES
from likeness.app import Components, create_app
from likeness.deployment import initialise, open_deployment
from likeness.engine.base import Face, Use
from likeness.engine.fake import FakeEngine, fake_photo
from likeness.engine.policy import FacePolicy
from likeness.kit.logs import configure_logging
from likeness.server.running import make_server
from likeness.settings import Settings
from likeness.web.components import components_of

PHOTO_SECONDS = 0.05
WORKERS = 2
UNDER, OVER = 0.8, 4.0
PHOTOS_AT_CAPACITY = 16
OTHERS_EVERY = 0.2
FULL_SECONDS, QUICK_SECONDS = 60.0, 6.0
GIVE_UP_SECONDS = 30
GREED, MODEST = 10.0, 0.5
"""Times its share that one tenant asks for, and the part of its share that the other asks for."""
NEIGHBOUR_SECONDS = 90.0


class SimulatedEngine(FakeEngine):
    """Sleeps for each photo, and sees the same face on all of them."""

    def __init__(self) -> None:
        self._face = super().analyse(fake_photo(1), use=Use.PROBE)

    def analyse(self, photo: bytes, *, use: Use, policy: FacePolicy = FacePolicy.LARGEST) -> Face:  # noqa: ARG002
        time.sleep(PHOTO_SECONDS)
        return self._face


# --- The server

Process = subprocess.Popen[bytes]


def settings_of(folder: str, port: int) -> Settings:
    return Settings(
        data_dir=Path(folder),
        port=port,
        pack="fake",
        workers=WORKERS,
        log_level="error",
        requests_per_minute=0,
        tenant_requests_per_minute=0,
    )


def serve(folder: str, port: int) -> None:
    """Be the server."""
    settings = settings_of(folder, port)
    configure_logging(settings.log_level)
    with contextlib.closing(open_deployment(settings)) as deployment:
        app = create_app(deployment, SimulatedEngine())
        with socket.create_server(("127.0.0.1", port)) as listener:
            make_server(app, settings, begin_stop=components_of(app, Components).begin_stop).run([listener])


@dataclass(frozen=True)
class Client:
    """A tenant's client."""

    port: int
    client_id: str
    client_secret: str


@contextlib.contextmanager
def serving() -> Iterator[tuple[Process, Client, Client]]:
    """Run a server; gives its process, and the clients of the tenant that floods it and of the other."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_of(folder, port)
        initialise(settings)
        with contextlib.closing(open_deployment(settings)) as deployment:
            tenants, clients = deployment.tenants, deployment.clients
            made = [clients.create(tenants.create(name).id, name, API_SCOPES) for name in ("flood", "other")]
        # In a session of its own: Linux shares out the processor between sessions, and this one has the callers.
        command = [sys.executable, __file__, "--serve", folder, str(port)]
        process = subprocess.Popen(command, start_new_session=True)
        try:
            flood, other = (Client(port, one.client_id, one.client_secret) for one in made)
            yield process, flood, other
        finally:
            process.terminate()
            process.wait(60)


def cpu_seconds(process: Process) -> float:
    """Give the processor's time that a process has taken: fields 14 and 15 of proc(5)."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- Callers


@dataclass
class Seen:
    """The answers to some calls: seconds that each took, by status (0: none)."""

    took: dict[int, list[float]] = field(default_factory=dict)

    def of(self, *statuses: int) -> list[float]:
        return [seconds for status in statuses for seconds in self.took.get(status, [])]

    @property
    def asked(self) -> int:
        return sum(map(len, self.took.values()))

    def add(self, status: int, seconds: float) -> None:
        self.took.setdefault(status, []).append(seconds)


def ms(seconds: list[float], percentile: float) -> float:
    return float(np.percentile(seconds, percentile)) * 1000 if seconds else float("nan")


class Pool:
    """Connections that are used again as long as the server keeps them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def call(self, path: str, content_type: str, body: bytes, *headers: str) -> tuple[int, bytes]:
        head = (f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {content_type}", *headers)
        request = "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS), self._connection() as (reader, writer):
                writer.write(request)
                return await self._answer(reader, writer)
        except (OSError, EOFError, TimeoutError):
            return 0, b""

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        while self._idle:
            reader, writer = self._idle.pop()
            if not (reader.at_eof() or writer.is_closing()):
                break
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            yield reader, writer
        except BaseException:
            writer.close()
            raise

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[int, bytes]:
        top = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = next(int(line.split(":")[1]) for line in top.split("\r\n") if line.startswith("content-length:"))
        body = await reader.readexactly(length)
        if "connection: close" in top:
            writer.close()
        else:
            self._idle.append((reader, writer))
        return int(top.split(" ", 2)[1]), body


class Caller:
    """Makes one kind of call as one client."""

    def __init__(self, pool: Pool, token: str, path: str, *photos: str) -> None:
        self._pool = pool
        self._path = path
        self._headers = (f"Authorization: Bearer {token}",)
        part = b'--cut\r\nContent-Disposition: form-data; name="%b"; filename="a"\r\n\r\n%b\r\n'
        photo = fake_photo(1)
        self._body = b"".join(part % (name.encode(), photo) for name in photos) + b"--cut--\r\n"

    async def call(self, seen: Seen) -> None:
        began = time.perf_counter()
        status, _ = await self._pool.call(self._path, "multipart/form-data; boundary=cut", self._body, *self._headers)
        seen.add(status, time.perf_counter() - began)


async def token_of(pool: Pool, client: Client) -> str:
    form = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": client.client_secret}
    end = time.monotonic() + 60
    while time.monotonic() < end:
        status, reply = await pool.call(
            "/api/oauth/token", "application/x-www-form-urlencoded", urlencode(form).encode()
        )
        if status == 200:
            return str(json.loads(reply)["access_token"])
        await asyncio.sleep(0.1)
    raise SystemExit("the server did not start")


async def closed_loop(caller: Caller, callers: int, seconds: float) -> Seen:
    seen, end = Seen(), time.monotonic() + seconds

    async def go_on() -> None:
        while time.monotonic() < end:
            await caller.call(seen)

    await asyncio.gather(*(go_on() for _ in range(callers)))
    return seen


async def open_loop(caller: Caller, per_second: float, seconds: float, *, seed: int = 1) -> Seen:
    seen, chance = Seen(), random.Random(seed)
    begun = time.monotonic()
    at = chance.expovariate(per_second)
    async with asyncio.TaskGroup() as calls:
        while at < seconds:
            await asyncio.sleep(begun + at - time.monotonic())
            calls.create_task(caller.call(seen))
            at += chance.expovariate(per_second)
    return seen


async def beside(caller: Caller, seconds: float) -> Seen:
    """Call as the other tenant does, who waits for each answer."""
    seen, chance, end = Seen(), random.Random(2), time.monotonic() + seconds
    while time.monotonic() < end:
        # Not in step with the workers, who take as long for every photo.
        again = time.monotonic() + OTHERS_EVERY * chance.uniform(0.5, 1.5)
        await caller.call(seen)
        await asyncio.sleep(max(0.0, again - time.monotonic()))
    return seen


async def neighbours(report: Report, flooding: Caller, others: Caller, kind: str, capacity: float) -> None:
    """Two tenants have half of the capacity each. One asks for a part of its half, the other for its half, then for ten."""
    share, p99 = capacity / 2, {}
    for times in (1.0, GREED):
        _, noticed = await asyncio.gather(
            open_loop(flooding, times * share, NEIGHBOUR_SECONDS),
            open_loop(others, MODEST * share, NEIGHBOUR_SECONDS, seed=2),
        )
        p99[times] = ms(noticed.of(200), 99)
        title = f"{kind}, a neighbour at {times:g} x its share"
        report.at_least(f"{title}: calls served", 100 * len(noticed.of(200)) / noticed.asked, "%", 99)
        report.add(f"{title}: p50", ms(noticed.of(200), 50), "ms")
        report.add(f"{title}: p99", p99[times], "ms")
    moved = 100 * (p99[GREED] / p99[1.0] - 1)
    report.at_most(f"{kind}, a neighbour at {GREED:g} x its share: moves the p99 by", moved, "%", 20)


# --- The run


CALLS = {
    "match": ("/api/v1/face/match", ("sourceImage", "targetImage")),
    "search": ("/api/v1/face/one-to-n/search", ("idPhoto",)),
}


async def measure_neighbours(report: Report, flood: Client, other: Client) -> None:
    pool = Pool(flood.port)
    tokens = [await token_of(pool, client) for client in (flood, other)]
    for kind, (path, photos) in CALLS.items():
        flooding, others = (Caller(pool, token, path, *photos) for token in tokens)
        await neighbours(report, flooding, others, kind, WORKERS / PHOTO_SECONDS / len(photos))


async def measure(report: Report, process: Process, flood: Client, other: Client, seconds: float) -> None:
    pool = Pool(flood.port)
    tokens = [await token_of(pool, client) for client in (flood, other)]
    for kind, (path, photos) in CALLS.items():
        capacity = WORKERS / PHOTO_SECONDS / len(photos)
        flooding, others = (Caller(pool, token, path, *photos) for token in tokens)
        busy = await closed_loop(flooding, PHOTOS_AT_CAPACITY // len(photos), seconds)
        at_capacity = ms(busy.of(200), 99)
        report.add(f"{kind} at capacity: answered", len(busy.of(200)) / seconds, "/s")
        report.add(f"{kind} at capacity: p99", at_capacity, "ms")
        usual = 0.0
        for times in (UNDER, OVER):
            spent = cpu_seconds(process)
            seen, noticed = await asyncio.gather(
                open_loop(flooding, times * capacity - 1 / OTHERS_EVERY, seconds), beside(others, seconds)
            )
            title = f"{kind} at {times:g} x"
            answered = (len(seen.of(200)) + len(noticed.of(200))) / seconds
            wanted = min((seen.asked + noticed.asked) / seconds, capacity)
            report.at_least(f"{title}: answered, of what could be", answered / wanted, "", 0.95)
            report.at_most(f"{title}: accepted p99", ms(seen.of(200), 99), "ms", 2 * at_capacity)
            report.add(f"{title}: accepted p50", ms(seen.of(200), 50), "ms")
            report.add(f"{title}: refused", len(seen.of(503)) / seconds, "/s")
            report.add(f"{title}: the server's CPU", (cpu_seconds(process) - spent) / seconds, "cores")
            if seen.of(503):
                report.at_most(f"{title}: refusals p99", ms(seen.of(503), 99), "ms", 100)
            report.at_most(f"{title}: neither answered nor refused", seen.asked - len(seen.of(200, 503)), "calls", 0)
            served = 100 * len(noticed.of(200)) / noticed.asked
            report.at_least(f"{title}: another tenant's calls served", served, "%", 95)
            typical = ms(noticed.of(200), 50)
            if times == UNDER:
                usual = typical
                report.add(f"{title}: another tenant's p50", typical, "ms")
            else:
                report.at_most(f"{title}: another tenant's p50", typical, "ms", 1.5 * usual)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few seconds each, a minute in all")
    parser.add_argument("--neighbours", action="store_true", help="only how one tenant's load moves another's times")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve[0], int(options.serve[1]))
        return
    report = Report(f"overload: a simulated engine that sleeps {PHOTO_SECONDS * 1000:g} ms a photo, {WORKERS} workers")
    with serving() as (process, flood, other):
        if not options.neighbours:
            asyncio.run(measure(report, process, flood, other, QUICK_SECONDS if options.quick else FULL_SECONDS))
        if options.neighbours or not options.quick:
            asyncio.run(measure_neighbours(report, flood, other))
    if not report.publish(options.json):
        sys.exit(1)


if __name__ == "__main__":
    main()
