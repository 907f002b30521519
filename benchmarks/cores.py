"""How many cores one server uses: what is served beside what the engine alone does, and what the interpreter leaves on 8 and 16 cores.

    python benchmarks/cores.py [--quick] [--json PATH] [--mirror DIR]

The first part is measured. On all cores of this machine, the engine alone analyses photos in a process of its own. Then `likeness serve`
answers matches of the same photos, in turns with it. A match is two photos of 640 x 480.

The second part is simulated, since few machines have 16 cores to spare. The server is the real one. Its engine is not: it sleeps as long as
`builtin` computes in native code, and holds the interpreter as long as `builtin` holds it. Both times are measured in the same run.
A photo in a process of its own only sleeps: it holds an interpreter that it shares with no other.
"""

import argparse
import ctypes
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import cv2
import numpy as np

from calls import FORM, MATCH, NullEngine, body_of, photo_of, process_of, request_of, run, serving
from engine import load, portrait_pixels
from figures import Report, add_mirror
from likeness.cli.demo.photos import load_photos
from likeness.engine.analysts.processes import PhotoProcesses
from likeness.engine.analysts.processes import main as be_a_photo_process
from likeness.engine.base import Face, Use
from likeness.engine.fake import FAKES
from likeness.engine.pipeline import PackEngine
from likeness.engine.policy import FacePolicy

LEAST_OF_ENGINE = 0.92
LEAST_OF_IDEAL = 0.9
SIMULATED_CORES = (2, 8, 16)
KINDS = ("threads", "processes")
SLICES = 20
"""Times that the simulated engine goes into native code, for one photo."""
NATIVE, HELD = "BENCHMARK_NATIVE_MS", "BENCHMARK_HELD_MS"
PR_SET_TIMERSLACK = 29


def portrait() -> bytes:
    """Give the astronaut's portrait as a JPEG of 640 x 480 and best quality, of some 250 kB."""
    pixels = portrait_pixels(load_photos(), (640, 480))
    grain = np.random.default_rng(1).normal(0, 3, pixels.shape)
    noisy = np.clip(pixels + grain, 0, 255).astype(np.uint8)
    return bytes(cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 97])[1])


# --- The engine alone


def engine_alone(pack: str, mirror: Path | None, seconds: float, result: Path) -> None:
    """Analyse photos on all cores; write matches a second."""
    cv2.setNumThreads(1)
    photo = portrait()
    with tempfile.TemporaryDirectory() as folder:
        engine = load(Path(folder), pack, mirror)
        counts = [0] * cores()
        engine.analyse(photo, use=Use.PROBE)
        began = time.monotonic()

        def go_on(nth: int) -> None:
            while time.monotonic() < began + seconds:
                engine.analyse(photo, use=Use.PROBE)
                counts[nth] += 1

        threads = [threading.Thread(target=go_on, args=(nth,)) for nth in range(cores())]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        result.write_text(str(sum(counts) / 2 / (time.monotonic() - began)))


def cores() -> int:
    return len(os.sched_getaffinity(0))


def measure_served(report: Report, pack: str, mirror: Path | None, *, seconds: float, turns: int) -> None:
    """Tell the served rate of a pack beside that of its engine alone."""
    photo = portrait()
    request = (MATCH, FORM, body_of(FORM, sourceImage=photo, targetImage=photo))
    environment = {"LIKENESS_MODELS_MIRROR": str(mirror)} if mirror else {}
    alone: list[float] = []
    served: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        servers = {
            kind: stack.enter_context(
                serving(pack=pack, workers=cores(), entries=0, LIKENESS_ENGINE=kind, **environment)
            )
            for kind in KINDS
        }
        result = Path(folder, "rate")
        arguments = ["--engine-alone", pack, str(seconds), str(result), *(["--mirror", str(mirror)] if mirror else [])]
        for _ in range(turns):
            with process_of(*arguments, script=__file__) as engine:
                engine.wait()
            alone.append(float(result.read_text()))
            for kind, (process, port, token) in servers.items():
                done = run(process, port, request_of(*request, token), 4 * cores(), seconds)
                served[kind].append(done.calls / done.seconds)
    report.add(f"{pack}: engine alone, {cores()} cores", max(alone), "matches/s")
    for kind in KINDS:
        report.add(f"{pack}: served by {kind}, {4 * cores()} clients", max(served[kind]), "matches/s")
        share = max(served[kind]) / max(alone)
        report.at_least(f"{pack}: served by {kind}, of the engine alone", share, "", LEAST_OF_ENGINE)


# --- Simulated cores


class SimulatedEngine(NullEngine):
    """Sleeps for what an engine computes in native code, and computes in Python for what it holds of the interpreter."""

    def __init__(self) -> None:
        super().__init__()
        self._native, self._held = (float(os.environ[name]) / 1000 / SLICES for name in (NATIVE, HELD))

    def analyse(self, photo: bytes, *, use: Use, policy: FacePolicy = FacePolicy.LARGEST) -> Face:
        for _ in range(SLICES):
            end = time.thread_time() + self._held
            while time.thread_time() < end:
                pass
            time.sleep(self._native)
        return super().analyse(photo, use=use, policy=policy)


def serve_simulated() -> None:
    """Be `likeness serve` on the simulated engine."""
    from likeness.cli import main as likeness

    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1)  # else each sleep is 50 microseconds longer
    FAKES[SimulatedEngine.pack.id] = SimulatedEngine
    defaults = PhotoProcesses.__init__.__kwdefaults__
    assert defaults is not None
    defaults["command"] = (sys.executable, __file__, "--photo-process")
    sys.argv = ["likeness", "serve"]
    likeness()


def photo_process() -> None:
    """Be a process for photos on the simulated engine, whose interpreter waits for no other."""
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1)
    os.environ[NATIVE] = str(float(os.environ[NATIVE]) + float(os.environ[HELD]))
    os.environ[HELD] = "0"
    be_a_photo_process(lambda _recipe: SimulatedEngine())


def held_milliseconds(engine: PackEngine, photo: bytes, photos: int) -> tuple[float, float]:
    """Give the milliseconds of a core that a photo takes, and those of them in which it holds the interpreter.

    Another thread takes the interpreter whenever it is free. Its time on the processor is the time in which the
    interpreter was free.
    """
    stop, free = threading.Event(), 0.0

    def take() -> None:
        nonlocal free
        began = time.thread_time()
        while not stop.is_set():
            for _ in range(200):
                pass
        free = time.thread_time() - began

    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    thread = threading.Thread(target=take)
    began, used = time.perf_counter(), time.thread_time()
    thread.start()
    for _ in range(photos):
        engine.analyse(photo, use=Use.PROBE)
    took, used = time.perf_counter() - began, time.thread_time() - used
    stop.set()
    thread.join()
    sys.setswitchinterval(before)
    return used / photos * 1000, (took - free) / photos * 1000


def measure_simulated(report: Report, cores: Sequence[int], *, seconds: float, photos: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        engine = load(Path(folder), "builtin", None)
        photo = portrait()
        engine.analyse(photo, use=Use.PROBE)
        found = [held_milliseconds(engine, photo, photos) for _ in range(5)]
    takes = min(takes for takes, _ in found)
    held = min(*(held for _, held in found), takes)  # other work on the machine only adds
    report.add("builtin: a photo takes", takes, "ms of a core")
    report.add("builtin: a photo holds the interpreter", held, "ms")
    request = (MATCH, FORM, body_of(FORM, sourceImage=photo_of(1), targetImage=photo_of(1)))
    environment = {NATIVE: str(takes - held), HELD: str(held)}
    for simulated in cores:
        ideal = simulated / (2 * takes) * 1000
        report.add(f"{simulated} simulated cores: ideal", ideal, "matches/s")
        for kind in KINDS:
            with serving(
                "--serve-simulated", script=__file__, workers=simulated, entries=0, LIKENESS_ENGINE=kind, **environment
            ) as (process, port, token):
                done = run(process, port, request_of(*request, token), 3 * simulated, seconds)
            share, title = (
                done.calls / done.seconds / ideal,
                f"{simulated} simulated cores, {kind}: served, of the ideal",
            )
            if kind == "threads":
                report.add(title, share, "")
            else:
                report.at_least(title, share, "", LEAST_OF_IDEAL)
            report.add(f"{simulated} simulated cores, {kind}: event loop's thread", done.loop_ms, "ms of CPU a match")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short runs; ends within a minute")
    parser.add_argument("--json", type=Path, help="write the figures here")
    add_mirror(parser)
    parser.add_argument("--serve-simulated", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--photo-process", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--engine-alone", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_simulated:
        serve_simulated()
    elif options.photo_process is not None:
        photo_process()
    elif options.engine_alone:
        pack, seconds, result = options.engine_alone
        engine_alone(pack, options.mirror, float(seconds), Path(result))
    else:
        report = Report("one server on many cores")
        seconds, turns = (2.0, 2) if options.quick else (8.0, 4)
        cv2.setNumThreads(1)
        for pack in ("builtin", "best") if options.mirror and not options.quick else ("builtin",):
            measure_served(report, pack, options.mirror, seconds=seconds, turns=turns)
        simulated = SIMULATED_CORES[-1:] if options.quick else SIMULATED_CORES
        measure_simulated(report, simulated, seconds=seconds, photos=40 if options.quick else 200)
        if not report.publish(options.json):
            sys.exit(1)


if __name__ == "__main__":
    main()
