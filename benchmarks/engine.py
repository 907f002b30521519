"""The engine beside its peers, on one thread: each stage of each pack, dlib's recognition, face_recognition's whole pipeline.

    python benchmarks/engine.py [--quick] [--json PATH] [--mirror DIR]

Needs the groups `demo` (photos) and `benchmark` (peers). Peers run in the same process on the same photos, in turns, so that a busy machine slows both.
"""

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import cv2
import numpy as np
from numpy.typing import NDArray

from figures import Report
from likeness.cli.demo.photos import DemoPhotos, load_photos
from likeness.engine.alignment import View, cut_chips
from likeness.engine.base import Detection, Image, Use
from likeness.engine.loading import load_engine
from likeness.engine.pipeline import PackEngine
from likeness.engine.recognition import Recogniser

RECOGNITION_GFLOP = 0.54
"""dlib's ResNet-29, one face."""
SIZES = {"640x480": (640, 480), "2 MP": (1632, 1224), "12 MP": (4032, 3024)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few repetitions; ends within a minute")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--mirror", type=Path, help="folder of model files, for the packs beside builtin")
    options = parser.parse_args()
    repeats = 5 if options.quick else 30
    cv2.setNumThreads(1)
    report = Report("engine, one thread per photo")
    photos = load_photos()
    with tempfile.TemporaryDirectory() as folder:
        packs = {"builtin": load(Path(folder), "builtin", None)}
        if options.mirror:
            packs |= {name: load(Path(folder), name, options.mirror) for name in ("mobilefacenet", "duo")}
        for name, engine in packs.items():
            measure_stages(report, name, engine, photos, repeats, quick=options.quick)
        measure_recognition(report, packs["builtin"], photos, repeats)
        measure_match(report, packs, photos, max(3, repeats // 5))
    report.publish(options.json)


def load(folder: Path, name: str, mirror: Path | None) -> PackEngine:
    engine = load_engine(name, models_dir=folder, mirror=mirror)
    assert isinstance(engine, PackEngine)
    return engine


def milliseconds(work: Callable[[], object], repeats: int) -> NDArray[np.float64]:
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1000)
    return np.array(times)


def portrait(photos: DemoPhotos, size: tuple[int, int]) -> bytes:
    """Give the astronaut's portrait as a JPEG of ``size``."""
    image = cv2.imdecode(np.frombuffer(photos.astronaut, np.uint8), cv2.IMREAD_COLOR)[:384]
    resized = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    return bytes(cv2.imencode(".jpg", resized, [cv2.IMWRITE_JPEG_QUALITY, 90])[1])


def measure_stages(
    report: Report, name: str, engine: PackEngine, photos: DemoPhotos, repeats: int, *, quick: bool
) -> None:
    for label, size in SIZES.items():
        photo = portrait(photos, size)
        image = engine.decode(photo)
        face = engine.search.subject_and_rivals(image)[0]

        def align(
            image: Image = image, face: Detection = face, recogniser: Recogniser = engine.recognisers[0]
        ) -> object:
            return cut_chips(image, face.landmarks, recogniser.reference, recogniser.side, recogniser.views)

        stages: dict[str, Callable[[], object]] = {
            "decode whole": lambda photo=photo: engine.decode(photo),  # type: ignore[misc]
            "detect": lambda image=image: engine.search.subject_and_rivals(image),  # type: ignore[misc]
            "align": align,
            "embed": lambda image=image, face=face: engine.embed(image, [face]),  # type: ignore[misc]
            "analyse": lambda photo=photo: engine.analyse(photo, use=Use.PROBE),  # type: ignore[misc]
        }
        for stage, work in stages.items():
            times = milliseconds(work, repeats)
            report.add(f"{name}, {label}: {stage} p50", float(np.percentile(times, 50)), "ms")
            if not quick:
                report.add(f"{name}, {label}: {stage} p99", float(np.percentile(times, 99)), "ms")
        report.add(f"{name}, {label}: faces per second and core", 1000 / float(np.median(times)), "1/s")


def measure_recognition(report: Report, engine: PackEngine, photos: DemoPhotos, repeats: int) -> None:
    """Time one face through dlib's network, by dlib and by ours, and through the largest matrix product that the core can do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import dlib
    weights = next(
        Path(str(path.locate()))
        for path in __import__("importlib.metadata").metadata.files("face-recognition-models") or []
        if path.name == "dlib_face_recognition_resnet_model_v1.dat"
    )
    theirs = dlib.face_recognition_model_v1(str(weights))
    recogniser = engine.recognisers[0]
    image = engine.decode(photos.astronaut)
    face = engine.search.subject_and_rivals(image)[0]
    chip = cut_chips(image, face.landmarks, recogniser.reference, recogniser.side, (View(),))
    left, right = (np.random.default_rng(seed).standard_normal((1536, 1536)).astype(np.float32) for seed in (1, 2))
    ours_ms, theirs_ms, product_ms = [], [], []
    for _ in range(repeats):
        ours_ms.append(milliseconds(lambda: recogniser.network.run(pixels=chip), 1)[0])
        theirs_ms.append(milliseconds(lambda: theirs.compute_face_descriptor(chip[0]), 1)[0])
        product_ms.append(milliseconds(lambda: left @ right, 1)[0])
    difference = np.abs(
        next(iter(recogniser.network.run(pixels=chip).values()))[0] - np.array(theirs.compute_face_descriptor(chip[0]))
    ).max()
    ours, dlibs, peak = float(np.median(ours_ms)), float(np.median(theirs_ms)), 2 * 1536**3 / np.min(product_ms) / 1e6
    report.add("recognition of one face, one view: ours", ours, "ms")
    report.add("recognition of one face, one view: dlib", dlibs, "ms")
    report.at_least("recognition: dlib's time over ours", dlibs / ours, "x", 8)
    report.at_most("recognition: largest difference from dlib's numbers", float(difference), "", 1e-5)
    report.add("core's float32 peak (matrix product)", peak, "GFLOP/s")
    report.at_least(
        "recognition: share of that peak", RECOGNITION_GFLOP / float(np.min(ours_ms)) * 1000 / peak, "", 0.8
    )


def measure_match(report: Report, packs: dict[str, PackEngine], photos: DemoPhotos, repeats: int) -> None:
    """Time a match of two 640x480 photos, ours on two threads (both photos side by side), against face_recognition's pipeline."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import face_recognition
    pair = [portrait(photos, SIZES["640x480"]) for _ in range(2)]

    def theirs(upsample: int) -> None:
        for photo in pair:
            image = cv2.cvtColor(cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
            faces = face_recognition.face_locations(image, number_of_times_to_upsample=upsample)
            face_recognition.face_encodings(image, faces)

    peers = {"default pipeline": (1, 15.0), "without upsampling": (0, 8.0)}
    with ThreadPoolExecutor(2) as pool:
        for name, engine in packs.items():

            def ours(engine: PackEngine = engine) -> None:
                list(pool.map(lambda photo: engine.analyse(photo, use=Use.PROBE), pair))

            mine: list[float] = []
            others: dict[str, list[float]] = {peer: [] for peer in peers}
            for _ in range(repeats):
                mine.append(float(milliseconds(ours, 3).min()))
                for peer, (upsample, _) in peers.items():
                    others[peer].append(float(milliseconds(lambda upsample=upsample: theirs(upsample), 1)[0]))  # type: ignore[misc]
            report.add(f"match, {name}: ours p50", float(np.median(mine)), "ms")
            for peer, (_, bound) in peers.items():
                report.at_least(
                    f"match, {name}: face_recognition {peer} over ours",
                    float(np.median(others[peer])) / float(np.median(mine)),
                    "x",
                    bound,
                )


main()
