"""How long a large gallery takes to load: in the memory of one server, and in four shards.

    python benchmarks/loading.py [--quick] [--json PATH] [--entries N]

PostgreSQL and a Ray cluster of two nodes run on this machine. A load is the time from the start of a server until it is ready, less the
same with an empty gallery. The templates have 512 numbers, and lie in the database as a running server leaves them. Then the server in
front of the shards is searched, and every answer is known. The shards load at the same time, so they need cores: four of them and
PostgreSQL share those of this machine.

Needs the extras `postgres` and `ray`, and PostgreSQL's programs.
"""

import argparse
import contextlib
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))  # it runs servers, PostgreSQL and Ray as the tests do

from clusters import actor_processes, ray_nodes
from figures import Report
from postgres import new_database, postgres_server
from processes import ServerProcess, server_process
from reporting.memory import ProcessMemory
from scaling import Caller, fill, seconds_of

PARTS = 4
ENTRIES, QUICK_ENTRIES = 1_000_000, 20_000
SEARCHES = 200
LEAST_OF_MEMORY = 1.5
SERVE = (sys.executable, str(Path(__file__).with_name("scaling.py")), "serve")


def start_of(server: ServerProcess, **environment: str) -> float:
    """Start a server with more environment, and give the seconds until it is ready."""
    server.environment |= environment
    return seconds_of(server.start)


def measure(report: Report, entries: int) -> None:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = new_database(stack.enter_context(postgres_server()))
        settings: dict[str, Any] = {"pack": "fake", "workers": 2, "requests_per_minute": 0, "database_url": url}
        server = stack.enter_context(server_process(folder, start=False, log_level="error", **settings))
        server.command = SERVE
        nodes = {name: value for name, value in server.environment.items() if name.startswith("LIKENESS_")}
        nodes |= {"LIKENESS_SCAN_THREADS": "1"}
        megabytes = 256 + entries * 3 // 1000 // PARTS * 3 // 2
        shards = {"LIKENESS_GALLERY": "ray", "LIKENESS_GALLERY_PARTS": str(PARTS), "LIKENESS_GALLERY_REPLICAS": "1"}
        shards |= {"LIKENESS_SHARD_MEGABYTES": str(megabytes)}
        started: dict[tuple[str, int], float] = {}
        ids: dict[str, int] = {}
        start_of(server)  # the first start reads the program's files from the disk
        server.stop()
        for size in (0, entries):
            if size:
                print(f"{size:,} entries are written", file=sys.stderr)
                ids = fill(server, range(size))
            started["memory", size] = start_of(server, LIKENESS_GALLERY="memory")
            in_memory = ProcessMemory(server.process.pid).own() if server.process else 0.0
            server.stop()
            with ray_nodes(nodes) as cluster:
                started["shards", size] = start_of(server, LIKENESS_RAY_ADDRESS=cluster.address, **shards)
                if size:
                    wrong = search(server, ids)
                    held = [ProcessMemory(process).own() for process in actor_processes("ShardActor")]
                server.stop()
    memory, shared = (started[shape, entries] - started[shape, 0] for shape in ("memory", "shards"))
    report.beside(
        f"loading {entries:,} templates of 512 numbers into {PARTS} shards, on {os.cpu_count()} cores",
        *(shared, "s", ("in one server", memory)),
        bound=LEAST_OF_MEMORY,
    )
    report.beside("a start with an empty gallery", started["shards", 0], "s", ("in memory", started["memory", 0]))
    report.beside("memory of the shards", sum(held), "MB", ("of one server", in_memory))
    report.at_most(f"searches that do not find their person, of {SEARCHES}", wrong, "searches", 0)


def search(server: ServerProcess, ids: dict[str, int]) -> int:
    """Search another photo of people all over the gallery. Give how many answers are wrong or not certified."""
    call = Caller(server)
    wrong = 0
    for person in range(0, len(ids), max(1, len(ids) // SEARCHES)):
        found = call("search", person, 1)
        wrong += not found["certified"] or ids[found["oneToNVerificationId"]] != person
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ENTRIES:,} entries; ends within a minute")
    parser.add_argument("--entries", type=int, default=ENTRIES, help="how many (default: %(default)s)")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    report = Report("Loading a large gallery")
    measure(report, QUICK_ENTRIES if given.quick else given.entries)
    if not report.publish(given.json):
        sys.exit(1)


if __name__ == "__main__":
    main()
