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
from likeness.engine.conversion import dlib_weights
from likeness.engine.loading import load_engine
from likeness.engine.pipeline import PackEngine
from likeness.engine.runtime import Network

SIZES = {"640x480": (640, 480), "2 MP": (1632, 1224), "12 MP": (4032, 3024)}
DLIB_FILE = "face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat"
IN_A_ROW = 3
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
        names = ("builtin", "mobilefacenet", "duo") if options.mirror else ("builtin",)
        packs = {name: load(Path(folder), name, options.mirror) for name in names}
        for name, engine in packs.items():
            measure_stages(report, name, engine, photos, repeats, quick=options.quick)
        measure_recognition(report, packs["builtin"], photos, repeats)
        if "mobilefacenet" in packs:
            model = onnx.load(next(Path(folder).rglob("*MobileFaceNet.onnx")))
            measure_share_of_limit(report, "mobilefacenet", packs["mobilefacenet"], arithmetic(model) / 1e9, repeats)
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
    image = cv2.imdecode(np.frombuffer(photos.astronaut, np.uint8), cv2.IMREAD_COLOR)[:384]
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
            "decode, full size": lambda photo=photo: engine.decode(photo),
            "detect the subject": lambda image=image: engine.search.subject_and_rivals(image),
            "align": lambda image=image, face=face: [
                cut_chips(image, face.landmarks, part.reference, part.side, part.views) for part in engine.recognisers
            ],
            "align and embed": lambda image=image, face=face: engine.embed(image, [face]),
            "analyse, from bytes to template": lambda photo=photo: engine.analyse(photo, use=Use.PROBE),
        }
        for stage, times in in_turns(works, repeats).items():
            report.add(f"{name}, {label}: {stage}, p50", float(np.percentile(times, 50)), "ms")
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


def measure_recognition(report: Report, engine: PackEngine, photos: DemoPhotos, repeats: int) -> None:
    """Time one face through the pack's recogniser and through dlib itself, beside the largest matrix product of the core."""
    import dlib

    weights = str(importlib.metadata.distribution("face-recognition-models").locate_file(DLIB_FILE))
    theirs = dlib.face_recognition_model_v1(weights)
    converted = dlib_weights.recognition_network(*dlib_weights.read_layers(Path(weights).read_bytes()))
    exact = Network(converted)
    (recogniser,) = engine.recognisers
    image = engine.decode(photos.astronaut)
    (face,) = engine.search.subject_and_rivals(image)
    views = cut_chips(image, face.landmarks, recogniser.reference, recogniser.side, recogniser.views)
    chip = views[:1]
    times = in_turns(
        {
            "pack": lambda: engine.embed(image, [face]),
            "network": lambda: recogniser.network.run(pixels=views),
            "exact": lambda: exact.run(pixels=chip),
            "dlib": lambda: theirs.compute_face_descriptor(chip[0]),
            "product": matrix_product(),
        },
        max(repeats, 20),
    )
    pack, float_one, dlib_one = (float(np.median(times[name])) for name in ("pack", "exact", "dlib"))
    peak = limit(times["product"])
    gflop = arithmetic(onnx.load_from_string(converted)) / 1e9
    difference = exact.run(pixels=chip)["templates"][0] - np.array(theirs.compute_face_descriptor(chip[0]))
    report.add(f"recognition of one face, the pack ({len(views)} views in 8 bits)", pack, "ms")
    report.add("recognition of one face, converted in float32 (one view)", float_one, "ms")
    report.add("recognition of one face, dlib (one view)", dlib_one, "ms")
    report.at_least("recognition of one face: dlib's time over the pack's", dlib_one / pack, "x", 8)
    report.add("recognition of one face: dlib's time over the float32 conversion's", dlib_one / float_one, "x")
    report.at_most(
        "float32 conversion: largest difference from dlib's numbers", float(np.abs(difference).max()), "", 1e-5
    )
    report.add("recognition network, one view", gflop, "GFLOP")
    report.add("the core's float32 limit (matrix product)", peak, "GFLOP/s")
    # Least times on both sides: what else runs on the machine lengthens times, and nothing shortens them.
    share = gflop / float(np.min(times["exact"])) * 1e3 / peak
    report.add("float32 conversion, one view: share of that limit", share, "")
    share = len(views) * gflop / float(np.min(times["network"])) * 1e3 / peak
    report.at_least("the pack's network in 8 bits: its arithmetic over that limit", share, "", 0.8)


def measure_share_of_limit(report: Report, name: str, engine: PackEngine, gflop: float, repeats: int) -> None:
    """Time a pack's one recognition network, of ``gflop`` a view, beside the largest matrix product of the core."""
    (recogniser,) = engine.recognisers
    views = len(recogniser.views)
    chips = np.random.default_rng(0).integers(0, 256, (views, recogniser.side, recogniser.side, 3), np.uint8)
    times = in_turns({"network": lambda: recogniser.network.run(pixels=chips), "product": matrix_product()}, repeats)
    share = views * gflop / float(np.min(times["network"])) * 1e3 / limit(times["product"])
    report.at_least(f"{name}, its network in float32: share of that limit", share, "", 0.8)


def matrix_product() -> Work:
    left, right = (
        np.random.default_rng(seed).standard_normal((PRODUCT, PRODUCT)).astype(np.float32) for seed in (1, 2)
    )
    return lambda: left @ right


def limit(times: list[float]) -> float:
    """Give the core's float32 limit in GFLOP/s, from how long the matrix product took."""
    return 2 * PRODUCT**3 / float(np.min(times)) / 1e6


def arithmetic(model: onnx.ModelProto) -> float:
    """Count the floating point operations of a network's convolutions and matrix products, for one picture."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        value.name: [dimension.dim_value or 1 for dimension in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.input, *inferred.output)
    }
    constants = {constant.name: list(constant.dims) for constant in inferred.initializer}
    total = 0.0
    for node in inferred.node:
        if node.op_type == "Conv":
            total += 2 * float(np.prod(constants[node.input[1]])) * float(np.prod(shapes[node.output[0]][2:]))
        elif node.op_type in {"MatMul", "Gemm"}:
            total += 2 * float(np.prod(constants[node.input[1]]))
    return total


def measure_match(report: Report, packs: dict[str, PackEngine], photos: DemoPhotos, repeats: int) -> None:
    """Time a match of two 640x480 photos: ours on two threads, as the service does it, against face_recognition's pipeline."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import face_recognition
    pair = [portrait(photos, SIZES["640x480"])] * 2

    def theirs(upsample: int) -> None:
        for photo in pair:
            image = cv2.cvtColor(cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
            face_recognition.face_encodings(image, face_recognition.face_locations(image, upsample), model="large")

    peers = {"default pipeline": (1, 15.0), "without upsampling": (0, 8.0)}
    with ThreadPoolExecutor(2) as pool:
        works: dict[str, Work] = {
            name: lambda engine=engine: list(pool.map(lambda photo: engine.analyse(photo, use=Use.PROBE), pair))
            for name, engine in packs.items()
        }
        alone: dict[str, Work] = {
            f"{name}, one after the other": lambda engine=engine: [
                engine.analyse(photo, use=Use.PROBE) for photo in pair
            ]
            for name, engine in packs.items()
        }
        peer_works: dict[str, Work] = {
            peer: lambda upsample=upsample: theirs(upsample) for peer, (upsample, _) in peers.items()
        }
        medians = {
            name: float(np.median(times)) for name, times in in_turns(works | alone | peer_works, repeats).items()
        }
    for peer in peers:
        report.add(f"match of two 640x480 photos, face_recognition {peer}, p50", medians[peer], "ms")
    for name in packs:
        report.add(f"match, {name}: p50", medians[name], "ms")
        for peer, (_, bound) in peers.items():
            report.at_least(
                f"match, {name}: face_recognition {peer} over ours", medians[peer] / medians[name], "x", bound
            )
            one_by_one = medians[peer] / medians[f"{name}, one after the other"]
            report.add(
                f"match, {name}, our photos one after the other: face_recognition {peer} over ours", one_by_one, "x"
            )


if __name__ == "__main__":
    main()
