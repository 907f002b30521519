"""What a start costs, in CPU: of two commands, and of a server of many tenants.

Of the server: until calls are answered, for the first upkeep, and for each one after it. Of the commands `likeness client list` and
`likeness --version`: beside the import of the three libraries that the first cannot do without.

    python benchmarks/startup.py [--quick] [--json PATH] [--tenants N] [--entries N]

Tenants have a few entries each, templates only, 512 numbers. CPU time, for the machine may have other work.
"""

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from sqlalchemy import Connection

from figures import Report
from likeness.deployment import Deployment, initialise, open_deployment
from likeness.engine.fake import FakeEngine
from likeness.engine.packs.identity import ModelPack, PackId
from likeness.engine.workers import FaceWorkers
from likeness.gallery.composition import compose_gallery
from likeness.gallery.entries.entry import NewEntry
from likeness.gallery.repository import GalleryPacks, GalleryRepository
from likeness.gallery.templates.sealing import seal_template
from likeness.kit.executors import SizedExecutor
from likeness.kit.ids import new_id
from likeness.settings import Settings
from likeness.tenants import repository
from likeness.tenants.repository import TenantRow
from likeness.tenants.service import FIRST_KEY, Tenant, key_context
from reporting.memory import resident_bytes

DIMENSION = 512
TENANTS_A_COMMIT = 500
MOST_SECONDS = 10.0
"""CPU of a start with 10,000 tenants."""
LIBRARIES = ("-c", "import typer, sqlalchemy, pydantic")
COMMANDS = {"client list acme": 2.0, "--version": 1.0}
"""The most CPU of each command, in units of what these libraries take to import."""
RUNS = 5


class Engine512(FakeEngine):
    """Templates of the usual size."""

    pack = ModelPack(PackId("fake"), "512", DIMENSION)


def fill(deployment: Deployment, tenants: int, entries: int) -> None:
    """Make tenants with entries, as the server would."""
    rng, pack = np.random.default_rng(1), Engine512.pack.identity
    rows = rng.standard_normal((entries, DIMENSION))
    templates = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def enrol(connection: Connection, tenant: Tenant) -> None:
        gallery = GalleryRepository(tenant.id)
        gallery.set_packs(connection, GalleryPacks(pack, None))
        for template in templates:
            entry_id = new_id()
            sealed = {pack: seal_template(tenant, template, pack=pack, entry_id=entry_id)}
            gallery.add(connection, NewEntry(entry_id, None, {}, 90, None, 0.0, sealed))

    def make(connection: Connection, numbers: range) -> None:
        for number in numbers:
            tenant_id = new_id()
            sealed = deployment.keys.wrap(bytes(31) + b"k", key_context(tenant_id, FIRST_KEY))
            row = TenantRow(tenant_id, f"tenant {number}", "{}", {FIRST_KEY: sealed})
            repository.add_tenant(connection, row, created_at=float(number))
            enrol(connection, deployment.tenants._open(row))  # noqa: SLF001

    for first in range(0, tenants, TENANTS_A_COMMIT):
        numbers = range(first, min(first + TENANTS_A_COMMIT, tenants))
        deployment.database.write_now(lambda c, numbers=numbers: make(c, numbers))  # type: ignore[misc]


def cpu_seconds(arguments: tuple[str, ...], folder: Path) -> float:
    """Give the least CPU time of some runs of Python, once its bytecode is written."""
    environment = {**os.environ, "LIKENESS_DATA_DIR": str(folder), "PYTHONDONTWRITEBYTECODE": ""}
    spent = []
    for _ in range(RUNS + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], env=environment, stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent[1:])


def commands(settings: Settings, report: Report) -> None:
    libraries = cpu_seconds(LIBRARIES, settings.data_dir)
    for words, most in COMMANDS.items():
        whole = cpu_seconds(("-m", "likeness", *words.split()), settings.data_dir)
        report.beside(f"likeness {words}", whole, "s of CPU", ("three libraries' import", libraries), bound=1 / most)


async def start(settings: Settings, report: Report, tenants: int, entries: int) -> None:
    before, memory = time.process_time(), resident_bytes()
    deployment = open_deployment(settings)
    photos = SizedExecutor("photo", workers=1, queue_limit=1)
    gallery = compose_gallery(deployment, FaceWorkers(Engine512(), photos))
    await asyncio.to_thread(gallery.galleries.rebuild, deployment.database, deployment.tenants.all())
    assert gallery.galleries.progress.loaded == tenants * entries
    ready = time.process_time()
    report.at_most("until calls are answered", ready - before, "s of CPU", MOST_SECONDS * tenants / 10_000)
    report.add("a tenant", 1000 * (ready - before) / tenants, "ms of CPU")
    report.add("a tenant", (resident_bytes() - memory) / tenants / 1000, "kB of memory")
    await gallery.upkeep.load()
    await gallery.upkeep.tidy()
    first = time.process_time()
    report.add("first upkeep: photos and blocks", first - ready, "s of CPU")
    await gallery.upkeep.tidy()
    report.add("each upkeep after it, every 15 s", time.process_time() - first, "s of CPU")
    gallery.close()
    photos.close()
    deployment.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1,000 tenants")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--tenants", type=int, default=10_000)
    parser.add_argument("--entries", type=int, default=10)
    given = parser.parse_args()
    tenants = 1000 if given.quick else given.tenants
    report = Report(f"Start with {tenants:,} tenants of {given.entries} entries")
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder) / "data", pack="fake")
        initialise(settings)
        deployment = open_deployment(settings)
        deployment.tenants.create("acme")
        commands(settings, report)
        fill(deployment, tenants, given.entries)
        deployment.close()
        asyncio.run(start(settings, report, tenants, given.entries))
    if not report.publish(given.json):
        sys.exit(1)


if __name__ == "__main__":
    main()
