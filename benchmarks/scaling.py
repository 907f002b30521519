"""Two servers that share a gallery in shards, beside one server with the gallery in its memory.

    python benchmarks/scaling.py [--quick] [--json PATH]

PostgreSQL and a Ray cluster of two nodes run on this machine, with two parts of two replicas. The servers are `likeness serve`, with an
engine that looks at no photo: a photo names its person, whose template of 512 numbers is random. Clients in this process take turns at the
servers. The model of sizes (`docs/scaling.md`) rests on these figures; what this machine cannot hold is extrapolated, and says so.

Needs the extras `postgres` and `ray`, and PostgreSQL's programs.
"""

import argparse
import base64
import contextlib
import http.client
import json
import statistics
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # it runs servers, PostgreSQL and Ray as the tests do

from clusters import shared_servers
from figures import Report
from likeness.deployment import open_deployment
from likeness.engine.base import Face, Use
from likeness.engine.fake import FAKES, FakeEngine, fake_photo
from likeness.engine.packs.identity import ModelPack, PackId
from likeness.engine.policy import FacePolicy
from likeness.gallery.entries.entry import NewEntry
from likeness.gallery.repository import BLOCK_SPAN, GalleryPacks, GalleryRepository
from likeness.gallery.templates.blocks import seal_span
from likeness.gallery.templates.sealing import seal_template
from likeness.index.exact import ExactIndex
from likeness.kit.ids import new_id
from postgres import new_database, postgres_server
from processes import ServerProcess, server_process

DIMENSION = 512
ROOT = "/api/v1/face/one-to-n"
ENTRIES, QUICK_ENTRIES = 100_000, 5_000
CLIENTS = 8
MOST_OVERHEAD_MS = 3.0
LEAST_OF_MEMORY = 0.7
LEAST_SEARCH_OR_INSERTS = 200
NOISE = 0.5
"""Length of the noise of another photo of a person: their score is some .9."""


def template_of(person: int, variation: int = 0) -> np.ndarray:
    """Give a person's template, (512,) float32, as another photo of them gives it."""
    vector = np.random.default_rng(person).standard_normal(DIMENSION)
    vector /= np.linalg.norm(vector)
    if variation:
        noise = np.random.default_rng((person, variation)).standard_normal(DIMENSION)
        vector += NOISE * noise / np.linalg.norm(noise)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def photo_of(person: int, variation: int = 0) -> bytes:
    return b"\xff\xd8\xff\xe0" + struct.pack(">QQ", person, variation)


class NamingEngine(FakeEngine):
    """Looks at no photo: a photo names its person."""

    pack = ModelPack(PackId("fake"), "512", DIMENSION)

    def __init__(self) -> None:
        self._face = FakeEngine().analyse(fake_photo(1), use=Use.PROBE)

    def analyse(self, photo: bytes, *, use: Use, policy: FacePolicy = FacePolicy.LARGEST) -> Face:  # noqa: ARG002
        return replace(self._face, template=template_of(*struct.unpack(">QQ", photo[-16:])))


def serve() -> None:
    """Be `likeness serve` with this engine."""
    FAKES[PackId("fake")] = NamingEngine
    from likeness.cli import main as likeness

    sys.argv = ["likeness", "serve"]
    likeness()


# --- Galleries


def fill(server: ServerProcess, people: range) -> dict[str, int]:
    """Enrol people by their templates, without photos, in blocks as a running server seals them. Give their entries."""
    deployment = open_deployment(server.settings)
    database, pack = deployment.database, NamingEngine.pack.identity
    tenant = deployment.tenants.by_id(deployment.clients.get(server.credentials.client_id).tenant_id)
    rows, ids = GalleryRepository(tenant.id), {}
    database.write_now(lambda c: rows.set_packs(c, GalleryPacks(pack, None)))
    for start in range(people.start, people.stop, 2000):
        entries = []
        for person in range(start, min(start + 2000, people.stop)):
            entry_id = new_id()
            ids[entry_id] = person
            sealed = seal_template(tenant, template_of(person), pack=pack, entry_id=entry_id)
            entries.append(NewEntry(entry_id, None, {}, 90, None, time.time(), {pack: sealed}))
        database.write_now(lambda c, entries=entries: [rows.add(c, entry) for entry in entries])  # type: ignore[misc]
    for span in range(len(people) // BLOCK_SPAN + 1):
        database.write_now(partial(seal_span, tenant=tenant, sizes={pack: DIMENSION}, span=span))
    deployment.close()
    return ids


# --- Calls


class Caller:
    """A client on connections of its own, one for each thread."""

    def __init__(self, server: ServerProcess) -> None:
        address = httpx.URL(server.url)
        self._host, self._port = address.host, address.port
        with server.client() as http:
            self._headers = {"Authorization": http.headers["Authorization"], "Content-Type": "application/json"}
        self._local = threading.local()

    def __call__(self, path: str, person: int, variation: int = 0, **fields: Any) -> dict[str, Any]:
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection(self._host, self._port, timeout=60)
        photo = base64.b64encode(photo_of(person, variation)).decode()
        body = json.dumps({"idPhoto": photo, **fields})
        self._local.connection.request("POST", f"{ROOT}/{path}", body, self._headers)
        reply = self._local.connection.getresponse()
        found: dict[str, Any] = json.loads(reply.read())
        if reply.status != 200:
            raise RuntimeError(f"{path} got {reply.status}: {found}")
        return found


def on_the_wire(score: float) -> float:
    """Give a score as an answer has it. Tests compare the shards' own answers bit for bit."""
    return round(score, 4)


def rate_of(calls: int, call: Callable[[int], object], *, clients: int = CLIENTS) -> float:
    """Give the calls a second of some clients, each of which waits for its answers."""
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(call, range(clients)))  # connections, and threads
        began = time.perf_counter()
        list(pool.map(call, range(calls)))
        return calls / (time.perf_counter() - began)


def seconds_of(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


# --- Figures


@dataclass
class Bench:
    """The servers of both shapes, and a report."""

    report: Report
    memory: Caller
    shared: list[Caller]
    entries: int
    ids: dict[str, int]
    """The person of each entry of the shared gallery."""
    quick: bool

    def compare_answers(self) -> None:
        """Hold answers of both servers against those of one index of all templates, as the wire gives them."""
        index = ExactIndex(DIMENSION)
        index.add_many(np.arange(self.entries), np.stack([template_of(person) for person in range(self.entries)]))
        asked = [(number, number % self.entries, 1) for number in range(100 if self.quick else 1000)]
        wrong = 0
        for number, person, variation in asked:
            found = self.shared[number % 2]("search", person, variation, candidates=5)
            got = [(self.ids[each["oneToNVerificationId"]], each["score"]) for each in found["candidates"]]
            hits = index.search(template_of(person, variation), k=5).hits
            wrong += not (found["certified"] and got == [(hit.key, on_the_wire(hit.score)) for hit in hits])
        self.report.at_most(
            f"answers that differ from one index's in an entry, its place or its score, of {len(asked):,}",
            wrong,
            "answers",
            0,
        )

    def read_what_was_written(self) -> None:
        """Enrol at one server, and search at the other."""
        people = range(10_000_000, 10_000_000 + (200 if self.quick else 10_000))

        def pair(person: int) -> bool:
            first, second = self.shared[person % 2], self.shared[1 - person % 2]
            entry = first("insert", person)["oneToNVerificationId"]
            return bool(second("search", person, 1)["oneToNVerificationId"] == entry)

        with ThreadPoolExecutor(CLIENTS) as pool:
            missed = list(pool.map(pair, people)).count(False)
        self.report.at_most(f"entries that the other server does not find, of {len(people):,}", missed, "entries", 0)

    def compare_times(self) -> None:
        """Let one client search at both shapes in turns."""
        in_memory, in_shards = [], []
        for person in range(100 if self.quick else 500):
            in_memory.append(seconds_of(partial(self.memory, "search", person, 1)))
            in_shards.append(seconds_of(partial(self.shared[person % 2], "search", person, 1)))
        memory, shards = statistics.median(in_memory) * 1000, statistics.median(in_shards) * 1000
        self.report.beside("search, one client, p50", shards, "ms", ("in memory", memory))
        self.report.at_most("what shards add to a search, p50", shards - memory, "ms", MOST_OVERHEAD_MS)

    def compare_rates(self) -> None:
        """Let some clients search at both shapes in turns."""
        calls, rounds = (200, 1) if self.quick else (1500, 3)
        memory, shards = [], []
        for _ in range(rounds):
            memory.append(rate_of(calls, lambda number: self.memory("search", number % self.entries, 1)))
            shards.append(rate_of(calls, lambda n: self.shared[n % 2]("search", n % self.entries, 1)))
        name, beside = f"searches, {CLIENTS} clients", ("in memory", statistics.median(memory))
        rate = statistics.median(shards)
        self.report.beside(name, rate, "/s", beside, more_is_better=True, bound=LEAST_OF_MEMORY)

    def enrol_once(self) -> None:
        """Search for strangers and enrol them, at both servers at once."""
        new = count(20_000_000)
        rate = rate_of(
            200 if self.quick else 2000, lambda n: self.shared[n % 2]("search", next(new), insert=True), clients=32
        )
        self.report.at_least("search-or-insert, one tenant, 32 clients", rate, "/s", LEAST_SEARCH_OR_INSERTS)
        people = range(30_000_000, 30_000_000 + (20 if self.quick else 200))
        made: dict[int, set[str]] = {person: set() for person in people}

        def send(number: int) -> None:
            person, variation = people[number // 8 % len(people)], number % 8
            found = self.shared[variation % 2]("search", person, variation + 1, insert=True)
            made[person].add(found["oneToNVerificationId"])

        rate_of(8 * len(people), send, clients=16)
        twice = sum(len(ids) != 1 for ids in made.values())
        self.report.at_most(f"people with two entries, of {len(people)} sent 8 times at once", twice, "people", 0)


def measure(report: Report, *, quick: bool) -> None:
    entries = QUICK_ENTRIES if quick else ENTRIES
    command = (sys.executable, __file__, "serve")
    limits: dict[str, Any] = {"requests_per_minute": 0, "log_level": "error", "workers": 2, "pack": "fake"}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        one = stack.enter_context(server_process(folder / "one", start=False, **limits))
        one.command = command
        fill(one, range(entries))
        one.start()
        url = new_database(stack.enter_context(postgres_server()))
        ids: dict[str, int] = {}
        servers = stack.enter_context(
            shared_servers(
                folder / "two",
                url,
                command=command,
                before=lambda first: ids.update(fill(first, range(entries))),
                shard_megabytes=1024,
                **limits,
            )
        ).servers
        bench = Bench(report, Caller(one), [Caller(each) for each in servers], entries, ids, quick)
        for section in (
            bench.compare_answers,
            bench.compare_times,
            bench.compare_rates,
            bench.enrol_once,
            bench.read_what_was_written,
        ):
            print(f"{section.__doc__}", file=sys.stderr)
            section()


def main() -> None:
    if sys.argv[1:] == ["serve"]:
        serve()
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="ends within two minutes")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    report = Report("Servers that share a gallery")
    measure(report, quick=given.quick)
    if not report.publish(given.json):
        sys.exit(1)


if __name__ == "__main__":
    main()
