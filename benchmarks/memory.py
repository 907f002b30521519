"""The memory of a served process of `builtin`, idle and under load, and of the templates of a gallery.

    python benchmarks/memory.py [--quick] [--json PATH] [--size N ...] [--folder DIR]

The first part is the server. `likeness serve` runs in a process of its own, with as many workers as there are cores. Eight clients make matches and searches of photos of
many sizes and kinds: baseline and progressive JPEGs of up to 24 megapixels, PNGs of up to 12. Then they send the photos that take the most
memory of all that are let in, which show nobody.
The kernel tells what is resident, and the greatest that was resident during a load (`VmHWM`).

The second part is the index. It is filled with templates of 512 numbers twice: in memory, and with `LIKENESS_TEMPLATES=mapped`, with a file
in a folder on the disk to be measured. Both answer the same queries in turns, half of them of enrolled people; a ratio is of the medians of
processor time. Where the machine's memory does not hold both indexes, one is measured after the other. A cold search is one after the system
has let go of what it kept of the file.

Needs the group `demo` (photos).
"""

import argparse
import gc
import io
import itertools
import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from calls import FORM, INSERT, JSON, MATCH, SEARCH, Connection, body_of, expect, request_of, serving
from cores import cores
from engine import portrait, stored
from figures import Report
from likeness.cli.demo.photos import load_photos
from likeness.index.base import Answer
from likeness.index.exact import ExactIndex
from likeness.kit.memory import give_large_blocks_back
from reporting.memory import ProcessMemory, available_bytes, resident_bytes

MOST_IDLE_MB, MOST_LOADED_MB = 350, 500
CLIENTS = 8
SETTLING_SECONDS = 3
FULL_SECONDS, QUICK_SECONDS = 60.0, 5.0
MOST_PHOTO_BYTES = 5 << 20
ANSWERS = {200, 400}
"""Of photos that show nobody, too."""
DIMENSION = 512
FULL_SIZES, QUICK_SIZES = (1_000_000, 5_000_000), (100_000,)
MOST_MAPPED_BYTES, MOST_OF_TIME = 1000, 1.25
MEMORY_BYTES = 2960
PHOTOS, NOISE = 4, 0.7
SEARCHES, WANTED = 100, (1, 10)
CHUNK = 16384

Rows = NDArray[np.float32]


# --- Photos


def usual_photos() -> list[bytes]:
    """Give photos as callers send them, from 0.1 to 24 megapixels."""
    photos = load_photos()
    sizes = (320, 240), (640, 480), (480, 640), (1024, 768), (1200, 1600), (1632, 1224), (1920, 1080)
    large = portrait(photos, (4032, 3024))
    made = [portrait(photos, size) for size in (*sizes, (3024, 4032), (6000, 4000))]
    made += [large, progressive(large), progressive(made[-1]), photos.group]
    return [*made, *(png(large, size) for size in ((816, 612), (2000, 1500), (4000, 3000)))]


def costly_photos() -> list[bytes]:
    """Give photos of some kilobytes that take nearly as much memory as a photo may."""
    grey = Pillow.new("RGB", (6144, 4096), (120, 120, 120))
    clear = Pillow.new("RGBA", (4096, 3072), (120, 120, 120, 100))
    inks = Pillow.new("CMYK", (4096, 3072), (120, 120, 120, 0))
    return [
        stored(grey, "PNG"),
        stored(grey.convert("L"), "PNG"),
        stored(clear, "PNG"),
        stored(inks, "JPEG"),
        stored(grey.resize((8192, 6144)), "JPEG", progressive=True),
        stored(grey.resize((6000, 4500)), "JPEG", progressive=True, subsampling=0),
    ]


def progressive(jpeg: bytes) -> bytes:
    return stored(Pillow.open(io.BytesIO(jpeg)), "JPEG", progressive=True, quality=85)


def png(jpeg: bytes, size: tuple[int, int]) -> bytes:
    """Give a photo as a PNG of ``size``, in fewer colours, so that it is not too large to be sent."""
    image = np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))
    few = np.asarray(cv2.resize(image, size), np.uint8) & np.uint8(0xF0)
    return bytes(cv2.imencode(".png", few)[1])


# --- The server


def load(port: int, token: str, photos: list[bytes], seconds: float) -> int:
    """Make matches and searches of the photos with all clients; give how many calls were made."""
    requests = []
    for photo, other in zip(photos, [*photos[1:], photos[0]], strict=True):
        for kind in (FORM, JSON):
            requests.append(request_of(MATCH, kind, body_of(kind, sourceImage=photo, targetImage=other), token))
            requests.append(request_of(SEARCH, kind, body_of(kind, idPhoto=photo), token))
    turn, end, statuses = itertools.count(), time.monotonic() + seconds, list[int]()

    def go_on() -> None:
        connection = Connection(port)
        while time.monotonic() < end:
            statuses.append(connection.call(requests[next(turn) % len(requests)])[0])
        connection.close()

    threads = [threading.Thread(target=go_on) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if unexpected := set(statuses) - ANSWERS:
        raise SystemExit(f"calls were answered with {sorted(unexpected)}")
    return len(statuses)


def measure_server(report: Report, seconds: float) -> None:
    usual, costly = usual_photos(), costly_photos()
    assert max(map(len, usual + costly)) <= MOST_PHOTO_BYTES
    with serving("likeness", "serve", script="-m", pack="builtin", workers=cores(), entries=0) as (
        process,
        port,
        token,
    ):
        memory = ProcessMemory(process.pid)
        time.sleep(SETTLING_SECONDS)
        report.at_most("idle: resident", memory.resident(), "MB", MOST_IDLE_MB)
        report.add("idle: shared with no other process", memory.own(), "MB")
        report.at_most("start: peak", memory.peak(), "MB", MOST_LOADED_MB)
        connection = Connection(port)
        expect(connection.call(request_of(INSERT, FORM, body_of(FORM, idPhoto=usual[1]), token)))
        connection.close()
        for name, photos in (("loaded", usual), ("loaded with the costliest photos", costly)):
            memory.forget_peak()
            report.add(f"{name}: calls", load(port, token, photos, seconds), "")
            report.at_most(f"{name}: peak", memory.peak(), "MB", MOST_LOADED_MB)
            time.sleep(SETTLING_SECONDS)
            report.at_most(f"{name}: resident afterwards", memory.resident(), "MB", MOST_IDLE_MB)


# --- The index


class People:
    """Templates like those of faces: identities at random, with four photos close to each, a few thousand at a time."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(1)
        self._known: list[Rows] = []

    def enrol(self, count: int) -> Rows:
        people = self._random.standard_normal((-(-count // PHOTOS), DIMENSION), np.float32)
        self._known.append(people[:1].copy())
        return self._photographed(np.repeat(people, PHOTOS, axis=0)[:count])

    def queries(self, count: int) -> Rows:
        people = self._random.standard_normal((count, DIMENSION), np.float32)
        known = np.concatenate(self._known)
        people[::2] = known[self._random.integers(len(known), size=len(people[::2]))]
        return self._photographed(people)

    def _photographed(self, people: Rows) -> Rows:
        photos = people + np.float32(NOISE) * self._random.standard_normal(people.shape, np.float32)
        photos /= np.linalg.norm(photos, axis=1, keepdims=True)
        return photos


def filled(index: ExactIndex, count: int) -> tuple[People, float, float]:
    """Fill an index; gives the people, the bytes a template that the process grew by, and how many rows a second went in."""
    people, took, before = People(), 0.0, resident_bytes()
    for first in range(0, count, CHUNK):
        rows = people.enrol(min(CHUNK, count - first))
        started = time.perf_counter()
        index.add_many(np.arange(first, first + len(rows)), rows)
        took += time.perf_counter() - started
    del rows
    return people, (resident_bytes() - before) / count, count / took


@dataclass
class Searches:
    """The median processor time of a search, in milliseconds, and the answers; by how many were wanted, and by index."""

    took: dict[tuple[int, str], float] = field(default_factory=dict)
    answers: dict[tuple[int, str], list[Answer]] = field(default_factory=dict)

    def make(self, queries: Rows, indexes: dict[str, ExactIndex], wanted: int) -> None:
        """Search in the indexes in turns."""
        took: dict[str, list[float]] = {mode: [] for mode in indexes}
        for query in (queries[0], *queries):
            for mode, index in indexes.items():
                started = time.thread_time()
                answer = index.search(query, k=wanted)
                took[mode].append(time.thread_time() - started)
                self.answers.setdefault((wanted, mode), []).append(answer)
        self.took |= {(wanted, mode): float(np.median(times[1:])) * 1000 for mode, times in took.items()}


def cold_searches(index: ExactIndex, queries: Rows) -> list[float]:
    """Give how long searches take, in milliseconds, after the system has let go of what it keeps of the index's file."""
    file = index._table._file  # noqa: SLF001
    assert file is not None
    os.fdatasync(file._file)  # noqa: SLF001
    took = []
    for query in queries:
        os.posix_fadvise(file._file, 0, 0, os.POSIX_FADV_DONTNEED)  # noqa: SLF001
        started = time.perf_counter()
        index.search(query)
        took.append((time.perf_counter() - started) * 1000)
    return took


def orders(report: Report, name: str, count: int) -> list[tuple[str, ...]]:
    """Give which indexes exist at once: both, if the memory holds them."""
    free = available_bytes() * 0.95
    if free >= count * (MEMORY_BYTES + MOST_MAPPED_BYTES):
        return [("memory", "mapped")]
    if free >= count * MEMORY_BYTES:
        report.notes.append(f"{name}: first in memory, then mapped; the memory does not hold both.")
        return [("memory",), ("mapped",)]
    report.notes.append(f"{name}, memory: left out; it needs {count * MEMORY_BYTES / 1e9:.0f} GB of free memory.")
    return [("mapped",)]


def measure_templates(report: Report, count: int, folder: Path) -> None:
    name, searches = f"{count / 1e6:g} M templates", Searches()
    for group in orders(report, name, count):
        indexes = {mode: ExactIndex(DIMENSION, folder=folder if mode == "mapped" else None) for mode in group}
        for mode in group:
            people, grown, rate = filled(indexes[mode], count)
            report.add(f"{name}, {mode}: resident", grown, "bytes a template")
            report.add(f"{name}, {mode}: filled", rate, "rows/s")
        queries = people.queries(SEARCHES)
        for wanted in WANTED:
            searches.make(queries, indexes, wanted)
        if mapped := indexes.get("mapped"):
            bytes_a_template = mapped.bytes_per_template
            report.at_most(f"{name}, mapped: in memory", bytes_a_template, "bytes a template", MOST_MAPPED_BYTES)
            cold = cold_searches(mapped, queries[: SEARCHES // 2])
            report.add(f"{name}, mapped: cold search p50", float(np.median(cold)), "ms")
            report.add(f"{name}, mapped: cold search, most", max(cold), "ms")
        del mapped
        indexes.clear()
        gc.collect()
    compare(report, name, searches)


def compare(report: Report, name: str, searches: Searches) -> None:
    for (wanted, mode), took in sorted(searches.took.items()):
        report.add(f"{name}, {mode}: search for {wanted}", took, "ms of processor")
    for wanted in WANTED:
        if (wanted, "memory") in searches.took:
            ratio = searches.took[wanted, "mapped"] / searches.took[wanted, "memory"]
            report.at_most(f"{name}: search for {wanted}, mapped over memory", ratio, "x", MOST_OF_TIME)
            pairs = zip(searches.answers[wanted, "mapped"], searches.answers[wanted, "memory"], strict=True)
            differing = sum(mapped != memory for mapped, memory in pairs)
            report.at_most(f"{name}: answers for {wanted} that differ", differing, "", 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few seconds of load; ends within a minute")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--size", type=int, action="append", help="only the index, with so many templates")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where templates are mapped")
    options = parser.parse_args()
    give_large_blocks_back()
    report = Report(f"memory: a served process of builtin, {cores()} workers; templates of {DIMENSION} numbers")
    if not options.size:
        measure_server(report, QUICK_SECONDS if options.quick else FULL_SECONDS)
    for count in options.size or (QUICK_SIZES if options.quick else FULL_SIZES):
        measure_templates(report, count, options.folder)
    if not report.publish(options.json):
        sys.exit(1)


if __name__ == "__main__":
    main()
