"""Exact 1:N search beside its peers (benchmarks/peers/search.py), and beside the speed at which this machine reads memory.

    python benchmarks/search.py [--quick] [--size 1000000x512 ...] [--checks 10000] [--json PATH]

Templates are like faces: identities at random, four photos of each close together. Half of the queries are new photos
of enrolled identities, half of nobody enrolled. Everything runs on one thread unless said. Each peer is measured in
turns with our index, query by query, so that what else the machine does meets both; ratios are of the medians of
processor time. A peer's recall is the share of these queries whose nearest row it found.
"""

import argparse
import ctypes
import gc
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, thread_time

import faiss
import numpy as np
from numpy.typing import NDArray

from figures import Curves, Report
from likeness.index.codes import Codec
from likeness.index.exact import ExactIndex, best_scan
from likeness.index.faiss_scan import FaissScan
from likeness.index.scans import CompiledScan, Scan
from likeness.index.scores import best_hits, exact_scores
from peers.search import Peer, PeerLackingError, search_peers
from reporting.memory import available_bytes

PHOTOS = 4
NOISE = 0.7
CLIENTS = 8
OURS = "Likeness"
COPIES = 5
"""How many times its float32 numbers a gallery takes, with our index and the largest peer beside it."""
BOUNDS = {"NumPy": 7.0, "faiss Flat": 3.5}
"""How many times as long these must take, in the largest gallery."""

Rows = NDArray[np.float32]
Search = Callable[[Rows], object]

PROBE = """
#include <stddef.h>
#include <stdint.h>
/* Read n words in `streams` (1 or 4) runs at once, and do nothing else. */
uint64_t probe(const uint64_t *words, size_t n, int streams) {
    uint64_t sums[4][8] = {{0}};
    const size_t gap = streams == 4 ? n / 4 : 8, step = streams == 4 ? 8 : 32;
    for (size_t i = 0; i + 3 * gap + 8 <= n && i < (streams == 4 ? gap : n); i += step)
        for (int s = 0; s < 4; s++)
            for (int lane = 0; lane < 8; lane++) sums[s][lane] ^= words[s * gap + i + lane];
    uint64_t sum = 0;
    for (int i = 0; i < 32; i++) sum ^= sums[i / 8][i % 8];
    return sum;
}
"""


@dataclass(frozen=True, slots=True)
class Faces:
    """Templates of ``identities`` people, and queries about them and about others."""

    rows: Rows
    identities: Rows
    random: np.random.Generator

    @classmethod
    def drawn(cls, count: int, dimension: int) -> "Faces":
        random = np.random.default_rng((count, dimension))
        identities = random.standard_normal((count // PHOTOS, dimension), np.float32)
        rows = np.empty((count, dimension), np.float32)
        for first in range(0, count, 50_000):
            persons = identities[np.arange(first, min(first + 50_000, count)) // PHOTOS]
            rows[first : first + len(persons)] = photographed(persons, random)
        return cls(rows, identities, random)

    def queries(self, count: int) -> Rows:
        """Give queries, enrolled and unenrolled by turns."""
        persons = self.random.standard_normal((count, self.rows.shape[1]), np.float32)
        persons[::2] = self.identities[self.random.integers(len(self.identities), size=len(persons[::2]))]
        return photographed(persons, self.random)


def photographed(persons: Rows, random: np.random.Generator) -> Rows:
    photos = persons + np.float32(NOISE) * random.standard_normal(persons.shape, np.float32)
    photos /= np.linalg.norm(photos, axis=1, keepdims=True)
    return photos


@dataclass(frozen=True, slots=True)
class Times:
    """How long each search took, and how much of that its thread was on a processor; (n,) seconds each."""

    wall: NDArray[np.float64]
    processor: NDArray[np.float64]

    def milliseconds(self, quantile: float) -> float:
        return float(np.quantile(self.wall, quantile)) * 1e3

    @property
    def median(self) -> float:
        """Seconds of processor time, which others on the machine disturb less than wall time."""
        return float(np.median(self.processor))


def in_turns(queries: Rows, *searches: Search, clocks: Sequence[Callable[[], float]] = ()) -> list[Times]:
    """Time each of the searches on each query, by turns; ``clocks`` count the processor's time, one for each search."""
    clocks = clocks or [thread_time] * len(searches)
    for search in searches:
        search(queries[0])
    times = np.empty((len(searches), 2, len(queries)))
    for number, query in enumerate(queries):
        for which, (search, clock) in enumerate(zip(searches, clocks, strict=True)):
            started, turned = perf_counter(), clock()
            search(query)
            times[which, :, number] = perf_counter() - started, clock() - turned
    return [Times(*pair) for pair in times]


def bandwidth_probe(size: int) -> list[Search]:
    """Give ways to read ``size`` bytes from memory once, each as fast as can be: compiled here, or NumPy's."""
    words = np.ones(size // 8, np.uint64)
    compiler = shutil.which("cc")
    if not compiler:
        return [lambda _: np.bitwise_xor.reduce(words)]
    folder = Path(tempfile.mkdtemp())
    (folder / "probe.c").write_text(PROBE)
    subprocess.run(
        [compiler, "-O3", "-march=native", "-shared", "-fPIC", "probe.c", "-o", "probe.so"], cwd=folder, check=True
    )
    probe = ctypes.CDLL(str(folder / "probe.so")).probe
    shutil.rmtree(folder)
    probe.restype, probe.argtypes = ctypes.c_uint64, (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return [
        lambda _: probe(words.ctypes.data, len(words), 1),
        lambda _: probe(words.ctypes.data, len(words), 4),
    ]


def least_bytes_read(dimension: int, scan: Scan) -> int:
    """Give the bytes a row that no scan does without: half codes, or codes, and a word beside them."""
    codec = Codec(dimension)
    return codec.half_pitch + 4 if isinstance(scan, CompiledScan) else codec.pitch + 4


def filled(faces: Faces, scan: Scan) -> tuple[ExactIndex, float]:
    """Build an index and say how many rows a second went in."""
    index = ExactIndex(faces.rows.shape[1], scan=scan)
    started = perf_counter()
    for first in range(0, len(faces.rows), 50_000):
        rows = faces.rows[first : first + 50_000]
        index.add_many(np.arange(first, first + len(rows)), rows)
    return index, len(faces.rows) / (perf_counter() - started)


def queries_per_second(index: ExactIndex, queries: Rows, clients: int) -> float:
    """Answer the queries with so many clients, each asking as soon as it is answered."""
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(index.search, queries[:clients]))
        started = perf_counter()
        list(pool.map(index.search, queries))
        return len(queries) / (perf_counter() - started)


def compare_with_brute_force(faces: Faces, index: ExactIndex, queries: Rows) -> tuple[int, int, int]:
    """Count queries whose best was missed, answers certified and wrong, and answers not certified.

    Brute force is BLAS over all rows; those within its error of the k-th best are scored exactly.
    """
    slack = 2 * faces.rows.shape[1] * 2.0**-24
    keys = np.arange(len(faces.rows))
    missed = wrong = uncertified = 0
    with ThreadPoolExecutor(CLIENTS) as pool:
        for first in range(0, len(queries), 50):
            batch = queries[first : first + 50]
            answers = list(pool.map(lambda query: index.search(query, k=10), batch))
            for query, scores, answer in zip(batch, batch @ faces.rows.T, answers, strict=True):
                kept = np.flatnonzero(scores >= np.partition(scores, -10)[-10] - slack)
                hits = best_hits(keys[kept], exact_scores(faces.rows[kept], query), k=10, minimum_score=-1)
                missed += answer.hits[:1] != hits[:1]
                wrong += answer.certified and answer.hits != hits
                uncertified += not answer.certified
    return missed, wrong, uncertified


def measure(
    report: Report, count: int, dimension: int, *, searches: int, checks: int, full: bool
) -> tuple[int, int, int]:
    """Measure one size; ``full``: hold the figures against their targets."""
    name = f"{count:,} x {dimension}"
    faces = Faces.drawn(count, dimension)
    scan = best_scan(dimension)
    index, rate = filled(faces, scan)
    queries = faces.queries(searches)
    own = "compiled" if isinstance(scan, CompiledScan) else "faiss"
    if full:
        report.at_least(f"{name}: rebuild", rate, "rows/s", 100_000)
    report.beside(
        f"{name}: memory", index.bytes_per_template, "bytes a template", ("float32 numbers alone", 4 * dimension)
    )

    needed = count * least_bytes_read(dimension, scan)
    times, *probes = in_turns(queries, index.search, *bandwidth_probe(needed))
    read = min(probe.median for probe in probes)
    bound = 0.8 if own == "compiled" else 0.6
    memory = "reading the bytes that no scan does without", read * 1e3
    report.beside(f"{name}: {own} scan, processor", times.median * 1e3, "ms", memory, bound=bound if full else None)
    report.add(f"{name}: {own} scan, p50", times.milliseconds(0.5), "ms")
    report.add(f"{name}: {own} scan, p99", times.milliseconds(0.99), "ms")
    report.add(f"{name}: memory's bandwidth", needed / read / 1e9, "GB/s")
    compare_with_peers(report, faces, index, queries[: max(20, searches // 4)], full=full)

    one, many = (queries_per_second(index, queries, clients) for clients in (1, CLIENTS))
    report.beside(
        f"{name}: {CLIENTS} clients sharing scans",
        many,
        "searches/s",
        ("one client", one),
        more_is_better=True,
        bound=2.0 if full else None,
    )
    result = compare_with_brute_force(faces, index, faces.queries(checks))
    if own == "compiled" and dimension == 512:
        del index
        gc.collect()
        _measure_options(report, name, faces, queries, one_thread=times)
    return result


def compare_with_peers(report: Report, faces: Faces, index: ExactIndex, queries: Rows, *, full: bool) -> None:
    """Time each peer in turns with our index, and count how often it finds the nearest row."""
    name = "{:,} x {}".format(*faces.rows.shape)
    nearest = [index.search(query).hits[0].key for query in queries]  # held against brute force elsewhere
    for setting_up in search_peers(faces.rows):
        try:
            with setting_up as peer:
                compare_with(report, name, index, queries, nearest, peer, full=full)
        except PeerLackingError as lacking:
            report.notes.append(f"{name}: {lacking}.")
        gc.collect()


def compare_with(
    report: Report,
    name: str,
    index: ExactIndex,
    queries: Rows,
    nearest: list[int],
    peer: Peer,
    *,
    full: bool,
) -> None:
    found: list[int] = []
    clocks = thread_time, peer.clock
    ours, theirs = in_turns(queries, index.search, lambda query: found.append(peer.search(query)), clocks=clocks)
    processor = peer.name, theirs.median * 1e3
    bound = BOUNDS.get(peer.name) if full else None
    report.beside(f"{name}: a search, processor", ours.median * 1e3, "ms", processor, bound=bound)
    recall = float(np.mean(np.equal(found[1:], nearest)))  # the first search was to warm up
    report.beside(f"{name}: recall at rank 1", 1.0, "", (peer.name, recall), more_is_better=True)


def curves_of(report: Report) -> list[Curves]:
    """Give the plots of search times against gallery sizes, one for each length of templates."""
    lines: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for figure in report.figures:
        size, _, what = figure.name.partition(": ")
        if what != "a search, processor" or figure.reference is None:
            continue
        count, dimension = size.replace(",", "").split(" x ")
        of_size = lines.setdefault(dimension, {OURS: []})
        of_size.setdefault(figure.to, []).append((float(count), figure.reference))
        if figure.to == "faiss Flat":  # one of the runs of ours, which are all alike
            of_size[OURS].append((float(count), figure.value))
    return [
        Curves(
            f"Exact search, templates of {dimension} numbers",
            "templates in the gallery",
            "ms of a processor for a search",
            of_size,
            logarithmic=True,
        )
        for dimension, of_size in lines.items()
    ]


def _measure_options(report: Report, name: str, faces: Faces, queries: Rows, *, one_thread: Times) -> None:
    """Measure the fall-back scan, and two threads a scan, beside the compiled scan on one thread."""
    usual = "the compiled scan", one_thread.median * 1e3
    index, _ = filled(faces, FaissScan(faces.rows.shape[1]))
    (times,) = in_turns(queries[: max(10, len(queries) // 4)], index.search)
    report.beside(f"{name}: fall-back scan, processor", times.median * 1e3, "ms", usual)
    del index
    gc.collect()
    index, _ = filled(faces, CompiledScan(threads=2))
    (times,) = in_turns(queries, index.search)
    alone = "one thread", one_thread.milliseconds(0.5)
    report.beside(f"{name}: two threads a scan, p50", times.milliseconds(0.5), "ms", alone)
    many = queries_per_second(index, queries, CLIENTS)
    report.add(f"{name}: {CLIENTS} clients, two threads a scan", many, "searches/s")


def fits(report: Report, count: int, dimension: int) -> bool:
    """Say whether a gallery and its peers fit into the memory that is free, and note it where they do not."""
    free, needed = available_bytes(), COPIES * 4 * count * dimension
    if needed > free:
        note = "it takes {:.1f} GiB of memory, and {:.1f} are free".format(
            *(number / 2**30 for number in (needed, free))
        )
        report.notes.append(f"{count:,} x {dimension} is not measured: {note}.")
    return needed <= free


def size(text: str) -> tuple[int, int]:
    count, dimension = text.split("x")
    return int(count), int(dimension)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small galleries only, within a minute")
    parser.add_argument("--size", type=size, action="append", help="only this many templates of so many numbers")
    parser.add_argument("--checks", type=int, help="how many answers to hold against brute force")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":  # BLAS reads it when it is loaded
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "OMP_NUM_THREADS": "1"})  # noqa: S606
    faiss.omp_set_num_threads(1)
    report = Report("Exact 1:N search, one thread unless said")
    counts = [1000, 10_000, 100_000] if arguments.quick else [1000, 10_000, 100_000, 1_000_000]
    sizes = arguments.size or [(count, dimension) for count in counts for dimension in (128, 512)]
    checks = (arguments.checks or (1_000 if arguments.quick else 10_000)) // len(sizes) + 1
    missed = wrong = uncertified = 0
    for count, dimension in [size for size in sizes if fits(report, *size)]:
        searches = 40 if arguments.quick else 200
        full = count == 1_000_000 and dimension == 512
        faults = measure(report, count, dimension, searches=searches, checks=checks, full=full)
        missed, wrong, uncertified = missed + faults[0], wrong + faults[1], uncertified + faults[2]
        gc.collect()
    asked = checks * len(sizes)
    report.add("queries held against brute force", asked, "")
    report.at_least("recall", 1 - missed / asked, "", 1.0)
    report.at_most("certified but wrong", wrong, "answers", 0)
    report.at_most("not certified", uncertified, "answers", 0)
    report.curves += curves_of(report)
    return 0 if report.publish(arguments.json) else 1


if __name__ == "__main__":
    sys.exit(main())
