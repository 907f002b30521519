"""What a durable enrolment costs beside a bare fdatasync in the same folder, and how fast a gallery is loaded at start.

    python benchmarks/store.py [--quick] [--json PATH] [--folder PATH]

Templates only (no photo), 512 numbers, through the store and on the event loop that the server uses. Raw writes and
inserts alternate, so that both meet the same moods of the disk.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import uvloop

from figures import Report
from likeness.deployment import Deployment, initialise, open_deployment
from likeness.engine.fake import FakeEngine
from likeness.engine.packs.identity import ModelPack, PackId
from likeness.engine.workers import FaceWorkers
from likeness.gallery.entries.entry import NewEntry
from likeness.gallery.memory.galleries import LoadedGalleries
from likeness.gallery.packs import Packs
from likeness.gallery.repository import BLOCK_SPAN, GalleryPacks, GalleryRepository
from likeness.gallery.templates.blocks import seal_span
from likeness.gallery.templates.sealing import seal_template
from likeness.index.base import Index
from likeness.index.reference import ReferenceIndex
from likeness.kit.executors import SizedExecutor
from likeness.kit.ids import new_id
from likeness.settings import Settings
from likeness.tenants.service import Tenant

DIMENSION = 512
WRITERS = 64
REBUILDS = 5
LEAST_LOADED = 100_000
"""Rows a second."""
LEAST_OF_RAW = 1 / 1.5
"""A bare write's time, as a share of an insert's."""
RAW_BYTES = 4096
RAW_FILE_BYTES = 4 << 20


class Engine512(FakeEngine):
    """Templates of the usual size."""

    pack = ModelPack(PackId("fake"), "512", DIMENSION)


class NoIndex(ReferenceIndex):
    """Takes rows and does nothing with them: what is left is reading and opening."""

    def add_many(self, keys: object, templates: object) -> None:
        pass


class RawFile:
    """A preallocated file that is overwritten in a circle, as a database's log is."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.write(self._file, bytes(RAW_FILE_BYTES))
        os.fsync(self._file)
        self._at = 0

    def write(self) -> None:
        os.pwrite(self._file, os.urandom(RAW_BYTES), self._at)
        os.fdatasync(self._file)
        self._at = (self._at + RAW_BYTES) % RAW_FILE_BYTES


def new_entry(tenant: Tenant, rng: np.random.Generator) -> NewEntry:
    template = rng.standard_normal(DIMENSION).astype(np.float32)
    template /= np.linalg.norm(template)
    entry_id, pack = new_id(), Engine512.pack.identity
    sealed = seal_template(tenant, template, pack=pack, entry_id=entry_id)
    return NewEntry(entry_id, None, {}, 90, None, time.time(), {pack: sealed})


async def insert(deployment: Deployment, tenant: Tenant, entry: NewEntry) -> float:
    """Insert durably; gives the seconds that it took."""
    rows = GalleryRepository(tenant.id)
    began = time.perf_counter()
    await deployment.database.write(lambda c: rows.add(c, entry))
    return time.perf_counter() - began


async def measure_latency(deployment: Deployment, tenant: Tenant, raw: RawFile, count: int) -> tuple[float, float]:
    """Give the medians of a raw write and of an insert, in seconds."""
    rng = np.random.default_rng(1)
    entries = [new_entry(tenant, rng) for _ in range(count)]
    raws, inserts = [], []
    for entry in entries:
        began = time.perf_counter()
        raw.write()
        raws.append(time.perf_counter() - began)
        inserts.append(await insert(deployment, tenant, entry))
    return statistics.median(raws), statistics.median(inserts)


async def measure_throughput(deployment: Deployment, tenant: Tenant, each: int) -> float:
    """Give durable inserts a second of many writers, each waiting for its own."""
    rng = np.random.default_rng(2)
    entries = [[new_entry(tenant, rng) for _ in range(each)] for _ in range(WRITERS)]

    async def write(mine: list[NewEntry]) -> None:
        for entry in mine:
            await insert(deployment, tenant, entry)

    began = time.perf_counter()
    await asyncio.gather(*map(write, entries))
    return WRITERS * each / (time.perf_counter() - began)


async def fill(deployment: Deployment, tenant: Tenant, count: int) -> None:
    rng = np.random.default_rng(3)
    rows = GalleryRepository(tenant.id)
    for start in range(0, count, 1000):
        entries = [new_entry(tenant, rng) for _ in range(min(1000, count - start))]
        await deployment.database.write(lambda c, entries=entries: [rows.add(c, entry) for entry in entries])  # type: ignore[misc]
    await deployment.database.write(lambda c: rows.set_packs(c, GalleryPacks(Engine512.pack.identity, None)))


async def seal_blocks(deployment: Deployment, tenant: Tenant, count: int) -> None:
    """Seal the templates in blocks, as a running server does by and by."""
    for span in range(count // BLOCK_SPAN + 1):
        await deployment.database.write(
            partial(seal_span, tenant=tenant, sizes={Engine512.pack.identity: DIMENSION}, span=span)
        )


async def await_raw_write(raw: RawFile, count: int) -> float:
    """Give the median of a raw write that an event loop awaits on a thread, as it must, in seconds."""
    loop = asyncio.get_running_loop()
    took = []
    with ThreadPoolExecutor(1) as thread:
        for _ in range(count):
            began = time.perf_counter()
            await loop.run_in_executor(thread, raw.write)
            took.append(time.perf_counter() - began)
    return statistics.median(took)


def measure_rebuild(deployment: Deployment, tenant: Tenant, make_index: Callable[[int], Index] | None) -> float:
    """Give the rows a second at which a gallery is read, opened and put into an index."""
    packs = Packs(FaceWorkers(Engine512(), SizedExecutor("none", workers=1, queue_limit=1)), lambda _: Engine512())
    galleries = LoadedGalleries(packs, make_index=make_index) if make_index else LoadedGalleries(packs)
    began = time.perf_counter()
    galleries.rebuild(deployment.database, [tenant])
    return galleries.progress.loaded / (time.perf_counter() - began)


def best_rebuild(deployment: Deployment, tenant: Tenant, make_index: Callable[[int], Index] | None) -> float:
    """Give the best of some rebuilds: a virtual machine's first use of its memory is its host's work, and slow."""
    return max(measure_rebuild(deployment, tenant, make_index) for _ in range(REBUILDS))


def measure_loading(report: Report, deployment: Deployment, tenant: Tenant, how: str, *, least: float | None) -> None:
    """Load a gallery, beside reading and opening alone."""
    reading = best_rebuild(deployment, tenant, NoIndex)
    whole = best_rebuild(deployment, tenant, None)
    if least:
        report.at_least(f"loading a gallery, {how}", whole, "rows/s", least)
    alone = "reading and opening alone", reading
    report.beside(f"loading a gallery, {how}", whole, "rows/s", alone, more_is_better=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="ends within a minute")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--folder", type=Path, help="where to measure; by default the system's temporary folder")
    given = parser.parse_args()
    scale = 5 if given.quick else 1
    report = Report("Durable enrolment and loading")
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        settings = Settings(data_dir=Path(folder) / "data", pack="fake")
        initialise(settings)
        deployment = open_deployment(settings)
        writing, loading = deployment.tenants.create("writing"), deployment.tenants.create("loading")
        raw = RawFile(Path(folder) / "raw")
        uvloop.run(measure_latency(deployment, writing, raw, 500))  # past the log's first growth
        raw_seconds, insert_seconds = uvloop.run(measure_latency(deployment, writing, raw, 2000 // scale))
        took, on_disk = insert_seconds * 1000, ("a raw write of 4 KiB and fdatasync", raw_seconds * 1000)
        report.beside("durable insert, p50", took, "ms", on_disk, bound=LEAST_OF_RAW)
        report.add("durable insert: what it takes beside the fdatasync", took - raw_seconds * 1000, "ms")
        awaited = uvloop.run(await_raw_write(raw, 2000 // scale))
        report.add("raw write and fdatasync awaited on a thread, p50", awaited * 1000, "ms")
        throughput = uvloop.run(measure_throughput(deployment, writing, 300 // scale))
        report.at_least(f"durable inserts, {WRITERS} writers at once", throughput, "/s", 2000)
        uvloop.run(fill(deployment, loading, 100_000 // scale))
        measure_loading(report, deployment, loading, "row by row", least=None)
        uvloop.run(seal_blocks(deployment, loading, 100_000 // scale))
        measure_loading(report, deployment, loading, "in blocks", least=LEAST_LOADED)
        deployment.close()
    if not report.publish(given.json):
        sys.exit(1)


if __name__ == "__main__":
    main()
